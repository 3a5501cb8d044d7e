/* test_transformers.c - attention layers, Transformers, GPT and BERT.
 *
 * The golden files (tools/golden/transformers.py) hold small PyTorch nets with inputs, outputs and all gradients. The
 * same nets are built here, load their weights from those files by name, and must give the same results. Gradients are
 * read by the same names, so that an error in the name table is detected twice.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/tensor/tensor.h"
#include "data/formats/formats.h"
#include "glia/glia.h"
#include "models/models.h"

static void check(glia_status status, const glia_error *error) {
    if (status != GLIA_OK) fail_msg("%s", error->message);
}

/* ---- golden files -------------------------------------------------------------------------- */

typedef struct golden {
    char path[512];
    glia_file bytes;
    glia_safetensors file;
} golden;

static void golden_open(golden *g, const char *name) {
    glia_error error = { 0 };
    snprintf(g->path, sizeof g->path, GLIA_GOLDEN_DIR "/transformers/%s.safetensors", name);
    check(glia_file_open(&g->bytes, g->path, &error), &error);
    check(glia_safetensors_parse(g->bytes.bytes, g->bytes.length, &g->file, &error), &error);
}

static void golden_close(golden *g) {
    glia_safetensors_free(&g->file);
    glia_file_close(&g->bytes);
}

static const glia_safetensor *golden_find(const golden *g, const char *name) {
    const glia_safetensor *t = glia_safetensors_find(&g->file, name);
    if (!t) fail_msg("%s lacks %s", g->path, name);
    return t;
}

/* ---- nets ---------------------------------------------------------------------------------- */

enum { N = 3, T = 5, S = 7, D = 12, HEADS = 3, FF = 20, WORDS = 11, CONTEXT = 8, IDS = 6, OUTPUTS = 2 };

typedef struct net {
    glia_model *model;
    glia_tensor y[OUTPUTS]; /* the outputs concatenated in "y" of the file */
} net;

static glia_tensor sequence(net *n, const char *name, int length) {
    return glia_model_input(n->model, name, GLIA_F32, GLIA_SHAPE(length, D));
}
static glia_tensor lengths(net *n) { return glia_model_input(n->model, "lengths", GLIA_I32, GLIA_SCALAR); }
static glia_tensor tokens(net *n, const char *name) {
    return glia_model_input(n->model, name, GLIA_I32, GLIA_SHAPE(IDS));
}

static void self_attention(net *n) {
    glia_tensor x = sequence(n, "x", T);
    n->y[0] = glia_multihead(x, NULL, "attn", (glia_multihead_opts){ .heads = HEADS, .lengths = lengths(n) });
}

static void cross_attention(net *n) {
    glia_tensor x = sequence(n, "x", T), memory = sequence(n, "memory", S);
    n->y[0] = glia_multihead(x, memory, "attn", (glia_multihead_opts){ .heads = HEADS, .lengths = lengths(n) });
}

static glia_transformer_opts stack(bool post_norm) {
    return (glia_transformer_opts){ .layers = 2,
                                    .heads = HEADS,
                                    .feed_forward = FF,
                                    .post_norm = post_norm,
                                    .activation = post_norm ? GLIA_RELU : GLIA_GELU };
}

static void encoder(net *n, bool post_norm) {
    glia_transformer_opts o = stack(post_norm);
    glia_tensor x = sequence(n, "x", T);
    o.lengths = lengths(n);
    n->y[0] = glia_encoder_stack(x, NULL, o);
}

static void decoder(net *n, bool post_norm) {
    glia_transformer_opts o = stack(post_norm);
    glia_tensor x = sequence(n, "x", T), memory = sequence(n, "memory", S);
    o.memory_lengths = lengths(n);
    n->y[0] = glia_decoder_stack(x, memory, NULL, o);
}

static void encoder_pre(net *n) { encoder(n, false); }
static void encoder_post(net *n) { encoder(n, true); }
static void decoder_pre(net *n) { decoder(n, false); }
static void decoder_post(net *n) { decoder(n, true); }

static void gpt(net *n, bool of_karpathy) {
    n->y[0] = glia_gpt(tokens(n, "ids"), (glia_gpt_opts){ .vocabulary = WORDS,
                                                          .context = CONTEXT,
                                                          .layers = 2,
                                                          .heads = HEADS,
                                                          .units = D,
                                                          .no_bias = of_karpathy,
                                                          .gelu_tanh = !of_karpathy });
}
static void nanogpt(net *n) { gpt(n, true); }
static void gpt2(net *n) { gpt(n, false); }

static void bert(net *n) {
    glia_tensor ids = tokens(n, "ids"), segments = tokens(n, "segments");
    glia_tensor x = glia_bert(ids, (glia_bert_opts){ .vocabulary = WORDS,
                                                     .context = CONTEXT,
                                                     .layers = 2,
                                                     .heads = HEADS,
                                                     .units = D,
                                                     .segment_ids = segments,
                                                     .lengths = lengths(n) });
    n->y[0] = glia_bert_masked_words(x, WORDS);
    n->y[1] = glia_bert_next_sentence(glia_bert_pooled(x));
}

typedef struct parity_case {
    const char *name, *family;
    void (*build)(net *n);
} parity_case;

static const parity_case cases[] = {
    { "self_attention", "torch", self_attention },
    { "cross_attention", "torch", cross_attention },
    { "encoder_pre", "torch", encoder_pre },
    { "encoder_post", "torch", encoder_post },
    { "decoder_pre", "torch", decoder_pre },
    { "decoder_post", "torch", decoder_post },
    { "nanogpt", "nanogpt", nanogpt },
    { "gpt2", "gpt2", gpt2 },
    { "bert", "bert", bert },
};

static net net_create(void (*build)(net *n)) {
    glia_error error = { 0 };
    net n = { .model = glia_model_create("net", &error) };
    assert_non_null(n.model);
    build(&n);
    glia_model_output(n.model, "y", n.y[0]);
    check(glia_graph_check(glia_model_graph(n.model), &error), &error);
    return n;
}

/* ---- parity -------------------------------------------------------------------------------- */

/* The largest difference relative to the largest value. */
static double distance(const float *a, const void *b, int64_t n) {
    double worst = 0, scale = 1e-3;
    for (int64_t i = 0; i < n; i++) {
        float theirs;
        memcpy(&theirs, (const char *)b + (size_t)i * sizeof theirs, sizeof theirs);
        worst = fmax(worst, fabs((double)a[i] - (double)theirs));
        scale = fmax(scale, fabs((double)theirs));
    }
    return worst / scale;
}

enum { MOST = 128 };

/* sum(y dy); its gradients are in the file. */
static glia_tensor objective(const net *n, int count) {
    glia_graph *g = glia_model_graph(n->model);
    glia_tensor total = NULL;
    for (int i = 0; i < count; i++) {
        char name[8];
        snprintf(name, sizeof name, "dy%d", i);
        glia_tensor dy = glia_input(g, name, GLIA_F32, glia_tensor_shape(n->y[i]));
        glia_tensor sum = glia_sum(glia_mul(n->y[i], dy), GLIA_SCALAR, false);
        total = total ? glia_add(total, sum) : sum;
    }
    return total;
}

/* Collects the differentiated leaves: the parameters, then the floating-point inputs. Returns their number. */
static int differentiated(const net *n, glia_tensor xs[MOST], const char *names[MOST]) {
    static const char *const inputs[] = { "x", "memory" };
    glia_graph *g = glia_model_graph(n->model);
    glia_store *store = glia_model_store(n->model);
    int count = 0;
    for (; count < glia_store_count(store); count++) {
        glia_array a = glia_store_at(store, count);
        xs[count] = glia_parameter(g, a.name, a.dtype, a.shape, (glia_init){ 0 });
        names[count] = a.name;
    }
    for (int i = 0; i < 2; i++) {
        const char *name;
        for (int k = 0; glia_model_input_at(n->model, k, &name); k++) {
            if (strcmp(name, inputs[i]) != 0) continue;
            xs[count] = glia_model_input_at(n->model, k, NULL);
            names[count++] = inputs[i];
        }
    }
    return count;
}

/* Fills inputs from the file: NAME from "in.NAME", and dy0, dy1, ... from the parts of "dy". */
static void feed(glia_session *session, const net *n, int count, const golden *file) {
    const char *name;
    for (int i = 0; glia_model_input_at(n->model, i, &name); i++) {
        char full[64];
        void *to = glia_session_input(session, name, NULL, NULL);
        snprintf(full, sizeof full, "in.%s", name);
        if (to && strncmp(name, "dy", 2)) memcpy(to, golden_find(file, full)->data, golden_find(file, full)->bytes);
    }
    const char *dy = golden_find(file, "dy")->data;
    for (int i = 0; i < count; i++) {
        glia_array a;
        char full[8];
        snprintf(full, sizeof full, "dy%d", i);
        void *to = glia_session_input(session, full, &a, NULL);
        const size_t bytes = (size_t)glia_shape_count(a.shape) * sizeof(float);
        memcpy(to, dy, bytes);
        dy += bytes;
    }
}

static void compare(const parity_case *c, const char *backend_name) {
    glia_error error = { 0 };
    golden file;
    golden_open(&file, c->name);
    net n = net_create(c->build), theirs = net_create(c->build);
    const int count = n.y[1] ? 2 : 1;
    check(glia_model_init(n.model, 1, &error), &error);
    check(glia_model_load_foreign(n.model, file.path, c->family, "state.", &error), &error);
    check(glia_model_load_foreign(theirs.model, file.path, c->family, "grad.", &error), &error);

    /* Outputs: y, then the gradients of the parameters and of the float inputs. */
    glia_graph *g = glia_model_graph(n.model);
    glia_store *store = glia_model_store(n.model);
    const int parameters = glia_store_count(store);
    glia_tensor xs[MOST], out[MOST];
    const char *names[MOST];
    const int n_xs = differentiated(&n, xs, names);
    memcpy(out, n.y, sizeof n.y);
    glia_grad(objective(&n, count), xs, n_xs, out + count);
    check(glia_graph_check(g, &error), &error);
    glia_backend *backend = glia_backend_open(backend_name, 2, &error);
    assert_non_null(backend);
    glia_compile_opts opts = { .outputs = out, .n_outputs = count + n_xs, .mode = GLIA_TRAIN, .batch = N };
    glia_program *program = glia_compile(g, backend, opts, &error);
    if (!program) fail_msg("%s: %s", c->name, error.message);
    glia_session *session = glia_session_create(program, store, &error);
    assert_non_null(session);
    feed(session, &n, count, &file);
    check(glia_session_run(session, &error), &error);
    const char *y = golden_find(&file, "y")->data;
    for (int i = 0; i < count + n_xs; i++) {
        glia_array ours = glia_session_output(session, i), grad;
        const int64_t size = glia_shape_count(ours.shape);
        const void *expected = y;
        char what[64] = "y";
        if (i < count) {
            y += (size_t)size * sizeof(float);
        } else if (i - count < parameters) {
            snprintf(what, sizeof what, "%s", names[i - count]);
            assert_true(glia_store_find(glia_model_store(theirs.model), what, &grad));
            expected = grad.data;
        } else {
            snprintf(what, sizeof what, "grad.in.%s", names[i - count]);
            expected = golden_find(&file, what)->data;
        }
        const double off = distance(ours.data, expected, size);
        if (!(off <= 1e-5)) fail_msg("%s on %s: %s is off by %g", c->name, backend_name, what, off);
    }
    glia_session_free(session);
    glia_program_free(program);
    glia_backend_close(backend);
    glia_model_free(n.model);
    glia_model_free(theirs.model);
    golden_close(&file);
}

static void nets_match_pytorch(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        compare(&cases[i], "ref");
        compare(&cases[i], "cpu");
    }
}

static void missing_tensors_are_named(void **state) {
    (void)state;
    glia_error error = { 0 };
    char path[512];
    snprintf(path, sizeof path, GLIA_GOLDEN_DIR "/transformers/bert.safetensors");
    net n = net_create(nanogpt);
    assert_int_equal(glia_model_load_foreign(n.model, path, "nanogpt", "state.", &error), GLIA_E_NOT_FOUND);
    assert_non_null(strstr(error.message, "wte/table"));
    assert_int_equal(glia_model_load_foreign(n.model, path, "caffe", NULL, &error), GLIA_E_ARGUMENT);
    glia_model_free(n.model);
    /* Loaded as GPT-2, nanoGPT's kernels have the wrong shape, except square ones. */
    snprintf(path, sizeof path, GLIA_GOLDEN_DIR "/transformers/nanogpt.safetensors");
    n = net_create(nanogpt);
    assert_int_equal(glia_model_load_foreign(n.model, path, "gpt2", "state.", &error), GLIA_E_SHAPE);
    glia_model_free(n.model);
}

/* ---- gradients in f64 ---------------------------------------------------------------------- */

/* A compiled graph with f64 leaves and its session. */
typedef struct probe {
    glia_backend *backend;
    glia_program *program;
    glia_session *session;
    glia_store *store;
} probe;

static probe probe_open(glia_graph *g, const glia_tensor *out, int n, int64_t batch, const char *backend) {
    glia_error error = { 0 };
    check(glia_graph_check(g, &error), &error);
    probe p = { .backend = glia_backend_open(backend, 1, &error), .store = glia_store_create(g, 3, &error) };
    glia_compile_opts opts = { .outputs = out, .n_outputs = n, .mode = GLIA_INFER, .batch = batch };
    p.program = glia_compile(g, p.backend, opts, &error);
    if (!p.program) fail_msg("%s", error.message);
    p.session = glia_session_create(p.program, p.store, &error);
    assert_non_null(p.session);
    return p;
}

static void probe_close(probe *p) {
    glia_session_free(p->session);
    glia_program_free(p->program);
    glia_store_free(p->store);
    glia_backend_close(p->backend);
}

static void probe_run(probe *p) {
    glia_error error = { 0 };
    check(glia_session_run(p->session, &error), &error);
}

/* A pseudo-random number in [-1, 1). */
static double noise(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(int64_t)*state / 9223372036854775808.0;
}

typedef glia_tensor (*block_fn)(glia_tensor x, glia_tensor memory);

static glia_tensor grouped(glia_tensor x, glia_tensor memory) {
    (void)memory;
    return glia_multihead(x, NULL, "attn", (glia_multihead_opts){ .heads = 4, .key_heads = 2, .causal = true });
}
static glia_tensor rotated(glia_tensor x, glia_tensor memory) {
    (void)memory;
    glia_multihead_opts o = { .heads = 2, .size = 4, .rotary = { .kind = GLIA_ROTARY_HALVES } };
    o.rotary.units = 2;
    x = glia_multihead(x, NULL, "halves", o);
    o.rotary = (glia_rotary_opts){ .kind = GLIA_ROTARY_PAIRS, .base = 100 };
    return glia_multihead(x, NULL, "pairs", o);
}
static glia_tensor windowed(glia_tensor x, glia_tensor memory) {
    (void)memory;
    return glia_multihead(x, NULL, "attn",
                          (glia_multihead_opts){ .heads = 2, .causal = true, .window = 2, .alibi = true });
}
static glia_tensor modern(glia_tensor x, glia_tensor memory) {
    (void)memory;
    return glia_encoder_stack(
        x, "stack",
        (glia_transformer_opts){
            .layers = 2, .heads = 2, .norm = GLIA_RMS_NORM, .no_bias = true, .activation = GLIA_SILU, .causal = true });
}
static glia_tensor translating(glia_tensor x, glia_tensor memory) {
    glia_transformer_opts o = { .layers = 1, .heads = 2, .activation = GLIA_GELU_TANH };
    return glia_decoder_stack(x, glia_encoder_stack(memory, "encoder", o), "decoder", o);
}

/* The derivative of a sum of squares in a random direction over all leaves, by gradients and by differences. */
static void differentiate(const char *name, block_fn block) {
    enum { BATCH = 2, LONG = 4, KEYS = 3, WIDE = 8 };
    glia_graph *g = glia_graph_create();
    glia_tensor x =
        glia_parameter(g, "x", GLIA_F64, GLIA_SHAPE(BATCH, LONG, WIDE), (glia_init){ .kind = GLIA_INIT_NORMAL });
    glia_tensor m =
        glia_parameter(g, "m", GLIA_F64, GLIA_SHAPE(BATCH, KEYS, WIDE), (glia_init){ .kind = GLIA_INIT_NORMAL });
    glia_tensor y = block(x, m), loss = glia_sum(glia_square(y), GLIA_SCALAR, false), xs[MOST], out[MOST + 1];
    glia_error error = { 0 };
    check(glia_graph_check(g, &error), &error);
    glia_store *leaves = glia_store_create(g, 3, &error);
    const int n = glia_store_count(leaves);
    for (int i = 0; i < n; i++) {
        glia_array a = glia_store_at(leaves, i);
        xs[i] = glia_parameter(g, a.name, a.dtype, a.shape, (glia_init){ 0 });
    }
    out[0] = loss;
    glia_grad(loss, xs, n, out + 1);
    probe p = probe_open(g, out, n + 1, 1, "ref");
    probe_run(&p);
    double slope = 0, values[2];
    uint64_t state = 7;
    for (int i = 0; i < n; i++) {
        glia_array grad = glia_session_output(p.session, i + 1);
        for (int64_t k = 0; k < glia_shape_count(grad.shape); k++) slope += ((double *)grad.data)[k] * noise(&state);
    }
    const double step = 1e-5;
    for (int side = 0; side < 2; side++) {
        state = 7;
        for (int i = 0; i < n; i++) {
            glia_array a = glia_store_at(leaves, i), to;
            assert_true(glia_store_find(p.store, a.name, &to));
            for (int64_t k = 0; k < glia_shape_count(a.shape); k++)
                ((double *)to.data)[k] = ((double *)a.data)[k] + (side ? -step : step) * noise(&state);
        }
        probe_run(&p);
        values[side] = *(const double *)glia_session_output(p.session, 0).data;
    }
    const double difference = (values[0] - values[1]) / (2 * step);
    if (!(fabs(slope - difference) <= 1e-6 * fmax(fabs(difference), 1)))
        fail_msg("%s: the slope is %.12g, the difference %.12g", name, slope, difference);
    glia_store_free(leaves);
    probe_close(&p);
    glia_graph_free(g);
}

static void block_gradients_match_differences(void **state) {
    (void)state;
    differentiate("grouped queries", grouped);
    differentiate("rotary", rotated);
    differentiate("window and alibi", windowed);
    differentiate("rms norm", modern);
    differentiate("encoder and decoder", translating);
}

/* ---- masks --------------------------------------------------------------------------------- */

/* True if rows [from, to) of two results (rows, columns) are bit-identical. */
static bool same_rows(const float *a, const float *b, int from, int to, int columns) {
    return memcmp(a + from * columns, b + from * columns, (size_t)((to - from) * columns) * sizeof *a) == 0;
}

static void padding_does_not_affect_outputs(void **state) {
    (void)state;
    enum { LONG = 6, VALID = 4 };
    glia_graph *g = glia_graph_create();
    glia_tensor ids = glia_input(g, "ids", GLIA_I32, GLIA_SHAPE(GLIA_BATCH, LONG));
    glia_tensor lengths = glia_input(g, "lengths", GLIA_I32, GLIA_SHAPE(GLIA_BATCH));
    glia_tensor y = glia_bert(
        ids, (glia_bert_opts){
                 .vocabulary = WORDS, .context = LONG, .layers = 2, .heads = 2, .units = 8, .lengths = lengths });
    probe p = probe_open(g, &y, 1, 1, "cpu");
    float first[LONG * 8], second[LONG * 8];
    memcpy(glia_session_input(p.session, "ids", NULL, NULL), (int32_t[]){ 1, 2, 3, 4, 5, 6 }, LONG * sizeof(int32_t));
    *(int32_t *)glia_session_input(p.session, "lengths", NULL, NULL) = VALID;
    probe_run(&p);
    memcpy(first, glia_session_output(p.session, 0).data, sizeof first);
    memcpy(glia_session_input(p.session, "ids", NULL, NULL), (int32_t[]){ 1, 2, 3, 4, 9, 0 }, LONG * sizeof(int32_t));
    probe_run(&p);
    memcpy(second, glia_session_output(p.session, 0).data, sizeof second);
    assert_true(same_rows(first, second, 0, VALID, 8));
    assert_false(same_rows(first, second, VALID, LONG, 8));
    probe_close(&p);
    glia_graph_free(g);
}

/* The same with a padding id. */
static void padding_ids_are_masked(void **state) {
    (void)state;
    enum { LONG = 5 };
    float y[2][LONG * 8];
    for (int longer = 0; longer < 2; longer++) {
        const int length = LONG + longer;
        glia_graph *g = glia_graph_create();
        glia_tensor ids = glia_input(g, "ids", GLIA_I32, GLIA_SHAPE(GLIA_BATCH, length));
        glia_tensor x = glia_bert(
            ids,
            (glia_bert_opts){ .vocabulary = WORDS, .context = 8, .layers = 1, .heads = 2, .units = 8, .pads = true });
        probe p = probe_open(g, &x, 1, 1, "ref");
        memcpy(glia_session_input(p.session, "ids", NULL, NULL), (int32_t[]){ 1, 2, 3, 4, 5, 0 },
               (size_t)length * sizeof(int32_t));
        probe_run(&p);
        memcpy(y[longer], glia_session_output(p.session, 0).data, sizeof y[0]);
        probe_close(&p);
        glia_graph_free(g);
    }
    for (int i = 0; i < LONG * 8; i++) assert_true(fabsf(y[0][i] - y[1][i]) < 1e-6f);
}

static void gpt_is_causal(void **state) {
    (void)state;
    enum { LONG = 6 };
    glia_graph *g = glia_graph_create();
    glia_tensor ids = glia_input(g, "ids", GLIA_I32, GLIA_SHAPE(GLIA_BATCH, LONG));
    glia_tensor y =
        glia_gpt(ids, (glia_gpt_opts){ .vocabulary = WORDS, .context = LONG, .layers = 2, .heads = 2, .units = 8 });
    probe p = probe_open(g, &y, 1, 1, "cpu");
    float first[LONG * WORDS], second[LONG * WORDS];
    memcpy(glia_session_input(p.session, "ids", NULL, NULL), (int32_t[]){ 1, 2, 3, 4, 5, 6 }, LONG * sizeof(int32_t));
    probe_run(&p);
    memcpy(first, glia_session_output(p.session, 0).data, sizeof first);
    memcpy(glia_session_input(p.session, "ids", NULL, NULL), (int32_t[]){ 1, 2, 3, 9, 5, 6 }, LONG * sizeof(int32_t));
    probe_run(&p);
    memcpy(second, glia_session_output(p.session, 0).data, sizeof second);
    assert_true(same_rows(first, second, 0, 3, WORDS));
    for (int t = 3; t < LONG; t++) assert_false(same_rows(first, second, t, t + 1, WORDS));
    probe_close(&p);
    glia_graph_free(g);
}

/* ---- positions ----------------------------------------------------------------------------- */

static void sinusoids_match_the_formula(void **state) {
    (void)state;
    enum { LONG = 9, UNITS = 7 };
    glia_graph *g = glia_graph_create();
    glia_tensor at = glia_add(glia_iota(g, GLIA_I32, GLIA_SHAPE(LONG), 0), glia_scalar(g, GLIA_I32, 5000));
    glia_tensor y = glia_sinusoidal(at, UNITS);
    probe p = probe_open(g, &y, 1, 1, "cpu");
    probe_run(&p);
    const float *values = glia_session_output(p.session, 0).data;
    for (int t = 0; t < LONG; t++) {
        for (int k = 0; k < UNITS; k++) {
            const double angle = (t + 5000) / pow(10000, 2.0 * (k / 2) / UNITS);
            assert_true(fabs((double)values[t * UNITS + k] - (k % 2 ? cos(angle) : sin(angle))) < 1e-6);
        }
    }
    probe_close(&p);
    glia_graph_free(g);
}

/* Both conventions rotate pairs by the angle p base^(-2i / units), and leave elements beyond `units` unchanged. */
static void rotations_match_the_formula(void **state) {
    (void)state;
    enum { LONG = 4, HEADS_2 = 2, SIZE = 6, UNITS = 4, AT = 100 };
    for (int kind = GLIA_ROTARY_PAIRS; kind <= GLIA_ROTARY_HALVES; kind++) {
        for (int by_sample = 0; by_sample < 2; by_sample++) {
            glia_graph *g = glia_graph_create();
            glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, LONG, HEADS_2, SIZE));
            glia_tensor at = by_sample ? glia_input(g, "at", GLIA_I32, GLIA_SHAPE(GLIA_BATCH, LONG)) : NULL;
            glia_tensor y =
                glia_rotate(x, at, (glia_rotary_opts){ .kind = (glia_rotary)kind, .base = 50, .units = UNITS });
            probe p = probe_open(g, &y, 1, 2, "cpu");
            float *in = glia_session_input(p.session, "x", NULL, NULL);
            uint64_t seed = 5;
            for (int i = 0; i < 2 * LONG * HEADS_2 * SIZE; i++) in[i] = (float)noise(&seed);
            int32_t *places = by_sample ? glia_session_input(p.session, "at", NULL, NULL) : NULL;
            for (int i = 0; places && i < 2 * LONG; i++) places[i] = AT * (i / LONG) + i % LONG;
            probe_run(&p);
            const float *out = glia_session_output(p.session, 0).data;
            for (int row = 0; row < 2 * LONG * HEADS_2; row++) {
                const int sample = row / (LONG * HEADS_2), t = row / HEADS_2 % LONG;
                const float *a = in + row * SIZE, *b = out + row * SIZE;
                for (int i = 0; i < UNITS / 2; i++) {
                    const double angle = (t + (by_sample ? AT * sample : 0)) * pow(50, -2.0 * i / UNITS);
                    const int u = kind == GLIA_ROTARY_PAIRS ? 2 * i : i,
                              v = kind == GLIA_ROTARY_PAIRS ? u + 1 : u + UNITS / 2;
                    const double pu = (double)a[u] * cos(angle) - (double)a[v] * sin(angle);
                    const double pv = (double)a[v] * cos(angle) + (double)a[u] * sin(angle);
                    assert_true(fabs(pu - (double)b[u]) < 1e-6 && fabs(pv - (double)b[v]) < 1e-6);
                }
                for (int i = UNITS; i < SIZE; i++) assert_true(a[i] == b[i]);
            }
            probe_close(&p);
            glia_graph_free(g);
        }
    }
}

/* ---- embeddings and losses ----------------------------------------------------------------- */

static void padding_embeds_to_zeros(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor ids = glia_input(g, "ids", GLIA_I32, GLIA_SHAPE(GLIA_BATCH, 3));
    glia_tensor x =
        glia_embedding(ids, "words", (glia_embedding_opts){ .vocabulary = 4, .units = 2, .pads = true, .padding = 2 });
    glia_tensor logits = glia_embedding_logits(x, "words", 4), out[3] = { x, logits };
    glia_tensor table = glia_parameter(g, "words/table", GLIA_F32, GLIA_SHAPE(4, 2), (glia_init){ 0 });
    glia_grad(glia_sum(x, GLIA_SCALAR, false), &table, 1, &out[2]);
    probe p = probe_open(g, out, 3, 1, "cpu");
    memcpy(glia_session_input(p.session, "ids", NULL, NULL), (int32_t[]){ 3, 2, 1 }, 3 * sizeof(int32_t));
    probe_run(&p);
    glia_array words;
    assert_true(glia_store_find(p.store, "words/table", &words));
    const float *w = words.data, *y = glia_session_output(p.session, 0).data,
                *z = glia_session_output(p.session, 1).data, *dw = glia_session_output(p.session, 2).data;
    const float expected[6] = { w[6], w[7], 0, 0, w[2], w[3] };
    assert_memory_equal(y, expected, sizeof expected);
    for (int i = 0; i < 12; i++)
        assert_true(fabsf(z[i] - (expected[i / 4 * 2] * w[i % 4 * 2] + expected[i / 4 * 2 + 1] * w[i % 4 * 2 + 1])) <
                    1e-6f);
    for (int i = 0; i < 8; i++) assert_true(dw[i] == (i / 2 == 3 || i / 2 == 1 ? 1.0f : 0.0f));
    probe_close(&p);
    glia_graph_free(g);
}

/* Mean over valid labels, with smoothing; 0, not NaN, if there are none. */
static void unlabelled_tokens_are_ignored(void **state) {
    (void)state;
    enum { LONG = 4, K = 3 };
    const float logits[LONG * K] = { 1, 2, 3, 0, 0, 1, 5, 1, 2, 9, 9, 9 };
    const double e = 0.1;
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, LONG, K));
    glia_tensor labels = glia_input(g, "labels", GLIA_I32, GLIA_SHAPE(GLIA_BATCH, LONG)), out[3];
    out[0] = glia_cross_entropy_tokens(x, labels, e);
    out[1] = glia_accuracy_tokens(x, labels);
    glia_grad(out[0], &x, 1, &out[2]);
    probe p = probe_open(g, out, 3, 1, "cpu");
    memcpy(glia_session_input(p.session, "x", NULL, NULL), logits, sizeof logits);
    const int32_t given[2][LONG] = { { 2, -1, 1, -1 }, { -1, -1, -1, -1 } };
    for (int c = 0; c < 2; c++) {
        memcpy(glia_session_input(p.session, "labels", NULL, NULL), given[c], sizeof given[c]);
        probe_run(&p);
        double loss = 0, n = 0;
        for (int t = 0; t < LONG; t++) {
            if (given[c][t] < 0) continue;
            double total = 0;
            for (int k = 0; k < K; k++) total += exp((double)logits[t * K + k]);
            for (int k = 0; k < K; k++) {
                const double share = (1 - e) * (k == given[c][t]) + e / K;
                loss -= share * ((double)logits[t * K + k] - log(total));
            }
            n++;
        }
        loss = n > 0 ? loss / n : 0;
        assert_true(fabs(loss - (double)*(const float *)glia_session_output(p.session, 0).data) < 1e-6);
        assert_true(*(const float *)glia_session_output(p.session, 1).data == (c ? 0.0f : 0.5f));
        const float *dx = glia_session_output(p.session, 2).data;
        for (int i = 0; i < LONG * K; i++) assert_true(given[c][i / K] >= 0 ? dx[i] != 0 : dx[i] == 0);
    }
    probe_close(&p);
    glia_graph_free(g);
}

/* ---- families ------------------------------------------------------------------------------ */

static void text_cnn_matches_its_definition(void **state) {
    (void)state;
    enum { LONG = 5, UNITS = 3, FILTERS = 2, CLASSES = 2, WIDTH = 3 };
    glia_graph *g = glia_graph_create();
    glia_tensor ids = glia_input(g, "ids", GLIA_I32, GLIA_SHAPE(GLIA_BATCH, LONG));
    glia_tensor y = glia_text_cnn(ids, (glia_text_cnn_opts){ .vocabulary = WORDS,
                                                             .classes = CLASSES,
                                                             .units = UNITS,
                                                             .filters = FILTERS,
                                                             .widths = { WIDTH },
                                                             .pads = true });
    probe p = probe_open(g, &y, 1, 1, "cpu");
    const int32_t given[LONG] = { 3, 1, 4, 2, 0 };
    memcpy(glia_session_input(p.session, "ids", NULL, NULL), given, sizeof given);
    probe_run(&p);
    const char *const names[] = { "embed/table", "conv3/kernel", "conv3/bias", "logits/kernel", "logits/bias" };
    const float *v[5], *logits = glia_session_output(p.session, 0).data;
    for (int i = 0; i < 5; i++) {
        glia_array a;
        assert_true(glia_store_find(p.store, names[i], &a));
        v[i] = a.data;
    }
    for (int c = 0; c < CLASSES; c++) {
        double score = (double)v[4][c];
        for (int f = 0; f < FILTERS; f++) {
            double most = 0;
            for (int t = 0; t + WIDTH <= LONG; t++) {
                double sum = (double)v[2][f];
                for (int k = 0; k < WIDTH; k++) {
                    for (int u = 0; u < UNITS && given[t + k]; u++) /* the kernel is (filters, units, width) */
                        sum += (double)v[0][given[t + k] * UNITS + u] * (double)v[1][(f * UNITS + u) * WIDTH + k];
                }
                most = fmax(most, sum);
            }
            score += most * (double)v[3][c * FILTERS + f];
        }
        assert_true(fabs(score - (double)logits[c]) < 1e-6);
    }
    probe_close(&p);
    glia_graph_free(g);
}

static void shapes_of_heads_and_models(void **state) {
    (void)state;
    glia_error error = { 0 };
    glia_graph *g = glia_graph_create();
    glia_tensor ids = glia_input(g, "ids", GLIA_I32, GLIA_SHAPE(GLIA_BATCH, 6));
    glia_bert_opts o = { .vocabulary = WORDS, .context = 6, .layers = 1, .heads = 2, .units = 8 };
    glia_tensor x = glia_bert(ids, o), pooled = glia_bert_pooled(x);
    assert_true(glia_shape_equal(glia_tensor_shape(glia_bert_classes(pooled, 3, 0.1)), GLIA_SHAPE(GLIA_BATCH, 3)));
    assert_true(glia_shape_equal(glia_tensor_shape(glia_bert_question(x)), GLIA_SHAPE(GLIA_BATCH, 6, 2)));
    check(glia_graph_check(g, &error), &error);
    glia_graph_free(g);
    g = glia_graph_create();
    ids = glia_input(g, "ids", GLIA_I32, GLIA_SHAPE(GLIA_BATCH, 6));
    x = glia_bert_tags(glia_bert(ids, o), 5, 0.1);
    assert_true(glia_shape_equal(glia_tensor_shape(x), GLIA_SHAPE(GLIA_BATCH, 6, 5)));
    glia_graph_free(g);
    /* nanoGPT reports 0.80 million, and 10.65 million without positions. */
    const struct {
        const char *name;
        int64_t parameters;
    } models[] = { { "gpt-tiny", 804096 }, { "gpt-mini", 10646784 + 256 * 384 } };
    for (int i = 0; i < 2; i++) {
        const glia_recipe *recipe = glia_recipe_find(models[i].name);
        assert_non_null(recipe);
        glia_model *model = glia_recipe_build(recipe, recipe->sample, recipe->outputs, &error);
        if (!model) fail_msg("%s", error.message);
        assert_int_equal(glia_model_parameter_count(model, false), models[i].parameters);
        glia_model_free(model);
    }
}

static void errors_are_named(void **state) {
    (void)state;
    glia_error error = { 0 };
    for (int c = 0; c < 5; c++) {
        static const char *const said[] = { "divide", "i32 or i64", "T in [1, 4]", "a name is needed",
                                            "heads of keys" };
        glia_graph *g = glia_graph_create();
        glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 6, 8));
        glia_tensor ids = glia_input(g, "ids", GLIA_I32, GLIA_SHAPE(GLIA_BATCH, 6));
        if (c == 0) glia_multihead(x, NULL, "attn", (glia_multihead_opts){ .heads = 3 });
        if (c == 1) glia_embedding(x, "words", (glia_embedding_opts){ .vocabulary = 3, .units = 2 });
        if (c == 2) glia_gpt(ids, (glia_gpt_opts){ .vocabulary = 3, .context = 4 });
        if (c == 3) glia_embedding(ids, "", (glia_embedding_opts){ .vocabulary = 3, .units = 2 });
        if (c == 4) glia_multihead(x, NULL, "attn", (glia_multihead_opts){ .heads = 4, .key_heads = 3 });
        assert_int_not_equal(glia_graph_check(g, &error), GLIA_OK);
        if (!strstr(error.message, said[c])) fail_msg("'%s' is not about '%s'", error.message, said[c]);
        glia_graph_free(g);
    }
}

/* ---- masked words -------------------------------------------------------------------------- */

static void whole_words_are_masked(void **state) {
    (void)state;
    enum { ROWS = 200, LONG = 24, VOCABULARY = 50, FIRST = 5, MASK = 4 };
    static int32_t ids[ROWS * LONG], masked[2][ROWS * LONG], labels[2][ROWS * LONG];
    bool continues[VOCABULARY] = { false };
    for (int i = 30; i < VOCABULARY; i++) continues[i] = true;
    uint64_t seed = 3;
    for (int i = 0; i < ROWS * LONG; i++) /* a special token first, padding last, words of 1-3 tokens */
        ids[i] = i % LONG == 0 ? 1 : i % LONG >= 20 ? 0 : FIRST + (int32_t)((noise(&seed) + 1) / 2 * 45);
    glia_masking_opts o = { .vocabulary = VOCABULARY, .mask = MASK, .first = FIRST, .continues = continues, .seed = 1 };
    glia_error error = { 0 };
    check(glia_mask_words(ids, ROWS, LONG, NULL, o, masked[0], labels[0], &error), &error);
    int chosen = 0, by_mask = 0, kept = 0;
    for (int i = 0; i < ROWS * LONG; i++) {
        const bool asked = labels[0][i] >= 0;
        if (ids[i] < FIRST) assert_false(asked);
        if (!asked) assert_int_equal(masked[0][i], ids[i]);
        if (!asked) continue;
        assert_int_equal(labels[0][i], ids[i]);
        assert_true(masked[0][i] == MASK || (masked[0][i] >= FIRST && masked[0][i] < VOCABULARY));
        chosen++;
        by_mask += masked[0][i] == MASK;
        kept += masked[0][i] == ids[i];
    }
    for (int i = 1; i < ROWS * LONG; i++) /* continuation tokens are chosen with their word */
        if (ids[i] >= 30 && ids[i - 1] >= FIRST) assert_true((labels[0][i] >= 0) == (labels[0][i - 1] >= 0));
    const double share = chosen / (double)(ROWS * 19), masks = by_mask / (double)chosen, keeps = kept / (double)chosen;
    assert_true(share > 0.12 && share < 0.17);
    assert_true(masks > 0.75 && masks < 0.85);
    assert_true(keeps > 0.06 && keeps < 0.16);
    /* Row by row the result is the same; another epoch gives another draw. */
    for (int64_t i = 0; i < ROWS; i++)
        check(glia_mask_words(ids + i * LONG, 1, LONG, &i, o, masked[1] + i * LONG, labels[1] + i * LONG, &error),
              &error);
    assert_memory_equal(masked[0], masked[1], sizeof masked[0]);
    o.epoch = 1;
    check(glia_mask_words(ids, ROWS, LONG, NULL, o, masked[1], labels[1], &error), &error);
    assert_memory_not_equal(labels[0], labels[1], sizeof labels[0]);
    o.first = VOCABULARY;
    assert_int_equal(glia_mask_words(ids, ROWS, LONG, NULL, o, masked[1], labels[1], &error), GLIA_E_ARGUMENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nets_match_pytorch),
        cmocka_unit_test(missing_tensors_are_named),
        cmocka_unit_test(block_gradients_match_differences),
        cmocka_unit_test(padding_does_not_affect_outputs),
        cmocka_unit_test(padding_ids_are_masked),
        cmocka_unit_test(gpt_is_causal),
        cmocka_unit_test(sinusoids_match_the_formula),
        cmocka_unit_test(rotations_match_the_formula),
        cmocka_unit_test(padding_embeds_to_zeros),
        cmocka_unit_test(unlabelled_tokens_are_ignored),
        cmocka_unit_test(whole_words_are_masked),
        cmocka_unit_test(text_cnn_matches_its_definition),
        cmocka_unit_test(shapes_of_heads_and_models),
        cmocka_unit_test(errors_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
