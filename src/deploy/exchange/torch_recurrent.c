/* torch_recurrent.c - loads the state of PyTorch's recurrent modules into recurrent layers.
 *
 * The gates have the same order. PyTorch has two biases per gate. Biases that a cell only adds are one bias here; the
 * GRU's third gate keeps both, because its recurrent bias is inside the reset.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/formats/formats.h"
#include "glia/recurrent.h"
#include "train/model/model.h"

enum { NAME = 512 };

/* A load in progress: a first pass checks, a second one writes. */
typedef struct loading {
    const glia_store *store;
    const glia_safetensors *file;
    const char *prefix;
    glia_error *error;
    bool writes;
    int taken;
} loading;

/* One direction of one layer, in both frameworks' names. */
typedef struct pair {
    char name[NAME], suffix[32]; /* "lstm/l0/forward"; "_l0_reverse" */
} pair;

static bool find_entry(const loading *l, const pair *p, const char *what, glia_array *array) {
    char name[NAME + 32];
    snprintf(name, sizeof name, "%s/%s", p->name, what);
    for (int i = 0; i < glia_store_count(l->store); i++) {
        *array = glia_store_entry(l->store, i);
        if (strcmp(array->name, name) == 0) return true;
    }
    return false;
}

/* The tensor "PREFIX what SUFFIX" as doubles; NULL and the error if it is missing or has another shape. */
static double *read_tensor(const loading *l, const pair *p, const char *what, glia_shape shape) {
    char name[NAME + 64], a[GLIA_SHAPE_TEXT], b[GLIA_SHAPE_TEXT];
    snprintf(name, sizeof name, "%s%s%s", l->prefix, what, p->suffix);
    const glia_safetensor *t = glia_safetensors_find(l->file, name);
    if (!t) {
        glia_fail(l->error, GLIA_E_NOT_FOUND, "there is no tensor '%s'", name);
        return NULL;
    }
    if (!glia_shape_equal(t->shape, shape) || !glia_dtype_is_float(t->dtype)) {
        glia_fail(l->error, GLIA_E_SHAPE, "offset %zu: tensor '%s' is %s%s, wanted is %s", t->offset, name,
                  glia_dtype_name(t->dtype), glia_shape_format(t->shape, a), glia_shape_format(shape, b));
        return NULL;
    }
    const int64_t n = glia_shape_count(shape);
    void *aligned = malloc(t->bytes + 1);
    double *values = malloc((size_t)n * sizeof *values);
    if (aligned && values) {
        memcpy(aligned, t->data, t->bytes);
        glia_to_double(t->dtype, aligned, values, n);
    } else {
        glia_fail_nomem(l->error);
        free(values);
        values = NULL;
    }
    free(aligned);
    return values;
}

static void give(loading *l, const glia_array *to, const double *values) {
    if (l->writes) glia_from_double(to->dtype, values, to->data, glia_shape_count(to->shape));
    l->taken++;
}

/* Loads "NAME/what", if the layer has it, from the tensor `there`. */
static bool take_matrix(loading *l, const pair *p, const char *what, const char *there) {
    glia_array to;
    if (!find_entry(l, p, what, &to)) return true;
    double *values = read_tensor(l, p, there, to.shape);
    if (values) give(l, &to, values);
    free(values);
    return values != NULL;
}

static bool take_bias(loading *l, const pair *p) {
    glia_array to, inside;
    if (!find_entry(l, p, "bias", &to)) return true;
    const bool gru = find_entry(l, p, "recurrent_bias", &inside);
    const int64_t rows = to.shape.dim[0], shared = gru ? rows - inside.shape.dim[0] : rows;
    double *sum = read_tensor(l, p, "bias_ih", to.shape);
    double *more = sum ? read_tensor(l, p, "bias_hh", to.shape) : NULL;
    if (more) {
        for (int64_t i = 0; i < shared; i++) sum[i] += more[i];
        give(l, &to, sum);
        if (gru) give(l, &inside, more + shared);
    }
    const bool taken = more != NULL;
    free(sum);
    free(more);
    return taken;
}

static bool take_direction(loading *l, const pair *p) {
    glia_array norm;
    if (find_entry(l, p, "recurrent_norm/scale", &norm) || find_entry(l, p, "norm/scale", &norm)) {
        glia_fail(l->error, GLIA_E_ARGUMENT, "%s is layer-normalised, PyTorch's modules are not", p->name);
        return false;
    }
    return take_matrix(l, p, "kernel", "weight_ih") && take_matrix(l, p, "recurrent_kernel", "weight_hh") &&
           take_matrix(l, p, "projection", "weight_hr") && take_bias(l, p);
}

/* Loads every direction of every layer that has a kernel. */
static bool take_all(loading *l, const char *name) {
    static const char *const ways[] = { "", "/forward", "/backward" };
    for (int layer = -1; layer < GLIA_RECURRENT_LAYERS; layer++) {
        for (int way = 0; way < 3; way++) {
            pair p;
            glia_array kernel;
            char number[16] = "";
            if (layer >= 0) snprintf(number, sizeof number, "/l%d", layer);
            if ((size_t)snprintf(p.name, sizeof p.name, "%s%s%s", name, number, ways[way]) >= sizeof p.name) continue;
            snprintf(p.suffix, sizeof p.suffix, "_l%d%s", layer < 0 ? 0 : layer, way == 2 ? "_reverse" : "");
            if (find_entry(l, &p, "recurrent_kernel", &kernel) && !take_direction(l, &p)) return false;
        }
    }
    return true;
}

static glia_status take(glia_model *model, const char *name, const glia_safetensors *file, const char *prefix,
                        glia_error *error) {
    loading l = { .store = glia_model_store(model), .file = file, .prefix = prefix ? prefix : "", .error = error };
    if (!take_all(&l, name)) return error->status;
    if (l.taken == 0) return glia_fail(error, GLIA_E_NOT_FOUND, "the model has no recurrent layer '%s'", name);
    l.writes = true;
    if (!take_all(&l, name)) return error->status;
    glia_store_touch(l.store);
    return GLIA_OK;
}

glia_status glia_model_load_torch_recurrent(glia_model *model, const char *name, const char *path, const char *prefix,
                                            glia_error *error) {
    glia_status status = glia_model_ready(model, 0, error);
    if (status != GLIA_OK) return status;
    glia_tensor_file file;
    glia_error reason = { 0 };
    status = glia_tensors_open(path, &file, error);
    if (status != GLIA_OK) return status;
    status = take(model, name, &file.tensors, prefix, &reason);
    glia_tensors_close(&file);
    return status == GLIA_OK ? GLIA_OK : glia_fail(error, status, "%s: %s", path, reason.message);
}
