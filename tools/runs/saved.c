/* saved.c - reads and writes the metadata of a model file. */
#include "runs/saved.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- writing ------------------------------------------------------------------------------ */

static char *join(const double *values, int n) {
    text t = { 0 };
    for (int i = 0; i < n; i++) text_add(&t, "%s%.9g", i ? "," : "", values[i]);
    return t.bytes;
}

static int set(glia_model *model, const char *key, const char *value) {
    glia_error error;
    return glia_model_set(model, key, value, &error) == GLIA_OK ? -1 : fail("%s", error.message);
}

/* Appends a name as a line, escaped. */
static void add_name(text *names, const char *name) {
    if (names->bytes) text_append(names, "\n", 1);
    text_add(names, "%s", ""); /* the first name may be empty */
    for (; *name; name++) {
        if (*name == '\n' || *name == '\\') text_append(names, "\\", 1);
        text_append(names, *name == '\n' ? "n" : name, 1);
    }
}

static int set_names(glia_model *model, const char *key, text *names) {
    int status = names->bytes ? set(model, key, names->bytes) : -1;
    free(names->bytes);
    return status;
}

int saved_describe(glia_model *model, const saved_about *about) {
    int status = set(model, "data", about->address);
    if (status < 0) status = set(model, "loss", about->labels ? "cross-entropy" : "mse");
    if (status < 0 && (about->labels == 1 || about->of_classes)) {
        text names = { 0 };
        for (int i = 0; i < glia_data_classes(about->data); i++) add_name(&names, glia_data_class_name(about->data, i));
        status = set_names(model, "classes", &names);
    }
    if (status < 0) {
        text names = { 0 };
        for (int64_t i = 0; glia_data_column_name(about->data, i); i++)
            add_name(&names, glia_data_column_name(about->data, i));
        status = set_names(model, "columns", &names);
    }
    if (status < 0 && about->n_normal > 0) {
        char *mean = join(about->mean, about->n_normal), *stddev = join(about->stddev, about->n_normal);
        status = set(model, "mean", mean);
        if (status < 0) status = set(model, "stddev", stddev);
        free(mean);
        free(stddev);
    }
    const char *tokenizer = glia_data_tokenizer(about->data);
    if (status < 0 && tokenizer) status = set(model, "tokenizer", tokenizer);
    if (status < 0 && about->least <= about->most) {
        char *range = join((const double[]){ about->least, about->most }, 2);
        status = set(model, "range", range);
        free(range);
    }
    return status;
}

void data_range(const glia_dataset *data, double *least, double *most) {
    enum { SAMPLES = 500 };
    size_t count = (size_t)glia_shape_count(glia_data_x_shape(data));
    float *x = allocate(count, sizeof *x);
    *least = INFINITY;
    *most = -INFINITY;
    for (int64_t i = 0; i < glia_data_count(data) && i < SAMPLES; i++) {
        if (glia_data_get(data, i, x, NULL, NULL) != GLIA_OK) break;
        for (size_t k = 0; k < count; k++) {
            *least = fmin(*least, (double)x[k]);
            *most = fmax(*most, (double)x[k]);
        }
    }
    free(x);
}

/* ---- reading ------------------------------------------------------------------------------ */

static int count_of(const char *words, char separator) {
    int n = 1;
    for (; *words; words++) n += *words == separator;
    return n;
}

/* Parses numbers separated by commas, *n of them; NULL: invalid. */
static double *split_numbers(const char *words, int *n) {
    *n = count_of(words, ',');
    double *values = allocate((size_t)*n, sizeof *values);
    for (int i = 0; i < *n; i++) {
        char *end;
        values[i] = strtod(words, &end);
        if (end == words || *end != (i + 1 < *n ? ',' : '\0')) {
            free(values);
            return NULL;
        }
        words = end + 1;
    }
    return values;
}

static int bad(const saved *s, const char *key) { return fail("%s: its \"%s\" does not fit the model", s->path, key); }

/* Splits the names in a text of saved_describe(), *n of them; NULL for NULL. */
static char **split_names(const char *lines, int *n) {
    *n = lines ? count_of(lines, '\n') : 0;
    char **names = lines ? allocate((size_t)*n, sizeof *names) : NULL;
    for (int i = 0; i < *n; i++) {
        text name = { 0 };
        text_add(&name, "%s", "");
        for (; *lines && *lines != '\n'; lines++) {
            const bool escaped = lines[0] == '\\' && (lines[1] == 'n' || lines[1] == '\\');
            lines += escaped;
            text_append(&name, escaped && *lines == 'n' ? "\n" : lines, 1);
        }
        lines += *lines == '\n';
        names[i] = name.bytes;
    }
    return names;
}

void saved_names_read(saved_names *names, const glia_model *model) {
    names->columns = split_names(glia_model_get(model, "columns"), &names->n_columns);
    names->classes = split_names(glia_model_get(model, "classes"), &names->n_classes);
    names->tokenizer = glia_model_get(model, "tokenizer");
}

void saved_names_free(saved_names *names) {
    for (int i = 0; i < names->n_columns; i++) free(names->columns[i]);
    for (int i = 0; i < names->n_classes; i++) free(names->classes[i]);
    free(names->columns);
    free(names->classes);
    *names = (saved_names){ 0 };
}

glia_dataset *saved_names_open(const saved_names *names, const char *address, const char *split, const char *folder,
                               glia_error *error) {
    const glia_data_opts opts = { .split = split, .folder = folder, .tokenizer = names->tokenizer };
    const glia_data_names wanted = { .columns = (const char *const *)names->columns,
                                     .n_columns = names->n_columns,
                                     .classes = (const char *const *)names->classes,
                                     .n_classes = names->n_classes,
                                     .tokenizer = names->tokenizer };
    glia_dataset *data = glia_data_open_opts(address, opts, error);
    return data ? glia_data_match(data, &wanted, error) : NULL;
}

static int read_normal(saved *s) {
    const char *mean = glia_model_get(s->model, "mean"), *stddev = glia_model_get(s->model, "stddev");
    if (!mean || !stddev) return -1;
    int n = 0;
    s->mean = split_numbers(mean, &s->n_normal);
    s->stddev = split_numbers(stddev, &n);
    if (!s->mean || !s->stddev || n != s->n_normal) return bad(s, "mean");
    for (int i = 0; i < n; i++)
        if (s->stddev[i] == 0) s->stddev[i] = 1;
    return -1;
}

/* Whether names and statistics fit the model's input and output. */
static int check_metadata(saved *s) {
    if (s->names.classes && s->names.n_classes != s->outputs) return bad(s, "classes");
    if (s->names.columns && (s->sample.rank != 1 || s->names.n_columns != s->sample.dim[0])) return bad(s, "columns");
    s->classes = s->names.classes;
    const bool ranked = s->sample.rank == 1 || s->sample.rank == 3;
    if (s->n_normal > 1 && !(ranked && s->n_normal == s->sample.dim[0])) return bad(s, "mean");
    return -1;
}

/* The shape without the batch axis; false: it has no batch axis or too many elements. */
static bool without_batch(glia_tensor x, glia_shape *sample) {
    glia_shape shape = x ? glia_tensor_shape(x) : GLIA_SCALAR;
    if (shape.rank < 1 || shape.dim[0] != GLIA_BATCH) return false;
    sample->rank = shape.rank - 1;
    memcpy(sample->dim, shape.dim + 1, (size_t)sample->rank * sizeof *sample->dim);
    int64_t count = glia_shape_count(*sample);
    return count > 0 && count <= 1 << 28;
}

char *saved_path(const char *path) {
    struct stat info;
    text file = { 0 };
    text_add(&file, stat(path, &info) == 0 && S_ISDIR(info.st_mode) ? "%s/model.safetensors" : "%s", path);
    return file.bytes;
}

/* Loads the model, of whatever method. Returns as saved_open(). */
static int load(saved *s, const char *path) {
    *s = (saved){ 0 };
    struct stat info;
    if (stat(path, &info) != 0) {
        if (glia_recipe_find(path))
            return misuse("%s is a model that is not trained yet; train it with `glia train %s`", path, path);
        return fail("%s: %s; expected a run folder or a .safetensors file", path, strerror(errno));
    }
    s->path = saved_path(path);
    glia_error error;
    s->model = glia_model_load(s->path, &error);
    return s->model ? -1 : fail("%s", error.message);
}

int saved_open_method(saved *s, const char *path) {
    const int status = load(s, path);
    if (status >= 0) return status;
    s->data = glia_model_get(s->model, "data");
    saved_names_read(&s->names, s->model);
    return read_normal(s);
}

int saved_supervised(saved *s) {
    const char *method = glia_model_get(s->model, "method");
    if (method && strcmp(method, "fit") != 0)
        return fail("%s was trained by the method %s and has no predictions; try `glia sample %s`", s->path, method,
                    s->path);
    glia_error error;
    glia_shape output;
    glia_tensor input = glia_model_sample_input(s->model, &error);
    if (!input) return fail("%s: %s", s->path, error.message);
    if (!without_batch(input, &s->sample)) return fail("%s: the model's input has no batch axis", s->path);
    if (!without_batch(glia_model_output_at(s->model, 0, NULL), &output))
        return fail("%s: the model's output has no batch axis", s->path);
    s->outputs = (int)glia_shape_count(output);
    return check_metadata(s);
}

int saved_open(saved *s, const char *path) {
    const int status = saved_open_method(s, path);
    return status < 0 ? saved_supervised(s) : status;
}

int saved_open_or_build(saved *s, const char *name, const glia_recipe **recipe) {
    *s = (saved){ 0 };
    *recipe = glia_recipe_find(name);
    struct stat info;
    if (!*recipe && stat(name, &info) != 0) {
        const char *near = glia_recipe_nearest(name);
        if (near) return misuse("no model or file \"%s\"; did you mean %s?", name, near);
        return misuse("no model or file \"%s\"; `glia models` lists the models", name);
    }
    if (!*recipe) return load(s, name);
    glia_error error;
    s->model = glia_recipe_build(*recipe, (*recipe)->sample, (*recipe)->outputs, &error);
    return s->model ? -1 : fail("%s", error.message);
}

int saved_open_with(saved *s, const char *name, const char *weights, const char *mean, const char *stddev) {
    if (!weights) {
        *s = (saved){ 0 };
        return mean || stddev ? misuse("--mean and --stddev need --weights: a run has its own") : saved_open(s, name);
    }
    const glia_recipe *recipe;
    int status = saved_open_or_build(s, name, &recipe);
    if (status < 0 && !recipe) status = misuse("--weights needs the name of a model; %s is a file", name);
    if (status >= 0) return status;
    if (!mean != !stddev) return misuse("--mean and --stddev go together");
    s->path = duplicate(weights);
    glia_error error;
    glia_weights_report report;
    const glia_status done = glia_model_import_weights(s->model, weights, (glia_weights_opts){ 0 }, &report, &error);
    if (done != GLIA_OK && report.list) fputs(report.list, stderr);
    free(report.list);
    if (done != GLIA_OK) return fail("%s", error.message);
    if (mean) status = set(s->model, "mean", mean);
    if (mean && status < 0) status = set(s->model, "stddev", stddev);
    if (status < 0) status = read_normal(s);
    return status < 0 ? saved_supervised(s) : status;
}

void saved_close(saved *s) {
    saved_names_free(&s->names);
    free(s->mean);
    free(s->stddev);
    free(s->path);
    glia_model_free(s->model);
}

static int check_fit(const saved *s, const glia_dataset *data, const char *address) {
    char has[SHORT], takes[SHORT];
    int classes = glia_data_classes(data);
    if (glia_shape_count(glia_data_x_shape(data)) != glia_shape_count(s->sample))
        return fail("%s has samples of %s, the model takes %s", address, shape_text(glia_data_x_shape(data), has),
                    shape_text(s->sample, takes));
    if (classes > s->outputs) return fail("%s has %d classes, the model %d", address, classes, s->outputs);
    return -1;
}

int saved_data(const saved *s, const char *address, const char *split, const char *folder, glia_dataset **data) {
    glia_error error;
    *data = saved_names_open(&s->names, address, split, folder, &error);
    if (!*data) return fail("%s", error.message);
    int status = s->sample.rank > 0 ? check_fit(s, *data, address) : -1;
    if (status < 0 && s->n_normal > 0 &&
        glia_data_normalize(*data, s->mean, s->stddev, s->n_normal, &error) != GLIA_OK)
        status = fail("%s", error.message);
    if (status < 0) return -1;
    glia_data_free(*data);
    *data = NULL;
    return status;
}

bool saved_takes_pixels(const saved *s, double *least, double *most) {
    const char *words = glia_model_get(s->model, "range");
    int n = 0;
    double *range = words ? split_numbers(words, &n) : NULL;
    bool fits = !range || n != 2 || (range[0] >= 0 && range[1] <= 1);
    if (!fits) *least = range[0], *most = range[1];
    free(range);
    return fits;
}

void saved_normalize_sample(const saved *s, float *x) {
    int64_t plane = s->n_normal > 0 ? glia_shape_count(s->sample) / s->n_normal : 0;
    for (int c = 0; c < s->n_normal; c++, x += plane)
        for (int64_t i = 0; i < plane; i++) x[i] = (float)(((double)x[i] - s->mean[c]) / s->stddev[c]);
}
