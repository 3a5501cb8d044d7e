/* net.c - genomes as nets that run: an order of the nodes, and the interpreter. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "families/evolution/genome.h"

/* ---- the plan -------------------------------------------------------------------------------------- */

/* What making a plan needs besides: links by target, nodes that have a say. */
typedef struct workbench {
    const glia_genome *genome;
    int *from, *to;   /* (links) indices of nodes; -1: disabled */
    int *into, *next; /* links into each node (nodes), as lists (links) */
    int *waiting;     /* (nodes) links from nodes that are not yet in order */
    int *queue;       /* (nodes) */
    bool *used;       /* (nodes) has a say in an output */
} workbench;

/* Marks the nodes from which links lead to an output. */
static void mark_used(workbench *w) {
    const glia_genome *g = w->genome;
    int head = 0, tail = 0;
    for (int i = 0; i < g->outputs; i++) {
        w->used[g->inputs + 1 + i] = true;
        w->queue[tail++] = g->inputs + 1 + i;
    }
    while (head < tail) {
        for (int l = w->into[w->queue[head++]]; l >= 0; l = w->next[l]) {
            if (w->used[w->from[l]]) continue;
            w->used[w->from[l]] = true;
            w->queue[tail++] = w->from[l];
        }
    }
}

static void connect(workbench *w) {
    const glia_genome *g = w->genome;
    for (int i = 0; i < g->n_nodes; i++) w->into[i] = -1;
    for (int l = g->n_links - 1; l >= 0; l--) {
        w->from[l] = -1;
        if (!g->links[l].enabled) continue;
        w->from[l] = glia_genome_node(g, g->links[l].from);
        w->to[l] = glia_genome_node(g, g->links[l].to);
        w->next[l] = w->into[w->to[l]];
        w->into[w->to[l]] = l;
    }
}

/* Nodes whose sources are all in order join it, level by level; ready nodes keep the order of the genome. */
static void order(workbench *w, glia_net_plan *p) {
    const glia_genome *g = w->genome;
    int *now = w->queue, left = 0;
    for (int i = 0; i < g->n_nodes; i++) {
        p->slot[i] = i <= g->inputs ? i : -1;
        w->waiting[i] = 0;
        if (i <= g->inputs || !w->used[i]) continue;
        left++;
        for (int l = w->into[i]; l >= 0; l = w->next[l])
            w->waiting[i] += !g->links[l].recurrent && w->from[l] > g->inputs;
    }
    for (int level = 1; left > 0; level++) {
        int n = 0;
        for (int i = g->inputs + 1; i < g->n_nodes; i++) {
            if (w->used[i] && p->slot[i] < 0 && w->waiting[i] == 0) now[n++] = i;
        }
        if (n == 0) return; /* a cycle */
        for (int k = 0; k < n; k++) {
            p->order[p->n_order] = now[k];
            p->level[p->n_order] = level;
            p->slot[now[k]] = g->inputs + 1 + p->n_order++;
        }
        for (int l = 0; l < g->n_links; l++) {
            if (w->from[l] < 0 || g->links[l].recurrent || w->from[l] <= g->inputs) continue;
            const int at = p->slot[w->from[l]] - g->inputs - 1;
            w->waiting[w->to[l]] -= at >= p->n_order - n && at < p->n_order;
        }
        left -= n;
    }
}

/* The id of a node in a cycle; -1: there is none. Going back from a node without a place long enough ends in one. */
static int find_cycle(const workbench *w, const glia_net_plan *p) {
    const glia_genome *g = w->genome;
    int at = g->inputs + 1;
    while (at < g->n_nodes && (!w->used[at] || p->slot[at] >= 0)) at++;
    if (at == g->n_nodes) return -1;
    for (int steps = 0; steps < g->n_nodes; steps++) {
        int l = w->into[at];
        while (g->links[l].recurrent || p->slot[w->from[l]] >= 0) l = w->next[l];
        at = w->from[l];
    }
    return g->nodes[at].id;
}

static void gather(const workbench *w, glia_net_plan *p) {
    const glia_genome *g = w->genome;
    p->slots = g->inputs + 1 + p->n_order;
    for (int k = 0; k < p->n_order; k++) {
        p->first[k] = p->n_links;
        for (int l = w->into[p->order[k]]; l >= 0; l = w->next[l]) {
            p->source[p->n_links] = p->slot[w->from[l]];
            p->before[p->n_links] = g->links[l].recurrent;
            p->recurrent = p->recurrent || g->links[l].recurrent;
            p->weight[p->n_links++] = g->links[l].weight;
        }
    }
    p->first[p->n_order] = p->n_links;
    for (int i = 0; i < g->outputs; i++) p->output[i] = p->slot[g->inputs + 1 + i];
}

glia_status glia_net_plan_make(const glia_genome *g, glia_net_plan *p, glia_error *error) {
    const size_t nodes = (size_t)g->n_nodes + 1, links = (size_t)g->n_links + 1;
    *p = (glia_net_plan){ .memory = NULL };
    char *memory =
        calloc(1, links * sizeof(double) + (7 * nodes + 4 * links) * sizeof(int) + (nodes + links) * sizeof(bool));
    if (!memory) return glia_fail_nomem(error);
    p->memory = memory;
    p->weight = (double *)(void *)memory;
    int *at = (int *)(void *)(p->weight + links);
    workbench w = { .genome = g };
    int **const of_nodes[] = { &p->order, &p->level, &p->slot, &p->first, &w.into, &w.waiting, &w.queue };
    int **const of_links[] = { &p->source, &w.from, &w.to, &w.next };
    for (int i = 0; i < GLIA_COUNT(of_nodes); i++, at += nodes) *of_nodes[i] = at;
    for (int i = 0; i < GLIA_COUNT(of_links); i++, at += links) *of_links[i] = at;
    p->before = (bool *)(void *)at;
    w.used = p->before + links;
    connect(&w);
    mark_used(&w);
    order(&w, p);
    const int id = find_cycle(&w, p);
    if (id >= 0) {
        glia_net_plan_free(p);
        return glia_fail(error, GLIA_E_FORMAT, "a genome: node %d is in a cycle of links that are not recurrent", id);
    }
    p->output = w.waiting; /* no longer needed; there are at least as many nodes */
    gather(&w, p);
    return GLIA_OK;
}

void glia_net_plan_free(glia_net_plan *p) {
    free(p->memory);
    p->memory = NULL;
}

/* ---- the interpreter ------------------------------------------------------------------------------- */

struct glia_net {
    glia_net_plan plan;
    glia_node_function *functions; /* by order */
    double *values, *before;       /* (slots) */
    int inputs, outputs;
};

glia_net *glia_net_create(const glia_genome *g, glia_error *error) {
    if (!g) return glia_fail_null(error, "genome"), NULL;
    if (glia_genome_check(g, error) != GLIA_OK) return NULL;
    glia_net *net = calloc(1, sizeof *net);
    if (!net) return glia_fail_nomem(error), NULL;
    if (glia_net_plan_make(g, &net->plan, error) != GLIA_OK) {
        free(net);
        return NULL;
    }
    const size_t slots = (size_t)net->plan.slots;
    net->inputs = g->inputs;
    net->outputs = g->outputs;
    net->values = calloc(2 * slots * sizeof(double) + slots * sizeof *net->functions, 1);
    if (!net->values) {
        glia_net_free(net);
        return glia_fail_nomem(error), NULL;
    }
    net->before = net->values + slots;
    net->functions = (glia_node_function *)(void *)(net->before + slots);
    for (int i = 0; i < net->plan.n_order; i++) net->functions[i] = g->nodes[net->plan.order[i]].function;
    return net;
}

void glia_net_free(glia_net *net) {
    if (!net) return;
    glia_net_plan_free(&net->plan);
    free(net->values);
    free(net);
}

void glia_net_reset(glia_net *net) {
    if (net) memset(net->values, 0, (size_t)net->plan.slots * sizeof *net->values);
}

void glia_net_run(glia_net *net, const double *x, double *y) {
    if (!net || !x || !y) return;
    const glia_net_plan *p = &net->plan;
    double *values = net->values;
    if (p->recurrent) memcpy(net->before, values, (size_t)p->slots * sizeof *values);
    memcpy(values, x, (size_t)net->inputs * sizeof *x);
    values[net->inputs] = 1;
    for (int k = 0; k < p->n_order; k++) {
        double sum = 0;
        for (int l = p->first[k]; l < p->first[k + 1]; l++)
            sum += p->weight[l] * (p->before[l] ? net->before : values)[p->source[l]];
        values[net->inputs + 1 + k] = glia_node_value(net->functions[k], sum);
    }
    for (int i = 0; i < net->outputs; i++) y[i] = values[p->output[i]];
}
