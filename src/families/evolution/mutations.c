/* mutations.c - children of NEAT: crossover by innovation numbers, mutations of weights and of structure, distances. */
#include <math.h>
#include <string.h>

#include "families/evolution/neat.h"

static bool chance(glia_rng *rng, double probability) { return glia_rng_uniform(rng) < probability; }

/* Uniform numbers that are computed some at a time, as many as are taken, for loops over links. */
enum { AHEAD = 16 };
typedef struct draws {
    glia_rng *rng, ahead;
    double next[AHEAD];
    int at;
} draws;

static draws begin_draws(glia_rng *rng) { return (draws){ .rng = rng, .ahead = *rng, .at = AHEAD }; }

static double draw(draws *d) {
    if (d->at == AHEAD) {
        glia_rng_uniforms(&d->ahead, d->next, AHEAD);
        d->at = 0;
    }
    d->rng->position += 2;
    return d->next[d->at++];
}

static double weight_of(const glia_neat *neat, double uniform) { return neat->opts.step * (2 * uniform - 1); }

double glia_neat_weight(const glia_neat *neat, glia_rng *rng) { return weight_of(neat, glia_rng_uniform(rng)); }

/* ---- crossover ---------------------------------------------------------------------------------------- */

/* Is `a` the fitter parent? Among equals the smaller. */
static bool fitter(const glia_genome *a, const glia_genome *b) {
    return a->fitness > b->fitness || (a->fitness == b->fitness && a->n_links <= b->n_links);
}

/* The child has the structure of the fitter parent; weights of common links come from either. */
bool glia_neat_mate(const glia_genome *a, const glia_genome *b, glia_arena *arena, glia_rng *rng, glia_genome *child) {
    const glia_genome *first = fitter(a, b) ? a : b, *second = first == a ? b : a;
    if (!glia_genome_copy(arena, first, 2, 3, child)) return false;
    draws d = begin_draws(rng);
    int k = 0;
    for (int i = 0; i < child->n_links; i++) {
        glia_link_gene *link = &child->links[i];
        while (k < second->n_links && second->links[k].innovation < link->innovation) k++;
        if (k == second->n_links || second->links[k].innovation != link->innovation) continue;
        const glia_link_gene *other = &second->links[k];
        const bool both = link->enabled && other->enabled;
        if (draw(&d) < 0.5) link->weight = other->weight;
        link->enabled = both || !(draw(&d) < 0.75);
    }
    return true;
}

/* ---- structure ---------------------------------------------------------------------------------------- */

static const glia_neat_change *find_change(const glia_neat *neat, bool splits, int32_t from, int32_t to) {
    for (int i = neat->n_changes - 1; i >= 0; i--) {
        const glia_neat_change *c = &neat->changes[i];
        if (c->splits == splits && c->from == from && c->to == to) return c;
    }
    return NULL;
}

static const glia_neat_change *add_change(glia_neat *neat, bool splits, int32_t from, int32_t to) {
    if (!glia_grow((void **)&neat->changes, neat->n_changes, &neat->changes_capacity, sizeof *neat->changes))
        return NULL;
    glia_neat_change *c = &neat->changes[neat->n_changes++];
    *c = (glia_neat_change){ .from = from,
                             .to = to,
                             .splits = splits,
                             .node = splits ? neat->next_node++ : -1,
                             .innovation = neat->next_innovation };
    neat->next_innovation += splits ? 2 : 1;
    return c;
}

/* The child has room for it. */
static void insert_link(glia_genome *child, glia_link_gene link) {
    int i = child->n_links++;
    for (; i > 0 && child->links[i - 1].innovation > link.innovation; i--) child->links[i] = child->links[i - 1];
    child->links[i] = link;
}

static void insert_node(glia_genome *child, glia_node_gene node) {
    int i = child->n_nodes++;
    for (; child->nodes[i - 1].id > node.id; i--) child->nodes[i] = child->nodes[i - 1];
    child->nodes[i] = node;
}

/* A function for a new hidden node. */
static glia_node_function draw_function(const glia_neat *neat, glia_rng *rng) {
    const uint32_t allowed = neat->opts.functions;
    if (!allowed) return neat->opts.output;
    uint64_t k = glia_rng_below(rng, (uint64_t)__builtin_popcount(allowed));
    for (int f = 0;; f++) {
        if (allowed >> f & 1 && k-- == 0) return (glia_node_function)f;
    }
}

/* Splits a link by a node: the new link into it has weight 1, the one out of it the old weight. */
static bool add_node(glia_neat *neat, glia_rng *rng, glia_genome *child) {
    glia_link_gene *old = NULL;
    for (int tries = 0; tries < 20 && !old && child->n_links > 0; tries++) {
        glia_link_gene *drawn = &child->links[glia_rng_below(rng, (uint64_t)child->n_links)];
        if (drawn->enabled && drawn->from != child->inputs) old = drawn; /* links from the bias stay whole */
    }
    if (!old) return true;
    const glia_link_gene whole = *old;
    const glia_neat_change *c = find_change(neat, true, whole.from, whole.to);
    if (!c || glia_genome_node(child, c->node) >= 0) c = add_change(neat, true, whole.from, whole.to);
    if (!c) return false;
    old->enabled = false;
    insert_node(child,
                (glia_node_gene){ .id = c->node, .kind = GLIA_NODE_HIDDEN, .function = draw_function(neat, rng) });
    insert_link(child, (glia_link_gene){ .innovation = c->innovation,
                                         .from = whole.from,
                                         .to = c->node,
                                         .weight = 1,
                                         .enabled = true,
                                         .recurrent = whole.recurrent });
    insert_link(child, (glia_link_gene){ .innovation = c->innovation + 1,
                                         .from = c->node,
                                         .to = whole.to,
                                         .weight = whole.weight,
                                         .enabled = true });
    return true;
}

/* Can `to` be reached from `from` by links that are not recurrent, disabled ones included? -1: out of memory. */
static int reaches(const glia_genome *g, int32_t from, int32_t to, glia_arena *arena) {
    bool *seen = glia_arena_alloc(arena, (size_t)g->n_nodes * sizeof *seen);
    int *stack = glia_arena_alloc(arena, (size_t)g->n_nodes * sizeof *stack), n = 0;
    if (!seen || !stack) return -1;
    stack[n++] = glia_genome_node(g, from);
    seen[stack[0]] = true;
    while (n > 0) {
        const int32_t id = g->nodes[stack[--n]].id;
        if (id == to) return 1;
        for (int i = 0; i < g->n_links; i++) {
            const glia_link_gene *l = &g->links[i];
            if (l->from != id || l->recurrent) continue;
            const int next = glia_genome_node(g, l->to);
            if (!seen[next]) stack[n++] = next;
            seen[next] = true;
        }
    }
    return 0;
}

static bool has_link(const glia_genome *g, int32_t from, int32_t to) {
    for (int i = 0; i < g->n_links; i++)
        if (g->links[i].from == from && g->links[i].to == to) return true;
    return false;
}

/* Connects two nodes that are not yet connected; tries some pairs. */
static bool add_link(glia_neat *neat, glia_arena *arena, glia_rng *rng, glia_genome *child) {
    for (int tries = 0; tries < 20; tries++) {
        const uint64_t computing = (uint64_t)(child->n_nodes - child->inputs - 1);
        const int32_t from = child->nodes[glia_rng_below(rng, (uint64_t)child->n_nodes)].id;
        const int32_t to = child->nodes[child->inputs + 1 + (int)glia_rng_below(rng, computing)].id;
        if (has_link(child, from, to)) continue;
        const int closes = from > child->inputs ? reaches(child, to, from, arena) : 0;
        if (closes < 0) return false;
        const bool recurrent = closes > 0;
        if (recurrent && !neat->opts.recurrent) continue;
        const glia_neat_change *c = find_change(neat, false, from, to);
        if (!c) c = add_change(neat, false, from, to);
        if (!c) return false;
        insert_link(child, (glia_link_gene){ .innovation = c->innovation,
                                             .from = from,
                                             .to = to,
                                             .weight = glia_neat_weight(neat, rng),
                                             .enabled = true,
                                             .recurrent = recurrent });
        return true;
    }
    return true;
}

/* ---- mutation ------------------------------------------------------------------------------------------- */

static void change_weights(const glia_neat *neat, glia_rng *rng, glia_genome *child) {
    draws d = begin_draws(rng);
    for (int i = 0; i < child->n_links; i++) {
        const double drawn = weight_of(neat, draw(&d));
        child->links[i].weight = draw(&d) < 0.1 ? drawn : child->links[i].weight + drawn;
    }
}

bool glia_neat_mutate(glia_neat *neat, glia_arena *arena, glia_rng *rng, glia_genome *child) {
    const glia_neat_opts *o = &neat->opts;
    const bool grows = !o->no_growth && child->n_nodes < GLIA_GENOME_MOST - 4 && child->n_links < GLIA_GENOME_MOST - 4;
    if (grows && chance(rng, o->add_node) && !add_node(neat, rng, child)) return false;
    if (grows && chance(rng, o->add_link) && !add_link(neat, arena, rng, child)) return false;
    if (chance(rng, o->perturb)) change_weights(neat, rng, child);
    if (chance(rng, o->toggle) && child->n_links > 0) {
        glia_link_gene *drawn = &child->links[glia_rng_below(rng, (uint64_t)child->n_links)];
        drawn->enabled = !drawn->enabled;
    }
    return true;
}

/* ---- distance ------------------------------------------------------------------------------------------- */

double glia_neat_distance(const glia_neat *neat, const glia_genome *a, const glia_genome *b) {
    enum { SMALL = 20 }; /* genomes below count as one gene */
    int i = 0, k = 0, disjoint = 0, common = 0;
    double difference = 0;
    while (i < a->n_links && k < b->n_links) {
        const int32_t left = a->links[i].innovation, right = b->links[k].innovation;
        if (left == right) {
            difference += fabs(a->links[i].weight - b->links[k].weight);
            common++;
        } else {
            disjoint++;
        }
        i += left <= right;
        k += right <= left;
    }
    const int excess = a->n_links - i + b->n_links - k, larger = GLIA_MAX(a->n_links, b->n_links);
    const double size = larger < SMALL ? 1 : larger;
    return neat->opts.excess * excess / size + neat->opts.disjoint * disjoint / size +
           (common ? neat->opts.weights * difference / common : 0);
}
