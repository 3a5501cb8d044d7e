/* test_spiking_layers.c - spiking layers against snnTorch: outputs and gradients; codes, losses and mistakes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "asserts.h"
#include "golden_net.h"
#include "run_graph.h"

static glia_error error;

/* ---- snnTorch ------------------------------------------------------------------------------------- */

enum { N = 3, T = 12 };

static glia_tensor dense_net(glia_graph *g, glia_spiking_opts opts) {
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(N, T, 6)), both[2];
    x = glia_spiking_dense(x, "hidden", (glia_dense_opts){ .units = 10 }, opts);
    opts.beta = 0.8, opts.threshold = 0.5, opts.membrane = &both[1];
    both[0] = glia_spiking_dense(x, "out", (glia_dense_opts){ .units = 4 }, opts);
    return glia_concat(both, 2, 2);
}

static glia_tensor arctangent(glia_graph *g) { return dense_net(g, (glia_spiking_opts){ 0 }); }
static glia_tensor fast_sigmoid(glia_graph *g) {
    return dense_net(g, (glia_spiking_opts){ .surrogate = GLIA_SURROGATE_FAST_SIGMOID });
}
static glia_tensor triangle(glia_graph *g) {
    return dense_net(g, (glia_spiking_opts){ .surrogate = GLIA_SURROGATE_TRIANGLE });
}
static glia_tensor straight_through(glia_graph *g) {
    return dense_net(g, (glia_spiking_opts){ .surrogate = GLIA_SURROGATE_STRAIGHT_THROUGH });
}
static glia_tensor to_zero(glia_graph *g) { return dense_net(g, (glia_spiking_opts){ .to_zero = true }); }

static glia_tensor with_membrane(glia_graph *g, int units, glia_spiking_opts opts) {
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(N, T, 5)), membrane = NULL;
    opts.membrane = &membrane;
    glia_tensor spikes = glia_spiking_dense(x, "hidden", (glia_dense_opts){ .units = units }, opts);
    return glia_add(spikes, membrane);
}
static glia_tensor synaptic(glia_graph *g) { return with_membrane(g, 8, (glia_spiking_opts){ .alpha = 0.7 }); }
static glia_tensor recurrent(glia_graph *g) { return with_membrane(g, 7, (glia_spiking_opts){ .recurrent = true }); }

static glia_tensor conv(glia_graph *g) {
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(N, T, 2, 6, 6));
    return glia_spiking_conv2d(x, "c1", (glia_conv_opts){ .filters = 3, .kernel = 3 },
                               (glia_spiking_opts){ .surrogate = GLIA_SURROGATE_FAST_SIGMOID });
}

static void nets_are_those_of_snntorch(void **state) {
    (void)state;
    const struct {
        const char *path;
        glia_tensor (*build)(glia_graph *g);
    } cases[] = { { "arctangent", arctangent }, { "fast_sigmoid", fast_sigmoid },
                  { "triangle", triangle },     { "straight_through", straight_through },
                  { "to_zero", to_zero },       { "synaptic", synaptic },
                  { "recurrent", recurrent },   { "conv", conv } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/spiking/%s.safetensors", GLIA_GOLDEN_DIR, cases[i].path);
        golden_check(path, cases[i].build, "ref", 1e-5);
        golden_check(path, cases[i].build, "cpu", 1e-5);
    }
}

/* ---- constant input ------------------------------------------------------------------------------- */

/* A unit of one input of size c: with beta 1 and subtraction it fires as often as the sum of c reaches 1, at most each
 * step, and what is not spent stays in the membrane. */
static void spikes_and_what_is_left_add_up(void **state) {
    (void)state;
    enum { UNITS = 7, STEPS = 50 };
    glia_graph *g = glia_graph_create();
    const double c[UNITS] = { 0.03, 0.1, 0.25, 0.4, 0.77, 0.99, -0.2 };
    glia_tensor membrane = NULL, x = glia_constant(g, GLIA_F64, GLIA_SHAPE(1, UNITS), c);
    const glia_spiking_opts opts = { .beta = 1, .steps = STEPS, .membrane = &membrane };
    glia_tensor spikes = glia_lif(x, opts), out[] = { glia_sum(spikes, GLIA_SHAPE(1), false), membrane };
    runner r = runner_open(g, out, 2, GLIA_INFER, 1, 0);
    runner_run(&r);
    double counts[UNITS], left[UNITS * STEPS];
    runner_get(&r, 0, counts);
    runner_get(&r, 1, left);
    for (int i = 0; i < UNITS; i++) {
        const double last = left[(STEPS - 1) * UNITS + i]; /* the reset of a spike in the last step comes after it */
        ASSERT_NEAR(counts[i] - (last > 1) + last, STEPS * c[i], 1e-9);
    }
    runner_close(&r);
    glia_graph_free(g);
}

/* ---- codes in the graph --------------------------------------------------------------------------- */

static void codes_agree_with_those_outside(void **state) {
    (void)state;
    enum { VALUES = 9, STEPS = 16 };
    glia_graph *g = glia_graph_create();
    double x[VALUES], out[VALUES * STEPS];
    int8_t wanted[VALUES * STEPS];
    for (int i = 0; i < VALUES; i++) x[i] = i / 8.0;
    glia_tensor t = glia_constant(g, GLIA_F64, GLIA_SHAPE(1, VALUES), x);
    glia_tensor outputs[] = { glia_spikes_by_latency(t, STEPS), glia_spikes_by_rate(t, STEPS) };
    runner r = runner_open(g, outputs, 2, GLIA_INFER, 1, 3);
    runner_run(&r);
    const glia_code code = { .kind = GLIA_CODE_LATENCY, .steps = STEPS };
    assert_int_equal(glia_encode(&code, x, VALUES, wanted, &error), GLIA_OK);
    assert_int_equal(runner_get(&r, 0, out), VALUES * STEPS);
    for (int i = 0; i < VALUES; i++) {
        for (int k = 0; k < STEPS; k++) ASSERT_NEAR(out[k * VALUES + i], wanted[i * STEPS + k], 0);
    }
    runner_get(&r, 1, out);
    double none = 0, all = 0, some = 0;
    for (int k = 0; k < STEPS; k++) none += out[k * VALUES], all += out[k * VALUES + 8], some += out[k * VALUES + 4];
    assert_true(none == 0 && all == STEPS && some > 1 && some < STEPS - 1);
    runner_close(&r);
    glia_graph_free(g);
}

/* ---- losses --------------------------------------------------------------------------------------- */

static void losses_follow_their_formulas(void **state) {
    (void)state;
    enum { STEPS = 4, CLASSES = 3 };
    /* class 0 fires first, class 1 most, class 2 never */
    const double s[STEPS * CLASSES] = { 1, 0, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0 };
    glia_graph *g = glia_graph_create();
    glia_tensor spikes = glia_constant(g, GLIA_F64, GLIA_SHAPE(1, STEPS, CLASSES), s);
    glia_tensor label = glia_constant(g, GLIA_I32, GLIA_SHAPE(1), (double[]){ 1 });
    glia_tensor out[] = { glia_spike_loss_of(spikes, label, GLIA_SPIKE_LOSS_COUNT),
                          glia_spike_loss_of(spikes, label, GLIA_SPIKE_LOSS_RATE),
                          glia_spike_loss_of(spikes, label, GLIA_SPIKE_LOSS_MEMBRANE),
                          glia_spike_loss_of(spikes, label, GLIA_SPIKE_LOSS_LATENCY),
                          glia_first_spike(spikes),
                          glia_spike_penalty(spikes, 1),
                          NULL };
    glia_tensor soft = glia_sum(glia_first_spike(spikes), GLIA_SCALAR, false);
    glia_grad(soft, &spikes, 1, &out[6]);
    runner r = runner_open(g, out, 7, GLIA_INFER, 1, 0);
    runner_run(&r);
    double v[STEPS * CLASSES];
    runner_get(&r, 0, v);
    ASSERT_NEAR(v[0], log(exp(1) + exp(3) + 1) - 3, 1e-12);
    runner_get(&r, 1, v);
    ASSERT_NEAR(v[0], (log(exp(1) + 2) + 3 * (log(exp(1) + 2) - 1)) / 4, 1e-12);
    runner_get(&r, 2, v);
    ASSERT_NEAR(v[0], log(2 * exp(1) + 1) - 1, 1e-12);
    runner_get(&r, 3, v);
    ASSERT_NEAR(v[0], log(1 + exp(-1) + exp(-4)) + 1, 1e-12);
    runner_get(&r, 4, v);
    assert_true(v[0] == 0 && v[1] == 1 && v[2] == 4);
    runner_get(&r, 5, v);
    ASSERT_NEAR(v[0], 4.0 / 3, 1e-12);
    runner_get(&r, 6, v); /* without the first spike class 0 would wait to the end; a silent class loses what is left */
    const double wanted[STEPS * CLASSES] = { -4, -1, -4, 0, -1, -3, 0, 0, -2, 0, 0, -1 };
    for (int i = 0; i < STEPS * CLASSES; i++) ASSERT_NEAR(v[i], wanted[i], 1e-12);
    runner_close(&r);
    glia_graph_free(g);
}

/* ---- conversion ----------------------------------------------------------------------------------- */

/* Rates become activations: with thresholds at the largest activation the outputs differ by O(1 / T). */
static void converted_nets_converge_to_their_twins(void **state) {
    (void)state;
    enum { SAMPLES = 20, OUT = 4 };
    glia_dataset *data = glia_data_strokes(SAMPLES, 1, NULL);
    glia_model *model = glia_model_create("twin", NULL);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(1, 28, 28));
    x = glia_conv2d(x, "c", (glia_conv_opts){ .filters = 3, .kernel = 5, .stride = 2, .activation = GLIA_RELU });
    x = glia_flatten(glia_max_pool2d(x, (glia_pool_opts){ .size = 2 }));
    x = glia_dense(x, "d", (glia_dense_opts){ .units = 12, .activation = GLIA_RELU });
    glia_model_output(model, "y", glia_dense(x, "e", (glia_dense_opts){ .units = OUT }));
    const glia_convert_opts opts = { .percentile = 100, .samples = SAMPLES, .threads = 1 };
    glia_converted *c = glia_convert_to_spiking(model, data, opts, &error);
    if (!c) fail_msg("%s", error.message);
    static float in[SAMPLES * 784], wanted[SAMPLES * OUT], got[SAMPLES * OUT];
    for (int i = 0; i < SAMPLES; i++) assert_int_equal(glia_data_get(data, i, in + i * 784, NULL, &error), GLIA_OK);
    assert_int_equal(glia_predict(model, in, SAMPLES, wanted, NULL, &error), GLIA_OK);
    double scale = 0, off[2] = { 0 };
    int64_t spikes[2];
    for (int i = 0; i < SAMPLES * OUT; i++) scale = fmax(scale, fabs((double)wanted[i]));
    for (int k = 0; k < 2; k++) {
        assert_int_equal(glia_converted_run(c, in, SAMPLES, k ? 512 : 32, got, &spikes[k], &error), GLIA_OK);
        for (int i = 0; i < SAMPLES * OUT; i++) off[k] = fmax(off[k], fabs((double)(got[i] - wanted[i])) / scale);
    }
    if (!(off[1] < 0.02 && off[1] < off[0] / 3)) fail_msg("off by %g and %g", off[0], off[1]);
    assert_true(spikes[1] > 10 * spikes[0] && spikes[0] > 0);
    glia_converted_free(c);
    glia_model *flat = glia_model_create("flat", NULL);
    x = glia_model_input(flat, "x", GLIA_F32, GLIA_SHAPE(784));
    glia_model_output(flat, "y", glia_dense(x, "d", (glia_dense_opts){ .units = 2 }));
    assert_null(glia_convert_to_spiking(flat, data, opts, &error));
    ASSERT_SAYS("no relu whose units could spike");
    glia_model_free(flat);
    glia_model_free(model);
    glia_data_free(data);
}

/* ---- mistakes ------------------------------------------------------------------------------------- */

static void assert_graph_says(glia_graph *g, const char *part) {
    assert_int_not_equal(glia_graph_check(g, &error), GLIA_OK);
    ASSERT_SAYS(part);
    glia_graph_free(g);
}

static void mistakes_are_named(void **state) {
    (void)state;
    for (int i = 0; i < 7; i++) {
        glia_graph *g = glia_graph_create();
        glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 5, 3)),
                    flat = glia_sum(x, GLIA_SHAPE(1), false);
        const char *part = NULL;
        switch (i) {
        case 0: glia_lif(x, (glia_spiking_opts){ .beta = 1.2 }), part = "beta is 1.2, which is not in [0, 1]"; break;
        case 1: glia_lif(flat, (glia_spiking_opts){ 0 }), part = "the input must be (N, T, ...)"; break;
        case 2: glia_lif(x, (glia_spiking_opts){ .threshold = -1 }), part = "threshold -1"; break;
        case 3: glia_spike(x, (glia_surrogate)9, 0), part = "no surrogate 9"; break;
        case 4: glia_lif(x, (glia_spiking_opts){ .recurrent = true }), part = "need glia_spiking_dense()"; break;
        case 5: glia_unfold_steps(x, 0), part = "the first axis is not 0 steps"; break;
        default: glia_spikes_by_rate(x, 0), part = "at least one step";
        }
        assert_graph_says(g, part);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(converted_nets_converge_to_their_twins), cmocka_unit_test(nets_are_those_of_snntorch),
        cmocka_unit_test(spikes_and_what_is_left_add_up),         cmocka_unit_test(codes_agree_with_those_outside),
        cmocka_unit_test(losses_follow_their_formulas),           cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
