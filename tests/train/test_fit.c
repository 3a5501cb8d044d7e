/* test_fit.c - training, evaluation and prediction through the public API. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "glia/glia.h"

enum { SAMPLES = 130, FEATURES = 4, CLASSES = 3 };

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

/* ---- data and models ---------------------------------------------------------------------- */

typedef struct problem {
    float x[SAMPLES * FEATURES];
    int32_t label[SAMPLES];
    float one_hot[SAMPLES * CLASSES], value[SAMPLES], sign[SAMPLES];
} problem;

static double noise(uint32_t *state) { /* [-1, 1) */
    *state = *state * 1664525u + 1013904223u;
    return (double)(*state >> 8) / 8388608.0 - 1;
}

/* Three clusters of points, linearly separable. */
static const problem *clouds(void) {
    static const double centre[CLASSES][FEATURES] = { { 2, 0, 0, 1 }, { 0, 2, 0, -1 }, { 0, 0, 2, 0 } };
    static problem p;
    uint32_t state = 12345;
    p = (problem){ 0 };
    for (int i = 0; i < SAMPLES; i++) {
        p.label[i] = i * 7 % CLASSES;
        p.one_hot[i * CLASSES + p.label[i]] = 1;
        p.sign[i] = p.label[i] == 1 ? 1 : -1;
        for (int j = 0; j < FEATURES; j++) p.x[i * FEATURES + j] = (float)(centre[p.label[i]][j] + 0.5 * noise(&state));
        p.value[i] = 2 * p.x[i * FEATURES] - p.x[i * FEATURES + 1] + 0.5f;
    }
    return &p;
}

static glia_dataset *dataset(const void *y, glia_dtype dtype, glia_shape shape) {
    glia_error error = { 0 };
    glia_arrays arrays = {
        .n = SAMPLES, .x = clouds()->x, .x_shape = GLIA_SHAPE(FEATURES), .y = y, .y_dtype = dtype, .y_shape = shape
    };
    glia_dataset *data = glia_data_arrays(arrays, &error);
    if (!data) fail_msg("%s", error.message);
    return data;
}

static glia_dataset *labelled(void) { return dataset(clouds()->label, GLIA_I32, GLIA_SCALAR); }

/* One dense layer. */
static glia_model *linear(int units, glia_activation activation) {
    glia_model *model = glia_model_create("linear", NULL);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(FEATURES));
    glia_model_output(model, "y", glia_dense(x, "fc", (glia_dense_opts){ .units = units, .activation = activation }));
    return model;
}

static void fit(glia_model *model, const glia_dataset *data, glia_fit_opts opts) {
    glia_error error = { 0 };
    opts.threads = 1;
    if (glia_fit(model, data, opts, &error) != GLIA_OK) fail_msg("%s", error.message);
}

static glia_scores evaluate(glia_model *model, const glia_dataset *data, glia_loss loss) {
    glia_error error = { 0 };
    glia_scores scores;
    if (glia_evaluate(model, data, (glia_evaluate_opts){ .loss = loss, .threads = 1 }, &scores, &error) != GLIA_OK)
        fail_msg("%s", error.message);
    return scores;
}

static glia_array tensor(glia_model *model, const char *name) {
    glia_array a = { 0 };
    if (!glia_store_find(glia_model_store(model), name, &a)) fail_msg("no tensor '%s'", name);
    return a;
}

/* ---- learning ----------------------------------------------------------------------------- */

static void test_learns_classes(void **state) {
    (void)state;
    glia_dataset *data = labelled();
    glia_model *model = linear(CLASSES, GLIA_LINEAR);
    assert_int_equal(glia_model_init(model, 1, NULL), GLIA_OK);
    glia_scores before = evaluate(model, data, GLIA_LOSS_DEFAULT);
    fit(model, data, (glia_fit_opts){ .epochs = 20, .batch = 16, .optimizer = { .lr = 0.1 }, .seed = 1 });
    glia_scores after = evaluate(model, data, GLIA_LOSS_DEFAULT);
    assert_int_equal(after.samples, SAMPLES);
    assert_true(after.loss < before.loss / 2);
    assert_true(after.accuracy > 0.98);
    glia_model_free(model);
    glia_data_free(data);
}

/* Every loss trains on its kind of problem, with targets in its format. */
static void test_every_loss(void **state) {
    (void)state;
    const problem *p = clouds();
    const struct {
        glia_loss loss;
        int units;
        glia_activation activation;
        const void *y;
        glia_dtype dtype;
        glia_shape shape;
        bool classes;
    } cases[] = {
        { GLIA_CROSS_ENTROPY, CLASSES, GLIA_LINEAR, p->label, GLIA_I32, GLIA_SCALAR, true },
        { GLIA_CROSS_ENTROPY, CLASSES, GLIA_SOFTMAX, p->label, GLIA_I32, GLIA_SHAPE(1), true },
        { GLIA_CROSS_ENTROPY_ONE_HOT, CLASSES, GLIA_LINEAR, p->one_hot, GLIA_F32, GLIA_SHAPE(CLASSES), true },
        { GLIA_CROSS_ENTROPY_ONE_HOT, CLASSES, GLIA_SOFTMAX, p->label, GLIA_I32, GLIA_SCALAR, true },
        { GLIA_BINARY_CROSS_ENTROPY, CLASSES, GLIA_LINEAR, p->label, GLIA_I32, GLIA_SCALAR, true },
        { GLIA_BINARY_CROSS_ENTROPY, CLASSES, GLIA_SIGMOID, p->one_hot, GLIA_F32, GLIA_SHAPE(CLASSES), false },
        { GLIA_MSE, 1, GLIA_LINEAR, p->value, GLIA_F32, GLIA_SCALAR, false },
        { GLIA_MSE, CLASSES, GLIA_LINEAR, p->label, GLIA_I32, GLIA_SCALAR, true },
        { GLIA_MAE, 1, GLIA_LINEAR, p->value, GLIA_F32, GLIA_SHAPE(1), false },
        { GLIA_HUBER, 1, GLIA_LINEAR, p->value, GLIA_F32, GLIA_SCALAR, false },
        { GLIA_HINGE, 1, GLIA_LINEAR, p->sign, GLIA_F32, GLIA_SCALAR, false },
        { GLIA_HINGE, CLASSES, GLIA_LINEAR, p->label, GLIA_I32, GLIA_SCALAR, true },
        { GLIA_NLL, CLASSES, GLIA_LOG_SOFTMAX, p->label, GLIA_I32, GLIA_SCALAR, true },
        { GLIA_NLL, CLASSES, GLIA_SOFTMAX, p->label, GLIA_I32, GLIA_SCALAR, true },
        { GLIA_KL, CLASSES, GLIA_LOG_SOFTMAX, p->one_hot, GLIA_F32, GLIA_SHAPE(CLASSES), true },
    };
    for (int i = 0; i < COUNT(cases); i++) {
        glia_dataset *data = dataset(cases[i].y, cases[i].dtype, cases[i].shape);
        glia_model *model = linear(cases[i].units, cases[i].activation);
        assert_int_equal(glia_model_init(model, 1, NULL), GLIA_OK);
        glia_scores before = evaluate(model, data, cases[i].loss);
        fit(model, data,
            (glia_fit_opts){ .epochs = 30, .batch = 16, .loss = cases[i].loss, .optimizer = { .lr = 0.1 } });
        glia_scores after = evaluate(model, data, cases[i].loss);
        if (!(after.loss < 0.75 * before.loss)) fail_msg("case %d: from %g to %g", i, before.loss, after.loss);
        if (cases[i].classes ? !(after.accuracy > 0.95) : !isnan(after.accuracy))
            fail_msg("case %d: accuracy %g", i, after.accuracy);
        glia_model_free(model);
        glia_data_free(data);
    }
}

/* Two classes with one score. */
static void test_binary(void **state) {
    (void)state;
    int32_t truth[SAMPLES];
    for (int i = 0; i < SAMPLES; i++) truth[i] = clouds()->label[i] == 1;
    glia_dataset *data = dataset(truth, GLIA_I32, GLIA_SCALAR);
    for (int sigmoid = 0; sigmoid < 2; sigmoid++) {
        glia_model *model = linear(1, sigmoid ? GLIA_SIGMOID : GLIA_LINEAR);
        fit(model, data, (glia_fit_opts){ .epochs = 20, .batch = 16, .optimizer = { .lr = 0.2 } });
        int32_t predicted[SAMPLES];
        int64_t confusion[4], hits = 0;
        glia_scores scores;
        glia_evaluate_opts opts = { .predicted = predicted, .confusion = confusion, .threads = 1 };
        assert_int_equal(glia_evaluate(model, data, opts, &scores, NULL), GLIA_OK);
        for (int i = 0; i < SAMPLES; i++) hits += predicted[i] == truth[i];
        assert_true(scores.accuracy > 0.95);
        assert_true(fabs(scores.accuracy - (double)hits / SAMPLES) < 1e-6);
        assert_int_equal(confusion[0] + confusion[3], hits);
        glia_model_free(model);
    }
    glia_data_free(data);
}

/* Cross-entropy of softmax outputs equals cross-entropy of the logits, bit for bit. */
static void test_softmax_output_gives_same_loss(void **state) {
    (void)state;
    glia_dataset *data = labelled();
    glia_model *a = linear(CLASSES, GLIA_LINEAR), *b = linear(CLASSES, GLIA_SOFTMAX);
    glia_fit_opts opts = { .epochs = 2, .optimizer = { .lr = 0.1 }, .seed = 5 };
    fit(a, data, opts);
    fit(b, data, opts);
    assert_memory_equal(tensor(a, "fc/kernel").data, tensor(b, "fc/kernel").data, CLASSES * FEATURES * sizeof(float));
    float y[CLASSES], sum = 0;
    assert_int_equal(glia_predict(b, clouds()->x, 1, y, NULL, NULL), GLIA_OK); /* predictions are still probabilities */
    for (int i = 0; i < CLASSES; i++) sum += y[i];
    assert_true(fabsf(sum - 1) < 1e-5f);
    glia_model_free(a);
    glia_model_free(b);
    glia_data_free(data);
}

/* One step over all samples gives w - lr dL/dw, computed by hand for mean squared error. */
static void test_one_step_by_hand(void **state) {
    (void)state;
    const problem *p = clouds();
    glia_dataset *data = dataset(p->value, GLIA_F32, GLIA_SCALAR);
    glia_model *model = linear(1, GLIA_LINEAR);
    assert_int_equal(glia_model_init(model, 3, NULL), GLIA_OK);
    float w[FEATURES];
    memcpy(w, tensor(model, "fc/kernel").data, sizeof w);
    double gradient[FEATURES] = { 0 };
    for (int i = 0; i < SAMPLES; i++) {
        double y = 0;
        for (int j = 0; j < FEATURES; j++) y += (double)w[j] * (double)p->x[i * FEATURES + j];
        for (int j = 0; j < FEATURES; j++)
            gradient[j] += 2 * (y - (double)p->value[i]) * (double)p->x[i * FEATURES + j] / SAMPLES;
    }
    fit(model, data, (glia_fit_opts){ .batch = SAMPLES, .optimizer = { .lr = 0.125 } });
    const float *after = tensor(model, "fc/kernel").data;
    for (int j = 0; j < FEATURES; j++)
        assert_true(fabs((double)after[j] - ((double)w[j] - 0.125 * gradient[j])) < 1e-5);
    glia_model_free(model);
    glia_data_free(data);
}

/* ---- progress ----------------------------------------------------------------------------- */

typedef struct diary {
    int calls, stop_at; /* stop at this call, from 1; 0: never */
    glia_progress seen[64];
    bool ends[64];     /* at the end of an epoch */
    double values[16]; /* the values at the last call */
    char names[16][32];
} diary;

static glia_status note(const glia_progress *p, void *context, glia_error *error) {
    (void)error;
    diary *l = context;
    if (l->calls < COUNT(l->seen)) l->seen[l->calls] = *p;
    l->calls++;
    for (int i = 0; i < p->n_values && i < COUNT(l->values); i++) {
        l->values[i] = p->values[i].value;
        snprintf(l->names[i], sizeof l->names[i], "%s", p->values[i].name);
    }
    return l->calls == l->stop_at ? GLIA_E_INTERRUPTED : GLIA_OK;
}

static glia_status note_end(const glia_progress *p, void *context, glia_error *error) {
    diary *l = context;
    if (l->calls < COUNT(l->seen)) l->ends[l->calls] = true;
    return note(p, context, error);
}

static glia_callback keep(diary *l) {
    return (glia_callback){ .train_begin = note, .step_end = note, .epoch_end = note_end, .context = l };
}

/* Calls at step 0, at every step, and at each epoch's end with validation; batches of 50, 50 and 30. */
static void test_progress(void **state) {
    (void)state;
    glia_dataset *data = labelled();
    glia_dataset *held_out = glia_data_range(data, 0, 40, NULL);
    glia_model *model = linear(CLASSES, GLIA_LINEAR);
    diary l = { 0 };
    glia_callback watch = keep(&l);
    fit(model, data,
        (glia_fit_opts){ .epochs = 2, .batch = 50, .validation = held_out, .callbacks = &watch, .n_callbacks = 1 });
    const struct {
        int epoch, step, samples;
        bool end;
    } wanted[] = { { 1, 0, 0, false },   { 1, 1, 50, false },  { 1, 2, 100, false },
                   { 1, 3, 130, false }, { 1, 3, 130, true },  { 2, 1, 50, false },
                   { 2, 2, 100, false }, { 2, 3, 130, false }, { 2, 3, 130, true } };
    assert_int_equal(l.calls, COUNT(wanted));
    for (int i = 0; i < COUNT(wanted); i++) {
        const glia_progress *p = &l.seen[i];
        assert_ptr_equal(p->model, model);
        assert_int_equal(p->epoch, wanted[i].epoch);
        assert_int_equal(p->epochs, 2);
        assert_int_equal(p->step, wanted[i].step);
        assert_int_equal(p->steps, 3);
        assert_int_equal(p->samples, wanted[i].samples);
        assert_int_equal(l.ends[i], wanted[i].end);
        assert_true(p->activation_bytes > 0 && p->parameter_bytes >= (CLASSES * FEATURES + CLASSES) * sizeof(float));
        assert_true(p->seconds >= 0);
        if (i) assert_true(p->train.loss > 0 && p->train.accuracy >= 0 && p->train.samples == p->samples);
        if (l.ends[i]) assert_int_equal(p->validation.samples, 40);
    }
    glia_scores now = evaluate(model, held_out, GLIA_LOSS_DEFAULT); /* the last reported values are correct */
    assert_true(fabs(now.loss - l.seen[8].validation.loss) < 1e-6);
    assert_true(now.accuracy == l.seen[8].validation.accuracy);
    glia_model_free(model);
    glia_data_free(held_out);
    glia_data_free(data);
}

static void test_stopping(void **state) {
    (void)state;
    glia_dataset *data = labelled();
    for (int call = 1; call <= 9; call++) {
        glia_model *model = linear(CLASSES, GLIA_LINEAR);
        diary l = { .stop_at = call };
        glia_error error = { 0 };
        glia_callback watch = keep(&l);
        glia_fit_opts opts = { .epochs = 2, .batch = 50, .threads = 1, .callbacks = &watch, .n_callbacks = 1 };
        assert_int_equal(glia_fit(model, data, opts, &error), GLIA_E_INTERRUPTED);
        assert_int_equal(error.status, GLIA_E_INTERRUPTED);
        assert_int_equal(l.calls, call);
        evaluate(model, data, GLIA_LOSS_DEFAULT); /* the model is usable */
        glia_model_free(model);
    }
    glia_model *model = linear(CLASSES, GLIA_LINEAR);
    diary l = { 0 };
    glia_callback watch = keep(&l);
    fit(model, data,
        (glia_fit_opts){ .epochs = 100, .batch = 50, .max_steps = 5, .callbacks = &watch, .n_callbacks = 1 });
    assert_int_equal(l.calls, 1 + 3 + 1 + 2 + 1);
    assert_int_equal(l.seen[l.calls - 1].step, 2);
    assert_int_equal(l.seen[l.calls - 1].steps, 2);
    assert_true(l.ends[l.calls - 1]);
    glia_model_free(model);
    glia_data_free(data);
}

/* ---- other options ------------------------------------------------------------------------- */

/* With zero logits each sample's loss is log K times the weight of its class; smoothing spreads a share of it over the
 * weights of all classes, as torch.nn.CrossEntropyLoss does. */
static void test_class_weights(void **state) {
    (void)state;
    glia_dataset *data = labelled();
    double weights[CLASSES], mean = 0, of_classes = 0;
    for (int k = 0; k < CLASSES; k++) weights[k] = 0.25 + k, of_classes += weights[k] / CLASSES;
    for (int64_t i = 0; i < SAMPLES; i++) {
        int32_t label;
        assert_int_equal(glia_data_get(data, i, NULL, &label, NULL), GLIA_OK);
        mean += weights[label] / SAMPLES;
    }
    for (int smooth = 0; smooth < 2; smooth++) {
        const double share = smooth ? 0.25 : 0;
        glia_model *model = linear(CLASSES, GLIA_LINEAR);
        assert_int_equal(glia_model_init(model, 0, NULL), GLIA_OK);
        glia_array w = tensor(model, "fc/kernel");
        memset(w.data, 0, CLASSES * FEATURES * sizeof(float));
        diary l = { 0 };
        glia_callback watch = keep(&l);
        fit(model, data,
            (glia_fit_opts){ .batch = SAMPLES,
                             .class_weights = weights,
                             .label_smoothing = share,
                             .callbacks = &watch,
                             .n_callbacks = 1 });
        assert_true(fabs(l.seen[1].loss - ((1 - share) * mean + share * of_classes) * log(CLASSES)) < 1e-5);
        glia_model_free(model);
    }
    for (int k = 0; k < CLASSES; k++) weights[k] = 1; /* weights of 1 have no effect, on gradients either */
    glia_model *with = linear(CLASSES, GLIA_LINEAR), *without = linear(CLASSES, GLIA_LINEAR);
    fit(with, data, (glia_fit_opts){ .epochs = 3, .class_weights = weights, .label_smoothing = 0.1 });
    fit(without, data, (glia_fit_opts){ .epochs = 3, .label_smoothing = 0.1 });
    const float *a = tensor(with, "fc/kernel").data, *b = tensor(without, "fc/kernel").data;
    for (int i = 0; i < CLASSES * FEATURES; i++) assert_true(fabsf(a[i] - b[i]) < 1e-5f);
    weights[1] = -1;
    glia_error error;
    assert_int_equal(glia_fit(with, data, (glia_fit_opts){ .class_weights = weights }, &error), GLIA_E_ARGUMENT);
    assert_non_null(strstr(error.message, "class 1"));
    glia_model_free(with);
    glia_model_free(without);
    glia_data_free(data);
}

/* Callbacks receive the metrics of the predictions. */
static void test_metrics(void **state) {
    (void)state;
    glia_dataset *data = labelled();
    glia_dataset *held_out = glia_data_range(data, 10, 90, NULL);
    glia_model *model = linear(CLASSES, GLIA_LINEAR);
    diary l = { 0 };
    glia_callback watch = keep(&l);
    fit(model, data,
        (glia_fit_opts){ .epochs = 2,
                         .validation = held_out,
                         .metrics = "f1, topk(2),ece(bins=5)",
                         .callbacks = &watch,
                         .n_callbacks = 1 });
    const glia_progress *last = &l.seen[l.calls - 1];
    static float x[80][FEATURES], y[80][CLASSES];
    int32_t labels[80];
    for (int i = 0; i < 80; i++) assert_int_equal(glia_data_get(held_out, i, x[i], &labels[i], NULL), GLIA_OK);
    assert_int_equal(glia_predict(model, &x[0][0], 80, &y[0][0], NULL, NULL), GLIA_OK);
    const char *const texts[] = { "f1", "topk(2)", "ece(bins=5)" }, *const names[] = { "val_f1", "val_topk(2)",
                                                                                       "val_ece(bins=5)" };
    assert_int_equal(last->n_values, 8);
    for (int i = 0; i < 3; i++) {
        glia_metric *m = glia_metric_create(texts[i], CLASSES, NULL);
        glia_metric_assume_logits(m, true);
        assert_int_equal(glia_metric_update(m, &y[0][0], labels, 80, NULL), GLIA_OK);
        assert_string_equal(l.names[4 + i], names[i]);
        assert_true(fabs(l.values[4 + i] - glia_metric_result(m)) < 1e-6);
        glia_metric_free(m);
    }
    glia_error error;
    assert_int_equal(glia_fit(model, data, (glia_fit_opts){ .validation = held_out, .metrics = "f2" }, &error),
                     GLIA_E_NOT_FOUND);
    assert_non_null(strstr(error.message, "f2"));
    assert_int_equal(glia_fit(model, data, (glia_fit_opts){ .metrics = "f1" }, &error), GLIA_E_ARGUMENT);
    glia_model_free(model);
    glia_data_free(held_out);
    glia_data_free(data);
}

/* Mixed labels sum to one, so with zero logits the loss is log K for any mixing. */
static void test_mixed_labels(void **state) {
    (void)state;
    glia_dataset *data = labelled();
    glia_error error;
    glia_augment *mix = glia_augment_parse("mixup(alpha=1)", &error);
    assert_non_null(mix);
    glia_model *model = linear(CLASSES, GLIA_LINEAR);
    assert_int_equal(glia_model_init(model, 0, NULL), GLIA_OK);
    memset(tensor(model, "fc/kernel").data, 0, CLASSES * FEATURES * sizeof(float));
    diary l = { 0 };
    glia_callback watch = keep(&l);
    fit(model, data,
        (glia_fit_opts){ .batch = SAMPLES, .epochs = 2, .augment = mix, .callbacks = &watch, .n_callbacks = 1 });
    assert_true(fabs(l.seen[1].loss - log(CLASSES)) < 1e-5);
    assert_true(l.seen[3].loss < l.seen[1].loss);
    glia_model_free(model);
    glia_augment_free(mix);
    glia_data_free(data);
}

/* ---- what training must not change -------------------------------------------------------- */

static void test_frozen(void **state) {
    (void)state;
    glia_dataset *data = labelled();
    glia_model *model = linear(CLASSES, GLIA_LINEAR);
    assert_int_equal(glia_model_init(model, 1, NULL), GLIA_OK);
    float kernel[CLASSES * FEATURES];
    memcpy(kernel, tensor(model, "fc/kernel").data, sizeof kernel);
    glia_freeze(glia_model_graph(model), "*/kernel", true);
    fit(model, data, (glia_fit_opts){ .epochs = 1, .optimizer = { .lr = 0.1 } });
    assert_memory_equal(kernel, tensor(model, "fc/kernel").data, sizeof kernel);
    assert_true(((float *)tensor(model, "fc/bias").data)[0] != 0);
    glia_freeze(glia_model_graph(model), "*", false);
    fit(model, data, (glia_fit_opts){ .epochs = 1, .optimizer = { .lr = 0.1 } }); /* second fit, nothing frozen */
    assert_memory_not_equal(kernel, tensor(model, "fc/kernel").data, sizeof kernel);
    glia_model_free(model);
    glia_data_free(data);
}

/* Fits leave nothing of the training graph or state in the model or its file. */
static void test_model_stays_clean(void **state) {
    (void)state;
    glia_dataset *data = labelled();
    glia_model *model = linear(CLASSES, GLIA_LINEAR);
    assert_int_equal(glia_model_init(model, 1, NULL), GLIA_OK);
    assert_int_equal(glia_model_save(model, "before.safetensors", NULL), GLIA_OK);
    for (int i = 0; i < 2; i++) fit(model, data, (glia_fit_opts){ .optimizer = { .kind = GLIA_ADAM, .lr = 0.01 } });
    assert_int_equal(glia_store_count(glia_model_store(model)), 2);
    assert_int_equal(glia_model_save(model, "after.safetensors", NULL), GLIA_OK);
    FILE *a = fopen("before.safetensors", "rb"), *b = fopen("after.safetensors", "rb");
    assert_non_null(a);
    assert_non_null(b);
    fseek(a, 0, SEEK_END);
    fseek(b, 0, SEEK_END);
    assert_int_equal(ftell(a), ftell(b)); /* same leaves and graph, different values */
    fclose(a);
    fclose(b);
    glia_model_free(model);
    glia_data_free(data);
    unlink("before.safetensors");
    unlink("after.safetensors");
}

/* A NaN loss ends the fit; the model has its values from the start of the epoch. */
static void test_divergence(void **state) {
    (void)state;
    glia_dataset *data = dataset(clouds()->value, GLIA_F32, GLIA_SCALAR);
    glia_model *model = linear(1, GLIA_LINEAR);
    assert_int_equal(glia_model_init(model, 1, NULL), GLIA_OK);
    float kernel[FEATURES];
    memcpy(kernel, tensor(model, "fc/kernel").data, sizeof kernel);
    glia_error error = { 0 };
    glia_fit_opts opts = { .epochs = 3, .batch = 1, .threads = 1, .optimizer = { .lr = 1e6 } };
    assert_int_equal(glia_fit(model, data, opts, &error), GLIA_E_ARGUMENT);
    assert_non_null(strstr(error.message, "epoch 1, step"));
    assert_non_null(strstr(error.message, "learning rate"));
    assert_memory_equal(kernel, tensor(model, "fc/kernel").data, sizeof kernel);
    glia_model_free(model);
    glia_data_free(data);
}

/* ---- evaluate and predict ----------------------------------------------------------------- */

/* Any batch size gives the same scores and classes; the confusion matrix sums correctly. */
static void test_evaluate(void **state) {
    (void)state;
    glia_dataset *data = labelled();
    glia_model *model = linear(CLASSES, GLIA_SOFTMAX);
    fit(model, data, (glia_fit_opts){ .epochs = 2, .optimizer = { .lr = 0.05 } });
    float y[SAMPLES * CLASSES];
    assert_int_equal(glia_predict(model, clouds()->x, SAMPLES, y, NULL, NULL), GLIA_OK);
    double loss = 0;
    int hits = 0, best[SAMPLES];
    for (int i = 0; i < SAMPLES; i++) {
        best[i] = 0;
        for (int k = 1; k < CLASSES; k++) best[i] = y[i * CLASSES + k] > y[i * CLASSES + best[i]] ? k : best[i];
        loss -= log((double)y[i * CLASSES + clouds()->label[i]]) / SAMPLES;
        hits += best[i] == clouds()->label[i];
    }
    const int64_t batches[] = { 0, 1, 7, 64, SAMPLES, 1000 };
    for (int b = 0; b < COUNT(batches); b++) {
        int32_t predicted[SAMPLES];
        int64_t confusion[CLASSES * CLASSES], right = 0, all = 0;
        glia_scores scores;
        glia_evaluate_opts opts = { .batch = batches[b], .predicted = predicted, .confusion = confusion, .threads = 1 };
        assert_int_equal(glia_evaluate(model, data, opts, &scores, NULL), GLIA_OK);
        assert_int_equal(scores.samples, SAMPLES);
        assert_true(fabs(scores.loss - loss) < 1e-5);
        assert_true(fabs(scores.accuracy - (double)hits / SAMPLES) < 1e-6);
        for (int i = 0; i < SAMPLES; i++) assert_int_equal(predicted[i], best[i]);
        for (int i = 0; i < CLASSES * CLASSES; i++) all += confusion[i];
        for (int i = 0; i < CLASSES; i++) right += confusion[i * CLASSES + i];
        assert_int_equal(all, SAMPLES);
        assert_int_equal(right, hits);
    }
    glia_model_free(model);
    glia_data_free(data);
}

/* More samples than a batch, with a partial batch. */
static void test_predict(void **state) {
    (void)state;
    enum { MANY = 600 };
    glia_model *model = linear(2, GLIA_LINEAR);
    static float x[MANY * FEATURES], y[MANY * 2];
    uint32_t rng = 1;
    for (int i = 0; i < MANY * FEATURES; i++) x[i] = (float)noise(&rng);
    assert_int_equal(glia_predict(model, x, MANY, y, NULL, NULL), GLIA_OK);
    const float *w = tensor(model, "fc/kernel").data;
    for (int i = 0; i < MANY; i++) {
        for (int k = 0; k < 2; k++) {
            double sum = 0;
            for (int j = 0; j < FEATURES; j++) sum += (double)w[k * FEATURES + j] * (double)x[i * FEATURES + j];
            assert_true(fabs((double)y[i * 2 + k] - sum) < 1e-5);
        }
    }
    assert_int_equal(glia_predict(model, NULL, 0, NULL, NULL, NULL), GLIA_OK);
    assert_int_equal(glia_predict(model, NULL, 1, y, NULL, NULL), GLIA_E_ARGUMENT);
    glia_model_free(model);
}

/* Inputs of other dtypes are converted; an input of rank 1 takes samples of any shape. */
static void test_inputs(void **state) {
    (void)state;
    glia_dataset *data = labelled();
    glia_model *model = glia_model_create("f64", NULL);
    glia_tensor x = glia_model_input(model, "x", GLIA_F64, GLIA_SHAPE(FEATURES));
    glia_model_output(model, "y", glia_dense(x, "fc", (glia_dense_opts){ .units = CLASSES }));
    fit(model, data, (glia_fit_opts){ .epochs = 10, .optimizer = { .lr = 0.1 } });
    assert_int_equal(tensor(model, "fc/kernel").dtype, GLIA_F64);
    assert_true(evaluate(model, data, GLIA_LOSS_DEFAULT).accuracy > 0.9);
    glia_model_free(model);
    glia_data_free(data);

    glia_arrays squares = {
        .n = SAMPLES, .x = clouds()->x, .x_shape = GLIA_SHAPE(1, 2, 2), .y = clouds()->label, .y_dtype = GLIA_I32
    };
    data = glia_data_arrays(squares, NULL);
    model = linear(CLASSES, GLIA_LINEAR);
    fit(model, data, (glia_fit_opts){ .epochs = 1 });
    glia_model_free(model);
    glia_data_free(data);
}

/* Trains a model whose input is a sample of shape `wanted` with samples of shape `given`. */
static glia_status fit_shapes(glia_shape wanted, glia_shape given, glia_error *error) {
    glia_arrays arrays = {
        .n = SAMPLES, .x = clouds()->x, .x_shape = given, .y = clouds()->label, .y_dtype = GLIA_I32
    };
    glia_dataset *data = glia_data_arrays(arrays, NULL);
    glia_model *model = glia_model_create("shapes", NULL);
    glia_tensor x = glia_flatten(glia_model_input(model, "x", GLIA_F32, wanted));
    glia_model_output(model, "y", glia_dense(x, "fc", (glia_dense_opts){ .units = CLASSES }));
    glia_status status = glia_fit(model, data, (glia_fit_opts){ .epochs = 1 }, error);
    glia_scores scores;
    if (status == GLIA_OK) status = glia_evaluate(model, data, (glia_evaluate_opts){ 0 }, &scores, error);
    glia_model_free(model);
    glia_data_free(data);
    return status;
}

/* Inputs of rank 1 take samples of any shape; others may differ only by axes of length 1. */
static void test_sample_shapes(void **state) {
    (void)state;
    glia_error error = { 0 };
    assert_int_equal(fit_shapes(GLIA_SHAPE(4), GLIA_SHAPE(2, 2), &error), GLIA_OK);
    assert_int_equal(fit_shapes(GLIA_SHAPE(1, 2, 2), GLIA_SHAPE(2, 2), &error), GLIA_OK);
    assert_int_equal(fit_shapes(GLIA_SHAPE(2, 2), GLIA_SHAPE(2, 1, 2, 1), &error), GLIA_OK);
    assert_int_equal(fit_shapes(GLIA_SHAPE(1, 4), GLIA_SHAPE(4), &error), GLIA_OK);
    assert_int_equal(fit_shapes(GLIA_SHAPE(1, 4), GLIA_SHAPE(2, 2), &error), GLIA_E_SHAPE);
    assert_non_null(strstr(error.message, "(2, 2)"));
    assert_int_equal(fit_shapes(GLIA_SHAPE(2, 2), GLIA_SHAPE(4), &error), GLIA_E_SHAPE);
}

/* ---- errors ------------------------------------------------------------------------------- */

static void expect(glia_model *model, const glia_dataset *data, glia_fit_opts opts, glia_status status, const char *a,
                   const char *b) {
    glia_error error = { 0 };
    opts.threads = 1;
    glia_status got = glia_fit(model, data, opts, &error);
    if (got != status || error.status != status)
        fail_msg("expected '%s', got: %s", glia_status_name(status), error.message);
    if (!strstr(error.message, a) || !strstr(error.message, b))
        fail_msg("'%s' and '%s' are not both in '%s'", a, b, error.message);
    glia_model_free(model);
}

static void test_errors(void **state) {
    (void)state;
    glia_dataset *data = labelled(), *rows = dataset(clouds()->value, GLIA_F32, GLIA_SCALAR);

    glia_model *model = glia_model_create(NULL, NULL);
    glia_tensor x = glia_model_input(model, "image", GLIA_F32, GLIA_SHAPE(1, 28, 28));
    glia_model_output(model, "y", glia_dense(glia_flatten(x), "fc", (glia_dense_opts){ .units = 3 }));
    expect(model, data, (glia_fit_opts){ 0 }, GLIA_E_SHAPE, "(4)", "(1, 28, 28)");

    expect(linear(2, GLIA_LINEAR), data, (glia_fit_opts){ 0 }, GLIA_E_ARGUMENT, "label 2", "2 classes");
    expect(linear(1, GLIA_LINEAR), data, (glia_fit_opts){ .loss = GLIA_BINARY_CROSS_ENTROPY }, GLIA_E_ARGUMENT,
           "label 2", "2 classes");
    expect(linear(3, GLIA_LINEAR), rows, (glia_fit_opts){ .loss = GLIA_CROSS_ENTROPY }, GLIA_E_SHAPE, "cross-entropy",
           "f32");
    expect(linear(3, GLIA_LINEAR), rows, (glia_fit_opts){ .loss = GLIA_MSE }, GLIA_E_SHAPE, "(N, 3)", "(N)");
    expect(linear(3, GLIA_LINEAR), data, (glia_fit_opts){ .loss = GLIA_LOSS_COUNT }, GLIA_E_ARGUMENT, "loss", "");
    expect(linear(3, GLIA_LINEAR), data, (glia_fit_opts){ .epochs = -1 }, GLIA_E_ARGUMENT, "epochs", "");
    expect(linear(3, GLIA_LINEAR), data, (glia_fit_opts){ .label_smoothing = 1.5 }, GLIA_E_ARGUMENT, "label_smoothing",
           "");
    expect(linear(3, GLIA_LINEAR), data, (glia_fit_opts){ .optimizer = { .lr = -1 } }, GLIA_E_ARGUMENT, "lr", "-1");
    expect(linear(0, GLIA_LINEAR), data, (glia_fit_opts){ 0 }, GLIA_E_SHAPE, "fc", "units");
    expect(NULL, data, (glia_fit_opts){ 0 }, GLIA_E_ARGUMENT, "model", "");

    model = glia_model_create(NULL, NULL);
    glia_tensor a = glia_model_input(model, "left", GLIA_F32, GLIA_SHAPE(4)),
                b = glia_model_input(model, "right", GLIA_F32, GLIA_SHAPE(4));
    glia_model_output(model, "y", glia_dense(glia_add(a, b), "fc", (glia_dense_opts){ .units = 3 }));
    expect(model, data, (glia_fit_opts){ 0 }, GLIA_E_ARGUMENT, "left", "right");

    model = linear(3, GLIA_LINEAR);
    glia_freeze(glia_model_graph(model), "*", true);
    expect(model, data, (glia_fit_opts){ 0 }, GLIA_E_ARGUMENT, "trainable", "");

    model = linear(1, GLIA_LINEAR);
    glia_scores scores;
    int64_t confusion[9];
    glia_error error = { 0 };
    assert_int_equal(glia_evaluate(model, rows, (glia_evaluate_opts){ .confusion = confusion }, &scores, &error),
                     GLIA_E_ARGUMENT);
    assert_non_null(strstr(error.message, "classes"));
    assert_int_equal(glia_evaluate(NULL, rows, (glia_evaluate_opts){ 0 }, &scores, NULL), GLIA_E_ARGUMENT);
    glia_model_free(model);
    glia_data_free(data);
    glia_data_free(rows);
}

/* A label outside the model's classes is detected anywhere. */
static void test_label_out_of_range(void **state) {
    (void)state;
    int32_t label[SAMPLES];
    memcpy(label, clouds()->label, sizeof label);
    label[97] = 3;
    glia_dataset *data = dataset(label, GLIA_I32, GLIA_SCALAR);
    glia_model *model = linear(CLASSES, GLIA_LINEAR);
    glia_error error = { 0 };
    assert_int_equal(glia_evaluate(model, data, (glia_evaluate_opts){ .threads = 1 }, NULL, &error), GLIA_E_ARGUMENT);
    assert_non_null(strstr(error.message, "sample 97"));
    expect(model, data, (glia_fit_opts){ 0 }, GLIA_E_ARGUMENT, "sample 97", "label 3");
    glia_data_free(data);
}

/* ---- ignored labels ------------------------------------------------------------------------ */

static glia_status keep_means(const glia_progress *p, void *context, glia_error *error) {
    (void)error;
    *(glia_scores *)context = p->train;
    return GLIA_OK;
}

/* Sequences of different lengths, padded with -1: results are means over the labels of all batches, not means of batch
 * means. */
static void test_means_are_over_labels(void **state) {
    (void)state;
    enum { N = 5, T = 6 };
    static const int lengths[N] = { 1, 6, 2, 0, 5 };
    float x[N * T * FEATURES], y[N * T * CLASSES];
    int32_t label[N * T];
    uint32_t seed = 3;
    for (int i = 0; i < N * T * FEATURES; i++) x[i] = (float)(3 * noise(&seed));
    for (int i = 0; i < N * T; i++) label[i] = i % T < lengths[i / T] ? i * 5 % CLASSES : -1;
    glia_error error = { 0 };
    glia_arrays arrays = {
        .n = N, .x = x, .x_shape = GLIA_SHAPE(T, FEATURES), .y = label, .y_dtype = GLIA_I32, .y_shape = GLIA_SHAPE(T)
    };
    glia_dataset *data = glia_data_arrays(arrays, &error);
    if (!data) fail_msg("%s", error.message);
    glia_model *model = glia_model_create("tokens", NULL);
    glia_tensor in = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(T, FEATURES));
    glia_model_output(model, "y", glia_dense(in, "fc", (glia_dense_opts){ .units = CLASSES }));
    assert_int_equal(glia_predict(model, x, N, y, NULL, &error), GLIA_OK);
    double loss = 0, right = 0, count = 0;
    for (int i = 0; i < N * T; i++) {
        const float *row = y + (ptrdiff_t)i * CLASSES;
        double sum = 0;
        int best = 0;
        if (label[i] < 0) continue;
        for (int k = 0; k < CLASSES; k++) sum += exp((double)row[k]), best = row[k] > row[best] ? k : best;
        loss += log(sum) - (double)row[label[i]];
        right += best == label[i];
        count++;
    }
    glia_scores of[2];
    assert_int_equal(glia_evaluate(model, data, (glia_evaluate_opts){ .batch = 2 }, &of[0], &error), GLIA_OK);
    glia_callback callback = { .epoch_end = keep_means, .context = &of[1] };
    fit(model, data,
        (glia_fit_opts){ .batch = 2, .optimizer = { .lr = 1e-30 }, .callbacks = &callback, .n_callbacks = 1 });
    for (int i = 0; i < 2; i++) {
        assert_int_equal(of[i].samples, N);
        assert_true(fabs(of[i].loss - loss / count) < 1e-6 * loss / count);
        assert_true(fabs(of[i].accuracy - right / count) < 1e-6);
    }
    glia_model_free(model);
    glia_data_free(data);
}

enum { SEQUENCES = 5, LENGTH = 6 };

/* The kernel after training on SEQUENCES samples with this batch size, accumulating `accumulate` batches per step. */
static void trained(int64_t batch, int64_t accumulate, const int32_t *label, bool tokens, float *values) {
    float x[SEQUENCES * LENGTH * FEATURES];
    uint32_t seed = 5;
    for (size_t i = 0; i < sizeof x / sizeof *x; i++) x[i] = (float)(3 * noise(&seed));
    glia_error error = { 0 };
    glia_arrays arrays = { .n = SEQUENCES, .x = x, .y = label, .y_dtype = GLIA_I32 };
    arrays.x_shape = tokens ? GLIA_SHAPE(LENGTH, FEATURES) : GLIA_SHAPE(LENGTH * FEATURES);
    if (tokens) arrays.y_shape = GLIA_SHAPE(LENGTH);
    glia_dataset *data = glia_data_arrays(arrays, &error);
    if (!data) fail_msg("%s", error.message);
    glia_model *model = glia_model_create("tokens", NULL);
    glia_tensor in = glia_model_input(model, "x", GLIA_F32, arrays.x_shape);
    glia_model_output(model, "y", glia_dense(in, "fc", (glia_dense_opts){ .units = CLASSES }));
    assert_int_equal(glia_model_init(model, 7, &error), GLIA_OK);
    const glia_optimizer optimizer = { .kind = GLIA_SGD, .lr = 0.1, .accumulate = accumulate };
    fit(model, data, (glia_fit_opts){ .batch = batch, .epochs = 3, .seed = 2, .optimizer = optimizer });
    glia_array kernel;
    assert_true(glia_store_find(glia_model_store(model), "fc/kernel", &kernel));
    memcpy(values, kernel.data, (size_t)glia_shape_count(kernel.shape) * sizeof *values);
    glia_model_free(model);
    glia_data_free(data);
}

/* A step over accumulated batches equals a step over one large batch, also if their numbers of labels differ (one has
 * none) and if the last has fewer samples. */
static void test_accumulated_batches_are_one(void **state) {
    (void)state;
    static const int lengths[SEQUENCES] = { 1, 6, 2, 0, 5 };
    int32_t label[SEQUENCES * LENGTH];
    for (int i = 0; i < SEQUENCES * LENGTH; i++) label[i] = i % LENGTH < lengths[i / LENGTH] ? i * 5 % CLASSES : -1;
    const int32_t classes[SEQUENCES] = { 0, 1, 2, 1, 0 };
    for (int tokens = 0; tokens < 2; tokens++) {
        const int n = CLASSES * FEATURES * (tokens ? 1 : LENGTH);
        float one[CLASSES * FEATURES * LENGTH], parts[CLASSES * FEATURES * LENGTH];
        trained(SEQUENCES, 1, tokens ? label : classes, tokens, one);
        for (int batch = 1; batch <= 3; batch++) {
            trained(batch, (SEQUENCES + batch - 1) / batch, tokens ? label : classes, tokens, parts);
            for (int i = 0; i < n; i++) {
                if (!(fabs((double)one[i] - (double)parts[i]) < 2e-6))
                    fail_msg("batches of %d: weight %d is %g, not %g", batch, i, parts[i], one[i]);
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learns_classes),
        cmocka_unit_test(test_every_loss),
        cmocka_unit_test(test_binary),
        cmocka_unit_test(test_softmax_output_gives_same_loss),
        cmocka_unit_test(test_one_step_by_hand),
        cmocka_unit_test(test_progress),
        cmocka_unit_test(test_stopping),
        cmocka_unit_test(test_class_weights),
        cmocka_unit_test(test_metrics),
        cmocka_unit_test(test_mixed_labels),
        cmocka_unit_test(test_frozen),
        cmocka_unit_test(test_model_stays_clean),
        cmocka_unit_test(test_divergence),
        cmocka_unit_test(test_evaluate),
        cmocka_unit_test(test_predict),
        cmocka_unit_test(test_inputs),
        cmocka_unit_test(test_sample_shapes),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_label_out_of_range),
        cmocka_unit_test(test_means_are_over_labels),
        cmocka_unit_test(test_accumulated_batches_are_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
