/* test_unet.c - the UNet of diffusion models against PyTorch's (tools/golden/generative.py), its sizes and its
 * errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "asserts.h"
#include "golden_net.h"

static glia_error error;

/* ---- results -------------------------------------------------------------------------------- */

static glia_tensor steps_of(glia_graph *g, int64_t n) { return glia_input(g, "t", GLIA_I32, GLIA_SHAPE(n)); }

static glia_tensor square(glia_graph *g) {
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(3, 2, 8, 8));
    return glia_unet(
        x, steps_of(g, 3), "u",
        (glia_unet_opts){ .channels = 4, .multipliers = { 1, 2 }, .blocks = 1, .attention = { 4 }, .heads = 2 });
}

static glia_tensor plain(glia_graph *g) {
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(2, 1, 4, 8));
    return glia_unet(x, steps_of(g, 2), "u",
                     (glia_unet_opts){ .channels = 4, .multipliers = { 1, 1, 3 }, .attention = { GLIA_NONE } });
}

static glia_tensor conditional(glia_graph *g) {
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(2, 1, 3, 3));
    return glia_unet(x, steps_of(g, 2), "u",
                     (glia_unet_opts){ .channels = 6,
                                       .multipliers = { 2 },
                                       .blocks = 1,
                                       .heads = 3,
                                       .condition = glia_input(g, "condition", GLIA_F32, GLIA_SHAPE(2, 5)) });
}

static glia_tensor with_context(glia_graph *g) {
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(2, 2, 4, 4));
    return glia_unet(x, steps_of(g, 2), "u",
                     (glia_unet_opts){ .channels = 4,
                                       .multipliers = { 1, 2 },
                                       .blocks = 1,
                                       .heads = 2,
                                       .attention = { 4 },
                                       .context = glia_input(g, "context", GLIA_F32, GLIA_SHAPE(2, 3, 5)) });
}

static void nets_agree_with_pytorch(void **state) {
    (void)state;
    static const struct {
        const char *name;
        glia_tensor (*build)(glia_graph *g);
    } cases[] = {
        { "unet", square }, { "unet_plain", plain }, { "unet_condition", conditional }, { "unet_context", with_context }
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[512];
        snprintf(path, sizeof path, GLIA_GOLDEN_DIR "/generative/%s.safetensors", cases[i].name);
        golden_check(path, cases[i].build, "ref", 5e-6);
        golden_check(path, cases[i].build, "cpu", 1e-4);
    }
}

/* ---- sizes ---------------------------------------------------------------------------------- */

/* Parameters of the net for pictures of this size. */
static int64_t parameters(int64_t channels, int64_t size, glia_unet_opts opts) {
    glia_model *model = glia_model_create("unet", &error);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(channels, size, size));
    glia_tensor t = glia_model_input(model, "t", GLIA_I32, GLIA_SCALAR);
    glia_tensor y = glia_unet(x, t, "u", opts);
    glia_model_output(model, "y", y);
    if (glia_graph_check(glia_model_graph(model), &error)) fail_msg("%s", error.message);
    assert_true(glia_shape_equal(glia_tensor_shape(y), glia_tensor_shape(x)));
    const int64_t n = glia_model_parameter_count(model, true);
    glia_model_free(model);
    return n;
}

/* The script's counts; Ho et al. 2020, appendix B: 35.7 million for CIFAR-10. */
static void parameters_are_as_many_as_the_papers(void **state) {
    (void)state;
    const glia_unet_opts cifar = { .channels = 128, .multipliers = { 1, 2, 2, 2 }, .dropout = 0.1 };
    assert_int_equal(parameters(3, 32, cifar), 35746307);
    assert_int_equal(parameters(1, 28, (glia_unet_opts){ .channels = 0 }), 6469889);
}

/* The last convolution is zero, so a new net predicts zero; the loss of noise is its variance. */
static void a_new_net_predicts_zero(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_random_normal(g, GLIA_SHAPE(2, 1, 8, 8));
    const double t[] = { 3, 700 };
    glia_tensor y = glia_unet(x, glia_constant(g, GLIA_I32, GLIA_SHAPE(2), t), "u",
                              (glia_unet_opts){ .channels = 8, .dropout = 0.1 });
    double values[128];
    assert_int_equal(glia_eval(y, values, 128, &error), GLIA_OK);
    for (int i = 0; i < 128; i++) assert_true(values[i] == 0);
    glia_graph_free(g);
}

static void impossible_nets_are_errors(void **state) {
    (void)state;
    static const struct {
        int64_t size;
        glia_unet_opts opts;
        const char *says;
    } cases[] = { { 14, { .channels = 0 }, "3 levels need H and W divisible by 4" },
                  { 16, { .attention = { 16, 5 } }, "no level has the height 5" },
                  { 16, { .channels = -4 }, "-4 channels" },
                  { 16, { .multipliers = { 1, -2 } }, "multiplier 1 is -2" },
                  { 16, { .channels = 12, .groups = 5 }, "12 channels are not 5 equal groups" },
                  { 16, { .channels = 8, .groups = 16 }, "groups of one channel" },
                  { 16, { .channels = 12, .heads = 5 }, "5 heads do not divide D" } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        glia_graph *g = glia_graph_create();
        glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 1, cases[i].size, cases[i].size));
        glia_unet(x, glia_input(g, "t", GLIA_I32, GLIA_SHAPE(GLIA_BATCH)), "net", cases[i].opts);
        assert_int_not_equal(glia_graph_check(g, &error), GLIA_OK);
        ASSERT_SAYS(cases[i].says);
        ASSERT_SAYS("net");
        glia_graph_free(g);
    }
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 1, 16, 16));
    glia_unet(x, glia_input(g, "t", GLIA_F32, GLIA_SHAPE(GLIA_BATCH)), "net", (glia_unet_opts){ .channels = 0 });
    assert_int_not_equal(glia_graph_check(g, &error), GLIA_OK);
    glia_graph_free(g);
    g = glia_graph_create();
    glia_tensor two = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(2, 1, 16, 16));
    glia_unet(two, steps_of(g, 2), "net",
              (glia_unet_opts){ .context = glia_input(g, "c", GLIA_F32, GLIA_SHAPE(2, 3)) });
    assert_int_not_equal(glia_graph_check(g, &error), GLIA_OK);
    ASSERT_SAYS("context must be (N, L, E)");
    glia_graph_free(g);
    g = glia_graph_create();
    two = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(2, 1, 16, 16));
    glia_unet(
        two, steps_of(g, 2), "net",
        (glia_unet_opts){ .attention = { GLIA_NONE }, .context = glia_input(g, "c", GLIA_F32, GLIA_SHAPE(2, 3, 4)) });
    assert_int_not_equal(glia_graph_check(g, &error), GLIA_OK);
    ASSERT_SAYS("a context goes in by attention");
    glia_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nets_agree_with_pytorch),
        cmocka_unit_test(parameters_are_as_many_as_the_papers),
        cmocka_unit_test(a_new_net_predicts_zero),
        cmocka_unit_test(impossible_nets_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
