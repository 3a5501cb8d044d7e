/* genome_model.c - a genome as an ordinary model, and as a drawing.
 *
 *     level 1: nodes that read inputs only ... level k: nodes that read levels below
 *     h_k = f(W_k [x, h_1, ..., h_(k-1), state] + b_k)        W_k has zeros where there is no link
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "families/evolution/genome.h"
#include "glia/layers.h"

/* ---- the model -------------------------------------------------------------------------------------- */

/* Nodes of one level and function become one dense layer. */
typedef struct layer {
    int level;
    glia_node_function function;
    int *nodes, n; /* indices in the plan's order */
    glia_tensor y; /* (N, n) */
    char name[32];
} layer;

typedef struct building {
    const glia_genome *genome;
    glia_net_plan plan;
    layer *layers;
    int n_layers, *members;
    int *column; /* (slots) columns of what the next layer reads; those of the state lie behind */
    int width;   /* columns so far, without the state */
    glia_tensor seen, state;
} building;

static glia_tensor activate(glia_tensor x, glia_node_function function) {
    switch (function) {
    case GLIA_NODE_SIGMOID: return glia_sigmoid(glia_mul_scalar(x, 4.9));
    case GLIA_NODE_TANH: return glia_tanh(x);
    case GLIA_NODE_RELU: return glia_relu(x);
    case GLIA_NODE_GAUSSIAN: return glia_exp(glia_neg(glia_mul(x, x)));
    case GLIA_NODE_SINE: return glia_sin(x);
    case GLIA_NODE_ABS: return glia_abs(x);
    case GLIA_NODE_STEP: return glia_cast(glia_greater(x, glia_like(x, 0)), GLIA_F32);
    default: return x;
    }
}

/* Groups the nodes into layers, by level and function. */
static bool make_layers(building *b) {
    const glia_net_plan *p = &b->plan;
    b->layers = calloc((size_t)p->n_order + 1, sizeof *b->layers);
    b->members = calloc((size_t)p->n_order + 1, sizeof *b->members);
    b->column = calloc((size_t)p->slots, sizeof *b->column);
    if (!b->layers || !b->members || !b->column) return false;
    int used = 0;
    for (int at = 0; at < p->n_order;) {
        const int level = p->level[at];
        int end = at;
        while (end < p->n_order && p->level[end] == level) end++;
        for (int f = 0; f < GLIA_NODE_FUNCTION_COUNT; f++) {
            layer *l = &b->layers[b->n_layers];
            *l = (layer){ .level = level, .function = (glia_node_function)f, .nodes = b->members + used };
            for (int k = at; k < end; k++) {
                if ((int)b->genome->nodes[p->order[k]].function == f) l->nodes[l->n++] = k;
            }
            used += l->n;
            b->n_layers += l->n > 0;
        }
        at = end;
    }
    return true;
}

static void build_layers(building *b) {
    const int inputs = b->genome->inputs;
    for (int i = 0; i < inputs; i++) b->column[i] = i;
    b->width = inputs;
    for (int i = 0; i < b->n_layers; i++) {
        layer *l = &b->layers[i];
        snprintf(l->name, sizeof l->name, "level%d/%s", l->level, glia_node_function_name(l->function));
        glia_tensor x = b->seen;
        const glia_tensor with_state[] = { b->seen, b->state };
        if (b->state) x = glia_concat(with_state, 2, 1);
        const glia_init zeros = { .kind = GLIA_INIT_ZEROS };
        l->y = activate(
            glia_dense(x, l->name, (glia_dense_opts){ .units = l->n, .kernel_init = zeros, .bias_init = zeros }),
            l->function);
        for (int k = 0; k < l->n; k++) b->column[inputs + 1 + l->nodes[k]] = b->width + k;
        b->width += l->n;
        const glia_tensor both[] = { b->seen, l->y };
        b->seen = glia_concat(both, 2, 1);
    }
}

static glia_tensor column_of(const building *b, int slot) {
    const int64_t at = b->column[slot];
    return glia_slice(b->seen, GLIA_SHAPE(0, at), GLIA_SHAPE(GLIA_BATCH, at + 1), GLIA_SCALAR);
}

/* Outputs in their order; of recurrent nets also all nodes in the plan's order. */
static bool build_outputs(const building *b, glia_model *model) {
    const glia_net_plan *p = &b->plan;
    const int outputs = b->genome->outputs;
    glia_tensor *columns = malloc((size_t)GLIA_MAX(outputs, p->n_order) * sizeof *columns);
    if (!columns) return false;
    for (int i = 0; i < outputs; i++) columns[i] = column_of(b, p->output[i]);
    glia_model_output(model, "policy", outputs > 1 ? glia_concat(columns, outputs, 1) : columns[0]);
    if (!b->state) glia_model_output(model, "features", b->seen); /* all nodes, as agents want them */
    if (b->state) {
        for (int k = 0; k < p->n_order; k++) columns[k] = column_of(b, b->genome->inputs + 1 + k);
        glia_model_output(model, "next", p->n_order > 1 ? glia_concat(columns, p->n_order, 1) : columns[0]);
    }
    free(columns);
    return true;
}

/* Writes the weights into the kernels. */
static glia_status fill(const building *b, glia_model *model, glia_error *error) {
    const glia_net_plan *p = &b->plan;
    const int inputs = b->genome->inputs;
    int width = inputs;
    for (int i = 0; i < b->n_layers; i++) {
        const layer *l = &b->layers[i];
        char name[48];
        glia_array kernel, bias;
        snprintf(name, sizeof name, "%s/kernel", l->name);
        bool found = glia_store_find(glia_model_store(model), name, &kernel);
        snprintf(name, sizeof name, "%s/bias", l->name);
        found = found && glia_store_find(glia_model_store(model), name, &bias);
        if (!found) return glia_fail(error, GLIA_E_INTERNAL, "a genome's model has no layer %s", l->name);
        const int64_t columns = kernel.shape.dim[1];
        for (int k = 0; k < l->n; k++) {
            float *row = (float *)kernel.data + k * columns;
            for (int e = p->first[l->nodes[k]]; e < p->first[l->nodes[k] + 1]; e++) {
                const int source = p->source[e];
                if (source == inputs)
                    ((float *)bias.data)[k] += (float)p->weight[e];
                else if (p->before[e] && source > inputs)
                    row[width + source - inputs - 1] += (float)p->weight[e];
                else
                    row[b->column[source]] += (float)p->weight[e];
            }
        }
        width += l->n;
    }
    return GLIA_OK;
}

static glia_status build(building *b, glia_model *model, glia_error *error) {
    if (!make_layers(b)) return glia_fail_nomem(error);
    b->seen = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(b->genome->inputs));
    if (b->plan.recurrent) b->state = glia_model_input(model, "state", GLIA_F32, GLIA_SHAPE(b->plan.n_order));
    build_layers(b);
    if (!build_outputs(b, model)) return glia_fail_nomem(error);
    glia_status status = glia_model_init(model, 0, error);
    return status == GLIA_OK ? fill(b, model, error) : status;
}

glia_model *glia_genome_model(const glia_genome *g, const char *name, glia_error *error) {
    building b = { .genome = g };
    if (!g) return glia_fail_null(error, "genome"), NULL;
    if (glia_genome_check(g, error) != GLIA_OK || glia_net_plan_make(g, &b.plan, error) != GLIA_OK) return NULL;
    glia_model *model = glia_model_create(name ? name : "genome", error);
    if (model && build(&b, model, error) != GLIA_OK) {
        glia_model_free(model);
        model = NULL;
    }
    glia_net_plan_free(&b.plan);
    free(b.layers);
    free(b.members);
    free(b.column);
    return model;
}

/* ---- the drawing -------------------------------------------------------------------------------------- */

enum { STEP_X = 110, STEP_Y = 44, EDGE = 40 };

/* Where each slot is drawn: a column for each level. Returns the size. */
static void place(const glia_genome *g, const glia_net_plan *p, double *x, double *y, int *width, int *height) {
    int levels = 1, most = g->inputs + 1;
    for (int k = 0; k < p->n_order; k++) levels = GLIA_MAX(levels, p->level[k] + 1);
    for (int k = 0; k < p->n_order; k++) {
        const bool output = g->nodes[p->order[k]].kind == GLIA_NODE_OUTPUT;
        x[g->inputs + 1 + k] = output ? levels - 1 : p->level[k];
    }
    for (int i = 0; i <= g->inputs; i++) x[i] = 0;
    for (int level = 0; level < levels; level++) {
        int n = 0, at = 0;
        for (int i = 0; i < p->slots; i++) n += (int)x[i] == level;
        most = GLIA_MAX(most, n);
        for (int i = 0; i < p->slots; i++) {
            if ((int)x[i] == level) y[i] = at++ - (n - 1) / 2.0;
        }
    }
    for (int i = 0; i < p->slots; i++) {
        x[i] = EDGE + x[i] * STEP_X;
        y[i] = EDGE + (y[i] + (most - 1) / 2.0) * STEP_Y;
    }
    *width = 2 * EDGE + (levels - 1) * STEP_X;
    *height = 2 * EDGE + (most - 1) * STEP_Y;
}

static void draw(const glia_genome *g, const glia_net_plan *p, const double *x, const double *y, glia_text *out) {
    for (int k = 0; k < p->n_order; k++) {
        const int to = g->inputs + 1 + k;
        for (int e = p->first[k]; e < p->first[k + 1]; e++) {
            const int from = p->source[e];
            const double bend = p->before[e] ? -60 : 0;
            glia_text_printf(out,
                             "<path d=\"M%.0f %.0f Q%.0f %.0f %.0f %.0f\" fill=\"none\" stroke=\"%s\" "
                             "stroke-width=\"%.1f\"%s><title>%g</title></path>\n",
                             x[from], y[from], (x[from] + x[to]) / 2, (y[from] + y[to]) / 2 + bend, x[to], y[to],
                             p->weight[e] >= 0 ? "#2b6cb0" : "#c53030", fmin(0.5 + fabs(p->weight[e]), 5),
                             p->before[e] ? " stroke-dasharray=\"5 3\"" : "", p->weight[e]);
        }
    }
    for (int i = 0; i < p->slots; i++) {
        const glia_node_gene *n = &g->nodes[i <= g->inputs ? i : p->order[i - g->inputs - 1]];
        const char *fill = n->kind == GLIA_NODE_INPUT    ? "#bee3f8"
                           : n->kind == GLIA_NODE_BIAS   ? "#e2e8f0"
                           : n->kind == GLIA_NODE_OUTPUT ? "#c6f6d5"
                                                         : "#fefcbf";
        glia_text_printf(out,
                         "<circle cx=\"%.0f\" cy=\"%.0f\" r=\"11\" fill=\"%s\" stroke=\"#4a5568\"/>"
                         "<text x=\"%.0f\" y=\"%.0f\" font-size=\"10\" text-anchor=\"middle\">%s%d</text>\n",
                         x[i], y[i], fill, x[i], y[i] + 3.5, n->kind == GLIA_NODE_BIAS ? "b" : "", (int)n->id);
    }
}

char *glia_genome_svg(const glia_genome *g, glia_error *error) {
    glia_net_plan p;
    if (!g) return glia_fail_null(error, "genome"), NULL;
    if (glia_genome_check(g, error) != GLIA_OK || glia_net_plan_make(g, &p, error) != GLIA_OK) return NULL;
    glia_text out = { 0 };
    double *x = malloc((size_t)p.slots * 2 * sizeof *x);
    if (x) {
        int width, height;
        place(g, &p, x, x + p.slots, &width, &height);
        glia_text_printf(&out,
                         "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" "
                         "font-family=\"sans-serif\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
                         width, height, width, height);
        draw(g, &p, x, x + p.slots, &out);
        glia_text_printf(&out, "</svg>\n");
    }
    free(x);
    glia_net_plan_free(&p);
    if (!out.failed && out.bytes) return out.bytes;
    free(out.bytes);
    glia_fail_nomem(error);
    return NULL;
}
