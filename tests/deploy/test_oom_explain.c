/* test_oom_explain.c - fails every allocation (oom.h) of explanations by each method, and of the checks of them. */
#include <math.h>

#include "glia/glia.h"
#include "oom.h"

static glia_status corner(const float *rows, int64_t n, double *values, void *context, glia_error *error) {
    (void)context, (void)error;
    for (int64_t i = 0; i < n; i++) values[i] = (double)(rows[i * 4] * rows[i * 4 + 1] + rows[i * 4 + 2]);
    return GLIA_OK;
}

static glia_status explain(glia_explainer *why, const float *x, glia_error *error) {
    if (!why) return error->status;
    glia_explanation e;
    glia_status status = glia_explain(why, x, GLIA_LARGEST_OUTPUT, &e, error);
    if (status == GLIA_OK) glia_explanation_free(&e);
    glia_explainer_free(why);
    return status;
}

static const float rows[8] = { 0.5f, 1, -1, 0.25f, 1, 2, 0, -1 };

/* Methods for functions, with the fewest draws. */
static glia_status functions(glia_error *error) {
    static const char *const methods[][2] = { { "exact-shap", "" },
                                              { "kernel-shap", "samples=8 most=8" },
                                              { "permutation-shap", "samples=2 most=2" },
                                              { "sampling-shap", "samples=2 most=2" },
                                              { "occlusion", "" },
                                              { "lime", "kind=table samples=8 most=8" },
                                              { "lime", "kind=text samples=8 most=8" } };
    const float x[4] = { 1, -1, 2, 3 };
    glia_status status = GLIA_OK;
    for (size_t k = 0; k < sizeof methods / sizeof *methods && status == GLIA_OK; k++) {
        const glia_explain_opts opts = { .settings = methods[k][1], .background = rows, .n_background = 2 };
        status =
            explain(glia_explainer_of_function(corner, NULL, GLIA_SHAPE(4), 1, methods[k][0], opts, error), x, error);
    }
    const glia_explain_opts picture = { .settings = "kind=picture segments=2 samples=4 most=4" };
    if (status == GLIA_OK) {
        status =
            explain(glia_explainer_of_function(corner, NULL, GLIA_SHAPE(1, 2, 2), 1, "lime", picture, error), x, error);
    }
    return status;
}

static glia_status of_model(const char *method, const char *settings, glia_error *error) {
    glia_model *model = glia_model_create("conv", error);
    if (!model) return error->status;
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(1, 3, 3));
    x = glia_conv2d(x, "conv", (glia_conv_opts){ .filters = 2, .kernel = 2, .activation = GLIA_RELU });
    x = glia_max_pool2d(x, (glia_pool_opts){ .size = 2, .stride = 1 });
    glia_model_output(model, "y", glia_dense(glia_flatten(x), "out", (glia_dense_opts){ .units = 2 }));
    const float sample[9] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };
    glia_status status =
        explain(glia_explainer_create(model, method, (glia_explain_opts){ .settings = settings, .threads = 1 }, error),
                sample, error);
    glia_model_free(model);
    return status;
}

static glia_status saliency(glia_error *error) { return of_model("saliency", "", error); }
static glia_status guided(glia_error *error) { return of_model("guided-backprop", "", error); }
static glia_status smooth(glia_error *error) { return of_model("smoothgrad", "samples=2 most=2", error); }
static glia_status integrated(glia_error *error) {
    return of_model("integrated-gradients", "steps=2 tolerance=0", error);
}
static glia_status cam(glia_error *error) { return of_model("grad-cam++", "", error); }
static glia_status deep(glia_error *error) { return of_model("deep-shap", "", error); }

static glia_status checks(glia_error *error) {
    glia_model *model = glia_model_create("dense", error);
    if (!model) return error->status;
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(4));
    glia_model_output(model, "y", glia_dense(x, "out", (glia_dense_opts){ .units = 2 }));
    glia_randomization_step step;
    const glia_explain_opts opts = { .threads = 1 };
    const int n = glia_explain_randomization(model, "saliency", opts, rows, 0, &step, 1, error);
    glia_model_free(model);
    if (n < 0) return error->status;
    glia_explainer *why =
        glia_explainer_of_function(corner, NULL, GLIA_SHAPE(4), 1, "occlusion", (glia_explain_opts){ 0 }, error);
    if (!why) return error->status;
    const double values[4] = { 1, 2, 3, 4 };
    double curve[3];
    const bool fails = isnan(glia_explain_deletion(why, rows, 0, values, 4, NULL, 2, curve, error));
    glia_explainer_free(why);
    return fails ? error->status : GLIA_OK;
}

static void test_functions(void **state) { (void)state, every_allocation(functions, "methods for functions"); }
static void test_saliency(void **state) { (void)state, every_allocation(saliency, "saliency"); }
static void test_guided(void **state) { (void)state, every_allocation(guided, "guided backpropagation"); }
static void test_smooth(void **state) { (void)state, every_allocation(smooth, "SmoothGrad"); }
static void test_integrated(void **state) { (void)state, every_allocation(integrated, "integrated gradients"); }
static void test_cam(void **state) { (void)state, every_allocation(cam, "Grad-CAM++"); }
static void test_deep(void **state) { (void)state, every_allocation(deep, "Deep SHAP"); }
static void test_checks(void **state) { (void)state, every_allocation(checks, "checks"); }

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_functions), cmocka_unit_test(test_saliency),   cmocka_unit_test(test_guided),
        cmocka_unit_test(test_smooth),    cmocka_unit_test(test_integrated), cmocka_unit_test(test_cam),
        cmocka_unit_test(test_deep),      cmocka_unit_test(test_checks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
