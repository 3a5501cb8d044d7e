/* lndp.c - lifelong developmental programs: genomes, nets side by side, their steps (backend/cpu/kernels/lndp.c). */
#include "families/evolution/lndp.h"

#include <math.h>
#include <stdlib.h>

/* ---- options and genomes --------------------------------------------------------------------------------- */

/* Defaults; false: an option is outside its domain. */
static bool fill_in(glia_lndp_opts *o) {
    if (o->nodes == 0) o->nodes = 32;
    if (o->node_features == 0) o->node_features = 8;
    if (o->edge_features == 0) o->edge_features = 4;
    if (o->propagation == 0) o->propagation = 3;
    if (o->nets == 0) o->nets = 1;
    o->density = o->density == 0 ? 0.1 : o->density == GLIA_ZERO ? 0 : o->density;
    return o->inputs > 0 && o->outputs > 0 && o->nodes <= 256 && o->inputs < o->nodes - o->outputs &&
           o->node_features > 0 && o->node_features <= 64 && o->edge_features > 0 &&
           o->edge_features <= GLIA_LNDP_EDGE_MOST && o->propagation > 0 && o->propagation <= 16 && o->density >= 0 &&
           o->density <= 1 && o->nets > 0 && o->nets <= 1 << 16;
}

static glia_lndp_parts parts_of(const glia_lndp_opts *o) {
    enum { HEADS = GLIA_LNDP_HEADS, KEYS = HEADS * GLIA_LNDP_KEY, VALUES = HEADS * GLIA_LNDP_VALUE };
    const int f = o->node_features, e = o->edge_features, seen = o->propagation + 1 + f, n = o->inputs;
    glia_lndp_parts p;
    int at = 0;
#define PART(name, count) p.name = at, at += (count)
    PART(perceive, f * (GLIA_LNDP_MARKS + seen));
    PART(perceive_bias, f);
    PART(query, KEYS * f);
    PART(key, KEYS * f);
    PART(value, VALUES * f);
    PART(attend, HEADS * (e + 3));
    PART(attend_bias, HEADS);
    PART(merge, f * VALUES);
    PART(merge_bias, f);
    PART(node_in, 3 * f * f);
    PART(node_keep, 3 * f * f);
    PART(node_bias, 3 * f);
    PART(node_new, f);
    PART(edge_from, 3 * e * seen);
    PART(edge_to, 3 * e * seen);
    PART(edge_reward, 3 * e);
    PART(edge_keep, 3 * e * e);
    PART(edge_bias, 3 * e);
    PART(edge_new, e);
    PART(add_from, GLIA_LNDP_HIDDEN * f);
    PART(add_to, GLIA_LNDP_HIDDEN * f);
    PART(add_bias, GLIA_LNDP_HIDDEN);
    PART(add_out, GLIA_LNDP_HIDDEN + 1);
    PART(prune_in, GLIA_LNDP_HIDDEN * e);
    PART(prune_bias, GLIA_LNDP_HIDDEN);
    PART(prune_out, GLIA_LNDP_HIDDEN + 1);
    PART(noise_mean, n);
    PART(noise_rate, n);
    PART(noise_scale, n * n);
#undef PART
    p.numbers = at;
    return p;
}

int glia_lndp_parameters(glia_lndp_opts opts) { return fill_in(&opts) ? parts_of(&opts).numbers : 0; }

/* Group and lane of a net. */
static glia_lndp_group *group_of(const glia_lndp *net, int which, int *lane) {
    *lane = which % net->lanes;
    return &net->group[which / net->lanes];
}

glia_status glia_lndp_inherit(glia_lndp *net, int which, const double *genome, glia_error *error) {
    int lane;
    const glia_lndp_group *g = group_of(net, which, &lane);
    for (int i = 0; i < net->numbers; i++) {
        if (!(fabs(genome[i]) <= 1e6)) /* larger ones could overflow */
            return glia_fail(error, GLIA_E_ARGUMENT, "lndp: genome[%d] is %g", i, genome[i]);
        g->genome[i * net->lanes + lane] = (float)genome[i];
    }
    return GLIA_OK;
}

/* ---- memory --------------------------------------------------------------------------------------------------- */

/* May there be an edge? They lead from inputs to hidden nodes, between these, and from them to outputs. */
static bool may_be(const glia_lndp_opts *o, int from, int to) {
    const int last = o->nodes - o->outputs;
    return from != to && from < last && to >= o->inputs && (from >= o->inputs || to < last);
}

/* Numbers every place, row by row; returns how many there are. */
static int number_places(const glia_lndp_opts *o, int *place, int (*ends)[2]) {
    int places = 0;
    for (int i = 0; i < o->nodes; i++) {
        for (int k = 0; k < o->nodes; k++) {
            const bool is = may_be(o, i, k);
            if (is) ends[places][0] = i, ends[places][1] = k;
            place[i * o->nodes + k] = is ? places++ : -1;
        }
    }
    for (int i = 0; i < o->nodes * o->nodes; i++) place[i] = place[i] < 0 ? places : place[i];
    return places;
}

/* Divides one block of memory; with base NULL it only counts the floats. */
static size_t divide(glia_lndp *net, const glia_lndp_nets *shape, float *base) {
    const size_t lanes = (size_t)net->lanes, places = (size_t)shape->places, inputs = (size_t)shape->inputs;
    const size_t scratch = net->kernels->lndp_f32_scratch(shape) / sizeof(float);
    size_t used = 0;
    for (int i = 0; i < net->groups; i++) {
        glia_lndp_group *g = &net->group[i];
        g->nets = *shape;
#define TAKE(pointer, count) pointer = base ? base + used : NULL, used += (count)*lanes
        TAKE(g->genome, (size_t)net->numbers);
        TAKE(g->nets.node, (size_t)(shape->nodes * net->width));
        TAKE(g->nets.e, places * (size_t)shape->edge_features);
        TAKE(g->nets.a, places + 1);
        TAKE(g->nets.work, scratch / lanes);
        TAKE(g->spontaneous, inputs);
        TAKE(g->seen, inputs);
        TAKE(g->changes, 1);
        TAKE(g->rewards, 1);
#undef TAKE
        g->nets.genome = g->genome;
    }
    return used;
}

static bool allocate(glia_lndp *net) {
    const glia_lndp_opts *o = &net->opts;
    const size_t n = (size_t)o->nodes;
    net->group = calloc((size_t)net->groups, sizeof *net->group);
    net->rng = calloc((size_t)(net->groups * net->lanes), sizeof *net->rng);
    net->phases = calloc((size_t)o->nets, sizeof *net->phases);
    net->place = malloc(n * n * sizeof *net->place);
    net->ends = malloc(n * n * sizeof *net->ends);
    if (!net->group || !net->rng || !net->phases || !net->place || !net->ends) return false;
    const glia_lndp_nets shape = { .nodes = o->nodes,
                                   .inputs = o->inputs,
                                   .features = o->node_features,
                                   .edge_features = o->edge_features,
                                   .propagation = o->propagation,
                                   .places = number_places(o, net->place, net->ends),
                                   .fixed_structure = o->fixed_structure,
                                   .part = parts_of(o),
                                   .ends = net->ends,
                                   .place = net->place };
    const size_t floats = divide(net, &shape, NULL);
    net->memory = glia_alloc_aligned(floats * sizeof *net->memory);
    if (!net->memory) return false;
    divide(net, &shape, net->memory);
    return true;
}

/* Which nodes are inputs and outputs, for all lanes. */
static void mark_nodes(glia_lndp *net) {
    const glia_lndp_opts *o = &net->opts;
    for (int i = 0; i < net->groups; i++) {
        for (int k = 0; k < net->lanes; k++) {
            for (int j = 0; j < o->inputs; j++) net->group[i].nets.node[(j * net->width + 3) * net->lanes + k] = 1;
            for (int j = o->nodes - o->outputs; j < o->nodes; j++)
                net->group[i].nets.node[(j * net->width + 4) * net->lanes + k] = 1;
        }
    }
}

glia_status glia_lndp_lanes(int *lanes, glia_error *error) {
    glia_isa isa;
    glia_status status = glia_isa_choose(&isa, error);
    if (status == GLIA_OK) *lanes = glia_cpu_kernels_for(isa)->lndp_f32_lanes();
    return status;
}

static glia_lndp *create(const glia_lndp_opts *opts, glia_error *error) {
    glia_isa isa;
    glia_lndp *net = glia_isa_choose(&isa, error) == GLIA_OK ? calloc(1, sizeof *net) : NULL;
    if (!net) return NULL;
    net->opts = *opts;
    net->kernels = glia_cpu_kernels_for(isa);
    net->lanes = net->kernels->lndp_f32_lanes();
    net->groups = (opts->nets + net->lanes - 1) / net->lanes;
    net->width = GLIA_LNDP_MARKS + opts->propagation + 1 + opts->node_features;
    net->numbers = glia_lndp_parameters(*opts);
    if (allocate(net)) {
        mark_nodes(net);
        return net;
    }
    glia_lndp_free(net);
    return NULL;
}

glia_lndp *glia_lndp_create(const double *genomes, int n, glia_lndp_opts opts, glia_error *error) {
    glia_error reason = { 0 };
    if (!genomes) return glia_fail_null(error, "genomes"), NULL;
    if (!fill_in(&opts)) return glia_fail(error, GLIA_E_ARGUMENT, "lndp: an option is outside its domain"), NULL;
    const int wanted = parts_of(&opts).numbers;
    if (n != wanted)
        return glia_fail(error, GLIA_E_ARGUMENT, "lndp: a genome of %d numbers, where %d are needed", n, wanted), NULL;
    glia_lndp *net = create(&opts, &reason);
    if (!net) {
        reason.status ? glia_fail(error, reason.status, "%s", reason.message) : glia_fail_nomem(error);
        return NULL;
    }
    glia_status status = GLIA_OK;
    for (int k = 0; status == GLIA_OK && k < opts.nets; k++)
        status = glia_lndp_inherit(net, k, genomes + (size_t)k * (size_t)n, error);
    if (status == GLIA_OK) {
        for (int k = 0; k < opts.nets; k++) glia_lndp_begin(net, k, 0);
        return net;
    }
    glia_lndp_free(net);
    return NULL;
}

void glia_lndp_free(glia_lndp *net) {
    if (!net) return;
    free(net->memory);
    free(net->phases);
    free(net->group);
    free(net->rng);
    free(net->place);
    free(net->ends);
    free(net);
}

/* ---- a life --------------------------------------------------------------------------------------------------- */

/* Noise by the scale of the genome: x += scale z. */
static void add_noise(const glia_lndp *net, const glia_lndp_group *g, int lane, glia_rng *rng) {
    const int n = net->opts.inputs, lanes = net->lanes;
    const float *scale = g->genome + g->nets.part.noise_scale * lanes;
    double z[256];
    glia_rng_normals(rng, z, n);
    for (int k = 0; k < n; k++) {
        for (int i = 0; i < n; i++)
            g->spontaneous[i * lanes + lane] += fminf(fmaxf(scale[(i * n + k) * lanes + lane], -1), 1) * (float)z[k];
    }
}

void glia_lndp_begin(glia_lndp *net, int which, uint64_t seed) {
    enum { LIFE = 0x6C6E };
    if (!net || which < 0 || which >= net->opts.nets) return;
    int lane;
    const glia_lndp_group *g = group_of(net, which, &lane);
    const glia_lndp_nets *nets = &g->nets;
    const int lanes = net->lanes, e = nets->edge_features, first = net->width - nets->features;
    glia_rng *rng = &net->rng[which];
    *rng = (glia_rng){ .seed = seed, .stream = LIFE };
    for (int p = 0; p < nets->places; p++) nets->a[p * lanes + lane] = glia_rng_uniform(rng) < net->opts.density;
    for (int i = 0; i < nets->nodes; i++) {
        for (int c = GLIA_LNDP_MARKS; c < first; c++) nets->node[(i * net->width + c) * lanes + lane] = 0;
    }
    for (int c = first; c < net->width; c++) {
        for (int i = 0; i < nets->nodes; i++)
            nets->node[(i * net->width + c) * lanes + lane] = (float)(2 * glia_rng_uniform(rng) - 1);
    }
    for (int c = 0; c < e; c++) {
        for (int p = 0; p < nets->places; p++) {
            const bool is = nets->a[p * lanes + lane] != 0;
            nets->e[(p * e + c) * lanes + lane] = is ? (float)(2 * glia_rng_uniform(rng) - 1) : 0;
        }
    }
    for (int i = 0; i < nets->inputs; i++) g->spontaneous[i * lanes + lane] = 0;
    add_noise(net, g, lane, rng);
}

/* The next spontaneous activity of a net, in its lane of `seen`. */
static void fluctuate(const glia_lndp *net, const glia_lndp_group *g, int lane, glia_rng *rng) {
    const int lanes = net->lanes;
    const float *mean = g->genome + g->nets.part.noise_mean * lanes,
                *rate = g->genome + g->nets.part.noise_rate * lanes;
    for (int i = lane; i < net->opts.inputs * lanes; i += lanes)
        g->spontaneous[i] += fminf(fmaxf(rate[i], 0), 1) * (mean[i] - g->spontaneous[i]);
    add_noise(net, g, lane, rng);
    for (int i = lane; i < net->opts.inputs * lanes; i += lanes) g->seen[i] = g->spontaneous[i];
}

void glia_lndp_step(glia_lndp *net, const glia_lndp_phase *phases, const double *rewards, const double *x, double *y) {
    const glia_lndp_opts *o = &net->opts;
    const int lanes = net->lanes, last = GLIA_LNDP_MARKS + o->propagation;
    for (int i = 0; i < net->groups; i++) {
        const glia_lndp_group *g = &net->group[i];
        const int from = i * lanes, count = GLIA_MIN(lanes, o->nets - from);
        int awake = 0;
        for (int lane = 0; lane < count; lane++) {
            const int k = from + lane;
            const bool acts = phases[k] == GLIA_LNDP_ACTS, develops = phases[k] == GLIA_LNDP_DEVELOPS;
            g->changes[lane] = develops || (acts && !o->frozen);
            g->rewards[lane] = acts ? (float)rewards[k] : 0;
            if (develops) fluctuate(net, g, lane, &net->rng[k]);
            for (int j = 0; acts && j < o->inputs; j++) g->seen[j * lanes + lane] = (float)x[k * o->inputs + j];
            awake += acts || develops;
        }
        if (awake == 0) continue;
        net->kernels->lndp_update_f32(&g->nets, g->changes, g->rewards);
        net->kernels->lndp_propagate_f32(&g->nets, g->seen);
        for (int lane = 0; lane < count; lane++) {
            for (int j = 0; phases[from + lane] == GLIA_LNDP_ACTS && j < o->outputs; j++) {
                const int node = o->nodes - o->outputs + j;
                y[(from + lane) * o->outputs + j] = (double)g->nets.node[(node * net->width + last) * lanes + lane];
            }
        }
    }
}

/* The same for all nets. */
static void set_phases(glia_lndp *net, glia_lndp_phase phase) {
    for (int k = 0; k < net->opts.nets; k++) net->phases[k] = phase;
}

void glia_lndp_develop(glia_lndp *net, int64_t steps) {
    if (!net) return;
    set_phases(net, GLIA_LNDP_DEVELOPS);
    for (int64_t t = 0; t < steps; t++) glia_lndp_step(net, net->phases, NULL, NULL, NULL);
}

void glia_lndp_act(glia_lndp *net, const double *rewards, const double *x, double *y) {
    if (!net || !rewards || !x || !y) return;
    set_phases(net, GLIA_LNDP_ACTS);
    glia_lndp_step(net, net->phases, rewards, x, y);
}

/* ---- what there is to see ------------------------------------------------------------------------------------- */

bool glia_lndp_edge(const glia_lndp *net, int which, int i, int k, double *weight) {
    int lane;
    const glia_lndp_nets *nets = &group_of(net, which, &lane)->nets;
    const int p = net->place[i * nets->nodes + k], lanes = net->lanes;
    *weight = p < nets->places ? (double)nets->e[p * nets->edge_features * lanes + lane] : 0;
    return nets->a[p * lanes + lane] != 0;
}

static bool is_net(const glia_lndp *net, int which) { return net && which >= 0 && which < net->opts.nets; }

int glia_lndp_edges(const glia_lndp *net, int which) {
    int edges = 0, lane;
    if (!is_net(net, which)) return 0;
    const glia_lndp_nets *nets = &group_of(net, which, &lane)->nets;
    for (int p = 0; p < nets->places; p++) edges += nets->a[p * net->lanes + lane] != 0;
    return edges;
}

int glia_lndp_places(const glia_lndp *net) { return net ? net->group->nets.places : 0; }

void glia_lndp_weights(const glia_lndp *net, int which, double *weights) {
    if (!is_net(net, which) || !weights) return;
    const int n = net->opts.nodes;
    for (int i = 0; i < n * n; i++) glia_lndp_edge(net, which, i / n, i % n, &weights[i]);
}
