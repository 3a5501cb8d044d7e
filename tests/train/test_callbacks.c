/* test_callbacks.c - callbacks of a fit. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "glia/glia.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

/* The model y = w x with the training sample (1, 1000): the loss is |w - 1000| with gradient -1, so each step adds the
 * learning rate to w. Afterwards the validation loss is 1000 - w. */
enum { SAMPLES = 8 };
static float ones[SAMPLES] = { 1, 1, 1, 1, 1, 1, 1, 1 };

static glia_dataset *points(float y) {
    float far[SAMPLES];
    for (int i = 0; i < SAMPLES; i++) far[i] = y;
    glia_dataset *data = glia_data_arrays(
        (glia_arrays){ .n = SAMPLES, .x = ones, .x_shape = GLIA_SHAPE(1), .y = far, .y_shape = GLIA_SHAPE(1) }, NULL);
    assert_non_null(data);
    return data;
}

static glia_model *line(void) {
    glia_model *model = glia_model_create("line", NULL);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(1));
    glia_init zero = { .kind = GLIA_INIT_ZEROS };
    glia_model_output(model, "y",
                      glia_dense(x, "w", (glia_dense_opts){ .units = 1, .no_bias = true, .kernel_init = zero }));
    return model;
}

static double value_of(glia_model *model, const char *name) {
    glia_array w;
    assert_true(glia_store_find(glia_model_store(model), name, &w));
    return *(const float *)w.data;
}

static glia_fit_opts opts_for(const glia_callback *callbacks, int n) {
    return (glia_fit_opts){ .epochs = 6,
                            .batch = 4, /* two steps per epoch */
                            .loss = GLIA_MAE,
                            .optimizer = { .kind = GLIA_SGD, .lr = 0.5 },
                            .threads = 1,
                            .callbacks = callbacks,
                            .n_callbacks = n };
}

static void ok(glia_status status, const glia_error *error) {
    if (status != GLIA_OK) fail_msg("%s", error->message);
}

/* ---- scripted validation losses ------------------------------------------------------------------- */

/* Records per epoch; validation losses are set by the validation targets: |target - w|. */
typedef struct epochs {
    int n;
    double lr[32], w[32], seen[32];
} epochs;

static glia_status note(const glia_progress *p, void *context, glia_error *error) {
    (void)error;
    epochs *e = context;
    e->lr[e->n] = p->lr;
    e->w[e->n] = value_of(p->model, "w/kernel");
    e->seen[e->n++] = glia_progress_value(p, "val_loss");
    return GLIA_OK;
}

static glia_callback notes(epochs *e) { return (glia_callback){ .name = "notes", .epoch_end = note, .context = e }; }

/* w grows by 1 per epoch from 0 and the validation target is 3: the validation losses are 2, 1, 0, 1, 2, 3. */
static void early_stopping_has_patience_and_restores(void **state) {
    (void)state;
    glia_dataset *data = points(1000), *held = points(3);
    for (int patience = 0; patience <= 3; patience++) {
        for (int restore = 0; restore < 2; restore++) {
            glia_model *model = line();
            epochs e = { 0 };
            glia_callback c[] = { glia_early_stopping((glia_early_stopping_opts){ .patience = patience,
                                                                                  .restore_best_weights = restore }),
                                  notes(&e) };
            glia_fit_opts o = opts_for(c, 2);
            o.validation = held;
            glia_error error;
            ok(glia_fit(model, data, o, &error), &error);
            int last = patience == 0 ? 4 : 3 + patience; /* as in Keras, patience 0 and 1 are the same */
            assert_int_equal(e.n, last);
            assert_true(fabs(value_of(model, "w/kernel") - (restore ? 3 : last)) < 1e-5);
            glia_model_free(model);
        }
    }
    glia_data_free(data);
    glia_data_free(held);
}

static void early_stopping_min_and_max(void **state) {
    (void)state;
    glia_dataset *data = points(1000), *held = points(3);
    glia_model *model = line();
    epochs e = { 0 };
    glia_callback c[] = { glia_early_stopping((glia_early_stopping_opts){
                              .monitor = "val_loss", .mode = GLIA_MONITOR_MAX, .patience = 1 }),
                          notes(&e) };
    glia_fit_opts o = opts_for(c, 2);
    o.validation = held;
    glia_error error;
    ok(glia_fit(model, data, o, &error), &error);
    assert_int_equal(e.n, 2); /* 2, then 1: no improvement in max mode */
    glia_model_free(model);
    glia_callback unknown[] = { glia_early_stopping((glia_early_stopping_opts){ .monitor = "val_los" }) };
    model = line();
    o = opts_for(unknown, 1);
    assert_int_equal(glia_fit(model, data, o, &error), GLIA_E_ARGUMENT);
    assert_non_null(strstr(error.message, "no value 'val_los'; there are loss, lr"));
    glia_model_free(model);
    glia_data_free(data);
    glia_data_free(held);
}

static void plateaus_lower_the_rate(void **state) {
    (void)state;
    glia_dataset *data = points(1000), *held = points(0);
    glia_model *model = line();
    epochs e = { 0 };
    glia_callback c[] = { glia_reduce_lr_on_plateau((glia_reduce_lr_on_plateau_opts){
                              .factor = 0.25, .patience = 2, .cooldown = 2, .min_lr = 0.01 }),
                          notes(&e) };
    glia_fit_opts o = opts_for(c, 2);
    o.validation = held; /* its loss is w, which only grows: the first epoch remains the best */
    o.epochs = 12;
    glia_error error;
    ok(glia_fit(model, data, o, &error), &error);
    /* Two bad epochs after the first, then a reduction; the first epoch of a cooldown of two is not counted (Keras). */
    const double expected[] = { 0.5, 0.5, 0.5, 0.125, 0.125, 0.125, 0.03125, 0.03125, 0.03125, 0.01, 0.01, 0.01 };
    assert_int_equal(e.n, COUNT(expected));
    for (int i = 0; i < e.n; i++) {
        if (fabs(e.lr[i] - expected[i]) > 1e-7) fail_msg("epoch %d: rate %g, not %g", i + 1, e.lr[i], expected[i]);
    }
    glia_model_free(model);
    glia_data_free(data);
    glia_data_free(held);
}

static double halves(int64_t epoch, double lr, void *context) {
    *(int *)context += epoch == 0 ? 0 : 1;
    return epoch == 0 ? lr : lr / 2;
}

static void schedulers_set_each_epochs_rate(void **state) {
    (void)state;
    glia_dataset *data = points(1000);
    glia_model *model = line();
    epochs e = { 0 };
    int calls = 0;
    glia_callback c[] = { glia_learning_rate_scheduler(halves, &calls), notes(&e) };
    glia_error error;
    ok(glia_fit(model, data, opts_for(c, 2), &error), &error);
    double w = 0, lr = 0.5;
    for (int i = 0; i < 6; i++, lr /= 2) {
        w += 2 * lr;
        assert_true(fabs(e.lr[i] - lr) < 1e-9 && fabs(e.w[i] - w) < 1e-4);
    }
    assert_int_equal(calls, 5);
    glia_model_free(model);
    glia_data_free(data);
}

/* ---- files ---------------------------------------------------------------------------------------- */

static void models_are_saved_when_better(void **state) {
    (void)state;
    glia_dataset *data = points(1000), *held = points(3);
    glia_model *model = line();
    for (int i = 1; i <= 6; i++) {
        char name[64];
        snprintf(name, sizeof name, "m-%d.safetensors", i);
        unlink(name);
    }
    glia_callback c[] = {
        glia_model_checkpoint((glia_model_checkpoint_opts){ .path = "best.safetensors", .save_best_only = true }),
        glia_model_checkpoint((glia_model_checkpoint_opts){ .path = "m-{epoch}.safetensors" }),
        glia_model_checkpoint(
            (glia_model_checkpoint_opts){ .path = "loss-{val_loss:.1f}.safetensors", .save_freq = 100 }),
    };
    glia_fit_opts o = opts_for(c, 3);
    o.validation = held;
    glia_error error;
    ok(glia_fit(model, data, o, &error), &error);
    glia_model *best = glia_model_load("best.safetensors", &error);
    assert_non_null(best);
    assert_true(fabs(value_of(best, "w/kernel") - 3) < 1e-5);
    glia_model_free(best);
    for (int i = 1; i <= 6; i++) {
        char name[64];
        snprintf(name, sizeof name, "m-%d.safetensors", i);
        glia_model *m = glia_model_load(name, &error);
        assert_non_null(m);
        assert_true(fabs(value_of(m, "w/kernel") - i) < 1e-5);
        glia_model_free(m);
    }
    glia_model_free(model);
    glia_callback bad[] = { glia_model_checkpoint((glia_model_checkpoint_opts){ .path = "m-{epcoh}" }) };
    model = line();
    assert_int_equal(glia_fit(model, data, opts_for(bad, 1), &error), GLIA_E_ARGUMENT);
    assert_non_null(strstr(error.message, "{epcoh}"));
    glia_model_free(model);
    glia_data_free(data);
    glia_data_free(held);
}

static void csv_has_a_line_for_each_epoch(void **state) {
    (void)state;
    glia_dataset *data = points(1000), *held = points(3);
    for (int pass = 0; pass < 2; pass++) {
        glia_model *model = line();
        glia_callback c[] = { glia_csv_logger("log.csv", pass == 1) };
        glia_fit_opts o = opts_for(c, 1);
        o.validation = held;
        glia_error error;
        ok(glia_fit(model, data, o, &error), &error);
        glia_model_free(model);
        FILE *f = fopen("log.csv", "r");
        char text[200];
        int lines = 0;
        while (fgets(text, sizeof text, f)) {
            if (lines == 0) assert_string_equal(text, "epoch,step,loss,val_loss,lr,seconds\n");
            int epoch, step;
            double loss, val_loss, lr, seconds;
            if (lines > 0) {
                assert_int_equal(sscanf(text, "%d,%d,%lf,%lf,%lf,%lf", &epoch, &step, &loss, &val_loss, &lr, &seconds),
                                 6);
                assert_int_equal(epoch, (lines - 1) % 6 + 1);
                assert_int_equal(step, 2 * epoch);
            }
            lines++;
        }
        fclose(f);
        assert_int_equal(lines, 1 + 6 * (pass + 1));
    }
    glia_data_free(data);
    glia_data_free(held);
    glia_model *model = line();
    data = points(1000);
    glia_callback nowhere[] = { glia_csv_logger("no/such/folder/log.csv", false) };
    glia_error error;
    assert_int_equal(glia_fit(model, data, opts_for(nowhere, 1), &error), GLIA_E_IO);
    assert_non_null(strstr(error.message, "no/such/folder/log.csv"));
    glia_model_free(model);
    glia_data_free(data);
}

/* ---- averages of weights -------------------------------------------------------------------------- */

/* After step k (from 1) w is k/2, so the average e_k = m e_{k-1} + (1 - m) k/2 from e_0 = 0. */
static void ema_weights_are_validated_and_kept(void **state) {
    (void)state;
    for (int at_end = 0; at_end < 2; at_end++) {
        glia_dataset *data = points(1000), *held = points(100);
        glia_model *model = line();
        epochs e = { 0 };
        glia_callback c[] = { glia_swap_ema_weights(at_end), notes(&e) };
        glia_fit_opts o = opts_for(c, 2);
        o.optimizer.ema = 0.75;
        o.validation = held;
        glia_error error;
        ok(glia_fit(model, data, o, &error), &error);
        double average = 0;
        for (int k = 1; k <= 12; k++) {
            average = 0.75 * average + 0.25 * k / 2;
            if (k % 2 == 0) assert_true(fabs(e.seen[k / 2 - 1] - (100 - average)) < 1e-3);
        }
        assert_true(fabs(value_of(model, "w/kernel") - (at_end ? average : 6)) < 1e-4);
        glia_model_free(model);
        glia_data_free(data);
        glia_data_free(held);
    }
    glia_dataset *data = points(1000);
    glia_model *model = line();
    glia_callback c[] = { glia_swap_ema_weights(false) };
    glia_error error;
    assert_int_equal(glia_fit(model, data, opts_for(c, 1), &error), GLIA_E_ARGUMENT);
    assert_non_null(strstr(error.message, "optimizer.ema"));
    glia_model_free(model);
    glia_data_free(data);
}

static void swa_is_the_mean_of_epochs(void **state) {
    (void)state;
    glia_dataset *data = points(1000);
    glia_model *model = line();
    glia_callback c[] = { glia_swa((glia_swa_opts){ .start = 2, .every = 2 }) };
    glia_error error;
    ok(glia_fit(model, data, opts_for(c, 1), &error), &error);
    assert_true(fabs(value_of(model, "w/kernel") - (2 + 4 + 6) / 3.0) < 1e-5);
    glia_model_free(model);
    glia_data_free(data);
}

/* After SWA batch norm's statistics are the mean of the batch statistics over batches and uses; here all batches are
 * equal. A second use of the layer gets the values doubled. */
static void check_measured_norms(bool twice) {
    enum { N = 32 };
    float x[N][2], y[N];
    double mean[2] = { 0 }, var[2] = { 0 };
    for (int i = 0; i < N; i++) {
        x[i][0] = (float)sin(i), x[i][1] = (float)(2 * cos(3 * i)), y[i] = x[i][0];
        for (int k = 0; k < 2; k++) mean[k] += (double)x[i][k] / N;
    }
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < 2; k++) var[k] += ((double)x[i][k] - mean[k]) * ((double)x[i][k] - mean[k]) / (N - 1);
    }
    glia_dataset *data = glia_data_arrays(
        (glia_arrays){ .n = N, .x = x, .x_shape = GLIA_SHAPE(2), .y = y, .y_shape = GLIA_SHAPE(1) }, NULL);
    glia_model *model = glia_model_create("bn", NULL);
    glia_tensor t = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(2));
    glia_tensor u = glia_batch_norm(t, "bn", (glia_norm_opts){ .momentum = 0.2 });
    if (twice) u = glia_add(u, glia_batch_norm(glia_mul_scalar(t, 2), "bn", (glia_norm_opts){ .momentum = 0.2 }));
    glia_model_output(model, "y", glia_dense(u, "w", (glia_dense_opts){ .units = 1 }));
    glia_callback c[] = { glia_swa((glia_swa_opts){ .start = 1, .data = data }) };
    glia_error error;
    ok(glia_fit(model, data, (glia_fit_opts){ .epochs = 4, .batch = N, .callbacks = c, .n_callbacks = 1 }, &error),
       &error);
    glia_array m, v;
    assert_true(glia_store_find(glia_model_store(model), "bn/running_mean", &m));
    assert_true(glia_store_find(glia_model_store(model), "bn/running_var", &v));
    for (int k = 0; k < 2; k++) {
        assert_true(fabs((double)((float *)m.data)[k] - mean[k] * (twice ? 1.5 : 1)) < 1e-5);
        assert_true(fabs((double)((float *)v.data)[k] - var[k] * (twice ? 2.5 : 1)) < 1e-5);
    }
    glia_model_free(model);
    glia_data_free(data);
}

static void swa_recomputes_batch_norm(void **state) {
    (void)state;
    check_measured_norms(false);
    check_measured_norms(true);
}

/* ---- NaN and errors --------------------------------------------------------------------------------- */

/* sqrt of a value that becomes negative: the forward pass of layer "root" produces the first NaN. */
static void nan_names_its_op(void **state) {
    (void)state;
    glia_dataset *data = points(1000);
    glia_model *model = glia_model_create("root", NULL);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(1));
    glia_init two = { .kind = GLIA_INIT_CONSTANT, .value = 2 };
    x = glia_dense(x, "shrinks", (glia_dense_opts){ .units = 1, .no_bias = true, .kernel_init = two });
    glia_tensor y = glia_neg(glia_sqrt(x)); /* to approach 1000, w must fall below zero */
    glia_model_output(model, "y", y);
    glia_callback c[] = { glia_terminate_on_nan() };
    glia_error error;
    glia_fit_opts o = opts_for(c, 1);
    o.optimizer.lr = 1;
    o.optimizer.momentum = 0.9; /* replayed steps also need the optimiser states */
    assert_int_equal(glia_fit(model, data, o, &error), GLIA_E_ARGUMENT);
    assert_non_null(strstr(error.message, "result"));
    assert_non_null(strstr(error.message, "of sqrt"));
    assert_true(fabs(value_of(model, "shrinks/kernel")) <= 2); /* value at the start of the last good epoch */
    glia_model_free(model);
    glia_data_free(data);
}

/* 1/x at 1e-30: the gradient overflows while the loss is finite, so the origin is one step before the bad loss. */
static void nan_of_a_gradient_is_found_before_the_loss(void **state) {
    (void)state;
    glia_dataset *data = points(0);
    glia_model *model = glia_model_create("gradient", NULL);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(1));
    glia_init small = { .kind = GLIA_INIT_CONSTANT, .value = 1e-30 };
    x = glia_dense(x, "tiny", (glia_dense_opts){ .units = 1, .no_bias = true, .kernel_init = small });
    glia_model_output(model, "y", glia_add(glia_mul_scalar(glia_reciprocal(x), 1e-29), x));
    glia_callback c[] = { glia_terminate_on_nan() };
    glia_error error;
    assert_int_equal(glia_fit(model, data, opts_for(c, 1), &error), GLIA_E_ARGUMENT);
    assert_non_null(strstr(error.message, "in step 1"));
    assert_null(strstr(error.message, "the parameter"));
    glia_model_free(model);
    glia_data_free(data);
}

/* ---- order, train_end, stopping ------------------------------------------------------------------- */

static char moments[4096];
static glia_status add(const char *what, const void *who) {
    snprintf(moments + strlen(moments), sizeof moments - strlen(moments), "%s%s ", what, (const char *)who);
    return GLIA_OK;
}
static glia_status on_begin(const glia_progress *p, void *c, glia_error *e) { return (void)p, (void)e, add("B", c); }
static glia_status on_epoch(const glia_progress *p, void *c, glia_error *e) { return (void)p, (void)e, add("e", c); }
static glia_status on_step(const glia_progress *p, void *c, glia_error *e) { return (void)p, (void)e, add("s", c); }
static glia_status on_v(const glia_progress *p, void *c, glia_error *e) { return (void)p, (void)e, add("v", c); }
static glia_status on_w(const glia_progress *p, void *c, glia_error *e) { return (void)p, (void)e, add("w", c); }
static glia_status on_end(const glia_progress *p, void *c, glia_error *e) { return (void)p, (void)e, add("E", c); }
static glia_status on_finish(const glia_progress *p, void *c, glia_error *e) { return (void)p, (void)e, add("F", c); }
static void on_free(void *c) { add("x", c); }

static glia_callback all(const char *name, bool last) {
    return (glia_callback){ .name = name,
                            .train_begin = on_begin,
                            .epoch_begin = on_epoch,
                            .step_end = on_step,
                            .validation_begin = on_v,
                            .validation_end = on_w,
                            .epoch_end = on_end,
                            .train_end = on_finish,
                            .free = on_free,
                            .context = (void *)(uintptr_t)name,
                            .after_others = last };
}

static glia_status refuse(const glia_progress *p, void *c, glia_error *e) {
    (void)p, (void)c, (void)e;
    return GLIA_E_UNSUPPORTED;
}

static void events_come_in_order(void **state) {
    (void)state;
    glia_dataset *data = points(1000), *held = points(3);
    glia_model *model = line();
    glia_callback c[] = { all("2", true), all("1", false) };
    glia_fit_opts o = opts_for(c, 2);
    o.epochs = 1;
    o.validation = held;
    moments[0] = 0;
    glia_error error;
    ok(glia_fit(model, data, o, &error), &error);
    assert_string_equal(moments, "B1 B2 e1 e2 s1 s2 s1 s2 v1 v2 w1 w2 E1 E2 F1 F2 x2 x1 ");
    /* train_end is called only if train_begin succeeded; all callbacks are freed. */
    glia_callback broken[] = { all("1", false), all("2", false), all("3", false) };
    broken[1].train_begin = refuse;
    o = opts_for(broken, 3);
    moments[0] = 0;
    assert_int_equal(glia_fit(model, data, o, &error), GLIA_E_UNSUPPORTED);
    assert_non_null(strstr(error.message, "the callback 2"));
    assert_string_equal(moments, "B1 F1 x1 x2 x3 ");
    glia_model_free(model);
    glia_data_free(data);
    glia_data_free(held);
}

static glia_status no_step(const glia_progress *p, void *context, glia_error *error) {
    (void)p, (void)context, (void)error;
    fail_msg("a step was taken");
    return GLIA_OK;
}

static void unknown_metrics_are_reported_before_the_first_step(void **state) {
    (void)state;
    glia_dataset *data = points(1000), *held = points(3);
    for (int i = 0; i < 6; i++) {
        const char *name = i < 3 ? "val_los" : "val_loss"; /* exists only with validation data */
        glia_callback c[] = {
            i % 3 == 0   ? glia_early_stopping((glia_early_stopping_opts){ .monitor = name })
            : i % 3 == 1 ? glia_reduce_lr_on_plateau((glia_reduce_lr_on_plateau_opts){ .monitor = name })
                         : glia_model_checkpoint((glia_model_checkpoint_opts){
                               .path = "best.safetensors", .monitor = name, .save_best_only = true }),
            { .step_end = no_step },
        };
        glia_fit_opts o = opts_for(c, 2);
        o.validation = i < 3 ? held : NULL;
        glia_model *model = line();
        glia_error error = { 0 };
        assert_int_equal(glia_fit(model, data, o, &error), GLIA_E_ARGUMENT);
        assert_non_null(strstr(error.message, i < 3 ? "did you mean val_loss?" : "there are loss, lr"));
        glia_model_free(model);
    }
    glia_data_free(data);
    glia_data_free(held);
}

static void bad_options_are_reported_when_training_begins(void **state) {
    (void)state;
    glia_dataset *data = points(1000);
    glia_callback bad[] = {
        glia_early_stopping((glia_early_stopping_opts){ .patience = -1 }),
        glia_reduce_lr_on_plateau((glia_reduce_lr_on_plateau_opts){ .factor = 2 }),
        glia_learning_rate_scheduler(NULL, NULL),
        glia_model_checkpoint((glia_model_checkpoint_opts){ 0 }),
        glia_backup_and_restore((glia_backup_and_restore_opts){ 0 }),
        glia_model_checkpoint((glia_model_checkpoint_opts){ .path = "x", .min_seconds = -1 }),
        glia_backup_and_restore((glia_backup_and_restore_opts){ .path = "x", .min_seconds = -1 }),
        glia_csv_logger(NULL, false),
        glia_swa((glia_swa_opts){ .start = -1 }),
    };
    for (int i = 0; i < COUNT(bad); i++) {
        glia_model *model = line();
        glia_error error = { 0 };
        assert_int_equal(glia_fit(model, data, opts_for(&bad[i], 1), &error), GLIA_E_ARGUMENT);
        assert_true(error.message[0] != 0);
        glia_model_free(model);
    }
    glia_data_free(data);
}

/* ---- learning rate range test --------------------------------------------------------------------- */

/* Least squares with curvature 2 in w: descent diverges for rates above 1. */
static void range_test_finds_divergence(void **state) {
    (void)state;
    float y[SAMPLES] = { 2.9f, 3.1f, 2.9f, 3.1f, 2.8f, 3.2f, 3, 3 };
    glia_dataset *data = glia_data_arrays(
        (glia_arrays){ .n = SAMPLES, .x = ones, .x_shape = GLIA_SHAPE(1), .y = y, .y_shape = GLIA_SHAPE(1) }, NULL);
    glia_model *model = line();
    glia_lr_point found[200];
    int64_t n;
    double suggested;
    glia_error error;
    glia_fit_opts o = opts_for(NULL, 0);
    o.loss = GLIA_MSE;
    ok(glia_lr_find(model, data, o, (glia_lr_find_opts){ .from = 1e-4, .to = 100, .steps = 200 }, found, &n, &suggested,
                    &error),
       &error);
    if (n <= 100 || n >= 200) fail_msg("%d points, the last at %g: %g", (int)n, found[n - 1].lr, found[n - 1].smooth);
    for (int64_t i = 0; i < n; i++) assert_true(fabs(found[i].lr / (1e-4 * pow(1e6, (double)i / 199)) - 1) < 1e-5);
    assert_true(found[n - 1].lr > 1 && found[n - 1].lr < 20);
    if (!(suggested > 1e-3 && suggested < 1)) fail_msg("suggested %g", suggested);
    assert_true(value_of(model, "w/kernel") == 0); /* restored */
    glia_model_free(model);
    glia_data_free(data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(early_stopping_has_patience_and_restores),
        cmocka_unit_test(early_stopping_min_and_max),
        cmocka_unit_test(plateaus_lower_the_rate),
        cmocka_unit_test(schedulers_set_each_epochs_rate),
        cmocka_unit_test(models_are_saved_when_better),
        cmocka_unit_test(csv_has_a_line_for_each_epoch),
        cmocka_unit_test(ema_weights_are_validated_and_kept),
        cmocka_unit_test(swa_is_the_mean_of_epochs),
        cmocka_unit_test(swa_recomputes_batch_norm),
        cmocka_unit_test(nan_names_its_op),
        cmocka_unit_test(nan_of_a_gradient_is_found_before_the_loss),
        cmocka_unit_test(events_come_in_order),
        cmocka_unit_test(unknown_metrics_are_reported_before_the_first_step),
        cmocka_unit_test(bad_options_are_reported_when_training_begins),
        cmocka_unit_test(range_test_finds_divergence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
