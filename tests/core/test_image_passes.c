/* test_image_passes.c - image passes preserve results: the layout pass leaves no unnecessary permutation, and
 * operations moved after a max pool run on its output.
 *
 * The reference is the original graph: its ops have golden results, which verifies the other layout.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/launch/backend.h"
#include "core/passes/passes.h"
#include "glia/glia.h"
#include "op_samples.h"

static const glia_backend_kind kind = { .name = "last", .channels_last = true };
static const glia_backend backend = { .kind = &kind };

static int count_op(const glia_graph *g, const glia_op *op) {
    int n = 0;
    for (int i = 0; i < g->n_nodes; i++) n += g->nodes[i]->op == op;
    return n;
}

static glia_graph *laid_out(const glia_graph *g) {
    glia_error error;
    glia_graph *last = glia_pass_layout(g, &backend, &error);
    if (!last || glia_graph_verify(last, &error) != GLIA_OK) fail_msg("%s", error.message);
    return last;
}

/* Compares output k of both graphs at these inputs. */
static void assert_same(const glia_graph *a, const glia_graph *b, int k, int n, double *const *x, const char *what) {
    glia_error error;
    double *is = sample_evaluate(b, k, n, x, &error), *should = sample_evaluate(a, k, n, x, &error);
    if (!is || !should) fail_msg("%s: %s", what, error.message);
    assert_true(glia_shape_equal(a->outputs[k].node->shape, b->outputs[k].node->shape));
    for (int64_t i = 0; i < glia_shape_count(a->outputs[k].node->shape); i++) {
        if (fabs(is[i] - should[i]) > 1e-12 * (1 + fabs(should[i]))) {
            fail_msg("%s: output %d, element %lld is %.12g and should be %.12g", what, k, (long long)i, is[i],
                     should[i]);
        }
    }
    free(is);
    free(should);
}

/* Every sample of convolution and pooling, separately. */
static void nchw_and_nhwc_results_are_equal(void **state) {
    (void)state;
    int checked = 0;
    for (int i = 0; i < glia_op_count(); i++) {
        const glia_op *op = glia_op_at(i);
        if (!strstr(op->name, "conv") && !strstr(op->name, "pool")) continue;
        for (const glia_op_sample *s = glia_op_samples(i); s->name; s++) {
            if (s->no_golden) continue; /* already channels last */
            sample_case c = sample_open(op, s);
            sample_graph g = sample_build(op, s, false);
            glia_graph *last = laid_out(g.g);
            assert_int_equal(count_op(last, op), 1);
            for (int k = 0; k < last->n_nodes; k++) {
                if (last->nodes[k]->op == op) assert_false(glia_attrs_equal(op, last->nodes[k]->attrs, s->attrs));
            }
            char what[96];
            snprintf(what, sizeof what, "%s, sample %s", op->name, s->name);
            assert_same(g.g, last, 0, s->n, c.x, what);
            glia_graph_free(last);
            glia_graph_free(g.g);
            sample_close(&c);
            checked++;
        }
    }
    assert_true(checked > 60);
}

/* ---- whole nets -------------------------------------------------------------------------------------- */

enum { MOST_INPUTS = 16 };

typedef struct net {
    glia_graph *g;
    glia_tensor in[MOST_INPUTS];
    int n;
} net;

static glia_tensor new_input(net *t, glia_shape shape) {
    char name[16];
    snprintf(name, sizeof name, "x%d", t->n);
    return t->in[t->n++] = glia_input(t->g, name, GLIA_F32, shape);
}

/* Normalised over batch and positions, scaled and shifted: batch norm in separate ops. */
static glia_tensor normalized(net *t, glia_tensor x) {
    glia_shape axes = GLIA_SHAPE(0, 2, 3), vector = GLIA_SHAPE(1, x->shape.dim[1], 1, 1);
    double n = (double)(x->shape.dim[0] * x->shape.dim[2] * x->shape.dim[3]);
    glia_tensor d = glia_sub(x, glia_mul_scalar(glia_sum(x, axes, true), 1 / n));
    glia_tensor variance = glia_mul_scalar(glia_sum(glia_mul(d, d), axes, true), 1 / n);
    glia_tensor y = glia_mul(d, glia_rsqrt(glia_add_scalar(variance, 1e-3)));
    return glia_add(glia_mul(y, glia_reshape(new_input(t, GLIA_SHAPE(x->shape.dim[1])), vector)),
                    glia_reshape(new_input(t, GLIA_SHAPE(x->shape.dim[1])), vector));
}

static glia_tensor conv3(net *t, glia_tensor x, int64_t filters, int stride) {
    glia_tensor kernel = new_input(t, GLIA_SHAPE(filters, x->shape.dim[1], 3, 3));
    return glia_conv(x, kernel, (glia_conv_window){ .stride = stride, .pad = 1 });
}

/* A residual net: one block with a channel-padding shortcut, two kinds of pooling, and a dense layer. */
static glia_tensor residual(net *t) {
    glia_tensor x = glia_relu(normalized(t, conv3(t, new_input(t, GLIA_SHAPE(2, 3, 8, 8)), 4, 1)));
    x = glia_max_pool(x, (glia_pool_opts){ .size = 2 });
    glia_tensor y = normalized(t, conv3(t, x, 6, 2));
    glia_tensor shortcut = glia_slice(x, GLIA_SHAPE(0, 0, 0, 0), x->shape, GLIA_SHAPE(1, 1, 2, 2));
    shortcut = glia_pad(shortcut, GLIA_SHAPE(0, 1, 0, 0), GLIA_SHAPE(0, 1, 0, 0), GLIA_SHAPE(0, 0, 0, 0), 0);
    y = glia_relu(glia_add(y, shortcut));
    y = glia_concat((glia_tensor[]){ y, glia_neg(y) }, 2, 1);
    return glia_sum(y, GLIA_SHAPE(2, 3), false);
}

static double **draw(const net *t) {
    double **x = calloc(MOST_INPUTS, sizeof *x);
    for (int i = 0; i < t->n; i++) {
        int64_t count = glia_shape_count(t->in[i]->shape);
        glia_rng rng = { .seed = 5, .stream = (uint64_t)i };
        x[i] = malloc((size_t)count * sizeof *x[i]);
        for (int64_t k = 0; k < count; k++) x[i][k] = glia_round_to(GLIA_F32, glia_rng_normal(&rng));
    }
    return x;
}

/* Group norm, then pixels as a sequence and back, as in attention. */
static glia_tensor attentive(net *t) {
    glia_tensor x = conv3(t, new_input(t, GLIA_SHAPE(2, 3, 4, 4)), 6, 1);
    const glia_shape s = x->shape;
    x = glia_silu(glia_group_norm(x, "norm", 3, (glia_norm_opts){ .no_scale = true, .no_shift = true }));
    glia_tensor y = glia_transpose(glia_reshape(x, GLIA_SHAPE(s.dim[0], s.dim[1], s.dim[2] * s.dim[3])));
    y = glia_matmul(y, new_input(t, GLIA_SHAPE(6, 6)));
    y = glia_add(x, glia_reshape(glia_transpose(y), s));
    return glia_sum(conv3(t, y, 4, 1), GLIA_SHAPE(2, 3), false);
}

static void check_layout(glia_tensor (*build)(net *t), const char *what) {
    net t = { .g = glia_graph_create() };
    glia_tensor y = build(&t), dx[MOST_INPUTS], loss = glia_sum(glia_mul(y, glia_tanh(y)), GLIA_SHAPE(0, 1), false);
    glia_error error;
    glia_grad(loss, t.in, t.n, dx);
    glia_graph_output(t.g, "loss", loss);
    for (int i = 0; i < t.n; i++) {
        char name[16];
        snprintf(name, sizeof name, "dx%d", i);
        glia_graph_output(t.g, name, dx[i]);
    }
    glia_graph *plain = sample_expanded(t.g, GLIA_TRAIN, &error), *last = laid_out(plain);
    double **x = draw(&t);
    for (int k = 0; k <= t.n; k++) assert_same(plain, last, k, t.n, x, what);
    glia_graph *folded = glia_pass_fold(last, &error), *merged = glia_pass_cse(folded, &error);
    /* Only the input images and the gradient in them are permuted. */
    assert_int_equal(count_op(merged, &glia_op_permute), 2);
    for (int i = 0; i < t.n; i++) free(x[i]);
    free(x);
    glia_graph_free(merged);
    glia_graph_free(folded);
    glia_graph_free(last);
    glia_graph_free(plain);
    glia_graph_free(t.g);
}

static void layout_pass_preserves_results_and_gradients(void **state) {
    (void)state;
    check_layout(residual, "residual net");
    check_layout(attentive, "attentive net");
}

/* Grey images and pooled planes of one element need no permutation. */
static void trivial_permutations_become_reshapes(void **state) {
    (void)state;
    net t = { .g = glia_graph_create() };
    glia_tensor x = glia_relu(conv3(&t, new_input(&t, GLIA_SHAPE(2, 1, 4, 4)), 5, 1));
    glia_graph_output(t.g, "y", glia_flatten(glia_max_pool(x, (glia_pool_opts){ .size = 4 })));
    glia_error error;
    glia_graph *plain = sample_expanded(t.g, GLIA_INFER, &error), *last = laid_out(plain);
    glia_graph *live = glia_pass_fold(last, &error);
    assert_int_equal(count_op(live, &glia_op_permute), 0);
    double **values = draw(&t);
    assert_same(plain, live, 0, t.n, values, "grey net");
    for (int i = 0; i < t.n; i++) free(values[i]);
    free(values);
    glia_graph_free(live);
    glia_graph_free(last);
    glia_graph_free(plain);
    glia_graph_free(t.g);
}

static double *evaluated(const glia_graph *g, int k, int n, double *const *x) {
    glia_error error;
    double *y = sample_evaluate(g, k, n, x, &error);
    if (!y) fail_msg("%s", error.message);
    return y;
}

/* relu, its gradient and the bias gradient after pooling: the same bits, except for the order of the sum; with ties,
 * windows without a positive element, and overlapping windows. */
static void relu_and_sums_move_after_max_pooling(void **state) {
    (void)state;
    const glia_pool_opts pools[] = { { .size = 2 }, { .size = 3, .stride = 2, .pad = 1 } };
    for (int p = 0; p < 2; p++) {
        net t = { .g = glia_graph_create() };
        glia_tensor x = new_input(&t, GLIA_SHAPE(2, 3, 6, 6)), bias = new_input(&t, GLIA_SHAPE(3)), dx[2];
        glia_tensor r = glia_relu(glia_add(x, glia_reshape(bias, GLIA_SHAPE(3, 1, 1))));
        glia_tensor y = glia_max_pool(r, pools[p]);
        glia_grad(glia_sum(glia_mul(y, glia_tanh(y)), GLIA_SHAPE(0, 1, 2, 3), false), t.in, 2, dx);
        glia_graph_output(t.g, "y", y);
        glia_graph_output(t.g, "dx", dx[0]);
        glia_graph_output(t.g, "dbias", dx[1]);
        glia_error error;
        glia_graph *plain = sample_expanded(t.g, GLIA_TRAIN, &error), *sunk = glia_pass_sink(plain, &error);
        if (!sunk || glia_graph_verify(sunk, &error) != GLIA_OK) fail_msg("%s", error.message);
        bool live[256];
        assert_true(sunk->n_nodes < 256);
        glia_graph_mark_live(sunk, live);
        for (int i = 0; i < sunk->n_nodes; i++) {
            const glia_node *n = sunk->nodes[i];
            bool whole = live[i] && n->n_in && glia_shape_equal(n->in[0]->shape, x->shape);
            assert_false(whole && (n->op == &glia_op_maximum || n->op == &glia_op_greater || n->op == &glia_op_sum));
        }
        double **values = draw(&t);
        for (int64_t i = 0; i < 216; i++) values[0][i] = round(2 * values[0][i]) / 2 - 0.5; /* many ties and zeros */
        for (int64_t i = 0; i < 3; i++) values[1][i] = 0.5;
        for (int k = 0; k < 2; k++) {
            double *is = evaluated(sunk, k, 2, values), *should = evaluated(plain, k, 2, values);
            size_t bytes = (size_t)glia_shape_count(plain->outputs[k].node->shape) * sizeof *is;
            assert_memory_equal(is, should, bytes);
            free(is);
            free(should);
        }
        assert_same(plain, sunk, 2, 2, values, "gradient of the bias");
        for (int i = 0; i < t.n; i++) free(values[i]);
        free(values);
        glia_graph_free(sunk);
        glia_graph_free(plain);
        glia_graph_free(t.g);
    }
}

/* f64 has no kernels; a backend may reject it. */
static void other_operations_are_not_moved(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_input(g, "x", GLIA_F64, GLIA_SHAPE(1, 2, 4, 4));
    glia_graph_output(g, "y", glia_max_pool(x, (glia_pool_opts){ .size = 2 }));
    glia_graph *last = laid_out(g);
    assert_int_equal(count_op(last, &glia_op_permute), 0);
    glia_graph_free(last);
    glia_graph_free(g);
    const glia_backend_kind first = { .name = "first" };
    const glia_backend other = { .kind = &first };
    glia_error error;
    g = glia_graph_create();
    x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(1, 2, 4, 4));
    glia_graph_output(g, "y", glia_max_pool(x, (glia_pool_opts){ .size = 2 }));
    last = glia_pass_layout(g, &other, &error);
    assert_int_equal(count_op(last, &glia_op_permute), 0);
    glia_graph_free(last);
    glia_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nchw_and_nhwc_results_are_equal),
        cmocka_unit_test(layout_pass_preserves_results_and_gradients),
        cmocka_unit_test(trivial_permutations_become_reshapes),
        cmocka_unit_test(other_operations_are_not_moved),
        cmocka_unit_test(relu_and_sums_move_after_max_pooling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
