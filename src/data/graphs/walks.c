/* walks.c - random walks on a graph, of second order: Grover and Leskovec 2016, "node2vec".
 *
 * A step from v, reached from t, goes to a neighbour x in proportion to the edge's weight times 1/p if x is t, 1 if t
 * and x are neighbours, else 1/q. A neighbour is drawn by weights and kept with the second factor, divided by the
 * largest of the three, as probability; so no table of pairs of edges is needed (Yang et al. 2019, "KnightKing").
 */
#include <math.h>
#include <stdlib.h>

#include "data/graphs/graph_data.h"

enum { STREAM = 0x77616c6b };

/* Edges by their source: where a walk can go. */
typedef struct ways {
    int64_t nodes;
    const int32_t *offsets, *to; /* (nodes + 1), (edges), sorted within a node */
    double *sums;                /* (edges): of weights, up to and including each; NULL: all weights are 1 */
    int32_t *own_offsets, *own_to;
    double most, back, out; /* the largest factor; 1/p, 1/q */
} ways;

static void free_ways(ways *w) {
    free(w->sums);
    free(w->own_offsets);
    free(w->own_to);
}

/* Transposes the edges, which are sorted by target. */
static bool transpose(ways *w, const glia_graph_data *d, const float *weights) {
    w->own_offsets = calloc((size_t)d->nodes + 2, sizeof *w->own_offsets);
    w->own_to = malloc(((size_t)d->edges + 1) * sizeof *w->own_to);
    if (weights) w->sums = malloc(((size_t)d->edges + 1) * sizeof *w->sums);
    if (!w->own_offsets || !w->own_to || (weights && !w->sums)) return false;
    int32_t *at = w->own_offsets + 1; /* of the next edge of each node, in the end of the first of the next one */
    for (int64_t e = 0; e < d->edges; e++) at[d->sources[e] + 1]++;
    for (int64_t v = 0; v < d->nodes; v++) at[v + 1] += at[v];
    for (int64_t v = 0; v < d->nodes; v++) {
        for (int32_t e = d->offsets[v]; e < d->offsets[v + 1]; e++) {
            const int32_t place = at[d->sources[e]]++;
            w->own_to[place] = (int32_t)v;
            if (weights) w->sums[place] = (double)weights[e];
        }
    }
    w->offsets = w->own_offsets;
    w->to = w->own_to;
    return true;
}

static glia_status add_up(ways *w, glia_error *error) {
    for (int64_t v = 0; w->sums && v < w->nodes; v++) {
        double sum = 0;
        for (int32_t e = w->offsets[v]; e < w->offsets[v + 1]; e++) {
            if (!(w->sums[e] >= 0) || !isfinite(w->sums[e]))
                return glia_fail(error, GLIA_E_ARGUMENT,
                                 "a walk along the edge %lld to %d with weight %g is impossible", (long long)v,
                                 (int)w->to[e], w->sums[e]);
            sum += w->sums[e];
            w->sums[e] = sum;
        }
    }
    return GLIA_OK;
}

static glia_status open_ways(ways *w, const glia_graph_data *d, const glia_walk_opts *o, glia_error *error) {
    glia_array a;
    const bool weighted = glia_graph_data_find(d, GLIA_OF_EDGES, "weight", &a) && a.dtype == GLIA_F32;
    const double p = glia_option(o->p, 1), q = glia_option(o->q, 1);
    *w = (ways){ .nodes = d->nodes, .offsets = d->offsets, .to = d->sources, .back = 1 / p, .out = 1 / q };
    if (!(p > 0) || !(q > 0) || !isfinite(p) || !isfinite(q))
        return glia_fail(error, GLIA_E_ARGUMENT, "walks: p and q must be above 0");
    w->most = fmax(1, fmax(w->back, w->out));
    if ((weighted || !d->symmetric) && !transpose(w, d, weighted ? a.data : NULL)) return glia_fail_nomem(error);
    return add_up(w, error);
}

/* A neighbour of v by weights; -1: there is none. */
static int32_t draw(const ways *w, int32_t v, glia_rng *rng) {
    int32_t first = w->offsets[v], last = w->offsets[v + 1];
    if (first == last) return -1;
    if (!w->sums) return w->to[first + (int32_t)glia_rng_below(rng, (uint64_t)(last - first))];
    const double all = w->sums[last - 1], point = all * glia_rng_uniform(rng);
    if (!(all > 0)) return -1;
    for (last--; first < last;) {
        const int32_t middle = first + (last - first) / 2;
        if (w->sums[middle] > point)
            last = middle;
        else
            first = middle + 1;
    }
    return w->to[first];
}

static bool leads(const ways *w, int32_t from, int32_t to) {
    int32_t first = w->offsets[from], last = w->offsets[from + 1];
    while (first < last) {
        const int32_t middle = first + (last - first) / 2;
        if (w->to[middle] == to) return true;
        if (w->to[middle] < to)
            first = middle + 1;
        else
            last = middle;
    }
    return false;
}

static int32_t next_node(const ways *w, int32_t before, int32_t v, glia_rng *rng) {
    if (before < 0 || (w->back == 1 && w->out == 1)) return draw(w, v, rng);
    for (;;) {
        const int32_t x = draw(w, v, rng);
        if (x < 0) return x;
        const double point = w->most * glia_rng_uniform(rng);
        const double factor = x == before ? w->back : point < fmin(1, w->out) || leads(w, before, x) ? 1 : w->out;
        if (point < factor) return x;
    }
}

glia_status glia_graph_walks(const glia_graph_data *data, glia_walk_opts opts, int32_t *walks, glia_error *error) {
    if (!data || !walks) return glia_fail_null(error, !data ? "data" : "walks");
    if (opts.walks < 1 || opts.length < 1)
        return glia_fail(error, GLIA_E_ARGUMENT, "walks: at least one walk of one node is needed");
    ways w;
    glia_status status = open_ways(&w, data, &opts, error);
    for (int64_t i = 0; status == GLIA_OK && i < opts.walks * data->nodes; i++) {
        glia_rng rng = { .seed = opts.seed, .stream = STREAM + ((uint64_t)i << 32) };
        int32_t *walk = walks + i * opts.length, before = -1;
        walk[0] = (int32_t)(i % data->nodes);
        for (int64_t k = 1; k < opts.length; k++) {
            walk[k] = walk[k - 1] < 0 ? -1 : next_node(&w, before, walk[k - 1], &rng);
            before = walk[k - 1];
        }
    }
    free_ways(&w);
    return status;
}

/* ---- groups of nodes ------------------------------------------------------------------------------- */

glia_status glia_graph_modularity(const glia_graph_data *data, const int32_t *groups, double *modularity,
                                  glia_error *error) {
    if (!data || !groups || !modularity)
        return glia_fail_null(error, !data ? "data" : !groups ? "groups" : "modularity");
    int32_t n = 0;
    for (int64_t v = 0; v < data->nodes; v++) {
        if (groups[v] < 0 || groups[v] >= data->nodes)
            return glia_fail(error, GLIA_E_ARGUMENT, "node %lld is in group %d; groups are 0 to nodes - 1",
                             (long long)v, (int)groups[v]);
        n = GLIA_MAX(n, groups[v] + 1);
    }
    double *into = calloc(2 * (size_t)n, sizeof *into), within = 0;
    if (!into) return glia_fail_nomem(error);
    double *from = into + n;
    for (int64_t v = 0; v < data->nodes; v++) {
        for (int32_t e = data->offsets[v]; e < data->offsets[v + 1]; e++) {
            within += groups[v] == groups[data->sources[e]];
            into[groups[v]]++;
            from[groups[data->sources[e]]]++;
        }
    }
    const double all = (double)data->edges;
    *modularity = data->edges ? within / all : NAN;
    for (int32_t g = 0; g < n; g++) *modularity -= into[g] / all * (from[g] / all);
    free(into);
    return GLIA_OK;
}

static double entropy(const double *counts, int64_t n, double all) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum -= counts[i] > 0 ? counts[i] / all * log(counts[i] / all) : 0;
    return sum;
}

glia_status glia_normalized_mutual_information(const int32_t *a, const int32_t *b, int64_t n, double *information,
                                               glia_error *error) {
    if (!a || !b || !information) return glia_fail_null(error, !a ? "a" : !b ? "b" : "information");
    int64_t rows = 1, columns = 1, known = 0;
    for (int64_t i = 0; i < n; i++) {
        if (a[i] >= n || b[i] >= n)
            return glia_fail(error, GLIA_E_ARGUMENT, "item %lld is in group %d; groups are below the number of items",
                             (long long)i, (int)GLIA_MAX(a[i], b[i]));
        rows = GLIA_MAX(rows, a[i] + 1);
        columns = GLIA_MAX(columns, b[i] + 1);
        known += a[i] >= 0 && b[i] >= 0;
    }
    const size_t cells = (size_t)rows * (size_t)columns;
    double *joint = calloc(cells + (size_t)rows + (size_t)columns, sizeof *joint);
    if (!joint) return glia_fail_nomem(error);
    double *of_a = joint + cells, *of_b = of_a + rows;
    for (int64_t i = 0; i < n; i++) {
        if (a[i] < 0 || b[i] < 0) continue;
        joint[a[i] * columns + b[i]]++;
        of_a[a[i]]++;
        of_b[b[i]]++;
    }
    const double all = (double)known, ha = entropy(of_a, rows, all), hb = entropy(of_b, columns, all);
    const double shared = ha + hb - entropy(joint, (int64_t)cells, all);
    *information = !known ? NAN : ha + hb > 0 ? 2 * shared / (ha + hb) : 1;
    free(joint);
    return GLIA_OK;
}
