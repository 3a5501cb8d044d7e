/* explained_page.c - explanations as heat maps over pictures, coloured words, and one HTML page. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reports/chart.h"
#include "reports/explained.h"
#include "reports/network.h"

/* clang-format off */
static const char style[] =
    "*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);"
    "font:15px/1.55 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;font-variant-numeric:tabular-nums}"
    "main{max-width:980px;margin:0 auto;padding:40px 24px 64px}h1{font-size:28px;margin:0 0 4px}"
    "h1 span,p,footer{color:var(--soft);font-weight:400}h2{font-size:17px;margin:36px 0 8px}p{margin:0 0 12px}"
    ".card{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:16px 18px;margin:0 0 16px}"
    ".two{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(380px,100%),1fr));gap:16px}"
    ".card img{image-rendering:pixelated;width:100%;max-width:420px;border-radius:8px;display:block}"
    "svg{display:block;width:100%;height:auto}figure{margin:0}figcaption{font-weight:600;margin-bottom:8px}"
    ".words{line-height:2}.words span{border-radius:4px;padding:2px 1px}table{border-collapse:collapse;width:100%}"
    "td,th{text-align:left;padding:4px 12px 4px 0;border-bottom:1px solid var(--line);font-weight:400}"
    "th{color:var(--soft)}footer{margin-top:40px;font-size:13px}";
/* clang-format on */

/* ---- heat maps -------------------------------------------------------------------------------- */

bool explained_has_heat(const explained *x) {
    return picture_possible(x->s->sample) && (x->e[0].groups || glia_shape_count(x->s->sample) % x->e[0].n == 0);
}

/* The sum over channels of the values of each pixel, and the largest size. */
static double *heat_of(const explained *x, int64_t i, double *largest) {
    const glia_shape s = x->s->sample;
    const int64_t size = glia_shape_count(s), plane = s.dim[1] * s.dim[2];
    double *spread = allocate((size_t)size, sizeof *spread), *heat = allocate((size_t)plane, sizeof *heat);
    if (glia_explanation_spread(&x->e[i], s, spread, NULL) == GLIA_OK) {
        const bool summed = x->e[i].n == size;
        for (int64_t k = 0; k < size; k++) heat[k % plane] += summed || k < plane ? spread[k] : 0;
    }
    *largest = 0;
    for (int64_t k = 0; k < plane; k++) *largest = fmax(*largest, fabs(heat[k]));
    free(spread);
    return heat;
}

static double channel_of(const double *pixels, glia_shape s, int64_t place, int c) {
    const int64_t plane = s.dim[1] * s.dim[2];
    return pixels[(s.dim[0] == 3 ? c : 0) * plane + place];
}

/* The picture in grey, so that only the heat has colours: red above 0, blue below. */
static void paint(const double *pixels, glia_shape s, const double *heat, double largest, int scale, picture *p) {
    static const double up[3] = { 214, 69, 61 }, down[3] = { 47, 111, 222 };
    for (int y = 0; y < p->height; y++) {
        for (int x = 0; x < p->width; x++) {
            const int64_t place = y / scale * s.dim[2] + x / scale;
            double grey = 0;
            for (int c = 0; c < 3; c++) grey += channel_of(pixels, s, place, c) / 3;
            grey = 255 * fmin(fmax(grey, 0), 1);
            const double share = largest > 0 ? 0.85 * fabs(heat[place]) / largest : 0;
            for (int c = 0; c < 3; c++) {
                const double colour = heat[place] > 0 ? up[c] : down[c];
                p->pixels[(y * p->width + x) * 3 + c] = (unsigned char)lrint(grey + share * (colour - grey));
            }
        }
    }
}

picture explained_heat(const explained *x, int64_t i, int least_side) {
    const glia_shape s = x->s->sample;
    const int shorter = (int)GLIA_MIN(s.dim[1], s.dim[2]), scale = GLIA_MAX(least_side / shorter, 1);
    picture p = { .height = (int)s.dim[1] * scale, .width = (int)s.dim[2] * scale, .channels = 3 };
    double largest, *heat = heat_of(x, i, &largest);
    p.pixels = allocate((size_t)p.height * (size_t)p.width, 3);
    paint(x->data + i * glia_shape_count(s), s, heat, largest, scale, &p);
    free(heat);
    return p;
}

static void heat_figures(const explained *x, text *out) {
    enum { MOST = 24, SIDE = 224 };
    text_add(out, "<h2>Heat maps</h2><p>Red raises the score, blue lowers it.</p><div class=two>");
    for (int64_t i = 0; i < x->n && i < MOST; i++) {
        char name[SHORT];
        picture p = explained_heat(x, i, SIDE);
        text_add(out, "<figure class=card><figcaption>");
        escape(out, explained_output(x, x->e[i].output, name));
        text_add(out, " %.4g</figcaption><img alt='' src='data:image/png;base64,", x->e[i].output_value);
        picture_base64(&p, out);
        text_add(out, "'></figure>");
        free(p.pixels);
    }
    text_add(out, "</div>");
}

/* ---- words ------------------------------------------------------------------------------------ */

static void words(const explained *x, text *out) {
    const glia_explanation *e = &x->e[0];
    double largest = 0;
    for (int64_t k = 0; k < e->n; k++) largest = fmax(largest, fabs(e->values[k]));
    text_add(out, "<h2>Words</h2><p>Red raises the score, blue lowers it.</p><div class='card words'>");
    for (int64_t k = 0; k < glia_shape_count(x->s->sample); k++) {
        const int64_t f = e->groups ? e->groups[k] : k;
        const double v = f >= 0 && f < e->n ? e->values[f] : 0;
        if (!x->tokens[k][0]) continue;
        text_add(out, "<span title='%+.4g' style='background:color-mix(in oklab,var(--%s) %.0f%%,transparent)'>", v,
                 v > 0 ? "up" : "down", largest > 0 ? 70 * fabs(v) / largest : 0);
        escape(out, x->tokens[k]);
        text_add(out, "</span>%s", x->s->names.tokenizer ? " " : "");
    }
    text_add(out, "</div>");
}

/* ---- the page --------------------------------------------------------------------------------- */

static void figure(const explained *x, text *out, const char *title, const char *plot, int64_t feature) {
    text_add(out, "<figure class=card><figcaption>%s</figcaption>", title);
    explained_svg(x, plot, feature, false, out);
    text_add(out, "</figure>");
}

static void plots(const explained *x, text *out) {
    int64_t *order = explained_order(x);
    text_add(out, "<h2>Values</h2>");
    if (x->n == 1 && !isnan(x->e[0].base_value) && isnan(x->e[0].r2)) {
        figure(x, out, "From the base to the score", "waterfall", 0);
        figure(x, out, "What raises and what lowers it", "force", 0);
    } else {
        figure(x, out, x->n == 1 ? "The largest values" : "Mean sizes", "bar", 0);
    }
    if (x->n > 1 && !x->e[0].groups && x->e[0].n == glia_shape_count(x->s->sample)) {
        figure(x, out, "All samples", "beeswarm", 0);
        text_add(out, "<div class=two>");
        for (int k = 0; k < 4 && k < x->e[0].n; k++) figure(x, out, "Dependence", "dependence", order[k]);
        text_add(out, "</div>");
    }
    free(order);
}

static void cell(text *out, double value) {
    if (isnan(value))
        text_add(out, "<td>");
    else
        text_add(out, "<td style='white-space:nowrap'>%.*g", fabs(value) < 1e-6 ? 2 : 4, value);
}

static void quality(const explained *x, text *out) {
    text_add(out,
             "<h2>How good it is</h2><p>The residual is what the values lack of the score minus the base; the error "
             "is the largest standard error of a value.</p><div class=card><table><tr><th>input<th>output<th>score"
             "<th>base<th>residual<th>error<th>R&sup2;<th>evaluations<th>tolerance met");
    for (int64_t i = 0; i < x->n; i++) {
        const glia_explanation *e = &x->e[i];
        char name[SHORT];
        text_add(out, "<tr><td>");
        escape(out, x->inputs[i]);
        text_add(out, "<td>");
        escape(out, explained_output(x, e->output, name));
        cell(out, e->output_value), cell(out, e->base_value), cell(out, e->residual);
        cell(out, e->errors ? e->error : NAN), cell(out, e->r2);
        text_add(out, "<td>%lld<td>%s", (long long)e->evaluations, e->converged ? "yes" : "no");
    }
    text_add(out, "</table></div>");
}

static void checks(const explained *x, text *out) {
    text_add(out, "<h2>Random parameters</h2><p>The rank correlation of the explanation with the one after the layers "
                  "down to this one got random parameters (Adebayo et al. 2018): near 0 is as it should be.</p>"
                  "<div class=card><table><tr><th>down to layer<th>correlation<th>of sizes");
    for (int k = 0; k < x->n_checked; k++) {
        text_add(out, "<tr><td>");
        escape(out, x->checked[k].layer);
        text_add(out, "<td>%.3f<td>%.3f", x->checked[k].rank_correlation, x->checked[k].absolute_rank_correlation);
    }
    text_add(out, "</table></div>");
}

static void curves(const explained *x, text *out) {
    text_add(out, "<h2>Deletion and insertion</h2><p>The score while the places with the largest values become zero "
                  "(blue), and while they are put into a sample of zeros (orange), one after the other (Petsiuk et al. "
                  "2018). A small area of deletion and a large one of insertion speak for the explanation.</p>");
    for (int64_t i = 0; i < x->n && i < 4; i++) {
        const explained_curves *c = &x->curves[i];
        chart_point gone[EXPLAINED_STEPS + 1], come[EXPLAINED_STEPS + 1];
        for (int k = 0; k <= EXPLAINED_STEPS; k++) {
            gone[k] = (chart_point){ 100.0 * k / EXPLAINED_STEPS, c->deletion[k] };
            come[k] = (chart_point){ 100.0 * k / EXPLAINED_STEPS, c->insertion[k] };
        }
        const chart_series series[] = {
            { .points = gone, .n = EXPLAINED_STEPS + 1, .colour = 'a', .dots = true },
            { .points = come, .n = EXPLAINED_STEPS + 1, .colour = 'b', .dots = true },
        };
        text_add(out, "<div class=card><p>");
        escape(out, x->inputs[i]);
        text_add(out, ": areas %.4g and %.4g</p>", c->deleted, c->inserted);
        chart_svg(out,
                  &(chart){ .series = series, .n_series = 2, .x_name = "% of the places", .unit = "", .y_free = true });
        text_add(out, "</div>");
    }
}

void explained_html(const explained *x, text *out) {
    text_add(out,
             "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
             "<title>%s</title><style>%s%s%s%s</style><main><h1>%s <span>of ",
             x->method->name, chart_colours, chart_style, explained_style, style, x->method->name);
    escape(out, x->model);
    text_add(out, "</span></h1><p>");
    escape(out, x->method->summary);
    if (x->method->paper) text_add(out, " &middot; "), escape(out, x->method->paper);
    if (x->settings) text_add(out, " &middot; "), escape(out, x->settings);
    text_add(out, " &middot; seed %lld</p>", (long long)x->seed);
    if (explained_has_heat(x)) heat_figures(x, out);
    if (x->tokens) words(x, out);
    plots(x, out);
    quality(x, out);
    if (x->curves) curves(x, out);
    if (x->checked) checks(x, out);
    text_add(out, "<footer>Glia %s</footer></main></html>\n", glia_version());
}
