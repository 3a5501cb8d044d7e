/* map.c - a labelled scatter plot as SVG.
 *
 * Labels are placed one after the other, each at the first of eight positions around its point where it covers neither
 * a label nor a point. The exact width of a label depends on the viewer's fonts; a slightly larger estimate is used.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "families/projection/projection.h"

enum { FONT = 12, MARGIN = 24, TITLE = 28, COLOURS = 8, PLACES = 8, WIDTH_LEAST = 480, WIDTH_MOST = 8192 };

typedef struct box {
    double left, top, right, bottom;
} box;

typedef struct map {
    const double *places;
    int64_t n;
    glia_map_opts o;
    double width, height, scale, x0, y0;
    box *labels; /* those already placed */
    int64_t n_labels;
} map;

static const char style[] =
    "<style>:root{color-scheme:light dark;--paper:#fbfbfa;--ink:#1c1e21;--soft:#6b7178;--0:#2f6fde;--1:#c2620a;"
    "--2:#2c8a4b;--3:#c0392b;--4:#8250c4;--5:#8a6d1a;--6:#0f7f8c;--7:#b8327d}"
    "@media(prefers-color-scheme:dark){:root{--paper:#141517;--ink:#e9e9e7;--soft:#9aa0a6;--0:#7fa9ff;--1:#f2a65a;"
    "--2:#6fce8e;--3:#ff8b7b;--4:#c3a0f5;--5:#dcc06a;--6:#5fd0dd;--7:#f58bc4}}"
    "text{font-family:system-ui,sans-serif;font-size:12px;fill:var(--ink)}.title{font-size:15px;font-weight:600}"
    ".c0{fill:var(--0)}.c1{fill:var(--1)}.c2{fill:var(--2)}.c3{fill:var(--3)}.c4{fill:var(--4)}.c5{fill:var(--5)}"
    ".c6{fill:var(--6)}.c7{fill:var(--7)}</style>";

/* The approximate width of a text: ASCII letters in four widths, CJK characters as wide as high. */
static double width_of(const char *words) {
    double width = 0;
    for (const uint8_t *p = (const uint8_t *)words; *p; p++) {
        if (*p >= 0x80 && *p < 0xC0) continue;
        width += *p >= 0xE3                      ? 1
                 : *p >= 0x80                    ? 0.62
                 : strchr("ijltfr.,:;!|'I ", *p) ? 0.36
                 : strchr("mwMW@%", *p)          ? 0.92
                 : *p >= 'A' && *p <= 'Z'        ? 0.7
                                                 : 0.58;
    }
    return width * FONT;
}

static double place_x(const map *m, int64_t i) { return m->width / 2 + (m->places[2 * i] - m->x0) * m->scale; }
static double place_y(const map *m, int64_t i) {
    return m->height - (m->height - (m->o.title ? TITLE : 0)) / 2 - (m->places[2 * i + 1] - m->y0) * m->scale;
}

/* One scale for both axes, so that distances are comparable. */
static void fit(map *m) {
    double low[2] = { INFINITY, INFINITY }, high[2] = { -INFINITY, -INFINITY };
    for (int64_t i = 0; i < m->n; i++) {
        for (int k = 0; k < 2; k++) {
            low[k] = GLIA_MIN(low[k], m->places[2 * i + k]);
            high[k] = GLIA_MAX(high[k], m->places[2 * i + k]);
        }
    }
    double longest = 0;
    for (int64_t i = 0; i < m->n && m->o.labels; i++) longest = GLIA_MAX(longest, width_of(m->o.labels[i]));
    const double usual = sqrt((double)m->n * (m->o.labels ? 7500 : 300)), wide = high[0] - low[0],
                 tall = high[1] - low[1];
    m->width = m->o.width ? m->o.width : GLIA_MIN(GLIA_MAX(usual, (double)WIDTH_LEAST), 2400.0);
    m->width = floor(m->width);
    const double inner = GLIA_MAX(m->width - 2 * MARGIN - GLIA_MIN(longest, m->width / 4), 100.0);
    const double share = wide > 0 ? GLIA_MIN(GLIA_MAX(tall / wide, 0.3), 1.3) : 1;
    m->scale =
        wide > 0 || tall > 0 ? GLIA_MIN(inner / GLIA_MAX(wide, 1e-300), inner * share / GLIA_MAX(tall, 1e-300)) : 1;
    m->height = floor(inner * share + 2 * MARGIN + (m->o.title ? TITLE : 0));
    m->x0 = (low[0] + high[0]) / 2;
    m->y0 = (low[1] + high[1]) / 2;
}

static bool covers(const box *a, double left, double top, double right, double bottom) {
    return a->left < right && left < a->right && a->top < bottom && top < a->bottom;
}

static bool is_free(const map *m, const box *b, int64_t self) {
    enum { DOT = 3 };
    if (b->left < 2 || b->right > m->width - 2 || b->bottom > m->height - 2) return false;
    if (b->top < (m->o.title ? TITLE + 2 : 2)) return false;
    for (int64_t i = 0; i < m->n_labels; i++)
        if (covers(b, m->labels[i].left, m->labels[i].top, m->labels[i].right, m->labels[i].bottom)) return false;
    for (int64_t i = 0; i < m->n; i++) {
        const double x = place_x(m, i), y = place_y(m, i);
        if (i != self && covers(b, x - DOT, y - DOT, x + DOT, y + DOT)) return false;
    }
    return true;
}

/* Finds a position for the label of point i. */
static bool place_label(map *m, int64_t i, box *place) {
    static const struct {
        double x, y; /* of the point, in widths and heights of the label from its middle */
    } around[PLACES] = { { 1, 0 },      { -1, 0 },      { 0, -1 },    { 0, 1 },
                         { 0.9, -0.9 }, { -0.9, -0.9 }, { 0.9, 0.9 }, { -0.9, 0.9 } };
    const double half = width_of(m->o.labels[i]) / 2, high = FONT * 0.62, gap = 5;
    for (int k = 0; k < PLACES; k++) {
        const double x = place_x(m, i) + around[k].x * (half + gap), y = place_y(m, i) + around[k].y * (high + gap);
        *place = (box){ x - half, y - high, x + half, y + high };
        if (!is_free(m, place, i)) continue;
        m->labels[m->n_labels++] = *place;
        return true;
    }
    return false;
}

static void draw(map *m, glia_text *out) {
    glia_text_printf(out, "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %.0f %.0f' width='%.0f' height='%.0f'>",
                     m->width, m->height, m->width, m->height);
    glia_text_append(out, style, sizeof style - 1);
    glia_text_printf(out, "<rect width='%.0f' height='%.0f' fill='var(--paper)'/>", m->width, m->height);
    if (m->o.title) {
        glia_text_printf(out, "<text class='title' x='%d' y='%d'>", MARGIN, TITLE - 6);
        glia_text_escape(out, m->o.title);
        glia_text_printf(out, "</text>");
    }
    for (int64_t i = 0; i < m->n && !out->failed; i++) {
        const int colour = m->o.groups ? (int)((uint32_t)m->o.groups[i] % COLOURS) : 0;
        const int64_t x = llround(10 * place_x(m, i)), y = llround(10 * place_y(m, i));
        glia_text_printf(out, "<circle class='c%d' cx='%.1f' cy='%.1f' r='2.5'>", colour, (double)x / 10,
                         (double)y / 10);
        if (m->o.labels) {
            glia_text_printf(out, "<title>");
            glia_text_escape(out, m->o.labels[i]);
            glia_text_printf(out, "</title>");
        }
        glia_text_printf(out, "</circle>\n");
    }
    for (int64_t i = 0; i < m->n && m->o.labels && !out->failed; i++) {
        box b;
        if (!*m->o.labels[i] || !place_label(m, i, &b)) continue;
        glia_text_printf(out, "<text x='%.0f' y='%.0f' text-anchor='middle'>", (b.left + b.right) / 2,
                         (b.top + b.bottom) / 2 + FONT * 0.35);
        glia_text_escape(out, m->o.labels[i]);
        glia_text_printf(out, "</text>\n");
    }
    glia_text_printf(out, "</svg>\n");
}

char *glia_map_svg(const double *places, int64_t n, glia_map_opts opts, glia_error *error) {
    if (n > 0 && !places) return glia_fail_null(error, "places"), NULL;
    if (n < 1 || opts.width < 0 || opts.width > WIDTH_MOST) {
        glia_fail(error, GLIA_E_ARGUMENT, "map: %lld points or the width %d are out of range", (long long)n,
                  opts.width);
        return NULL;
    }
    for (int64_t i = 0; i < 2 * n; i++) {
        if (isfinite(places[i])) continue;
        glia_fail(error, GLIA_E_ARGUMENT, "map: point %lld is not finite", (long long)(i / 2));
        return NULL;
    }
    map m = { .places = places, .n = n, .o = opts, .labels = malloc((size_t)n * sizeof *m.labels) };
    glia_text out = { 0 };
    if (m.labels) {
        fit(&m);
        draw(&m, &out);
    }
    const bool failed = !m.labels || out.failed;
    free(m.labels);
    if (!failed) return out.bytes;
    free(out.bytes);
    glia_fail_nomem(error);
    return NULL;
}
