/* batches.c - see batches.h. */
#include "families/generative/batches.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- classes ------------------------------------------------------------------------------------ */

int glia_classes_of(const glia_model *model) {
    const char *number = glia_model_get(model, "y.classes");
    const int n = number && glia_graph_find_leaf(model->graph, "y") ? atoi(number) : 0;
    return n > 0 ? n : 0;
}

glia_status glia_check_classes(const glia_dataset *data, const glia_model *model, glia_error *error) {
    const int wanted = glia_classes_of(model), have = glia_data_classes(data);
    if (!glia_graph_find_leaf(model->graph, "y")) return GLIA_OK;
    if (!wanted) return glia_fail(error, GLIA_E_ARGUMENT, "the model has an input 'y', but no metadata \"y.classes\"");
    if (have && glia_data_y_dtype(data) == GLIA_I32 && glia_shape_count(glia_data_y_shape(data)) == 1 && have <= wanted)
        return GLIA_OK;
    return glia_fail(error, GLIA_E_SHAPE, "the model needs samples of %d classes; the data '%s' have %d", wanted,
                     glia_data_name(data), have);
}

glia_status glia_choose_classes(const glia_model *model, int64_t wanted, int64_t n, int32_t *y, glia_error *error) {
    const int classes = glia_classes_of(model);
    if (!classes && wanted >= 0)
        return glia_fail(error, GLIA_E_ARGUMENT, "class %lld was asked for, but the model was trained without classes",
                         (long long)wanted);
    if (wanted >= 0 && wanted >= classes)
        return glia_fail(error, GLIA_E_ARGUMENT, "there is no class %lld: the model has %d", (long long)wanted,
                         classes);
    for (int64_t i = 0; i < n; i++) y[i] = wanted >= 0 ? (int32_t)wanted : classes ? (int32_t)(i % classes) : 0;
    return GLIA_OK;
}

/* ---- samples ------------------------------------------------------------------------------------ */

glia_shape glia_one_of(glia_tensor batch) {
    glia_shape shape = { .rank = batch->shape.rank - 1 };
    for (int i = 0; i < shape.rank; i++) shape.dim[i] = batch->shape.dim[i + 1];
    return shape;
}

bool glia_are_pictures(glia_tensor batch) { return batch->shape.rank > 2; }

glia_tensor glia_to_net_range(glia_tensor x) {
    return glia_are_pictures(x) ? glia_add_scalar(glia_mul_scalar(x, 2), -1) : x;
}

void glia_from_net_range(const float *from, float *to, int64_t n, bool pictures) {
    for (int64_t i = 0; i < n; i++) to[i] = pictures ? fminf(fmaxf((from[i] + 1) / 2, 0), 1) : from[i];
}

glia_tensor glia_once_more(glia_tensor y, glia_tensor from, glia_tensor to) {
    glia_tensor out = NULL;
    glia_substitute(&y, 1, &from, &to, 1, &out);
    return out;
}

glia_status glia_check_samples(const glia_dataset *data, glia_tensor x, glia_error *error) {
    const glia_shape have = glia_data_x_shape(data), wanted = glia_one_of(x);
    char a[GLIA_SHAPE_TEXT], b[GLIA_SHAPE_TEXT];
    if (glia_shape_count(wanted) == glia_shape_count(have)) return GLIA_OK;
    return glia_fail(error, GLIA_E_SHAPE, "the data '%s' have samples %s, but the model takes %s", glia_data_name(data),
                     glia_shape_format(have, a), glia_shape_format(wanted, b));
}

glia_status glia_begin_samples(glia_training *t, glia_tensor x, glia_error *error) {
    glia_status status = glia_check_samples(t->data, x, error);
    if (status == GLIA_OK) status = glia_check_classes(t->data, t->model, error);
    if (status == GLIA_OK) status = glia_training_load(t, true, error);
    if (status != GLIA_OK) return status;
    if (glia_classes_of(t->model) && glia_loader_y_dtype(t->loader) != GLIA_I32)
        return glia_fail(error, GLIA_E_ARGUMENT, "augmentation that mixes samples leaves no classes for the model");
    return GLIA_OK;
}

glia_status glia_measure_samples(glia_training *t, glia_status (*measure)(glia_training *t, glia_error *error),
                                 glia_error *error) {
    glia_status status = glia_training_validation(t, true, error);
    if (status == GLIA_OK && measure) status = measure(t, error);
    const glia_status after = glia_training_validation(t, false, status == GLIA_OK ? error : NULL);
    return status == GLIA_OK ? after : status;
}

glia_status glia_show_samples(glia_training *t, glia_tensor like, int64_t n, glia_draw_fn draw, glia_show_fn show,
                              void *context, glia_error *error) {
    glia_shown shown = { .name = "samples",
                         .kind = glia_are_pictures(like) ? GLIA_SHOWN_PICTURES : GLIA_SHOWN_POINTS,
                         .n = n,
                         .sample = glia_one_of(like) };
    float *values = malloc((size_t)(n * glia_shape_count(shown.sample)) * sizeof *values);
    if (!values) return glia_fail_nomem(error);
    glia_status status = draw(t, n, values, error);
    shown.values = values;
    if (status == GLIA_OK) status = show(context, &shown, error);
    free(values);
    return status;
}
