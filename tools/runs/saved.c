/* saved.c - what is in a model file besides weights. */
#include "runs/saved.h"

#include <errno.h>
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

int saved_describe(glia_model *model, const saved_about *about) {
    int status = set(model, "data", about->address);
    if (status < 0) status = set(model, "loss", about->labels ? "cross-entropy" : "mse");
    if (status < 0 && about->labels == 1) {
        text names = { 0 };
        for (int i = 0; i < glia_data_classes(about->data); i++)
            text_add(&names, "%s%s", i ? "\n" : "", glia_data_class_name(about->data, i));
        status = set(model, "classes", names.bytes);
        free(names.bytes);
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
    if (status < 0 && about->dark_paper) status = set(model, "paper", "dark");
    return status;
}

bool paper_is_dark(const glia_dataset *data) {
    glia_shape shape = glia_data_x_shape(data);
    if (shape.rank != 3 || shape.dim[0] != 1 || shape.dim[1] < 3 || shape.dim[2] < 3) return false;
    int64_t height = shape.dim[1], width = shape.dim[2], n = glia_data_count(data);
    float *x = allocate((size_t)(height * width), sizeof *x);
    double border = 0, inside = 0, border_pixels = 0, inside_pixels = 0;
    for (int64_t i = 0; i < n && i < 500; i++) {
        if (glia_data_get(data, i, x, NULL, NULL) != GLIA_OK) break;
        for (int64_t r = 0; r < height; r++) {
            for (int64_t c = 0; c < width; c++) {
                bool edge = r == 0 || c == 0 || r == height - 1 || c == width - 1;
                *(edge ? &border : &inside) += (double)x[r * width + c];
                *(edge ? &border_pixels : &inside_pixels) += 1;
            }
        }
    }
    free(x);
    return border_pixels > 0 && border / border_pixels < 0.1 && inside / inside_pixels > border / border_pixels;
}

/* ---- reading ------------------------------------------------------------------------------ */

static int count_of(const char *words, char separator) {
    int n = 1;
    for (; *words; words++) n += *words == separator;
    return n;
}

/* n numbers separated by commas; NULL if there are others. */
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

static int read_classes(saved *s) {
    const char *names = glia_model_get(s->model, "classes");
    if (!names) return -1;
    if (count_of(names, '\n') != s->outputs) return bad(s, "classes");
    s->classes = allocate((size_t)s->outputs, sizeof *s->classes);
    for (int i = 0; i < s->outputs; i++) {
        size_t length = strcspn(names, "\n");
        text name = { 0 };
        text_append(&name, names, length);
        s->classes[i] = name.bytes;
        names += length + 1;
    }
    return -1;
}

static int read_normal(saved *s) {
    const char *mean = glia_model_get(s->model, "mean"), *stddev = glia_model_get(s->model, "stddev");
    if (!mean || !stddev) return -1;
    int n = 0;
    s->mean = split_numbers(mean, &s->n_normal);
    s->stddev = split_numbers(stddev, &n);
    bool ranked = s->sample.rank == 1 || s->sample.rank == 3;
    if (!s->mean || !s->stddev || n != s->n_normal || (n != 1 && !(ranked && n == s->sample.dim[0])))
        return bad(s, "mean");
    for (int i = 0; i < n; i++)
        if (s->stddev[i] == 0) s->stddev[i] = 1;
    return -1;
}

/* The shape without the batch axis; false: there is no such axis, or there are too many numbers. */
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

int saved_open(saved *s, const char *path) {
    *s = (saved){ 0 };
    struct stat info;
    if (stat(path, &info) != 0) {
        if (glia_recipe_find(path))
            return misuse("%s is a model that is not trained yet: `glia train %s` makes a run of it", path, path);
        return fail("%s: %s; a run folder or a .safetensors file is wanted", path, strerror(errno));
    }
    s->path = saved_path(path);
    glia_error error;
    s->model = glia_model_load(s->path, &error);
    if (!s->model) return fail("%s", error.message);

    glia_shape output;
    glia_tensor input = glia_model_sample_input(s->model, &error);
    if (!input) return fail("%s: %s", s->path, error.message);
    if (!without_batch(input, &s->sample)) return fail("%s: the model's input is not by samples", s->path);
    if (!without_batch(glia_model_output_at(s->model, 0, NULL), &output))
        return fail("%s: the model's output is not by samples", s->path);
    s->outputs = (int)glia_shape_count(output);
    s->data = glia_model_get(s->model, "data");
    const char *paper = glia_model_get(s->model, "paper");
    s->dark_paper = paper && strcmp(paper, "dark") == 0;
    int status = read_classes(s);
    return status < 0 ? read_normal(s) : status;
}

void saved_close(saved *s) {
    for (int i = 0; s->classes && i < s->outputs; i++) free(s->classes[i]);
    free(s->classes);
    free(s->mean);
    free(s->stddev);
    free(s->path);
    glia_model_free(s->model);
}

int saved_normalize(const saved *s, glia_dataset *data) {
    if (s->n_normal == 0) return -1;
    glia_error error;
    return glia_data_normalize(data, s->mean, s->stddev, s->n_normal, &error) == GLIA_OK ? -1
                                                                                         : fail("%s", error.message);
}

void saved_normalize_sample(const saved *s, float *x) {
    int64_t plane = s->n_normal > 0 ? glia_shape_count(s->sample) / s->n_normal : 0;
    for (int c = 0; c < s->n_normal; c++, x += plane)
        for (int64_t i = 0; i < plane; i++) x[i] = (float)(((double)x[i] - s->mean[c]) / s->stddev[c]);
}
