/* explained_plots.c - explanations as SVG: bars, waterfall, force, beeswarm, dependence, as shap has them.
 *
 * Values above 0 raise the score and are drawn in the colour --up, those below 0 in --down; the dots of a beeswarm go
 * from --down for the least value of a feature to --up for its largest.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reports/chart.h"
#include "reports/explained.h"
#include "reports/network.h"

enum { WIDTH = 680, LEFT = 240, RIGHT = 70, ROW = 26, TOP = 22, MOST = 12 };

/* clang-format off */
const char explained_style[] =
    ":root{--up:#d6453d;--down:#2f6fde}@media(prefers-color-scheme:dark){:root{--up:#ff7a6b;--down:#7fa9ff}}"
    ".up{fill:var(--up)}.down{fill:var(--down)}svg .feature{fill:var(--ink)}.axis{stroke:var(--soft);stroke-opacity:.6}"
    ".join{stroke:var(--soft);stroke-dasharray:2 3}.seen{fill-opacity:.75}";
/* clang-format on */

/* A linear axis over [low, high], from `left` to `right`. */
typedef struct scale {
    double low, high;
    int left, right;
} scale;

/* With a margin at both ends, but none beyond 0. */
static scale scale_of(double low, double high) {
    if (!(high > low)) return (scale){ low - 0.5, low + 0.5, LEFT, WIDTH - RIGHT };
    const double margin = 0.04 * (high - low);
    return (scale){ low == 0 ? 0 : low - margin, high == 0 ? 0 : high + margin, LEFT, WIDTH - RIGHT };
}

static double place(const scale *s, double v) {
    return s->left + (s->right - s->left) * (v - s->low) / (s->high - s->low);
}

static void label(text *out, double x, double y, const char *anchor, const char *style, const char *words) {
    text_add(out, "<text x='%.1f' y='%.1f' text-anchor='%s' class='%s'>", x, y, anchor, style);
    escape(out, words);
    text_add(out, "</text>");
}

static void number(text *out, double x, double y, const char *anchor, double value, const char *format) {
    char words[SHORT];
    snprintf(words, sizeof words, format, value);
    label(out, x, y, anchor, "", words);
}

/* Round numbers under the plot. */
static void axis(text *out, const scale *s, double bottom, const char *name) {
    const double step = chart_step(s->high - s->low, 5);
    text_add(out, "<line class='axis' x1='%d' x2='%d' y1='%.1f' y2='%.1f'/>", s->left, s->right, bottom, bottom);
    for (double k = ceil(s->low / step); k * step <= s->high; k++) {
        const double at = place(s, k * step);
        text_add(out, "<line class='axis' x1='%.1f' x2='%.1f' y1='%.1f' y2='%.1f'/>", at, at, bottom, bottom + 4);
        number(out, at, bottom + 17, "middle", k * step + 0.0, "%.6g");
    }
    label(out, (s->left + s->right) / 2.0, bottom + 33, "middle", "", name);
}

static void feature_label(const explained *x, text *out, int64_t sample, int64_t feature, double y) {
    char name[SHORT], datum[SHORT], both[2 * SHORT + 4];
    explained_feature(x, feature, name);
    explained_datum(x, sample, feature, datum);
    const bool shown = x->n == 1 && datum[0];
    snprintf(both, sizeof both, "%s%s%s", name, shown ? " = " : "", shown ? datum : "");
    label(out, LEFT - 10, y + 4, "end", "feature", both);
}

static int shown_features(const explained *x) { return (int)GLIA_MIN(x->e[0].n, (int64_t)MOST); }

/* ---- bars ------------------------------------------------------------------------------------- */

/* The value of one sample, or the mean size over several. */
static double height_of(const explained *x, int64_t feature) {
    double sum = 0;
    for (int64_t i = 0; i < x->n; i++) sum += fabs(x->e[i].values[feature]) / (double)x->n;
    return x->n == 1 ? x->e[0].values[feature] : sum;
}

static void bar(const explained *x, text *out, int64_t unused) {
    (void)unused;
    int64_t *order = explained_order(x);
    const int n = shown_features(x);
    double low = 0, high = 0;
    for (int k = 0; k < n; k++) low = fmin(low, height_of(x, order[k])), high = fmax(high, height_of(x, order[k]));
    const scale s = scale_of(low, high);
    for (int k = 0; k < n; k++) {
        const double v = height_of(x, order[k]), y = TOP + k * ROW + ROW / 2.0, a = place(&s, 0), b = place(&s, v);
        feature_label(x, out, 0, order[k], y);
        text_add(out, "<rect class='%s' x='%.1f' y='%.1f' width='%.1f' height='%d' rx='2'/>", v < 0 ? "down" : "up",
                 fmin(a, b), y - 9, fabs(b - a), 18);
        number(out, v < 0 ? b - 5 : b + 5, y + 4, v < 0 ? "end" : "start", v, x->n == 1 ? "%+.3g" : "%.3g");
    }
    axis(out, &s, TOP + n * ROW + 6, x->n == 1 ? "value" : "mean |value|");
    free(order);
}

/* ---- waterfall -------------------------------------------------------------------------------- */

/* From the base at the bottom to the output at the top; what has no row of its own is one row. */
static void waterfall(const explained *x, text *out, int64_t unused) {
    (void)unused;
    const glia_explanation *e = &x->e[0];
    int64_t *order = explained_order(x);
    const int n = shown_features(x), rest = e->n > n;
    double step[MOST + 1] = { 0 }, low, high, at = isnan(e->base_value) ? 0 : e->base_value;
    for (int64_t k = 0; k < e->n; k++) step[GLIA_MIN(k, (int64_t)n)] += e->values[order[k]];
    low = high = at;
    for (int k = n + rest - 1; k >= 0; k--) at += step[k], low = fmin(low, at), high = fmax(high, at);
    const scale s = scale_of(low, high);
    at = isnan(e->base_value) ? 0 : e->base_value;
    for (int k = n + rest - 1; k >= 0; k--) {
        const double y = TOP + k * ROW + ROW / 2.0, a = place(&s, at), b = place(&s, at + step[k]);
        if (k < n) feature_label(x, out, 0, order[k], y);
        if (k == n) label(out, LEFT - 10, y + 4, "end", "feature", "the others");
        const double tip = fmin(6, fabs(b - a)) * (b > a ? 1 : -1);
        text_add(out, "<path class='%s' d='M%.1f %.1fH%.1fL%.1f %.1fL%.1f %.1fH%.1fz'/>", step[k] < 0 ? "down" : "up",
                 a, y - 9, b - tip, b, y, b - tip, y + 9, a);
        text_add(out, "<line class='join' x1='%.1f' x2='%.1f' y1='%.1f' y2='%.1f'/>", b, b, y - 9, y - ROW + 9);
        number(out, fmax(a, b) + 5, y + 4, "start", step[k], "%+.3g");
        at += step[k];
    }
    axis(out, &s, TOP + (n + rest) * ROW + 6, "score");
    number(out, place(&s, at), 14, "middle", e->output_value, "f(x) = %.4g");
    if (!isnan(e->base_value))
        number(out, place(&s, e->base_value), TOP + (n + rest) * ROW + 39, "middle", e->base_value, "base %.4g");
    free(order);
}

/* ---- force ------------------------------------------------------------------------------------ */

enum { FORCE_TOP = 60, FORCE_HEIGHT = 34, LETTER = 7 };

/* One side of the meeting point: arrows from `at`, the largest next to it. */
static void push(const explained *x, text *out, const int64_t *order, bool up, double at, double unit) {
    const glia_explanation *e = &x->e[0];
    char name[SHORT];
    for (int64_t k = 0; k < e->n; k++) {
        const double v = e->values[order[k]], width = fabs(v) * unit, outward = up ? -1 : 1;
        if ((v > 0) != up || width < 1) continue;
        const double far = at + outward * width, tip = outward * fmin(5, width / 2),
                     middle = FORCE_TOP + FORCE_HEIGHT / 2.0;
        text_add(out, "<path class='%s seen' d='M%.1f %dL%.1f %.1fL%.1f %dH%.1fL%.1f %.1fL%.1f %dz'><title>",
                 up ? "up" : "down", at + tip, FORCE_TOP, at, middle, at + tip, FORCE_TOP + FORCE_HEIGHT, far + tip,
                 far, middle, far + tip, FORCE_TOP);
        escape(out, explained_feature(x, order[k], name));
        text_add(out, " %+.4g</title></path>", v);
        if ((double)strlen(name) * LETTER <= width) /* the title has the others */
            label(out, (at + far) / 2, FORCE_TOP + FORCE_HEIGHT + 16, "middle", "feature", name);
        at = far;
    }
}

static void force(const explained *x, text *out, int64_t unused) {
    (void)unused;
    const glia_explanation *e = &x->e[0];
    int64_t *order = explained_order(x);
    double up = 0, down = 0;
    for (int64_t k = 0; k < e->n; k++) *(e->values[k] > 0 ? &up : &down) += fabs(e->values[k]);
    const double unit = (WIDTH - 40) / fmax(up + down, 1e-300), meets = 20 + up * unit;
    push(x, out, order, true, meets, unit);
    push(x, out, order, false, meets, unit);
    number(out, fmin(fmax(meets, 60), WIDTH - 60), FORCE_TOP - 26, "middle", e->output_value, "f(x) = %.4g");
    text_add(out, "<line class='axis' x1='%.1f' x2='%.1f' y1='%d' y2='%d'/>", meets, meets, FORCE_TOP - 18,
             FORCE_TOP + FORCE_HEIGHT);
    label(out, 20, FORCE_TOP - 8, "start", "", "raises \u2192");
    label(out, WIDTH - 20, FORCE_TOP - 8, "end", "", "\u2190 lowers");
    free(order);
}

/* ---- beeswarm --------------------------------------------------------------------------------- */

/* A colour between --down and --up, by where v lies between the least and the largest. */
static void dot(text *out, double cx, double cy, double share) {
    text_add(out,
             "<circle class='seen' r='2.6' cx='%.1f' cy='%.1f' "
             "style='fill:color-mix(in oklab,var(--up) %.0f%%,var(--down))'/>",
             cx, cy, 100 * share);
}

static double datum_of(const explained *x, int64_t i, int64_t feature) {
    const int64_t size = glia_shape_count(x->s->sample);
    return x->e[i].groups || x->e[i].n != size ? 0.5 : x->data[i * size + feature];
}

static void range_of(const explained *x, int64_t feature, double *low, double *high) {
    *low = INFINITY, *high = -INFINITY;
    for (int64_t i = 0; i < x->n; i++) {
        *low = fmin(*low, datum_of(x, i, feature));
        *high = fmax(*high, datum_of(x, i, feature));
    }
}

/* Dots of a row that would lie on each other move up and down in turn. */
static void swarm_row(const explained *x, text *out, const scale *s, int64_t feature, double y) {
    enum { CELLS = 96 };
    int stacked[CELLS] = { 0 };
    double low, high;
    range_of(x, feature, &low, &high);
    for (int64_t i = 0; i < x->n; i++) {
        const double at = place(s, x->e[i].values[feature]);
        const int cell = (int)fmin(fmax((at - LEFT) / (WIDTH - LEFT - RIGHT) * CELLS, 0), CELLS - 1),
                  k = stacked[cell]++;
        const double shift = (k + 1) / 2 * (k % 2 ? 2.2 : -2.2);
        dot(out, at, y + fmin(fmax(shift, -11), 11), high > low ? (datum_of(x, i, feature) - low) / (high - low) : 0.5);
    }
}

static void beeswarm(const explained *x, text *out, int64_t unused) {
    (void)unused;
    int64_t *order = explained_order(x);
    const int n = shown_features(x);
    double low = 0, high = 0;
    for (int64_t i = 0; i < x->n; i++) {
        for (int k = 0; k < n; k++) {
            low = fmin(low, x->e[i].values[order[k]]);
            high = fmax(high, x->e[i].values[order[k]]);
        }
    }
    const scale s = scale_of(low, high);
    text_add(out, "<line class='axis' x1='%.1f' x2='%.1f' y1='%d' y2='%d'/>", place(&s, 0), place(&s, 0), TOP,
             TOP + n * ROW);
    for (int k = 0; k < n; k++) {
        const double y = TOP + k * ROW + ROW / 2.0;
        feature_label(x, out, 0, order[k], y);
        swarm_row(x, out, &s, order[k], y);
    }
    axis(out, &s, TOP + n * ROW + 6, "value (colour: the feature, low to high)");
    free(order);
}

/* ---- dependence ------------------------------------------------------------------------------- */

enum { DEPENDENCE_WIDTH = 400, DEPENDENCE_HEIGHT = 240, DEPENDENCE_LEFT = 56 };

static void dependence(const explained *x, text *out, int64_t feature) {
    char name[SHORT];
    double low, high, least = INFINITY, most = -INFINITY;
    range_of(x, feature, &low, &high);
    for (int64_t i = 0; i < x->n; i++) {
        least = fmin(least, x->e[i].values[feature]);
        most = fmax(most, x->e[i].values[feature]);
    }
    scale across = scale_of(low, high), up = scale_of(least, most);
    across.left = DEPENDENCE_LEFT, across.right = DEPENDENCE_WIDTH - 16;
    const double height = DEPENDENCE_HEIGHT - TOP, step = chart_step(up.high - up.low, 5);
    for (double k = ceil(up.low / step); k * step <= up.high; k++) {
        const double y = TOP + height * (up.high - k * step) / (up.high - up.low);
        text_add(out, "<line class='axis' x1='%d' x2='%d' y1='%.1f' y2='%.1f' stroke-dasharray='1 4'/>", across.left,
                 across.right, y, y);
        number(out, across.left - 8, y + 4, "end", k * step + 0.0, "%.6g");
    }
    for (int64_t i = 0; i < x->n; i++) {
        const double v = x->e[i].values[feature];
        dot(out, place(&across, datum_of(x, i, feature)), TOP + height * (up.high - v) / (up.high - up.low), v > 0);
    }
    label(out, 4, TOP - 10, "start", "feature", "value");
    axis(out, &across, TOP + height + 6, explained_feature(x, feature, name));
}

/* ---- by name ---------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    explained_plot draw;
} plots[] = { { "bar", bar },
              { "waterfall", waterfall },
              { "force", force },
              { "beeswarm", beeswarm },
              { "dependence", dependence } };
const char explained_plot_names[] = "bar, waterfall, force, beeswarm, dependence";

explained_plot explained_plot_named(const char *name) {
    for (int i = 0; i < GLIA_COUNT(plots); i++) {
        if (strcmp(plots[i].name, name) == 0) return plots[i].draw;
    }
    return NULL;
}

static int height_of_plot(const explained *x, explained_plot draw) {
    if (draw == force) return FORCE_TOP + FORCE_HEIGHT + 30;
    if (draw == dependence) return DEPENDENCE_HEIGHT + 46;
    return TOP + (shown_features(x) + (draw == waterfall && x->e[0].n > MOST)) * ROW + 46;
}

void explained_svg(const explained *x, const char *plot, int64_t feature, bool file, text *out) {
    const explained_plot draw = explained_plot_named(plot);
    const int height = height_of_plot(x, draw), width = draw == dependence ? DEPENDENCE_WIDTH : WIDTH;
    if (file)
        text_add(out,
                 "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %d %d' width='%d' height='%d' "
                 "font-family='system-ui,sans-serif'><style>%s%s%s svg{background:var(--card)}</style>",
                 width, height, width, height, chart_colours, chart_style, explained_style);
    else
        text_add(out, "<svg viewBox='0 0 %d %d' role='img'>", width, height);
    draw(x, out, feature);
    text_add(out, "</svg>%s", file ? "\n" : "");
}
