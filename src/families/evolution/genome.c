/* genome.c - genomes: copies, checks, text. */
#include "families/evolution/genome.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/kernels/net.h"

static const char *const functions[] = { "sigmoid", "tanh", "linear", "relu", "gaussian", "sine", "abs", "step" };
static const char *const kinds[] = { "input", "bias", "output", "hidden" };

const char *glia_node_function_name(glia_node_function function) {
    return (int)function >= 0 && function < GLIA_NODE_FUNCTION_COUNT ? functions[function] : "unknown";
}

double glia_node_value(glia_node_function function, double x) { return glia_net_node(function, x); }

bool glia_genome_copy(glia_arena *arena, const glia_genome *from, int more_nodes, int more_links, glia_genome *to) {
    glia_node_gene *nodes = glia_arena_alloc(arena, (size_t)(from->n_nodes + more_nodes + 1) * sizeof *nodes);
    glia_link_gene *links = glia_arena_alloc(arena, (size_t)(from->n_links + more_links + 1) * sizeof *links);
    if (!nodes || !links) return false;
    *to = *from;
    if (from->n_nodes) to->nodes = memcpy(nodes, from->nodes, (size_t)from->n_nodes * sizeof *nodes);
    if (from->n_links) memcpy(links, from->links, (size_t)from->n_links * sizeof *links);
    to->nodes = nodes;
    to->links = links;
    return true;
}

/* Inputs, bias and outputs have the ids of their places; the ids of hidden nodes ascend. */
int glia_genome_node(const glia_genome *g, int32_t id) {
    const int fixed = g->inputs + 1 + g->outputs;
    if (id >= 0 && id < fixed) return id;
    int low = fixed, high = g->n_nodes;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (g->nodes[middle].id == id) return middle;
        if (g->nodes[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

/* ---- checks --------------------------------------------------------------------------------------- */

static glia_status check_nodes(const glia_genome *g, glia_error *error) {
    const int fixed = g->inputs + 1 + g->outputs;
    for (int i = 0; i < g->n_nodes; i++) {
        const glia_node_gene *n = &g->nodes[i];
        const glia_node_kind kind = i < g->inputs    ? GLIA_NODE_INPUT
                                    : i == g->inputs ? GLIA_NODE_BIAS
                                    : i < fixed      ? GLIA_NODE_OUTPUT
                                                     : GLIA_NODE_HIDDEN;
        if (n->kind != kind || (i < fixed ? n->id != i : n->id <= g->nodes[i - 1].id)) {
            return glia_fail(error, GLIA_E_FORMAT,
                             "a genome: node %d stands where %s was expected: inputs, bias and outputs have the ids 0, "
                             "1, ..., those of hidden nodes ascend",
                             (int)n->id, kinds[kind]);
        }
        if ((int)n->function < 0 || n->function >= GLIA_NODE_FUNCTION_COUNT)
            return glia_fail(error, GLIA_E_FORMAT, "a genome: node %d has an unknown function", (int)n->id);
    }
    return GLIA_OK;
}

glia_status glia_genome_check(const glia_genome *g, glia_error *error) {
    if (g->inputs < 1 || g->outputs < 1 || g->n_nodes < g->inputs + 1 + g->outputs || g->n_links < 0 ||
        g->n_nodes > GLIA_GENOME_MOST || g->n_links > GLIA_GENOME_MOST)
        return glia_fail(error, GLIA_E_FORMAT, "a genome of %d inputs, %d outputs, %d nodes and %d links", g->inputs,
                         g->outputs, g->n_nodes, g->n_links);
    glia_status status = check_nodes(g, error);
    for (int i = 0; status == GLIA_OK && i < g->n_links; i++) {
        const glia_link_gene *l = &g->links[i];
        const int from = glia_genome_node(g, l->from), to = glia_genome_node(g, l->to);
        if (from < 0 || to < 0) {
            status = glia_fail(error, GLIA_E_FORMAT, "a genome: link %d is from %d to %d, and there is no node %d",
                               (int)l->innovation, (int)l->from, (int)l->to, (int)(from < 0 ? l->from : l->to));
        } else if (to <= g->inputs) {
            status = glia_fail(error, GLIA_E_FORMAT, "a genome: link %d leads into %s %d", (int)l->innovation,
                               kinds[g->nodes[to].kind], (int)l->to);
        } else if (i && l->innovation <= l[-1].innovation) {
            status = glia_fail(error, GLIA_E_FORMAT, "a genome: link %d after link %d; their numbers ascend",
                               (int)l->innovation, (int)l[-1].innovation);
        } else if (!isfinite(l->weight)) {
            status =
                glia_fail(error, GLIA_E_FORMAT, "a genome: the weight of link %d is %g", (int)l->innovation, l->weight);
        }
    }
    return status;
}

/* ---- size ----------------------------------------------------------------------------------------- */

glia_genome_size glia_genome_measure(const glia_genome *g) {
    glia_net_plan plan;
    glia_genome_size size = { 0 };
    if (!g || glia_net_plan_make(g, &plan, NULL) != GLIA_OK) return size;
    for (int i = 0; i < plan.n_order; i++) size.hidden += g->nodes[plan.order[i]].kind == GLIA_NODE_HIDDEN;
    size.links = plan.n_links;
    size.recurrent = plan.recurrent;
    glia_net_plan_free(&plan);
    return size;
}

/* ---- text ----------------------------------------------------------------------------------------- */

char *glia_genome_print(const glia_genome *g, glia_error *error) {
    glia_text out = { 0 };
    char number[GLIA_NUMBER_TEXT];
    if (!g) return glia_fail_null(error, "genome"), NULL;
    glia_text_printf(&out, "genome %d inputs %d outputs\n", g->inputs, g->outputs);
    for (int i = 0; i < g->n_nodes; i++) {
        const glia_node_gene *n = &g->nodes[i];
        const bool computes = n->kind == GLIA_NODE_OUTPUT || n->kind == GLIA_NODE_HIDDEN;
        glia_text_printf(&out, "node %d %s%s%s\n", (int)n->id, kinds[n->kind], computes ? " " : "",
                         computes ? glia_node_function_name(n->function) : "");
    }
    for (int i = 0; i < g->n_links; i++) {
        const glia_link_gene *l = &g->links[i];
        glia_text_printf(&out, "link %d from %d to %d weight %s%s%s\n", (int)l->innovation, (int)l->from, (int)l->to,
                         glia_number_print(l->weight, number), l->enabled ? "" : " disabled",
                         l->recurrent ? " recurrent" : "");
    }
    if (!out.failed) return out.bytes;
    free(out.bytes);
    glia_fail_nomem(error);
    return NULL;
}

/* Words of one line. */
enum { WORDS = 10 };
typedef struct words {
    const char *at[WORDS];
    int length[WORDS], n;
} words;

static words split(const char *line, const char *end) {
    words w = { .n = 0 };
    while (line < end && w.n < WORDS) {
        while (line < end && (*line == ' ' || *line == '\t' || *line == '\r')) line++;
        const char *from = line;
        while (line < end && *line != ' ' && *line != '\t' && *line != '\r') line++;
        if (line > from) {
            w.at[w.n] = from;
            w.length[w.n++] = (int)(line - from);
        }
    }
    return w;
}

static bool is(const words *w, int i, const char *word) {
    return i < w->n && (int)strlen(word) == w->length[i] && memcmp(w->at[i], word, strlen(word)) == 0;
}

static int find(const words *w, int i, const char *const *names, int n) {
    for (int k = 0; k < n; k++)
        if (is(w, i, names[k])) return k;
    return -1;
}

static bool integer(const words *w, int i, int32_t *out) {
    double value;
    if (i >= w->n || !glia_number_parse(w->at[i], w->at[i] + w->length[i], &value)) return false;
    *out = value >= 0 && value < 2e9 ? (int32_t)value : -1;
    return *out == value;
}

static bool parse_node(const words *w, glia_node_gene *node) {
    const int kind = find(w, 2, kinds, GLIA_COUNT(kinds)), function = find(w, 3, functions, GLIA_COUNT(functions));
    const bool computes = kind == GLIA_NODE_OUTPUT || kind == GLIA_NODE_HIDDEN;
    if (!integer(w, 1, &node->id) || kind < 0 || w->n != 3 + computes || (computes && function < 0)) return false;
    node->kind = (glia_node_kind)kind;
    node->function = computes ? (glia_node_function)function : GLIA_NODE_SIGMOID;
    return true;
}

static bool parse_link(const words *w, glia_link_gene *link) {
    *link = (glia_link_gene){ .enabled = true };
    if (!integer(w, 1, &link->innovation) || !is(w, 2, "from") || !integer(w, 3, &link->from) || !is(w, 4, "to") ||
        !integer(w, 5, &link->to) || !is(w, 6, "weight") || w->n < 8 ||
        !glia_number_parse(w->at[7], w->at[7] + w->length[7], &link->weight))
        return false;
    int at = 8;
    if (is(w, at, "disabled")) link->enabled = false, at++;
    if (is(w, at, "recurrent")) link->recurrent = true, at++;
    return at == w->n;
}

typedef struct growing {
    glia_genome *genome;
    int nodes, links; /* capacities */
} growing;

static glia_status parse_line(growing *p, const words *w, int line, glia_error *error) {
    glia_genome *g = p->genome;
    if (w->n == 0) return GLIA_OK;
    if (g->n_nodes >= GLIA_GENOME_MOST || g->n_links >= GLIA_GENOME_MOST)
        return glia_fail(error, GLIA_E_FORMAT, "a genome, line %d: more than %d genes", line, GLIA_GENOME_MOST);
    if (is(w, 0, "node")) {
        if (!glia_grow((void **)&g->nodes, g->n_nodes, &p->nodes, sizeof *g->nodes)) return glia_fail_nomem(error);
        if (parse_node(w, &g->nodes[g->n_nodes])) return g->n_nodes++, GLIA_OK;
    } else if (is(w, 0, "link")) {
        if (!glia_grow((void **)&g->links, g->n_links, &p->links, sizeof *g->links)) return glia_fail_nomem(error);
        if (parse_link(w, &g->links[g->n_links])) return g->n_links++, GLIA_OK;
    }
    return glia_fail(error, GLIA_E_FORMAT, "a genome, line %d: '%.*s' begins no node and no link", line,
                     GLIA_MIN(w->length[0], 40), w->at[0]);
}

static glia_status parse(growing *p, const char *text, glia_error *error) {
    glia_status status = GLIA_OK;
    int line = 0;
    for (const char *at = text; status == GLIA_OK && *at; line++) {
        const char *end = strchr(at, '\n');
        if (!end) end = at + strlen(at);
        const words w = split(at, end);
        if (line == 0) {
            int32_t inputs = 0, outputs = 0;
            if (!is(&w, 0, "genome") || !integer(&w, 1, &inputs) || !is(&w, 2, "inputs") || !integer(&w, 3, &outputs) ||
                !is(&w, 4, "outputs") || inputs > GLIA_GENOME_MOST || outputs > GLIA_GENOME_MOST)
                return glia_fail(error, GLIA_E_FORMAT, "no genome: it begins with 'genome 2 inputs 1 outputs'");
            p->genome->inputs = inputs;
            p->genome->outputs = outputs;
        } else {
            status = parse_line(p, &w, line + 1, error);
        }
        at = *end ? end + 1 : end;
    }
    if (status == GLIA_OK && line == 0) status = glia_fail(error, GLIA_E_FORMAT, "no genome: the text is empty");
    if (status == GLIA_OK) status = glia_genome_check(p->genome, error);
    glia_net_plan plan = { 0 };
    if (status == GLIA_OK) status = glia_net_plan_make(p->genome, &plan, error);
    glia_net_plan_free(&plan);
    return status;
}

glia_genome *glia_genome_parse(const char *text, glia_error *error) {
    if (!text) return glia_fail_null(error, "text"), NULL;
    growing p = { .genome = calloc(1, sizeof *p.genome) };
    if (!p.genome) return glia_fail_nomem(error), NULL;
    p.genome->fitness = NAN;
    if (parse(&p, text, error) == GLIA_OK) return p.genome;
    glia_genome_free(p.genome);
    return NULL;
}

void glia_genome_free(glia_genome *g) {
    if (!g) return;
    free(g->nodes);
    free(g->links);
    free(g);
}
