/* test_passes.c - passes preserve results; the memory plan never lets two live values overlap. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/ops/ops.h"
#include "core/passes/passes.h"
#include "core/program/program.h"
#include "glia/glia.h"

#define ALL ((glia_shape){ 0 })

static glia_backend *open_backend(const char *name) {
    glia_error error;
    glia_backend *b = glia_backend_open(name, 2, &error);
    if (!b) fail_msg("%s", error.message);
    return b;
}

static glia_program *compile(glia_graph *g, glia_backend *b, glia_compile_opts opts) {
    glia_error error;
    glia_program *p = glia_compile(g, b, opts, &error);
    if (!p) fail_msg("%s", error.message);
    return p;
}

static int count_op(const glia_graph *g, const glia_op *op) {
    int n = 0;
    for (int i = 0; i < g->n_nodes; i++) n += g->nodes[i]->op == op;
    return n;
}

/* ---- fold and cse ------------------------------------------------------------------------------ */

static void constants_fold_and_identities_vanish(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(2, 3));
    glia_tensor two = glia_add(glia_scalar(g, GLIA_F32, 0.5), glia_scalar(g, GLIA_F32, 1.5));
    glia_tensor y = glia_mul(glia_add(glia_mul(x, glia_like(x, 1)), glia_like(x, 0)), two);
    y = glia_reshape(glia_reshape(y, GLIA_SHAPE(6)), GLIA_SHAPE(3, 2));
    y = glia_permute(glia_permute(y, GLIA_SHAPE(1, 0)), GLIA_SHAPE(1, 0));
    y = glia_cast(y, GLIA_F32);
    glia_graph_output(g, "y", y);
    glia_error error;
    glia_graph *folded = glia_pass_fold(g, &error);
    assert_non_null(folded);
    glia_graph *again = glia_pass_fold(folded, &error);
    assert_int_equal(count_op(again, &glia_op_add), 0);
    assert_int_equal(count_op(again, &glia_op_mul), 1);
    assert_int_equal(count_op(again, &glia_op_reshape), 1);
    assert_int_equal(count_op(again, &glia_op_permute), 0);
    assert_int_equal(count_op(again, &glia_op_cast), 0);
    for (int i = 0; i < again->n_nodes; i++) {
        double value;
        if (glia_is_constant_scalar(again->nodes[i], &value)) assert_true(value == 2);
    }
    glia_graph_free(again);
    glia_graph_free(folded);
    glia_graph_free(g);
}

static void zero_times_nan_is_not_folded(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    double nan = NAN, value = 1;
    glia_tensor x = glia_constant(g, GLIA_F32, GLIA_SHAPE(1), &nan);
    glia_tensor y = glia_mul(x, glia_like(x, 0));
    assert_int_equal(glia_eval(y, &value, 1, NULL), GLIA_OK);
    assert_true(isnan(value));
    glia_graph_free(g);
}

static void equal_computations_merge(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(4)), w = glia_input(g, "w", GLIA_F32, GLIA_SHAPE(4));
    glia_tensor a = glia_exp(glia_add(x, w)), b = glia_exp(glia_add(w, x)); /* add commutes */
    glia_tensor c = glia_sub(x, w), d = glia_sub(w, x);                     /* sub does not */
    glia_graph_output(g, "y", glia_add(glia_mul(a, b), glia_mul(c, d)));
    glia_error error;
    glia_graph *merged = glia_pass_cse(g, &error);
    assert_non_null(merged);
    assert_int_equal(count_op(merged, &glia_op_exp), 1);
    assert_int_equal(count_op(merged, &glia_op_sub), 2);
    glia_graph_free(merged);
    glia_graph_free(g);
}

/* ---- a training graph with everything -------------------------------------------------------------- */

static glia_tensor small_net(glia_graph *g, glia_tensor *loss) {
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 2, 8, 8));
    glia_tensor labels = glia_input(g, "labels", GLIA_I32, GLIA_SHAPE(GLIA_BATCH));
    glia_tensor y = glia_conv2d(
        x, "conv", (glia_conv_opts){ .filters = 5, .kernel = 3, .padding = GLIA_SAME, .activation = GLIA_RELU });
    y = glia_batch_norm(y, "bn", (glia_norm_opts){ 0 });
    y = glia_add(glia_conv2d(y, "conv2", (glia_conv_opts){ .filters = 5, .kernel = 3, .padding = GLIA_SAME }), y);
    y = glia_max_pool(glia_gelu(y), (glia_pool_opts){ 0 });
    y = glia_dropout(glia_flatten(y), 0.25);
    y = glia_dense(y, "fc", (glia_dense_opts){ .units = 7, .activation = GLIA_TANH });
    y = glia_dense(glia_layer_norm(y, "ln", (glia_norm_opts){ 0 }), "out", (glia_dense_opts){ .units = 3 });
    *loss = glia_cross_entropy(y, labels, 0.1);
    return y;
}

static void fill(glia_session *s) {
    glia_array x, labels;
    glia_session_input(s, "x", &x, NULL);
    glia_session_input(s, "labels", &labels, NULL);
    glia_rng rng = { .seed = 5 };
    for (int64_t i = 0; i < glia_shape_count(x.shape); i++) ((float *)x.data)[i] = (float)glia_rng_normal(&rng);
    for (int64_t i = 0; i < glia_shape_count(labels.shape); i++) ((int32_t *)labels.data)[i] = (int32_t)(i % 3);
}

static void run_steps(glia_session *s, double *losses, int steps) {
    glia_error error;
    for (int i = 0; i < steps; i++) {
        assert_int_equal(glia_session_run(s, &error), GLIA_OK);
        losses[i] = ((float *)glia_session_output(s, 0).data)[0];
    }
}

/* Trains for `steps` steps; writes the losses. */
static void train(const char *backend_name, bool fused, double *losses, int steps) {
    glia_error error;
    glia_graph *g = glia_graph_create();
    glia_tensor loss;
    small_net(g, &loss);
    glia_minimize(loss, (glia_optimizer){ .kind = GLIA_ADAM, .lr = 0.01, .clip_norm = 1 }, NULL, NULL);
    if (glia_graph_check(g, &error) != GLIA_OK) fail_msg("%s", error.message);
    glia_backend *b = open_backend(backend_name);
    glia_store *store = glia_store_create(g, 3, &error);
    assert_non_null(store);
    glia_program *p = compile(
        g, b,
        (glia_compile_opts){ .outputs = &loss, .n_outputs = 1, .mode = GLIA_TRAIN, .batch = 6, .no_fusion = !fused });
    glia_session *s = glia_session_create(p, store, &error);
    if (!s) fail_msg("%s", error.message);
    fill(s);
    run_steps(s, losses, steps);
    glia_session_free(s);
    glia_program_free(p);
    glia_store_free(store);
    glia_backend_close(b);
    glia_graph_free(g);
}

static void fusion_preserves_results(void **state) {
    (void)state;
    enum { STEPS = 12 };
    double ref[STEPS], plain[STEPS], fused[STEPS];
    train("ref", true, ref, STEPS);
    train("cpu", false, plain, STEPS);
    train("cpu", true, fused, STEPS);
    for (int i = 0; i < STEPS; i++) {
        assert_true(fabs(plain[i] - ref[i]) < 1e-4);
        assert_true(fabs(fused[i] - ref[i]) < 1e-4);
    }
    assert_true(ref[STEPS - 1] < ref[0] - 0.05);
}

/* ---- groups ---------------------------------------------------------------------------------------------- */

/* The number of loops in a program over values as large as `shape`, and their reads and writes of that size. */
typedef struct walks {
    int loops, reads, writes, masks;
} walks;

static bool is_large(const glia_node *n, int64_t count) { return glia_shape_count(n->shape) == count; }

static walks walks_of(const glia_program *p, int64_t count) {
    walks w = { 0 };
    for (int i = 0; i < p->schedule.n_groups; i++) {
        const glia_group *g = &p->schedule.groups[i];
        if (g->kind != GLIA_GROUP_LOOP || glia_shape_count(g->space) != count) continue;
        w.loops++;
        for (int k = 0; k < g->n_inputs; k++) w.reads += is_large(g->inputs[k], count);
        for (int k = 0; k < g->n_outputs; k++) {
            if (is_large(g->outputs[k], count)) *(g->outputs[k]->dtype == GLIA_BOOL ? &w.masks : &w.writes) += 1;
        }
    }
    return w;
}

static glia_program *compile_training(glia_graph *g, glia_backend *b, glia_tensor loss, int64_t batch) {
    glia_minimize(loss, (glia_optimizer){ .kind = GLIA_SGD }, NULL, NULL);
    return compile(g, b, (glia_compile_opts){ .outputs = &loss, .n_outputs = 1, .mode = GLIA_TRAIN, .batch = batch });
}

/* Training a residual block: each of its two norms reads its input for the statistics, again to normalise (fused with
 * relu and the addition), and twice more for its gradients, each time together with the gradient of its result. Nothing
 * else is as large. */
static void batch_norm_takes_four_passes(void **state) {
    (void)state;
    glia_conv_opts same = { .filters = 6, .kernel = 3, .padding = GLIA_SAME, .no_bias = true };
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_conv2d(glia_input(g, "x", GLIA_F32, GLIA_SHAPE(4, 3, 9, 9)), "stem", same);
    glia_tensor y = glia_relu(glia_batch_norm(glia_conv2d(x, "conv1", same), "norm1", (glia_norm_opts){ 0 }));
    y = glia_batch_norm(glia_conv2d(y, "conv2", same), "norm2", (glia_norm_opts){ 0 });
    y = glia_conv2d(glia_relu(glia_add(y, x)), "conv3", (glia_conv_opts){ .filters = 2, .kernel = 9 });
    glia_tensor loss = glia_mean(glia_square(y), ALL, false);
    glia_backend *b = open_backend("cpu");
    glia_program *p = compile_training(g, b, loss, 1);
    const walks w = walks_of(p, 4 * 6 * 9 * 9);
    assert_int_equal(w.loops, 8);
    assert_int_equal(w.reads, 2 * (1 + 1 + 2 + 2) + 1);
    assert_int_equal(w.writes, 2 * (1 + 1));
    assert_int_equal(w.masks, 2);
    glia_program_free(p);
    glia_backend_close(b);
    glia_graph_free(g);
}

/* Cross-entropy and its gradient read the scores once and write the gradient, for few and many classes. */
static void cross_entropy_takes_one_pass(void **state) {
    (void)state;
    static const int64_t classes[] = { 10, 1000 };
    for (int k = 0; k < GLIA_COUNT(classes); k++) {
        glia_graph *g = glia_graph_create();
        glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 7));
        glia_tensor labels = glia_input(g, "labels", GLIA_I32, GLIA_SHAPE(GLIA_BATCH));
        glia_tensor y = glia_dense(x, "dense", (glia_dense_opts){ .units = (int)classes[k], .no_bias = true });
        glia_backend *b = open_backend("cpu");
        glia_program *p = compile_training(g, b, glia_cross_entropy(y, labels, 0), 12);
        const walks w = walks_of(p, 12 * classes[k]);
        assert_int_equal(w.loops, 1);
        assert_int_equal(w.reads, 1);
        assert_int_equal(w.writes, 1);
        int exponentials = 0;
        for (int i = 0; i < p->graph->n_nodes; i++) exponentials += p->graph->nodes[i]->op == &glia_op_exp;
        assert_int_equal(exponentials, 1);
        glia_program_free(p);
        glia_backend_close(b);
        glia_graph_free(g);
    }
}

/* Layer norm between two matrix products: one forward pass over memory and one backward, including the sums for scale
 * and shift. */
static void layer_norm_takes_two_passes(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor y = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(20, 5));
    y = glia_dense(y, "dense1", (glia_dense_opts){ .units = 64 });
    y = glia_layer_norm(y, "norm", (glia_norm_opts){ 0 });
    y = glia_dense(y, "dense2", (glia_dense_opts){ .units = 3 });
    glia_backend *b = open_backend("cpu");
    glia_program *p = compile_training(g, b, glia_mean(glia_square(y), ALL, false), 1);
    const walks w = walks_of(p, 20 * 64);
    assert_int_equal(w.loops, 2);
    glia_program_free(p);
    glia_backend_close(b);
    glia_graph_free(g);
}

/* ---- the plan ------------------------------------------------------------------------------------------- */

/* Materialised values with overlapping lifetimes must not overlap in memory, except in-place outputs, which are written
 * in the group of the input's last read. */
static void check_plan(const glia_program *p) {
    const glia_schedule *s = &p->schedule;
    int n = p->graph->n_nodes;
    int *born = malloc((size_t)n * sizeof *born), *dies = malloc((size_t)n * sizeof *dies);
    for (int i = 0; i < n; i++) {
        born[i] = s->group_of[i] >= 0 ? s->group_of[i] : 0;
        dies[i] = glia_is_input(p->graph->nodes[i]) ? s->n_groups : -1;
    }
    for (int i = 0; i < s->n_groups; i++) {
        for (int j = 0; j < s->groups[i].n_outputs; j++)
            dies[s->groups[i].outputs[j]->id] = GLIA_MAX(i, dies[s->groups[i].outputs[j]->id]);
        for (int j = 0; j < s->groups[i].n_inputs; j++) {
            int id = s->root[s->groups[i].inputs[j]->id]->id;
            dies[id] = GLIA_MAX(i, dies[id]);
            assert_true(s->group_of[id] < i); /* computed before */
        }
    }
    for (int i = 0; i < p->graph->n_outputs; i++) dies[s->root[p->graph->outputs[i].node->id]->id] = s->n_groups;
    for (int i = 0; i < n; i++) {
        if (s->root[i]->id != i || p->plan.place[i].kind != GLIA_PLACE_ACTIVATION || dies[i] < 0) continue;
        size_t a = p->plan.place[i].offset,
               a_end = a + glia_shape_bytes(p->graph->nodes[i]->shape, p->graph->nodes[i]->dtype);
        assert_true(a_end <= p->plan.scratch_offset && a % GLIA_ALIGN == 0);
        for (int j = 0; j < i; j++) {
            if (s->root[j]->id != j || p->plan.place[j].kind != GLIA_PLACE_ACTIVATION || dies[j] < 0) continue;
            size_t c = p->plan.place[j].offset,
                   c_end = c + glia_shape_bytes(p->graph->nodes[j]->shape, p->graph->nodes[j]->dtype);
            if (a_end <= c || c_end <= a) continue;
            bool apart = dies[i] < born[j] || dies[j] < born[i];
            bool heir = (dies[j] == born[i] || dies[i] == born[j]) && a == c;
            if (!apart && !heir) fail_msg("values %d and %d share memory while both live", i, j);
        }
    }
    free(born);
    free(dies);
}

static void live_values_never_overlap(void **state) {
    (void)state;
    const char *const backends[] = { "ref", "cpu" };
    for (int k = 0; k < 4; k++) {
        glia_graph *g = glia_graph_create();
        glia_tensor loss;
        glia_tensor y = small_net(g, &loss);
        glia_minimize(loss, (glia_optimizer){ .kind = GLIA_SGD, .momentum = 0.9, .nesterov = true }, NULL, NULL);
        glia_backend *b = open_backend(backends[k / 2]);
        glia_tensor outputs[] = { loss, y };
        glia_program *p =
            compile(g, b,
                    (glia_compile_opts){
                        .outputs = outputs, .n_outputs = 2, .mode = GLIA_TRAIN, .batch = 4, .no_fusion = k % 2 });
        check_plan(p);
        assert_true(glia_program_inspect(p).activation_bytes < glia_program_inspect(p).unplanned_bytes);
        glia_program_free(p);
        glia_backend_close(b);
        glia_graph_free(g);
    }
}

/* A net of `blocks` residual blocks with values of width `width`: conv, norm, relu, conv, norm, sum, relu. */
static glia_tensor residual_net(glia_graph *g, int blocks, int64_t width) {
    glia_conv_opts same = { .filters = 16, .kernel = 3, .padding = GLIA_SAME, .no_bias = true };
    glia_tensor x = glia_conv2d(glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 1, width, width)), "stem", same);
    for (int i = 0; i < blocks; i++) {
        char name[16];
        glia_tensor y = x;
        for (int k = 0; k < 2; k++) {
            snprintf(name, sizeof name, "conv%d%d", i, k);
            y = glia_conv2d(y, name, same);
            snprintf(name, sizeof name, "norm%d%d", i, k);
            y = glia_batch_norm(y, name, (glia_norm_opts){ 0 });
            y = glia_relu(k == 0 ? y : glia_add(y, x));
        }
        x = y;
    }
    return glia_mean(glia_square(x), ALL, false);
}

/* Computes the losses of three steps; returns the bytes of the planned values. */
static size_t train_residual_net(bool fused, int64_t width, double *losses) {
    enum { BLOCKS = 6, STEPS = 3 };
    glia_error error;
    glia_graph *g = glia_graph_create();
    glia_tensor loss = residual_net(g, BLOCKS, width);
    glia_minimize(loss, (glia_optimizer){ .kind = GLIA_SGD, .lr = 0.01 }, NULL, NULL);
    glia_backend *b = open_backend("cpu");
    glia_store *store = glia_store_create(g, 3, &error);
    assert_non_null(store);
    glia_program *p = compile(
        g, b,
        (glia_compile_opts){ .outputs = &loss, .n_outputs = 1, .mode = GLIA_TRAIN, .batch = 1, .no_fusion = !fused });
    check_plan(p);
    const size_t bytes = p->plan.scratch_offset;
    glia_session *s = glia_session_create(p, store, &error);
    assert_non_null(s);
    glia_array x;
    glia_session_input(s, "x", &x, NULL);
    glia_rng rng = { .seed = 5 };
    for (int64_t i = 0; i < glia_shape_count(x.shape); i++) ((float *)x.data)[i] = (float)glia_rng_normal(&rng);
    run_steps(s, losses, STEPS);
    glia_session_free(s);
    glia_program_free(p);
    glia_store_free(store);
    glia_backend_close(b);
    glia_graph_free(g);
    return bytes;
}

/* With values of 1 MiB: the inputs of all 12 norms are kept. Of the 12 relu results, read by the kernel gradients, only
 * every other one between blocks is kept; a block recomputes the rest from the value kept by the previous block. The
 * stem's result is kept too. Smaller values are not recomputed. */
static void large_values_are_recomputed(void **state) {
    (void)state;
    const int64_t width[] = { 128, 64 };
    for (int k = 0; k < 2; k++) {
        double once[3], again[3];
        const double value = 16.0 * (double)(width[k] * width[k]) * sizeof(float);
        const double held = (double)train_residual_net(true, width[k], again) / value;
        train_residual_net(false, width[k], once);
        for (int i = 0; i < 3; i++) assert_true(fabs(again[i] - once[i]) < 1e-4 * fabs(once[i]));
        const double kept = 12 + 1 + (k == 0 ? 3 : 12); /* plus a few temporary values, and masks, a quarter each */
        if (held < kept || held > kept + 4) fail_msg("%g values are in memory at once, not about %g", held, kept);
    }
}

static void a_chain_needs_two_buffers(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(32, 32)), y = x;
    for (int i = 0; i < 50; i++) y = glia_matmul(y, x);
    glia_backend *b = open_backend("ref");
    glia_program *p = compile(g, b, (glia_compile_opts){ .outputs = &y, .n_outputs = 1 });
    assert_int_equal(p->plan.scratch_offset, 3 * 32 * 32 * sizeof(float)); /* the input and two alternating buffers */
    glia_program_free(p);
    glia_backend_close(b);
    glia_graph_free(g);
}

/* tanh of a (2, 3) by (3, 4) product, on a backend without fusion: every operand counts once per kernel. */
static void program_statistics(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 3));
    glia_tensor w = glia_input(g, "w", GLIA_F32, GLIA_SHAPE(3, 4));
    glia_tensor y = glia_tanh(glia_matmul(x, w));
    glia_backend *b = open_backend("ref");
    glia_program *p = compile(g, b, (glia_compile_opts){ .outputs = &y, .n_outputs = 1, .batch = 2 });
    glia_program_info info = glia_program_inspect(p);
    assert_int_equal(info.launches, 2);
    assert_true(info.flops == 2 * 2 * 3 * 4);
    assert_true(info.bytes == 4 * ((6 + 12 + 8) + (8 + 8)));
    glia_program_free(p);
    glia_backend_close(b);
    glia_graph_free(g);
}

/* Two outputs of one loop, one of which overwrites an operand that the other still reads. */
static void in_place_output_waits_for_last_read(void **state) {
    (void)state;
    for (int swapped = 0; swapped < 2; swapped++) {
        glia_graph *g = glia_graph_create();
        glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(40, 50));
        glia_tensor t = glia_transpose(x); /* last used in the loop below */
        glia_tensor a = glia_add_scalar(t, 1), b = glia_mul(t, glia_tanh(swapped ? t : a));
        glia_tensor out[] = { glia_transpose(a), glia_transpose(b) };
        glia_backend *backend = open_backend("cpu");
        glia_program *p = compile(g, backend, (glia_compile_opts){ .outputs = out, .n_outputs = 2 });
        check_plan(p);
        glia_error error;
        glia_store *store = glia_store_create(g, 0, &error);
        glia_session *s = glia_session_create(p, store, &error);
        assert_non_null(s);
        float *in = glia_session_input(s, "x", NULL, NULL);
        for (int i = 0; i < 2000; i++) in[i] = (float)(i % 97) / 50 - 1;
        assert_int_equal(glia_session_run(s, &error), GLIA_OK);
        const float *ya = glia_session_output(s, 0).data, *yb = glia_session_output(s, 1).data;
        for (int i = 0; i < 2000; i++) {
            double v = (double)in[i];
            assert_true(fabs((double)ya[i] - (v + 1)) < 1e-6);
            assert_true(fabs((double)yb[i] - v * tanh(swapped ? v : v + 1)) < 1e-6);
        }
        glia_session_free(s);
        glia_store_free(store);
        glia_program_free(p);
        glia_backend_close(backend);
        glia_graph_free(g);
    }
}

/* A step writes up to the last value of the plan, and nothing beyond the scratch memory (AddressSanitizer would detect
 * it: a session allocates exactly the planned bytes). */
static void planned_bytes_are_used_bytes(void **state) {
    (void)state;
    enum { MARK = 0xA5 };
    glia_error error;
    glia_graph *g = glia_graph_create();
    glia_tensor loss;
    small_net(g, &loss);
    glia_minimize(loss, (glia_optimizer){ .kind = GLIA_ADAM }, NULL, NULL);
    glia_backend *b = open_backend("cpu");
    glia_store *store = glia_store_create(g, 0, &error);
    glia_program *p =
        compile(g, b, (glia_compile_opts){ .outputs = &loss, .n_outputs = 1, .mode = GLIA_TRAIN, .batch = 6 });
    glia_session *s = glia_session_create(p, store, &error);
    assert_non_null(s);
    assert_int_equal(glia_program_inspect(p).activation_bytes, p->plan.activation_bytes);
    const glia_node *x = glia_graph_find_leaf(p->graph, "x");
    unsigned char *base = (unsigned char *)glia_session_input(s, "x", NULL, NULL) - p->plan.place[x->id].offset;
    memset(base, MARK, p->plan.activation_bytes);
    fill(s);
    *(float *)glia_session_input(s, "lr", NULL, NULL) = 0.001f;
    assert_int_equal(glia_session_run(s, &error), GLIA_OK);
    size_t touched = 0;
    for (size_t i = 0; i < p->plan.scratch_offset; i++) {
        if (base[i] != MARK) touched = i + 1;
    }
    assert_true(touched + GLIA_ALIGN > p->plan.scratch_offset);
    glia_session_free(s);
    glia_program_free(p);
    glia_store_free(store);
    glia_backend_close(b);
    glia_graph_free(g);
}

/* A contiguous, aligned slice is a view without a launch or memory of its own. Others, and those that would expose a
 * leaf, are copied. */
static void contiguous_slices_are_views(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(6, 32));
    glia_tensor old = glia_state(g, "old", GLIA_F32, GLIA_SHAPE(2, 32), (glia_init){ 0 });
    glia_tensor y = glia_matmul(x, glia_like(glia_broadcast(glia_scalar(g, GLIA_F32, 0), GLIA_SHAPE(32, 32)), 1));
    glia_tensor rows = glia_slice(y, GLIA_SHAPE(2, 0), GLIA_SHAPE(4, 32), GLIA_SCALAR);
    glia_tensor one = glia_slice(y, GLIA_SHAPE(5, 16), GLIA_SHAPE(6, 32), GLIA_SCALAR);
    glia_tensor odd = glia_slice(y, GLIA_SHAPE(5, 3), GLIA_SHAPE(6, 32), GLIA_SCALAR);
    glia_tensor columns = glia_slice(y, GLIA_SHAPE(0, 16), GLIA_SHAPE(6, 32), GLIA_SCALAR);
    glia_tensor row = glia_slice(old, GLIA_SHAPE(1, 0), GLIA_SHAPE(2, 32), GLIA_SCALAR);
    glia_update(old, rows, NULL);
    glia_tensor out[] = { rows, one, odd, columns, row, glia_reshape(rows, GLIA_SHAPE(64)), y };
    glia_error error;
    glia_backend *b = open_backend("cpu");
    glia_store *store = glia_store_create(g, 0, &error);
    glia_program *p = compile(g, b, (glia_compile_opts){ .outputs = out, .n_outputs = 7, .mode = GLIA_TRAIN });
    glia_session *s = glia_session_create(p, store, &error);
    assert_non_null(s);
    const char *base = glia_session_output(s, 6).data;
    const size_t behind[] = { 64, 5 * 32 + 16 };
    for (int i = 0; i < 2; i++) assert_ptr_equal(glia_session_output(s, i).data, base + behind[i] * sizeof(float));
    assert_ptr_equal(glia_session_output(s, 5).data, base + 64 * sizeof(float));
    for (int i = 2; i < 5; i++) assert_int_equal(p->schedule.behind[p->graph->outputs[i].node->id], 0);
    for (int i = 2; i < 5; i++)
        assert_ptr_equal(p->schedule.root[p->graph->outputs[i].node->id], p->graph->outputs[i].node);
    float *in = glia_session_input(s, "x", NULL, NULL);
    for (int i = 0; i < 6 * 32; i++) in[i] = (float)(i / 32);
    for (int run = 0; run < 2; run++) {
        assert_int_equal(glia_session_run(s, &error), GLIA_OK);
        const float expected[] = { 64, 160, 160, 0, run ? 96 : 0 };
        for (int i = 0; i < 5; i++) assert_true(*(const float *)glia_session_output(s, i).data == expected[i]);
    }
    glia_session_free(s);
    glia_program_free(p);
    glia_store_free(store);
    glia_backend_close(b);
    glia_graph_free(g);
}

/* ---- updates --------------------------------------------------------------------------------------------- */

static double store_value(const glia_store *store, const char *name) {
    glia_array a;
    assert_true(glia_store_find(store, name, &a));
    return ((float *)a.data)[0];
}

static glia_init constant(double v) { return (glia_init){ .kind = GLIA_INIT_CONSTANT, .value = v }; }

static void run_once(glia_graph *g, glia_store **store, glia_tensor *outputs, int n_outputs, float *first) {
    glia_error error;
    glia_backend *b = open_backend("cpu");
    *store = glia_store_create(g, 0, &error);
    glia_program *p =
        compile(g, b, (glia_compile_opts){ .outputs = outputs, .n_outputs = n_outputs, .mode = GLIA_TRAIN });
    check_plan(p);
    glia_session *s = glia_session_create(p, *store, &error);
    assert_non_null(s);
    assert_int_equal(glia_session_run(s, &error), GLIA_OK);
    if (first) *first = ((float *)glia_session_output(s, 0).data)[0];
    glia_session_free(s);
    glia_program_free(p);
    glia_backend_close(b);
}

static void leaves_can_swap_values(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor a = glia_state(g, "a", GLIA_F32, GLIA_SHAPE(3), constant(1)),
                b = glia_state(g, "b", GLIA_F32, GLIA_SHAPE(3), constant(2));
    glia_update(a, b, NULL);
    glia_update(b, a, NULL);
    glia_store *store;
    run_once(g, &store, NULL, 0, NULL);
    assert_true(store_value(store, "a") == 2 && store_value(store, "b") == 1);
    glia_store_free(store);
    glia_graph_free(g);
}

static void reads_see_the_value_before_the_update(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor a = glia_state(g, "a", GLIA_F32, GLIA_SHAPE(4, 4), constant(3));
    glia_tensor b = glia_state(g, "b", GLIA_F32, GLIA_SHAPE(4, 4), constant(5));
    glia_update(a, glia_mul_scalar(a, 2), NULL);
    glia_update(b, glia_add(glia_matmul(a, b), a),
                NULL); /* both the product and the sum read the old a, and the old b */
    glia_tensor out[] = { glia_matmul(a, a), a };
    glia_store *store;
    float first;
    run_once(g, &store, out, 2, &first);
    assert_true(first == 36);
    assert_true(store_value(store, "a") == 6);
    assert_true(store_value(store, "b") == 63);
    glia_store_free(store);
    glia_graph_free(g);
}

static void sgd_updates_in_place(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor loss;
    small_net(g, &loss);
    glia_minimize(loss, (glia_optimizer){ .kind = GLIA_ADAM }, NULL, NULL);
    glia_backend *b = open_backend("cpu");
    glia_program *p =
        compile(g, b, (glia_compile_opts){ .outputs = &loss, .n_outputs = 1, .mode = GLIA_TRAIN, .batch = 4 });
    for (int u = 0; u < p->graph->n_updates; u++) {
        if (!p->schedule.in_place[u]) fail_msg("%s is copied", glia_leaf_of(p->graph->updates[u].leaf)->name);
    }
    glia_program_free(p);
    glia_backend_close(b);
    glia_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constants_fold_and_identities_vanish),
        cmocka_unit_test(zero_times_nan_is_not_folded),
        cmocka_unit_test(equal_computations_merge),
        cmocka_unit_test(fusion_preserves_results),
        cmocka_unit_test(batch_norm_takes_four_passes),
        cmocka_unit_test(cross_entropy_takes_one_pass),
        cmocka_unit_test(layer_norm_takes_two_passes),
        cmocka_unit_test(live_values_never_overlap),
        cmocka_unit_test(large_values_are_recomputed),
        cmocka_unit_test(contiguous_slices_are_views),
        cmocka_unit_test(a_chain_needs_two_buffers),
        cmocka_unit_test(planned_bytes_are_used_bytes),
        cmocka_unit_test(program_statistics),
        cmocka_unit_test(in_place_output_waits_for_last_read),
        cmocka_unit_test(leaves_can_swap_values),
        cmocka_unit_test(reads_see_the_value_before_the_update),
        cmocka_unit_test(sgd_updates_in_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
