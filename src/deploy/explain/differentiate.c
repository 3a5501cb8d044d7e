/* differentiate.c - a model's score and its gradient at given points.
 *
 *     input ──► ... ──► layer      at ──► rest of the net ──► outputs ──► sum(outputs * select) = score
 *
 * `at` is the input itself, or an input that stands in for a layer's result, by substitution: token ids have no
 * gradient, their embeddings do. Samples of a batch are independent in inference, so the gradient of the sum of all
 * scores has the gradient of each in its rows.
 */
#include <stdlib.h>
#include <string.h>

#include "core/tensor/tensor.h"
#include "deploy/explain/explain.h"

static const char at_name[] = "explain/at", select_name[] = "explain/select";

/* ---- building --------------------------------------------------------------------------------- */

/* The first table lookup with these ids; NULL: none. */
static glia_tensor first_lookup(const glia_graph *g, glia_tensor ids) {
    for (int i = 0; i < g->n_nodes; i++) {
        const glia_node *n = g->nodes[i];
        if (strcmp(n->op->name, "gather") == 0 && n->in[1] == ids && n->dtype == GLIA_F32) return g->nodes[i];
    }
    return NULL;
}

static glia_status find_layer(glia_point *p, const char *name, glia_error *error) {
    if (name) {
        p->layer = glia_layer_output(p->graph, name);
        if (glia_is_bad(p->layer)) return glia_graph_check(p->graph, error);
    } else if (!glia_dtype_is_float(p->input->dtype)) {
        p->layer = first_lookup(p->graph, p->input);
        if (!p->layer) {
            return glia_fail(error, GLIA_E_UNSUPPORTED,
                             "explain: the input is integers and there is no embedding of them; name a layer");
        }
    }
    const glia_node *at = p->layer ? p->layer : p->input;
    if (at->dtype == GLIA_F32 && at->shape.rank > 0 && at->shape.dim[0] == GLIA_BATCH) return GLIA_OK;
    return glia_fail(error, GLIA_E_SHAPE, "explain: what is explained must be f32 (N, ...)");
}

bool *glia_live_of(const glia_node *y) {
    bool *live = calloc((size_t)y->id + 1, sizeof *live);
    if (live) live[y->id] = true;
    for (int id = y->id; live && id >= 0; id--) {
        const glia_node *n = y->graph->nodes[id];
        for (int i = 0; live[id] && i < n->n_in; i++) live[n->in[i]->id] = true;
    }
    return live;
}

/* Whether the score depends on the model's input besides `at`. */
static glia_status find_dependence(glia_point *p, glia_error *error) {
    bool *live = glia_live_of(p->score);
    if (!live) return glia_fail_nomem(error);
    p->reads_input = p->layer && live[p->input->id];
    free(live);
    return GLIA_OK;
}

static void build_score(const glia_explainer *e, glia_point *p, glia_tensor y) {
    glia_tensor flat = glia_reshape(y, GLIA_SHAPE(GLIA_BATCH, p->outputs));
    if (e->score == GLIA_SCORE_PROBABILITY) flat = glia_softmax(flat, 1);
    p->select = glia_input(p->graph, select_name, GLIA_F32, GLIA_SHAPE(GLIA_BATCH, p->outputs));
    p->score = glia_sum(glia_mul(flat, p->select), GLIA_SHAPE(1), false);
}

static glia_status allocate_rows(glia_explainer *e, glia_point *p, glia_error *error) {
    enum { NUMBERS = 1 << 19, MOST = 256 };
    p->rows = 1;
    while (p->rows < MOST && 2 * p->rows * GLIA_MAX(p->size, e->size) <= NUMBERS) p->rows *= 2;
    const size_t rows = (size_t)p->rows;
    p->at_rows = malloc(rows * (size_t)p->size * sizeof *p->at_rows);
    p->select_rows = malloc(rows * (size_t)p->outputs * sizeof *p->select_rows);
    p->input_rows = malloc(rows * (size_t)e->size * sizeof(int64_t));
    return p->at_rows && p->select_rows && p->input_rows ? GLIA_OK : glia_fail_nomem(error);
}

glia_status glia_point_begin(glia_explainer *e, const char *layer, glia_point *p, glia_error *error) {
    *p = (glia_point){ .graph = glia_model_graph(e->model), .input = e->input, .outputs = e->outputs };
    glia_tensor whole = glia_model_output_at(e->model, 0, NULL), y = whole;
    glia_status status = find_layer(p, layer, error);
    if (status != GLIA_OK) return status;
    p->at = p->input;
    if (p->layer) {
        p->at = glia_input(p->graph, at_name, GLIA_F32, p->layer->shape);
        glia_substitute(&whole, 1, &p->layer, &p->at, 1, &y);
    }
    build_score(e, p, y);
    status = glia_graph_check(p->graph, error);
    if (status != GLIA_OK) return status;
    p->shape = (glia_shape){ .rank = p->at->shape.rank - 1 };
    memcpy(p->shape.dim, p->at->shape.dim + 1, (size_t)p->shape.rank * sizeof *p->shape.dim);
    p->size = glia_shape_count(p->shape);
    if (p->size < 1) return glia_fail(error, GLIA_E_SHAPE, "explain: a layer of fixed size for each sample is needed");
    status = find_dependence(p, error);
    if (status == GLIA_OK) status = allocate_rows(e, p, error);
    if (status != GLIA_OK || !p->layer) return status;
    p->embed = glia_point_function(e, &p->layer, 1, error);
    return p->embed ? GLIA_OK : glia_graph_check(p->graph, error);
}

glia_function *glia_point_function(glia_explainer *e, const glia_tensor *outputs, int n, glia_error *error) {
    const glia_function_opts opts = { .outputs = outputs, .n_outputs = n };
    return glia_function_create(glia_model_graph(e->model), e->backend, glia_model_store(e->model), opts, error);
}

glia_status glia_point_compile(glia_explainer *e, glia_point *p, glia_error *error) {
    glia_tensor both[2] = { p->score, NULL };
    glia_grad(p->score, &p->at, 1, &both[1]);
    glia_error reason = { 0 };
    p->gradient = glia_point_function(e, both, 2, &reason);
    return p->gradient ? GLIA_OK : glia_fail(error, reason.status, "%s", reason.message);
}

void glia_point_end(glia_point *p) {
    glia_function_free(p->embed);
    glia_function_free(p->gradient);
    free(p->at_rows);
    free(p->select_rows);
    free(p->input_rows);
}

/* ---- calling ---------------------------------------------------------------------------------- */

void glia_point_fill(const glia_point *p, const float *x, int64_t count, void *to) {
    if (p->input->dtype == GLIA_F32) {
        memcpy(to, x, (size_t)count * sizeof *x);
    } else if (p->input->dtype == GLIA_I64) {
        for (int64_t i = 0; i < count; i++) ((int64_t *)to)[i] = (int64_t)x[i];
    } else {
        for (int64_t i = 0; i < count; i++) ((int32_t *)to)[i] = (int32_t)x[i];
    }
}

int64_t glia_point_padded(int64_t n) {
    int64_t padded = 1;
    while (padded < n) padded *= 2;
    return padded;
}

/* (rows, shape of x without its batch). */
static glia_array rows_of(glia_tensor x, int64_t rows, void *data) {
    glia_array a = { .name = glia_leaf_of(x)->name, .dtype = x->dtype, .shape = x->shape, .data = data };
    a.shape.dim[0] = rows;
    return a;
}

glia_status glia_point_embed(glia_explainer *e, glia_point *p, const float *x, int64_t n, float *at,
                             glia_error *error) {
    if (!p->layer) memcpy(at, x, (size_t)(n * p->size) * sizeof *at);
    for (int64_t i = 0; p->layer && i < n; i++) {
        glia_point_fill(p, x + i * e->size, e->size, p->input_rows);
        const glia_array in = rows_of(p->input, 1, p->input_rows);
        glia_array out;
        glia_status status = glia_function_call(p->embed, &in, 1, &out, error);
        if (status != GLIA_OK) return status;
        memcpy(at + i * p->size, out.data, (size_t)p->size * sizeof *at);
    }
    return GLIA_OK;
}

glia_status glia_point_call(glia_explainer *e, glia_point *p, glia_function *f, const float *x, const float *at,
                            int64_t n, int output, glia_array *more, int n_more, glia_array *outputs,
                            glia_error *error) {
    enum { MOST = 8 };
    const int64_t rows = glia_point_padded(n);
    glia_array in[MOST];
    int count = 0;
    memset(p->select_rows, 0, (size_t)(rows * p->outputs) * sizeof *p->select_rows);
    for (int64_t i = 0; i < rows; i++) {
        p->select_rows[i * p->outputs + output] = 1;
        memcpy(p->at_rows + i * p->size, at + GLIA_MIN(i, n - 1) * p->size, (size_t)p->size * sizeof *at);
    }
    in[count++] = rows_of(p->select, rows, p->select_rows);
    in[count++] = rows_of(p->at, rows, p->at_rows);
    const size_t wide = glia_dtype_size(p->input->dtype) * (size_t)e->size;
    for (int64_t i = 0; p->reads_input && i < rows; i++) {
        glia_point_fill(p, x, e->size, (char *)p->input_rows + (size_t)i * wide);
    }
    if (p->reads_input) in[count++] = rows_of(p->input, rows, p->input_rows);
    for (int i = 0; i < n_more && count < MOST; i++) in[count++] = more[i];
    e->evaluations += n;
    return glia_function_call(f, in, count, outputs, error);
}

glia_status glia_point_gradient(glia_explainer *e, glia_point *p, const float *x, const float *at, int64_t n,
                                int output, double *scores, float *gradients, glia_error *error) {
    for (int64_t first = 0; first < n; first += p->rows) {
        const int64_t count = GLIA_MIN(p->rows, n - first);
        glia_array out[2];
        glia_status status =
            glia_point_call(e, p, p->gradient, x, at + first * p->size, count, output, NULL, 0, out, error);
        if (status != GLIA_OK) return status;
        for (int64_t i = 0; scores && i < count; i++) scores[first + i] = (double)((const float *)out[0].data)[i];
        memcpy(gradients + first * p->size, out[1].data, (size_t)(count * p->size) * sizeof *gradients);
    }
    return GLIA_OK;
}

/* ---- attributions ----------------------------------------------------------------------------- */

glia_shape glia_point_values(const glia_point *p) {
    glia_shape s = p->shape;
    if (p->layer && s.rank > 1 && !glia_dtype_is_float(p->input->dtype)) s.rank--;
    return s;
}

void glia_point_add(const glia_point *p, const double *attributions, double *values) {
    const int64_t places = glia_shape_count(glia_point_values(p)), each = p->size / places;
    for (int64_t i = 0; i < p->size; i++) values[i / each] += attributions[i];
}
