/* evolvable.c - substrates whose hidden nodes the CPPN places itself: ES-HyperNEAT (Risi and Stanley 2012, "An enhanced
 * hypercube-based encoding for evolving the placement, density, and connectivity of neurons").
 *
 *     from each place a quadtree over all others: divided where the weights vary
 *     a leaf whose weight differs from both its neighbours, to the sides or above and below, is a link
 *     inputs -> hidden nodes that are found so -> more of them; hidden nodes -> outputs, found from these
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "families/evolution/genome.h"

enum { DEPTH = 6, OUTPUTS = 16 };

/* A square of the quadtree: its centre, half of its side, the weight at its centre. */
typedef struct square {
    double x, y, half, weight;
    int level, child; /* the first of four; 0: none */
} square;

typedef struct spot {
    double at[2];
    int round; /* in which it was found; inputs 0 */
} spot;

typedef struct growing {
    glia_evolvable_opts o;
    glia_net *cppn;
    int inputs, outputs;
    square *tree;
    spot *nodes; /* inputs, the bias, outputs, hidden nodes */
    glia_link_gene *links;
    int n_tree, n_nodes, n_links, tree_capacity, nodes_capacity, links_capacity;
    bool failed; /* out of memory */
} growing;

/* Room for one more element. */
static void *room(growing *g, void *array, int n, int *capacity, size_t size) {
    if (n < *capacity) return array;
    void *more = realloc(array, (size_t)(2 * n + 64) * size);
    if (!more) return g->failed = true, array;
    *capacity = 2 * n + 64;
    return more;
}

/* The weight between a place and (x, y), in the direction of the signal. */
static double weight_of(const growing *g, const double *place, double x, double y, bool outgoing) {
    const double there[2] = { x, y }, *from = outgoing ? place : there, *to = outgoing ? there : place;
    const double in[6] = { from[0], from[1], to[0], to[1], to[0] - from[0], to[1] - from[1] };
    double out[OUTPUTS];
    glia_net_run(g->cppn, in, out);
    return fmin(fmax(out[0], -1), 1);
}

/* ---- the quadtree ------------------------------------------------------------------------------------------ */

/* Adds up the weights of the leaves below a square. */
static void add_leaves(const growing *g, int at, double sums[3]) {
    const square *s = &g->tree[at];
    for (int i = 0; s->child && i < 4; i++) add_leaves(g, s->child + i, sums);
    if (s->child) return;
    sums[0]++;
    sums[1] += s->weight;
    sums[2] += s->weight * s->weight;
}

static double variance(const growing *g, int at) {
    double sums[3] = { 0 };
    add_leaves(g, at, sums);
    const double mean = sums[1] / sums[0];
    return fmax(sums[2] / sums[0] - mean * mean, 0);
}

static void divide(growing *g, const double *place, bool outgoing, int at) {
    const square s = g->tree[at];
    for (int i = 0; i < 4 && !g->failed; i++) {
        g->tree = room(g, g->tree, g->n_tree, &g->tree_capacity, sizeof *g->tree);
        if (g->failed) return;
        const double x = s.x + (i & 1 ? 0.5 : -0.5) * s.half, y = s.y + (i & 2 ? 0.5 : -0.5) * s.half;
        g->tree[g->n_tree++] = (square){ x, y, s.half / 2, weight_of(g, place, x, y, outgoing), s.level + 1, 0 };
    }
    g->tree[at].child = g->n_tree - 4;
}

/* A square is divided; its parts too, if they are few yet or their weights vary. */
static void build(growing *g, const double *place, bool outgoing, int at) {
    const int level = g->tree[at].level;
    divide(g, place, outgoing, at);
    if (g->failed) return;
    if (level >= g->o.initial_depth && (level >= g->o.max_depth || variance(g, at) <= g->o.division)) return;
    const int child = g->tree[at].child;
    for (int i = 0; i < 4 && !g->failed; i++) build(g, place, outgoing, child + i);
}

/* ---- links ------------------------------------------------------------------------------------------------------ */

/* The hidden node at (x, y), which is added in this round if there is none; 0: none, or out of memory. */
static int node_at(growing *g, double x, double y, int round, bool adds) {
    for (int i = g->inputs + 1 + g->outputs; i < g->n_nodes; i++) {
        if (g->nodes[i].at[0] == x && g->nodes[i].at[1] == y) return i;
    }
    if (!adds) return 0;
    g->nodes = room(g, g->nodes, g->n_nodes, &g->nodes_capacity, sizeof *g->nodes);
    if (g->failed) return 0;
    g->nodes[g->n_nodes] = (spot){ { x, y }, round };
    return g->n_nodes++;
}

static void add_link(growing *g, int from, int to, double weight) {
    if (from == to || weight == 0) return;
    g->links = room(g, g->links, g->n_links, &g->links_capacity, sizeof *g->links);
    if (g->failed) return;
    const bool back = to > g->inputs + g->outputs && g->nodes[to].round <= g->nodes[from].round;
    g->links[g->n_links] = (glia_link_gene){ .innovation = g->n_links,
                                             .from = from,
                                             .to = to,
                                             .weight = weight * g->o.limit,
                                             .enabled = true,
                                             .recurrent = back };
    g->n_links++;
}

/* How much a weight differs from those at the same distance on both sides: the smaller difference. */
static double band(const growing *g, const double *place, const square *s, double dx, double dy, bool outgoing) {
    return fmin(fabs(s->weight - weight_of(g, place, s->x - dx, s->y - dy, outgoing)),
                fabs(s->weight - weight_of(g, place, s->x + dx, s->y + dy, outgoing)));
}

/* Links between a node and the squares below `at` that stand out: to new nodes, or from those that have been found. */
static void extract(growing *g, int node, bool outgoing, int at) {
    const double place[2] = { g->nodes[node].at[0], g->nodes[node].at[1] };
    for (int i = 0; i < 4 && !g->failed; i++) {
        const int child = g->tree[at].child + i;
        const square s = g->tree[child];
        if (s.child && variance(g, child) > g->o.variance) {
            extract(g, node, outgoing, child);
            continue;
        }
        const double far = 2 * s.half;
        if (!(fmax(band(g, place, &s, 0, far, outgoing), band(g, place, &s, far, 0, outgoing)) > g->o.band)) continue;
        const int other = node_at(g, s.x, s.y, g->nodes[node].round + 1, outgoing && s.weight != 0);
        if (other) add_link(g, outgoing ? node : other, outgoing ? other : node, s.weight);
    }
}

static void search_from(growing *g, int node, bool outgoing) {
    const double place[2] = { g->nodes[node].at[0], g->nodes[node].at[1] };
    g->tree = room(g, g->tree, 0, &g->tree_capacity, sizeof *g->tree);
    if (g->failed) return;
    g->tree[0] = (square){ .half = 1, .level = 1 };
    g->n_tree = 1;
    build(g, place, outgoing, 0);
    if (!g->failed) extract(g, node, outgoing, 0);
}

static void find_all(growing *g) {
    const int fixed = g->inputs + 1 + g->outputs;
    for (int i = 0; i < g->inputs && !g->failed; i++) search_from(g, i, true);
    for (int round = 1, from = fixed; round <= g->o.iterations && !g->failed; round++) {
        const int until = g->n_nodes;
        for (; from < until && !g->failed; from++) search_from(g, from, true);
    }
    for (int i = g->inputs + 1; i < fixed && !g->failed; i++) search_from(g, i, false);
}

/* ---- the substrate as a genome -------------------------------------------------------------------------------- */

static bool fill_in(glia_evolvable_opts *o) {
    if (!o->initial_depth) o->initial_depth = 3;
    if (!o->max_depth) o->max_depth = o->initial_depth;
    o->division = glia_option(o->division, 0.03);
    o->variance = glia_option(o->variance, 0.03);
    o->band = glia_option(o->band, 0.3);
    o->iterations = (int)glia_option_count(o->iterations, 1);
    o->limit = glia_option(o->limit, 3);
    return o->initial_depth > 0 && o->initial_depth <= o->max_depth && o->max_depth <= DEPTH && o->division >= 0 &&
           o->variance >= 0 && o->band >= 0 && o->iterations >= 0 && o->iterations <= 64 && isfinite(o->limit);
}

static bool place_fixed(growing *g, const double *from, const double *to) {
    const int fixed = g->inputs + 1 + g->outputs;
    g->nodes = calloc((size_t)fixed, sizeof *g->nodes);
    if (!g->nodes) return false;
    g->n_nodes = g->nodes_capacity = fixed;
    for (int i = 0; i < g->inputs; i++) memcpy(g->nodes[i].at, from + 2 * i, sizeof g->nodes[i].at);
    for (int i = 0; i < g->outputs; i++) memcpy(g->nodes[g->inputs + 1 + i].at, to + 2 * i, sizeof g->nodes[i].at);
    return true;
}

/* Takes over the links. */
static glia_genome *express(growing *g) {
    glia_genome *out = calloc(1, sizeof *out);
    glia_node_gene *nodes = calloc((size_t)g->n_nodes, sizeof *nodes);
    glia_link_gene *links = g->links ? g->links : calloc(1, sizeof *links);
    if (!out || !nodes || !links) {
        if (!g->links) free(links);
        free(nodes);
        free(out);
        return NULL;
    }
    for (int i = 0; i < g->n_nodes; i++) {
        const glia_node_kind kind = i < g->inputs                 ? GLIA_NODE_INPUT
                                    : i == g->inputs              ? GLIA_NODE_BIAS
                                    : i <= g->inputs + g->outputs ? GLIA_NODE_OUTPUT
                                                                  : GLIA_NODE_HIDDEN;
        nodes[i] = (glia_node_gene){ .id = i, .kind = kind, .function = GLIA_NODE_TANH };
    }
    *out = (glia_genome){ .inputs = g->inputs,
                          .outputs = g->outputs,
                          .n_nodes = g->n_nodes,
                          .n_links = g->n_links,
                          .nodes = nodes,
                          .links = links,
                          .fitness = NAN };
    g->links = NULL;
    return out;
}

glia_genome *glia_cppn_substrate(const glia_genome *cppn, const double *from, int inputs, const double *to, int outputs,
                                 glia_evolvable_opts opts, glia_error *error) {
    if (!cppn) return glia_fail_null(error, "cppn"), NULL;
    if (!from || !to) return glia_fail_null(error, from ? "to" : "from"), NULL;
    if (cppn->outputs > OUTPUTS || (cppn->inputs != 4 && cppn->inputs != 6) || inputs < 1 || outputs < 1 ||
        inputs > GLIA_GENOME_MOST / 4 || outputs > GLIA_GENOME_MOST / 4 || !fill_in(&opts)) {
        glia_fail(error, GLIA_E_ARGUMENT, "cppn: %d inputs, %d outputs, or an option is outside its domain", inputs,
                  outputs);
        return NULL;
    }
    growing g = { .o = opts, .inputs = inputs, .outputs = outputs };
    glia_error reason = { 0 };
    g.cppn = glia_net_create(cppn, &reason);
    glia_genome *out = NULL;
    if (g.cppn && place_fixed(&g, from, to)) find_all(&g);
    if (g.n_links > GLIA_GENOME_MOST || g.n_nodes > GLIA_GENOME_MOST)
        glia_fail(&reason, GLIA_E_ARGUMENT, "a substrate of %d nodes and %d links", g.n_nodes, g.n_links);
    else if (g.nodes && !g.failed)
        out = express(&g);
    if (!out)
        glia_fail(error, reason.status ? reason.status : GLIA_E_NOMEM, "%s",
                  reason.status ? reason.message : "out of memory");
    glia_net_free(g.cppn);
    free(g.tree);
    free(g.nodes);
    free(g.links);
    return out;
}
