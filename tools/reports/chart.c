/* chart.c - line charts as SVG, coloured by the page's style. */
#include "reports/chart.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "reports/network.h"

enum { WIDTH = 460, HEIGHT = 250, LEFT = 46, RIGHT = 12, TOP = 14, BOTTOM = 30 }; /* of the drawing, in its own units */

/* clang-format off */
const char chart_colours[] =
    ":root{color-scheme:light dark;--paper:#fbfbfa;--card:#fff;--ink:#1c1e21;--soft:#6b7178;--line:#e6e6e3;"
    "--a:#2f6fde;--b:#d9730d;"
    "--c:#2e8b57;--d:#8e5bd0;--e:#c43d5c;--f:#1499a8;--g:#8c6d3b;--h:#6b7178;"
    "--hit:47,111,222;--miss:214,69,51}"
    "@media(prefers-color-scheme:dark){:root{--paper:#141517;--card:#1c1e21;--ink:#e9e9e7;--soft:#9aa0a6;"
    "--line:#2d3034;--a:#7fa9ff;--b:#f2a65a;"
    "--c:#6fcf97;--d:#c0a0ff;--e:#ff8fa6;--f:#5fd0dc;--g:#cbb27c;--h:#9aa0a6;"
    "--hit:110,155,255;--miss:255,110,92}}";
const char chart_style[] =
    "svg text{fill:var(--soft);font-size:12px}.grid{stroke:var(--line)}.mark{stroke:var(--b);stroke-dasharray:4 4}"
    ".line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}.line.faint{stroke-width:1;opacity:.4}"
    ".band{opacity:.16;stroke:none}"
    ".dot{stroke:var(--card);stroke-width:1.5}.dot.a{fill:var(--a)}.dot.b{fill:var(--b)}"
    ".box{fill:var(--card);stroke:var(--soft);stroke-opacity:.4}.box.trained{stroke:var(--a);stroke-opacity:1}"
    ".wire{fill:none;stroke:var(--soft)}"
    ".wire.skip{stroke:var(--b)}.head{fill:var(--soft)}.head.skip{fill:var(--b)}"
    "svg .name{fill:var(--ink);font-size:13px;font-weight:600}";
/* clang-format on */

typedef struct axes {
    double x_least, x_most; /* range of x; logarithms if its axis is logarithmic */
    double low, high;       /* range of y; logarithms if `logarithmic` */
    bool logarithmic, x_logarithmic;
} axes;

static double place_x(const axes *a, double x) {
    if (a->x_logarithmic) x = log10(x);
    return LEFT + (WIDTH - LEFT - RIGHT) * (x - a->x_least) / (a->x_most - a->x_least);
}

static double place_y(const axes *a, double y) {
    double at = a->logarithmic ? log10(y > 0 ? y : 1e-12) : y;
    double share = (fmin(fmax(at, a->low), a->high) - a->low) / (a->high - a->low);
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - share);
}

static axes fit_axes(const chart *c) {
    axes a = { .x_logarithmic = c->x_logarithmic, .x_least = INFINITY, .x_most = -INFINITY };
    double least = INFINITY, most = -INFINITY;
    for (int k = 0; k < c->n_series; k++) {
        for (int i = 0; i < c->series[k].n; i++) {
            chart_point p = c->series[k].points[i];
            if (!isfinite(p.y)) continue;
            const double apart = c->series[k].apart ? c->series[k].apart[i] : 0;
            least = fmin(least, p.y - apart);
            most = fmax(most, p.y + apart);
            a.x_least = fmin(a.x_least, c->x_logarithmic ? log10(p.x) : 0);
            a.x_most = fmax(a.x_most, c->x_logarithmic ? log10(p.x) : p.x);
        }
    }
    if (!(a.x_most > a.x_least)) a.x_least = 0, a.x_most = 1;
    if (!isfinite(least)) least = 0, most = 1;
    a.logarithmic = !c->y_free && (least > 0 ? most / least > 8 : most > 8);
    if (a.logarithmic && least <= 0) least = most / 1000;
    a.low = a.logarithmic ? log10(least) : least;
    a.high = a.logarithmic ? log10(most) : most;
    double margin = 0.05 * (a.high - a.low);
    if (margin == 0) margin = a.high != 0 ? 0.1 * fabs(a.high) : 0.5;
    bool from_zero = !a.logarithmic && a.low >= 0 && a.low < 0.3 * a.high;
    a.low = from_zero ? 0 : a.low - margin;
    a.high += margin;
    return a;
}

double chart_step(double span, int pieces) {
    double power = pow(10, floor(log10(span / pieces)));
    const double steps[] = { 1, 2, 5, 10 };
    for (int i = 0; i < 4; i++)
        if (steps[i] * power * pieces >= span) return steps[i] * power;
    return 10 * power;
}

static void y_tick(text *out, const chart *c, const axes *a, double y) {
    double at = place_y(a, y);
    text_add(
        out,
        "<line class='grid' x1='%d' x2='%d' y1='%.1f' y2='%.1f' /><text x='%d' y='%.1f' text-anchor='end'>%g%s</text>",
        LEFT, WIDTH - RIGHT, at, at, LEFT - 8, at + 4, y, c->unit);
}

static void y_axis(text *out, const chart *c, const axes *a) {
    if (!a->logarithmic) {
        double step = chart_step(a->high - a->low, 5); /* -0 + 0.0 prints as 0 */
        for (double k = ceil(a->low / step); k * step <= a->high + 1e-9 * step; k++) y_tick(out, c, a, k * step + 0.0);
        return;
    }
    static const struct {
        double decades;  /* on an axis shorter than this ... */
        double steps[4]; /* ... each decade has ticks at these */
    } densities[] = { { 1.6, { 1, 2, 5 } }, { 3.2, { 1, 3 } }, { INFINITY, { 1 } } };
    int density = 0;
    while (a->high - a->low >= densities[density].decades) density++;
    for (int power = (int)floor(a->low); power <= (int)ceil(a->high); power++) {
        for (const double *step = densities[density].steps; *step > 0; step++) {
            double y = *step * pow(10, power), at = log10(y);
            if (at >= a->low && at <= a->high) y_tick(out, c, a, y);
        }
    }
}

static void x_tick(text *out, const axes *a, double x) {
    text_add(out, "<text x='%.1f' y='%d' text-anchor='middle'>%g</text>", place_x(a, x), HEIGHT - BOTTOM + 18, x);
}

static void x_axis(text *out, const chart *c, const axes *a) {
    if (a->x_logarithmic) {
        for (int power = (int)ceil(a->x_least - 1e-9); power <= a->x_most + 1e-9; power++)
            x_tick(out, a, pow(10, power));
    } else {
        double step = fmax(chart_step(a->x_most, 8), a->x_most >= 1 ? 1 : 0);
        for (double k = 0; k * step <= a->x_most + 1e-9; k++) x_tick(out, a, k * step);
    }
    text_add(out, "<text x='%d' y='%d' text-anchor='end'>%s</text>", WIDTH - RIGHT, HEIGHT + 4, c->x_name);
}

static void line(text *out, const chart_series *s, const axes *a) {
    text_add(out, "<polyline class='line%s' style='stroke:var(--%c)' points='", s->faint ? " faint" : "",
             s->colour);
    for (int i = 0; i < s->n; i++)
        if (isfinite(s->points[i].y))
            text_add(out, "%.1f,%.1f ", place_x(a, s->points[i].x), place_y(a, s->points[i].y));
    text_add(out, "' />");
}

/* A band is cut off where it leaves the axes. */
static void band(text *out, const chart_series *s, const axes *a) {
    text_add(out, "<polygon class='band' style='fill:var(--%c)' points='", s->colour);
    for (int i = 0; i < 2 * s->n; i++) {
        const int at = i < s->n ? i : 2 * s->n - 1 - i;
        const chart_point p = s->points[at];
        const double y = i < s->n ? p.y + s->apart[at] : p.y - s->apart[at];
        if (isfinite(y)) text_add(out, "%.1f,%.1f ", place_x(a, p.x), place_y(a, y));
    }
    text_add(out, "' />");
}

enum { LEGEND_ROW = 17, LEGEND_COLUMNS = 2 };

/* Returns its height. */
static int legend(text *out, const chart *c) {
    int n = 0;
    for (int i = 0; i < c->n_series; i++) {
        const chart_series *s = &c->series[i];
        if (!s->name) continue;
        const int x = LEFT + n % LEGEND_COLUMNS * (WIDTH - LEFT) / LEGEND_COLUMNS;
        const int y = HEIGHT + 24 + n / LEGEND_COLUMNS * LEGEND_ROW;
        text_add(out, "<path d='M%d %dh14' style='stroke:var(--%c);stroke-width:3' /><text x='%d' y='%d'>", x, y - 4,
                 s->colour, x + 20, y);
        escape(out, s->name);
        text_add(out, "</text>");
        n++;
    }
    return n ? (n + LEGEND_COLUMNS - 1) / LEGEND_COLUMNS * LEGEND_ROW + 12 : 0;
}

static void dots(text *out, const chart_series *s, const chart *c, const axes *a) {
    for (int i = 0; i < s->n; i++) {
        chart_point p = s->points[i];
        if (!isfinite(p.y)) continue;
        text_add(out, "<circle class='dot %c' r='%s' cx='%.1f' cy='%.1f'><title>%s %g: %.4g%s</title></circle>",
                 s->colour, s->n > 40 ? "2.5" : "4", place_x(a, p.x), place_y(a, p.y), c->x_name, p.x, p.y, c->unit);
    }
}

static void draw(text *out, const chart *c) {
    axes a = fit_axes(c);
    y_axis(out, c, &a);
    x_axis(out, c, &a);
    if (c->y_name) {
        text_add(out, "<text x='%d' y='%d'>", LEFT, TOP - 6);
        escape(out, c->y_name);
        text_add(out, "</text>");
    }
    if (c->mark > 0)
        text_add(out, "<line class='mark' x1='%.1f' x2='%.1f' y1='%d' y2='%d' />", place_x(&a, c->mark),
                 place_x(&a, c->mark), TOP, HEIGHT - BOTTOM);
    for (int i = 0; i < c->n_series; i++) {
        if (c->series[i].apart) band(out, &c->series[i], &a);
    }
    for (int i = 0; i < c->n_series; i++) {
        line(out, &c->series[i], &a);
        if (c->series[i].dots || c->series[i].n == 1) dots(out, &c->series[i], c, &a);
    }
}

void chart_svg(text *out, const chart *c) {
    text_add(out, "<svg viewBox='0 0 %d %d' role='img'>", WIDTH, HEIGHT + 8);
    draw(out, c);
    text_add(out, "</svg>");
}

void chart_file(text *out, const chart *c) {
    text names = { 0 };
    const int height = HEIGHT + 24 + legend(&names, c);
    text_add(out,
             "<svg xmlns='http://www.w3.org/2000/svg' viewBox='-10 -6 %d %d' width='%d' height='%d' "
             "font-family='system-ui,sans-serif'><style>%s%s svg{background:var(--card)}</style>",
             WIDTH + 20, height, 2 * (WIDTH + 20), 2 * height, chart_colours, chart_style);
    draw(out, c);
    text_add(out, "%s</svg>\n", names.length ? names.bytes : "");
    free(names.bytes);
}
