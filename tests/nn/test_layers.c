/* test_layers.c - layers: structure, initial parameters, error messages. */
#include <math.h>
#include <stdio.h>

#include "glia/glia.h"
#include "run_graph.h"

#include "core/program/store.h"
#include "nn/layers/layers.h"

static glia_tensor image_input(glia_graph *g, int64_t c, int64_t h, int64_t w) {
    return glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, c, h, w));
}

static void assert_shape(glia_tensor x, glia_shape expected) {
    char a[GLIA_SHAPE_TEXT], b[GLIA_SHAPE_TEXT];
    glia_error error;
    if (glia_graph_check(x->graph, &error) != GLIA_OK) fail_msg("%s", error.message);
    assert_string_equal(glia_shape_format(x->shape, a), glia_shape_format(expected, b));
}

static void assert_leaf(const glia_graph *g, const char *name, glia_shape shape) {
    const glia_node *leaf = glia_graph_find_leaf(g, name);
    char a[GLIA_SHAPE_TEXT], b[GLIA_SHAPE_TEXT];
    if (!leaf) fail_msg("there is no %s", name);
    assert_string_equal(glia_shape_format(leaf->shape, a), glia_shape_format(shape, b));
}

static int64_t parameter_count(const glia_graph *g) {
    int64_t count = 0;
    for (int i = 0; i < g->n_nodes; i++) {
        if (glia_is_parameter(g->nodes[i])) count += glia_shape_count(g->nodes[i]->shape);
    }
    return count;
}

static int leaf_count(const glia_graph *g) {
    int count = 0;
    for (int i = 0; i < g->n_nodes; i++) count += glia_is_parameter(g->nodes[i]) || glia_is_state(g->nodes[i]);
    return count;
}

/* ---- names, shapes, counts -------------------------------------------------------------------- */

/* conv 32 3x3, pool, conv 64, pool, conv 64, dense 64, dense 10: 320 + 18,496 + 36,928 + 36,928 + 650 = 93,322. */
static void keras_cnn_has_93322_parameters(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor x = image_input(g, 1, 28, 28);
    x = glia_conv2d(x, "conv1", (glia_conv_opts){ .filters = 32, .kernel = 3, .activation = GLIA_RELU });
    x = glia_max_pool2d(x, (glia_pool_opts){ 0 });
    x = glia_conv2d(x, "conv2", (glia_conv_opts){ .filters = 64, .kernel = 3, .activation = GLIA_RELU });
    x = glia_max_pool2d(x, (glia_pool_opts){ 0 });
    x = glia_conv2d(x, "conv3", (glia_conv_opts){ .filters = 64, .kernel = 3, .activation = GLIA_RELU });
    assert_shape(x, GLIA_SHAPE(GLIA_BATCH, 64, 3, 3));
    x = glia_dense(glia_flatten(x), "fc1", (glia_dense_opts){ .units = 64, .activation = GLIA_RELU });
    x = glia_dense(x, "fc2", (glia_dense_opts){ .units = 10 });
    assert_shape(x, GLIA_SHAPE(GLIA_BATCH, 10));
    assert_leaf(g, "conv2/kernel", GLIA_SHAPE(64, 32, 3, 3));
    assert_leaf(g, "conv2/bias", GLIA_SHAPE(64));
    assert_leaf(g, "fc1/kernel", GLIA_SHAPE(64, 576));
    assert_int_equal(parameter_count(g), 93322);
    assert_string_equal(x->label, "fc2");
    assert_null(g->label);
    glia_graph_free(g);
}

/* conv 6 5x5, pool, conv 16 5x5, pool, dense 120, 84, 10: 456 + 2,416 + 48,120 + 10,164 + 850 = 62,006. */
static void cifar_net_has_62006_parameters(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor x = image_input(g, 3, 32, 32);
    x = glia_max_pool2d(glia_conv2d(x, "conv1", (glia_conv_opts){ .filters = 6, .kernel = 5 }), (glia_pool_opts){ 0 });
    x = glia_max_pool2d(glia_conv2d(x, "conv2", (glia_conv_opts){ .filters = 16, .kernel = 5 }), (glia_pool_opts){ 0 });
    x = glia_dense(glia_flatten(x), "fc1", (glia_dense_opts){ .units = 120 });
    x = glia_dense(x, "fc2", (glia_dense_opts){ .units = 84 });
    x = glia_dense(x, "fc3", (glia_dense_opts){ .units = 10 });
    assert_shape(x, GLIA_SHAPE(GLIA_BATCH, 10));
    assert_int_equal(parameter_count(g), 62006);
    glia_graph_free(g);
}

static void convolution_shapes_match_frameworks(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor x = image_input(g, 4, 28, 27);
#define CONV(id, ...) glia_conv2d(x, id, (glia_conv_opts){ .filters = 8, .kernel = 3, __VA_ARGS__ })
#define UP(id, ...) glia_conv2d_transposed(x, id, (glia_conv_opts){ .filters = 8, .kernel = 3, __VA_ARGS__ })
    assert_shape(CONV("valid", .stride = 1), GLIA_SHAPE(GLIA_BATCH, 8, 26, 25));
    assert_shape(CONV("same", .padding = GLIA_SAME), GLIA_SHAPE(GLIA_BATCH, 8, 28, 27));
    assert_shape(CONV("same2", .padding = GLIA_SAME, .stride = 2), GLIA_SHAPE(GLIA_BATCH, 8, 14, 14));
    assert_shape(CONV("padded", .pad = 1, .stride = 2), GLIA_SHAPE(GLIA_BATCH, 8, 14, 14));
    assert_shape(CONV("dilated", .dilation = 2), GLIA_SHAPE(GLIA_BATCH, 8, 24, 23));
    assert_shape(CONV("wide", .kernels = { 0, 5 }), GLIA_SHAPE(GLIA_BATCH, 8, 26, 23));
    assert_shape(CONV("rows", .window = { .pads = { 2 }, .pads_after = { 1 } }), GLIA_SHAPE(GLIA_BATCH, 8, 29, 25));
    assert_shape(CONV("depthwise", .groups = 4), GLIA_SHAPE(GLIA_BATCH, 8, 26, 25));
    assert_leaf(g, "depthwise/kernel", GLIA_SHAPE(8, 1, 3, 3));
    assert_shape(UP("up", .stride = 1), GLIA_SHAPE(GLIA_BATCH, 8, 30, 29));
    assert_shape(UP("up2", .stride = 2), GLIA_SHAPE(GLIA_BATCH, 8, 57, 55));
    assert_shape(UP("up_same", .stride = 2, .padding = GLIA_SAME), GLIA_SHAPE(GLIA_BATCH, 8, 56, 54));
    assert_shape(UP("up_padded", .stride = 2, .pad = 1), GLIA_SHAPE(GLIA_BATCH, 8, 55, 53));
    assert_shape(UP("up_groups", .groups = 2), GLIA_SHAPE(GLIA_BATCH, 8, 30, 29));
    assert_leaf(g, "up_groups/kernel", GLIA_SHAPE(4, 4, 3, 3));
    glia_tensor kernel = glia_graph_find_leaf(g, "up2/kernel");
    glia_conv_window two = { .stride = 2 };
    assert_shape(glia_conv_transposed(x, kernel, two, GLIA_SHAPE(58, 56)), GLIA_SHAPE(GLIA_BATCH, 8, 58, 56));
    glia_tensor line = glia_input(g, "line", GLIA_F64, GLIA_SHAPE(GLIA_BATCH, 2, 9));
    assert_shape(glia_conv1d(line, "line", (glia_conv_opts){ .filters = 3, .kernel = 4 }),
                 GLIA_SHAPE(GLIA_BATCH, 3, 6));
    glia_tensor volume = glia_input(g, "volume", GLIA_F32, GLIA_SHAPE(2, 2, 5, 6, 7));
    assert_shape(glia_conv3d(volume, "volume", (glia_conv_opts){ .filters = 3, .kernel = 2 }),
                 GLIA_SHAPE(2, 3, 4, 5, 6));
    assert_int_equal(glia_graph_find_leaf(g, "line/kernel")->dtype, GLIA_F64);
    glia_graph_free(g);
}

/* TensorFlow's rule: an extra zero is added at the end. 28, kernel 3, stride 2: (14 - 1) 2 + 3 - 28 = 1 zero. */
static void same_padding_puts_extra_zero_at_end(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor x = image_input(g, 2, 28, 27);
    glia_tensor kernel = glia_parameter(g, "kernel", GLIA_F32, GLIA_SHAPE(2, 2, 3, 4), (glia_init){ 0 });
    glia_conv_window window = { .padding = GLIA_SAME, .stride = 2 };
    const glia_conv_attrs *conv = glia_conv(x, kernel, window)->attrs;
    assert_true(glia_shape_equal(conv->pad, GLIA_SHAPE(0, 1)) && glia_shape_equal(conv->pad_after, GLIA_SHAPE(1, 2)));
    const glia_conv_attrs *back = glia_conv_transposed(x, kernel, window, GLIA_SHAPE(55, 54))->attrs;
    assert_true(glia_shape_equal(back->pad, GLIA_SHAPE(1, 1)) && glia_shape_equal(back->pad_after, GLIA_SHAPE(1, 1)));
    glia_pool_opts opts = { .padding = GLIA_SAME };
    const glia_pool_attrs *pool = glia_max_pool(x, opts)->attrs;
    assert_true(glia_shape_equal(pool->pad, GLIA_SHAPE(0, 0)) && glia_shape_equal(pool->pad_after, GLIA_SHAPE(0, 1)));
    glia_graph_free(g);
}

static void pooling_shapes(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor x = image_input(g, 4, 7, 9);
    assert_shape(glia_max_pool2d(x, (glia_pool_opts){ 0 }), GLIA_SHAPE(GLIA_BATCH, 4, 3, 4));
    assert_shape(glia_max_pool2d(x, (glia_pool_opts){ .padding = GLIA_SAME }), GLIA_SHAPE(GLIA_BATCH, 4, 4, 5));
    assert_shape(glia_avg_pool2d(x, (glia_pool_opts){ .size = 3, .stride = 1, .pad = 1 }),
                 GLIA_SHAPE(GLIA_BATCH, 4, 7, 9));
    assert_shape(glia_max_pool2d(x, (glia_pool_opts){ .sizes = { 1, 3 } }), GLIA_SHAPE(GLIA_BATCH, 4, 7, 3));
    assert_shape(glia_global_max_pool(x), GLIA_SHAPE(GLIA_BATCH, 4));
    assert_shape(glia_global_avg_pool(x), GLIA_SHAPE(GLIA_BATCH, 4));
    glia_graph_free(g);
}

static void same_name_shares_weights(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 5));
    glia_tensor y =
        glia_dense(glia_dense(x, "fc", (glia_dense_opts){ .units = 5 }), "fc", (glia_dense_opts){ .units = 5 });
    assert_shape(y, GLIA_SHAPE(GLIA_BATCH, 5));
    assert_int_equal(parameter_count(g), 30);
    assert_int_equal(leaf_count(g), 2);
    glia_graph_free(g);
}

/* ---- initialisers ----------------------------------------------------------------------------- */

typedef struct moments {
    double mean, variance, least, most;
} moments;

static double *filled(const char *name, glia_shape shape, glia_init init, uint64_t seed) {
    glia_leaf leaf = { .name = name,
                       .dtype = GLIA_F64,
                       .shape = shape,
                       .init = init.kind,
                       .value = init.value,
                       .low = init.low,
                       .high = init.high,
                       .mean = init.mean,
                       .stddev = init.stddev,
                       .fan_in = init.fan_in };
    double *values = malloc((size_t)glia_shape_count(shape) * sizeof *values);
    glia_error error;
    assert_non_null(values);
    if (glia_init_fill(&leaf, shape, seed, values, &error) != GLIA_OK) fail_msg("%s", error.message);
    return values;
}

static moments moments_of(glia_init init, glia_shape shape) {
    double *v = filled("w", shape, init, 7);
    int64_t n = glia_shape_count(shape);
    moments m = { .least = INFINITY, .most = -INFINITY };
    for (int64_t i = 0; i < n; i++)
        m.mean += v[i] / (double)n, m.least = fmin(m.least, v[i]), m.most = fmax(m.most, v[i]);
    for (int64_t i = 0; i < n; i++) m.variance += (v[i] - m.mean) * (v[i] - m.mean) / (double)n;
    free(v);
    return m;
}

/* Tolerance: five standard errors of the mean and, approximately, of the variance of n draws. */
static void assert_moments(moments m, double mean, double variance, double n) {
    assert_true(fabs(m.mean - mean) < 5 * sqrt(variance / n));
    assert_true(fabs(m.variance - variance) < 8 * variance / sqrt(n));
}

static void assert_uniform(glia_init_kind kind, glia_shape shape, double fan_in, double limit) {
    moments m = moments_of((glia_init){ .kind = kind, .fan_in = fan_in }, shape);
    assert_moments(m, 0, limit * limit / 3, (double)glia_shape_count(shape));
    assert_true(m.least >= -limit && m.most < limit);
    assert_true(m.least < -0.99 * limit && m.most > 0.99 * limit);
}

static void assert_normal(glia_init_kind kind, glia_shape shape, double stddev) {
    moments m = moments_of((glia_init){ .kind = kind }, shape);
    assert_moments(m, 0, stddev * stddev, (double)glia_shape_count(shape));
    assert_true(m.most > 3 * stddev && m.least < -3 * stddev);
}

static void initialiser_moments(void **state) {
    (void)state;
    glia_shape dense = GLIA_SHAPE(200, 100), conv = GLIA_SHAPE(64, 32, 3, 3); /* fans 100, 200 and 288, 576 */
    assert_uniform(GLIA_INIT_DEFAULT, dense, 0, sqrt(6.0 / 300));
    assert_uniform(GLIA_INIT_GLOROT_UNIFORM, conv, 0, sqrt(6.0 / 864));
    assert_uniform(GLIA_INIT_HE_UNIFORM, conv, 0, sqrt(6.0 / 288));
    assert_uniform(GLIA_INIT_LECUN_UNIFORM, dense, 0, sqrt(3.0 / 100));
    assert_uniform(GLIA_INIT_FAN_IN_UNIFORM, dense, 0, 0.1);
    assert_uniform(GLIA_INIT_FAN_IN_UNIFORM, GLIA_SHAPE(5000), 400, 0.05);
    assert_normal(GLIA_INIT_GLOROT_NORMAL, conv, sqrt(2.0 / 864));
    assert_normal(GLIA_INIT_HE_NORMAL, dense, sqrt(2.0 / 100));
    assert_normal(GLIA_INIT_LECUN_NORMAL, conv, sqrt(1.0 / 288));
    assert_normal(GLIA_INIT_NORMAL, dense, 1);
    moments u = moments_of((glia_init){ .kind = GLIA_INIT_UNIFORM, .low = 2, .high = 5 }, dense);
    assert_moments(u, 3.5, 9.0 / 12, 20000);
    assert_true(u.least >= 2 && u.most < 5);
    /* N(0, 1) truncated at 2 has variance 1 - 4 phi(2) / (2 Phi(2) - 1) = 0.7737. */
    moments t = moments_of((glia_init){ .kind = GLIA_INIT_TRUNCATED_NORMAL, .mean = 3, .stddev = 0.5 }, dense);
    assert_moments(t, 3, 0.25 * 0.773741, 20000);
    assert_true(t.least >= 2 && t.most <= 4 && t.most > 3.95);
    moments c = moments_of((glia_init){ .kind = GLIA_INIT_CONSTANT, .value = 0.25 }, dense);
    assert_true(c.least == 0.25 && c.most == 0.25);
    moments z = moments_of((glia_init){ .kind = GLIA_INIT_DEFAULT }, GLIA_SHAPE(10));
    assert_true(z.least == 0 && z.most == 0);
}

static double matrix_dot(const double *m, int64_t columns, bool rows, int64_t i, int64_t j, int64_t n) {
    double sum = 0;
    for (int64_t k = 0; k < n; k++) {
        sum += rows ? m[i * columns + k] * m[j * columns + k] : m[k * columns + i] * m[k * columns + j];
    }
    return sum;
}

static void orthogonal_rows_or_columns(void **state) {
    (void)state;
    glia_shape shapes[] = { GLIA_SHAPE(20, 50), GLIA_SHAPE(50, 20), GLIA_SHAPE(30, 30), GLIA_SHAPE(16, 8, 3, 3) };
    for (int s = 0; s < GLIA_COUNT(shapes); s++) {
        int64_t r = shapes[s].dim[0], c = glia_shape_count(shapes[s]) / r;
        double gain = s == 1 ? 2 : 1,
               *m = filled("q", shapes[s], (glia_init){ .kind = GLIA_INIT_ORTHOGONAL, .value = s == 1 ? 2 : 0 }, 3);
        bool rows = r <= c;
        for (int64_t i = 0; i < GLIA_MIN(r, c); i++) {
            for (int64_t j = 0; j <= i; j++) {
                double product = matrix_dot(m, c, rows, i, j, GLIA_MAX(r, c));
                assert_true(fabs(product - (i == j ? gain * gain : 0)) < 1e-13 * gain * gain);
            }
        }
        free(m);
    }
    glia_leaf vector = { .name = "v", .dtype = GLIA_F32, .shape = GLIA_SHAPE(4), .init = GLIA_INIT_ORTHOGONAL };
    float room[4];
    glia_error error;
    assert_int_equal(glia_init_fill(&vector, vector.shape, 0, room, &error), GLIA_E_ARGUMENT);
    assert_non_null(strstr(error.message, "v: "));
}

/* Forget gate biases b: T = 1 / (1 - sigmoid(b)) is uniform between 2 and `value` steps; input gates: -b. */
static void chrono_biases_spread_over_the_memory(void **state) {
    (void)state;
    enum { UNITS = 500 };
    double *b = filled("bias", GLIA_SHAPE(4 * UNITS), (glia_init){ .kind = GLIA_INIT_CHRONO, .value = 100 }, 5);
    double mean = 0, low = 1e9, high = 0;
    for (int i = 0; i < UNITS; i++) {
        const double steps = 1 + exp(b[UNITS + i]);
        mean += steps / UNITS, low = fmin(low, steps), high = fmax(high, steps);
        assert_true(b[i] == -b[UNITS + i] && b[2 * UNITS + i] == 0 && b[3 * UNITS + i] == 0);
    }
    assert_true(low >= 2 && low < 4 && high <= 100 && high > 98 && fabs(mean - 51) < 4);
    free(b);
    const glia_leaf bad[] = { { .name = "b", .dtype = GLIA_F32, .init = GLIA_INIT_CHRONO, .value = 2 },
                              { .name = "b", .dtype = GLIA_F32, .init = GLIA_INIT_CHRONO, .value = NAN } };
    float room[8];
    glia_error error;
    for (int i = 0; i < GLIA_COUNT(bad); i++)
        assert_int_equal(glia_init_fill(&bad[i], GLIA_SHAPE(8), 0, room, &error), GLIA_E_ARGUMENT);
    assert_int_equal(glia_init_fill(&bad[0], GLIA_SHAPE(7), 0, room, &error), GLIA_E_ARGUMENT);
    assert_non_null(strstr(error.message, "b: "));
}

static void values_depend_on_seed_and_name_alone(void **state) {
    (void)state;
    glia_graph *one = glia_graph_create(), *two = glia_graph_create();
    glia_init init = { .kind = GLIA_INIT_NORMAL };
    glia_shape shape = GLIA_SHAPE(3, 5);
    glia_parameter(one, "a", GLIA_F32, shape, init), glia_parameter(one, "b", GLIA_F32, shape, init);
    glia_parameter(two, "b", GLIA_F32, shape, init), glia_parameter(two, "other", GLIA_F64, GLIA_SHAPE(9), init);
    glia_parameter(two, "a", GLIA_F32, shape, init);
    glia_store *s[] = { glia_store_create(one, 11, NULL), glia_store_create(two, 11, NULL),
                        glia_store_create(two, 12, NULL) };
    glia_array a[3], b[3];
    for (int i = 0; i < 3; i++) assert_true(glia_store_find(s[i], "a", &a[i]) && glia_store_find(s[i], "b", &b[i]));
    assert_memory_equal(a[0].data, a[1].data, 15 * sizeof(float));
    assert_memory_equal(b[0].data, b[1].data, 15 * sizeof(float));
    assert_memory_not_equal(a[0].data, a[2].data, 15 * sizeof(float));
    assert_memory_not_equal(a[0].data, b[0].data, 15 * sizeof(float));
    for (int i = 0; i < 3; i++) glia_store_free(s[i]);
    glia_graph_free(one), glia_graph_free(two);
}

static void a_bias_takes_the_layers_fan_in(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor x = image_input(g, 4, 8, 8);
    glia_init init = { .kind = GLIA_INIT_FAN_IN_UNIFORM };
    glia_conv2d(x, "conv", (glia_conv_opts){ .filters = 3, .kernel = 5, .bias_init = init, .kernel_init = init });
    glia_dense(glia_flatten(x), "fc", (glia_dense_opts){ .units = 3, .bias_init = init });
    assert_true(glia_leaf_of(glia_graph_find_leaf(g, "conv/bias"))->fan_in == 100);
    assert_true(glia_leaf_of(glia_graph_find_leaf(g, "fc/bias"))->fan_in == 256);
    assert_int_equal(glia_leaf_of(glia_graph_find_leaf(g, "fc/kernel"))->init, GLIA_INIT_GLOROT_UNIFORM);
    glia_graph_free(g);
}

static void random_state_is_initialised_with_seed(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_dropout(glia_input(g, "x", GLIA_F32, GLIA_SHAPE(4)), 0.5);
    glia_store *s = glia_store_create(g, 0xFFF0000000000123u, NULL);
    glia_array rng;
    assert_true(glia_store_find(s, "rng", &rng));
    assert_int_equal(rng.dtype, GLIA_I64);
    assert_true(((int64_t *)rng.data)[0] == 0x0010000000000123 && ((int64_t *)rng.data)[1] == 0);
    glia_store_free(s);
    glia_graph_free(g);
}

/* ---- messages --------------------------------------------------------------------------------- */

/* Checks that the graph's error contains both texts; frees the graph. */
static void assert_mistake(glia_graph *g, glia_tensor result, glia_status status, const char *one, const char *two) {
    glia_error error = { 0 };
    assert_int_equal(glia_graph_check(g, &error), status);
    assert_true(glia_is_bad(result));
    if (!strstr(error.message, one) || !strstr(error.message, two))
        fail_msg("'%s' lacks '%s' or '%s'", error.message, one, two);
    assert_null(g->label);
    glia_graph_free(g);
}

#define MISTAKE(status, one, two, dtype, shape, expression)       \
    {                                                             \
        glia_graph *g = glia_graph_create();                      \
        glia_tensor x = glia_input(g, "x", dtype, shape);         \
        assert_mistake(g, (expression), status, one, two);        \
    }

static void errors_name_the_layer_and_the_shapes(void **state) {
    (void)state;
    glia_shape image = GLIA_SHAPE(GLIA_BATCH, 3, 4, 4), row = GLIA_SHAPE(GLIA_BATCH, 7);
    MISTAKE(GLIA_E_SHAPE, "stem: conv2d of (N, 7)", "(N, C, H, W)", GLIA_F32, row,
            glia_conv2d(x, "stem", (glia_conv_opts){ .filters = 2, .kernel = 3 }))
    MISTAKE(GLIA_E_SHAPE, "stem: conv of f32(N, 3, 4, 4), f32(2, 3, 5, 5)", "kernel 5x5 does not fit 4x4", GLIA_F32,
            image, glia_conv2d(x, "stem", (glia_conv_opts){ .filters = 2, .kernel = 5 }))
    MISTAKE(GLIA_E_SHAPE, "stem", "kernel 3x3 with dilation 3x3 does not fit 4x4 padded to 6x6", GLIA_F32, image,
            glia_conv2d(x, "stem", (glia_conv_opts){ .filters = 2, .kernel = 3, .dilation = 3, .pad = 1 }))
    MISTAKE(GLIA_E_SHAPE, "stem: conv2d of (N, 3, 4, 4)", "3 channels and 4 filters do not both divide into 2 groups",
            GLIA_F32, image, glia_conv2d(x, "stem", (glia_conv_opts){ .filters = 4, .kernel = 1, .groups = 2 }))
    MISTAKE(GLIA_E_SHAPE, "stem: conv2d", "filters must be at least 1", GLIA_F32, image,
            glia_conv2d(x, "stem", (glia_conv_opts){ .kernel = 3 }))
    MISTAKE(GLIA_E_SHAPE, "stem: conv2d", "kernel's size must be at least 1", GLIA_F32, image,
            glia_conv2d(x, "stem", (glia_conv_opts){ .filters = 3 }))
    MISTAKE(GLIA_E_SHAPE, "stem: conv", "stride cannot be -1", GLIA_F32, image,
            glia_conv2d(x, "stem", (glia_conv_opts){ .filters = 3, .kernel = 1, .stride = -1 }))
    MISTAKE(GLIA_E_ARGUMENT, "pads cannot be given as well", "conv", GLIA_F32, image,
            glia_conv2d(x, "stem", (glia_conv_opts){ .filters = 3, .kernel = 3, .padding = GLIA_SAME, .pad = 1 }))
    MISTAKE(GLIA_E_SHAPE, "conv_input_grad of f32(N, 3, 5, 4)", "gives (N, 3, 4, 4), which does not match", GLIA_F32,
            GLIA_SHAPE(GLIA_BATCH, 3, 5, 4),
            glia_conv_transposed(x, glia_parameter(g, "up", GLIA_F32, GLIA_SHAPE(3, 2, 3, 3), (glia_init){ 0 }),
                                 (glia_conv_window){ .stride = 2 }, GLIA_SHAPE(9, 9)))
    MISTAKE(GLIA_E_SHAPE, "fc: dense of (N)", "(N, ..., F)", GLIA_F32, GLIA_SHAPE(GLIA_BATCH),
            glia_dense(x, "fc", (glia_dense_opts){ .units = 3 }))
    MISTAKE(GLIA_E_SHAPE, "fc: dense of (N, 7)", "units", GLIA_F32, row, glia_dense(x, "fc", (glia_dense_opts){ 0 }))
    MISTAKE(GLIA_E_SHAPE, "fc: dense of (N, 7)", "cast", GLIA_I32, row,
            glia_dense(x, "fc", (glia_dense_opts){ .units = 3 }))
    MISTAKE(GLIA_E_ARGUMENT, "dense", "name is needed", GLIA_F32, row,
            glia_dense(x, "", (glia_dense_opts){ .units = 3 }))
    MISTAKE(GLIA_E_ARGUMENT, "there is no activation", "99", GLIA_F32, row, glia_activate(x, (glia_activation)99))
    MISTAKE(GLIA_E_SHAPE, "max_pool2d of (N, 7)", "(N, C, H, W)", GLIA_F32, row,
            glia_max_pool2d(x, (glia_pool_opts){ 0 }))
    MISTAKE(GLIA_E_SHAPE, "max_pool", "window 5x5 does not fit 4x4", GLIA_F32, image,
            glia_max_pool2d(x, (glia_pool_opts){ .size = 5 }))
    MISTAKE(GLIA_E_SHAPE, "max_pool", "padding must be smaller than the window", GLIA_F32, image,
            glia_max_pool2d(x, (glia_pool_opts){ .size = 2, .pad = 2 }))
    MISTAKE(GLIA_E_SHAPE, "bn: batch_norm of (7)", "(N, C, ...)", GLIA_F32, GLIA_SHAPE(7),
            glia_batch_norm(x, "bn", (glia_norm_opts){ 0 }))
    MISTAKE(GLIA_E_ARGUMENT, "dropout", "[0, 1)", GLIA_F32, row, glia_dropout(x, 1))
    MISTAKE(GLIA_E_ARGUMENT, "alpha_dropout", "[0, 1)", GLIA_F32, row, glia_alpha_dropout(x, -0.1))
    MISTAKE(GLIA_E_SHAPE, "spatial_dropout of (N, 7)", "(N, C, ...)", GLIA_F32, row, glia_spatial_dropout(x, 0.5))
    MISTAKE(GLIA_E_SHAPE, "drop_path of (7)", "(N, ...)", GLIA_F32, GLIA_SHAPE(7), glia_drop_path(x, 0.5))
    MISTAKE(GLIA_E_SHAPE, "cross_entropy", "labels should be (N)", GLIA_F32, row,
            glia_cross_entropy(x, glia_input(g, "t", GLIA_I32, GLIA_SHAPE(GLIA_BATCH, 1)), 0))
    MISTAKE(GLIA_E_SHAPE, "mse", "shapes differ", GLIA_F32, row,
            glia_mse(x, glia_input(g, "t", GLIA_F32, GLIA_SHAPE(GLIA_BATCH))))
}

/* Errors propagate through every layer, and the first one is kept. NULL is accepted. */
static void errors_propagate(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_conv2d(image_input(g, 1, 2, 2), "stem", (glia_conv_opts){ .filters = 1, .kernel = 3 });
    x = glia_batch_norm(glia_max_pool2d(x, (glia_pool_opts){ 0 }), "bn", (glia_norm_opts){ 0 });
    x = glia_global_avg_pool(
        glia_global_max_pool(glia_conv2d_transposed(x, "up", (glia_conv_opts){ .filters = 2, .kernel = 2 })));
    x = glia_dense(glia_dropout(glia_layer_norm(x, "ln", (glia_norm_opts){ 0 }), 0.5), "fc",
                   (glia_dense_opts){ .units = 1 });
    x = glia_softmax(glia_activate(x, GLIA_GELU), -1);
    x = glia_cross_entropy(x, glia_input(g, "t", GLIA_I32, GLIA_SHAPE(1)), 0.1);
    assert_mistake(g, x, GLIA_E_SHAPE, "stem", "kernel 3x3 does not fit 2x2");
    assert_null(glia_dense(NULL, "fc", (glia_dense_opts){ .units = 1 }));
    assert_null(glia_conv2d(NULL, "c", (glia_conv_opts){ .filters = 1, .kernel = 1 }));
    assert_null(glia_batch_norm(NULL, "bn", (glia_norm_opts){ 0 }));
    assert_null(glia_max_pool2d(NULL, (glia_pool_opts){ 0 }));
    assert_null(glia_global_avg_pool(NULL));
    assert_null(glia_conv_transposed(NULL, NULL, (glia_conv_window){ 0 }, GLIA_SCALAR));
    assert_null(glia_dropout(NULL, 0.5));
    assert_null(glia_spatial_dropout(NULL, 0.5));
    assert_null(glia_drop_path(NULL, 0.5));
    assert_null(glia_alpha_dropout(NULL, 0.5));
    assert_null(glia_activate(NULL, GLIA_SOFTMAX));
    assert_null(glia_cross_entropy(NULL, NULL, 0));
}

/* ---- values ----------------------------------------------------------------------------------- */

/* y = x kernel^T + bias on every position, softmax over the units. */
static void dense_works_on_sequences(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_input(g, "x", GLIA_F64, GLIA_SHAPE(GLIA_BATCH, 2, 3));
    glia_init one = { .kind = GLIA_INIT_CONSTANT, .value = 1 };
    glia_tensor y = glia_dense(x, "fc", (glia_dense_opts){ .units = 2, .kernel_init = one, .bias_init = one });
    glia_tensor p = glia_dense(x, "soft", (glia_dense_opts){ .units = 4, .activation = GLIA_SOFTMAX });
    glia_tensor both[] = { y, p };
    runner r = runner_open(g, both, 2, GLIA_INFER, 2, 5);
    double in[12], out[12], prob[16];
    for (int i = 0; i < 12; i++) in[i] = i;
    runner_set(&r, "x", in);
    runner_run(&r);
    assert_int_equal(runner_get(&r, 0, out), 8);
    for (int i = 0; i < 8; i++) assert_true(fabs(out[i] - (9 * (i / 2) + 4)) < 1e-12);
    assert_int_equal(runner_get(&r, 1, prob), 16);
    for (int i = 0; i < 4; i++)
        assert_true(fabs(prob[4 * i] + prob[4 * i + 1] + prob[4 * i + 2] + prob[4 * i + 3] - 1) < 1e-12);
    runner_close(&r);
    glia_graph_free(g);
}

static void every_activation_exists(void **state) {
    (void)state;
    for (int a = 0; a < GLIA_ACTIVATION_COUNT; a++) {
        glia_graph *g = glia_graph_create();
        glia_tensor x = glia_input(g, "x", GLIA_F64, GLIA_SHAPE(GLIA_BATCH, 3));
        glia_tensor y = glia_activate(x, (glia_activation)a);
        runner r = runner_open(g, &y, 1, GLIA_INFER, 1, 0);
        const double in[3] = { -1.5, 0, 2 };
        double out[3];
        runner_set(&r, "x", in);
        runner_run(&r);
        runner_get(&r, 0, out);
        double e[3] = { exp(-1.5), 1, exp(2) }, total = e[0] + e[1] + e[2];
        for (int i = 0; i < 3; i++) {
            double v = in[i], below = exp(fmin(v, 0)) - 1, s = 1 / (1 + exp(-v));
            const double expected[GLIA_ACTIVATION_COUNT] = {
                [GLIA_LINEAR] = v,
                [GLIA_RELU] = fmax(v, 0),
                [GLIA_LEAKY_RELU] = v > 0 ? v : 0.01 * v,
                [GLIA_ELU] = v > 0 ? v : below,
                [GLIA_SELU] = 1.0507009873554805 * (v > 0 ? v : 1.6732632423543772 * below),
                [GLIA_GELU] = v * 0.5 * erfc(-v / sqrt(2)),
                [GLIA_SILU] = v * s,
                [GLIA_SIGMOID] = s,
                [GLIA_TANH] = tanh(v),
                [GLIA_SOFTPLUS] = log(1 + exp(v)),
                [GLIA_SOFTMAX] = e[i] / total,
                [GLIA_LOG_SOFTMAX] = v - log(total),
                [GLIA_GELU_TANH] = v * 0.5 * (1 + tanh(sqrt(2 / acos(-1)) * (v + 0.044715 * v * v * v)))
            };
            assert_true(fabs(out[i] - expected[a]) < 1e-12);
        }
        runner_close(&r);
        glia_graph_free(g);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keras_cnn_has_93322_parameters),
        cmocka_unit_test(cifar_net_has_62006_parameters),
        cmocka_unit_test(convolution_shapes_match_frameworks),
        cmocka_unit_test(same_padding_puts_extra_zero_at_end),
        cmocka_unit_test(pooling_shapes),
        cmocka_unit_test(same_name_shares_weights),
        cmocka_unit_test(initialiser_moments),
        cmocka_unit_test(orthogonal_rows_or_columns),
        cmocka_unit_test(chrono_biases_spread_over_the_memory),
        cmocka_unit_test(values_depend_on_seed_and_name_alone),
        cmocka_unit_test(a_bias_takes_the_layers_fan_in),
        cmocka_unit_test(random_state_is_initialised_with_seed),
        cmocka_unit_test(errors_name_the_layer_and_the_shapes),
        cmocka_unit_test(errors_propagate),
        cmocka_unit_test(dense_works_on_sequences),
        cmocka_unit_test(every_activation_exists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
