/* subset.c - some classes of pictures, a few samples of each, another size, a margin: options of named picture sets.
 *
 * The pictures are bytes; what is chosen is copied. Labels are numbered anew in the order of the chosen classes.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/sources/data.h"
#include "data/sources/sources.h"

/* The class called so; -1: there is none. */
static int class_named(const glia_dataset *data, const char *name, size_t length) {
    for (int c = 0; c < data->classes; c++) {
        const char *own = glia_data_class_name(data, c);
        if (strlen(own) == length && !strncmp(own, name, length)) return c;
    }
    return -1;
}

/* Marks the classes of a list "0-4" or "cat+dog+7-9" with their new numbers, from 0 in the order of the data; -1 the
 * others. Returns how many there are. */
static int choose_classes(const glia_dataset *data, const char *list, int32_t *map, glia_error *error) {
    for (int c = 0; c < data->classes; c++) map[c] = list ? -1 : c;
    if (!list) return data->classes;
    for (const char *at = list; *at; at += *at == '+') {
        size_t length = strcspn(at, "+");
        int first = class_named(data, at, length), last = first;
        const char *dash = memchr(at, '-', length);
        if (first < 0 && dash) {
            first = class_named(data, at, (size_t)(dash - at));
            last = class_named(data, dash + 1, (size_t)(at + length - dash - 1));
        }
        if (first < 0 || last < first) {
            const char **names = malloc((size_t)data->classes * sizeof *names);
            char word[64];
            snprintf(word, sizeof word, "%.*s", (int)GLIA_MIN(length, sizeof word - 1), at);
            for (int c = 0; names && c < data->classes; c++) names[c] = glia_data_class_name(data, c);
            const char *near = names ? glia_nearest(word, names, data->classes) : NULL;
            glia_fail(error, GLIA_E_ARGUMENT, "%s: classes=%s: there is no class \"%s\"%s%s%s", data->name, list, word,
                      near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
            free(names);
            return 0;
        }
        for (int c = first; c <= last; c++) map[c] = 0;
        at += length;
    }
    int n = 0;
    for (int c = 0; c < data->classes; c++) map[c] = map[c] < 0 ? -1 : n++;
    if (n == 0) glia_fail(error, GLIA_E_ARGUMENT, "%s: classes= names no class", data->name);
    return n;
}

/* The samples of the chosen classes, at most `each` of a class, chosen by the seed, in the order of the data. */
static int64_t *choose_samples(const glia_dataset *data, const int32_t *map, int64_t each, uint64_t seed, int64_t *n,
                               glia_error *error) {
    int32_t *labels = malloc((size_t)data->n * sizeof *labels);
    int64_t *order = malloc((size_t)data->n * sizeof *order), *taken = calloc((size_t)data->classes, sizeof *taken);
    bool *chosen = calloc((size_t)data->n, sizeof *chosen);
    bool done = labels && order && taken && chosen;
    if (!done) glia_fail_nomem(error);
    done = done && glia_data_labels(data, labels, error) == GLIA_OK;
    *n = 0;
    if (done) {
        for (int64_t i = 0; i < data->n; i++) order[i] = i;
        if (each) glia_data_shuffle(order, data->n, seed, 0);
        for (int64_t i = 0; i < data->n; i++) {
            const int32_t label = labels[order[i]];
            if (map[label] < 0 || (each && taken[label] == each)) continue;
            taken[label]++;
            chosen[order[i]] = true;
        }
        for (int64_t i = 0; i < data->n; i++)
            if (chosen[i]) order[(*n)++] = i;
    }
    free(labels);
    free(taken);
    free(chosen);
    if (done) return order;
    free(order);
    return NULL;
}

/* A channel's rows into the middle of larger ones of `to`, which are zeros. */
static void put_inside(const uint8_t *from, int64_t height, int64_t width, int64_t pad, uint8_t *to) {
    for (int64_t i = 0; i < height; i++)
        memcpy(to + (pad + i) * (width + 2 * pad) + pad, from + i * width, (size_t)width);
}

/* Copies one sample as bytes to `to`, which is zeros, of another size and with a margin if these are given. */
static glia_status copy_sample(const glia_dataset *data, int64_t index, const glia_subset_opts *opts, float *x,
                               uint8_t *bytes, uint8_t *to, int32_t *label, glia_error *error) {
    glia_status status = glia_data_get(data, index, x, label, error);
    const glia_shape s = data->x_shape;
    for (size_t i = 0; status == GLIA_OK && i < data->x_count; i++) bytes[i] = (uint8_t)lrintf(255 * x[i]);
    glia_image image = { (int)s.dim[0], (int)s.dim[1], (int)s.dim[2], bytes }, sized = { 0 };
    if (status == GLIA_OK && opts->size) {
        status = glia_image_resize(&image, (int)opts->size, (int)opts->size, &sized, error);
        image = sized;
    }
    const int64_t h = image.height, w = image.width, pad = opts->pad;
    for (int64_t c = 0; status == GLIA_OK && c < s.dim[0]; c++)
        put_inside(image.pixels + c * h * w, h, w, pad, to + c * (h + 2 * pad) * (w + 2 * pad));
    glia_image_free(&sized);
    return status;
}

static glia_dataset *copy(const glia_dataset *data, const int64_t *order, int64_t n, const int32_t *map, int classes,
                          const glia_subset_opts *opts, glia_error *error) {
    glia_shape shape = data->x_shape;
    for (int i = 1; i < 3; i++) shape.dim[i] = (opts->size ? opts->size : shape.dim[i]) + 2 * opts->pad;
    const size_t count = (size_t)glia_shape_count(shape);
    float *x = malloc(data->x_count * sizeof *x);
    uint8_t *bytes = malloc(data->x_count), *all = calloc((size_t)n * count + 1, 1);
    int32_t *labels = malloc((size_t)n * sizeof *labels + 1);
    const char **names = malloc((size_t)classes * sizeof *names);
    glia_status status = x && bytes && all && labels && names ? GLIA_OK : glia_fail_nomem(error);
    for (int64_t i = 0; status == GLIA_OK && i < n; i++) {
        status = copy_sample(data, order[i], opts, x, bytes, all + (size_t)i * count, &labels[i], error);
        if (status == GLIA_OK) labels[i] = map[labels[i]];
    }
    for (int c = 0; status == GLIA_OK && c < data->classes; c++)
        if (map[c] >= 0) names[map[c]] = glia_data_class_name(data, c);
    free(x);
    free(bytes);
    glia_dataset *out = NULL;
    if (status == GLIA_OK) {
        const glia_arrays arrays = { .n = n,
                                     .x = all,
                                     .x_dtype = GLIA_U8,
                                     .x_shape = shape,
                                     .y = labels,
                                     .y_dtype = GLIA_I32,
                                     .classes = classes };
        out = glia_data_take(arrays, data->name, names, error);
    } else {
        free(all);
        free(labels);
    }
    free(names);
    return out;
}

glia_dataset *glia_data_subset(glia_dataset *data, glia_subset_opts opts, glia_error *error) {
    int32_t *map = calloc((size_t)data->classes + 1, sizeof *map);
    if (!map) glia_fail_nomem(error);
    const int classes = map ? choose_classes(data, opts.classes, map, error) : 0;
    int64_t n = 0;
    int64_t *order = classes ? choose_samples(data, map, opts.per_class, (uint64_t)opts.seed, &n, error) : NULL;
    glia_dataset *out = order ? copy(data, order, n, map, classes, &opts, error) : NULL;
    free(order);
    free(map);
    glia_data_free(data);
    return out;
}
