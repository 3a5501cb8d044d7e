/* function.c - tensors of a graph as a function of its inputs: a program and a session for each triple of sizes (batch,
 * nodes, edges), found or made when it is called, and the inputs checked and copied by name.
 *
 * Sizes come from the arrays: an input (V, ...) that is given n rows makes it a call for n nodes. The sessions of the
 * last few triples are kept, and the one that has not been used for longest makes room. Inputs of fixed shape (a
 * learning rate) keep the value that they were given last, whatever the sizes of the next call.
 */
#include <stdlib.h>
#include <string.h>

#include "core/program/program.h"
#include "core/program/store.h"

enum { LANES = 4 };

typedef struct lane {
    glia_sizes sizes;
    int64_t used;
    glia_program *program;
    glia_session *session;
} lane;

/* The value of an input of fixed shape, as it was given last. */
typedef struct kept {
    const glia_node *input;
    void *bytes;
} kept;

struct glia_function {
    glia_graph *graph;
    glia_backend *backend;
    glia_store *store;
    glia_function_opts opts; /* with copies of outputs and updates */
    glia_tensor *outputs;
    char *updates, *statistics, *changing;
    lane lanes[LANES];
    int64_t calls;
    kept *fixed;
    int n_fixed;
    const glia_node **inputs; /* inputs that the outputs and updates depend on */
    int n_inputs;
};

/* ---- creation ----------------------------------------------------------------------------- */

/* The inputs that the outputs and the chosen updates depend on. */
static bool find_inputs(glia_function *f) {
    const glia_graph *g = f->graph;
    bool *live = calloc((size_t)g->n_nodes + 1, sizeof *live);
    f->inputs = calloc((size_t)g->n_nodes + 1, sizeof(const glia_node *));
    f->fixed = calloc((size_t)g->n_nodes + 1, sizeof *f->fixed);
    if (!live || !f->inputs || !f->fixed) {
        free(live);
        return false;
    }
    for (int i = 0; i < f->opts.n_outputs; i++) live[f->outputs[i]->id] = true;
    for (int i = 0; i < g->n_updates; i++) {
        const glia_change *u = &g->updates[i];
        if (f->updates ? glia_glob(f->updates, u->group) : f->opts.mode == GLIA_TRAIN) live[u->value->id] = true;
    }
    for (int id = g->n_nodes - 1; id >= 0; id--) {
        if (!live[id]) continue;
        for (int i = 0; i < g->nodes[id]->n_in; i++) live[g->nodes[id]->in[i]->id] = true;
        if (glia_is_input(g->nodes[id])) f->inputs[f->n_inputs++] = g->nodes[id];
    }
    for (int i = 0; i < f->n_inputs; i++) {
        if (!glia_shape_symbolic(f->inputs[i]->shape)) f->fixed[f->n_fixed++].input = f->inputs[i];
    }
    free(live);
    return true;
}

static glia_status check_outputs(const glia_graph *graph, glia_function_opts opts, glia_error *error) {
    if (opts.n_outputs < 0 || (opts.n_outputs > 0 && !opts.outputs)) {
        return glia_fail(error, GLIA_E_ARGUMENT, "glia_function_create: %d outputs, but no list of them",
                         opts.n_outputs);
    }
    if (opts.changing && !opts.frozen) {
        return glia_fail(error, GLIA_E_ARGUMENT,
                         "glia_function_create: changing '%s' names exceptions of a frozen function", opts.changing);
    }
    for (int i = 0; i < opts.n_outputs; i++) {
        if (glia_is_bad(opts.outputs[i]) || opts.outputs[i]->graph != graph) {
            return glia_fail(error, GLIA_E_ARGUMENT, "glia_function_create: output %d is not a tensor of this graph",
                             i);
        }
    }
    return GLIA_OK;
}

glia_function *glia_function_create(glia_graph *graph, glia_backend *backend, glia_store *store,
                                    glia_function_opts opts, glia_error *error) {
    if (!graph || !backend || !store) {
        glia_fail(error, GLIA_E_ARGUMENT, "glia_function_create: needs a graph, a backend and a store");
        return NULL;
    }
    if (glia_graph_check(graph, error) != GLIA_OK || check_outputs(graph, opts, error) != GLIA_OK) return NULL;
    glia_function *f = calloc(1, sizeof *f);
    if (f) {
        *f = (glia_function){ .graph = graph, .backend = backend, .store = store, .opts = opts };
        f->outputs = malloc(((size_t)opts.n_outputs + 1) * sizeof *f->outputs);
        f->updates = opts.updates ? strdup(opts.updates) : NULL;
        f->statistics = opts.statistics ? strdup(opts.statistics) : NULL;
        f->changing = opts.changing ? strdup(opts.changing) : NULL;
    }
    if (!f || !f->outputs || (opts.updates && !f->updates) || (opts.statistics && !f->statistics) ||
        (opts.changing && !f->changing)) {
        glia_function_free(f);
        glia_fail_nomem(error);
        return NULL;
    }
    if (opts.n_outputs) memcpy(f->outputs, opts.outputs, (size_t)opts.n_outputs * sizeof *f->outputs);
    if (find_inputs(f)) return f;
    glia_function_free(f);
    glia_fail_nomem(error);
    return NULL;
}

static void lane_free(lane *l) {
    glia_session_free(l->session);
    glia_program_free(l->program);
    *l = (lane){ 0 };
}

void glia_function_free(glia_function *f) {
    if (!f) return;
    for (int i = 0; i < LANES; i++) lane_free(&f->lanes[i]);
    for (int i = 0; i < f->n_fixed; i++) free(f->fixed[i].bytes);
    free(f->fixed);
    free(f->inputs);
    free(f->outputs);
    free(f->updates);
    free(f->statistics);
    free(f->changing);
    free(f);
}

int glia_function_outputs(const glia_function *f) { return f->opts.n_outputs; }

/* ---- calling --------------------------------------------------------------------------------- */

static const glia_node *input_named(const glia_function *f, const char *name) {
    for (int i = 0; i < f->n_inputs; i++) {
        if (!strcmp(glia_leaf_of(f->inputs[i])->name, name)) return f->inputs[i];
    }
    return NULL;
}

static glia_status fail_unknown(const glia_function *f, const char *name, glia_error *error) {
    const char **names = malloc(((size_t)f->n_inputs + 1) * sizeof *names);
    for (int i = 0; names && i < f->n_inputs; i++) names[i] = glia_leaf_of(f->inputs[i])->name;
    const char *near = names ? glia_nearest(name, names, f->n_inputs) : NULL;
    free(names);
    return glia_fail(error, GLIA_E_NOT_FOUND, "glia_function_call: '%s' is no input of this function%s%s%s", name,
                     near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* Takes the size that a symbolic dimension says. False: an array of `given` there does not fit. */
static bool take_size(int64_t d, int64_t given, glia_sizes *sizes) {
    const glia_dim x = glia_dim_of(d);
    if (x.size < 0) return d == given;
    sizes->of[x.size] = glia_dim_solve(d, given);
    return sizes->of[x.size] > 0;
}

/* Checks an array against its input. sizes: 0, or what the inputs before it said. */
static glia_status check_array(const glia_node *input, const glia_array *a, glia_sizes *sizes, glia_error *error) {
    char wanted[GLIA_SHAPE_TEXT], given[GLIA_SHAPE_TEXT];
    const glia_shape s = input->shape;
    bool fits = a->dtype == input->dtype && a->shape.rank == s.rank && a->data;
    for (int i = 0; fits && i < s.rank; i++) {
        const glia_sizes before = *sizes;
        fits = take_size(s.dim[i], a->shape.dim[i], sizes);
        for (int k = 0; fits && k < GLIA_SIZE_COUNT; k++) {
            if (!before.of[k] || before.of[k] == sizes->of[k]) continue;
            return glia_fail(error, GLIA_E_SHAPE, "glia_function_call: '%s' %s has %lld %s, the inputs before it %lld",
                             a->name, glia_shape_format(s, wanted), (long long)sizes->of[k], glia_size_noun(k),
                             (long long)before.of[k]);
        }
    }
    if (fits) return GLIA_OK;
    return glia_fail(error, GLIA_E_SHAPE, "glia_function_call: '%s' is %s%s and cannot take %s%s%s", a->name,
                     glia_dtype_name(input->dtype), glia_shape_format(s, wanted), glia_dtype_name(a->dtype),
                     glia_shape_format(a->shape, given), a->data ? "" : " without data");
}

static glia_status check_inputs(const glia_function *f, const glia_array *inputs, int n, glia_sizes *sizes,
                                glia_error *error) {
    *sizes = (glia_sizes){ 0 };
    for (int i = 0; i < n; i++) {
        if (!inputs[i].name) return glia_fail(error, GLIA_E_ARGUMENT, "glia_function_call: input %d has no name", i);
        const glia_node *input = input_named(f, inputs[i].name);
        if (!input) return fail_unknown(f, inputs[i].name, error);
        glia_status status = check_array(input, &inputs[i], sizes, error);
        if (status != GLIA_OK) return status;
    }
    for (int k = 0; k < GLIA_SIZE_COUNT; k++) sizes->of[k] = GLIA_MAX(sizes->of[k], 1);
    for (int i = 0; i < f->n_inputs; i++) {
        const glia_leaf *leaf = glia_leaf_of(f->inputs[i]);
        bool given = leaf->value != 0;
        for (int k = 0; k < n && !given; k++) given = !strcmp(inputs[k].name, leaf->name);
        for (int k = 0; k < f->n_fixed && !given; k++) given = f->fixed[k].input == f->inputs[i] && f->fixed[k].bytes;
        if (!given)
            return glia_fail(error, GLIA_E_ARGUMENT, "glia_function_call: the input '%s' is missing", leaf->name);
    }
    return GLIA_OK;
}

/* Remembers the values of inputs of fixed shape. */
static glia_status keep_fixed(glia_function *f, const glia_array *inputs, int n, glia_error *error) {
    for (int i = 0; i < f->n_fixed; i++) {
        kept *k = &f->fixed[i];
        for (int j = 0; j < n; j++) {
            if (strcmp(inputs[j].name, glia_leaf_of(k->input)->name)) continue;
            const size_t bytes = glia_shape_bytes(k->input->shape, k->input->dtype);
            if (!k->bytes) k->bytes = malloc(bytes + 1);
            if (!k->bytes) return glia_fail_nomem(error);
            memcpy(k->bytes, inputs[j].data, bytes);
        }
    }
    return GLIA_OK;
}

static lane *lane_for(glia_function *f, const glia_sizes *sizes, glia_error *error) {
    lane *oldest = &f->lanes[0];
    for (int i = 0; i < LANES; i++) {
        if (f->lanes[i].session && !memcmp(&f->lanes[i].sizes, sizes, sizeof *sizes)) return &f->lanes[i];
        if (f->lanes[i].used < oldest->used) oldest = &f->lanes[i];
    }
    glia_compile_opts opts = { .outputs = f->outputs,
                               .n_outputs = f->opts.n_outputs,
                               .mode = f->opts.mode,
                               .updates = f->updates,
                               .statistics = f->statistics,
                               .batch = sizes->of[GLIA_SIZE_BATCH],
                               .nodes = sizes->of[GLIA_SIZE_NODES],
                               .edges = sizes->of[GLIA_SIZE_EDGES],
                               .precision = f->opts.precision,
                               .frozen = f->opts.frozen,
                               .changing = f->changing };
    lane_free(oldest);
    oldest->program = glia_compile(f->graph, f->backend, opts, error);
    if (oldest->program) oldest->session = glia_session_create(oldest->program, f->store, error);
    if (!oldest->session) {
        lane_free(oldest);
        return NULL;
    }
    oldest->sizes = *sizes;
    return oldest;
}

glia_status glia_function_call(glia_function *f, const glia_array *inputs, int n_inputs, glia_array *outputs,
                               glia_error *error) {
    if (!f || n_inputs < 0 || (n_inputs > 0 && !inputs) || (!outputs && f->opts.n_outputs > 0)) {
        return glia_fail(error, GLIA_E_ARGUMENT,
                         "glia_function_call: needs a function, and room for inputs and outputs");
    }
    glia_sizes sizes;
    glia_status status = check_inputs(f, inputs, n_inputs, &sizes, error);
    if (status == GLIA_OK) status = keep_fixed(f, inputs, n_inputs, error);
    if (status != GLIA_OK) return status;
    glia_error reason = { 0 };
    lane *l = lane_for(f, &sizes, &reason);
    if (!l) return glia_fail(error, reason.status, "%s", reason.message);
    l->used = ++f->calls;
    glia_array at;
    for (int i = 0; i < n_inputs; i++) {
        void *to = glia_session_input(l->session, inputs[i].name, &at, NULL);
        if (to) memcpy(to, inputs[i].data, glia_shape_bytes(at.shape, at.dtype));
    }
    for (int i = 0; i < f->n_fixed; i++) {
        const kept *k = &f->fixed[i];
        void *to = k->bytes ? glia_session_input(l->session, glia_leaf_of(k->input)->name, &at, NULL) : NULL;
        if (to) memcpy(to, k->bytes, glia_shape_bytes(at.shape, at.dtype));
    }
    if (f->opts.frozen && !f->changing) status = glia_session_refresh(l->session, error);
    if (status == GLIA_OK) status = glia_session_run(l->session, error);
    for (int i = 0; status == GLIA_OK && i < f->opts.n_outputs; i++) outputs[i] = glia_session_output(l->session, i);
    return status;
}
