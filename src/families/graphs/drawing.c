/* drawing.c - a graph as SVG: nodes placed by forces, coloured by group.
 *
 * Fruchterman and Reingold 1991: edges pull their ends together by d^2 / k, all nodes push each other away by k^2 / d,
 * and a step is at most as long as the temperature, which falls to 0. Nodes push only those within 2 k of them, found
 * by a grid, so a step takes time in proportion to nodes and edges; a weak pull to the centre keeps together what is
 * not connected.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/graphs/graph_data.h"

enum { STEPS = 300, COLOURS = 8, NODES_MOST = 200000, STREAM = 0x64726177 };

typedef struct point {
    double x, y;
} point;

typedef struct layout {
    const glia_graph_data *d;
    point *at, *force;
    double k;                 /* the wanted length of an edge; the area is 1 */
    int64_t cells;            /* along one side */
    int32_t *first, *members; /* (cells^2 + 1), (nodes) */
    double low_x, low_y, cell;
} layout;

static int64_t cell_of(const layout *l, double value, double low) {
    const int64_t c = (int64_t)((value - low) / l->cell);
    return GLIA_MIN(GLIA_MAX(c, 0), l->cells - 1);
}

/* Sorts the nodes into cells at least 2 k wide. */
static void sort_cells(layout *l) {
    const int64_t n = l->d->nodes;
    double high_x = l->low_x = l->at[0].x, high_y = l->low_y = l->at[0].y;
    for (int64_t v = 1; v < n; v++) {
        l->low_x = fmin(l->low_x, l->at[v].x), high_x = fmax(high_x, l->at[v].x);
        l->low_y = fmin(l->low_y, l->at[v].y), high_y = fmax(high_y, l->at[v].y);
    }
    l->cell = fmax(2 * l->k, fmax(high_x - l->low_x, high_y - l->low_y) / (double)l->cells * 1.0001);
    memset(l->first, 0, (size_t)(l->cells * l->cells + 1) * sizeof *l->first);
    for (int64_t v = 0; v < n; v++)
        l->first[cell_of(l, l->at[v].y, l->low_y) * l->cells + cell_of(l, l->at[v].x, l->low_x) + 1]++;
    for (int64_t c = 0; c < l->cells * l->cells; c++) l->first[c + 1] += l->first[c];
    for (int64_t v = n - 1; v >= 0; v--) {
        const int64_t c = cell_of(l, l->at[v].y, l->low_y) * l->cells + cell_of(l, l->at[v].x, l->low_x);
        l->members[--l->first[c + 1]] = (int32_t)v;
    }
    /* each first[c + 1] has moved to where its cell begins */
    memmove(l->first, l->first + 1, (size_t)(l->cells * l->cells) * sizeof *l->first);
    l->first[l->cells * l->cells] = (int32_t)n;
}

static void push(layout *l, int64_t v, int64_t cell) {
    for (int32_t i = l->first[cell]; i < l->first[cell + 1]; i++) {
        const int32_t u = l->members[i];
        const double x = l->at[v].x - l->at[u].x, y = l->at[v].y - l->at[u].y, square = x * x + y * y;
        if (u == v || square > 4 * l->k * l->k) continue;
        const double f = l->k * l->k / fmax(square, 1e-12);
        l->force[v].x += x * f;
        l->force[v].y += y * f;
    }
}

static void pull(layout *l, int64_t v) {
    const glia_graph_data *d = l->d;
    for (int32_t e = d->offsets[v]; e < d->offsets[v + 1]; e++) {
        const int32_t u = d->sources[e];
        const double x = l->at[u].x - l->at[v].x, y = l->at[u].y - l->at[v].y, f = sqrt(x * x + y * y) / l->k;
        l->force[v].x += x * f;
        l->force[v].y += y * f;
        l->force[u].x -= x * f;
        l->force[u].y -= y * f;
    }
}

static void step(layout *l, double temperature) {
    sort_cells(l);
    for (int64_t v = 0; v < l->d->nodes; v++) l->force[v] = (point){ -l->at[v].x, -l->at[v].y };
    for (int64_t v = 0; v < l->d->nodes; v++) {
        const int64_t row = cell_of(l, l->at[v].y, l->low_y), column = cell_of(l, l->at[v].x, l->low_x);
        for (int64_t r = GLIA_MAX(row - 1, 0); r <= GLIA_MIN(row + 1, l->cells - 1); r++) {
            for (int64_t c = GLIA_MAX(column - 1, 0); c <= GLIA_MIN(column + 1, l->cells - 1); c++)
                push(l, v, r * l->cells + c);
        }
        pull(l, v);
    }
    for (int64_t v = 0; v < l->d->nodes; v++) {
        const double length = sqrt(l->force[v].x * l->force[v].x + l->force[v].y * l->force[v].y);
        const double share = length > 0 ? fmin(length, temperature) / length : 0;
        l->at[v].x += l->force[v].x * share;
        l->at[v].y += l->force[v].y * share;
    }
}

static bool place(layout *l, uint64_t seed) {
    const size_t n = (size_t)l->d->nodes;
    glia_rng rng = { .seed = seed, .stream = STREAM };
    l->k = 1 / sqrt((double)n);
    l->cells = GLIA_MAX((int64_t)(sqrt((double)n) / 2), 1);
    l->at = malloc(n * sizeof *l->at);
    l->force = malloc(n * sizeof *l->force);
    l->first = malloc((size_t)(l->cells * l->cells + 1) * sizeof *l->first);
    l->members = malloc(n * sizeof *l->members);
    if (!l->at || !l->force || !l->first || !l->members) return false;
    for (size_t v = 0; v < n; v++) l->at[v] = (point){ glia_rng_uniform(&rng) - 0.5, glia_rng_uniform(&rng) - 0.5 };
    for (int i = 0; i < STEPS; i++) step(l, 0.1 * (1 - (double)i / STEPS));
    return true;
}

/* ---- SVG ------------------------------------------------------------------------------------------- */

static const char style[] =
    "<style>:root{color-scheme:light dark;--paper:#fbfbfa;--ink:#1c1e21;--0:#2f6fde;--1:#c2620a;--2:#2c8a4b;"
    "--3:#c0392b;--4:#8250c4;--5:#8a6d1a;--6:#0f7f8c;--7:#b8327d}"
    "@media(prefers-color-scheme:dark){:root{--paper:#141517;--ink:#e9e9e7;--0:#7fa9ff;--1:#f2a65a;--2:#6fce8e;"
    "--3:#ff8b7b;--4:#c3a0f5;--5:#dcc06a;--6:#5fd0dd;--7:#f58bc4}}"
    "path{stroke:var(--ink);stroke-opacity:.18;fill:none}circle{stroke:var(--paper);stroke-width:.4}"
    ".w{stroke:var(--ink);stroke-width:1.2}.c0{fill:var(--0)}.c1{fill:var(--1)}.c2{fill:var(--2)}.c3{fill:var(--3)}"
    ".c4{fill:var(--4)}.c5{fill:var(--5)}.c6{fill:var(--6)}.c7{fill:var(--7)}</style>";

static void write_svg(const layout *l, glia_graph_svg_opts o, glia_text *out) {
    const glia_graph_data *d = l->d;
    const int64_t width = o.width ? o.width : GLIA_MIN(GLIA_MAX((int64_t)(20 * sqrt((double)d->nodes)), 400), 2000);
    double low_x = INFINITY, high_x = -INFINITY, low_y = INFINITY, high_y = -INFINITY;
    for (int64_t v = 0; v < d->nodes; v++) {
        low_x = fmin(low_x, l->at[v].x), high_x = fmax(high_x, l->at[v].x);
        low_y = fmin(low_y, l->at[v].y), high_y = fmax(high_y, l->at[v].y);
    }
    const double extent = fmax(fmax(high_x - low_x, high_y - low_y), 1e-9), scale = ((double)width - 24) / extent;
    const double height = (high_y - low_y) * scale + 24, radius = fmin(fmax(0.3 * l->k * scale, 1.6), 8);
    glia_text_printf(out,
                     "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %lld %.0f\" width=\"%lld\">%s"
                     "<rect width=\"100%%\" height=\"100%%\" fill=\"var(--paper)\"/>\n<path d=\"",
                     (long long)width, height, (long long)width, style);
    for (int64_t v = 0; v < d->nodes; v++) {
        for (int32_t e = d->offsets[v]; e < d->offsets[v + 1]; e++) {
            const int32_t u = d->sources[e];
            if (d->symmetric && u > v) continue;
            glia_text_printf(out, "M%.1f %.1fL%.1f %.1f", (l->at[u].x - low_x) * scale + 12,
                             (l->at[u].y - low_y) * scale + 12, (l->at[v].x - low_x) * scale + 12,
                             (l->at[v].y - low_y) * scale + 12);
        }
    }
    glia_text_printf(out, "\"/>\n");
    for (int64_t v = 0; v < d->nodes; v++) {
        const int group = o.groups && o.groups[v] >= 0 ? o.groups[v] % COLOURS : 0;
        const bool wrong = o.groups && o.truth && o.truth[v] >= 0 && o.truth[v] != o.groups[v];
        glia_text_printf(out,
                         "<circle class=\"c%d%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"><title>node %lld</title>"
                         "</circle>\n",
                         group, wrong ? " w" : "", (l->at[v].x - low_x) * scale + 12, (l->at[v].y - low_y) * scale + 12,
                         radius, (long long)v);
    }
    glia_text_printf(out, "</svg>\n");
}

char *glia_graph_svg(const glia_graph_data *data, glia_graph_svg_opts opts, glia_error *error) {
    if (!data) {
        glia_fail_null(error, "data");
        return NULL;
    }
    if (data->nodes > NODES_MOST || opts.width < 0) {
        glia_fail(error, GLIA_E_ARGUMENT, "a drawing of %lld nodes is too large, or its width negative",
                  (long long)data->nodes);
        return NULL;
    }
    layout l = { .d = data };
    glia_text out = { 0 };
    if (place(&l, opts.seed)) write_svg(&l, opts, &out);
    if (!out.bytes || out.failed) {
        free(out.bytes);
        out.bytes = NULL;
        glia_fail_nomem(error);
    }
    free(l.at);
    free(l.force);
    free(l.first);
    free(l.members);
    return out.bytes;
}
