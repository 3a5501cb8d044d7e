/* test_losses.c - glia_loss_value against PyTorch: each loss with each reduction and kind of weights, values and
 * gradients; the mean by its own function; mistakes.
 *
 * tools/golden/losses.py documents the inputs and wrote tests/golden/losses.txt. Tolerance: 1e-10 in f64 on the
 * reference backend, 1e-5 in f32 on the CPU backend.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/graph/graph.h"
#include "glia/glia.h"

enum { MOST = 64, CLASSES = 5 };

static double score_at(int i) { return 2 * sin(0.7 * i + 0.3); }
static double wave_at(int i) { return cos(1.3 * i); }
static double square_at(int i) { return pow(wave_at(i), 2); }
static double sign_at(int i) { return wave_at(i) > 0 ? 1 : -1; }
static double label_at(int i) { return i % 4 == 1 ? -1 : 3 * i % CLASSES; }
static double weight_at(int i) { return 0.5 + 0.25 * i; }
static double slope_at(int i) { return 1.5 + cos(0.9 * i); }

static const double class_weights[CLASSES] = { 0.5, 1, 2, 0.25, 1.5 };

typedef enum target { LABELS, SOFTMAX, NUMBERS } target;

static const struct {
    const char *name;
    glia_loss loss;
    glia_shape shape;
    target target;
    double (*at)(int); /* NUMBERS */
} losses[] = {
    { "cross_entropy", GLIA_CROSS_ENTROPY, { 2, { 6, 5 } }, LABELS, NULL },
    { "cross_entropy_sequence", GLIA_CROSS_ENTROPY, { 3, { 3, 4, 5 } }, LABELS, NULL },
    { "cross_entropy_tokens", GLIA_CROSS_ENTROPY_TOKENS, { 3, { 3, 4, 5 } }, LABELS, NULL },
    { "nll", GLIA_NLL, { 2, { 6, 5 } }, LABELS, NULL },
    { "one_hot", GLIA_CROSS_ENTROPY_ONE_HOT, { 2, { 6, 5 } }, SOFTMAX, NULL },
    { "kl", GLIA_KL, { 2, { 6, 5 } }, SOFTMAX, NULL },
    { "mse", GLIA_MSE, { 2, { 3, 4 } }, NUMBERS, wave_at },
    { "mae", GLIA_MAE, { 2, { 3, 4 } }, NUMBERS, wave_at },
    { "huber", GLIA_HUBER, { 2, { 3, 4 } }, NUMBERS, wave_at },
    { "hinge", GLIA_HINGE, { 2, { 3, 4 } }, NUMBERS, sign_at },
    { "binary", GLIA_BINARY_CROSS_ENTROPY, { 2, { 3, 4 } }, NUMBERS, square_at },
};

static const char *const reductions[GLIA_REDUCTION_COUNT] = { "mean", "sum", "samples", "none" };

static glia_tensor filled(glia_graph *g, glia_dtype dtype, glia_shape shape, double (*at)(int)) {
    double values[MOST];
    for (int i = 0; i < glia_shape_count(shape); i++) values[i] = at(i);
    return glia_constant(g, dtype, shape, values);
}

typedef struct scene {
    glia_graph *graph;
    glia_tensor scores, prediction, target;
} scene;

/* The inputs of loss number k; the prediction follows from the parameter "z". */
static scene scene_open(int k, glia_dtype dtype) {
    scene s = { .graph = glia_graph_create() };
    const glia_shape shape = losses[k].shape;
    s.scores = s.prediction = glia_parameter(s.graph, "z", dtype, shape, (glia_init){ 0 });
    if (losses[k].loss == GLIA_NLL || losses[k].loss == GLIA_KL) s.prediction = glia_log_softmax(s.scores, -1);
    glia_shape rows = shape;
    rows.rank--;
    if (losses[k].target == LABELS) s.target = filled(s.graph, GLIA_I32, rows, label_at);
    if (losses[k].target == SOFTMAX) s.target = glia_softmax(filled(s.graph, dtype, shape, wave_at), -1);
    if (losses[k].target == NUMBERS) s.target = filled(s.graph, dtype, shape, losses[k].at);
    return s;
}

static glia_loss_value_opts options_of(const scene *s, int k, const char *letters) {
    glia_loss_value_opts o = { .loss = losses[k].loss };
    if (o.loss == GLIA_HUBER) o.delta = 0.75;
    if (strchr(letters, 's')) o.label_smoothing = 0.1;
    if (strchr(letters, 'v')) o.class_weights = class_weights;
    if (strchr(letters, 'm')) o.weighted_mean = true;
    if (strchr(letters, 'w'))
        o.weights = filled(s->graph, s->scores->dtype, GLIA_SHAPE(losses[k].shape.dim[0]), weight_at);
    return o;
}

/* All numbers of `outputs` behind each other, with "z" as score_at() says. */
static int compute(const scene *s, const glia_tensor *outputs, int n, const char *backend_name, double *values) {
    glia_error error = { 0 };
    if (glia_graph_check(s->graph, &error) != GLIA_OK) fail_msg("%s", error.message);
    glia_backend *backend = glia_backend_open(backend_name, 1, &error);
    glia_store *store = glia_store_create(s->graph, 0, &error);
    const glia_function_opts opts = { .outputs = outputs, .n_outputs = n };
    glia_function *f = glia_function_create(s->graph, backend, store, opts, &error);
    if (!f) fail_msg("%s", error.message);
    glia_array z, out[2];
    assert_true(glia_store_find(store, "z", &z));
    for (int i = 0; i < glia_shape_count(z.shape); i++) {
        const double x = score_at(i);
        glia_from_double(z.dtype, &x, (char *)z.data + (size_t)i * glia_dtype_size(z.dtype), 1);
    }
    if (glia_function_call(f, NULL, 0, out, &error) != GLIA_OK) fail_msg("%s", error.message);
    int count = 0;
    for (int k = 0; k < n; k++) {
        const int64_t size = glia_shape_count(out[k].shape);
        glia_to_double(out[k].dtype, out[k].data, values + count, size);
        count += (int)size;
    }
    glia_function_free(f);
    glia_store_free(store);
    glia_backend_close(backend);
    return count;
}

/* The values of a loss, then the gradient of their sum by slope_at() in z. */
static int follow(int k, glia_reduction reduction, const char *letters, glia_dtype dtype, const char *backend,
                  double *values) {
    scene s = scene_open(k, dtype);
    glia_loss_value_opts o = options_of(&s, k, letters);
    o.reduction = reduction;
    glia_tensor out[2];
    out[0] = glia_loss_value(s.prediction, s.target, o);
    if (!glia_is_bad(out[0])) {
        glia_tensor slopes = filled(s.graph, dtype, out[0]->shape, slope_at);
        glia_vjp(out[0], slopes, &s.scores, 1, &out[1]);
    }
    const int n = compute(&s, out, 2, backend, values);
    glia_graph_free(s.graph);
    return n;
}

static void check_row(char *line, glia_dtype dtype, const char *backend, double tolerance) {
    char name[32], reduction[16], letters[8], *save;
    const int got = sscanf(line, "%31s %15s %7s", name, reduction, letters);
    assert_int_equal(got, 3);
    int k = 0, r = 0, n = 0;
    while (strcmp(losses[k].name, name)) k++;
    while (strcmp(reductions[r], reduction)) r++;
    double ours[2 * MOST], golden[2 * MOST];
    strtok_r(line, " ", &save), strtok_r(NULL, " ", &save), strtok_r(NULL, " ", &save);
    for (char *word; (word = strtok_r(NULL, " ", &save));) golden[n++] = strtod(word, NULL);
    assert_int_equal(follow(k, (glia_reduction)r, letters, dtype, backend, ours), n);
    for (int i = 0; i < n; i++) {
        if (!(fabs(ours[i] - golden[i]) <= tolerance * GLIA_MAX(1, fabs(golden[i]))))
            fail_msg("%s %s %s on %s, number %d: %.12g, not %.12g", name, reduction, letters, backend, i, ours[i],
                     golden[i]);
    }
}

static void values_and_gradients_of_pytorch(void **state) {
    (void)state;
    FILE *file = fopen(GLIA_GOLDEN_DIR "/losses.txt", "r");
    assert_non_null(file);
    char line[8192], copy[8192];
    int rows = 0;
    while (fgets(line, sizeof line, file)) {
        if (line[0] == '#') continue;
        memcpy(copy, line, sizeof copy);
        check_row(line, GLIA_F64, "ref", 1e-10);
        check_row(copy, GLIA_F32, "cpu", 1e-5);
        rows++;
    }
    fclose(file);
    assert_int_equal(rows, 4 * (3 * 16 + 8 + 16 + 6 * 4));
}

/* The mean without weights is the public function's, to the bit. */
static void mean_is_that_of_the_function(void **state) {
    (void)state;
    for (int k = 0; k < GLIA_COUNT(losses); k++) {
        scene s = scene_open(k, GLIA_F32);
        glia_tensor y = s.prediction, t = s.target, out[2];
        const double e =
            losses[k].target == NUMBERS || losses[k].loss == GLIA_KL || losses[k].loss == GLIA_NLL ? 0 : 0.1;
        switch (losses[k].loss) {
        case GLIA_CROSS_ENTROPY: out[0] = glia_cross_entropy(y, t, e); break;
        case GLIA_CROSS_ENTROPY_TOKENS: out[0] = glia_cross_entropy_tokens(y, t, e); break;
        case GLIA_CROSS_ENTROPY_ONE_HOT: out[0] = glia_cross_entropy_one_hot(y, t, e); break;
        case GLIA_NLL: out[0] = glia_nll(y, t); break;
        case GLIA_KL: out[0] = glia_kl_divergence(y, t); break;
        case GLIA_MSE: out[0] = glia_mse(y, t); break;
        case GLIA_MAE: out[0] = glia_mae(y, t); break;
        case GLIA_HUBER: out[0] = glia_huber(y, t, 0.75); break;
        case GLIA_HINGE: out[0] = glia_hinge(y, t); break;
        default: out[0] = glia_binary_cross_entropy(y, t); break;
        }
        glia_loss_value_opts o = { .loss = losses[k].loss, .label_smoothing = e };
        if (o.loss == GLIA_HUBER) o.delta = 0.75;
        out[1] = glia_loss_value(y, t, o);
        double values[2];
        assert_int_equal(compute(&s, out, 2, "cpu", values), 2);
        assert_true(values[0] == values[1] && isfinite(values[0]));
        glia_graph_free(s.graph);
    }
}

/* A sample without a label has the mean 0, no gradient, and even an infinite score in it does no harm. */
static void samples_without_labels_are_zero(void **state) {
    (void)state;
    for (int weighted = 0; weighted < 2; weighted++) {
        glia_graph *g = glia_graph_create();
        const double logits[] = { 0, 0, 0, 0, INFINITY, 1, 2, 3 }, none[] = { 1, 0, -1, -1 };
        glia_tensor x = glia_constant(g, GLIA_F64, GLIA_SHAPE(2, 2, 2), logits);
        glia_tensor t = glia_constant(g, GLIA_I32, GLIA_SHAPE(2, 2), none), dx;
        const glia_loss_value_opts o = { .reduction = GLIA_REDUCE_SAMPLES,
                                         .class_weights = class_weights,
                                         .weighted_mean = weighted };
        glia_tensor y = glia_loss_value(x, t, o); /* the default for (N, T) labels is that of tokens */
        glia_grad(y, &x, 1, &dx);
        double values[2], gradient[8];
        assert_int_equal(glia_eval(y, values, 2, NULL), GLIA_OK);
        assert_int_equal(glia_eval(dx, gradient, 8, NULL), GLIA_OK);
        assert_true(fabs(values[0] - log(2) * (weighted ? 1 : 0.75)) < 1e-12);
        assert_true(values[1] == 0 && gradient[6] == 0 && gradient[7] == 0);
        glia_graph_free(g);
    }
}

/* A symbolic batch: one value for each of three samples, weights as an input of (N). */
static void batch_may_be_symbolic(void **state) {
    (void)state;
    glia_error error;
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 2)), t = glia_like(x, 1);
    glia_tensor w = glia_input(g, "w", GLIA_F32, GLIA_SHAPE(GLIA_BATCH)), out[2];
    const glia_loss_value_opts each = { .loss = GLIA_MSE, .reduction = GLIA_REDUCE_SAMPLES, .weights = w },
                               mean = { .loss = GLIA_MSE, .weights = w, .weighted_mean = true };
    out[0] = glia_loss_value(x, t, each);
    out[1] = glia_loss_value(x, t, mean);
    glia_backend *backend = glia_backend_open("cpu", 1, &error);
    glia_store *store = glia_store_create(g, 0, &error);
    const glia_function_opts opts = { .outputs = out, .n_outputs = 2 };
    glia_function *f = glia_function_create(g, backend, store, opts, &error);
    if (!f) fail_msg("%s", error.message);
    float xs[] = { 1, 3, 2, 2, 0, 5 }, ws[] = { 1, 2, 0.5f }; /* squares 0 4, 1 1, 1 16 */
    const glia_array in[] = { { .name = "x", .dtype = GLIA_F32, .shape = GLIA_SHAPE(3, 2), .data = xs },
                              { .name = "w", .dtype = GLIA_F32, .shape = GLIA_SHAPE(3), .data = ws } };
    glia_array values[2];
    if (glia_function_call(f, in, 2, values, &error) != GLIA_OK) fail_msg("%s", error.message);
    const float *samples = values[0].data;
    assert_true(samples[0] == 2 && samples[1] == 2 && samples[2] == 4.25f);
    assert_true(fabsf(*(float *)values[1].data - (4 + 4 + 8.5f) / 7) < 1e-6f);
    glia_function_free(f);
    glia_store_free(store);
    glia_backend_close(backend);
    glia_graph_free(g);
}

/* ---- mistakes ----------------------------------------------------------------------------------- */

static void expect(int k, glia_loss_value_opts o, glia_status status, const char *words) {
    scene s = scene_open(k, GLIA_F32);
    o.loss = o.loss ? o.loss : losses[k].loss;
    glia_loss_value(s.prediction, s.target, o);
    glia_error error = { 0 };
    const glia_status got = glia_graph_check(s.graph, &error);
    if (got != status || !strstr(error.message, words)) fail_msg("status %d, '%s'", (int)got, error.message);
    assert_non_null(strstr(error.message, "glia_loss_value"));
    glia_graph_free(s.graph);
}

static void mistakes_are_named(void **state) {
    (void)state;
    enum { CE, SEQUENCE, TOKENS, NLL, ONE_HOT, KL, MSE };
    const double negative[CLASSES] = { 1, -1, 1, 1, 1 };
    typedef glia_loss_value_opts opts;
    expect(CE, (opts){ .loss = GLIA_MSE }, GLIA_E_SHAPE, "takes the target f32(6, 5), not i32(6)");
    expect(MSE, (opts){ .loss = GLIA_NLL }, GLIA_E_SHAPE, "takes the target i32(3), not f32(3, 4)");
    expect(CE, (opts){ .loss = GLIA_LOSS_COUNT }, GLIA_E_ARGUMENT, "there is no loss number");
    expect(CE, (opts){ .reduction = GLIA_REDUCTION_COUNT }, GLIA_E_ARGUMENT, "there is no reduction number 4");
    expect(CE, (opts){ .label_smoothing = 1.5 }, GLIA_E_ARGUMENT, "label_smoothing is 1.5");
    expect(MSE, (opts){ .label_smoothing = 0.5 }, GLIA_E_UNSUPPORTED, "label_smoothing does not go with");
    expect(MSE, (opts){ .delta = 0.5 }, GLIA_E_UNSUPPORTED, "delta does not go with");
    expect(MSE, (opts){ .class_weights = class_weights }, GLIA_E_UNSUPPORTED, "class_weights does not go with");
    expect(KL, (opts){ .class_weights = class_weights }, GLIA_E_UNSUPPORTED, "class_weights does not go with");
    expect(CE, (opts){ .class_weights = negative }, GLIA_E_ARGUMENT, "the weight of class 1 is -1");

    scene s = scene_open(TOKENS, GLIA_F32), other = scene_open(MSE, GLIA_F32);
    const opts short_weights = { .loss = GLIA_CROSS_ENTROPY,
                                 .weights = filled(s.graph, GLIA_F32, GLIA_SHAPE(4), weight_at) };
    glia_loss_value(s.prediction, s.target, short_weights);
    glia_error error = { 0 };
    assert_int_equal(glia_graph_check(s.graph, &error), GLIA_E_SHAPE);
    assert_non_null(strstr(error.message, "weights are f32(4) where the losses are (3, 4)"));
    glia_loss_value(other.prediction, s.prediction, (opts){ .loss = GLIA_MSE });
    assert_int_equal(glia_graph_check(other.graph, &error), GLIA_E_ARGUMENT);
    assert_non_null(strstr(error.message, "another graph"));
    glia_graph_free(s.graph);
    glia_graph_free(other.graph);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_and_gradients_of_pytorch),
        cmocka_unit_test(mean_is_that_of_the_function),
        cmocka_unit_test(samples_without_labels_are_zero),
        cmocka_unit_test(batch_may_be_symbolic),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
