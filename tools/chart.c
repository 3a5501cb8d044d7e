/* chart.c - curves as SVG, coloured by the page's style: classes grid, train, validation, dot. */
#include "chart.h"

#include <math.h>
#include <stdio.h>

enum { WIDTH = 460, HEIGHT = 250, LEFT = 46, RIGHT = 12, TOP = 14, BOTTOM = 30 }; /* of the drawing, in its own units */

typedef struct axes {
    double x_most, low, high; /* y's ends, as logarithms where `logarithmic` */
    bool logarithmic;
} axes;

static double place_x(const axes *a, double x) { return LEFT + (WIDTH - LEFT - RIGHT) * x / a->x_most; }

static double place_y(const axes *a, double y) {
    double at = a->logarithmic ? log10(y > 0 ? y : 1e-12) : y;
    double share = (fmin(fmax(at, a->low), a->high) - a->low) / (a->high - a->low);
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - share);
}

static void widen(const chart_point *points, int n, double *least, double *most, double *x_most) {
    for (int i = 0; i < n; i++) {
        if (!isfinite(points[i].y)) continue;
        *least = fmin(*least, points[i].y);
        *most = fmax(*most, points[i].y);
        *x_most = fmax(*x_most, points[i].x);
    }
}

static axes fit_axes(const chart *c) {
    axes a = { 0 };
    double least = INFINITY, most = -INFINITY;
    widen(c->train, c->n_train, &least, &most, &a.x_most);
    widen(c->validation, c->n_validation, &least, &most, &a.x_most);
    if (!(a.x_most > 0)) a.x_most = 1;
    if (!isfinite(least)) least = 0, most = 1;
    a.logarithmic = least > 0 ? most / least > 8 : most > 8;
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

/* 1, 2 or 5 times a power of ten: the least of them that cuts `span` into at most `pieces`. */
static double nice_step(double span, int pieces) {
    double power = pow(10, floor(log10(span / pieces)));
    const double steps[] = { 1, 2, 5, 10 };
    for (int i = 0; i < 4; i++)
        if (steps[i] * power * pieces >= span) return steps[i] * power;
    return 10 * power;
}

static void y_tick(text *out, const chart *c, const axes *a, double y) {
    double at = place_y(a, y);
    text_add(out, "<line class=grid x1=%d x2=%d y1=%.1f y2=%.1f /><text x=%d y=%.1f text-anchor=end>%g%s</text>", LEFT,
             WIDTH - RIGHT, at, at, LEFT - 8, at + 4, y, c->unit);
}

static void y_axis(text *out, const chart *c, const axes *a) {
    if (!a->logarithmic) {
        double step = nice_step(a->high - a->low, 5);
        for (double k = ceil(a->low / step); k * step <= a->high + 1e-9 * step; k++) y_tick(out, c, a, k * step);
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

static void x_axis(text *out, const chart *c, const axes *a) {
    double step = fmax(nice_step(a->x_most, 8), a->x_most >= 1 ? 1 : 0);
    for (double k = 0; k * step <= a->x_most + 1e-9; k++)
        text_add(out, "<text x=%.1f y=%d text-anchor=middle>%g</text>", place_x(a, k * step), HEIGHT - BOTTOM + 18,
                 k * step);
    text_add(out, "<text x=%d y=%d text-anchor=end>%s</text>", WIDTH - RIGHT, HEIGHT + 4, c->x_name);
}

static void line(text *out, const char *class, const chart_point *points, int n, const axes *a) {
    text_add(out, "<polyline class=%s points='", class);
    for (int i = 0; i < n; i++)
        if (isfinite(points[i].y)) text_add(out, "%.1f,%.1f ", place_x(a, points[i].x), place_y(a, points[i].y));
    text_add(out, "' />");
}

static void dots(text *out, const char *class, const chart_point *points, int n, const chart *c, const axes *a) {
    for (int i = 0; i < n; i++) {
        if (!isfinite(points[i].y)) continue;
        text_add(out, "<circle class='%s' r=%s cx=%.1f cy=%.1f><title>%s %g: %.4g%s</title></circle>", class,
                 n > 40 ? "2.5" : "4", place_x(a, points[i].x), place_y(a, points[i].y), c->x_name, points[i].x,
                 points[i].y, c->unit);
    }
}

void chart_svg(text *out, const chart *c) {
    axes a = fit_axes(c);
    text_add(out, "<svg viewBox='0 0 %d %d' role=img>", WIDTH, HEIGHT + 8);
    y_axis(out, c, &a);
    x_axis(out, c, &a);
    line(out, "train", c->train, c->n_train, &a);
    if (c->n_train == 1) dots(out, "dot a", c->train, 1, c, &a);
    line(out, "validation", c->validation, c->n_validation, &a);
    dots(out, "dot", c->validation, c->n_validation, c, &a);
    text_add(out, "</svg>");
}
