/* program.c - compilation: makes a program from a graph, options and a backend.
 *
 * The caller's graph is never changed. The requested outputs and updates become those of a copy; the passes transform
 * that copy (passes.h lists them); the result is a list of groups and a place for every value. Addresses are bound only
 * when a session is made, so one program serves many sessions.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/program/program.h"

/* A program may hold only one of several update groups that change the same leaf. */
static glia_status check_updates(const glia_graph *view, glia_error *error) {
    const char **by = calloc((size_t)view->n_nodes + 1, sizeof *by);
    if (!by) return glia_fail_nomem(error);
    glia_status status = GLIA_OK;
    for (int i = 0; status == GLIA_OK && i < view->n_updates; i++) {
        const glia_change *u = &view->updates[i];
        if (by[u->leaf->id])
            status = glia_fail(error, GLIA_E_ARGUMENT,
                               "glia_compile: the groups '%s' and '%s' both change '%s': choose with opts.updates",
                               by[u->leaf->id], u->group, glia_leaf_of(u->leaf)->name);
        by[u->leaf->id] = u->group;
    }
    free(by);
    return status;
}

/* Whether the pattern matches one of the graph's update groups. */
static glia_status check_groups(const glia_graph *g, const char *pattern, glia_error *error) {
    if (!pattern || !pattern[0]) return GLIA_OK;
    const char **names = malloc(((size_t)g->n_updates + 1) * sizeof *names);
    if (!names) return glia_fail_nomem(error);
    for (int i = 0; i < g->n_updates; i++) names[i] = g->updates[i].group;
    glia_status status = glia_glob_check(pattern, names, g->n_updates, "glia_compile", "update group", error);
    free(names);
    return status;
}

/* GLIA_E_NOT_FOUND if the pattern matches none of the graph's parameters and states. */
static glia_status check_changing(const glia_graph *g, const char *pattern, glia_error *error) {
    const char **names = malloc(((size_t)g->n_nodes + 1) * sizeof *names);
    if (!names) return glia_fail_nomem(error);
    int n = 0;
    for (int i = 0; i < g->n_nodes; i++) {
        if (glia_is_parameter(g->nodes[i]) || glia_is_state(g->nodes[i])) names[n++] = glia_leaf_of(g->nodes[i])->name;
    }
    glia_status status = glia_glob_check(pattern, names, n, "glia_compile: changing", "parameter or state", error);
    free(names);
    return status;
}

/* Options that contradict each other. */
static glia_status check_opts(const glia_graph *g, glia_compile_opts opts, glia_error *error) {
    if (opts.frozen && opts.mode == GLIA_TRAIN)
        return glia_fail(error, GLIA_E_ARGUMENT,
                         "glia_compile: a frozen program cannot train: frozen promises that parameters are fixed, and "
                         "training mode changes them");
    if (opts.changing && *opts.changing && !opts.frozen)
        return glia_fail(error, GLIA_E_ARGUMENT,
                         "glia_compile: changing '%s' names exceptions of a frozen program; this one is not frozen",
                         opts.changing);
    if (opts.statistics && *opts.statistics && opts.mode != GLIA_TRAIN)
        return glia_fail(error, GLIA_E_ARGUMENT,
                         "glia_compile: statistics '%s': running statistics change only in training mode",
                         opts.statistics);
    return opts.changing && *opts.changing ? check_changing(g, opts.changing, error) : GLIA_OK;
}

/* The graph as the options want it: a view that shares the nodes and has outputs and updates of its own. */
static glia_status view_create(glia_graph *view, const glia_graph *graph, glia_compile_opts opts, glia_error *error) {
    *view = *graph;
    view->outputs = calloc((size_t)opts.n_outputs + 1, sizeof *view->outputs);
    view->updates = calloc((size_t)graph->n_updates + 1, sizeof *view->updates);
    view->n_outputs = view->n_updates = 0;
    if (!view->outputs || !view->updates) return glia_fail_nomem(error);
    for (int i = 0; i < opts.n_outputs; i++) {
        glia_tensor x = opts.outputs[i];
        if (glia_is_bad(x) || x->graph != graph) {
            return glia_fail(error, GLIA_E_ARGUMENT, "glia_compile: output %d is not a tensor of this graph", i);
        }
        view->outputs[view->n_outputs++] = (glia_named){ "output", x };
    }
    glia_status status = check_groups(graph, opts.updates, error);
    if (status != GLIA_OK) return status;
    for (int i = 0; i < graph->n_updates; i++) {
        const glia_change *u = &graph->updates[i];
        if (opts.updates ? glia_glob(opts.updates, u->group) : opts.mode == GLIA_TRAIN)
            view->updates[view->n_updates++] = *u;
    }
    if (view->n_outputs + view->n_updates == 0) {
        return glia_fail(error, GLIA_E_ARGUMENT, "glia_compile: there is nothing to compute: no output%s%s%s",
                         opts.updates || opts.mode == GLIA_TRAIN ? " and no update" : "",
                         opts.updates ? " in group " : "", opts.updates ? opts.updates : "");
    }
    return check_updates(view, error);
}

/* Replaces *graph by the result of a pass. */
static glia_status advance(glia_graph **graph, glia_graph *next, glia_error *error) {
    glia_graph_free(*graph);
    *graph = next;
    if (!next) return error && error->status != GLIA_OK ? error->status : GLIA_E_NOMEM;
#ifndef NDEBUG
    return glia_graph_verify(next, error);
#else
    return GLIA_OK;
#endif
}

static glia_status transform(glia_program *p, const glia_graph *view, glia_compile_opts opts, glia_error *error) {
    glia_error local = { .status = GLIA_OK };
    error = error ? error : &local;
    error->status = GLIA_OK;
    const glia_sizes sizes = { { opts.batch ? opts.batch : 1, opts.nodes ? opts.nodes : 1,
                                 opts.edges ? opts.edges : 1 } };
    glia_status status =
        advance(&p->graph, glia_pass_lower(view, p->backend, opts.mode, &sizes, opts.statistics, error), error);
    if (status == GLIA_OK && opts.frozen)
        status = advance(&p->graph, glia_pass_absorb(p->graph, opts.changing, error), error);
    if (status == GLIA_OK) status = advance(&p->graph, glia_pass_precision(p->graph, opts.precision, error), error);
    if (status == GLIA_OK) status = advance(&p->graph, glia_pass_sink(p->graph, error), error);
    if (status == GLIA_OK) status = advance(&p->graph, glia_pass_layout(p->graph, p->backend, error), error);
    if (status == GLIA_OK) status = advance(&p->graph, glia_pass_fold(p->graph, error), error);
    if (status == GLIA_OK) status = advance(&p->graph, glia_pass_cse(p->graph, error), error);
    if (status == GLIA_OK) status = advance(&p->graph, glia_pass_fold(p->graph, error), error);
    if (status == GLIA_OK && opts.mode == GLIA_TRAIN && !opts.no_fusion)
        status = advance(&p->graph, glia_pass_rematerialize(p->graph, p->backend, error), error);
    glia_fuse_opts fuse = { .no_fusion = opts.no_fusion, .frozen = opts.frozen, .changing = opts.changing };
    if (status == GLIA_OK) status = glia_pass_fuse(p->graph, p->backend, fuse, &p->schedule, error);
    if (status == GLIA_OK) status = glia_pass_bodies(&p->schedule, p->backend, fuse, error);
    if (status == GLIA_OK) status = glia_pass_recompute(&p->schedule, p->backend, error);
    if (status == GLIA_OK) status = glia_pass_schedule(&p->schedule, p->backend, error);
    if (status == GLIA_OK) status = glia_pass_plan(&p->schedule, p->backend, &p->plan, error);
    return status;
}

/* Writes the constants that are read from memory, in their own dtype. */
static glia_status write_constants(glia_program *p, glia_error *error) {
    p->constants = glia_alloc_aligned(p->plan.constant_bytes);
    if (!p->constants) return glia_fail_nomem(error);
    glia_constants_write(p->graph, &p->plan, p->constants);
    return GLIA_OK;
}

static void count_figures(glia_program *p) {
    p->info = (glia_program_info){ .activation_bytes = p->plan.activation_bytes,
                                   .fixed_bytes = p->plan.activation_bytes - p->plan.fixed_offset,
                                   .unplanned_bytes = p->plan.unplanned_bytes,
                                   .launches = p->schedule.n_groups - p->schedule.n_once,
                                   .launches_once = p->schedule.n_once,
                                   .nodes = p->graph->n_nodes };
    for (int i = 0; i < p->graph->n_nodes; i++) {
        const glia_node *n = p->graph->nodes[i];
        if (glia_is_parameter(n) || glia_is_state(n)) p->info.parameter_bytes += glia_shape_bytes(n->shape, n->dtype);
        if (n->op->flops) p->info.flops += n->op->flops(n);
    }
    for (int i = p->schedule.n_once; i < p->schedule.n_groups; i++) {
        const glia_group *g = &p->schedule.groups[i];
        for (int j = 0; j < g->n_inputs; j++)
            p->info.bytes += (double)glia_shape_bytes(g->inputs[j]->shape, g->inputs[j]->dtype);
        for (int j = 0; j < g->n_outputs; j++)
            p->info.bytes += (double)glia_shape_bytes(g->outputs[j]->shape, g->outputs[j]->dtype);
    }
}

glia_program *glia_compile(glia_graph *graph, glia_backend *backend, glia_compile_opts opts, glia_error *error) {
    if (glia_graph_check(graph, error) != GLIA_OK) return NULL;
    if (!backend || opts.batch < 0 || opts.nodes < 0 || opts.edges < 0 || opts.n_outputs < 0 ||
        (opts.n_outputs && !opts.outputs)) {
        glia_fail(error, GLIA_E_ARGUMENT,
                  "glia_compile: needs a backend, sizes (batch, nodes, edges) that are not negative, and outputs");
        return NULL;
    }
    if (check_opts(graph, opts, error) != GLIA_OK) return NULL;
    glia_program *p = calloc(1, sizeof *p);
    if (!p) {
        glia_fail_nomem(error);
        return NULL;
    }
    p->backend = backend;
    atomic_init(&p->holders, 1);
    pthread_mutex_init(&p->mutex, NULL);
    pthread_cond_init(&p->released, NULL);
    glia_graph view;
    glia_status status = view_create(&view, graph, opts, error);
    if (status == GLIA_OK) status = transform(p, &view, opts, error);
    free(view.outputs);
    free(view.updates);
    if (status == GLIA_OK) status = write_constants(p, error);
    if (status != GLIA_OK) {
        glia_program_free(p);
        return NULL;
    }
    count_figures(p);
    return p;
}

glia_program *glia_program_hold(glia_program *p) {
    atomic_fetch_add(&p->holders, 1);
    return p;
}

void glia_program_free(glia_program *p) {
    if (!p || atomic_fetch_sub(&p->holders, 1) > 1) return;
    pthread_cond_destroy(&p->released);
    pthread_mutex_destroy(&p->mutex);
    glia_plan_free(&p->plan);
    glia_schedule_free(&p->schedule);
    glia_graph_free(p->graph);
    free(p->constants);
    free(p);
}

glia_program_info glia_program_inspect(const glia_program *p) { return p ? p->info : (glia_program_info){ 0 }; }

/* ---- printing ------------------------------------------------------------------------------- */

static void print_place(const glia_program *p, const glia_node *n, glia_text *text) {
    char shape[GLIA_SHAPE_TEXT];
    const glia_place *place = &p->plan.place[n->id];
    glia_text_printf(text, " %%%d %s%s", n->id, glia_dtype_name(n->dtype), glia_shape_format(n->shape, shape));
    if (place->kind == GLIA_PLACE_LEAF) glia_text_printf(text, " = %s", glia_leaf_of(place->leaf)->name);
    if (place->kind == GLIA_PLACE_ACTIVATION) glia_text_printf(text, " @%zu", place->offset);
}

static void print_group(const glia_program *p, int index, glia_text *text) {
    static const char *const kinds[] = { "", "loop:", "epilogue:" };
    const glia_group *g = &p->schedule.groups[index];
    glia_text_printf(text, "%4d  %s%s", index, index < p->schedule.n_once ? "once " : "", kinds[g->kind]);
    for (int i = 0; i < g->n_nodes; i++) {
        const glia_node *n = g->nodes[i];
        if (p->schedule.group_of[n->id] == index)
            glia_text_printf(text, "%s%s", i && text->length && text->bytes[text->length - 1] != ' ' ? " " : "",
                             n->op->name);
    }
    glia_text_printf(text, "  <-");
    for (int i = 0; i < g->n_inputs; i++) glia_text_printf(text, " %%%d", g->inputs[i]->id);
    glia_text_printf(text, "  ->");
    for (int i = 0; i < g->n_outputs; i++) print_place(p, g->outputs[i], text);
    const glia_node *last = g->nodes[g->n_nodes - 1];
    if (last->label) glia_text_printf(text, "  \"%s\"", last->label);
    if (g->inner)
        glia_text_printf(text, "  (%d launches in each step, %d before)",
                         g->inner->schedule.n_groups - g->inner->schedule.n_once, g->inner->schedule.n_once);
    glia_text_printf(text, "\n");
}

char *glia_program_print(const glia_program *p) {
    if (!p) return NULL;
    glia_text text = { 0 };
    for (int i = 0; i < p->graph->n_nodes; i++) {
        const glia_node *n = p->graph->nodes[i];
        if (!(n->op->flags & GLIA_OP_LEAF) || p->plan.place[i].kind == GLIA_PLACE_NONE) continue;
        glia_text_printf(&text, "      %s", n->op->name);
        print_place(p, n, &text);
        glia_text_printf(&text, glia_is_input(n) ? " = %s\n" : "\n", glia_is_input(n) ? glia_leaf_of(n)->name : "");
    }
    for (int i = 0; i < p->schedule.n_groups; i++) print_group(p, i, &text);
    glia_text_printf(&text, "      %d launches, %zu bytes of activations (%zu without sharing)\n", p->info.launches,
                     p->plan.activation_bytes, p->plan.unplanned_bytes);
    if (!text.failed) return text.bytes;
    free(text.bytes);
    return NULL;
}
