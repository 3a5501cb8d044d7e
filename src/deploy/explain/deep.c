/* deep.c - Deep SHAP: DeepLIFT's rescale rule (Shrikumar et al. 2017, section 3.5.2), averaged over the background.
 *
 * The net is computed for the sample and, as a twin, for a reference. A nonlinearity y = f(a) passes contributions back
 * as if it were linear with the slope of the difference,
 *
 *     dy/da := (y - y') / (a - a'),   f'(a) where a is close to a'
 *
 * and a maximum gives what it exceeds to the places of the two maxima, as in the packages shap and Captum:
 *
 *     dy/da := (P^T (max(y, y') - y') + P'^T (y - max(y, y'))) / (a - a'),   P: which element is the maximum
 *
 * Both are custom gradients in a copy of the net, so an ordinary gradient of the copy has the multipliers. Values times
 * (x - reference) sum to the difference of scores. A product of two values that both depend on the sample has no such
 * rule here, and is refused by name.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/tensor/tensor.h"
#include "deploy/explain/explain.h"

static const char reference_name[] = "explain/reference";

typedef struct deep {
    const char *layer;
    glia_point point;
    glia_tensor reference;
    glia_function *function; /* multipliers, score, score of the reference */
} deep;

static const glia_setting settings[] = {
    GLIA_LAYER_SETTING(deep),
};

/* ---- expansion -------------------------------------------------------------------------------- */

static bool stays(const glia_node *n) {
    return !(n->op->flags & GLIA_OP_COMPOSITE) || (n->op->flags & GLIA_OP_ELEMENTWISE && n->n_in == 1);
}

/* Composites become what they are made of, except for elementwise ones of one input. One level: true if there was one.
 * */
static bool expand_once(glia_tensor *y, glia_tensor *made, const bool *live) {
    glia_graph *g = (*y)->graph;
    const int last = (*y)->id;
    glia_tensor in[GLIA_INPUTS_MOST];
    bool changed = false;
    for (int id = 0; id <= last && g->error.status == GLIA_OK; id++) {
        const glia_node *n = g->nodes[id];
        made[id] = g->nodes[id];
        if (!live[id] || n->n_in > GLIA_INPUTS_MOST) continue;
        bool moved = false;
        for (int i = 0; i < n->n_in; i++) in[i] = made[n->in[i]->id], moved |= in[i] != n->in[i];
        if (!stays(n)) {
            made[id] = n->op->expand(n, in, GLIA_INFER);
            changed = true;
        } else if (moved) {
            made[id] = glia_node_copy(g, n, in, NULL);
        }
    }
    *y = made[last];
    return changed && g->error.status == GLIA_OK;
}

static glia_status expand(glia_tensor *y, glia_error *error) {
    glia_graph *g = (*y)->graph;
    for (bool more = true; more;) {
        glia_tensor *made = malloc((size_t)g->n_nodes * sizeof(glia_tensor));
        bool *live = glia_live_of(*y);
        const bool memory = made && live;
        more = memory && expand_once(y, made, live);
        free(made);
        free(live);
        if (!memory) return glia_fail_nomem(error);
    }
    return glia_graph_check(g, error);
}

/* ---- rules ------------------------------------------------------------------------------------ */

/* What a node of the net is: for the reference, and with the rules. NULL: it does not depend on `at`. */
typedef struct twin {
    glia_tensor reference, ruled;
} twin;

static const char *const maxima[] = { "max_pool", "max", NULL };

/* The one input of a node that depends on `at`, counting equal ones once; -1: several. */
static int only_input(const glia_node *n, const twin *twins) {
    int found = -1;
    for (int i = 0; i < n->n_in; i++) {
        if (!twins[n->in[i]->id].ruled) continue;
        if (found >= 0 && n->in[found] != n->in[i]) return -1;
        found = found < 0 ? i : found;
    }
    return found;
}

static glia_tensor far_from_zero(glia_tensor d) { return glia_greater(glia_abs(d), glia_like(d, 1e-6)); }

static glia_tensor quotient(glia_tensor above, glia_tensor below, glia_tensor otherwise) {
    glia_tensor far = far_from_zero(below);
    return glia_select(far, glia_div(above, glia_select(far, below, glia_like(below, 1))), otherwise);
}

/* y = f(a), elementwise. */
static glia_tensor rescale(glia_tensor y, glia_tensor a, const twin *of_a, glia_tensor y_reference) {
    glia_tensor slope;
    glia_grad(y, &a, 1, &slope);
    slope = quotient(glia_sub(y, y_reference), glia_sub(a, of_a->reference), slope);
    return glia_custom_gradient(y, of_a->ruled, slope);
}

static glia_tensor share_maximum(glia_tensor y, glia_tensor a, const twin *of_a, glia_tensor y_reference) {
    glia_graph *g = y->graph;
    glia_tensor delta = glia_sub(a, of_a->reference), one = glia_like(a, 1);
    glia_tensor inverse = quotient(one, delta, glia_like(a, 0));
    glia_tensor here = glia_custom_gradient(a, of_a->ruled, inverse);
    glia_tensor there = glia_custom_gradient(of_a->reference, of_a->ruled, inverse);
    glia_tensor most = glia_maximum(y, y_reference);
    glia_tensor gain = glia_mul(glia_node_copy(g, y, &here, NULL), glia_stop_gradient(glia_sub(most, y_reference)));
    glia_tensor loss = glia_mul(glia_node_copy(g, y, &there, NULL), glia_stop_gradient(glia_sub(y, most)));
    return glia_custom_gradient(y, glia_add(gain, loss), glia_like(y, 1));
}

static glia_tensor refuse(const glia_node *n) {
    return glia_graph_fail(n->graph, GLIA_E_UNSUPPORTED,
                           "deep-shap has no rule for %s of layer '%s', of whose inputs several depend on the sample; "
                           "gradient-shap takes any net, and logits are better explained than a softmax",
                           n->op->name, n->label ? n->label : "");
}

static twin follow(glia_tensor n, const twin *twins) {
    twin t;
    glia_tensor in[GLIA_INPUTS_MOST];
    bool depends[GLIA_INPUTS_MOST];
    for (int i = 0; i < n->n_in; i++) {
        const twin *of = &twins[n->in[i]->id];
        depends[i] = of->ruled != NULL;
        in[i] = depends[i] ? of->reference : n->in[i];
    }
    t.reference = glia_node_copy(n->graph, n, in, NULL);
    for (int i = 0; i < n->n_in; i++) {
        if (depends[i]) in[i] = twins[n->in[i]->id].ruled;
    }
    const int only = only_input(n, twins);
    const bool elementwise = n->op->flags & GLIA_OP_ELEMENTWISE;
    if (n->dtype != GLIA_F32 || glia_is_linear(n, depends))
        t.ruled = glia_node_copy(n->graph, n, in, NULL);
    else if (only >= 0 && elementwise)
        t.ruled = rescale(n, n->in[only], &twins[n->in[only]->id], t.reference);
    else if (only >= 0 && glia_is_named(n, maxima))
        t.ruled = share_maximum(n, n->in[only], &twins[n->in[only]->id], t.reference);
    else
        t.ruled = refuse(n);
    return t;
}

/* The score with the rules, and of the reference. */
static glia_status apply_rules(deep *m, glia_tensor y, glia_tensor outputs[3], glia_error *error) {
    glia_graph *g = m->point.graph;
    const int last = y->id, at = m->point.at->id;
    twin *twins = calloc((size_t)last + 1, sizeof *twins);
    bool *live = glia_live_of(y);
    if (!twins || !live) {
        free(twins);
        free(live);
        return glia_fail_nomem(error);
    }
    twins[at] = (twin){ .reference = m->reference, .ruled = m->point.at };
    for (int id = at + 1; id <= last && g->error.status == GLIA_OK; id++) {
        bool any = false;
        for (int i = 0; i < g->nodes[id]->n_in; i++) any |= twins[g->nodes[id]->in[i]->id].ruled != NULL;
        if (!any || !live[id]) continue;
        const bool few = g->nodes[id]->n_in <= GLIA_INPUTS_MOST;
        twins[id] = few ? follow(g->nodes[id], twins) : (twin){ .ruled = refuse(g->nodes[id]) };
    }
    const twin t = twins[last];
    free(twins);
    free(live);
    if (g->error.status == GLIA_OK && !t.ruled) {
        return glia_fail(error, GLIA_E_ARGUMENT, "explain: the output does not depend on the input");
    }
    outputs[1] = y;
    outputs[2] = t.reference;
    if (g->error.status == GLIA_OK) glia_grad(t.ruled, &m->point.at, 1, &outputs[0]);
    return glia_graph_check(g, error);
}

static glia_status begin(glia_explainer *e, glia_error *error) {
    deep *m = e->memory;
    glia_point *p = &m->point;
    glia_status status = glia_point_begin(e, m->layer, p, error);
    if (status != GLIA_OK) return status;
    m->reference = glia_input(p->graph, reference_name, GLIA_F32, p->at->shape);
    glia_tensor outputs[3], y = p->score;
    status = expand(&y, error);
    if (status == GLIA_OK) status = apply_rules(m, y, outputs, error);
    if (status != GLIA_OK) return status;
    glia_error reason = { 0 };
    m->function = glia_point_function(e, outputs, 3, &reason);
    return m->function ? GLIA_OK : glia_fail(error, reason.status, "%s", reason.message);
}

/* ---- explaining ------------------------------------------------------------------------------- */

/* Adds the contributions relative to n references, of which `pad` is a copy padded to the rows of the call. */
static glia_status add_references(glia_explainer *e, const float *x, const float *at, const float *refs, int64_t n,
                                  float *pad, int output, double *values, glia_explanation *out, glia_error *error) {
    deep *m = e->memory;
    glia_point *p = &m->point;
    const int64_t rows = glia_point_padded(n), size = p->size;
    for (int64_t i = 0; i < rows; i++) {
        memcpy(pad + i * size, refs + GLIA_MIN(i, n - 1) * size, (size_t)size * sizeof *pad);
    }
    glia_array more = { .name = reference_name, .shape = p->at->shape, .data = pad }, results[3];
    more.shape.dim[0] = rows;
    glia_status status = glia_point_call(e, p, m->function, x, at, n, output, &more, 1, results, error);
    if (status != GLIA_OK) return status;
    const float *multipliers = results[0].data, *base = results[2].data;
    for (int64_t k = 0; k < n; k++) {
        for (int64_t i = 0; i < size; i++) {
            const double delta = (double)at[i] - (double)refs[k * size + i];
            values[i] += delta * (double)multipliers[k * size + i] / (double)e->n_background;
        }
        out->base_value += (double)base[k] / (double)e->n_background;
    }
    out->output_value = (double)*(const float *)results[1].data;
    return GLIA_OK;
}

static glia_status run(glia_explainer *e, const float *x, int output, glia_explanation *out, glia_error *error) {
    deep *m = e->memory;
    glia_point *p = &m->point;
    const size_t size = (size_t)p->size, n = (size_t)e->n_background;
    float *at = malloc((size_t)p->rows * size * sizeof *at), *refs = malloc(n * size * sizeof *refs);
    float *pad = malloc((size_t)p->rows * size * sizeof *pad);
    double *values = calloc(size, sizeof *values);
    glia_status status = at && refs && pad && values ? glia_explanation_start(out, glia_point_values(p), false, error)
                                                     : glia_fail_nomem(error);
    if (status == GLIA_OK) status = glia_point_embed(e, p, x, 1, at, error);
    if (status == GLIA_OK) status = glia_point_embed(e, p, e->background, e->n_background, refs, error);
    for (int64_t i = 1; status == GLIA_OK && i < p->rows; i++) memcpy(at + i * p->size, at, size * sizeof *at);
    if (status == GLIA_OK) out->base_value = 0;
    for (int64_t k = 0; k < e->n_background && status == GLIA_OK; k += p->rows) {
        const int64_t count = GLIA_MIN(p->rows, e->n_background - k);
        status = add_references(e, x, at, refs + k * p->size, count, pad, output, values, out, error);
    }
    if (status == GLIA_OK) {
        glia_point_add(p, values, out->values);
        glia_explanation_finish(out);
    }
    free(at);
    free(refs);
    free(pad);
    free(values);
    return status;
}

static void end(glia_explainer *e) {
    deep *m = e->memory;
    glia_function_free(m->function);
    glia_point_end(&m->point);
}

const glia_explain_method glia_explain_deep_shap = {
    .about = { .name = "deep-shap",
               .summary = "DeepLIFT's rescale rule, averaged over the background",
               .paper = "Shrikumar et al. 2017, Lundberg and Lee 2017",
               .settings = settings,
               .n_settings = GLIA_COUNT(settings) },
    .bytes = sizeof(deep),
    .uses = GLIA_EXPLAIN_MODEL | GLIA_EXPLAIN_BACKGROUND,
    .begin = begin,
    .run = run,
    .end = end,
};
