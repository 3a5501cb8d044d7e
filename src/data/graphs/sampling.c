/* sampling.c - parts of large graphs to learn from: sampled neighbours, and clusters.
 *
 * Hamilton et al. 2017, "Inductive representation learning on large graphs": the nodes of a batch, at most fanout[0] of
 * the edges into each, at most fanout[1] of those into the nodes found so, and so on. The part's first nodes are the
 * batch. An edge is in the part once, with its values.
 */
#include <stdlib.h>
#include <string.h>

#include "data/graphs/graph_data.h"

enum { STREAM = 0x73616D70, CLUSTERS = 0x636C7573 };

struct glia_graph_sampler {
    const glia_graph_data *data;
    int64_t *place; /* (nodes): 1 + the number in the part; 0: not in it */
    int32_t *nodes; /* of the part, in order of discovery */
    int64_t n, capacity;
    int64_t *edges; /* those taken, as in `data`, by target in order of discovery */
    int32_t *ends;  /* (n + 1): of the edges of each node of the part */
    int64_t n_edges, edge_capacity;
    int64_t *picked; /* (largest degree) */
};

void glia_graph_sampler_free(glia_graph_sampler *s) {
    if (!s) return;
    free(s->place);
    free(s->nodes);
    free(s->edges);
    free(s->ends);
    free(s->picked);
    free(s);
}

glia_graph_sampler *glia_graph_sampler_create(const glia_graph_data *data, glia_error *error) {
    if (!data) {
        glia_fail_null(error, "data");
        return NULL;
    }
    int32_t most = 0;
    for (int64_t v = 0; v < data->nodes; v++) most = GLIA_MAX(most, data->offsets[v + 1] - data->offsets[v]);
    glia_graph_sampler *s = calloc(1, sizeof *s);
    if (s) {
        s->data = data;
        s->place = calloc((size_t)data->nodes, sizeof *s->place);
        s->picked = malloc(((size_t)most + 1) * sizeof *s->picked);
    }
    if (s && s->place && s->picked) return s;
    glia_graph_sampler_free(s);
    glia_fail_nomem(error);
    return NULL;
}

/* Makes room for one more of both lists' items. */
static bool grow(void **items, int64_t n, int64_t *capacity, size_t bytes) {
    if (n < *capacity) return true;
    const int64_t wanted = *capacity ? 2 * *capacity : 1024;
    void *more = realloc(*items, (size_t)wanted * bytes);
    if (!more) return false;
    *items = more;
    *capacity = wanted;
    return true;
}

static bool discover(glia_graph_sampler *s, int32_t node) {
    if (s->place[node]) return true;
    const int64_t before = s->capacity;
    if (!grow((void **)&s->nodes, s->n, &s->capacity, sizeof *s->nodes)) return false;
    if (before != s->capacity) {
        int32_t *ends = realloc(s->ends, ((size_t)s->capacity + 1) * sizeof *ends);
        if (!ends) {
            s->capacity = before;
            return false;
        }
        s->ends = ends;
    }
    s->nodes[s->n++] = node;
    s->place[node] = s->n;
    return true;
}

/* At most `fanout` of the edges into a node, without replacement (Floyd), in rising order. */
static int64_t pick(glia_graph_sampler *s, int32_t node, int64_t fanout, glia_rng *rng) {
    const int64_t first = s->data->offsets[node], degree = s->data->offsets[node + 1] - first;
    const int64_t n = GLIA_MIN(degree, fanout);
    for (int64_t i = 0; i < n; i++) {
        int64_t e = n == degree ? i : (int64_t)glia_rng_below(rng, (uint64_t)(degree - n + i + 1));
        bool taken = false;
        for (int64_t k = 0; n < degree && k < i; k++) taken |= s->picked[k] == first + e;
        s->picked[i] = first + (taken ? degree - n + i : e);
    }
    for (int64_t i = 1; i < n; i++) { /* by insertion: fanouts are small */
        const int64_t e = s->picked[i];
        int64_t at = i;
        for (; at > 0 && s->picked[at - 1] > e; at--) s->picked[at] = s->picked[at - 1];
        s->picked[at] = e;
    }
    return n;
}

static bool expand(glia_graph_sampler *s, const int *fanouts, int layers, glia_rng *rng) {
    int64_t from = 0;
    s->n_edges = 0;
    for (int layer = 0; layer < layers; layer++) {
        const int64_t end = s->n;
        for (; from < end; from++) {
            s->ends[from] = (int32_t)s->n_edges;
            const int64_t n = pick(s, s->nodes[from], fanouts[layer], rng);
            for (int64_t i = 0; i < n; i++) {
                if (!grow((void **)&s->edges, s->n_edges, &s->edge_capacity, sizeof *s->edges) ||
                    !discover(s, s->data->sources[s->picked[i]]))
                    return false;
                s->edges[s->n_edges++] = s->picked[i];
            }
        }
    }
    for (; from <= s->n; from++) s->ends[from] = (int32_t)s->n_edges;
    return true;
}

/* The part as data of its own. Sources of a node keep the order of the whole graph, which may not be rising. */
static glia_graph_data *make_part(glia_graph_sampler *s, glia_error *error) {
    glia_graph_data *part = glia_graph_blank(s->data, 1, s->n, s->n_edges);
    int64_t *nodes = malloc((size_t)s->n * sizeof *nodes);
    glia_status status = part && nodes ? GLIA_OK : glia_fail_nomem(error);
    for (int64_t i = 0; status == GLIA_OK && i < s->n; i++) nodes[i] = s->nodes[i];
    for (int64_t e = 0; status == GLIA_OK && e < s->n_edges; e++)
        part->sources[e] = (int32_t)(s->place[s->data->sources[s->edges[e]]] - 1);
    if (status == GLIA_OK) {
        memcpy(part->offsets, s->ends, ((size_t)s->n + 1) * sizeof *s->ends);
        part->starts[1] = (int32_t)s->n;
        part->symmetric = false;
        status = glia_graph_copy_arrays(part, s->data, GLIA_OF_NODES, nodes, error);
    }
    if (status == GLIA_OK) status = glia_graph_copy_arrays(part, s->data, GLIA_OF_EDGES, s->edges, error);
    free(nodes);
    if (status == GLIA_OK) return part;
    glia_graph_data_free(part);
    return NULL;
}

glia_graph_data *glia_graph_sample(glia_graph_sampler *s, const int32_t *nodes, int64_t n, const int *fanouts,
                                   int layers, uint64_t seed, glia_error *error) {
    if (!s || !nodes || !fanouts || n < 1 || layers < 1) {
        glia_fail(error, GLIA_E_ARGUMENT, "glia_graph_sample: needs a sampler, nodes and fanouts");
        return NULL;
    }
    glia_rng rng = { .seed = seed, .stream = STREAM };
    s->n = 0;
    bool good = true, right = true;
    for (int64_t i = 0; good && right && i < n; i++) {
        right = nodes[i] >= 0 && nodes[i] < s->data->nodes && !s->place[nodes[i]];
        good = right && discover(s, nodes[i]);
    }
    for (int i = 0; i < layers; i++) right &= fanouts[i] > 0;
    glia_graph_data *part = NULL;
    if (!right)
        glia_fail(error, GLIA_E_ARGUMENT, "glia_graph_sample: nodes must be there and different, fanouts 1 or more");
    else if (good && expand(s, fanouts, layers, &rng))
        part = make_part(s, error);
    else
        glia_fail_nomem(error);
    for (int64_t i = 0; i < s->n; i++) s->place[s->nodes[i]] = 0;
    return part;
}

/* ---- clusters ---------------------------------------------------------------------------------------- */

glia_status glia_graph_clusters(const glia_graph_data *d, int64_t clusters, uint64_t seed, int32_t *cluster,
                                glia_error *error) {
    if (!d || !cluster) return glia_fail_null(error, d ? "cluster" : "data");
    if (clusters < 1 || clusters > d->nodes)
        return glia_fail(error, GLIA_E_ARGUMENT, "%lld nodes cannot be %lld clusters", (long long)d->nodes,
                         (long long)clusters);
    const int64_t most = (d->nodes + clusters - 1) / clusters;
    int32_t *queue = malloc((size_t)d->nodes * sizeof *queue);
    if (!queue) return glia_fail_nomem(error);
    glia_rng rng = { .seed = seed, .stream = CLUSTERS };
    for (int64_t v = 0; v < d->nodes; v++) cluster[v] = -1;
    int64_t next = 0, start = (int64_t)glia_rng_below(&rng, (uint64_t)d->nodes);
    for (int64_t left = d->nodes, c = 0; left > 0; c++) { /* breadth first, until the cluster is full */
        int64_t n = 0, at = 0, members = 0;
        while (members < most && left > 0) {
            if (at == n) {
                while (cluster[(start + next) % d->nodes] >= 0) next++;
                queue[n++] = (int32_t)((start + next) % d->nodes);
                cluster[queue[at]] = (int32_t)c;
                members++;
                left--;
            }
            const int32_t v = queue[at++];
            for (int32_t e = d->offsets[v]; e < d->offsets[v + 1] && members < most && left > 0; e++) {
                if (cluster[d->sources[e]] >= 0) continue;
                cluster[d->sources[e]] = (int32_t)c;
                queue[n++] = d->sources[e];
                members++;
                left--;
            }
        }
    }
    free(queue);
    return GLIA_OK;
}
