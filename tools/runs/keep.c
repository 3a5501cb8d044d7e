/* keep.c - what a run of training leaves behind, in a folder:
 *
 *     config.json                  all settings, from the beginning on; `glia train --config` does it again
 *     run.json                     state and figures
 *     curves.csv, steps.csv        figures of epochs and steps, as they come (record.c)
 *     checkpoint.safetensors       where it stands, until it is over
 *     best.safetensors             the model at the best end of an epoch
 *     model.safetensors            the model at the end
 *     report.html                  all of it to look at
 *     tensorboard/                 if asked for
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reports/report.h"
#include "runs/training.h"
#include "terminal/json.h"

static bool make_folders(char *path) {
    for (char *slash = path + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        int status = mkdir(path, 0777);
        *slash = '/';
        if (status != 0 && errno != EEXIST) return false;
    }
    return true;
}

char *training_file(const training *t, const char *name) {
    text path = { 0 };
    text_add(&path, "%s/%s", t->folder, name);
    return path.bytes;
}

static int keep_text(const training *t, const char *name, text *content) {
    char *path = training_file(t, name);
    int status = write_file(path, content->bytes, content->length) ? -1 : fail("%s: %s", path, strerror(errno));
    free(path);
    free(content->bytes);
    return status;
}

static void remove_files(const training *t, const char *const *names) {
    for (; *names; names++) {
        char *path = training_file(t, *names);
        unlink(path);
        free(path);
    }
}

/* The first free runs/MODEL-DATE-N. */
static int make_folder(training *t) {
    text path = { 0 };
    for (int n = 1; n < 10000; n++) {
        path.length = 0;
        text_add(&path, "runs/%s-%.10s-%d", t->recipe->name, t->started, n);
        if (!make_folders(path.bytes)) break;
        if (mkdir(path.bytes, 0777) == 0) {
            t->folder = path.bytes;
            return -1;
        }
        if (errno != EEXIST) break;
    }
    int status = fail("cannot make the folder %s: %s", path.bytes, strerror(errno));
    free(path.bytes);
    return status;
}

/* `out`, made if it is not there. */
static int take_folder(training *t, const char *out) {
    text path = { 0 };
    text_add(&path, "%s", out);
    while (path.length > 1 && path.bytes[path.length - 1] == '/') path.bytes[--path.length] = '\0';
    t->folder = path.bytes;
    struct stat info;
    bool made = make_folders(path.bytes) && (mkdir(path.bytes, 0777) == 0 || errno == EEXIST);
    if (made && stat(path.bytes, &info) == 0 && S_ISDIR(info.st_mode)) return -1;
    return fail("cannot make the folder %s: %s", path.bytes, made ? "there is a file of that name" : strerror(errno));
}

static int keep_config(const training *t) {
    text out = { 0 };
    json j = { .out = &out, .lines = true };
    json_open(&j, NULL, '{');
    json_open(&j, "about", '{');
    json_text(&j, "glia", glia_version());
    json_text(&j, "started", t->started);
    json_text(&j, "backend", glia_backend_describe(t->backend));
    json_close(&j, '}');
    settings_write(&t->asked, &j);
    json_close(&j, '}');
    text_append(&out, "\n", 1);
    return keep_text(t, "config.json", &out);
}

int training_folder(training *t, const char *out, bool resume) {
    int status = out ? take_folder(t, out) : make_folder(t);
    if (status >= 0) return status;
    if (!resume) { /* what an earlier run has left in the same folder would belong to nobody */
        remove_files(t, (const char *const[]){ "checkpoint.safetensors", "checkpoint.safetensors.previous", "run.json",
                                               "curves.csv", "steps.csv", "best.safetensors", "model.safetensors",
                                               "report.html", NULL });
        status = keep_config(t);
    }
    if (status < 0) status = training_note(t, RUN_RUNNING);
    if (status >= 0) return status;
    text asked = { 0 };
    json j = { .out = &asked };
    json_open(&j, NULL, '{');
    settings_write(&t->asked, &j);
    json_close(&j, '}');
    t->log = history_begin(&(history_about){ .folder = t->folder,
                                             .model = t->recipe->name,
                                             .data = t->asked.data,
                                             .started = t->started,
                                             .settings = asked.bytes });
    free(asked.bytes);
    return -1;
}

static void scores_json(json *j, const char *key, const glia_scores *s) {
    json_open(j, key, '{');
    json_real(j, "loss", s->loss);
    json_real(j, "accuracy", s->accuracy);
    json_int(j, "samples", s->samples);
    json_close(j, '}');
}

static void epoch_json(json *j, const training *t, const epoch_row *row) {
    const history *h = &t->progress.history;
    json_open(j, NULL, '{');
    json_int(j, "epoch", row->epoch);
    json_real(j, "seconds", row->seconds);
    json_real(j, "lr", row->lr);
    scores_json(j, "train", &row->train);
    if (t->validation) scores_json(j, "validation", &row->validation);
    for (int i = 0; i < h->n_metrics; i++) json_real(j, h->metrics[i], row->metrics[i]);
    json_close(j, '}');
}

void training_json(const training *t, run_state state, text *out, bool epochs) {
    static const char *const states[] = { "running", "done", "interrupted", "failed" };
    const history *h = &t->progress.history;
    json j = { .out = out };
    json_open(&j, NULL, '{');
    json_text(&j, "glia", glia_version());
    json_text(&j, "model", t->recipe->name);
    json_text(&j, "data", t->asked.data);
    json_text(&j, "run", t->folder);
    json_text(&j, "started", t->started);
    json_text(&j, "backend", glia_backend_describe(t->backend));
    json_int(&j, "parameters", glia_model_parameter_count(t->model, false));
    json_int(&j, "train_samples", glia_data_count(training_data(t)));
    json_int(&j, "validation_samples", t->validation ? glia_data_count(t->validation) : 0);
    json_text(&j, "state", states[state]);
    json_open(&j, "options", '{');
    settings_write(&t->asked, &j);
    json_close(&j, '}');
    json_int(&j, "epochs_done", h->n_epochs);
    json_int(&j, "steps", h->steps);
    json_real(&j, "seconds", h->seconds);
    json_int(&j, "activation_bytes", (int64_t)h->activation_bytes);
    json_bool(&j, "interrupted", t->stopped);
    if (epochs) {
        json_open(&j, "epochs", '[');
        for (int64_t i = 0; i < h->n_epochs; i++) epoch_json(&j, t, &h->epochs[i]);
        json_close(&j, ']');
    }
    if (t->tested) scores_json(&j, "test", &t->scores);
    json_close(&j, '}');
    text_append(out, "\n", 1);
}

int training_note(const training *t, run_state state) {
    text run = { 0 };
    training_json(t, state, &run, true);
    return keep_text(t, "run.json", &run);
}

int training_keep(training *t) {
    char *path = training_file(t, "model.safetensors");
    glia_error error;
    int status = glia_model_save(t->model, path, &error) == GLIA_OK ? -1 : fail("%s", error.message);
    free(path);
    if (status < 0) {
        text html = { 0 };
        report_html(t, &html);
        status = keep_text(t, "report.html", &html);
    }
    if (status < 0) status = training_note(t, t->stopped ? RUN_STOPPED : RUN_FINISHED);
    if (status >= 0) return status;
    const glia_value test[] = { { "test_loss", t->scores.loss }, { "test_accuracy", t->scores.accuracy } };
    history_end(t->log, t->stopped ? "interrupted" : "done", t->progress.history.seconds, test, 2);
    t->log = NULL;
    if (!t->stopped)
        remove_files(t, (const char *const[]){ "checkpoint.safetensors", "checkpoint.safetensors.previous", NULL });
    return -1;
}
