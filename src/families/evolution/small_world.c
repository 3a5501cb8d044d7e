/* small_world.c - how small a world a grown graph is, and its drawing. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "families/evolution/growth.h"

/* ---- the measure -------------------------------------------------------------------------------------- */

/* The share of pairs of neighbours that are linked, over all nodes (transitivity). Graphs have no self-loops here. */
static double clustering(const double *a, int n) {
    double closed = 0, pairs = 0;
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++) {
            for (int k = 0; a[i * n + j] != 0 && k < j; k++) {
                pairs += a[i * n + k] != 0;
                closed += a[i * n + k] != 0 && a[j * n + k] != 0;
            }
        }
    }
    return pairs > 0 ? closed / pairs : 0;
}

typedef struct edges {
    int *from, *to, n;
} edges;

/* Takes an edge out of the matrix, or puts it in. */
static void set_edge(double *a, int n, int i, int k, double value) { a[i * n + k] = a[k * n + i] = value; }

/* Exchanges ends of random pairs of edges, as many times as there are edges; degrees stay, and so does connection. */
static void rewire(double *a, int n, edges *e, int *work, glia_rng *rng) {
    for (int swaps = 0, tries = 0; swaps < e->n && tries < 20 * e->n; tries++) {
        const int p = (int)glia_rng_below(rng, (uint64_t)e->n), q = (int)glia_rng_below(rng, (uint64_t)e->n);
        const bool turned = glia_rng_below(rng, 2);
        const int i = e->from[p], j = e->to[p], k = turned ? e->to[q] : e->from[q], l = turned ? e->from[q] : e->to[q];
        if (i == k || i == l || j == k || j == l || a[i * n + l] != 0 || a[k * n + j] != 0) continue;
        set_edge(a, n, i, j, 0);
        set_edge(a, n, k, l, 0);
        set_edge(a, n, i, l, 1);
        set_edge(a, n, k, j, 1);
        if (!glia_graph_connected(a, n, n, work)) {
            set_edge(a, n, i, l, 0);
            set_edge(a, n, k, j, 0);
            set_edge(a, n, i, j, 1);
            set_edge(a, n, k, l, 1);
            continue;
        }
        e->to[p] = l;
        e->from[q] = k;
        e->to[q] = j;
        swaps++;
    }
}

double glia_grown_small_world(const glia_grown *grown, uint64_t seed, glia_error *error) {
    enum { GRAPHS = 10 };
    if (!grown) return glia_fail_null(error, "grown"), NAN;
    const int n = grown->n;
    double *a = calloc((size_t)(n * n), sizeof *a);
    int *work = malloc((size_t)(2 * n) * sizeof *work), *ends = malloc((size_t)(n * n) * sizeof *ends), diameter;
    double sigma = NAN;
    if (a && work && ends) {
        edges e = { ends, ends + n * (n - 1) / 2, 0 };
        for (int i = 0; i < n; i++) {
            for (int k = 0; k < i; k++) {
                if (grown->weights[i * n + k] == 0) continue;
                set_edge(a, n, i, k, 1);
                e.from[e.n] = i;
                e.to[e.n++] = k;
            }
        }
        const double own_paths = glia_graph_paths(a, n, n, work, &diameter), own = clustering(a, n);
        double paths = 0, closed = 0;
        glia_rng rng = { .seed = seed, .stream = 0x736D };
        for (int g = 0; g < GRAPHS && isfinite(own_paths) && e.n > 1; g++) {
            rewire(a, n, &e, work, &rng);
            paths += glia_graph_paths(a, n, n, work, &diameter) / GRAPHS;
            closed += clustering(a, n) / GRAPHS;
        }
        if (closed > 0 && own_paths > 0) sigma = own / closed / (own_paths / paths);
    } else {
        glia_fail_nomem(error);
    }
    free(a);
    free(work);
    free(ends);
    return sigma;
}

/* ---- the drawing ------------------------------------------------------------------------------------------ */

enum { SIDE = 360, MARGIN = 24 };

/* Places in a square by springs (Fruchterman and Reingold 1991), from a circle: x (n), y (n). */
static void place(const glia_grown *g, double *x, double *y, double *dx, double *dy) {
    enum { ROUNDS = 300 };
    const int n = g->n;
    const double wide = sqrt(1.0 / n);
    for (int i = 0; i < n; i++) {
        x[i] = 0.5 + 0.4 * cos(6.283185307179586 * i / n);
        y[i] = 0.5 + 0.4 * sin(6.283185307179586 * i / n);
    }
    for (int round = 0; round < ROUNDS && n > 1; round++) {
        const double warm = 0.1 * (1 - (double)round / ROUNDS);
        for (int i = 0; i < n; i++) {
            dx[i] = dy[i] = 0;
            for (int k = 0; k < n; k++) {
                if (k == i) continue;
                const double ax = x[i] - x[k], ay = y[i] - y[k], far = fmax(hypot(ax, ay), 1e-6);
                const double push = wide * wide / far - (g->weights[i * n + k] != 0 ? far * far / wide : 0);
                dx[i] += ax / far * push;
                dy[i] += ay / far * push;
            }
        }
        for (int i = 0; i < n; i++) {
            const double far = fmax(hypot(dx[i], dy[i]), 1e-12), step = fmin(far, warm) / far;
            x[i] = fmin(fmax(x[i] + dx[i] * step, 0), 1);
            y[i] = fmin(fmax(y[i] + dy[i] * step, 0), 1);
        }
    }
    for (int i = 0; i < n; i++) {
        x[i] = MARGIN + x[i] * (SIDE - 2 * MARGIN);
        y[i] = MARGIN + y[i] * (SIDE - 2 * MARGIN);
    }
}

static void draw(const glia_grown *g, int shown, int before, const double *x, const double *y, glia_text *out) {
    const int n = g->n;
    glia_text_printf(out,
                     "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\">\n"
                     "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
                     SIDE, SIDE, SIDE, SIDE);
    for (int i = 0; i < shown; i++) {
        for (int k = 0; k < i; k++) {
            const double weight = g->weights[i * n + k];
            if (weight == 0) continue;
            glia_text_printf(out, "<path d=\"M%.1f %.1fL%.1f %.1f\" stroke=\"%s\" stroke-width=\"%.1f\"/>\n", x[i],
                             y[i], x[k], y[k], weight > 0 ? "#2b6cb0" : "#c53030", 0.5 + fmin(fabs(weight), 3));
        }
    }
    for (int i = 0; i < shown; i++) {
        glia_text_printf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"7\" fill=\"%s\" stroke=\"#4a5568\"/>\n", x[i], y[i],
                         i < before ? "#bee3f8" : "#f6ad55");
    }
    glia_text_printf(out, "</svg>\n");
}

char *glia_grown_svg(const glia_grown *g, int cycle, glia_error *error) {
    if (!g) return glia_fail_null(error, "grown"), NULL;
    if (cycle < 0 || cycle > g->cycles || !g->sizes)
        return glia_fail(error, GLIA_E_ARGUMENT, "cycle %d of %d", cycle, g->cycles), NULL;
    glia_text out = { 0 };
    const size_t n = (size_t)g->n;
    double *places = malloc(4 * n * sizeof *places);
    if (places) {
        place(g, places, places + n, places + 2 * n, places + 3 * n);
        draw(g, g->sizes[cycle], cycle ? g->sizes[cycle - 1] : 0, places, places + n, &out);
    }
    free(places);
    if (!out.failed && out.bytes) return out.bytes;
    free(out.bytes);
    glia_fail_nomem(error);
    return NULL;
}
