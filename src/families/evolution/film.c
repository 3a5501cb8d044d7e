/* film.c - drawings of nets that grow: frames of a film, and the net of a lifelong developmental program. */
#include "families/evolution/film.h"

#include <math.h>
#include <stdlib.h>

#include "families/evolution/lndp.h"

void glia_film_add(glia_film *film, char *svg) {
    if (svg && film->n < GLIA_FILM) {
        film->frames[film->n++] = svg;
        return;
    }
    film->failed = true;
    free(svg);
}

char *glia_film_end(glia_film *film, glia_error *error) {
    enum { WIDE = 4 };
    const int columns = GLIA_MIN(film->n, (int)WIDE), rows = (film->n + WIDE - 1) / WIDE;
    glia_text out = { .failed = film->failed };
    glia_text_printf(&out,
                     "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\">\n",
                     columns * GLIA_FRAME, rows * GLIA_FRAME, columns * GLIA_FRAME / 2, rows * GLIA_FRAME / 2);
    for (int i = 0; i < film->n; i++) {
        glia_text_printf(&out, "<g transform=\"translate(%d %d)\">\n%s</g>\n", i % WIDE * GLIA_FRAME,
                         i / WIDE * GLIA_FRAME, film->frames[i]);
        free(film->frames[i]);
    }
    film->n = 0;
    glia_text_printf(&out, "</svg>\n");
    if (!out.failed && out.bytes) return out.bytes;
    free(out.bytes);
    glia_fail_nomem(error);
    return NULL;
}

/* ---- a net ---------------------------------------------------------------------------------------------- */

/* Inputs and outputs in columns at the sides, hidden nodes in a circle. */
static void place(const glia_lndp *net, int i, double *x, double *y) {
    const int inputs = net->opts.inputs, outputs = net->opts.outputs, hidden = net->opts.nodes - inputs - outputs;
    const double margin = 24, side = GLIA_FRAME;
    if (i < inputs || i >= net->opts.nodes - outputs) {
        const int count = i < inputs ? inputs : outputs, at = i < inputs ? i : i - (net->opts.nodes - outputs);
        *x = i < inputs ? margin : side - margin;
        *y = margin + (side - 2 * margin) * (at + 0.5) / count;
        return;
    }
    const double angle = 6.283185307179586 * (i - inputs) / hidden;
    *x = side / 2 - (side / 2 - 3 * margin) * cos(angle);
    *y = side / 2 - (side / 2 - 2 * margin) * sin(angle);
}

static void draw_nodes(const glia_lndp *net, glia_text *out) {
    for (int i = 0; i < net->opts.nodes; i++) {
        double x, y;
        place(net, i, &x, &y);
        const bool input = i < net->opts.inputs, output = i >= net->opts.nodes - net->opts.outputs;
        glia_text_printf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"6\" fill=\"%s\" stroke=\"#4a5568\"/>\n", x, y,
                         input    ? "#9ae6b4"
                         : output ? "#f6ad55"
                                  : "#bee3f8");
    }
}

static void write_title(const char *title, glia_text *out) {
    glia_text_printf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\" font-family=\"sans-serif\" font-size=\"15\">",
                     GLIA_FRAME / 2, GLIA_FRAME - 6);
    glia_text_escape(out, title);
    glia_text_printf(out, "</text>\n");
}

char *glia_lndp_svg(const glia_lndp *net, int which, const char *title, glia_error *error) {
    if (!net) return glia_fail_null(error, "nets"), NULL;
    if (which < 0 || which >= net->opts.nets)
        return glia_fail(error, GLIA_E_ARGUMENT, "lndp: there is no net %d of %d", which, net->opts.nets), NULL;
    glia_text out = { 0 };
    glia_text_printf(&out,
                     "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\">\n"
                     "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
                     GLIA_FRAME, GLIA_FRAME, GLIA_FRAME, GLIA_FRAME);
    for (int i = 0; i < net->opts.nodes; i++) {
        for (int k = 0; k < net->opts.nodes; k++) {
            double weight, x, y, to_x, to_y;
            if (!glia_lndp_edge(net, which, i, k, &weight)) continue;
            place(net, i, &x, &y);
            place(net, k, &to_x, &to_y);
            /* bent to one side, so that both directions are seen */
            glia_text_printf(&out,
                             "<path d=\"M%.1f %.1fQ%.1f %.1f %.1f %.1f\" fill=\"none\" stroke=\"%s\" "
                             "stroke-width=\"%.1f\" opacity=\"0.7\"/>\n",
                             x, y, (x + to_x) / 2 + (y - to_y) / 12, (y + to_y) / 2 + (to_x - x) / 12, to_x, to_y,
                             weight < 0 ? "#c53030" : "#2b6cb0", 0.3 + 1.5 * fabs(weight));
        }
    }
    draw_nodes(net, &out);
    if (title) write_title(title, &out);
    glia_text_printf(&out, "</svg>\n");
    if (!out.failed && out.bytes) return out.bytes;
    free(out.bytes);
    glia_fail_nomem(error);
    return NULL;
}
