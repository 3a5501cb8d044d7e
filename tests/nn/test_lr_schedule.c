/* test_lr_schedule.c - the learning rate during a fit: as reported, and as observed in the weights. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "glia/glia.h"

enum { SAMPLES = 10, BATCH = 4, STEPS = 3, EPOCHS = 4, MOST = 64 }; /* batches of 4, 4, 2 */

typedef struct record {
    int n;
    double lr[MOST], weight[MOST + 1];
} record;

static double weight_of(glia_model *model) {
    glia_array w;
    assert_true(glia_store_find(glia_model_store(model), "w/kernel", &w));
    return *(const float *)w.data;
}

static glia_status note(const glia_progress *p, void *context, glia_error *error) {
    (void)error;
    record *r = context;
    if (p->step > 0) r->lr[r->n++] = p->lr;
    r->weight[r->n] = weight_of(p->model);
    return GLIA_OK;
}

/* The loss is |w - 1000|, so a step of plain SGD changes w by the learning rate. */
static record fit_with(glia_optimizer optimizer, glia_fit_opts opts) {
    static const float ones[SAMPLES] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 };
    static float far[SAMPLES];
    for (int i = 0; i < SAMPLES; i++) far[i] = 1000;
    glia_dataset *data = glia_data_arrays(
        (glia_arrays){ .n = SAMPLES, .x = ones, .x_shape = GLIA_SHAPE(1), .y = far, .y_shape = GLIA_SHAPE(1) }, NULL);
    glia_model *model = glia_model_create("line", NULL);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(1));
    glia_model_output(model, "y", glia_dense(x, "w", (glia_dense_opts){ .units = 1, .no_bias = true }));
    record r = { 0 };
    opts.epochs = EPOCHS;
    opts.batch = BATCH;
    opts.loss = GLIA_MAE;
    opts.optimizer = optimizer;
    opts.threads = 1;
    glia_callback watch = { .train_begin = note, .step_end = note, .context = &r };
    opts.callbacks = &watch;
    opts.n_callbacks = 1;
    glia_error error = { 0 };
    glia_status status = glia_fit(model, data, opts, &error);
    if (status != GLIA_OK) fail_msg("%s", error.message);
    glia_model_free(model);
    glia_data_free(data);
    return r;
}

static record fit(glia_fit_opts opts) { return fit_with((glia_optimizer){ .kind = GLIA_SGD, .lr = 0.5 }, opts); }

static void check(const record *r, int n, const double *expected) {
    assert_int_equal(r->n, n);
    for (int i = 0; i < n; i++) {
        assert_true(fabs(r->lr[i] - expected[i]) < 1e-7);
        assert_true(fabs(r->weight[i + 1] - r->weight[i] - expected[i]) < 1e-5);
    }
}

static void constant(void **state) {
    (void)state;
    double expected[EPOCHS * STEPS];
    for (int i = 0; i < EPOCHS * STEPS; i++) expected[i] = 0.5;
    record r = fit((glia_fit_opts){ 0 });
    check(&r, EPOCHS * STEPS, expected);
}

static void linear_after_warmup(void **state) {
    (void)state;
    const double expected[] = { 0.125, 0.25, 0.375, 0.5, 0.5, 0.45, 0.4, 0.35, 0.3, 0.25, 0.2, 0.15 };
    record r = fit((glia_fit_opts){ .schedule = { .kind = GLIA_LR_LINEAR, .low = 0.1, .warmup = 4 } });
    check(&r, 12, expected);
}

static void cosine_ends_with_the_last_step(void **state) {
    (void)state;
    const double root = 0.70710678118654752; /* cos of 45 degrees */
    const double expected[] = { 0.5, 0.25 * (1 + root), 0.25, 0.25 * (1 - root) };
    record r = fit((glia_fit_opts){ .schedule = { .kind = GLIA_LR_COSINE }, .max_steps = 4 });
    check(&r, 4, expected);
}

/* v = m v + g with each step's m; the gradient is -1. */
static void momentum_cycles_inversely_to_rate(void **state) {
    (void)state;
    glia_lr_schedule s = { .kind = GLIA_LR_ONE_CYCLE, .momentum_low = 0.5 };
    record r =
        fit_with((glia_optimizer){ .kind = GLIA_SGD, .lr = 0.5, .momentum = 0.9 }, (glia_fit_opts){ .schedule = s });
    double velocity = 0;
    for (int i = 0; i < 12; i++) {
        velocity = glia_lr_schedule_momentum(&s, 0.9, i, 12, STEPS) * velocity + 1;
        assert_true(fabs(r.weight[i + 1] - r.weight[i] - r.lr[i] * velocity) < 1e-4);
    }
}

static void invalid_options_are_rejected(void **state) {
    (void)state;
    glia_dataset *data = glia_data_strokes(4, 0, NULL);
    glia_model *model = glia_model_create("m", NULL);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(1, 28, 28));
    glia_model_output(model, "y", glia_dense(glia_flatten(x), "d", (glia_dense_opts){ .units = 10 }));
    assert_int_equal(glia_fit(model, data, (glia_fit_opts){ .schedule = { .warmup = -1 } }, NULL), GLIA_E_ARGUMENT);
    assert_int_equal(glia_fit(model, data, (glia_fit_opts){ .schedule = { .low = -1 } }, NULL), GLIA_E_ARGUMENT);
    assert_int_equal(glia_fit(model, data, (glia_fit_opts){ .schedule = { .low = NAN } }, NULL), GLIA_E_ARGUMENT);
    glia_model_free(model);
    glia_data_free(data);
}

/* ---- closed forms ------------------------------------------------------------------------------- */

/* Compares every rate of every PyTorch schedule (tools/golden/lr_schedules.py). */
static void schedules_match_pytorch(void **state) {
    (void)state;
    FILE *f = fopen(GLIA_GOLDEN_DIR "/lr_schedules.txt", "r");
    assert_non_null(f);
    static char line[8192];
    int rows = 0;
    while (fgets(line, sizeof line, f)) {
        char *middle = strstr(line, " | "), *numbers = middle ? strstr(middle + 3, " | ") : NULL;
        if (line[0] == '#' || !numbers) continue;
        *middle = *numbers = 0;
        glia_lr_schedule schedule;
        glia_error error;
        const bool momentum = strncmp(line, "momentum ", 9) == 0;
        const char *text = momentum ? line + 9 : line;
        if (glia_lr_schedule_parse(text, &schedule, &error) != GLIA_OK) fail_msg("%s", error.message);
        double lr;
        int total, epoch;
        assert_int_equal(sscanf(middle + 3, "%lf %d %d", &lr, &total, &epoch), 3);
        char *at = numbers + 3;
        for (int step = 0; step < total; step++) {
            double expected = strtod(at, &at);
            double is = momentum ? glia_lr_schedule_momentum(&schedule, lr, step, total, epoch)
                                 : glia_lr_schedule_rate(&schedule, lr, step, total, epoch);
            if (!(fabs(is - expected) <= 1e-12)) fail_msg("%s, step %d: %.15g, not %.15g", line, step, is, expected);
        }
        char printed[256], again[256];
        glia_lr_schedule_print(&schedule, printed, sizeof printed);
        assert_int_equal(glia_lr_schedule_parse(printed, &schedule, &error), GLIA_OK);
        glia_lr_schedule_print(&schedule, again, sizeof again);
        assert_string_equal(printed, text); /* the row is in printed form */
        assert_string_equal(printed, again);
        rows++;
    }
    fclose(f);
    assert_int_equal(rows, 22);
}

/* In Smith 2017 the stepsize (half a period) is an integer; here any value is accepted, and rates stay in range. */
static void cyclic_rates_stay_in_range(void **state) {
    (void)state;
    for (double period = 1.5; period < 40; period *= 1.37) {
        glia_lr_schedule s = { .kind = GLIA_LR_TRIANGULAR, .low = 0.1, .period = period };
        for (int64_t i = 0; i < 200; i++) {
            double r = glia_lr_schedule_rate(&s, 1, i, 200, 10);
            assert_true(r >= 0.1 - 1e-12 && r <= 1 + 1e-12);
        }
    }
}

static void invalid_texts_are_named(void **state) {
    (void)state;
    const struct {
        const char *text, *message;
    } rows[] = {
        { "cosin", "did you mean cosine?" },
        { "cosine(lo=1)", "did you mean low?" },
        { "cosine(low=x)", "expected a number" },
        { "cosine(low=0.1", "expected ')'" },
        { "cosine) ", "expected the end" },
        { "step(period=-1)", "period is -1" },
        { "one-cycle(rise=2)", "rise is 2" },
        { "multistep", "needs milestones" },
        { "multistep(milestones=5:3)", "do not rise" },
        { "triangular(low=0.1)", "needs period" },
        { "exponential", "needs gamma" },
        { "cosine(momentum-low=0.8)", "no cycles" },
        { "", "there is no schedule" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        glia_lr_schedule s;
        glia_error error = { 0 };
        assert_int_equal(glia_lr_schedule_parse(rows[i].text, &s, &error), GLIA_E_ARGUMENT);
        if (!strstr(error.message, rows[i].message)) fail_msg("'%s': %s", rows[i].text, error.message);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constant),
        cmocka_unit_test(linear_after_warmup),
        cmocka_unit_test(cosine_ends_with_the_last_step),
        cmocka_unit_test(momentum_cycles_inversely_to_rate),
        cmocka_unit_test(invalid_options_are_rejected),
        cmocka_unit_test(schedules_match_pytorch),
        cmocka_unit_test(cyclic_rates_stay_in_range),
        cmocka_unit_test(invalid_texts_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
