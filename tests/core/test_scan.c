/* test_scan.c - loops over time equal their unrolled graphs, with gradients, masks and random numbers. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/ops/ops.h"
#include "core/program/program.h"
#include "glia/glia.h"

enum { N = 3, T = 5, F = 4, H = 6, MOST = 1 << 14 };

/* ---- running ------------------------------------------------------------------------------- */

typedef struct run {
    glia_backend *backend;
    glia_store *store;
    glia_program *program;
    glia_session *session;
} run;

static run run_open(glia_graph *g, const glia_tensor *y, int n, const char *backend, int threads,
                    glia_compile_opts opts) {
    glia_error error = { 0 };
    run r = { .backend = glia_backend_open(backend, threads, &error) };
    r.store = glia_store_create(g, 7, &error);
    if (!r.store) fail_msg("%s", error.message);
    opts.outputs = y;
    opts.n_outputs = n;
    opts.batch = opts.batch ? opts.batch : N;
    r.program = glia_compile(g, r.backend, opts, &error);
    if (!r.program) fail_msg("%s", error.message);
    r.session = glia_session_create(r.program, r.store, &error);
    if (!r.session) fail_msg("%s", error.message);
    for (int i = 0; i < r.program->graph->n_nodes; i++) {
        const glia_node *x = r.program->graph->nodes[i];
        glia_array a;
        if (!glia_is_input(x) || !glia_session_input(r.session, glia_leaf_of(x)->name, &a, NULL)) continue;
        glia_rng rng = { .seed = 3, .stream = glia_hash_bytes(glia_leaf_of(x)->name, 1, 0) };
        for (int64_t k = 0; k < glia_shape_count(a.shape); k++) {
            double v = glia_dtype_is_float(a.dtype) ? glia_rng_normal(&rng) : 2 + (double)(k % 4); /* lengths, tokens */
            glia_from_double(a.dtype, &v, (char *)a.data + (size_t)k * glia_dtype_size(a.dtype), 1);
        }
    }
    return r;
}

static void run_close(run *r) {
    glia_session_free(r->session);
    glia_program_free(r->program);
    glia_store_free(r->store);
    glia_backend_close(r->backend);
}

static int64_t run_get(const run *r, int i, double *out) {
    glia_array a = glia_session_output(r->session, i);
    int64_t n = glia_shape_count(a.shape);
    assert_true(n <= MOST);
    glia_to_double(a.dtype, a.data, out, n);
    return n;
}

static void run_once(run *r) {
    glia_error error = { 0 };
    if (glia_session_run(r->session, &error) != GLIA_OK) fail_msg("%s", error.message);
}

/* Checks that outputs i and half + i are equal, for all i below half. */
static void check_pairs(glia_graph *g, const glia_tensor *y, int half, const char *what) {
    static double is[MOST], should[MOST];
    glia_error error = { 0 };
    if (glia_graph_check(g, &error) != GLIA_OK) fail_msg("%s: %s", what, error.message);
    for (int k = 0; k < 3; k++) {
        run r = run_open(g, y, 2 * half, k ? "cpu" : "ref", 2, (glia_compile_opts){ .no_fusion = k == 2 });
        run_once(&r);
        for (int i = 0; i < half; i++) {
            int64_t n = run_get(&r, i, is);
            assert_int_equal(run_get(&r, half + i, should), n);
            for (int64_t j = 0; j < n; j++) {
                if (fabs(is[j] - should[j]) > 2e-5 * (1 + fabs(should[j])))
                    fail_msg("%s, %s, pair %d: element %lld is %g and should be %g", what, k ? "cpu" : "ref", i,
                             (long long)j, is[j], should[j]);
            }
        }
        run_close(&r);
    }
}

/* ---- a cell, in a loop and written out ------------------------------------------------------- */

/* A cell with gates from two parameters, a bias, a captured tensor per sample, and normalisation. */
static glia_tensor cell(glia_tensor x, glia_tensor h, glia_tensor context) {
    glia_tensor both[] = { x, h };
    glia_tensor z =
        glia_dense(glia_concat(both, 2, 1), "cell/z", (glia_dense_opts){ .units = H, .activation = GLIA_SIGMOID });
    glia_tensor n = glia_dense(x, "cell/n", (glia_dense_opts){ .units = H });
    n = glia_tanh(glia_layer_norm(glia_add(n, context), "cell/norm", (glia_norm_opts){ 0 }));
    return glia_add(glia_mul(z, h), glia_mul(glia_sub(glia_like(z, 1), z), n));
}

static glia_tensor step_of(glia_tensor x, int t) {
    glia_shape s = glia_tensor_shape(x), start = { .rank = s.rank }, stop = s,
               out = { .rank = s.rank - 1, .dim = { s.dim[0] } };
    start.dim[1] = t;
    stop.dim[1] = t + 1;
    for (int i = 1; i < out.rank; i++) out.dim[i] = s.dim[i + 1];
    return glia_reshape(glia_slice(x, start, stop, GLIA_SCALAR), out);
}

static glia_tensor where_valid(glia_tensor mask, int t, glia_tensor yes, glia_tensor no) {
    if (!mask) return yes;
    glia_tensor m = glia_broadcast(glia_reshape(step_of(mask, t), GLIA_SHAPE(GLIA_BATCH, 1)), glia_tensor_shape(yes));
    return glia_select(glia_greater(m, glia_like(m, 0)), yes, no);
}

typedef struct net {
    glia_graph *g;
    glia_tensor x, h0, context, lengths;
} net;

static net net_open(void) {
    net m = { .g = glia_graph_create() };
    m.x = glia_input(m.g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, T, F));
    m.h0 = glia_input(m.g, "h", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, H));
    m.context = glia_input(m.g, "c", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, H));
    m.lengths = glia_input(m.g, "lengths", GLIA_I32, GLIA_SHAPE(GLIA_BATCH));
    return m;
}

/* all (N, T, H) and last (N, H) */
static void looped(const net *m, bool reverse, bool masked, glia_tensor *all, glia_tensor *last) {
    glia_loop *loop =
        glia_loop_begin(m->g, (glia_loop_opts){ .reverse = reverse, .lengths = masked ? m->lengths : NULL });
    glia_tensor x = glia_loop_input(loop, m->x), h = glia_loop_state(loop, m->h0);
    glia_tensor next = cell(x, h, m->context);
    glia_loop_next(loop, h, next);
    glia_loop_end(loop, &next, 1, all);
    *last = glia_loop_last(loop, h);
}

static void unrolled(const net *m, bool reverse, bool masked, glia_tensor *all, glia_tensor *last) {
    glia_tensor step[T], h = m->h0, mask = masked ? glia_sequence_mask(m->lengths, T) : NULL;
    for (int i = 0; i < T; i++) {
        const int t = reverse ? T - 1 - i : i;
        glia_tensor next = cell(step_of(m->x, t), h, m->context);
        step[t] = glia_reshape(where_valid(mask, t, next, glia_like(next, 0)), GLIA_SHAPE(GLIA_BATCH, 1, H));
        h = where_valid(mask, t, next, h);
    }
    *all = glia_concat(step, T, 1);
    *last = h;
}

static glia_tensor leaf(glia_graph *g, const char *name) { return glia_graph_find_leaf(g, name); }

/* A nonlinear function of all elements. */
static glia_tensor objective(glia_tensor all, glia_tensor last) {
    return glia_add(glia_sum(glia_square(all), GLIA_SCALAR, false), glia_sum(glia_sin(last), GLIA_SCALAR, false));
}

static void loops_equal_unrolled_graphs(void **state) {
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        net m = net_open();
        glia_tensor y[2][16], loss[2];
        for (int k = 0; k < 2; k++) {
            (k ? unrolled : looped)(&m, kind & 1, kind & 2, &y[k][0], &y[k][1]);
            loss[k] = objective(y[k][0], y[k][1]);
        }
        glia_tensor xs[] = { m.x,
                             m.h0,
                             m.context,
                             leaf(m.g, "cell/z/kernel"),
                             leaf(m.g, "cell/z/bias"),
                             leaf(m.g, "cell/n/kernel"),
                             leaf(m.g, "cell/norm/scale"),
                             leaf(m.g, "cell/norm/shift") };
        const int n = GLIA_COUNT(xs);
        glia_tensor outputs[64];
        for (int k = 0; k < 2; k++) {
            glia_grad(loss[k], xs, n, y[k] + 2);
            /* and the gradient of the sum of squared gradients */
            glia_tensor size = glia_scalar(m.g, GLIA_F32, 0);
            for (int i = 0; i < n; i++) size = glia_add(size, glia_sum(glia_square(y[k][2 + i]), GLIA_SCALAR, false));
            glia_tensor second[2];
            glia_grad(size, xs + 2, 2, second);
            y[k][2 + n] = second[0];
            y[k][3 + n] = second[1];
            memcpy(outputs + k * (4 + n), y[k], (size_t)(4 + n) * sizeof(glia_tensor));
        }
        char what[64];
        snprintf(what, sizeof what, "%s, %s", kind & 1 ? "reverse" : "forward", kind & 2 ? "lengths" : "no lengths");
        check_pairs(m.g, outputs, 4 + n, what);
        glia_graph_free(m.g);
    }
}

/* A weight's gradient is one matrix product over all steps: the loops contain no value of the weight's shape. */
static void weight_gradients_are_computed_after_the_loop(void **state) {
    (void)state;
    net m = net_open();
    glia_tensor all, last, w, dw;
    looped(&m, false, true, &all, &last);
    w = leaf(m.g, "cell/z/kernel");
    glia_grad(objective(all, last), &w, 1, &dw);
    const glia_shape kernel = GLIA_SHAPE(H, F + H);
    int scans = 0, products = 0;
    for (int i = 0; i < m.g->n_nodes; i++) {
        const glia_node *n = m.g->nodes[i];
        products += n->op == &glia_op_matmul && glia_shape_equal(n->shape, kernel);
        if (n->op != &glia_op_scan) continue;
        const glia_scan_attrs *a = n->attrs;
        if (++scans == 1) continue;
        for (int k = 0; k < a->body->n_outputs; k++)
            assert_true(glia_shape_count(a->body->outputs[k].node->shape) >= -3 * H);
    }
    assert_int_equal(scans, 2);
    assert_int_equal(products, 1);
    glia_graph_free(m.g);
}

/* ---- attention, tokens, unusual uses of weights ----------------------------------------------- */

/* A step with a lookup, attention to a captured tensor per sample, and unusual uses of a weight. */
static glia_tensor odd_cell(glia_tensor token, glia_tensor h, glia_tensor memory) {
    glia_graph *g = glia_tensor_graph(h);
    glia_tensor table = glia_parameter(g, "table", GLIA_F32, GLIA_SHAPE(9, H), (glia_init){ .kind = GLIA_INIT_NORMAL });
    glia_tensor e = glia_gather(table, token, 0);
    glia_tensor query = glia_reshape(h, GLIA_SHAPE(GLIA_BATCH, 1, H));
    glia_tensor scores = glia_softmax(glia_matmul_transposed(query, false, memory, true), 2);
    glia_tensor found = glia_reshape(glia_matmul(scores, memory), GLIA_SHAPE(GLIA_BATCH, H));
    glia_tensor w =
        glia_parameter(g, "w", GLIA_F32, GLIA_SHAPE(H, H), (glia_init){ .kind = GLIA_INIT_NORMAL, .stddev = 0.3 });
    glia_tensor norm = glia_sqrt(glia_sum(glia_square(w), GLIA_SCALAR, false)); /* depends only on the weight */
    glia_tensor row =
        glia_sum(glia_mul(w, glia_tanh(glia_sum(h, GLIA_SCALAR, false))), GLIA_SHAPE(0), false); /* mixes samples */
    glia_tensor z = glia_add(glia_matmul(found, glia_div(w, norm)), glia_add(e, glia_mul_scalar(row, 0.1)));
    return glia_tanh(glia_add(z, glia_mul_scalar(h, 0.5)));
}

static void unusual_bodies_have_gradients(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor tokens = glia_input(g, "tokens", GLIA_I32, GLIA_SHAPE(GLIA_BATCH, T));
    glia_tensor memory = glia_input(g, "memory", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 7, H));
    glia_tensor h0 = glia_input(g, "h", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, H));
    glia_tensor y[2][5];
    glia_loop *loop = glia_loop_begin(g, (glia_loop_opts){ 0 });
    glia_tensor token = glia_loop_input(loop, tokens), h = glia_loop_state(loop, h0);
    glia_tensor next = odd_cell(token, h, memory);
    glia_loop_next(loop, h, next);
    glia_loop_end(loop, &next, 1, &y[0][0]);
    glia_tensor step[T];
    h = h0;
    for (int t = 0; t < T; t++) {
        h = odd_cell(step_of(tokens, t), h, memory);
        step[t] = glia_reshape(h, GLIA_SHAPE(GLIA_BATCH, 1, H));
    }
    y[1][0] = glia_concat(step, T, 1);
    glia_tensor xs[] = { memory, h0, leaf(g, "table"), leaf(g, "w") };
    glia_tensor outputs[10];
    for (int k = 0; k < 2; k++) {
        glia_grad(glia_sum(glia_square(y[k][0]), GLIA_SCALAR, false), xs, 4, y[k] + 1);
        memcpy(outputs + 5 * k, y[k], sizeof y[k]);
    }
    check_pairs(g, outputs, 5, "odd");
    glia_graph_free(g);
}

/* A convolutional state; the kernel's gradient is one convolution over all steps. */
static glia_tensor picture_cell(glia_tensor x, glia_tensor h) {
    glia_tensor both[] = { x, h };
    return glia_conv2d(glia_concat(both, 2, 1), "conv",
                       (glia_conv_opts){ .filters = 2, .kernel = 3, .padding = GLIA_SAME, .activation = GLIA_TANH });
}

static void image_states(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, T, 1, 5, 4)), y[2][4];
    glia_loop *loop = glia_loop_begin(g, (glia_loop_opts){ .reverse = true });
    glia_tensor part = glia_loop_input(loop, x), h = glia_loop_state_zeros(loop, GLIA_SHAPE(2, 5, 4));
    glia_loop_next(loop, h, picture_cell(part, h));
    glia_loop_end(loop, NULL, 0, NULL);
    y[0][0] = glia_loop_last(loop, h);
    h = NULL;
    for (int t = T - 1; t >= 0; t--) {
        glia_tensor now = step_of(x, t), none[] = { now, now };
        h = picture_cell(now, h ? h : glia_like(glia_concat(none, 2, 1), 0));
    }
    y[1][0] = h;
    glia_tensor xs[] = { x, leaf(g, "conv/kernel"), leaf(g, "conv/bias") }, outputs[8];
    for (int k = 0; k < 2; k++) {
        glia_grad(glia_sum(glia_square(y[k][0]), GLIA_SCALAR, false), xs, 3, y[k] + 1);
        memcpy(outputs + 4 * k, y[k], sizeof y[k]);
    }
    check_pairs(g, outputs, 4, "pictures");
    glia_graph_free(g);
}

/* ---- nested loops ---------------------------------------------------------------------------- */

/* Nested loops: for each row of x (N, T, F), over its F numbers: c <- tanh(w c + number); the outer state adds the
 * result. */
static void loops_nest(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, T, F, H));
    glia_tensor w = glia_parameter(g, "w", GLIA_F32, GLIA_SHAPE(H), (glia_init){ .kind = GLIA_INIT_NORMAL });
    glia_tensor y[2][3];
    glia_loop *outer = glia_loop_begin(g, (glia_loop_opts){ 0 });
    glia_tensor row = glia_loop_input(outer, x), sum = glia_loop_state_zeros(outer, GLIA_SHAPE(H));
    glia_loop *inner = glia_loop_begin(glia_tensor_graph(row), (glia_loop_opts){ .reverse = true });
    glia_tensor number = glia_loop_input(inner, row), c = glia_loop_state(inner, sum);
    glia_loop_next(inner, c, glia_tanh(glia_add(glia_mul(c, w), number)));
    glia_loop_end(inner, NULL, 0, NULL);
    glia_loop_next(outer, sum, glia_add(sum, glia_mul(glia_loop_last(inner, c), w)));
    glia_loop_end(outer, NULL, 0, NULL);
    y[0][0] = glia_loop_last(outer, sum);

    glia_tensor s = glia_mul_scalar(step_of(step_of(x, 0), 0), 0);
    for (int t = 0; t < T; t++) {
        glia_tensor d = s;
        for (int f = F - 1; f >= 0; f--) d = glia_tanh(glia_add(glia_mul(d, w), step_of(step_of(x, t), f)));
        s = glia_add(s, glia_mul(d, w));
    }
    y[1][0] = s;
    glia_tensor outputs[6], xs[] = { x, w };
    for (int k = 0; k < 2; k++) {
        glia_grad(glia_sum(glia_square(y[k][0]), GLIA_SCALAR, false), xs, 2, y[k] + 1);
        memcpy(outputs + 3 * k, y[k], sizeof y[k]);
    }
    check_pairs(g, outputs, 3, "nested");
    glia_graph_free(g);
}

/* ---- the number of the step ------------------------------------------------------------------- */

/* A row of a table for each step, weights and the state times functions of t, an exponent learned. t: i32 (). */
static glia_tensor timed_cell(glia_tensor x, glia_tensor h, glia_tensor t) {
    glia_graph *g = glia_tensor_graph(h);
    const glia_init normal = { .kind = GLIA_INIT_NORMAL };
    glia_tensor w = glia_parameter(g, "w", GLIA_F32, GLIA_SHAPE(F, H), normal);
    glia_tensor rows = glia_parameter(g, "rows", GLIA_F32, GLIA_SHAPE(T, H), normal);
    glia_tensor rate =
        glia_parameter(g, "rate", GLIA_F32, GLIA_SCALAR, (glia_init){ .kind = GLIA_INIT_CONSTANT, .value = 0.3 });
    glia_tensor f = glia_cast(t, GLIA_F32);
    glia_tensor z = glia_mul(glia_matmul(x, glia_mul(w, glia_cos(f))), glia_add_scalar(f, 0.5));
    z = glia_add(z, glia_gather(rows, t, 0));
    return glia_tanh(glia_add(z, glia_mul(h, glia_exp(glia_neg(glia_mul(rate, f))))));
}

/* Values, gradients and the gradient of their size, in both directions, with and without lengths. */
static void steps_are_numbered(void **state) {
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        const bool reverse = kind & 1, masked = kind & 2;
        net m = net_open();
        glia_tensor y[2][8], each[T], mask = masked ? glia_sequence_mask(m.lengths, T) : NULL;
        glia_loop *loop =
            glia_loop_begin(m.g, (glia_loop_opts){ .reverse = reverse, .lengths = masked ? m.lengths : NULL });
        glia_tensor x = glia_loop_input(loop, m.x), h = glia_loop_state(loop, m.h0), t = glia_loop_index(loop);
        assert_ptr_equal(glia_loop_index(loop), t);
        glia_tensor next = timed_cell(x, h, t);
        glia_loop_next(loop, h, next);
        glia_loop_end(loop, &next, 1, &y[0][0]);
        y[0][1] = glia_loop_last(loop, h);
        h = m.h0;
        for (int i = 0; i < T; i++) {
            const int at = reverse ? T - 1 - i : i;
            next = timed_cell(step_of(m.x, at), h, glia_scalar(m.g, GLIA_I32, at));
            each[at] = glia_reshape(where_valid(mask, at, next, glia_like(next, 0)), GLIA_SHAPE(GLIA_BATCH, 1, H));
            h = where_valid(mask, at, next, h);
        }
        y[1][0] = glia_concat(each, T, 1);
        y[1][1] = h;
        glia_tensor xs[] = { leaf(m.g, "w"), leaf(m.g, "rows"), leaf(m.g, "rate"), m.x, m.h0 }, outputs[16];
        for (int k = 0; k < 2; k++) {
            glia_grad(objective(y[k][0], y[k][1]), xs, 5, y[k] + 2);
            glia_tensor size = glia_sum(glia_square(y[k][2]), GLIA_SCALAR, false);
            size = glia_add(size, glia_sum(glia_square(y[k][5]), GLIA_SCALAR, false));
            glia_grad(size, &xs[2], 1, &y[k][7]);
            memcpy(outputs + 8 * k, y[k], sizeof y[k]);
        }
        char what[64];
        snprintf(what, sizeof what, "numbered, %s, %s", reverse ? "reverse" : "forward",
                 masked ? "lengths" : "no lengths");
        check_pairs(m.g, outputs, 8, what);
        glia_graph_free(m.g);
    }
}

/* 10 s + t in step t of the inner loop in step s of the outer one; a loop that stacks nothing else. */
static void nested_loops_count_their_own_steps(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_constant(g, GLIA_F64, GLIA_SHAPE(1, 3, 4), (double[12]){ 0 });
    glia_loop *outer = glia_loop_begin(g, (glia_loop_opts){ 0 });
    glia_tensor row = glia_loop_input(outer, x), s = glia_loop_index(outer);
    glia_loop *inner = glia_loop_begin(glia_tensor_graph(row), (glia_loop_opts){ .reverse = true });
    glia_tensor number = glia_loop_input(inner, row), t = glia_loop_index(inner);
    number = glia_add(number, glia_cast(glia_add(glia_mul_scalar(s, 10), t), GLIA_F64));
    glia_tensor numbers, all;
    glia_loop_end(inner, &number, 1, &numbers);
    glia_loop_end(outer, &numbers, 1, &all);
    double is[12];
    glia_error error;
    if (glia_eval(all, is, 12, &error) != GLIA_OK) fail_msg("%s", error.message);
    for (int i = 0; i < 12; i++) assert_true(is[i] == 10 * (i / 4) + i % 4);
    glia_graph_output(g, "all", all);
    glia_text once = { 0 };
    glia_graph_print(g, &once);
    assert_non_null(strstr(once.bytes, "index=2"));
    glia_graph *read = glia_graph_parse(once.bytes, once.length, &error);
    if (!read) fail_msg("%s", error.message);
    assert_true(glia_graph_equal(g, read));
    if (glia_eval(read->outputs[0].node, is, 12, &error) != GLIA_OK) fail_msg("%s", error.message);
    for (int i = 0; i < 12; i++) assert_true(is[i] == 10 * (i / 4) + i % 4);
    /* An index that is no i32 scalar, or no captured input. */
    for (int k = 0; k < 2; k++) {
        *(strstr(once.bytes, "index=") + 6) = "19"[k];
        assert_null(glia_graph_parse(once.bytes, once.length, &error));
        assert_non_null(strstr(error.message, "the number of its first step is not an i32 scalar"));
    }
    free(once.bytes);
    glia_graph_free(read);
    glia_graph_free(g);
}

/* In each step of the outer loop, the inner loop reads a sequence (N, F, H) of the outermost graph; its gradient there
 * is a part of a packed vector (-K). */
static void inner_loop_over_captured_sequence(void **state) {
    (void)state;
    for (int fixed = 0; fixed < 2; fixed++) {
        glia_graph *g = glia_graph_create();
        const int64_t batch = fixed ? N : GLIA_BATCH;
        glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(batch, T, H));
        glia_tensor memory = glia_input(g, "memory", GLIA_F32, GLIA_SHAPE(batch, F, H));
        glia_tensor w = glia_parameter(g, "w", GLIA_F32, GLIA_SHAPE(H), (glia_init){ .kind = GLIA_INIT_NORMAL });
        glia_tensor y[2][7];
        glia_loop *outer = glia_loop_begin(g, (glia_loop_opts){ 0 });
        glia_tensor row = glia_loop_input(outer, x), sum = glia_loop_state_zeros(outer, GLIA_SHAPE(H));
        glia_loop *inner = glia_loop_begin(glia_tensor_graph(row), (glia_loop_opts){ 0 });
        glia_tensor part = glia_loop_input(inner, memory), c = glia_loop_state(inner, row);
        glia_loop_next(inner, c, glia_tanh(glia_add(glia_mul(c, w), glia_mul(part, sum))));
        glia_loop_end(inner, NULL, 0, NULL);
        glia_loop_next(outer, sum, glia_add(sum, glia_loop_last(inner, c)));
        glia_loop_end(outer, NULL, 0, NULL);
        y[0][0] = glia_loop_last(outer, sum);

        glia_tensor s = glia_mul_scalar(step_of(x, 0), 0);
        for (int t = 0; t < T; t++) {
            glia_tensor d = step_of(x, t);
            for (int f = 0; f < F; f++) d = glia_tanh(glia_add(glia_mul(d, w), glia_mul(step_of(memory, f), s)));
            s = glia_add(s, d);
        }
        y[1][0] = s;
        glia_tensor outputs[14], xs[] = { x, memory, w };
        for (int k = 0; k < 2; k++) {
            glia_grad(glia_sum(glia_square(y[k][0]), GLIA_SCALAR, false), xs, 3, y[k] + 1);
            glia_grad(glia_sum(glia_square(y[k][2]), GLIA_SCALAR, false), xs, 3, y[k] + 4);
            memcpy(outputs + 7 * k, y[k], sizeof y[k]);
        }
        check_pairs(g, outputs, 7, "captured sequence");
        glia_graph_free(g);
    }
}

/* ---- random numbers --------------------------------------------------------------------------- */

/* Dropout of ones, accumulated: masks differ between steps and between loops, and the gradient uses the same masks. */
static void each_step_draws_new_numbers(void **state) {
    (void)state;
    enum { WIDE = 64 };
    static double a[MOST], b[MOST], d[MOST], again[MOST];
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, T, WIDE)), y[3];
    for (int k = 0; k < 2; k++) {
        glia_loop *loop = glia_loop_begin(g, (glia_loop_opts){ .reverse = k == 1 });
        glia_tensor part = glia_loop_input(loop, x), dropped = glia_dropout(part, 0.5);
        glia_loop_end(loop, &dropped, 1, &y[k]);
    }
    glia_grad(glia_sum(y[0], GLIA_SCALAR, false), &x, 1, &y[2]);
    for (int k = 0; k < 2; k++) {
        run r = run_open(g, y, 3, k ? "cpu" : "ref", 2, (glia_compile_opts){ .mode = GLIA_TRAIN });
        float *in = glia_session_input(r.session, "x", NULL, NULL);
        for (int i = 0; i < N * T * WIDE; i++) in[i] = 1;
        run_once(&r);
        run_get(&r, 0, a);
        run_get(&r, 1, b);
        run_get(&r, 2, d);
        int steps_differ = 0, loops_differ = 0, kept = 0;
        for (int i = 0; i < N * T * WIDE; i++) {
            const int t = i / WIDE % T;
            if (t) steps_differ += a[i] != a[i - WIDE];
            loops_differ += a[i] != b[i];
            kept += a[i] != 0;
            assert_true(a[i] == 0 || a[i] == 2);
            assert_true(a[i] == d[i]); /* linear: the gradient is the mask */
            if (k) assert_true(a[i] == again[i]);
            again[i] = a[i];
        }
        assert_in_range(steps_differ, N * (T - 1) * WIDE * 4 / 10, N * (T - 1) * WIDE * 6 / 10);
        assert_in_range(loops_differ, N * T * WIDE * 4 / 10, N * T * WIDE * 6 / 10);
        assert_in_range(kept, N * T * WIDE * 4 / 10, N * T * WIDE * 6 / 10);
        run_once(&r);
        run_get(&r, 0, b);
        assert_memory_not_equal(a, b, N * T * WIDE * sizeof *a);
        run_close(&r);
    }
    glia_graph_free(g);
}

/* ---- threads, text ------------------------------------------------------------------------------ */

static void results_do_not_depend_on_thread_count(void **state) {
    (void)state;
    static double first[4][MOST], other[MOST];
    net m = net_open();
    glia_tensor y[4];
    looped(&m, false, true, &y[0], &y[1]);
    glia_tensor w[] = { leaf(m.g, "cell/z/kernel"), m.x };
    glia_grad(objective(y[0], y[1]), w, 2, y + 2);
    for (int threads = 1; threads <= 4; threads++) {
        run r = run_open(m.g, y, 4, "cpu", threads, (glia_compile_opts){ .batch = 64 });
        run_once(&r);
        if (threads > 1) run_once(&r); /* no stale state */
        for (int i = 0; i < 4; i++) {
            int64_t n = run_get(&r, i, threads == 1 ? first[i] : other);
            if (threads > 1) assert_memory_equal(first[i], other, (size_t)n * sizeof *other);
        }
        run_close(&r);
    }
    glia_graph_free(m.g);
}

static void loops_print_and_parse(void **state) {
    (void)state;
    net m = net_open();
    glia_tensor y[3];
    looped(&m, true, true, &y[0], &y[1]);
    glia_grad(objective(y[0], y[1]), &m.x, 1, &y[2]);
    for (int i = 0; i < 3; i++) glia_graph_output(m.g, "y", y[i]);
    glia_text once = { 0 }, twice = { 0 };
    glia_error error = { 0 };
    glia_graph_print(m.g, &once);
    glia_graph *read = glia_graph_parse(once.bytes, once.length, &error);
    if (!read) fail_msg("%s", error.message);
    glia_graph_print(read, &twice);
    assert_string_equal(once.bytes, twice.bytes);
    assert_true(glia_graph_equal(m.g, read));
    assert_true(glia_graph_hash(m.g, 1) == glia_graph_hash(read, 1));
    /* truncated or altered text gives an error or another graph, never a crash */
    for (size_t cut = 0; cut < once.length; cut += 7) {
        glia_graph_free(glia_graph_parse(once.bytes, cut, &error));
        char kept = once.bytes[cut];
        once.bytes[cut] = "}{%N1,=\n"[cut % 8];
        glia_graph_free(glia_graph_parse(once.bytes, once.length, &error));
        once.bytes[cut] = kept;
    }
    free(once.bytes);
    free(twice.bytes);
    glia_graph_free(read);
    glia_graph_free(m.g);

    glia_text deep = { 0 };
    glia_text_printf(&deep, "glia graph 2\n");
    for (int i = 0; i < 10000; i++) glia_text_printf(&deep, "%%0 = scan() {body={\n");
    assert_null(glia_graph_parse(deep.bytes, deep.length, &error));
    assert_non_null(strstr(error.message, "deep"));
    free(deep.bytes);
}

/* ---- saving, state between batches ----------------------------------------------------------------- */

/* The target of a step combines the current number and the one two steps ago, which for the first two steps is in the
 * previous batch: gradients end at the batch, states persist (truncated back-propagation through time). */
static void states_persist_between_batches(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    enum { B = 4 };
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(B, T, 1)),
                t = glia_input(g, "t", GLIA_F32, GLIA_SHAPE(B, T, 1));
    glia_tensor kept = glia_state(g, "memory", GLIA_F32, GLIA_SHAPE(B, H), (glia_init){ 0 });
    glia_loop *loop = glia_loop_begin(g, (glia_loop_opts){ 0 });
    glia_tensor part = glia_loop_input(loop, x), h = glia_loop_state(loop, kept), both[] = { part, h };
    glia_tensor next =
        glia_dense(glia_concat(both, 2, 1), "cell", (glia_dense_opts){ .units = H, .activation = GLIA_TANH });
    glia_tensor out = glia_dense(next, "out", (glia_dense_opts){ .units = 1 }), y;
    glia_loop_next(loop, h, next);
    glia_loop_end(loop, &out, 1, &y);
    glia_update(kept, glia_stop_gradient(glia_loop_last(loop, h)), "state"); /* carried to the next batch */
    glia_tensor loss = glia_mse(y, t);
    glia_minimize(loss, (glia_optimizer){ .kind = GLIA_ADAM, .lr = 0.01 }, NULL, NULL);
    run r = run_open(g, &loss, 1, "cpu", 2, (glia_compile_opts){ .mode = GLIA_TRAIN, .batch = B });
    glia_rng rng = { .seed = 1 };
    float *in = glia_session_input(r.session, "x", NULL, NULL),
          *target = glia_session_input(r.session, "t", NULL, NULL);
    float *rate = glia_session_input(r.session, "lr", NULL, NULL);
    double mean = 0, before[B][2] = { { 0 } };
    if (rate) *rate = 0.01f;
    for (int step = 0; step < 600; step++) {
        for (int n = 0; n < B; n++) {
            for (int i = 0; i < T; i++) {
                const double v = glia_rng_u32(&rng) & 1 ? 1 : -1;
                in[n * T + i] = (float)v;
                target[n * T + i] = (float)(0.4 * (v + before[n][1])); /* two steps ago, maybe in the batch before */
                before[n][1] = before[n][0];
                before[n][0] = v;
            }
        }
        run_once(&r);
        double one;
        run_get(&r, 0, &one);
        if (step >= 550) mean += one / 50;
    }
    if (mean > 0.01)
        fail_msg("the loss is %g: nothing is carried from batch to batch", mean); /* without state: 0.16 and more */
    run_close(&r);
    glia_graph_free(g);
}

static void models_with_loops_load_and_predict(void **state) {
    (void)state;
    glia_error error = { 0 };
    glia_model *model = glia_model_create("loop", &error);
    net m = { .g = glia_model_graph(model) };
    m.x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(T, F));
    glia_loop *loop = glia_loop_begin(m.g, (glia_loop_opts){ 0 });
    glia_tensor x = glia_loop_input(loop, m.x), h = glia_loop_state_zeros(loop, GLIA_SHAPE(H));
    glia_loop_next(loop, h, cell(x, h, glia_scalar(m.g, GLIA_F32, 0.5)));
    glia_loop_end(loop, NULL, 0, NULL);
    glia_model_output(model, "y", glia_loop_last(loop, h));
    if (glia_model_init(model, 5, &error) != GLIA_OK) fail_msg("%s", error.message);
    assert_int_equal(glia_model_save(model, "scan.safetensors", &error), GLIA_OK);
    glia_model *loaded = glia_model_load("scan.safetensors", &error);
    if (!loaded) fail_msg("%s", error.message);
    float in[2 * T * F], a[2 * H], b[2 * H];
    for (int i = 0; i < 2 * T * F; i++) in[i] = (float)sin(i);
    if (glia_predict(model, in, 2, a, NULL, &error) != GLIA_OK) fail_msg("%s", error.message);
    assert_int_equal(glia_predict(loaded, in, 2, b, NULL, &error), GLIA_OK);
    assert_memory_equal(a, b, sizeof a);
    glia_layer_info layers[16];
    assert_true(glia_model_layers(model, layers, 16) > 0);
    char *summary = glia_model_summary(model, 2, &error);
    assert_non_null(summary);
    free(summary);
    glia_model_free(loaded);
    glia_model_free(model);
}

/* ---- errors ---------------------------------------------------------------------------------------- */

static void expect(glia_graph *g, const char *words) {
    glia_error error = { 0 };
    assert_int_not_equal(glia_graph_check(g, &error), GLIA_OK);
    if (!strstr(error.message, words)) fail_msg("'%s' instead of '%s'", error.message, words);
    glia_graph_free(g);
}

static void errors_are_named(void **state) {
    (void)state;
    for (int k = 0; k < 12; k++) {
        net m = net_open();
        glia_graph *other = glia_graph_create();
        glia_loop *loop = glia_loop_begin(m.g, (glia_loop_opts){ 0 });
        glia_tensor h = glia_loop_state(loop, m.h0), x = glia_loop_input(loop, m.x), y = NULL;
        const char *words = NULL;
        switch (k) {
        case 0: glia_loop_next(loop, h, x), words = "cannot become"; break;
        case 1: glia_loop_end(loop, NULL, 0, NULL), words = "no next value"; break;
        case 2: glia_loop_next(loop, x, x), words = "must be a state"; break;
        case 3: glia_loop_next(loop, h, h), glia_loop_next(loop, h, h), words = "already"; break;
        case 4: glia_add(h, glia_scalar(other, GLIA_F32, 1)), words = "another graph"; break;
        case 5:
            glia_loop_input(loop, m.h0), glia_loop_input(loop, glia_reshape(m.x, GLIA_SHAPE(GLIA_BATCH, F, T))),
                words = "steps";
            break;
        case 6: glia_input(glia_tensor_graph(h), "z", GLIA_F32, GLIA_SHAPE(2)), words = "inside a loop"; break;
        case 7:
            glia_loop_next(loop, h, glia_batch_norm(h, "bn", (glia_norm_opts){ 0 }));
            glia_loop_end(loop, NULL, 0, NULL), words = "batch norm";
            break;
        case 8: glia_loop_next(loop, h, h), glia_loop_end(loop, &x, 1, &y), glia_exp(h), words = "has ended"; break;
        case 9: glia_loop_state(loop, m.lengths), words = "f32 or f64"; break;
        case 10: glia_loop_input(loop, h), words = "around the loop"; break;
        case 11: glia_loop_last(loop, h), words = "has ended"; break;
        }
        glia_graph_free(other);
        expect(m.g, words);
    }
    glia_graph *g = glia_graph_create();
    glia_loop *loop = glia_loop_begin(g, (glia_loop_opts){ 0 });
    glia_loop_end(loop, NULL, 0, NULL);
    expect(g, "number of steps");
    assert_null(glia_loop_begin(NULL, (glia_loop_opts){ 0 }));
    assert_null(glia_loop_input(NULL, NULL));
    assert_null(glia_loop_index(NULL));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loops_equal_unrolled_graphs),
        cmocka_unit_test(weight_gradients_are_computed_after_the_loop),
        cmocka_unit_test(unusual_bodies_have_gradients),
        cmocka_unit_test(image_states),
        cmocka_unit_test(loops_nest),
        cmocka_unit_test(steps_are_numbered),
        cmocka_unit_test(nested_loops_count_their_own_steps),
        cmocka_unit_test(inner_loop_over_captured_sequence),
        cmocka_unit_test(each_step_draws_new_numbers),
        cmocka_unit_test(results_do_not_depend_on_thread_count),
        cmocka_unit_test(loops_print_and_parse),
        cmocka_unit_test(states_persist_between_batches),
        cmocka_unit_test(models_with_loops_load_and_predict),
        cmocka_unit_test(errors_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
