/* affine.c - values of many coalitions of a net that begins with an affine layer, such as a dense one.
 *
 *     input ──► affine ──► h ──► rest of the net ──► score
 *
 * For the background b, coalition S and d_p(b) = h(b with feature p from x) - h(b)
 *
 *     h(S, b) = h(b) + sum over p in S of d_p(b),
 *
 * so nothing in front of h is computed again for a coalition. Features are taken in sets of BITS, and the sums of all
 * subsets of a set are a table: a row of h is the sum of one row from each set's table ("four Russians", Arlazarov et
 * al. 1970). That sum is a sparse product in the graph, the rest of the net follows it in the same program.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/program/program.h"
#include "core/tensor/tensor.h"
#include "deploy/explain/explain.h"

enum {
    BITS = 5,             /* features in a set */
    SUBSETS = 1 << BITS,  /* of a set */
    TABLE_MOST = 1 << 17, /* numbers of the tables, which should stay in cache */
    STEPS_MOST = 1 << 24, /* numbers of h and d for the whole background */
    ROWS_MOST = 768,      /* of a run: they stay in cache */
    INPUT_ROWS = 1024,    /* the same of the part in front of h, a power of two */
    LANES = 4
};

static const char table_name[] = "explain/table", index_name[] = "explain/index", offset_name[] = "explain/offsets";

/* A program for a number of rows, and its inputs. */
typedef struct lane {
    int64_t rows;
    glia_program *program;
    glia_session *session;
    float *table;
    int32_t *index;
} lane;

struct glia_affine {
    glia_tensor layer, score; /* h; outputs as a function of the tables */
    glia_function *before;    /* h of the input */
    int64_t width, sets;
    lane lanes[LANES];
    int next; /* lane to be replaced */
    float *h; /* (players + 1, backgrounds, width): h of the background, and what each player adds to it */
    int64_t room;
    double *y; /* (outputs) */
};

/* ---- finding the layer ------------------------------------------------------------------------ */

/* Which live nodes depend on the input; what depends on `cut` alone does not count (NULL: none). */
static void find_dependent(const glia_node *y, const glia_node *input, const glia_node *cut, bool *depends) {
    for (int id = 0; id <= y->id; id++) {
        const glia_node *n = y->graph->nodes[id];
        depends[id] = n == input;
        for (int i = 0; i < n->n_in; i++) depends[id] |= depends[n->in[i]->id];
        if (n == cut) depends[id] = false;
    }
}

static void find_affine(const glia_node *y, const glia_node *input, const bool *depends, bool *affine) {
    for (int id = 0; id <= y->id; id++) {
        const glia_node *n = y->graph->nodes[id];
        bool of_inputs[GLIA_INPUTS_MOST], all = n == input || (depends[id] && n->n_in <= GLIA_INPUTS_MOST);
        for (int i = 0; all && i < n->n_in; i++) {
            of_inputs[i] = depends[n->in[i]->id];
            all = !of_inputs[i] || affine[n->in[i]->id];
        }
        affine[id] = all && n->dtype == GLIA_F32 && (n == input || glia_is_linear(n, of_inputs));
    }
}

static int64_t width_of(const glia_node *n) {
    if (n->shape.rank < 1 || n->shape.dim[0] != GLIA_BATCH) return 0;
    const int64_t width = glia_shape_count(n->shape) / GLIA_BATCH;
    return width > 0 ? width : 0;
}

/* The last affine node through which the input reaches y; NULL: only the input itself, or out of memory. */
static glia_tensor last_affine(const glia_node *y, const glia_node *input, bool *depends, bool *affine) {
    find_dependent(y, input, NULL, depends);
    find_affine(y, input, depends, affine);
    for (int id = y->id; id > input->id; id--) {
        glia_tensor n = y->graph->nodes[id];
        if (!affine[id] || !width_of(n)) continue;
        find_dependent(y, input, n, depends);
        if (!depends[y->id]) return n;
    }
    return NULL;
}

static bool is_worth_it(const glia_explainer *e, const glia_affine *a, int features) {
    if (a->width * a->sets * SUBSETS > TABLE_MOST) return false;
    return a->width * (features + 1) <= STEPS_MOST / e->n_background;
}

/* ---- building --------------------------------------------------------------------------------- */

static glia_status build(glia_explainer *e, glia_affine *a, glia_tensor y, glia_error *error) {
    glia_graph *g = glia_model_graph(e->model);
    const int64_t entries = GLIA_TIMES(a->sets, GLIA_BATCH);
    glia_tensor table = glia_input(g, table_name, GLIA_F32, GLIA_SHAPE(a->sets * SUBSETS, a->width));
    glia_tensor index = glia_input(g, index_name, GLIA_I32, GLIA_SHAPE(entries));
    glia_tensor offsets = glia_input(g, offset_name, GLIA_I32, GLIA_SHAPE(GLIA_PLUS_ONE(GLIA_BATCH)));
    glia_tensor ones = glia_broadcast(glia_scalar(g, GLIA_F32, 1), GLIA_SHAPE(entries));
    glia_tensor h = glia_reshape(glia_csr_matmul(ones, index, offsets, table), a->layer->shape);
    glia_substitute(&y, 1, &a->layer, &h, 1, &a->score);
    glia_status status = glia_graph_check(g, error);
    if (status != GLIA_OK) return status;
    const glia_function_opts opts = { .outputs = &a->layer, .n_outputs = 1, .frozen = true, .changing = "" };
    glia_error reason = { 0 };
    a->before = glia_function_create(g, e->backend, glia_model_store(e->model), opts, &reason);
    if (!a->before) return glia_fail(error, reason.status, "%s", reason.message);
    a->y = malloc((size_t)e->outputs * sizeof *a->y);
    return a->y ? GLIA_OK : glia_fail_nomem(error);
}

glia_status glia_affine_begin(glia_explainer *e, int features, glia_affine **made, glia_error *error) {
    glia_tensor y = glia_model_output_at(e->model, 0, NULL);
    *made = NULL;
    if (e->input->dtype != GLIA_F32) return GLIA_OK;
    bool *depends = malloc((size_t)y->id + 1), *affine = malloc((size_t)y->id + 1);
    glia_affine *a = calloc(1, sizeof *a);
    glia_status status = depends && affine && a ? GLIA_OK : glia_fail_nomem(error);
    if (status == GLIA_OK) a->layer = last_affine(y, e->input, depends, affine);
    free(depends);
    free(affine);
    if (a && a->layer) {
        a->width = width_of(a->layer);
        a->sets = (features + BITS - 1) / BITS;
        if (is_worth_it(e, a, features)) {
            *made = a;
            return build(e, a, y, error);
        }
    }
    free(a);
    return status;
}

static void lane_free(lane *l) {
    glia_session_free(l->session);
    glia_program_free(l->program);
    *l = (lane){ 0 };
}

void glia_affine_free(glia_affine *a) {
    if (!a) return;
    for (int i = 0; i < LANES; i++) lane_free(&a->lanes[i]);
    glia_function_free(a->before);
    free(a->h);
    free(a->y);
    free(a);
}

static bool lane_begin(lane *l, const glia_explainer *e, int64_t rows, glia_error *error) {
    const glia_affine *a = e->affine;
    const glia_compile_opts opts = { .outputs = &a->score, .n_outputs = 1, .batch = rows, .frozen = true };
    l->program = glia_compile(glia_model_graph(e->model), e->backend, opts, error);
    l->session = l->program ? glia_session_create(l->program, glia_model_store(e->model), error) : NULL;
    if (!l->session) return false;
    glia_array at;
    l->table = glia_session_input(l->session, table_name, &at, error);
    l->index = glia_session_input(l->session, index_name, &at, error);
    int32_t *offset = glia_session_input(l->session, offset_name, &at, error);
    if (!l->table || !l->index || !offset) return false;
    for (int64_t i = 0; i <= rows; i++) offset[i] = (int32_t)(i * a->sets);
    l->rows = rows;
    return true;
}

static glia_status find_lane(glia_explainer *e, int64_t rows, const lane **found, glia_error *error) {
    glia_affine *a = e->affine;
    for (int i = 0; i < LANES; i++) {
        *found = &a->lanes[i];
        if (a->lanes[i].rows == rows) return GLIA_OK;
    }
    lane *l = &a->lanes[a->next];
    a->next = (a->next + 1) % LANES;
    *found = l;
    lane_free(l);
    glia_error reason = { 0 };
    return lane_begin(l, e, rows, &reason) ? GLIA_OK : glia_fail(error, reason.status, "%s", reason.message);
}

/* ---- a sample --------------------------------------------------------------------------------- */

glia_status glia_affine_sample(glia_game *g, glia_error *error) {
    glia_affine *a = g->e->affine;
    const int64_t n = (g->players + 1) * g->e->n_background, chunk = GLIA_MIN(g->capacity, INPUT_ROWS);
    const size_t numbers = (size_t)(n * a->width);
    if (n > a->room) {
        free(a->h);
        a->h = malloc(numbers * sizeof *a->h);
        a->room = a->h ? n : 0;
    }
    uint8_t *members = calloc((size_t)(g->players + 1) * (size_t)g->players + 1, 1);
    glia_status status = a->h && members ? GLIA_OK : glia_fail_nomem(error);
    for (int p = 0; members && p < g->players; p++) members[(p + 1) * g->players + p] = 1;
    glia_array in = { .name = glia_leaf_of(g->e->input)->name, .dtype = GLIA_F32, .shape = g->e->input->shape }, out;
    for (int64_t first = 0; first < n && status == GLIA_OK; first += chunk) {
        const int64_t count = GLIA_MIN(chunk, n - first), padded = GLIA_MIN(glia_point_padded(count), chunk);
        glia_game_fill(g, members, first, count);
        in.data = g->rows;
        in.shape.dim[0] = padded;
        memset(g->rows + count * g->e->size, 0, (size_t)((padded - count) * g->e->size) * sizeof *g->rows);
        status = glia_function_call(a->before, &in, 1, &out, error);
        if (status != GLIA_OK) break;
        memcpy(a->h + first * a->width, out.data, (size_t)(count * a->width) * sizeof *a->h);
    }
    const int64_t background = g->e->n_background * a->width;
    for (int p = 1; p <= g->players && status == GLIA_OK; p++) {
        for (int64_t i = 0; i < background; i++) a->h[p * background + i] -= a->h[i];
    }
    g->e->evaluations += n;
    free(members);
    return status;
}

/* ---- coalitions ------------------------------------------------------------------------------- */

typedef float four __attribute__((vector_size(16), aligned(4), may_alias));

static void add(const float *a, const float *b, int64_t n, float *to) {
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) *(four *)(to + i) = *(const four *)(a + i) + *(const four *)(b + i);
    for (; i < n; i++) to[i] = a[i] + b[i];
}

/* The tables for background b: the first one includes h(b). */
static void fill_tables(const glia_game *g, int64_t b, float *table) {
    const glia_affine *a = g->e->affine;
    const int64_t width = a->width, rows = g->e->n_background;
    for (int64_t set = 0; set < a->sets; set++, table += SUBSETS * width) {
        const int bits = (int)GLIA_MAX(GLIA_MIN(BITS, g->players - set * BITS), 0);
        memset(table, 0, (size_t)width * sizeof *table);
        if (set == 0) memcpy(table, a->h + b * width, (size_t)width * sizeof *table);
        for (int k = 1; k < 1 << bits; k++) {
            const int64_t player = set * BITS + __builtin_ctz((unsigned)k);
            add(table + (k & (k - 1)) * width, a->h + ((player + 1) * rows + b) * width, width, table + k * width);
        }
    }
}

/* Which row of each set's table a coalition takes: index (n, sets). */
static void index_coalitions(const glia_game *g, const uint8_t *members, int64_t n, int32_t *index) {
    const int64_t sets = g->e->affine->sets;
    for (int64_t c = 0; c < n; c++, members += g->players, index += sets) {
        for (int64_t set = 0; set < sets; set++) index[set] = (int32_t)set * SUBSETS;
        for (int p = 0; p < g->players; p++) index[p / BITS] += (members[p] != 0) << p % BITS;
    }
}

/* Adds the scores of a run, divided by the number of backgrounds. */
static glia_status add_scores(const glia_game *g, const lane *l, int64_t count, double *values, glia_error *error) {
    const glia_explainer *e = g->e;
    const float *y = glia_session_output(l->session, 0).data;
    for (int64_t i = 0; i < count; i++, y += e->outputs) {
        double score = (double)y[g->output];
        if (e->score != GLIA_SCORE_OUTPUT || !isfinite(score)) {
            for (int k = 0; k < e->outputs; k++) e->affine->y[k] = (double)y[k];
            glia_status status = glia_explainer_score(e, e->affine->y, g->output, &score, error);
            if (status != GLIA_OK) return status;
        }
        values[i] += score / (double)e->n_background;
    }
    return GLIA_OK;
}

/* Runs of about equal size, of a multiple of STEP rows, so that few rows are computed in vain. */
static int64_t rows_of(int64_t n) {
    enum { STEP = 12 }; /* rows of a tile of products */
    const int64_t runs = (n + ROWS_MOST - 1) / ROWS_MOST, rows = (n + runs - 1) / runs;
    return (rows + STEP - 1) / STEP * STEP;
}

glia_status glia_affine_values(glia_game *g, const uint8_t *members, int64_t n, double *values, glia_error *error) {
    const int64_t sets = g->e->affine->sets, rows = rows_of(n);
    int32_t *index = calloc((size_t)((n + rows) * sets), sizeof *index); /* rows of padding at the end */
    const lane *l = NULL;
    glia_status status = index ? find_lane(g->e, rows, &l, error) : glia_fail_nomem(error);
    if (status == GLIA_OK) index_coalitions(g, members, n, index);
    for (int64_t b = 0; b < g->e->n_background && status == GLIA_OK; b++) {
        fill_tables(g, b, l->table);
        for (int64_t first = 0; first < n && status == GLIA_OK; first += rows) {
            memcpy(l->index, index + first * sets, (size_t)(rows * sets) * sizeof *index);
            status = glia_session_run(l->session, error);
            const int64_t count = GLIA_MIN(rows, n - first);
            if (status == GLIA_OK) status = add_scores(g, l, count, values + first, error);
        }
    }
    g->e->evaluations += n * g->e->n_background;
    free(index);
    return status;
}
