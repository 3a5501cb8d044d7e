/* feature_net.c - see feature_net.h. */
#include "families/generative/feature_net.h"

#include <stdlib.h>
#include <string.h>

#include "families/generative/batches.h"
#include "glia/fit.h"
#include "nn/layers/layers.h"

glia_tensor glia_feature_net(glia_tensor x, int classes) {
    enum { LAYERS = 3, UNITS = 64 };
    static const char *const names[LAYERS] = { "conv1", "conv2", "conv3" };
    glia_layer layer;
    if (!glia_layer_begin(&layer, "feature_net", "features", x)) return glia_layer_bad(x);
    if (x->shape.rank != 4 || x->shape.dim[2] < 8 || x->shape.dim[3] < 8)
        return glia_layer_fail(&layer, "x must be (N, C, H, W), H and W at least 8");
    if (classes < 2) return glia_layer_fail(&layer, "%d classes", classes);
    for (int i = 0; i < LAYERS && !glia_is_bad(x); i++) {
        x = glia_conv2d(x, names[i],
                        (glia_conv_opts){ .filters = 16 << i, .kernel = 3, .pad = 1, .activation = GLIA_RELU });
        if (i + 1 < LAYERS) x = glia_max_pool(x, (glia_pool_opts){ .size = 2 });
    }
    x = glia_dense(glia_global_avg_pool(x), "features", (glia_dense_opts){ .units = UNITS, .activation = GLIA_RELU });
    return glia_layer_end(&layer, glia_dense(x, "logits", (glia_dense_opts){ .units = classes }));
}

/* ---- where it comes from -------------------------------------------------------------------------- */

static glia_model *train(const glia_dataset *data, glia_shape sample, glia_backend *backend, glia_error *error) {
    enum { EPOCHS = 4, BATCH = 50, STEPS = 200 }; /* at least so many of either */
    const int classes = glia_data_classes(data);
    if (classes < 2) {
        glia_fail(error, GLIA_E_ARGUMENT,
                  "features of pictures come from a classifier: '%s' has no classes to train one, so name a model by "
                  "features=RUN",
                  glia_data_name(data));
        return NULL;
    }
    glia_model *model = glia_model_create("features", error);
    if (!model) return NULL;
    glia_model_output(model, "logits", glia_feature_net(glia_model_input(model, "x", GLIA_F32, sample), classes));
    const int64_t batch = GLIA_MIN((int64_t)BATCH, glia_data_count(data));
    const glia_fit_opts how = { .epochs = GLIA_MAX((int64_t)EPOCHS, STEPS * batch / glia_data_count(data)),
                                .batch = batch,
                                .optimizer = { .kind = GLIA_ADAM, .lr = 2e-3 },
                                .schedule = { .kind = GLIA_LR_COSINE },
                                .backend = backend };
    if (glia_fit(model, data, how, error) == GLIA_OK) return model;
    glia_model_free(model);
    return NULL;
}

glia_model *glia_picture_model_load(const char *path, glia_error *error) {
    glia_text file = { 0 };
    glia_text_printf(&file, "%s/model.safetensors", path);
    glia_model *model = file.failed ? NULL : glia_model_load(file.bytes, NULL);
    free(file.bytes);
    return model ? model : glia_model_load(path, error);
}

uint64_t glia_picture_model_hash(const glia_model *model) {
    uint64_t hash = 0;
    for (int i = 0; i < glia_store_count(model->store); i++) {
        const glia_array a = glia_store_entry(model->store, i);
        hash = glia_hash_bytes(a.data, (size_t)glia_shape_count(a.shape) * glia_dtype_size(a.dtype), hash);
    }
    return hash;
}

glia_status glia_picture_model_check(const glia_model *model, const char *name, glia_shape sample, glia_shape *taken,
                                     glia_error *error) {
    glia_tensor x = glia_model_sample_input(model, error);
    char a[GLIA_SHAPE_TEXT], b[GLIA_SHAPE_TEXT];
    if (!x) return GLIA_E_ARGUMENT;
    if (glia_model_get(model, "mean"))
        return glia_fail(error, GLIA_E_ARGUMENT, "%s: was trained on normalised samples, and these are not", name);
    *taken = glia_one_of(x);
    if (glia_shape_count(*taken) == glia_shape_count(sample)) return GLIA_OK;
    return glia_fail(error, GLIA_E_SHAPE, "%s takes pictures of %s, and the samples are %s", name,
                     glia_shape_format(*taken, a), glia_shape_format(sample, b));
}

/* The layer and the logits must be there, and the input take such pictures. */
static glia_status find(glia_feature_reader *r, glia_tensor out[2], const char *path, glia_error *error) {
    const char *name = path ? path : "features";
    const glia_status status = glia_picture_model_check(r->model, name, r->sample, &r->sample, error);
    if (status != GLIA_OK) return status;
    glia_tensor logits = glia_model_output_at(r->model, 0, NULL);
    glia_tensor features = glia_layer_output(glia_model_graph(r->model), "features");
    if (glia_is_bad(features) || features->shape.rank != 2 || logits->shape.rank != 2)
        return glia_fail(error, GLIA_E_ARGUMENT,
                         "%s: features come from a layer \"features\" (N, F) of a classifier: `glia train feature-net`",
                         name);
    r->size = features->shape.dim[1];
    r->classes = logits->shape.dim[1];
    out[0] = features;
    out[1] = glia_softmax(logits, 1);
    return glia_graph_check(glia_model_graph(r->model), error);
}

glia_status glia_feature_reader_open(glia_feature_reader *r, const char *path, const glia_dataset *data,
                                     glia_shape sample, glia_backend *backend, glia_error *error) {
    glia_error reason = { 0 };
    *r = (glia_feature_reader){ .sample = sample };
    r->model = path ? glia_picture_model_load(path, &reason) : train(data, sample, backend, &reason);
    if (!r->model) return glia_fail(error, reason.status, "%s", reason.message);
    glia_tensor out[2];
    glia_status status = find(r, out, path, &reason);
    if (status == GLIA_OK) {
        r->hash = glia_picture_model_hash(r->model);
        const glia_function_opts opts = { .outputs = out, .n_outputs = 2, .mode = GLIA_INFER };
        r->function =
            glia_function_create(glia_model_graph(r->model), backend, glia_model_store(r->model), opts, &reason);
        if (r->function) return GLIA_OK;
    }
    glia_feature_reader_close(r);
    return glia_fail(error, reason.status, "%s", reason.message);
}

void glia_feature_reader_close(glia_feature_reader *r) {
    glia_function_free(r->function);
    glia_model_free(r->model);
    *r = (glia_feature_reader){ 0 };
}

glia_status glia_feature_reader_run(glia_feature_reader *r, const float *x, int64_t n, float *features,
                                    float *probabilities, glia_error *error) {
    enum { AT_ONCE = 250 };
    const int64_t count = glia_shape_count(r->sample);
    glia_shape shape = { .rank = r->sample.rank + 1 };
    memcpy(shape.dim + 1, r->sample.dim, (size_t)r->sample.rank * sizeof *shape.dim);
    const char *name;
    glia_model_input_at(r->model, 0, &name);
    for (int64_t at = 0; at < n; at += AT_ONCE) {
        shape.dim[0] = GLIA_MIN(n - at, (int64_t)AT_ONCE);
        glia_array outputs[2],
            input = { .name = name, .dtype = GLIA_F32, .shape = shape, .data = (void *)(uintptr_t)(x + at * count) };
        const glia_status status = glia_function_call(r->function, &input, 1, outputs, error);
        if (status != GLIA_OK) return status;
        memcpy(features + at * r->size, outputs[0].data, (size_t)(shape.dim[0] * r->size) * sizeof *features);
        memcpy(probabilities + at * r->classes, outputs[1].data,
               (size_t)(shape.dim[0] * r->classes) * sizeof *probabilities);
    }
    return GLIA_OK;
}
