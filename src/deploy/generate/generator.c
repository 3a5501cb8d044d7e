/* generator.c - runs a causal model over growing sequences.
 *
 * One program reads a single token. Programs for several tokens are compiled when a prompt of a new length comes, which
 * takes less time than running them, and the last few are kept. All share the states, which are in a store of the
 * generator's own that stands on the model's. The program for single tokens is frozen: its weights are packed once. A
 * prompt has many rows for each weight, so that packing in each run costs little, and needs no second copy of the
 * weights.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/program/program.h"
#include "core/program/store.h"
#include "deploy/generate/incremental.h"
#include "deploy/generate/moves.h"
#include "glia/generate.h"
#include "train/model/model.h"

enum {
    PROMPT = 512, /* tokens that are read in one run, at most */
    FEW = 4,      /* fewer are read one by one */
    LANES = 4     /* programs for several tokens that are kept */
};

typedef struct lane {
    int64_t steps, used; /* used: the number of the run that used it last */
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
    const glia_store *values; /* the model's */
    uint64_t writes;          /* of these when the last sequence began */
    const glia_node *input, *output;
    lane one, several[LANES];
    int64_t runs;
    glia_model *model;
    glia_generator *single; /* N > 1: reads a prompt that all sequences begin with; NULL: not needed yet */
    int64_t sequences, vocabulary;
    int64_t context, length; /* tokens that fit into the states, 0: no limit; and tokens read */
    int64_t kept;            /* the states hold the last `kept` of these */
    int32_t *past;           /* (N, T): the tokens in the states; only with a limit */
    float *scores;           /* (N, V) */
    bool recurs;             /* there are states besides keys and values */
    void *spare;             /* reordering: a row of any state, and lists */
    glia_move *moves;
    int64_t *same;
    int *readers;
};

/* ---- creation --------------------------------------------------------------------------------------- */

static bool has_group(const glia_graph *g, const char *group) {
    for (int i = 0; i < g->n_updates; i++) {
        if (!strcmp(g->updates[i].group, group)) return true;
    }
    return false;
}

static void lane_close(lane *l) {
    glia_session_free(l->session);
    glia_program_free(l->program);
    glia_graph_free(l->graph);
    *l = (lane){ 0 };
}

static glia_status lane_open(glia_generator *g, lane *l, int64_t steps, glia_error *error) {
    glia_incremental_opts opts = { .sequences = g->sequences, .steps = steps, .last = true };
    *l = (lane){ .steps = steps };
    l->graph = glia_incremental(g->input->graph, g->input, g->output, opts, error);
    if (!l->graph) return GLIA_E_UNSUPPORTED;
    if (glia_store_add(g->store, l->graph, 0, error) != GLIA_OK) return GLIA_E_NOMEM;
    glia_compile_opts how = { .outputs = &l->graph->outputs[0].node, .n_outputs = 1, .frozen = steps == 1 };
    if (has_group(l->graph, "generate")) how.updates = "generate"; /* a model without states makes no updates */
    l->program = glia_compile(l->graph, g->backend, how, error);
    l->session = l->program ? glia_session_create(l->program, g->store, error) : NULL;
    if (!l->session) return GLIA_E_NOMEM;
    l->tokens = glia_session_input(l->session, "tokens", NULL, NULL);
    l->position = glia_session_input(l->session, "position", NULL, NULL);
    return GLIA_OK;
}

/* What a generator needs of a model. */
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

/* A state that has what was at each position, (N, T, ...), as attention's keys and values do. */
static bool is_by_position(const glia_array *a) {
    const char *what = strrchr(a->name, '/');
    return what && (!strcmp(what, "/keys") || !strcmp(what, "/values"));
}

static size_t row_bytes(const glia_generator *g, const glia_array *a) {
    return (size_t)(glia_shape_count(a->shape) / g->sequences) * glia_dtype_size(a->dtype);
}

/* Memory for glia_generator_reorder(); false: there is none. */
static bool prepare_moves(glia_generator *g) {
    const size_t n = (size_t)g->sequences;
    size_t most = (size_t)g->context * sizeof *g->past;
    for (int i = 0; i < glia_store_count(g->store); i++) {
        const glia_array a = glia_store_entry(g->store, i);
        g->recurs = g->recurs || !is_by_position(&a);
        most = GLIA_MAX(most, row_bytes(g, &a));
    }
    g->spare = malloc(most + 1);
    g->moves = calloc(2 * n, sizeof *g->moves);
    g->same = calloc(n, sizeof *g->same);
    g->readers = calloc(n, sizeof *g->readers);
    return g->spare && g->moves && g->same && g->readers;
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
    g->input = input;
    g->output = output;
    g->model = model;
    g->values = model->store;
    glia_store_same(g->values, &g->writes);
    status = lane_open(g, &g->one, 1, error);
    if (status != GLIA_OK) return status;
    if (g->one.position) g->context = input->shape.dim[1];
    g->scores = calloc((size_t)(g->sequences * g->vocabulary), sizeof *g->scores);
    g->past = calloc((size_t)(g->sequences * g->context) + 1, sizeof *g->past);
    return g->scores && g->past && prepare_moves(g) ? GLIA_OK : glia_fail_nomem(error);
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
    glia_generator_free(g->single);
    lane_close(&g->one);
    for (int i = 0; i < LANES; i++) lane_close(&g->several[i]);
    glia_store_free(g->store);
    if (g->owns_backend) glia_backend_close(g->backend);
    free(g->past);
    free(g->scores);
    free(g->spare);
    free(g->moves);
    free(g->same);
    free(g->readers);
    free(g);
}

int64_t glia_generator_vocabulary(const glia_generator *g) { return g ? g->vocabulary : 0; }
int64_t glia_generator_context(const glia_generator *g) { return g ? g->context : 0; }
int64_t glia_generator_length(const glia_generator *g) { return g ? g->length : 0; }

/* ---- states ------------------------------------------------------------------------------------------- */

/* Keys and values stay: no query attends to positions that have not been read since. */
void glia_generator_reset(glia_generator *g) {
    if (!g) return;
    for (int i = 0; i < glia_store_count(g->store); i++) {
        const glia_array a = glia_store_entry(g->store, i);
        if (!a.parameter && !is_by_position(&a)) memset(a.data, 0, glia_shape_bytes(a.shape, a.dtype));
    }
    if (!glia_store_same(g->values, &g->writes)) glia_session_outdate(g->one.session);
    g->length = g->kept = 0;
}

/* The number of leading tokens that two sequences have in common. Their keys and values there are equal as well, unless
 * other states tell of tokens before those. */
static int64_t common(const glia_generator *g, int a, int b) {
    const int32_t *x = g->past + a * g->context, *y = g->past + b * g->context;
    int64_t n = 0;
    while (!g->recurs && n < g->kept && x[n] == y[n]) n++;
    return n;
}

glia_status glia_generator_reorder(glia_generator *g, const int *parents, glia_error *error) {
    if (!g) return glia_fail_null(error, "generator");
    if (!parents) return glia_fail_null(error, "parents");
    const int n = (int)g->sequences;
    for (int i = 0; i < n; i++) {
        if (parents[i] < 0 || parents[i] >= n)
            return glia_fail(error, GLIA_E_ARGUMENT, "generation: there is no sequence %d", parents[i]);
    }
    for (int i = 0; i < n; i++) g->same[i] = g->context ? common(g, i, parents[i]) : 0;
    const int n_moves = glia_moves_plan(parents, g->same, n, g->moves, g->readers);
    for (int i = 0; i < glia_store_count(g->store); i++) {
        const glia_array a = glia_store_entry(g->store, i);
        const size_t row = row_bytes(g, &a);
        if (a.parameter) continue;
        if (is_by_position(&a))
            glia_moves_make(g->moves, n_moves, a.data, a.shape.dim[1], row / (size_t)a.shape.dim[1], g->kept, g->spare);
        else
            glia_moves_make(g->moves, n_moves, a.data, 1, row, 1, g->spare);
    }
    if (g->context) glia_moves_make(g->moves, n_moves, g->past, g->context, sizeof *g->past, g->kept, g->spare);
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
    memcpy(g->scores, scores, (size_t)(g->sequences * g->vocabulary) * sizeof *scores);
    for (int64_t i = 0; i < g->sequences; i++) {
        for (int64_t t = 0; t < l->steps && g->context; t++)
            g->past[i * g->context + g->kept + t] = tokens[i * stride + t];
    }
    g->kept += l->steps;
    return GLIA_OK;
}

/* The lane for so many tokens, new or from before; NULL: see error. */
static lane *lane_for(glia_generator *g, int64_t steps, glia_error *error) {
    lane *oldest = &g->several[0];
    for (int i = 0; i < LANES; i++) {
        if (g->several[i].steps == steps) return &g->several[i];
        if (g->several[i].used < oldest->used) oldest = &g->several[i];
    }
    lane_close(oldest);
    if (lane_open(g, oldest, steps, error) == GLIA_OK) return oldest;
    lane_close(oldest);
    return NULL;
}

/* n tokens that fit. */
static glia_status read_some(glia_generator *g, const int32_t *tokens, int64_t n, int64_t stride, glia_error *error) {
    glia_error local = { .status = GLIA_OK };
    error = error ? error : &local;
    for (int64_t done = 0, some; done < n; done += some) {
        some = n - done < FEW ? 1 : GLIA_MIN(n - done, (int64_t)PROMPT);
        lane *l = some == 1 ? &g->one : lane_for(g, some, error);
        if (!l) return error->status != GLIA_OK ? error->status : GLIA_E_NOMEM;
        l->used = ++g->runs;
        const glia_status status = run(g, l, tokens + done, stride, error);
        if (status != GLIA_OK) return status;
    }
    return GLIA_OK;
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

/* Do all sequences begin, and with the same n tokens? */
static bool all_begin_alike(const glia_generator *g, const int32_t *tokens, int64_t n) {
    if (g->sequences == 1 || g->length > 0 || n < FEW) return false;
    for (int64_t i = 1; i < g->sequences; i++) {
        if (memcmp(tokens, tokens + i * n, (size_t)n * sizeof *tokens)) return false;
    }
    return true;
}

/* Every sequence becomes what the single one is. */
static void spread(glia_generator *g, const glia_generator *single) {
    for (int i = 0; i < glia_store_count(g->store); i++) {
        const glia_array a = glia_store_entry(g->store, i);
        glia_array from;
        if (a.parameter || !glia_store_look(single->store, a.name, &from)) continue;
        size_t row = row_bytes(g, &a), bytes = row;
        if (is_by_position(&a)) bytes = row / (size_t)a.shape.dim[1] * (size_t)single->kept;
        for (int64_t k = 0; k < g->sequences; k++) memcpy((char *)a.data + (size_t)k * row, from.data, bytes);
    }
    for (int64_t k = 0; k < g->sequences; k++) {
        memcpy(g->scores + k * g->vocabulary, single->scores, (size_t)g->vocabulary * sizeof *g->scores);
        memcpy(g->past + k * g->context, single->past, (size_t)g->context * sizeof *g->past);
    }
    g->kept = single->kept;
}

static glia_status read_once(glia_generator *g, const int32_t *tokens, int64_t n, glia_error *error) {
    if (!g->single) g->single = glia_generator_create(g->model, (glia_generator_opts){ .backend = g->backend }, error);
    if (!g->single) return GLIA_E_NOMEM;
    glia_generator_reset(g->single);
    const glia_status status = glia_generator_read(g->single, tokens, n, NULL, error);
    if (status == GLIA_OK) spread(g, g->single);
    return status;
}

glia_status glia_generator_read(glia_generator *g, const int32_t *tokens, int64_t n, const float **scores,
                                glia_error *error) {
    if (!g) return glia_fail_null(error, "generator");
    if (n > 0 && !tokens) return glia_fail_null(error, "tokens");
    if (n < 1) return glia_fail(error, GLIA_E_ARGUMENT, "generation: needs at least one token");
    glia_status status = GLIA_OK;
    const bool once = all_begin_alike(g, tokens, n);
    if (once) status = read_once(g, tokens, n, error);
    for (int64_t done = once ? n : 0, some; status == GLIA_OK && done < n; done += some) {
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
