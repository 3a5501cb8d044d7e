/* lndp.c - lifelong developmental programs: genomes, lives, drawings. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "families/evolution/lndp.h"

/* ---- options and genomes --------------------------------------------------------------------------------- */

/* Defaults; false: an option is outside its domain. */
static bool fill_in(glia_lndp_opts *o) {
    if (o->nodes == 0) o->nodes = 32;
    if (o->node_features == 0) o->node_features = 8;
    if (o->edge_features == 0) o->edge_features = 4;
    if (o->propagation == 0) o->propagation = 3;
    o->density = o->density == 0 ? 0.1 : o->density == GLIA_ZERO ? 0 : o->density;
    return o->inputs > 0 && o->outputs > 0 && o->nodes <= 256 && o->inputs < o->nodes - o->outputs &&
           o->node_features > 0 && o->node_features <= 64 && o->edge_features > 0 &&
           o->edge_features <= LNDP_EDGE_MOST && o->propagation > 0 && o->propagation <= 16 && o->density >= 0 &&
           o->density <= 1;
}

static glia_lndp_parts parts_of(const glia_lndp_opts *o) {
    const int f = o->node_features, e = o->edge_features, seen = o->propagation + 1 + f, n = o->inputs;
    glia_lndp_parts p;
    int at = 0;
#define PART(name, count) p.name = at, at += (count)
    PART(perceive, f * (LNDP_MARKS + seen));
    PART(perceive_bias, f);
    PART(query, LNDP_HEADS * LNDP_KEY * f);
    PART(key, LNDP_HEADS * LNDP_KEY * f);
    PART(value, LNDP_HEADS * LNDP_VALUE * f);
    PART(attend, LNDP_HEADS * (e + 3));
    PART(attend_bias, LNDP_HEADS);
    PART(merge, f * LNDP_HEADS * LNDP_VALUE);
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
    PART(add_from, LNDP_HIDDEN * f);
    PART(add_to, LNDP_HIDDEN * f);
    PART(add_bias, LNDP_HIDDEN);
    PART(add_out, LNDP_HIDDEN + 1);
    PART(prune_in, LNDP_HIDDEN * e);
    PART(prune_bias, LNDP_HIDDEN);
    PART(prune_out, LNDP_HIDDEN + 1);
    PART(noise_mean, n);
    PART(noise_rate, n);
    PART(noise_scale, n * n);
#undef PART
    p.numbers = at;
    return p;
}

int glia_lndp_parameters(glia_lndp_opts opts) { return fill_in(&opts) ? parts_of(&opts).numbers : 0; }

static glia_status check_genome(const double *genome, int n, int wanted, glia_error *error) {
    if (n != wanted)
        return glia_fail(error, GLIA_E_ARGUMENT, "lndp: a genome of %d numbers, where %d are needed", n, wanted);
    for (int i = 0; i < n; i++) {
        if (!(fabs(genome[i]) <= 1e6)) /* larger ones could overflow */
            return glia_fail(error, GLIA_E_ARGUMENT, "lndp: genome[%d] is %g", i, genome[i]);
    }
    return GLIA_OK;
}

/* Edges lead from inputs to hidden nodes, between these, and from them to outputs. */
static void allow_edges(glia_lndp *net) {
    const int first = net->opts.inputs, last = net->n - net->opts.outputs;
    for (int i = 0; i < last; i++) {
        for (int k = first; k < (i < first ? last : net->n); k++) net->allowed[i * net->stride + k] = i != k;
    }
    for (int i = 0; i < first; i++) net->marks[3 * net->stride + i] = 1;
    for (int i = last; i < net->n; i++) net->marks[4 * net->stride + i] = 1;
}

/* Divides one block of memory. */
static bool divide(glia_lndp *net) {
    const size_t s = (size_t)net->stride, plane = (size_t)net->n * s, e = (size_t)net->edge_features;
    const size_t rows = (size_t)(LNDP_MARKS + net->seen) * s, genome = (size_t)net->part.numbers;
    net->memory =
        calloc(rows + (e + 3) * plane + glia_lndp_work(net) + genome + (size_t)net->opts.inputs, sizeof *net->memory);
    if (!net->memory) return false;
    net->marks = net->memory;
    net->activity = net->marks + LNDP_MARKS * s;
    net->h = net->activity + (size_t)(net->opts.propagation + 1) * s;
    net->e = net->marks + rows;
    net->a = net->e + e * plane;
    net->turned = net->a + plane;
    net->allowed = net->turned + plane;
    net->work = net->allowed + plane;
    net->genome = net->work + glia_lndp_work(net);
    net->spontaneous = net->genome + genome;
    return true;
}

glia_lndp *glia_lndp_create(const double *genome, int n, glia_lndp_opts opts, glia_error *error) {
    if (!genome) return glia_fail_null(error, "genome"), NULL;
    if (!fill_in(&opts)) return glia_fail(error, GLIA_E_ARGUMENT, "lndp: an option is outside its domain"), NULL;
    const glia_lndp_parts part = parts_of(&opts);
    if (check_genome(genome, n, part.numbers, error) != GLIA_OK) return NULL;
    glia_lndp *net = calloc(1, sizeof *net);
    if (net) {
        net->opts = opts;
        net->part = part;
        net->n = opts.nodes;
        net->stride = glia_lndp_stride(opts.nodes);
        net->features = opts.node_features;
        net->edge_features = opts.edge_features;
        net->seen = opts.propagation + 1 + opts.node_features;
    }
    if (!net || !divide(net)) {
        free(net);
        glia_fail_nomem(error);
        return NULL;
    }
    for (int i = 0; i < n; i++) net->genome[i] = (float)genome[i];
    allow_edges(net);
    glia_lndp_begin(net, 0);
    return net;
}

void glia_lndp_free(glia_lndp *net) {
    if (!net) return;
    free(net->memory);
    free(net);
}

/* ---- a life --------------------------------------------------------------------------------------------------- */

/* Noise whose covariance the genome gives: x += scale z. */
static void add_noise(glia_lndp *net) {
    const int n = net->opts.inputs;
    const float *scale = net->genome + net->part.noise_scale;
    for (int k = 0; k < n; k++) {
        const float z = (float)glia_rng_normal(&net->rng);
        for (int i = 0; i < n; i++) net->spontaneous[i] += fminf(fmaxf(scale[i * n + k], -1), 1) * z;
    }
}

void glia_lndp_begin(glia_lndp *net, uint64_t seed) {
    enum { LIFE = 0x6C6E };
    if (!net) return;
    const int s = net->stride, n = net->n;
    net->rng = (glia_rng){ .seed = seed, .stream = LIFE };
    memset(net->activity, 0, (size_t)((net->opts.propagation + 1) * s) * sizeof *net->activity);
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < n; k++) {
            if (net->allowed[i * s + k] == 0) continue;
            net->a[i * s + k] = net->turned[k * s + i] = glia_rng_uniform(&net->rng) < net->opts.density;
        }
    }
    for (int f = 0; f < net->features; f++) {
        for (int i = 0; i < n; i++) net->h[f * s + i] = (float)(2 * glia_rng_uniform(&net->rng) - 1);
    }
    for (int f = 0; f < net->edge_features; f++) {
        for (int i = 0; i < n * s; i++)
            net->e[f * n * s + i] = net->a[i] != 0 ? (float)(2 * glia_rng_uniform(&net->rng) - 1) : 0;
    }
    memset(net->spontaneous, 0, (size_t)net->opts.inputs * sizeof *net->spontaneous);
    add_noise(net);
}

void glia_lndp_develop(glia_lndp *net, int64_t steps) {
    for (int64_t t = 0; net && t < steps; t++) {
        const float *mean = net->genome + net->part.noise_mean, *rate = net->genome + net->part.noise_rate;
        for (int i = 0; i < net->opts.inputs; i++)
            net->spontaneous[i] += fminf(fmaxf(rate[i], 0), 1) * (mean[i] - net->spontaneous[i]);
        add_noise(net);
        glia_lndp_update(net, 0);
        glia_lndp_propagate(net, net->spontaneous);
    }
}

void glia_lndp_act(glia_lndp *net, double reward, const double *x, double *y) {
    float seen[256];
    if (!net || !x || !y) return;
    for (int i = 0; i < net->opts.inputs; i++) seen[i] = (float)x[i];
    if (!net->opts.frozen) glia_lndp_update(net, (float)reward);
    glia_lndp_propagate(net, seen);
    const float *last = net->activity + net->opts.propagation * net->stride + net->n - net->opts.outputs;
    for (int i = 0; i < net->opts.outputs; i++) y[i] = (double)last[i];
}

int glia_lndp_edges(const glia_lndp *net) {
    int edges = 0;
    for (int i = 0; net && i < net->n * net->stride; i++) edges += net->a[i] != 0;
    return edges;
}

int glia_lndp_places(const glia_lndp *net) {
    int places = 0;
    for (int i = 0; net && i < net->n * net->stride; i++) places += net->allowed[i] != 0;
    return places;
}

void glia_lndp_weights(const glia_lndp *net, double *weights) {
    if (!net || !weights) return;
    for (int i = 0; i < net->n; i++) {
        for (int k = 0; k < net->n; k++) weights[i * net->n + k] = (double)net->e[i * net->stride + k];
    }
}
