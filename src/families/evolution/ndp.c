/* ndp.c - neural developmental programs (Najarro, Sudhakaran and Risi 2023): growth, and the grown net. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "families/evolution/growth.h"

/* ---- options and genomes ------------------------------------------------------------------------------ */

bool glia_ndp_fill_in(glia_ndp_opts *o) {
    enum { MOST = 4096 };
    if (!o->embedding) o->embedding = 5;
    if (!o->hidden) o->hidden = 5;
    if (!o->cycles) o->cycles = 5;
    if (!o->most) o->most = 256;
    o->growth_steps = (int)glia_option_count(o->growth_steps, 5);
    o->rollout_steps = (int)glia_option_count(o->rollout_steps, 5);
    o->loop = o->binary ? 1 : glia_option(o->loop, -0.9);
    return o->embedding > 0 && o->embedding <= 256 && o->hidden > 0 && o->hidden <= 256 && o->cycles > 0 &&
           o->cycles <= 64 && o->growth_steps >= 0 && o->growth_steps <= MOST && o->rollout_steps >= 0 &&
           o->rollout_steps <= MOST && o->most > 0 && o->most <= MOST && isfinite(o->loop);
}

static int net_size(int in, int hidden, int out) { return hidden * in + hidden + out * hidden + out; }

int glia_ndp_parameters(glia_ndp_opts o) {
    if (!glia_ndp_fill_in(&o)) return 0;
    const int e = o.embedding, h = o.hidden;
    return e + net_size(e, h, 1) + net_size(e, h, e) + (o.binary ? 0 : net_size(2 * e, h, 1));
}

/* A net of the genome: y = tanh(W2 tanh(W1 x + b1) + b2). */
static void run_net(const double *net, const double *x, int in, int hidden, int out, double *y) {
    double between[256];
    const double *w1 = net, *b1 = w1 + hidden * in, *w2 = b1 + hidden, *b2 = w2 + out * hidden;
    for (int k = 0; k < hidden; k++) {
        double sum = b1[k];
        for (int i = 0; i < in; i++) sum += w1[k * in + i] * x[i];
        between[k] = tanh(sum);
    }
    for (int k = 0; k < out; k++) {
        double sum = b2[k];
        for (int i = 0; i < hidden; i++) sum += w2[k * hidden + i] * between[i];
        y[k] = tanh(sum);
    }
}

/* ---- the graph --------------------------------------------------------------------------------------------- */

/* Distances from one node, -1 where there is no path; queue (n). Returns the largest. */
static int distances_from(const double *a, int stride, int n, int from, int *distance, int *queue) {
    int head = 0, tail = 0;
    for (int i = 0; i < n; i++) distance[i] = -1;
    distance[from] = 0;
    queue[tail++] = from;
    while (head < tail && tail < n) {
        const int at = queue[head++];
        for (int k = 0; k < n; k++) {
            if (a[at * stride + k] == 0 || distance[k] >= 0) continue;
            distance[k] = distance[at] + 1;
            queue[tail++] = k;
        }
    }
    return distance[queue[tail - 1]];
}

bool glia_graph_connected(const double *a, int stride, int n, int *work) {
    distances_from(a, stride, n, 0, work, work + n);
    for (int k = 0; k < n; k++) {
        if (work[k] < 0) return false;
    }
    return true;
}

double glia_graph_paths(const double *a, int stride, int n, int *work, int *diameter) {
    double sum = 0;
    *diameter = 0;
    for (int i = 0; i < n; i++) {
        const int furthest = distances_from(a, stride, n, i, work, work + n);
        *diameter = furthest > *diameter ? furthest : *diameter;
        for (int k = 0; k < n; k++) {
            if (work[k] < 0) return INFINITY;
            sum += work[k];
        }
    }
    return n > 1 ? sum / ((double)n * (n - 1)) : 0;
}

/* ---- growth -------------------------------------------------------------------------------------------------- */

typedef struct growing {
    const glia_ndp_opts *o;
    const double *decide, *embed, *weigh; /* the nets; weigh NULL: binary */
    double *a, *s, *mixed;                /* (most, most), (most, embedding), (most, embedding) */
    int *work;                            /* (2 most) */
    int n;
} growing;

/* S <- f(A' S) */
static void propagate(growing *g) {
    const int e = g->o->embedding, most = g->o->most;
    memset(g->mixed, 0, (size_t)(g->n * e) * sizeof *g->mixed);
    for (int i = 0; i < g->n; i++) {
        for (int k = 0; k < g->n; k++) {
            const double weight = g->a[i * most + k];
            if (weight == 0) continue;
            for (int j = 0; j < e; j++) g->mixed[k * e + j] += weight * g->s[i * e + j];
        }
    }
    for (int i = 0; i < g->n; i++) run_net(g->embed, g->mixed + i * e, e, g->o->hidden, e, g->s + i * e);
}

/* A child of node i, linked to it and to its neighbours among the first `before` nodes. */
static void add_child(growing *g, int i, int before) {
    const int e = g->o->embedding, most = g->o->most, child = g->n++;
    double *state = g->s + child * e;
    int neighbours = 0;
    memset(state, 0, (size_t)e * sizeof *state);
    for (int k = 0; k < before; k++) {
        if (k != i && g->a[i * most + k] == 0) continue;
        neighbours++;
        for (int j = 0; j < e; j++) state[j] += g->s[k * e + j];
        g->a[k * most + child] = g->a[child * most + k] = 1;
    }
    for (int j = 0; j < e; j++) state[j] /= neighbours;
}

static void weigh(growing *g) {
    const int e = g->o->embedding, most = g->o->most;
    double both[512];
    for (int i = 0; g->weigh && i < g->n; i++) {
        for (int k = i; k < g->n; k++) {
            if (g->a[i * most + k] == 0) continue;
            double weight;
            memcpy(both, g->s + i * e, (size_t)e * sizeof *both);
            memcpy(both + e, g->s + k * e, (size_t)e * sizeof *both);
            run_net(g->weigh, both, 2 * e, g->o->hidden, 1, &weight);
            g->a[i * most + k] = g->a[k * most + i] = weight;
        }
    }
}

static void grow_cycle(growing *g, bool *spawns) {
    const int e = g->o->embedding, before = g->n;
    int diameter;
    glia_graph_paths(g->a, g->o->most, g->n, g->work, &diameter);
    for (int t = 0; t < diameter + g->o->growth_steps; t++) propagate(g);
    for (int i = 0; i < before; i++) {
        double wish;
        run_net(g->decide, g->s + i * e, e, g->o->hidden, 1, &wish);
        spawns[i] = wish > 0;
    }
    for (int i = 0; i < before && g->n < g->o->most; i++) {
        if (spawns[i]) add_child(g, i, before);
    }
    weigh(g);
}

/* Copies what has grown out of the working memory. */
static glia_grown *harvest(const growing *g, int *sizes) {
    const int n = g->n, e = g->o->embedding;
    glia_grown *out = calloc(1, sizeof *out);
    if (!out) return NULL;
    *out = (glia_grown){ .n = n, .cycles = g->o->cycles, .sizes = sizes };
    out->weights = malloc((size_t)(n * n) * sizeof *out->weights);
    out->states = malloc((size_t)(n * e) * sizeof *out->states);
    if (!out->weights || !out->states) {
        out->sizes = NULL;
        glia_grown_free(out);
        return NULL;
    }
    for (int i = 0; i < n; i++) memcpy(out->weights + i * n, g->a + i * g->o->most, (size_t)n * sizeof *g->a);
    memcpy(out->states, g->s, (size_t)(n * e) * sizeof *g->s);
    glia_graph_paths(g->a, g->o->most, n, g->work, &out->diameter);
    return out;
}

static glia_status check_genome(const double *genome, int n, const glia_ndp_opts *o, bool valid, glia_error *error) {
    if (!valid) return glia_fail(error, GLIA_E_ARGUMENT, "ndp: an option is outside its domain");
    const int wanted = glia_ndp_parameters(*o);
    if (n != wanted)
        return glia_fail(error, GLIA_E_ARGUMENT, "ndp: a genome of %d numbers, where %d are needed", n, wanted);
    for (int i = 0; i < n; i++)
        if (!isfinite(genome[i])) return glia_fail(error, GLIA_E_ARGUMENT, "ndp: genome[%d] is %g", i, genome[i]);
    return GLIA_OK;
}

glia_grown *glia_ndp_grow(const double *genome, int n, glia_ndp_opts opts, glia_error *error) {
    if (!genome) return glia_fail_null(error, "genome"), NULL;
    const glia_ndp_opts given = opts;
    const bool valid = glia_ndp_fill_in(&opts);
    if (check_genome(genome, n, &given, valid, error) != GLIA_OK) return NULL;
    const size_t most = (size_t)opts.most, e = (size_t)opts.embedding;
    double *memory = calloc(most * most + 2 * most * e, sizeof *memory);
    int *work = malloc(2 * most * sizeof *work), *sizes = malloc(((size_t)opts.cycles + 1) * sizeof *sizes);
    bool *spawns = malloc(most * sizeof *spawns);
    glia_grown *out = NULL;
    if (memory && work && sizes && spawns) {
        growing g = { .o = &opts, .a = memory, .s = memory + most * most, .work = work, .n = 1 };
        g.mixed = g.s + most * e;
        g.decide = genome + e;
        g.embed = g.decide + net_size((int)e, opts.hidden, 1);
        g.weigh = opts.binary ? NULL : g.embed + net_size((int)e, opts.hidden, (int)e);
        memcpy(g.s, genome, e * sizeof *genome);
        g.a[0] = opts.loop;
        sizes[0] = 1;
        for (int c = 0; c < opts.cycles; c++) {
            grow_cycle(&g, spawns);
            sizes[c + 1] = g.n;
        }
        out = harvest(&g, sizes);
    }
    if (!out) {
        free(sizes);
        glia_fail_nomem(error);
    }
    free(memory);
    free(work);
    free(spawns);
    return out;
}

void glia_grown_free(glia_grown *grown) {
    if (!grown) return;
    free(grown->weights);
    free(grown->states);
    free(grown->sizes);
    free(grown);
}

int glia_grown_edges(const glia_grown *grown) {
    int edges = 0;
    for (int i = 0; grown && i < grown->n; i++) {
        for (int k = i; k < grown->n; k++) edges += grown->weights[i * grown->n + k] != 0;
    }
    return edges;
}

bool glia_grown_run(const glia_grown *grown, glia_ndp_opts opts, double *values, const double *x, int inputs, double *y,
                    int outputs) {
    if (!grown || !values || !x || !y || inputs < 0 || outputs < 0 || !glia_ndp_fill_in(&opts)) return false;
    const int n = grown->n;
    double next[4096];
    if (inputs > n - outputs || n > (int)(sizeof next / sizeof *next)) return false;
    memcpy(values, x, (size_t)inputs * sizeof *x);
    for (int t = 0; t < grown->diameter + opts.rollout_steps; t++) {
        memset(next, 0, (size_t)n * sizeof *next);
        for (int i = 0; i < n; i++) {
            const double *row = grown->weights + i * n, value = values[i];
            for (int k = 0; k < n; k++) next[k] += row[k] * value;
        }
        for (int k = inputs; k < n; k++) values[k] = tanh(next[k]);
    }
    memcpy(y, values + n - outputs, (size_t)outputs * sizeof *y);
    return true;
}
