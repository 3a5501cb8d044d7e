/* test_zero_options.c - options whose default is not zero: GLIA_ZERO and GLIA_NONE set them to zero. */
#include <math.h>
#include <stdio.h>

#include "glia/glia.h"
#include "optim_problem.h"

#define NEAR(is, wanted) near_at(__LINE__, is, wanted)

static void near_at(int line, double is, double wanted) {
    if (!(fabs(is - wanted) <= 1e-12 * (1 + fabs(wanted)))) fail_msg("line %d: %.15g, not %.15g", line, is, wanted);
}

static double before_step(int i) { return i < W_COUNT ? w_at(i) : b_at(i - W_COUNT); }
static double after_steps(const problem *p, int i) {
    return i < W_COUNT ? get(p->store, "w", i) : get(p->store, "b", i - W_COUNT);
}

/* The parameters after `steps` steps of this optimiser. */
static void steps_of(glia_optimizer o, int steps, double values[COUNT]) {
    problem p = build(GLIA_F64);
    glia_minimize(p.loss, o, NULL, NULL);
    start(&p, "ref");
    run(&p, steps);
    for (int i = 0; i < COUNT; i++) values[i] = after_steps(&p, i);
    finish(&p);
}

/* ---- optimisers ----------------------------------------------------------------------------- */

/* With beta1 = 0 a step is lr g / (sqrt(v / (1 - beta2^t)) + epsilon); with both betas 0, lr sign(g). */
static void adam_with_zero_betas_matches_closed_form(void **state) {
    (void)state;
    double one[COUNT], two[COUNT], w[COUNT], next[COUNT], v[COUNT] = { 0 };
    const double lr = 0.0078125, beta2 = 0.9, epsilon = 1e-3;
    const glia_optimizer o = { .kind = GLIA_ADAM, .lr = lr, .beta1 = GLIA_ZERO, .beta2 = beta2, .epsilon = epsilon };
    steps_of((glia_optimizer){ .kind = GLIA_SGD, .lr = 1 }, 1, one);
    steps_of(o, 1, w);
    for (int i = 0; i < COUNT; i++) {
        const double g = before_step(i) - one[i];
        v[i] = (1 - beta2) * g * g;
        NEAR(w[i], before_step(i) - lr * g / (sqrt(v[i] / (1 - beta2)) + epsilon));
    }
    problem p = build(GLIA_F64); /* the gradient at w */
    glia_minimize(p.loss, (glia_optimizer){ .kind = GLIA_SGD, .lr = 1 }, NULL, NULL);
    start(&p, "ref");
    glia_array a, b;
    assert_true(glia_store_find(p.store, "w", &a) && glia_store_find(p.store, "b", &b));
    memcpy(a.data, w, W_COUNT * sizeof *w);
    memcpy(b.data, w + W_COUNT, OUT * sizeof *w);
    run(&p, 1);
    for (int i = 0; i < COUNT; i++) next[i] = after_steps(&p, i);
    finish(&p);
    steps_of(o, 2, two);
    for (int i = 0; i < COUNT; i++) {
        const double g = w[i] - next[i];
        v[i] = beta2 * v[i] + (1 - beta2) * g * g;
        NEAR(two[i], w[i] - lr * g / (sqrt(v[i] / (1 - beta2 * beta2)) + epsilon));
    }
    const glia_optimizer sign = {
        .kind = GLIA_ADAM, .lr = lr, .beta1 = GLIA_ZERO, .beta2 = GLIA_ZERO, .epsilon = GLIA_ZERO
    };
    steps_of(sign, 1, w);
    for (int i = 0; i < COUNT; i++) NEAR(w[i], before_step(i) - copysign(lr, before_step(i) - one[i]));
}

/* Every optimiser accepts zero for each option. The result differs from the default's unless the default is zero or the
 * option is unused. The parameters stay finite, on the CPU backend too. */
static void optimisers_take_zeros(void **state) {
    (void)state;
    for (int kind = 0; kind < GLIA_OPTIMIZER_COUNT; kind++) {
        for (int field = 0; field < 12; field++) {
            glia_optimizer o = { .kind = (glia_optimizer_kind)kind };
            double *const fields[] = { &o.momentum, &o.beta1,    &o.beta2,     &o.rho,        &o.weight_decay, &o.l1,
                                       &o.l2,       &o.max_norm, &o.clip_norm, &o.clip_value, &o.ema,          &o.lr };
            *fields[field] = GLIA_ZERO;
            problem p = build(GLIA_F32);
            glia_minimize(p.loss, o, NULL, NULL);
            start(&p, "cpu");
            run(&p, 3);
            for (int i = 0; i < COUNT; i++) {
                const double is = after_steps(&p, i);
                if (!isfinite(is)) fail_msg("%s, field %d: [%d] is %g", glia_optimizer_name(o.kind), field, i, is);
                if (field == 11 && is != (double)(float)before_step(i))
                    fail_msg("%s moves with a rate of zero", glia_optimizer_name(o.kind));
            }
            finish(&p);
        }
    }
    const glia_optimizer o = { .kind = GLIA_ADAM, .beta1 = GLIA_ZERO };
    assert_true(glia_optimizer_resolved(glia_optimizer_resolved(o)).beta1 == GLIA_ZERO);
}

static void group_with_zero_rate_is_unchanged(void **state) {
    (void)state;
    const glia_parameter_group still = { .pattern = "b", .lr_scale = GLIA_ZERO };
    double values[COUNT];
    steps_of((glia_optimizer){ .lr = 0.5, .groups = &still, .n_groups = 1 }, 2, values);
    for (int i = W_COUNT; i < COUNT; i++) assert_true(values[i] == before_step(i));
    assert_true(values[0] != before_step(0));
}

static void schedules_take_zeros(void **state) {
    (void)state;
    const glia_lr_schedule stop = { .kind = GLIA_LR_STEP, .gamma = GLIA_ZERO, .period = 2 };
    NEAR(glia_lr_schedule_rate(&stop, 0.5, 1, 10, 10), 0.5);
    NEAR(glia_lr_schedule_rate(&stop, 0.5, 2, 10, 10), 0);
    const glia_lr_schedule flat = { .kind = GLIA_LR_POLYNOMIAL, .power = GLIA_ZERO, .low = GLIA_ZERO };
    NEAR(glia_lr_schedule_rate(&flat, 0.5, 7, 10, 10), 0.5);
    const glia_lr_schedule cycle = { .kind = GLIA_LR_TRIANGULAR, .period = 4, .momentum_low = GLIA_ZERO };
    NEAR(glia_lr_schedule_momentum(&cycle, 0.9, 2, 10, 10), 0);
    glia_lr_schedule s;
    glia_error error;
    char text[128];
    assert_int_equal(glia_lr_schedule_parse("step(gamma=0, period=2)", &s, &error), GLIA_OK);
    NEAR(glia_lr_schedule_rate(&s, 0.5, 2, 10, 10), 0);
    glia_lr_schedule_print(&s, text, sizeof text);
    assert_string_equal(text, "step(gamma=0, period=2)");
    assert_int_equal(glia_lr_schedule_parse("one-cycle(divide=0)", &s, &error), GLIA_E_ARGUMENT);
    assert_non_null(strstr(error.message, "divide cannot be 0"));
}

/* ---- layers and initial values -------------------------------------------------------------- */

static double value_of(glia_tensor x) {
    double value[16];
    glia_error error;
    if (glia_eval(x, value, 16, &error) != GLIA_OK) fail_msg("%s", error.message);
    return value[0];
}

static void layers_take_zeros(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    const glia_shape four = GLIA_SHAPE(2, 2);
    const glia_init mean = { .kind = GLIA_INIT_NORMAL, .mean = 3, .stddev = GLIA_ZERO };
    NEAR(value_of(glia_parameter(g, "mean", GLIA_F64, four, mean)), 3);
    const glia_init zero_gain = { .kind = GLIA_INIT_ORTHOGONAL, .value = GLIA_ZERO };
    NEAR(value_of(glia_parameter(g, "gain", GLIA_F64, four, zero_gain)), 0);
    const double row[] = { 1, 3 };
    glia_tensor x = glia_constant(g, GLIA_F64, GLIA_SHAPE(1, 2), row);
    NEAR(value_of(glia_layer_norm(x, "norm", (glia_norm_opts){ .epsilon = GLIA_ZERO })), -1);
    NEAR(value_of(glia_rms_norm(x, "rms", (glia_norm_opts){ .epsilon = GLIA_ZERO })), 1 / sqrt(5));
    const double queries[] = { 1, 2 }, keys[] = { 1, 2, 3, 4 }, two[] = { 10, 0, 20, 0 };
    glia_tensor q = glia_constant(g, GLIA_F64, GLIA_SHAPE(1, 1, 1, 2), queries);
    glia_tensor k = glia_constant(g, GLIA_F64, GLIA_SHAPE(1, 2, 1, 2), keys);
    glia_tensor v = glia_constant(g, GLIA_F64, GLIA_SHAPE(1, 2, 1, 2), two);
    NEAR(value_of(glia_attention(q, k, v, (glia_attention_opts){ .scale = GLIA_ZERO })), 15);
    glia_graph_free(g);
}

/* ---- sampling tokens, augmentation ---------------------------------------------------------- */

static void sampling_takes_zeros(void **state) {
    (void)state;
    const float scores[] = { 1, 2, 1.9f, 0 };
    const glia_sampling likeliest[] = { { .temperature = GLIA_ZERO }, { .top_p = GLIA_ZERO } };
    for (int k = 0; k < 2; k++) {
        glia_error error;
        glia_sampler *s = glia_sampler_create(4, likeliest[k], &error);
        if (!s) fail_msg("%s", error.message);
        for (int n = 0; n < 50; n++) {
            int32_t token, past[50] = { 0 };
            assert_int_equal(glia_sampler_next(s, scores, past, n, &token, &error), GLIA_OK);
            assert_int_equal(token, 1);
        }
        glia_sampler_free(s);
    }
}

/* Transformations that zero options turn into the identity leave a sample unchanged. */
static void augmentations_take_zeros(void **state) {
    (void)state;
    static const char *const texts[] = { "crop(pad=0)",  "flip(p=0)",      "rotate(0)",
                                         "translate(0)", "shear(0)",       "elastic(alpha=0)",
                                         "noise(0)",     "grayscale(p=0)", "translate(x=0, y=0)" };
    glia_error error;
    float x[48], was[48];
    for (int i = 0; i < 48; i++) was[i] = (float)(i % 7) / 8;
    for (int k = 0; k < 18; k++) {
        const char *text = texts[k % 9];
        glia_augment *a = k < 9 ? glia_augment_parse(text, &error) : glia_augment_create(&error);
        if (k == 9) glia_augment_crop(a, (glia_augment_crop_opts){ .pad = GLIA_NONE });
        if (k == 10) glia_augment_flip(a, (glia_augment_flip_opts){ .p = GLIA_ZERO });
        if (k == 11) glia_augment_rotate(a, (glia_augment_rotate_opts){ .degrees = GLIA_ZERO });
        if (k == 12) glia_augment_translate(a, (glia_augment_translate_opts){ .x = GLIA_ZERO });
        if (k == 13) glia_augment_shear(a, (glia_augment_shear_opts){ .x = GLIA_ZERO });
        if (k == 14) glia_augment_elastic(a, (glia_augment_elastic_opts){ .alpha = GLIA_ZERO });
        if (k == 15) glia_augment_noise(a, (glia_augment_noise_opts){ .sigma = GLIA_ZERO });
        if (k == 16) glia_augment_grayscale(a, (glia_augment_grayscale_opts){ .p = GLIA_ZERO });
        if (k == 17) glia_augment_translate(a, (glia_augment_translate_opts){ .x = GLIA_ZERO, .y = GLIA_ZERO });
        if (!a) fail_msg("%s: %s", text, error.message);
        for (int index = 0; index < 8; index++) {
            memcpy(x, was, sizeof x);
            assert_int_equal(glia_augment_apply(a, GLIA_SHAPE(3, 4, 4), 1, 0, index, x, &error), GLIA_OK);
            for (int i = 0; i < 48; i++)
                if (fabsf(x[i] - was[i]) > 1e-6f) fail_msg("%s, %d: [%d] is changed", text, k, i);
        }
        glia_augment_free(a);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adam_with_zero_betas_matches_closed_form),
        cmocka_unit_test(optimisers_take_zeros),
        cmocka_unit_test(group_with_zero_rate_is_unchanged),
        cmocka_unit_test(schedules_take_zeros),
        cmocka_unit_test(layers_take_zeros),
        cmocka_unit_test(sampling_takes_zeros),
        cmocka_unit_test(augmentations_take_zeros),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
