/* test_recurrent.c - recurrent layers against PyTorch's modules, layer-normalised ones against the papers' equations
 * (tools/golden/recurrent.py), on every backend: outputs, last states, gradients, padded batches; then further
 * properties of the layers, and the steps in compiled programs.
 *
 * test_ops.c and test_backend.c test the operations themselves: definitions, gradients, kernels for every instruction
 * set.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/ops/recurrent.h"
#include "data/formats/formats.h"
#include "glia/glia.h"
#include "isa.h"
#include "train/model/model.h"

enum { SAMPLES = 5, STEPS = 7, FEATURES = 3, MOST = 64 };

static void check(glia_status status, const glia_error *error) {
    if (status != GLIA_OK) fail_msg("%s", error->message);
}

/* ---- against PyTorch ---------------------------------------------------------------------- */

typedef glia_tensor (*layer_fn)(glia_tensor x, const char *name, glia_recurrent_opts opts);

typedef struct torch_case {
    const char *name;
    layer_fn layer;
    glia_recurrent_opts opts;
} torch_case;

static const torch_case cases[] = {
    { "lstm", glia_lstm, { .units = 5 } },
    { "lstm_stacked", glia_lstm, { .units = 4, .layers = 2, .bidirectional = true } },
    { "lstm_projected", glia_lstm, { .units = 5, .projection = 2 } },
    { "gru", glia_gru, { .units = 5 } },
    { "gru_stacked", glia_gru, { .units = 9, .layers = 2, .bidirectional = true } },
    { "rnn", glia_rnn, { .units = 17 } },
    { "rnn_relu", glia_rnn, { .units = 4, .layers = 2, .relu = true } },
    { "lstm_normed", glia_lstm, { .units = 5, .layer_norm = true } },
    { "lstm_normed_deep",
      glia_lstm,
      { .units = 6, .layers = 2, .bidirectional = true, .projection = 4, .peephole = true, .layer_norm = true } },
    { "lstm_normed_no_bias", glia_lstm, { .units = 4, .no_bias = true, .layer_norm = true } },
    { "gru_normed", glia_gru, { .units = 5, .layer_norm = true } },
    { "gru_normed_deep", glia_gru, { .units = 9, .layers = 2, .bidirectional = true, .layer_norm = true } },
    { "gru_normed_before", glia_gru, { .units = 5, .reset_before = true, .reverse = true, .layer_norm = true } },
    { "rnn_normed", glia_rnn, { .units = 17, .layers = 2, .layer_norm = true } },
    { "rnn_normed_relu", glia_rnn, { .units = 4, .relu = true, .no_bias = true, .layer_norm = true } },
};

typedef struct golden {
    char path[512];
    glia_file bytes;
    glia_safetensors file;
} golden;

static golden golden_open(const char *name) {
    golden g;
    glia_error error = { 0 };
    snprintf(g.path, sizeof g.path, "%s/recurrent/%s.safetensors", GLIA_GOLDEN_DIR, name);
    check(glia_file_open(&g.bytes, g.path, &error), &error);
    check(glia_safetensors_parse(g.bytes.bytes, g.bytes.length, &g.file, &error), &error);
    return g;
}

static void golden_close(golden *g) {
    glia_safetensors_free(&g->file);
    glia_file_close(&g->bytes);
}

static const glia_safetensor *golden_of(const golden *g, const char *name) {
    const glia_safetensor *t = glia_safetensors_find(&g->file, name);
    if (!t) fail_msg("%s: there is no %s", g->path, name);
    return t;
}

/* Gradients of layer-normalised cells amplify f32 rounding: h is 0 before the first step, and values without variance
 * are divided by sqrt(epsilon). normed_gradients_match_differences is strict, in f64. */
static float tolerance(const golden *g, const char *what) {
    return strstr(g->path, "normed") && strncmp(what, "grad.", 5) == 0 ? 5e-5f : 1e-5f;
}

static void expect_near(const golden *g, const char *what, const float *is, const float *should, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        if (fabsf(is[i] - should[i]) > tolerance(g, what) * (1 + fabsf(should[i]))) {
            fail_msg("%s, %s: element %lld of %lld is %.8g, not %.8g", g->path, what, (long long)i, (long long)n,
                     (double)is[i], (double)should[i]);
        }
    }
}

/* Maps Glia's "lstm/l1/backward/kernel" to PyTorch's "grad.weight_ih_l1_reverse". */
static void torch_name(const char *leaf, char out[96]) {
    static const char *const parts[][2] = { { "/recurrent_kernel", "weight_hh" },
                                            { "/kernel", "weight_ih" },
                                            { "/bias", "bias_ih" },
                                            { "/recurrent_bias", "bias_hh" },
                                            { "/projection", "weight_hr" } };
    const char *end = strrchr(leaf, '/'), *layer = strstr(leaf, "/l1");
    out[0] = 0;
    for (int i = 0; i < GLIA_COUNT(parts); i++) {
        if (strcmp(end, parts[i][0]) != 0) continue;
        snprintf(out, 96, "grad.%s_l%d%s", parts[i][1], layer != NULL, strstr(leaf, "/backward") ? "_reverse" : "");
    }
    assert_true(out[0]);
}

/* Files of layer-normalised cells use Glia's names; they must contain exactly the model's parameters. */
static void load_named(glia_model *model, const golden *g) {
    glia_error error = { 0 };
    check(glia_model_init(model, 1, &error), &error);
    const glia_store *store = glia_model_store(model);
    int there = 0;
    for (int i = 0; i < glia_store_count(store); i++) {
        const glia_array a = glia_store_entry(store, i);
        const glia_safetensor *t = golden_of(g, a.name);
        if (!glia_shape_equal(t->shape, a.shape)) fail_msg("%s: %s has another shape", g->path, a.name);
        memcpy(a.data, t->data, t->bytes);
    }
    for (int i = 0; i < g->file.n; i++) there += strncmp(g->file.tensors[i].name, "net", 3) == 0;
    assert_int_equal(glia_store_count(store), there);
}

typedef struct subject {
    glia_model *model;
    glia_tensor outputs[MOST];
    char names[MOST][96]; /* of the golden results */
    int n;
} subject;

static void add_output(subject *s, glia_tensor x, const char *name) {
    assert_true(s->n < MOST);
    snprintf(s->names[s->n], sizeof s->names[0], "%s", name);
    s->outputs[s->n++] = x;
}

/* Outputs: y, the concatenated states, and the gradients of sum(y weights). */
static subject subject_open(const torch_case *c, const golden *g) {
    glia_error error = { 0 };
    subject s = { .model = glia_model_create(c->name, &error) };
    glia_graph *graph = glia_model_graph(s.model);
    glia_tensor x = glia_model_input(s.model, "x", GLIA_F32, GLIA_SHAPE(STEPS, FEATURES));
    glia_tensor lengths = glia_model_input(s.model, "lengths", GLIA_I32, GLIA_SCALAR);
    glia_recurrent_states last;
    glia_recurrent_opts opts = c->opts;
    opts.lengths = lengths;
    opts.last = &last;
    glia_tensor y = c->layer(x, "net", opts);
    glia_model_output(s.model, "y", y);
    if (opts.layer_norm)
        load_named(s.model, g);
    else
        check(glia_model_load_torch_recurrent(s.model, "net", g->path, "net.", &error), &error);
    const glia_shape shape = glia_tensor_shape(y);
    glia_tensor weights = glia_input(graph, "weights", GLIA_F32, shape);
    glia_tensor loss = glia_sum(glia_mul(y, weights), GLIA_SCALAR, false), of[MOST] = { x }, gradients[MOST];
    add_output(&s, y, "y");
    const int states = (opts.layers ? opts.layers : 1) * (opts.bidirectional ? 2 : 1);
    glia_tensor hs[GLIA_RECURRENT_STATES], cs[GLIA_RECURRENT_STATES];
    for (int i = 0; i < states; i++) hs[i] = last.h[i], cs[i] = last.c[i];
    add_output(&s, glia_concat(hs, states, 0), "h");
    if (cs[0]) add_output(&s, glia_concat(cs, states, 0), "c");
    int n = 1;
    for (int i = 0; i < graph->n_nodes; i++) {
        if (glia_is_parameter(graph->nodes[i])) of[n++] = graph->nodes[i];
    }
    glia_grad(loss, of, n, gradients);
    add_output(&s, gradients[0], "grad.x");
    for (int i = 1; i < n; i++) {
        char name[96];
        if (opts.layer_norm)
            snprintf(name, sizeof name, "grad.%s", glia_leaf_of(of[i])->name);
        else
            torch_name(glia_leaf_of(of[i])->name, name);
        add_output(&s, gradients[i], name);
    }
    return s;
}

/* Only the third gate of the recurrent bias is a parameter here. */
static const float *golden_values(const golden *g, const char *name, int64_t n, float *room) {
    const glia_safetensor *t = golden_of(g, name);
    const size_t skipped = t->bytes - (size_t)n * sizeof *room;
    if (skipped) assert_non_null(strstr(name, "bias_hh"));
    memcpy(room, (const char *)t->data + skipped, (size_t)n * sizeof *room);
    return room;
}

static void compare(const torch_case *c, const char *backend_name, int threads) {
    static float room[4096];
    glia_error error = { 0 };
    golden g = golden_open(c->name);
    subject s = subject_open(c, &g);
    glia_backend *backend = glia_backend_open(backend_name, threads, &error);
    check(error.status, &error);
    glia_compile_opts opts = { .outputs = s.outputs, .n_outputs = s.n, .batch = SAMPLES };
    glia_program *program = glia_compile(glia_model_graph(s.model), backend, opts, &error);
    check(error.status, &error);
    glia_session *session = glia_session_create(program, glia_model_store(s.model), &error);
    check(error.status, &error);
    const char *const inputs[] = { "x", "lengths", "weights" };
    for (int i = 0; i < GLIA_COUNT(inputs); i++) {
        const glia_safetensor *t = golden_of(&g, inputs[i]);
        memcpy(glia_session_input(session, inputs[i], NULL, NULL), t->data, t->bytes);
    }
    check(glia_session_run(session, &error), &error);
    for (int i = 0; i < s.n; i++) {
        glia_array a = glia_session_output(session, i);
        const int64_t n = glia_shape_count(a.shape);
        expect_near(&g, s.names[i], a.data, golden_values(&g, s.names[i], n, room), n);
    }
    glia_session_free(session);
    glia_program_free(program);
    glia_backend_close(backend);
    glia_model_free(s.model);
    golden_close(&g);
}

static void layers_match_pytorch(void **state) {
    (void)state;
    static const char *const isas[] = { "v4", "v3", "v2", "neon", "generic" };
    for (int i = 0; i < GLIA_COUNT(cases); i++) compare(&cases[i], "ref", 1);
    for (int k = 0; k < GLIA_COUNT(isas); k++) {
        glia_error error;
        if (!isa_is_wanted(isas[k])) continue;
        setenv("GLIA_ISA", isas[k], 1);
        glia_backend *there = glia_backend_open("cpu", 1, &error);
        for (int i = 0; there && i < GLIA_COUNT(cases); i++) compare(&cases[i], "cpu", 2);
        glia_backend_close(there);
    }
    unsetenv("GLIA_ISA");
}

static void mismatched_torch_states(void **state) {
    (void)state;
    glia_error error = { 0 };
    golden g = golden_open("lstm");
    glia_model *model = glia_model_create("m", &error);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(STEPS, FEATURES));
    glia_model_output(model, "y", glia_lstm(x, "net", (glia_recurrent_opts){ .units = 6 }));
    assert_int_equal(glia_model_load_torch_recurrent(model, "net", g.path, "net.", &error), GLIA_E_SHAPE);
    assert_int_equal(glia_model_load_torch_recurrent(model, "other", g.path, "net.", &error), GLIA_E_NOT_FOUND);
    assert_int_equal(glia_model_load_torch_recurrent(model, "net", g.path, NULL, &error), GLIA_E_NOT_FOUND);
    assert_int_equal(glia_model_load_torch_recurrent(model, "net", "/nowhere", NULL, &error), GLIA_E_NOT_FOUND);
    glia_model_free(model);
    model = glia_model_create("m", &error);
    x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(STEPS, FEATURES));
    glia_model_output(model, "y", glia_lstm(x, "net", (glia_recurrent_opts){ .units = 5, .layer_norm = true }));
    assert_int_equal(glia_model_load_torch_recurrent(model, "net", g.path, "net.", &error), GLIA_E_ARGUMENT);
    assert_non_null(strstr(error.message, "net is layer-normalised"));
    glia_model_free(model);
    golden_close(&g);
}

/* ---- gate orders -------------------------------------------------------------------------- */

static void gates_are_reordered_both_ways(void **state) {
    (void)state;
    const float lstm[8] = { 0, 1, 10, 11, 20, 21, 30, 31 }; /* i, f, g, o; one unit, two columns */
    const float onnx[8] = { 0, 1, 30, 31, 10, 11, 20, 21 };
    const float gru[6] = { 0, 1, 10, 11, 20, 21 }, others[6] = { 10, 11, 0, 1, 20, 21 };
    float y[8];
    glia_error error;
    assert_int_equal(glia_gates_reorder(4, 1, 2, lstm, GLIA_GATES_TORCH, y, GLIA_GATES_ONNX, &error), GLIA_OK);
    assert_memory_equal(y, onnx, sizeof onnx);
    assert_int_equal(glia_gates_reorder(4, 1, 2, onnx, GLIA_GATES_ONNX, y, GLIA_GATES_KERAS, &error), GLIA_OK);
    assert_memory_equal(y, lstm, sizeof lstm);
    assert_int_equal(glia_gates_reorder(3, 2, 1, gru, GLIA_GATES_TORCH, y, GLIA_GATES_ONNX, &error), GLIA_OK);
    assert_memory_equal(y, others, sizeof others);
    assert_int_equal(glia_gates_reorder(3, 2, 1, others, GLIA_GATES_KERAS, y, GLIA_GATES_TORCH, &error), GLIA_OK);
    assert_memory_equal(y, gru, sizeof gru);
    assert_int_equal(glia_gates_reorder(2, 1, 1, gru, GLIA_GATES_KERAS, y, GLIA_GATES_TORCH, &error), GLIA_E_ARGUMENT);
    assert_int_equal(glia_gates_reorder(3, 1, 1, gru, (glia_gate_order)9, y, GLIA_GATES_TORCH, &error),
                     GLIA_E_ARGUMENT);
}

/* ---- sizes and threads -------------------------------------------------------------------- */

enum { LSTM, GRU, GRU_BEFORE, RNN, LSTM_WITH_ALL, CELLS, NORMED = CELLS, ALL = 2 * CELLS };

/* y and the gradients of sum(y^2) for a layer of any size; cells from NORMED on are layer-normalised. */
static int64_t run_layer(const char *backend_name, int threads, int cell, int64_t batch, int64_t steps, int units,
                         bool last_only, float *values) {
    glia_error error = { 0 };
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, steps, 3));
    const layer_fn layers[] = { glia_lstm, glia_gru, glia_gru, glia_rnn, glia_lstm };
    const int kind = cell % CELLS;
    glia_recurrent_opts opts = { .units = units,
                                 .last_only = last_only,
                                 .layer_norm = cell >= NORMED,
                                 .reset_before = kind == GRU_BEFORE,
                                 .peephole = kind == LSTM_WITH_ALL,
                                 .projection = kind == LSTM_WITH_ALL ? (units + 1) / 2 : 0 };
    glia_tensor y = layers[kind](x, "net", opts), of[MOST] = { x }, outputs[MOST];
    int n = 1;
    for (int i = 0; i < g->n_nodes; i++) {
        if (glia_is_parameter(g->nodes[i])) of[n++] = g->nodes[i];
    }
    outputs[n] = y;
    glia_grad(glia_sum(glia_mul(y, y), GLIA_SCALAR, false), of, n, outputs);
    glia_backend *backend = glia_backend_open(backend_name, threads, &error);
    glia_store *store = glia_store_create(g, 3, &error);
    glia_program *p =
        glia_compile(g, backend, (glia_compile_opts){ .outputs = outputs, .n_outputs = n + 1, .batch = batch }, &error);
    if (!p) fail_msg("%s", error.message);
    glia_session *s = glia_session_create(p, store, &error);
    float *in = glia_session_input(s, "x", NULL, NULL);
    for (int64_t i = 0; i < batch * steps * 3; i++) in[i] = sinf(1.7f * (float)i);
    check(glia_session_run(s, &error), &error);
    int64_t count = 0;
    for (int i = 0; i <= n; i++) {
        glia_array a = glia_session_output(s, i);
        memcpy(values + count, a.data, (size_t)glia_shape_count(a.shape) * sizeof *values);
        count += glia_shape_count(a.shape);
    }
    glia_session_free(s);
    glia_program_free(p);
    glia_store_free(store);
    glia_backend_close(backend);
    glia_graph_free(g);
    return count;
}

static const struct {
    int64_t batch, steps;
    int units;
} sizes[] = { { 1, 1, 1 }, { 1, 3, 5 }, { 2, 2, 16 }, { 7, 4, 17 }, { 13, 3, 33 }, { 40, 2, 31 } };
enum { ROOM = 1 << 15 };

static void odd_sizes_match_the_definition(void **state) {
    (void)state;
    float *is = malloc(ROOM * sizeof *is), *should = malloc(ROOM * sizeof *should);
    for (int k = 0; k < GLIA_COUNT(sizes); k++) {
        for (int cell = 0; cell < ALL; cell++) {
            if (cell >= NORMED && sizes[k].units < 3) continue; /* with so few units the variance is near zero */
            const bool last = (k + cell) % 2;
            int64_t n = run_layer("cpu", 2, cell, sizes[k].batch, sizes[k].steps, sizes[k].units, last, is);
            run_layer("ref", 1, cell, sizes[k].batch, sizes[k].steps, sizes[k].units, last, should);
            assert_true(n <= ROOM);
            for (int64_t i = 0; i < n; i++) {
                if (fabsf(is[i] - should[i]) > 2e-5f * (1 + fabsf(should[i]))) {
                    fail_msg("cell %d, size %d: %lld of %lld is %g, not %g", cell, k, (long long)i, (long long)n,
                             (double)is[i], (double)should[i]);
                }
            }
        }
    }
    free(is);
    free(should);
}

static void threads_do_not_change_bits(void **state) {
    (void)state;
    float *one = malloc(ROOM * sizeof *one), *many = malloc(ROOM * sizeof *many);
    for (int cell = 0; cell < ALL; cell++) {
        const int64_t n = run_layer("cpu", 1, cell, 40, 5, 20, false, one);
        for (int threads = 2; threads <= 5; threads++) {
            run_layer("cpu", threads, cell, 40, 5, 20, false, many);
            assert_memory_equal(one, many, (size_t)n * sizeof *one);
        }
    }
    free(one);
    free(many);
}

/* ---- properties of the layers ------------------------------------------------------------- */

/* Names, shapes, and the bias of the forget gate. */
static void parameters_are_named(void **state) {
    (void)state;
    glia_error error = { 0 };
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 4, 3));
    glia_recurrent_opts opts = { .units = 2, .layers = 2, .bidirectional = true, .forget_bias = 1 };
    glia_tensor y = glia_lstm(x, "deep", opts);
    assert_true(glia_shape_equal(glia_tensor_shape(y), GLIA_SHAPE(GLIA_BATCH, 4, 4)));
    opts.merge = GLIA_MERGE_SUM;
    opts.last_only = true;
    y = glia_lstm(x, "summed", opts);
    assert_true(glia_shape_equal(glia_tensor_shape(y), GLIA_SHAPE(GLIA_BATCH, 2)));
    glia_store *store = glia_store_create(g, 1, &error);
    check(error.status, &error);
    glia_array a;
    assert_true(glia_store_find(store, "deep/l1/backward/kernel", &a));
    assert_true(glia_shape_equal(a.shape, GLIA_SHAPE(8, 4)));
    assert_true(glia_store_find(store, "deep/l0/forward/bias", &a));
    const float bias[8] = { 0, 0, 1, 1, 0, 0, 0, 0 };
    assert_memory_equal(a.data, bias, sizeof bias);
    glia_store_free(store);
    glia_graph_free(g);
}

static void errors_are_reported(void **state) {
    (void)state;
    const struct {
        int64_t rank;
        layer_fn layer;
        glia_recurrent_opts opts;
        const char *told;
    } wrong[] = {
        { 2, glia_lstm, { .units = 2 }, "x must be (N, T, F)" },
        { 3, glia_lstm, { 0 }, "units must be at least 1" },
        { 3, glia_gru, { .units = 2, .peephole = true }, "an option of the LSTM" },
        { 3, glia_lstm, { .units = 2, .projection = 3 }, "projection" },
        { 3, glia_rnn, { .units = 2, .layers = 9 }, "1 to 8 layers" },
        { 3, glia_rnn, { .units = 2, .bidirectional = true, .reverse = true }, "bidirectional and reverse" },
        { 3, glia_gru, { .units = 2, .stateful = true }, "fixed batch" },
        { 3, glia_gru, { .units = 2, .layer_norm = true, .peephole = true }, "an option of the LSTM" },
        { 3, glia_rnn, { .units = 1, .layer_norm = true }, "one unit" },
    };
    for (int i = 0; i < GLIA_COUNT(wrong); i++) {
        glia_graph *g = glia_graph_create();
        const glia_shape shape = { .rank = (int)wrong[i].rank, .dim = { GLIA_BATCH, 4, 3 } };
        wrong[i].layer(glia_input(g, "x", GLIA_F32, shape), "net", wrong[i].opts);
        glia_error error = { 0 };
        assert_int_not_equal(glia_graph_check(g, &error), GLIA_OK);
        if (!strstr(error.message, wrong[i].told)) fail_msg("%s", error.message);
        glia_graph_free(g);
    }
}

/* Invalid step counts, as in a damaged file, must not overflow size computations. */
static void step_count_overflow(void **state) {
    (void)state;
    const int64_t steps[] = { 0, -1, INT64_MAX, INT64_MAX / 8, INT64_MAX / 64 };
    for (int i = 0; i < GLIA_COUNT(steps); i++) {
        glia_graph *g = glia_graph_create();
        glia_tensor in[] = { glia_input(g, "s", GLIA_F32, GLIA_SHAPE(72)),
                             glia_input(g, "u", GLIA_F32, GLIA_SHAPE(8, 2)),
                             glia_input(g, "dy", GLIA_F32, GLIA_SHAPE(12)) };
        const glia_recurrent_attrs attrs = { .cell = GLIA_CELL_LSTM, .steps = steps[i], .sequence = true };
        glia_node_create(g, &glia_op_recurrent_grad, in, 3, &attrs);
        glia_node_create(g, &glia_op_recurrent, in, 2, &attrs);
        assert_int_equal(glia_graph_check(g, NULL), GLIA_E_SHAPE);
        glia_graph_free(g);
    }
}

static glia_session *session_of(glia_graph *g, glia_backend *backend, glia_store *store, glia_tensor y, glia_mode mode,
                                glia_program **program) {
    glia_error error = { 0 };
    glia_compile_opts opts = { .outputs = &y, .n_outputs = 1, .mode = mode, .batch = 2 };
    *program = glia_compile(g, backend, opts, &error);
    check(error.status, &error);
    glia_session *session = glia_session_create(*program, store, &error);
    check(error.status, &error);
    return session;
}

/* Running two halves of a sequence with the state passed on equals running the whole. */
static void go_on(layer_fn layer, glia_recurrent_opts opts) {
    enum { N = 2, T = 6, F = 3, H = 4 };
    opts.units = H;
    opts.stateful = true;
    glia_error error = { 0 };
    glia_backend *backend = glia_backend_open("cpu", 1, &error);
    float x[N * T * F], y[2][N * T * H];
    for (int i = 0; i < N * T * F; i++) x[i] = cosf(0.9f * (float)i);
    for (int parts = 1; parts <= 2; parts++) {
        const int steps = T / parts;
        glia_graph *g = glia_graph_create();
        glia_tensor in = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(N, steps, F));
        glia_tensor out = layer(in, "net", opts);
        glia_store *store = glia_store_create(g, 1, &error);
        glia_program *program;
        glia_session *s = session_of(g, backend, store, out, GLIA_TRAIN, &program);
        for (int part = 0; part < parts; part++) {
            float *to = glia_session_input(s, "x", NULL, NULL);
            for (int n = 0; n < N; n++) {
                memcpy(to + n * steps * F, x + (n * T + part * steps) * F, sizeof(float) * (size_t)(steps * F));
            }
            check(glia_session_run(s, &error), &error);
            const float *from = glia_session_output(s, 0).data;
            for (int n = 0; n < N; n++) {
                memcpy(y[parts - 1] + (n * T + part * steps) * H, from + n * steps * H,
                       sizeof(float) * (size_t)(steps * H));
            }
        }
        glia_session_free(s);
        glia_program_free(program);
        glia_store_free(store);
        glia_graph_free(g);
    }
    assert_memory_equal(y[0], y[1], sizeof y[0]);
    glia_backend_close(backend);
}

static void stateful_layers_continue(void **state) {
    (void)state;
    go_on(glia_lstm, (glia_recurrent_opts){ 0 });
    go_on(glia_lstm, (glia_recurrent_opts){ .layer_norm = true });
    go_on(glia_gru, (glia_recurrent_opts){ .layer_norm = true, .layers = 2 });
    go_on(glia_rnn, (glia_recurrent_opts){ .layer_norm = true });
}

/* ---- layer-normalised cells ---------------------------------------------------------------- */

/* Runs a session in double; output 0 is the loss, output i its gradient in store entry i - 1. */
static double loss_of(glia_session *session) {
    glia_error error = { 0 };
    check(glia_session_run(session, &error), &error);
    return *(const double *)glia_session_output(session, 0).data;
}

static void expect_differences(glia_session *session, const glia_array *values, int64_t of, int output) {
    static double gradient[1 << 10];
    const double step = 1e-5;
    loss_of(session);
    memcpy(gradient, glia_session_output(session, output).data, (size_t)of * sizeof *gradient);
    double *value = values->data;
    for (int64_t i = 0; i < of; i++) {
        const double was = value[i];
        value[i] = was + step;
        const double up = loss_of(session);
        value[i] = was - step;
        const double down = loss_of(session), is = (up - down) / (2 * step);
        value[i] = was;
        if (fabs(is - gradient[i]) > 1e-6 * (1 + fabs(is))) {
            fail_msg("%s, element %lld: the gradient is %.10g, the difference %.10g", values->name, (long long)i,
                     gradient[i], is);
        }
    }
}

/* In f64, with lengths, in both directions, two layers: gradients of all parameters and of the initial states. */
static void normed_gradients_match_differences(void **state) {
    (void)state;
    enum { N = 2, T = 3, F = 2 };
    const torch_case rows[] = {
        { "lstm", glia_lstm, { .units = 4, .projection = 3, .peephole = true } },
        { "gru", glia_gru, { .units = 4 } },
        { "gru, reset before", glia_gru, { .units = 4, .reset_before = true } },
        { "rnn", glia_rnn, { .units = 4 } },
    };
    for (int k = 0; k < GLIA_COUNT(rows); k++) {
        glia_error error = { 0 };
        glia_graph *g = glia_graph_create();
        const glia_init random = { .kind = GLIA_INIT_UNIFORM, .low = -1, .high = 1 };
        glia_recurrent_states initial = { { NULL }, { NULL } };
        const int64_t outputs = rows[k].opts.projection ? rows[k].opts.projection : rows[k].opts.units;
        initial.h[1] = glia_parameter(g, "h", GLIA_F64, GLIA_SHAPE(N, outputs), random);
        glia_tensor x = glia_parameter(g, "x", GLIA_F64, GLIA_SHAPE(N, T, F), random), of[MOST], y[MOST];
        glia_recurrent_opts opts = rows[k].opts;
        opts.layer_norm = opts.bidirectional = true;
        opts.layers = 2;
        opts.bias_init = random;
        opts.lengths = glia_constant(g, GLIA_I32, GLIA_SHAPE(N), (const double[]){ 3, 2 });
        opts.initial = &initial;
        glia_tensor loss = glia_sum(glia_sin(rows[k].layer(x, "net", opts)), GLIA_SCALAR, false);
        glia_store *store = glia_store_create(g, 5, &error);
        check(error.status, &error);
        const int n = glia_store_count(store);
        for (int i = 0; i < n; i++) of[i] = glia_graph_find_leaf(g, glia_store_entry(store, i).name);
        y[0] = loss;
        glia_grad(loss, of, n, y + 1);
        glia_backend *backend = glia_backend_open("ref", 1, &error);
        glia_program *program =
            glia_compile(g, backend, (glia_compile_opts){ .outputs = y, .n_outputs = n + 1 }, &error);
        check(error.status, &error);
        glia_session *session = glia_session_create(program, store, &error);
        check(error.status, &error);
        for (int i = 0; i < n; i++) {
            const glia_array a = glia_store_entry(store, i);
            expect_differences(session, &a, glia_shape_count(a.shape), i + 1);
        }
        glia_session_free(session);
        glia_program_free(program);
        glia_backend_close(backend);
        glia_store_free(store);
        glia_graph_free(g);
    }
}

/* Scaling the inputs of a gate does not change its value. */
static void normed_cells_are_scale_invariant(void **state) {
    (void)state;
    glia_error error = { 0 };
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(2, 5, 3));
    const glia_recurrent_opts opts = { .units = 8, .layer_norm = true, .last_only = true };
    glia_tensor y = glia_concat(
        (const glia_tensor[]){ glia_lstm(x, "net", opts), glia_lstm(glia_mul_scalar(x, 1000), "net", opts) }, 2, 0);
    glia_backend *backend = glia_backend_open("cpu", 1, &error);
    glia_store *store = glia_store_create(g, 1, &error);
    glia_program *program;
    glia_session *s = session_of(g, backend, store, y, GLIA_INFER, &program);
    float *to = glia_session_input(s, "x", NULL, NULL);
    for (int i = 0; i < 2 * 5 * 3; i++) to[i] = 5 * cosf(2.1f * (float)i);
    check(glia_session_run(s, &error), &error);
    const float *out = glia_session_output(s, 0).data;
    for (int i = 0; i < 16; i++) assert_true(fabsf(out[i] - out[16 + i]) < 1e-4f);
    glia_session_free(s);
    glia_program_free(program);
    glia_store_free(store);
    glia_backend_close(backend);
    glia_graph_free(g);
}

static int count_kernels(const glia_program *program, const char *name) {
    char *text = glia_program_print(program);
    int n = 0;
    for (const char *p = text; p && (p = strstr(p, name)); p += strlen(name)) n++;
    free(text);
    return n;
}

/* A training program runs the forward pass once and saves values for the backward pass; inference saves nothing. */
static void training_program_runs_forward_once(void **state) {
    (void)state;
    glia_error error = { 0 };
    glia_backend *backend = glia_backend_open("cpu", 1, &error);
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 5, 3));
    glia_tensor y = glia_gru(x, "net", (glia_recurrent_opts){ .units = 4 });
    glia_tensor loss = glia_mean(glia_mul(y, y), GLIA_SCALAR, false);
    glia_minimize(loss, (glia_optimizer){ 0 }, NULL, NULL);
    glia_store *store = glia_store_create(g, 1, &error);
    glia_program *programs[2];
    for (int train = 0; train < 2; train++) {
        glia_session *s = session_of(g, backend, store, loss, train ? GLIA_TRAIN : GLIA_INFER, &programs[train]);
        check(glia_session_run(s, &error), &error);
        glia_session_free(s);
    }
    assert_int_equal(count_kernels(programs[0], " recurrent "), 1);
    assert_int_equal(count_kernels(programs[0], " recurrent_saved "), 0);
    assert_int_equal(count_kernels(programs[1], " recurrent "), 0);
    assert_int_equal(count_kernels(programs[1], " recurrent_saved "), 1);
    for (int train = 0; train < 2; train++) glia_program_free(programs[train]);
    glia_store_free(store);
    glia_graph_free(g);
    glia_backend_close(backend);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_match_pytorch),
        cmocka_unit_test(mismatched_torch_states),
        cmocka_unit_test(gates_are_reordered_both_ways),
        cmocka_unit_test(odd_sizes_match_the_definition),
        cmocka_unit_test(threads_do_not_change_bits),
        cmocka_unit_test(parameters_are_named),
        cmocka_unit_test(errors_are_reported),
        cmocka_unit_test(step_count_overflow),
        cmocka_unit_test(normed_gradients_match_differences),
        cmocka_unit_test(normed_cells_are_scale_invariant),
        cmocka_unit_test(stateful_layers_continue),
        cmocka_unit_test(training_program_runs_forward_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
