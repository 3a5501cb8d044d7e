/* generator.c - runs a causal model over growing sequences.
 *
 * Two programs share the states: one reads a single token, the other PROMPT tokens at once. The states are in a store
 * of the generator's own, whose base is the model's store.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "deploy/generate/incremental.h"
#include "glia/generate.h"
#include "train/model/model.h"

enum { PROMPT = 32 }; /* prompt tokens read in one run */

typedef struct lane {
    int64_t steps;
    glia_graph *graph;
    glia_program *program;
    glia_session *session;
    void *tokens;
    int32_t *position; /* NULL: the model has no position input */
} lane;

struct glia_generator {
    glia_backend *backend;
    bool owns_backend;
    glia_store *store;
    lane lanes[2]; /* the one with more steps first */
    int n_lanes;
    int64_t sequences, vocabulary;
    int64_t context, length; /* tokens that fit into the states, 0: no limit; and tokens read */
    int64_t kept;            /* the states hold the last `kept` of these */
    int32_t *past;           /* (N, T): the tokens in the states; only with a limit */
    float *scores;           /* (N, V) */
};

/* ---- creation --------------------------------------------------------------------------------------- */

static bool has_group(const glia_graph *g, const char *group) {
    for (int i = 0; i < g->n_updates; i++) {
        if (!strcmp(g->updates[i].group, group)) return true;
    }
    return false;
}

static glia_status lane_open(glia_generator *g, lane *l, const glia_node *input, const glia_node *output, int64_t steps,
                             glia_error *error) {
    glia_incremental_opts opts = { .sequences = g->sequences, .steps = steps };
    l->steps = steps;
    l->graph = glia_incremental(input->graph, input, output, opts, error);
    if (!l->graph) return GLIA_E_UNSUPPORTED;
    if (glia_store_add(g->store, l->graph, 0, error) != GLIA_OK) return GLIA_E_NOMEM;
    glia_compile_opts how = { .outputs = &l->graph->outputs[0].node, .n_outputs = 1 };
    if (has_group(l->graph, "generate")) how.updates = "generate"; /* a model without states makes no updates */
    l->program = glia_compile(l->graph, g->backend, how, error);
    l->session = l->program ? glia_session_create(l->program, g->store, error) : NULL;
    if (!l->session) return GLIA_E_NOMEM;
    l->tokens = glia_session_input(l->session, "tokens", NULL, NULL);
    l->position = glia_session_input(l->session, "position", NULL, NULL);
    return GLIA_OK;
}

static void lane_close(lane *l) {
    glia_session_free(l->session);
    glia_program_free(l->program);
    glia_graph_free(l->graph);
}

/* Checks that a generator can use the model. */
static glia_status check_model(const glia_node *input, const glia_node *output, glia_error *error) {
    if (!input || !output) return glia_fail(error, GLIA_E_ARGUMENT, "the model has no %s", input ? "output" : "input");
    if (input->shape.rank != 2 || (input->dtype != GLIA_I32 && input->dtype != GLIA_F32))
        return glia_fail(error, GLIA_E_SHAPE,
                         "a model for generation must read tokens, i32 (N, T); the input '%s' is not that",
                         glia_leaf_of(input)->name);
    if (output->shape.rank != 3 || output->dtype != GLIA_F32)
        return glia_fail(error, GLIA_E_SHAPE,
                         "a model for generation must give scores of the next token, f32 (N, T, V); this one does not");
    return GLIA_OK;
}

static glia_status generator_open(glia_generator *g, glia_model *model, glia_generator_opts opts, glia_error *error) {
    const glia_node *input = glia_model_sample_input(model, error), *output = glia_model_output_at(model, 0, NULL);
    if (!input) return GLIA_E_ARGUMENT;
    glia_status status = check_model(input, output, error);
    if (status == GLIA_OK) status = glia_model_ready(model, 0, error);
    if (status != GLIA_OK) return status;
    g->sequences = opts.sequences ? opts.sequences : 1;
    g->vocabulary = output->shape.dim[2];
    g->backend = opts.backend ? opts.backend : glia_backend_open("cpu", opts.threads, error);
    g->owns_backend = !opts.backend;
    g->store = g->backend ? glia_store_create_over(model->store, error) : NULL;
    if (!g->store) return GLIA_E_NOMEM;
    int64_t whole = input->shape.dim[1];
    for (int64_t steps = whole > PROMPT ? PROMPT : 1; steps; steps = steps > 1) {
        status = lane_open(g, &g->lanes[g->n_lanes++], input, output, steps, error);
        if (status != GLIA_OK) return status;
    }
    for (int i = 0; i < g->n_lanes; i++) g->context = g->lanes[i].position ? whole : g->context;
    g->scores = calloc((size_t)(g->sequences * g->vocabulary), sizeof *g->scores);
    g->past = calloc((size_t)(g->sequences * g->context) + 1, sizeof *g->past);
    return g->scores && g->past ? GLIA_OK : glia_fail_nomem(error);
}

glia_generator *glia_generator_create(glia_model *model, glia_generator_opts opts, glia_error *error) {
    if (opts.sequences < 0) {
        glia_fail(error, GLIA_E_ARGUMENT, "generation: the number of sequences is %d", opts.sequences);
        return NULL;
    }
    glia_generator *g = calloc(1, sizeof *g);
    if (!g) {
        glia_fail_nomem(error);
        return NULL;
    }
    if (generator_open(g, model, opts, error) == GLIA_OK) return g;
    glia_generator_free(g);
    return NULL;
}

void glia_generator_free(glia_generator *g) {
    if (!g) return;
    for (int i = 0; i < g->n_lanes; i++) lane_close(&g->lanes[i]);
    glia_store_free(g->store);
    if (g->owns_backend) glia_backend_close(g->backend);
    free(g->past);
    free(g->scores);
    free(g);
}

int64_t glia_generator_vocabulary(const glia_generator *g) { return g ? g->vocabulary : 0; }
int64_t glia_generator_context(const glia_generator *g) { return g ? g->context : 0; }
int64_t glia_generator_length(const glia_generator *g) { return g ? g->length : 0; }

/* ---- states ------------------------------------------------------------------------------------------- */

void glia_generator_reset(glia_generator *g) {
    if (!g) return;
    for (int i = 0; i < glia_store_count(g->store); i++) {
        glia_array a = glia_store_entry(g->store, i);
        if (!a.parameter) memset(a.data, 0, (size_t)glia_shape_count(a.shape) * glia_dtype_size(a.dtype));
    }
    g->length = g->kept = 0;
}

/* In an array of N rows, row i becomes the former row parents[i]. */
static bool reorder(void *rows, int64_t n, size_t bytes, const int *parents) {
    char *copy = malloc((size_t)n * bytes);
    if (!copy) return false;
    memcpy(copy, rows, (size_t)n * bytes);
    for (int64_t i = 0; i < n; i++) memcpy((char *)rows + (size_t)i * bytes, copy + (size_t)parents[i] * bytes, bytes);
    free(copy);
    return true;
}

glia_status glia_generator_reorder(glia_generator *g, const int *parents, glia_error *error) {
    if (!g) return glia_fail_null(error, "generator");
    if (!parents) return glia_fail_null(error, "parents");
    const int64_t n = g->sequences;
    for (int64_t i = 0; i < n; i++) {
        if (parents[i] < 0 || parents[i] >= n)
            return glia_fail(error, GLIA_E_ARGUMENT, "generation: there is no sequence %d", parents[i]);
    }
    for (int i = 0; i < glia_store_count(g->store); i++) {
        glia_array a = glia_store_entry(g->store, i);
        size_t bytes = (size_t)glia_shape_count(a.shape) * glia_dtype_size(a.dtype);
        if (!a.parameter && !reorder(a.data, n, bytes / (size_t)n, parents)) return glia_fail_nomem(error);
    }
    if (!reorder(g->past, n, (size_t)g->context * sizeof *g->past, parents)) return glia_fail_nomem(error);
    return GLIA_OK;
}

/* ---- reading ------------------------------------------------------------------------------------------ */

static void feed(const lane *l, int64_t sequences, const int32_t *tokens, int64_t stride) {
    glia_array a;
    glia_session_input(l->session, "tokens", &a, NULL);
    for (int64_t i = 0; i < sequences; i++) {
        for (int64_t t = 0; t < l->steps; t++) {
            int32_t token = tokens[i * stride + t];
            if (a.dtype == GLIA_I32)
                ((int32_t *)l->tokens)[i * l->steps + t] = token;
            else
                ((float *)l->tokens)[i * l->steps + t] = (float)token;
        }
    }
}

/* Reads the next tokens, one run of the lane; row i's are at tokens + i stride. */
static glia_status run(glia_generator *g, const lane *l, const int32_t *tokens, int64_t stride, glia_error *error) {
    feed(l, g->sequences, tokens, stride);
    if (l->position) *l->position = (int32_t)g->kept;
    glia_status status = glia_session_run(l->session, error);
    if (status != GLIA_OK) return status;
    const float *scores = glia_session_output(l->session, 0).data;
    for (int64_t i = 0; i < g->sequences; i++) {
        memcpy(g->scores + i * g->vocabulary, scores + ((i + 1) * l->steps - 1) * g->vocabulary,
               (size_t)g->vocabulary * sizeof *scores);
        for (int64_t t = 0; t < l->steps && g->context; t++)
            g->past[i * g->context + g->kept + t] = tokens[i * stride + t];
    }
    g->kept += l->steps;
    return GLIA_OK;
}

/* Reads n tokens, which fit into the states. */
static glia_status read_some(glia_generator *g, const int32_t *tokens, int64_t n, int64_t stride, glia_error *error) {
    glia_status status = GLIA_OK;
    for (int i = 0; status == GLIA_OK && i < g->n_lanes; i++) {
        for (const lane *l = &g->lanes[i]; status == GLIA_OK && n >= l->steps; n -= l->steps) {
            status = run(g, l, tokens, stride, error);
            tokens += l->steps;
        }
    }
    return status;
}

/* Frees room: reads the last half of the tokens in the states again, from position 0 on. */
static glia_status let_go(glia_generator *g, glia_error *error) {
    int64_t half = g->context / 2, from = g->kept - half;
    for (int64_t i = 0; i < g->sequences; i++) {
        int32_t *row = g->past + i * g->context;
        memmove(row, row + from, (size_t)half * sizeof *row);
    }
    g->kept = 0;
    return read_some(g, g->past, half, g->context, error);
}

glia_status glia_generator_read(glia_generator *g, const int32_t *tokens, int64_t n, const float **scores,
                                glia_error *error) {
    if (!g) return glia_fail_null(error, "generator");
    if (n > 0 && !tokens) return glia_fail_null(error, "tokens");
    if (n < 1) return glia_fail(error, GLIA_E_ARGUMENT, "generation: needs at least one token");
    glia_status status = GLIA_OK;
    for (int64_t done = 0, some; status == GLIA_OK && done < n; done += some) {
        if (g->context && g->kept == g->context) status = let_go(g, error);
        some = g->context ? GLIA_MIN(n - done, g->context - g->kept) : n - done;
        if (status == GLIA_OK) status = read_some(g, tokens + done, some, n, error);
    }
    if (status != GLIA_OK) return status;
    g->length += n;
    if (scores) *scores = g->scores;
    return GLIA_OK;
}

/* ---- writing ------------------------------------------------------------------------------------------ */

static bool stops(const glia_generate_opts *o, int32_t token) {
    for (int i = 0; i < o->n_stops; i++) {
        if (o->stops[i] == token) return true;
    }
    return false;
}

/* Generates. past: the prompt and the tokens generated so far, with room for more. */
static glia_status write_on(glia_generator *g, glia_sampler *sampler, int32_t *past, int64_t n_past,
                            const glia_generate_opts *opts, int64_t *n_tokens, glia_error *error) {
    const float *scores;
    glia_status status = glia_generator_read(g, past, n_past, &scores, error);
    while (status == GLIA_OK && *n_tokens < opts->length) {
        int32_t *token = &past[n_past];
        status = glia_sampler_next(sampler, scores, past, n_past, token, error);
        if (status != GLIA_OK) break;
        ++*n_tokens;
        n_past++;
        if (opts->each) status = opts->each(*token, opts->context, error);
        if (status != GLIA_OK || stops(opts, *token) || *n_tokens == opts->length) break;
        status = glia_generator_read(g, token, 1, &scores, error);
    }
    return status == GLIA_E_INTERRUPTED ? GLIA_OK : status;
}

glia_status glia_generate(glia_generator *g, const int32_t *prompt, int64_t n, glia_generate_opts opts, int32_t *tokens,
                          int64_t *n_tokens, glia_error *error) {
    if (!g) return glia_fail_null(error, "generator");
    if (!tokens) return glia_fail_null(error, "tokens");
    if (!n_tokens) return glia_fail_null(error, "n_tokens");
    if (n > 0 && !prompt) return glia_fail_null(error, "prompt");
    *n_tokens = 0;
    if (opts.length == 0) opts.length = 256;
    if (n < 1 || opts.length < 0)
        return glia_fail(error, GLIA_E_ARGUMENT, "generation: the prompt needs at least one token");
    if (g->sequences != 1)
        return glia_fail(error, GLIA_E_ARGUMENT, "generation: the generator has %lld sequences, not one",
                         (long long)g->sequences);
    for (int64_t i = 0; i < n; i++) {
        if (prompt[i] < 0 || prompt[i] >= g->vocabulary)
            return glia_fail(error, GLIA_E_ARGUMENT, "generation: token %lld of the prompt is %d, outside 0 to %lld",
                             (long long)i, prompt[i], (long long)g->vocabulary - 1);
    }
    glia_generator_reset(g);
    glia_sampler *sampler = glia_sampler_create(g->vocabulary, opts.sampling, error);
    if (!sampler) return GLIA_E_ARGUMENT;
    int32_t *past = malloc((size_t)(n + opts.length) * sizeof *past);
    if (past) memcpy(past, prompt, (size_t)n * sizeof *past);
    glia_status status = past ? write_on(g, sampler, past, n, &opts, n_tokens, error) : glia_fail_nomem(error);
    if (past) memcpy(tokens, past + n, (size_t)*n_tokens * sizeof *past);
    free(past);
    glia_sampler_free(sampler);
    return status;
}
