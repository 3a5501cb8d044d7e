/* training.c - one run of training. */
#include "training.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "saved.h"

static const char *const precision_names[] = { "f32", "bf16" };
const char *precision_name(glia_precision precision) { return precision_names[precision]; }

const glia_dataset *training_data(const training *t) { return t->train ? t->train : t->all; }

settings settings_default(void) {
    return (settings){ .lr = NAN,
                       .momentum = NAN,
                       .weight_decay = NAN,
                       .clip_norm = NAN,
                       .label_smoothing = NAN,
                       .validation = NAN,
                       .normalize = -1 };
}

/* ---- what to train ------------------------------------------------------------------------ */

static int find_recipe(training *t) {
    t->recipe = glia_recipe_find(t->asked.model);
    if (t->recipe) return -1;
    const char *near = glia_recipe_nearest(t->asked.model);
    if (near) return misuse("there is no model \"%s\"; did you mean %s?", t->asked.model, near);
    return misuse("there is no model \"%s\"; `glia models` lists them", t->asked.model);
}

/* The index of `name`, or -1 after saying that there is no such `what`. */
static int choose(const char *what, const char *name, const char *const *names, int n) {
    for (int i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0) return i;
    const char *near = glia_name_nearest(name, names, n);
    text list = { 0 };
    for (int i = 0; i < n; i++) text_add(&list, "%s%s", i ? ", " : "", names[i]);
    misuse("there is no %s \"%s\"%s%s%s; there are %s", what, name, near ? "; did you mean " : "", near ? near : "",
           near ? "?" : "", list.bytes);
    free(list.bytes);
    return -1;
}

static int choose_optimizer(training *t) {
    settings *a = &t->asked;
    t->optimizer = t->recipe->optimizer;
    t->schedule = (glia_lr_schedule){ .kind = t->recipe->schedule };
    const char *names[GLIA_OPTIMIZER_COUNT];
    for (int i = 0; i < GLIA_OPTIMIZER_COUNT; i++) names[i] = glia_optimizer_name((glia_optimizer_kind)i);
    int kind = a->optimizer ? choose("optimizer", a->optimizer, names, GLIA_OPTIMIZER_COUNT) : (int)t->optimizer.kind;
    glia_error error;
    if (kind >= 0 && a->schedule && glia_lr_schedule_parse(a->schedule, &t->schedule, &error) != GLIA_OK)
        return misuse("%s", error.message);
    if (a->warmup) t->schedule.warmup = (double)a->warmup;
    int precision = a->precision && kind >= 0 ? choose("precision", a->precision, precision_names, 2) : 0;
    if (kind < 0 || precision < 0) return EXIT_USAGE;
    t->precision = (glia_precision)precision;
    if (kind != (int)t->optimizer.kind) t->optimizer = (glia_optimizer){ .kind = (glia_optimizer_kind)kind };
    if (!isnan(a->lr)) t->optimizer.lr = a->lr;
    if (!isnan(a->momentum)) t->optimizer.momentum = a->momentum;
    if (!isnan(a->weight_decay)) t->optimizer.weight_decay = a->weight_decay;
    if (!isnan(a->clip_norm)) t->optimizer.clip_norm = a->clip_norm;
    if (a->nesterov) t->optimizer.nesterov = true;
    t->optimizer.lr = glia_optimizer_resolved(t->optimizer).lr;
    return -1;
}

/* ---- data --------------------------------------------------------------------------------- */

/* An address of files is one set; a fifth of it is set aside for the test if the address does not say. */
static char *address_with_test(const char *address) {
    text t = { 0 };
    text_add(&t, "%s", address);
    const char *question = strchr(address, '?');
    bool said = question && (strstr(question, "?test=") || strstr(question, "&test="));
    if (strchr(address, ':') && !said) text_add(&t, "%stest=0.2", question ? "&" : "?");
    return t.bytes;
}

static int open_data(training *t) {
    settings *a = &t->asked;
    const char *named = a->data ? a->data : t->recipe->data;
    if (!named) return misuse("%s wants --data: for instance csv:FILE?label=COLUMN", t->recipe->name);
    a->data = t->address = address_with_test(named);
    glia_error error;
    t->all = glia_data_open(a->data, "train", a->data_folder, &error);
    if (t->all) t->test = glia_data_open(a->data, "test", a->data_folder, &error);
    if (t->all && t->test) return -1;
    return fail("%s%s", error.message, strcmp(named, "mnist") == 0 ? " (--data strokes needs no file)" : "");
}

/* Holds out the last samples for validation. */
static int hold_out(training *t) {
    int64_t n = glia_data_count(t->all), held = 0;
    double asked = t->asked.validation;
    if (isnan(asked))
        held = n / 10 < 5000 ? n / 10 : 5000;
    else
        held = asked < 1 ? (int64_t)llround(asked * (double)n) : (int64_t)asked;
    if (held >= n)
        return misuse("--validation-split %g leaves nothing of the %lld samples to train on", asked, (long long)n);
    if (held < 1) return -1;
    glia_error error;
    t->train = glia_data_range(t->all, 0, n - held, &error);
    t->validation = t->train ? glia_data_range(t->all, n - held, n, &error) : NULL;
    return t->validation ? -1 : fail("%s", error.message);
}

/* Statistics of what is trained on, for all. */
static int normalize(training *t) {
    int wanted = t->asked.normalize;
    t->asked.normalize = wanted < 0 ? t->recipe->normalize : wanted;
    if (!t->asked.normalize) return -1;
    glia_shape shape = glia_data_x_shape(t->all);
    int capacity = shape.rank == 1 || shape.rank == 3 ? (int)shape.dim[0] : 1;
    t->mean = allocate((size_t)capacity, sizeof *t->mean);
    t->stddev = allocate((size_t)capacity, sizeof *t->stddev);
    t->n_normal = glia_data_statistics(training_data(t), t->mean, t->stddev, capacity);
    glia_error error = { .message = "the training data cannot be read" };
    if (t->n_normal > 0 && glia_data_normalize(t->all, t->mean, t->stddev, t->n_normal, &error) == GLIA_OK &&
        glia_data_normalize(t->test, t->mean, t->stddev, t->n_normal, &error) == GLIA_OK)
        return -1;
    return fail("%s", error.message);
}

/* ---- the model ---------------------------------------------------------------------------- */

static int load_weights(training *t) {
    char *path = saved_path(t->asked.from);
    glia_error error;
    int loaded = 0;
    int status = glia_model_load_weights(t->model, path, &loaded, &error) == GLIA_OK ? -1 : fail("%s", error.message);
    if (status < 0 && loaded == 0) status = fail("%s has no tensor with a name of %s's", path, t->recipe->name);
    free(path);
    return status;
}

static int build_model(training *t) {
    const settings *a = &t->asked;
    t->classes = glia_data_classes(t->all);
    int64_t outputs = t->classes ? t->classes : glia_shape_count(glia_data_y_shape(t->all));
    glia_error error;
    t->model = glia_recipe_build(t->recipe, glia_data_x_shape(t->all), (int)outputs, &error);
    char shape[SHORT], made[SHORT];
    if (!t->model)
        return fail("%s takes samples like %s, and %s has %s: %s", t->recipe->name, shape_text(t->recipe->sample, made),
                    a->data, shape_text(glia_data_x_shape(t->all), shape), error.message);
    if (glia_model_init(t->model, (uint64_t)a->seed, &error) != GLIA_OK) return fail("%s", error.message);
    int status = a->from ? load_weights(t) : -1;
    if (status >= 0) return status;
    if (a->freeze && glia_freeze(glia_model_graph(t->model), a->freeze, true) == 0)
        return fail("--freeze %s matches no parameter; `glia summary %s` lists them", a->freeze, t->recipe->name);
    t->loss = t->classes ? t->recipe->loss : GLIA_LOSS_DEFAULT;
    return -1;
}

int training_open(training *t, settings asked, voice how) {
    *t = (training){ .asked = asked };
    time_t now = time(NULL);
    struct tm day;
    if (localtime_r(&now, &day)) strftime(t->started, sizeof t->started, "%Y-%m-%d %H:%M", &day);
    int status = find_recipe(t);
    if (status < 0) status = choose_optimizer(t);
    if (status >= 0) return status;
    settings *a = &t->asked;
    if (!a->epochs) a->epochs = t->recipe->epochs;
    if (!a->batch) a->batch = t->recipe->batch;
    if (isnan(a->label_smoothing)) a->label_smoothing = 0;
    status = open_data(t);
    if (status < 0) status = hold_out(t);
    if (status < 0) status = build_model(t);
    if (status >= 0) return status;
    bool dark = paper_is_dark(t->test); /* before they are normalised */
    status = normalize(t);
    if (status >= 0) return status;
    status = saved_describe(t->model, &(saved_about){ .data = t->all,
                                                      .address = a->data,
                                                      .mean = t->mean,
                                                      .stddev = t->stddev,
                                                      .n_normal = t->n_normal,
                                                      .classes = t->classes > 0,
                                                      .dark_paper = dark });
    if (status >= 0) return status;
    glia_error error;
    t->backend = glia_backend_open("cpu", (int)a->threads, &error);
    if (!t->backend) return fail("%s", error.message);
    progress_begin(&t->progress, how, glia_data_count(training_data(t)), t->validation != NULL);
    return -1;
}

void training_close(training *t) {
    history_end(t->log, "failed", t->progress.history.seconds, NULL, 0);
    progress_free(&t->progress);
    glia_backend_close(t->backend);
    glia_model_free(t->model);
    glia_data_free(t->train);
    glia_data_free(t->validation);
    glia_data_free(t->all);
    glia_data_free(t->test);
    free(t->address);
    free(t->mean);
    free(t->stddev);
    free(t->confusion);
    free(t->predicted);
    free(t->folder);
}

void training_headline(const training *t) {
    char number[SHORT], schedule[256];
    glia_lr_schedule_print(&t->schedule, schedule, sizeof schedule);
    const bool constant = strcmp(schedule, "constant") == 0;
    printf("model    %s, %s parameters; %s, learning rate %g%s%s, batches of %lld\n", t->recipe->name,
           grouped(glia_model_parameter_count(t->model, false), number), glia_optimizer_name(t->optimizer.kind),
           t->optimizer.lr, constant ? "" : " ", constant ? "" : schedule, (long long)t->asked.batch);
    printf("data     %s, %s samples to train on", t->asked.data, grouped(glia_data_count(training_data(t)), number));
    if (t->validation) printf(", %s to validate", grouped(glia_data_count(t->validation), number));
    printf(", %s to test\n", grouped(glia_data_count(t->test), number));
    printf("machine  %s\n", glia_backend_describe(t->backend));
    fflush(stdout);
}

/* ---- running ------------------------------------------------------------------------------ */

int training_run(training *t) {
    const settings *a = &t->asked;
    glia_callback watch[] = { progress_watch(&t->progress), history_watch(t->log) };
    interrupt_catch();
    glia_error error;
    glia_status status = glia_fit(t->model, training_data(t),
                                  (glia_fit_opts){ .epochs = a->epochs,
                                                   .batch = a->batch,
                                                   .loss = t->loss,
                                                   .label_smoothing = a->label_smoothing,
                                                   .optimizer = t->optimizer,
                                                   .schedule = t->schedule,
                                                   .validation = t->validation,
                                                   .seed = (uint64_t)a->seed,
                                                   .backend = t->backend,
                                                   .workers = (int)a->workers,
                                                   .precision = t->precision,
                                                   .max_steps = a->max_steps,
                                                   .callbacks = watch,
                                                   .n_callbacks = 2 },
                                  &error);
    progress_end(&t->progress);
    t->stopped = status == GLIA_E_INTERRUPTED;
    return status == GLIA_OK || t->stopped ? -1 : fail("%s", error.message);
}

int training_test(training *t) {
    enum { MOST_CONFUSED = 1000 }; /* classes: their table has the square of it */
    int64_t n = glia_data_count(t->test);
    if (t->classes) t->predicted = allocate((size_t)n, sizeof *t->predicted);
    if (t->classes && t->classes <= MOST_CONFUSED) {
        t->confusion = allocate((size_t)t->classes * (size_t)t->classes, sizeof *t->confusion);
    }
    glia_error error;
    glia_evaluate_opts opts = {
        .loss = t->loss, .backend = t->backend, .confusion = t->confusion, .predicted = t->predicted
    };
    return glia_evaluate(t->model, t->test, opts, &t->scores, &error) == GLIA_OK ? -1 : fail("%s", error.message);
}

int64_t training_mistakes(const training *t) {
    return t->scores.samples - llround(t->scores.accuracy * (double)t->scores.samples);
}
