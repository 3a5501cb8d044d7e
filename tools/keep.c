/* keep.c - what a run of training leaves behind: a folder with the model, its figures, its curves, and a page. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "json.h"
#include "report.h"
#include "training.h"

static bool make_folders(char *path) {
    for (char *slash = path + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        int status = mkdir(path, 0777);
        *slash = '/';
        if (status != 0 && errno != EEXIST) return false;
    }
    return true;
}

/* --out FOLDER, made if it is not there; or the first free runs/MODEL-DATE-N. */
static int find_folder(training *t) {
    text path = { 0 };
    if (t->asked.out) {
        text_add(&path, "%s", t->asked.out);
        while (path.length > 1 && path.bytes[path.length - 1] == '/') path.bytes[--path.length] = '\0';
        t->folder = path.bytes;
        struct stat info;
        bool made = make_folders(path.bytes) && (mkdir(path.bytes, 0777) == 0 || errno == EEXIST);
        if (made && stat(path.bytes, &info) == 0 && S_ISDIR(info.st_mode)) return -1;
        return fail("cannot make the folder %s: %s", path.bytes,
                    made ? "there is a file of that name" : strerror(errno));
    }
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

static void scores_json(json *j, const char *key, const glia_scores *s) {
    json_open(j, key, '{');
    json_real(j, "loss", s->loss);
    json_real(j, "accuracy", s->accuracy);
    json_int(j, "samples", s->samples);
    json_close(j, '}');
}

static void options_json(json *j, const char *key, const training *t) {
    const settings *a = &t->asked;
    json_open(j, key, '{');
    json_int(j, "epochs", a->epochs);
    json_int(j, "batch", a->batch);
    json_text(j, "optimizer", glia_optimizer_name(t->optimizer.kind));
    json_real(j, "lr", t->optimizer.lr);
    char schedule[256];
    glia_lr_schedule_print(&t->schedule, schedule, sizeof schedule);
    json_text(j, "schedule", schedule);
    json_text(j, "precision", precision_name(t->precision));
    json_real(j, "momentum", t->optimizer.momentum);
    json_bool(j, "nesterov", t->optimizer.nesterov);
    json_real(j, "weight_decay", t->optimizer.weight_decay);
    json_real(j, "clip_norm", t->optimizer.clip_norm);
    json_real(j, "label_smoothing", a->label_smoothing);
    json_int(j, "seed", a->seed);
    json_bool(j, "normalize", a->normalize > 0);
    json_text(j, "freeze", a->freeze);
    json_text(j, "from", a->from);
    json_close(j, '}');
}

int training_folder(training *t) {
    int status = find_folder(t);
    if (status >= 0) return status;
    text options = { 0 };
    json j = { .out = &options };
    options_json(&j, NULL, t);
    history_about about = { .folder = t->folder,
                            .model = t->recipe->name,
                            .data = t->asked.data,
                            .started = t->started,
                            .settings = options.bytes };
    t->log = history_begin(&about);
    free(options.bytes);
    return -1;
}

void training_json(const training *t, text *out, bool epochs) {
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
    options_json(&j, "options", t);
    json_int(&j, "epochs_done", h->n_epochs);
    json_int(&j, "steps", h->steps);
    json_real(&j, "seconds", h->seconds);
    json_int(&j, "activation_bytes", (int64_t)h->activation_bytes);
    json_bool(&j, "interrupted", t->stopped);
    if (epochs) {
        json_open(&j, "epochs", '[');
        for (int64_t i = 0; i < h->n_epochs; i++) {
            json_open(&j, NULL, '{');
            json_int(&j, "epoch", h->epochs[i].epoch);
            json_real(&j, "seconds", h->epochs[i].seconds);
            scores_json(&j, "train", &h->epochs[i].train);
            if (t->validation) scores_json(&j, "validation", &h->epochs[i].validation);
            json_close(&j, '}');
        }
        json_close(&j, ']');
    }
    scores_json(&j, "test", &t->scores);
    json_close(&j, '}');
    text_append(out, "\n", 1);
}

static void curves_csv(const training *t, text *out) {
    const history *h = &t->progress.history;
    text_add(out, "epoch,loss,accuracy,validation_loss,validation_accuracy,seconds,samples_per_second\n");
    for (int64_t i = 0; i < h->n_epochs; i++) {
        const epoch_row *row = &h->epochs[i];
        double values[] = { row->train.loss,      row->train.accuracy,
                            row->validation.loss, row->validation.accuracy,
                            row->seconds,         row->seconds > 0 ? (double)row->samples / row->seconds : NAN };
        text_add(out, "%lld", (long long)row->epoch);
        for (int k = 0; k < 6; k++) {
            bool there = !isnan(values[k]) && (t->validation || (k != 2 && k != 3));
            text_add(out, there ? ",%.6g" : ",", values[k]);
        }
        text_add(out, "\n");
    }
}

static int keep_text(const training *t, const char *name, text *content) {
    text path = { 0 };
    text_add(&path, "%s/%s", t->folder, name);
    int status =
        write_file(path.bytes, content->bytes, content->length) ? -1 : fail("%s: %s", path.bytes, strerror(errno));
    free(path.bytes);
    free(content->bytes);
    return status;
}

int training_keep(training *t) {
    text path = { 0 }, run = { 0 }, curves = { 0 }, html = { 0 };
    text_add(&path, "%s/model.safetensors", t->folder);
    glia_error error;
    int status = glia_model_save(t->model, path.bytes, &error) == GLIA_OK ? -1 : fail("%s", error.message);
    free(path.bytes);
    if (status >= 0) return status;
    training_json(t, &run, true);
    status = keep_text(t, "run.json", &run);
    if (status >= 0) return status;
    curves_csv(t, &curves);
    status = keep_text(t, "curves.csv", &curves);
    if (status >= 0) return status;
    report_html(t, &html);
    status = keep_text(t, "report.html", &html);
    if (status >= 0) return status;
    const glia_value test[] = { { "test_loss", t->scores.loss }, { "test_accuracy", t->scores.accuracy } };
    history_end(t->log, t->stopped ? "interrupted" : "done", t->progress.history.seconds, test, 2);
    t->log = NULL;
    return -1;
}
