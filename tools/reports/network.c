/* network.c - draws a model as SVG.
 *
 * Each row of the summary is a box: its name and operations on the left, what comes out and the parameters on the
 * right. Boxes stand under each other; a line goes from each to the next that reads it, and what skips boxes runs on
 * tracks to their right, each skip on the first track that is free where it passes.
 */
#include "reports/network.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reports/chart.h"

enum { BOX = 440, TALL = 40, LOW = 26, GAP = 16, TRACK = 14, TRACKS = 24, MARGIN = 12, LETTERS = 34 };

void escape(text *out, const char *words) {
    for (; *words; words++) {
        switch (*words) {
        case '<': text_add(out, "&lt;"); break;
        case '>': text_add(out, "&gt;"); break;
        case '&': text_add(out, "&amp;"); break;
        case '"': text_add(out, "&quot;"); break;
        case '\'': text_add(out, "&#39;"); break;
        default: text_append(out, words, 1);
        }
    }
}

typedef struct drawing {
    const glia_layer_info *layers;
    int n;
    int *top;          /* of each box */
    int height, width; /* of the drawing */
} drawing;

static bool is_low(const glia_layer_info *l) { return !l->name[0]; }
static int bottom(const drawing *d, int i) { return d->top[i] + (is_low(&d->layers[i]) ? LOW : TALL); }

/* Writes a shape without the batch axis: "32×26×26". */
static void shape_words(text *out, glia_shape shape) {
    if (shape.rank <= 1) text_add(out, "1");
    for (int i = 1; i < shape.rank; i++)
        text_add(out, "%s%lld", i > 1 ? "\u2009\u00d7\u2009" : "", (long long)shape.dim[i]);
}

/* Writes at most LETTERS characters: the end of a long name, which is more specific. */
static void short_words(text *out, const char *words) {
    size_t length = strlen(words);
    if (length > LETTERS) text_add(out, "\u2026");
    escape(out, length > LETTERS ? words + length - LETTERS + 1 : words);
}

static void draw_box(text *out, const drawing *d, int i) {
    const glia_layer_info *l = &d->layers[i];
    const bool low = is_low(l);
    char number[SHORT];
    int y = d->top[i], height = low ? LOW : TALL;
    text_add(out, "<rect class='box%s' x='%d' y='%d' width='%d' height='%d' rx='7' />", l->parameters ? " trained" : "",
             MARGIN, y, BOX, height);
    if (!low) {
        text_add(out, "<text class='name' x='%d' y='%d'>", MARGIN + 12, y + 17);
        short_words(out, l->name);
        text_add(out, "</text>");
    }
    text_add(out, "<text x='%d' y='%d'>", MARGIN + 12, low ? y + 17 : y + 32);
    short_words(out, l->operations);
    text_add(out, "</text><text class='name' text-anchor='end' x='%d' y='%d'>", MARGIN + BOX - 12, y + 17);
    shape_words(out, l->output);
    text_add(out, "</text>");
    if (l->parameters)
        text_add(out, "<text text-anchor='end' x='%d' y='%d'>%s parameters</text>", MARGIN + BOX - 12,
                 low ? y + 17 : y + 32, grouped(l->parameters, number));
}

static void arrow(text *out, int x, int y, bool skip) {
    text_add(out, skip ? "<path class='head skip' d='M%d %dl7 -4v8z' />" : "<path class='head' d='M%d %dl-4 -7h8z' />",
             x, y);
}

/* Draws the connection from box `from` to box `to`. Returns its track, from 1; 0: the boxes are neighbours. */
static int draw_wire(text *out, const drawing *d, int from, int to, int *busy) {
    const int x = MARGIN + BOX / 2, right = MARGIN + BOX;
    if (to == from + 1) {
        text_add(out, "<path class='wire' d='M%d %dV%d' />", x, bottom(d, from), d->top[to] - 5);
        arrow(out, x, d->top[to], false);
        return 0;
    }
    int track = 0;
    while (track < TRACKS - 1 && busy[track] > from) track++;
    busy[track] = to;
    int side = right + 14 + (track + 1) * TRACK, y = bottom(d, from) - 8, end = d->top[to] + 12;
    text_add(out, "<path class='wire skip' d='M%d %dH%dq6 0 6 6V%dq0 6 -6 6H%d' />", right, y, side - 6, end - 6,
             right + 6);
    arrow(out, right, end, true);
    return track + 1;
}

static void draw_all(text *out, drawing *d) {
    int busy[TRACKS] = { 0 }, tracks = 0, y = MARGIN;
    for (int i = 0; i < d->n; i++) {
        d->top[i] = y;
        y += (is_low(&d->layers[i]) ? LOW : TALL) + GAP;
    }
    for (int i = 0; i < d->n; i++) {
        for (int k = 0; k < d->layers[i].n_inputs; k++) {
            int track = draw_wire(out, d, d->layers[i].inputs[k], i, busy);
            if (track > tracks) tracks = track;
        }
    }
    for (int i = 0; i < d->n; i++) draw_box(out, d, i);
    d->height = y - GAP + MARGIN;
    d->width = 2 * MARGIN + BOX + (tracks ? 14 + tracks * TRACK : 0);
}

bool network_svg(text *out, const glia_model *model, bool file) {
    int n = glia_model_layers(model, NULL, 0);
    if (n < 0) return false;
    glia_layer_info *layers = allocate((size_t)n, sizeof *layers);
    drawing d = { .layers = layers, .n = n, .top = allocate((size_t)n, sizeof *d.top) };
    n = glia_model_layers(model, layers, n);
    text parts = { 0 };
    draw_all(&parts, &d);
    if (file)
        text_add(out,
                 "<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%d' viewBox='0 0 %d %d' "
                 "font-family='system-ui,sans-serif'><style>%s%s svg{background:var(--paper)}</style>",
                 d.width, d.height, d.width, d.height, chart_colours, chart_style);
    else
        text_add(out, "<svg class='network' style='max-width:%dpx' viewBox='0 0 %d %d' role='img'>", d.width, d.width,
                 d.height);
    text_append(out, parts.bytes ? parts.bytes : "", parts.length);
    text_add(out, "</svg>%s", file ? "\n" : "");
    free(parts.bytes);
    free(d.top);
    free(layers);
    return n >= 0;
}
