/* keep.c - writes the files of a run folder:
 *
 *     config.json                  all settings, written first; `glia train --config` repeats the run
 *     run.json                     state and figures
 *     curves.csv, steps.csv        figures of epochs and steps, written during training (record.c)
 *     checkpoint.safetensors       state to resume from; removed when the run is finished
 *     best.safetensors             the model after the best epoch
 *     model.safetensors            the model at the end
 *     report.html                  the report
 *     tensorboard/                 event files, with --tensorboard
 *
 * Everything is checked before the folder is changed: glia_fit() calls train_begin when all is prepared. run.json marks
 * a run as finished and is written last, so a killed run can be resumed until then.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "reports/report.h"
#include "runs/training.h"
#include "terminal/json.h"

char *training_file(const training *t, const char *name) {
    text path = { 0 };
    text_add(&path, "%s/%s", t->folder, name);
    return path.bytes;
}

static glia_status keep_text(const training *t, const char *name, text *content, glia_error *error) {
    char *path = training_file(t, name);
    glia_status status = write_file(path, content->bytes, content->length) ? GLIA_OK : GLIA_E_IO;
    if (status != GLIA_OK) {
        error->status = status;
        snprintf(error->message, sizeof error->message, "%s: %s", path, strerror(errno));
    }
    free(path);
    free(content->bytes);
    return status;
}

/* A random id for the run. */
static void make_id(char id[RUN_ID]) {
    uint64_t bits = 0;
    FILE *random = fopen("/dev/urandom", "rb");
    if (!random || fread(&bits, sizeof bits, 1, random) != 1) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        bits = ((uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec) * 0x9E3779B97F4A7C15 ^ (uint64_t)getpid();
    }
    if (random) fclose(random);
    snprintf(id, RUN_ID, "%016llx", (unsigned long long)bits);
}

static glia_status keep_config(training *t, glia_error *error) {
    text out = { 0 };
    json j = { .out = &out, .lines = true };
    make_id(t->id);
    json_open(&j, NULL, '{');
    json_open(&j, "about", '{');
    json_text(&j, "glia", glia_version());
    json_text(&j, "id", t->id);
    json_text(&j, "started", t->started);
    json_text(&j, "backend", glia_backend_describe(t->backend));
    json_close(&j, '}');
    settings_write(&t->asked, &j);
    json_close(&j, '}');
    text_append(&out, "\n", 1);
    return keep_text(t, "config.json", &out, error);
}

static void begin_history(training *t) {
    text asked = { 0 }, key = { 0 };
    json j = { .out = &asked };
    json_open(&j, NULL, '{');
    settings_write(&t->asked, &j);
    json_close(&j, '}');
    text_add(&key, "%s%s%s", t->id, *t->id ? "" : "@", *t->id ? "" : t->folder);
    t->log = history_begin(&(history_about){ .key = key.bytes,
                                             .folder = t->folder,
                                             .model = t->recipe->name,
                                             .data = training_source(t),
                                             .started = t->started,
                                             .settings = asked.bytes,
                                             .resumed = t->resumed });
    free(asked.bytes);
    free(key.bytes);
}

static glia_status begin_run(const glia_progress *now, void *context, glia_error *error) {
    (void)now;
    training *t = context;
    if (!t->resumed) folder_begin(&t->place);
    glia_status status = t->resumed ? GLIA_OK : keep_config(t, error);
    t->begun = status == GLIA_OK;
    if (status == GLIA_OK) status = training_note(t, RUN_RUNNING, error);
    if (status == GLIA_OK) begin_history(t);
    return status;
}

glia_callback training_begins(training *t) {
    return (glia_callback){ .name = "run folder", .train_begin = begin_run, .context = t, .after_others = true };
}

int training_folder(training *t, const char *out, bool resume, bool force) {
    text name = { 0 };
    text_add(&name, "%s-%.10s", t->recipe->name, t->started);
    int status = resume ? folder_resume(&t->place, out)
                 : out  ? folder_take(&t->place, out, force)
                        : folder_take_new(&t->place, name.bytes);
    free(name.bytes);
    t->folder = t->place.path;
    t->resumed = resume;
    if (status >= 0 || !resume) return status;
    run_about about = folder_about(t->folder);
    memcpy(t->id, about.id, sizeof t->id);
    if (about.started[0]) memcpy(t->started, about.started, sizeof t->started);
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
    glia_scores validation = row->validation;
    validation.samples = t->validation ? glia_data_count(t->validation) : 0;
    json_open(j, NULL, '{');
    json_int(j, "epoch", row->epoch);
    json_real(j, "seconds", row->seconds);
    if (t->method->uses & GLIA_USES_OPTIMIZER) json_real(j, "lr", row->lr);
    scores_json(j, "train", &row->train);
    if (t->validation) scores_json(j, "validation", &validation);
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
    json_text(&j, "data", training_source(t));
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
    if (t->assessed) {
        json_open(&j, "test", '{');
        for (int i = 0; i < t->assessment.n; i++)
            json_real(&j, t->assessment.values[i].name, t->assessment.values[i].value);
        json_close(&j, '}');
    }
    json_close(&j, '}');
    text_append(out, "\n", 1);
}

glia_status training_note(const training *t, run_state state, glia_error *error) {
    text run = { 0 };
    training_json(t, state, &run, true);
    return keep_text(t, "run.json", &run, error);
}

/* The run history gets the figures of the finished model, as "test_NAME". */
static void keep_figures(training *t) {
    glia_value test[GLIA_ASSESSED] = { { "test_loss", t->scores.loss }, { "test_accuracy", t->scores.accuracy } };
    char names[GLIA_ASSESSED][SHORT];
    const int n = t->assessed ? t->assessment.n : t->tested ? 2 : 0;
    for (int i = 0; t->assessed && i < n; i++) {
        snprintf(names[i], SHORT, "test_%.40s", t->assessment.values[i].name);
        test[i] = (glia_value){ names[i], t->assessment.values[i].value };
    }
    history_end(t->log, t->stopped ? "interrupted" : "done", t->progress.history.seconds, test, n);
}

int training_keep(training *t) {
    char *path = training_file(t, "model.safetensors");
    glia_error error;
    glia_status status = glia_model_save(t->model, path, &error);
    free(path);
    if (status == GLIA_OK) {
        text html = { 0 };
        report_html(t, &html);
        status = keep_text(t, "report.html", &html, &error);
    }
    if (status == GLIA_OK) status = training_note(t, t->stopped ? RUN_STOPPED : RUN_FINISHED, &error);
    if (status != GLIA_OK) return fail("%s", error.message);
    keep_figures(t);
    t->log = NULL;
    folder_tidy(&t->place, !t->stopped);
    return -1;
}
