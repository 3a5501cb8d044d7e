/* dataset.c - the source of methods that learn from a dataset: its splits, augmentation, weights and normalisation. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runs/saved.h"
#include "runs/source.h"

const glia_dataset *training_data(const training *t) { return t->train ? t->train : t->all; }

int64_t training_labels(const training *t) { return t->classes ? glia_shape_count(glia_data_y_shape(t->all)) : 0; }

/* ---- opening --------------------------------------------------------------------------------- */

/* The address says itself what its test split is. */
static bool says_test(const char *address) {
    const char *question = strchr(address, '?');
    return question && (strstr(question, "?test=") || strstr(question, "&test="));
}

/* The names that the weights of --from know; none where it is a file without them. */
static void read_names(training *t, saved_names *names) {
    char *path = t->asked.from ? saved_path(t->asked.from) : NULL;
    glia_model *model = path ? glia_model_load(path, NULL) : NULL;
    if (model) saved_names_read(names, model);
    if (names->tokenizer) names->tokenizer = settings_keep(&t->asked, names->tokenizer);
    glia_model_free(model);
    free(path);
}

/* One split, for weights of --from with their columns and classes. */
static glia_dataset *open_split(const training *t, const saved_names *names, const char *split, glia_error *error) {
    const settings *a = &t->asked;
    const bool matched = names->columns || names->classes || names->tokenizer;
    return matched ? saved_names_open(names, a->data, split, a->data_folder, error)
                   : glia_data_open(a->data, split, a->data_folder, error);
}

/* Opens t->all and, for methods with targets, t->test. Of data without a test split a fifth becomes it, unless the
 * address says otherwise or nothing is to be held out (--no-validation). */
static bool open_splits(training *t, const saved_names *names, glia_error *error) {
    settings *a = &t->asked;
    t->all = open_split(t, names, "train", error);
    if (!training_has_targets(t)) return t->all != NULL;
    if (t->all && !glia_data_is_split(t->all) && !says_test(a->data) && a->validation != 0) {
        text address = { 0 };
        text_add(&address, "%s%ctest=0.2", a->data, strchr(a->data, '?') ? '&' : '?');
        a->data = settings_keep(a, address.bytes);
        free(address.bytes);
        glia_data_free(t->all);
        t->all = open_split(t, names, "train", error);
    }
    if (!t->all || !glia_data_is_split(t->all)) return t->all != NULL;
    t->test = open_split(t, names, "test", error);
    return t->test != NULL;
}

/* Data none of whose classes the model of --from knows get a new head. If it knows some of them, another is more likely
 * misspelt. */
static bool open_other_classes(training *t, const saved_names *names) {
    const saved_names other = { .columns = names->columns, .n_columns = names->n_columns,
                                .tokenizer = names->tokenizer };
    glia_data_free(t->all);
    t->all = NULL;
    bool opened = open_splits(t, &other, NULL);
    for (int i = 0; opened && i < glia_data_classes(t->all); i++)
        for (int k = 0; opened && k < names->n_classes; k++)
            opened = strcmp(glia_data_class_name(t->all, i), names->classes[k]) != 0;
    t->new_classes = opened;
    return opened;
}

static int open_data(training *t) {
    settings *a = &t->asked;
    const char *named = a->data ? a->data : t->recipe->data;
    if (!named) return misuse("%s needs --data: for instance csv:FILE?label=COLUMN", t->recipe->name);
    a->data = named;
    saved_names names = { 0 };
    read_names(t, &names);
    glia_error error;
    bool opened = open_splits(t, &names, &error);
    if (!opened && error.status == GLIA_E_NOT_FOUND && names.classes) opened = open_other_classes(t, &names);
    saved_names_free(&names);
    if (opened) return -1;
    return fail("%s%s", error.message, strcmp(named, "mnist") == 0 ? " (--data strokes needs no file)" : "");
}

/* Holds out the last samples for validation. */
static int hold_out(training *t) {
    if (!(t->method->uses & GLIA_USES_VALIDATION)) {
        if (t->asked.validation > 0)
            return misuse("--validation-split: the method %s does not use validation data", t->method->name);
        t->asked.validation = 0;
        return -1;
    }
    int64_t n = glia_data_count(t->all), held = n / 10 < 5000 ? n / 10 : 5000;
    double asked = t->asked.validation;
    if (asked >= (double)n)
        return misuse("--validation-split %g leaves nothing of the %lld samples to train on", asked, (long long)n);
    if (asked >= 1 && asked != floor(asked))
        return misuse("--validation-split %g is neither a fraction below 1 nor a number of samples", asked);
    if (!isnan(asked)) held = asked < 1 ? (int64_t)llround(asked * (double)n) : (int64_t)asked;
    if (asked > 0 && held < 1)
        return misuse("--validation-split %g of %lld samples is none; 0 means no validation", asked, (long long)n);
    if (held >= n)
        return misuse("--validation-split %g leaves nothing of the %lld samples to train on", asked, (long long)n);
    if (!isnan(asked) || held > 0) t->asked.validation = held < 1 ? 0 : (double)held;
    if (held < 1) return -1;
    glia_error error;
    t->train = glia_data_range(t->all, 0, n - held, &error);
    t->validation = t->train ? glia_data_range(t->all, n - held, n, &error) : NULL;
    return t->validation ? -1 : fail("%s", error.message);
}

/* ---- what is done to samples ---------------------------------------------------------------- */

static int choose_augment(training *t) {
    settings *a = &t->asked;
    if (!a->augment) return -1;
    glia_error error;
    t->augment = glia_augment_parse(a->augment, &error);
    if (!t->augment || glia_augment_check(t->augment, glia_data_x_shape(t->all), &error) != GLIA_OK)
        return misuse("--augment: %s", error.message);
    char *words = glia_augment_print(t->augment);
    if (!words) return fail("out of memory");
    a->augment = settings_keep(a, words);
    free(words);
    return -1;
}

/* "balanced", "median-frequency", or a number for each class. */
static int choose_class_weights(training *t) {
    const char *asked = t->asked.class_weights;
    if (!asked) return -1;
    if (!t->classes) return misuse("--class-weights: %s has no classes", t->asked.data);
    t->class_weights = allocate((size_t)t->classes, sizeof *t->class_weights);
    glia_error error;
    const bool balanced = strcmp(asked, "balanced") == 0;
    if (balanced || strcmp(asked, "median-frequency") == 0)
        return (balanced ? glia_data_class_weights : glia_data_median_frequency_weights)(
                   training_data(t), t->class_weights, &error) == GLIA_OK
                   ? -1
                   : fail("%s", error.message);
    for (int i = 0; i < t->classes; i++) {
        char *end;
        t->class_weights[i] = strtod(asked, &end);
        bool last = i + 1 == t->classes;
        if (end == asked || *end != (last ? '\0' : ',') || !(t->class_weights[i] >= 0))
            return misuse(
                "--class-weights must be balanced, median-frequency or %d numbers separated by commas", t->classes);
        asked = end + 1;
    }
    return -1;
}

static int choose_samples(training *t) {
    settings *a = &t->asked;
    a->stratified = a->stratified > 0;
    a->balanced = a->balanced > 0;
    if (!a->balanced) return -1;
    if (!t->classes) return misuse("--balanced: %s has no classes", a->data);
    if (a->stratified) return misuse("--balanced and --stratified exclude each other");
    t->sample_weights = allocate((size_t)glia_data_count(training_data(t)), sizeof *t->sample_weights);
    glia_error error;
    return glia_data_sample_weights(training_data(t), t->sample_weights, &error) == GLIA_OK ? -1
                                                                                            : fail("%s", error.message);
}

/* Normalises all splits by the statistics of the training data. */
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
        (!t->test || glia_data_normalize(t->test, t->mean, t->stddev, t->n_normal, &error) == GLIA_OK))
        return -1;
    return fail("%s", error.message);
}

/* ---- the record ----------------------------------------------------------------------------- */

static int open_dataset(training *t) {
    int status = open_data(t);
    if (status < 0) status = hold_out(t);
    if (status >= 0) return status;
    t->classes = training_has_targets(t) ? glia_data_classes(t->all) : 0;
    if (t->recipe->build_conditional && !glia_data_classes(t->all))
        return fail("%s is trained on samples with classes; %s has none", t->recipe->name, t->asked.data);
    return -1;
}

static void sizes(const training *t, glia_shape *x, int64_t *outputs) {
    *x = glia_data_x_shape(t->all);
    *outputs = t->classes ? t->classes : glia_shape_count(glia_data_y_shape(t->all));
    if (t->recipe->build_conditional) *outputs = glia_data_classes(t->all);
}

static int prepare(training *t) {
    int status = choose_augment(t);
    if (status < 0) status = choose_class_weights(t);
    if (status < 0) status = choose_samples(t);
    if (status >= 0) return status;
    double least, most;
    data_range(t->all, &least, &most); /* before they are normalised */
    status = normalize(t);
    if (status >= 0) return status;
    return saved_describe(t->model, &(saved_about){ .data = t->all,
                                                    .address = t->asked.data,
                                                    .mean = t->mean,
                                                    .stddev = t->stddev,
                                                    .n_normal = t->n_normal,
                                                    .labels = training_labels(t),
                                                    .of_classes = t->recipe->build_conditional != NULL,
                                                    .least = least,
                                                    .most = most });
}

static int64_t samples(const training *t) { return glia_data_count(training_data(t)); }

/* Which class is the positive one of metrics that are of one class. */
static void add_positive(const training *t, text *words) {
    const char *list = t->asked.metrics;
    char name[256];
    const char **names = allocate((size_t)t->classes + 1, sizeof *names);
    for (int i = 0; i < t->classes; i++) names[i] = glia_data_class_name(t->all, i);
    while (t->classes > 1 && list && glia_metric_next(&list, name, sizeof name)) {
        glia_metric *metric = glia_metric_create_named(name, t->classes, names, NULL);
        const int64_t positive = metric ? glia_metric_positive(metric) : -1;
        if (positive >= 0)
            text_add(words, "%s%s takes \"%s\" for the positive class", words->length ? ", " : "", name,
                     names[positive]);
        glia_metric_free(metric);
    }
    if (words->length) text_add(words, "; %s", "positive=CLASS in its brackets chooses");
    free(names);
}

static void tell(const training *t) {
    char number[SHORT];
    text words = { 0 };
    text_add(&words, "%s, %s samples to train on", t->asked.data, grouped(samples(t), number));
    if (t->validation) text_add(&words, ", %s to validate", grouped(glia_data_count(t->validation), number));
    if (t->test) text_add(&words, ", %s to test", grouped(glia_data_count(t->test), number));
    if (!t->test && training_has_targets(t)) text_add(&words, ", none to test");
    progress_say("data", words.bytes);
    words.length = 0;
    add_positive(t, &words);
    if (words.length) progress_say("metrics", words.bytes);
    free(words.bytes);
}

static void close_dataset(training *t) {
    glia_data_free(t->train);
    glia_data_free(t->validation);
    glia_data_free(t->all);
    glia_data_free(t->test);
    glia_augment_free(t->augment);
    free(t->class_weights);
    free(t->sample_weights);
    free(t->mean);
    free(t->stddev);
}

const source source_dataset = { .flag = GLIA_USES_DATA,
                                .takes = SOURCE_ADDRESS | SOURCE_SAMPLES,
                                .open = open_dataset,
                                .sizes = sizes,
                                .prepare = prepare,
                                .samples = samples,
                                .tell = tell,
                                .close = close_dataset };
