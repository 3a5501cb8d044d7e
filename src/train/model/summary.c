/* summary.c - prints a model as a table.
 *
 *     Layer    Operations        Output           Parameters
 *     x        input             (N, 1, 28, 28)
 *     conv1    conv add relu     (N, 32, 26, 26)         320
 *              max_pool          (N, 32, 13, 13)
 *
 * Nodes created under one label, the layer's name, form one row; each node without a label has its own row. A parameter
 * is counted in the row that uses it first. Below the table are the bytes of the programs for this batch size, from the
 * plans that would run; nothing is executed.
 */
#include <stdlib.h>
#include <string.h>

#include "core/ops/ops.h"
#include "train/model/task.h"

typedef struct row {
    const char *layer; /* NULL: none */
    char operations[GLIA_LAYER_TEXT];
    glia_shape shape;
    int64_t parameters;
    int inputs[GLIA_LAYER_INPUTS], n_inputs;
} row;

typedef struct table {
    row *rows;
    int n, capacity;
    bool *moving;            /* by node id: depends on an input; other nodes only prepare parameters */
    bool *counted;           /* by node id: parameters, and values derived from them, that a row has counted */
    int *row_of;             /* by node id: the row that computes it; -1: none */
    const glia_node **stack; /* space for every node */
} table;

/* ---- rows --------------------------------------------------------------------------------- */

/* True if the node's operation is listed. */
static bool worth(const table *t, const glia_node *n) {
    return glia_is_input(n) || (t->moving[n->id] && n->op != &glia_op_broadcast && n->op != &glia_op_count_of);
}

static void add_word(row *r, const char *word) {
    size_t used = strlen(r->operations), more = strlen(word) + (used ? 1 : 0);
    if (used + more + 3 >= sizeof r->operations) {
        if (used && r->operations[used - 1] != '.') memcpy(r->operations + used, "..", 3);
        return;
    }
    if (used) r->operations[used++] = ' ';
    memcpy(r->operations + used, word, strlen(word) + 1);
}

static bool same_layer(const row *r, const glia_node *n) { return r->layer && n->label && !strcmp(r->layer, n->label); }

/* Counts the parameters that the node reads, directly or prepared, and that no row has counted. */
static int64_t take_parameters(table *t, const glia_node *n) {
    int64_t count = 0;
    int depth = 0;
    t->stack[depth++] = n;
    while (depth) {
        const glia_node *node = t->stack[--depth];
        if (glia_is_parameter(node)) count += glia_shape_count(node->shape);
        for (int i = 0; i < node->n_in; i++) {
            const glia_node *in = node->in[i];
            if (t->moving[in->id] || t->counted[in->id]) continue;
            t->counted[in->id] = true;
            t->stack[depth++] = in;
        }
    }
    return count;
}

/* The row that computes a node's value, looking through unlisted nodes; -1: none. */
static int source_of(const table *t, const glia_node *n) {
    while (t->moving[n->id] && t->row_of[n->id] < 0) {
        const glia_node *next = NULL;
        for (int i = 0; i < n->n_in && !next; i++)
            if (t->moving[n->in[i]->id]) next = n->in[i];
        if (!next) return -1;
        n = next;
    }
    return t->row_of[n->id];
}

static void add_input(row *r, int from) {
    for (int i = 0; i < r->n_inputs; i++)
        if (r->inputs[i] == from) return;
    if (r->n_inputs < GLIA_LAYER_INPUTS) r->inputs[r->n_inputs++] = from;
}

static bool add_node(table *t, const glia_node *n) {
    row *last = t->n ? &t->rows[t->n - 1] : NULL;
    if (!last || !same_layer(last, n)) {
        if (!glia_grow((void **)&t->rows, t->n, &t->capacity, sizeof *t->rows)) return false;
        last = &t->rows[t->n++];
        *last = (row){ .layer = n->label };
    }
    add_word(last, n->op->name);
    last->shape = n->shape;
    last->parameters += take_parameters(t, n);
    for (int i = 0; i < n->n_in; i++) {
        const int from = source_of(t, n->in[i]);
        if (from >= 0 && from != t->n - 1) add_input(last, from);
    }
    t->row_of[n->id] = t->n - 1;
    return true;
}

static bool fill(table *t, const glia_graph *g) {
    size_t n = (size_t)g->n_nodes + 1;
    bool *live = malloc(n);
    t->moving = calloc(n, sizeof *t->moving);
    t->counted = calloc(n, sizeof *t->counted);
    t->stack = malloc(n * sizeof *t->stack);
    t->row_of = malloc(n * sizeof *t->row_of);
    bool ok = live && t->moving && t->counted && t->stack && t->row_of;
    if (ok) glia_graph_mark_live(g, live);
    for (int i = 0; ok && i < g->n_nodes; i++) {
        const glia_node *node = g->nodes[i];
        t->row_of[i] = -1;
        t->moving[i] = glia_is_input(node);
        for (int j = 0; j < node->n_in; j++) t->moving[i] |= t->moving[node->in[j]->id];
        if (live[i] && worth(t, node)) ok = add_node(t, node);
    }
    free(live);
    return ok;
}

static void release(table *t) {
    free(t->rows);
    free(t->moving);
    free(t->counted);
    free(t->row_of);
    free(t->stack);
}

int glia_model_layers(const glia_model *model, glia_layer_info *out, int capacity) {
    if (!out) capacity = 0;
    table t = { 0 };
    int n = -1;
    if (model && glia_graph_check(model->graph, NULL) == GLIA_OK && fill(&t, model->graph)) {
        n = t.n;
        for (int i = 0; i < GLIA_MIN(n, capacity); i++) {
            const row *r = &t.rows[i];
            out[i] = (glia_layer_info){ .output = r->shape, .parameters = r->parameters, .n_inputs = r->n_inputs };
            strncpy(out[i].name, r->layer ? r->layer : "", GLIA_LAYER_TEXT - 1);
            memcpy(out[i].operations, r->operations, sizeof r->operations);
            memcpy(out[i].inputs, r->inputs, sizeof r->inputs);
        }
    }
    release(&t);
    return n;
}

/* ---- printing ----------------------------------------------------------------------------- */

/* 61706 as "61,706". */
static char *commas(int64_t n, char text[32]) {
    char *at = text + 31;
    *at = 0;
    for (int digits = 0; n > 0 || digits == 0; n /= 10, digits++) {
        if (digits && digits % 3 == 0) *--at = ',';
        *--at = (char)('0' + n % 10);
    }
    return at;
}

static void print_bytes(glia_text *out, size_t bytes) {
    if (bytes < 1024) {
        glia_text_printf(out, "%zu bytes", bytes);
    } else if (bytes < (size_t)1 << 20) {
        glia_text_printf(out, "%.1f KiB", (double)bytes / 1024);
    } else if (bytes < (size_t)1 << 30) {
        glia_text_printf(out, "%.1f MiB", (double)bytes / (1 << 20));
    } else {
        glia_text_printf(out, "%.2f GiB", (double)bytes / (1 << 30));
    }
}

static void print_line(glia_text *out, int width) {
    for (int i = 0; i < width; i++) glia_text_append(out, "\xe2\x94\x80", 3); /* U+2500 */
    glia_text_append(out, "\n", 1);
}

static void print_table(glia_text *out, const table *t) {
    char shape[GLIA_SHAPE_TEXT], number[32];
    int layer = 5, operations = 10, output = 6;
    for (int i = 0; i < t->n; i++) {
        const row *r = &t->rows[i];
        if (r->layer) layer = GLIA_MAX(layer, (int)strlen(r->layer));
        operations = GLIA_MAX(operations, (int)strlen(r->operations));
        output = GLIA_MAX(output, (int)strlen(glia_shape_format(r->shape, shape)));
    }
    const int width = layer + operations + output + 6 + 14;
    glia_text_printf(out, "%-*s  %-*s  %-*s  %14s\n", layer, "Layer", operations, "Operations", output, "Output",
                     "Parameters");
    print_line(out, width);
    for (int i = 0; i < t->n; i++) {
        const row *r = &t->rows[i];
        glia_text_printf(out, "%-*s  %-*s  %-*s", layer, r->layer ? r->layer : "", operations, r->operations, output,
                         glia_shape_format(r->shape, shape));
        if (r->parameters) glia_text_printf(out, "  %14s", commas(r->parameters, number));
        while (out->length && out->bytes[out->length - 1] == ' ') out->length--;
        glia_text_append(out, "\n", 1);
    }
    print_line(out, width);
}

static void print_totals(glia_text *out, const glia_model *model) {
    char number[32];
    int64_t all = glia_model_parameter_count(model, false), trainable = glia_model_parameter_count(model, true);
    size_t bytes = 0;
    for (int i = 0; i < model->graph->n_nodes; i++) {
        const glia_node *n = model->graph->nodes[i];
        if (glia_is_parameter(n)) bytes += glia_shape_bytes(n->shape, n->dtype);
    }
    glia_text_printf(out, "Parameters  %s (", commas(all, number));
    print_bytes(out, bytes);
    glia_text_printf(out, "); trainable %s", commas(trainable, number));
    if (all != trainable) glia_text_printf(out, ", frozen %s", commas(all - trainable, number));
    glia_text_append(out, "\n", 1);
}

/* ---- memory ------------------------------------------------------------------------------- */

/* The usual loss of the output, after adding it and SGD. */
static glia_status add_training(glia_graph *g, glia_tensor *loss, glia_error *error) {
    glia_tensor y = g->outputs[0].node;
    glia_measures measures;
    const bool classes = y->shape.rank == 2 && y->shape.dim[1] > 1;
    glia_tensor target = glia_input(g, "summary/target", classes ? GLIA_I32 : y->dtype,
                                    classes ? GLIA_SHAPE(y->shape.dim[0]) : y->shape);
    if (!glia_is_bad(target) && glia_loss_add(y, target, (glia_loss_opts){ 0 }, &measures)) {
        *loss = measures.loss;
        glia_minimize(measures.loss, (glia_optimizer){ 0 }, NULL, NULL);
    }
    return glia_graph_check(g, error);
}

/* Whether an input has an axis of this size. */
static bool has_size(const glia_graph *g, int size) {
    for (int id = 0; id < g->n_nodes; id++) {
        const glia_shape s = g->nodes[id]->shape;
        for (int i = 0; i < s.rank && glia_is_input(g->nodes[id]); i++) {
            if (glia_dim_of(s.dim[i]).size == size) return true;
        }
    }
    return false;
}

/* Plans a run of the model; false: it cannot be compiled. */
static bool plan(const glia_model *model, glia_backend *backend, int64_t batch, glia_mode mode, glia_program_info *info,
                 glia_error *error) {
    glia_graph *g = glia_graph_rewrite(model->graph, NULL, NULL, NULL, true, error);
    if (!g) return false;
    glia_tensor output = g->outputs[0].node;
    glia_program *program = NULL;
    if (mode == GLIA_INFER || add_training(g, &output, error) == GLIA_OK) {
        const glia_compile_opts opts = {
            .outputs = &output, .n_outputs = 1, .mode = mode, .batch = batch, .nodes = batch, .edges = batch
        };
        program = glia_compile(g, backend, opts, error);
    }
    if (program) *info = glia_program_inspect(program);
    const bool planned = program != NULL;
    glia_program_free(program);
    glia_graph_free(g);
    return planned;
}

static glia_status print_memory(glia_text *out, glia_model *model, int64_t batch, glia_error *error) {
    static const char *const names[] = { [GLIA_INFER] = "Inference", [GLIA_TRAIN] = "Training" };
    glia_error reason = { 0 };
    glia_backend *backend = glia_backend_open("cpu", 1, &reason);
    if (!backend) return glia_fail(error, reason.status, "%s", reason.message);
    for (int mode = GLIA_INFER; mode <= GLIA_TRAIN; mode++) {
        glia_program_info info;
        bool planned = plan(model, backend, batch, (glia_mode)mode, &info, &reason);
        glia_text_printf(out, "%-10s  ", names[mode]);
        if (planned) {
            print_bytes(out, info.activation_bytes);
            glia_text_printf(out, " of activations in batches of %lld", (long long)batch);
            for (int k = GLIA_SIZE_NODES; k < GLIA_SIZE_COUNT; k++) {
                if (has_size(model->graph, k)) glia_text_printf(out, ", %lld %s", (long long)batch, glia_size_noun(k));
            }
            glia_text_printf(out, " (");
            print_bytes(out, info.unplanned_bytes);
            glia_text_printf(out, " without sharing), %.4g million multiply-adds\n", info.flops / 2e6);
        } else if (reason.status == GLIA_E_NOMEM) {
            glia_backend_close(backend);
            return glia_fail_nomem(error);
        } else {
            glia_text_printf(out, "not possible: %s\n", reason.message);
        }
    }
    glia_backend_close(backend);
    return GLIA_OK;
}

char *glia_model_summary(glia_model *model, int64_t batch, glia_error *error) {
    if (!model || batch < 0) {
        glia_fail(error, GLIA_E_ARGUMENT, "glia_model_summary: needs a model and a batch size that is not negative");
        return NULL;
    }
    glia_status status = glia_graph_check(model->graph, error);
    if (status != GLIA_OK) return NULL;
    if (model->graph->n_outputs == 0) {
        glia_fail(error, GLIA_E_ARGUMENT, "the model has no output");
        return NULL;
    }
    table t = { 0 };
    glia_text out = { 0 };
    if (fill(&t, model->graph)) {
        const char *name = glia_model_get(model, "name");
        if (name) glia_text_printf(&out, "%s\n\n", name);
        print_table(&out, &t);
        print_totals(&out, model);
        status = print_memory(&out, model, batch ? batch : 32, error);
    } else {
        status = glia_fail_nomem(error);
    }
    release(&t);
    if (status == GLIA_OK && out.failed) status = glia_fail_nomem(error);
    if (status == GLIA_OK) return out.bytes;
    free(out.bytes);
    return NULL;
}
