/* report.c - writes the report of a run as one HTML file.
 *
 * From top to bottom: what it is, the figures, curves, the confusion matrix, the worst mistakes, a sheet of samples,
 * the network, the settings, the layers. Curves are SVG, pictures PNG in data: addresses; colours follow the reader's
 * light or dark preference through the variables at the head of the style.
 */
#include "reports/report.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reports/chart.h"
#include "reports/network.h"
#include "reports/picture.h"
#include "reports/shown.h"

/* clang-format off */
static const char style[] =
    "*{box-sizing:border-box}"
    "body{margin:0;background:var(--paper);color:var(--ink);"
    "font:15px/1.55 system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif;"
    "font-variant-numeric:tabular-nums}main{max-width:1040px;margin:0 auto;padding:48px 24px 64px}"
    "h1{font-size:30px;line-height:1.2;letter-spacing:-.02em;margin:0 0 4px;font-weight:650}"
    "h1 span{color:var(--soft);font-weight:400}"
    "h2{font-size:17px;letter-spacing:-.01em;margin:48px 0 4px;font-weight:650}p{margin:0;color:var(--soft)}"
    "h2+p{margin-bottom:16px;max-width:96ch;text-wrap:pretty}"
    ".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin-top:28px}"
    ".tile,.card{background:var(--card);border:1px solid var(--line);border-radius:12px}"
    ".tile{padding:14px 16px 12px}"
    ".tile b{display:block;font-size:25px;line-height:1.25;letter-spacing:-.02em;font-weight:620}"
    ".tile span{color:var(--soft);font-size:13px}"
    ".two{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(420px,100%),1fr));gap:16px}"
    ".card{padding:16px 18px}figure{margin:0}.two>figure:only-child{max-width:520px}"
    "figcaption{font-weight:600;display:flex;justify-content:space-between;gap:16px;flex-wrap:wrap}"
    ".key{font-weight:400;color:var(--soft);font-size:13px}"
    ".key i{display:inline-block;width:14px;height:3px;border-radius:2px;margin:0 6px 3px 12px}"
    "svg{display:block;width:100%;height:auto;overflow:visible}.network{margin:0 auto}"
    ".scroll{overflow-x:auto}table{border-collapse:collapse}.matrix{margin:0 auto}"
    ".matrix td,.matrix th{min-width:44px;height:36px;padding:0 6px;text-align:center;font-weight:400;"
    "font-size:13px;border-radius:6px}.matrix{border-collapse:separate;border-spacing:3px}"
    ".matrix th{color:var(--soft)}.matrix th.row{text-align:right;padding-right:10px}"
    ".matrix .axis{font-size:12px}"
    ".samples{display:grid;grid-template-columns:repeat(auto-fill,minmax(92px,1fr));gap:12px}"
    ".samples img,.sheet img{image-rendering:pixelated;display:block;border-radius:8px;width:100%}"
    ".samples figcaption{display:block;text-align:center;font-weight:500;font-size:13px;margin-top:6px}"
    ".samples small{display:block;color:var(--soft);font-weight:400}"
    ".wrong{color:rgb(var(--miss));font-weight:650}.settings{width:100%;font-size:14px}"
    ".settings td{padding:5px 0 5px 12px;border-bottom:1px solid var(--line);vertical-align:top}"
    ".settings td+td{text-align:right;overflow-wrap:anywhere}.settings tr:last-child td{border:0}"
    ".settings td:first-child{color:var(--soft);padding-left:0}.settings{border-collapse:collapse}"
    "pre{margin:0;font:12.5px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-x:auto}"
    "code{white-space:nowrap}footer{margin-top:48px;color:var(--soft);font-size:13px}";
/* clang-format on */

/* ---- figures ------------------------------------------------------------------------------ */

/* A metric's name as words, "heat_loss" as "heat loss"; `words` has room for SHORT. */
static const char *spelled(const char *name, char *words) {
    snprintf(words, SHORT, "%s", name);
    for (char *at = words; *at; at++) *at = *at == '_' ? ' ' : *at;
    return words;
}

static void tile(text *out, const char *value, const char *what) {
    text_add(out, "<div class=tile><b>%s</b><span>", value);
    escape(out, what);
    text_add(out, "</span></div>");
}

static void tiles(const training *t, text *out) {
    char value[SHORT], more[2 * SHORT], number[SHORT];
    text_add(out, "<div class=tiles>");
    if (t->tested && t->classes) {
        snprintf(value, sizeof value, "%.2f&thinsp;%%", 100 * t->scores.accuracy);
        tile(out, value, "test accuracy");
        snprintf(more, sizeof more, "mistakes in %s", grouped(training_answers(t), number));
        tile(out, grouped(training_mistakes(t), value), more);
    }
    if (t->tested) tile(out, loss_text(t->scores.loss, value), "loss on the test data");
    if (t->tested && training_labels(t) > 1) {
        snprintf(value, sizeof value, "%.3g", exp(t->scores.loss));
        tile(out, value, "perplexity");
    }
    for (int i = 0; t->assessed && i < t->assessment.n; i++) {
        snprintf(value, sizeof value, "%.5g", t->assessment.values[i].value);
        tile(out, value, spelled(t->assessment.values[i].name, number));
    }
    const history *h = &t->progress.history;
    int64_t samples = 0;
    double seconds = 0;
    for (int64_t i = 0; i < h->n_epochs; i++) {
        samples += h->epochs[i].samples;
        seconds += h->epochs[i].seconds;
    }
    if (seconds > 0) {
        snprintf(more, sizeof more, "of training, %s/s", grouped((int64_t)((double)samples / seconds), number));
        tile(out, duration(seconds, value), more);
    }
    tile(out, grouped(glia_model_parameter_count(t->model, false), value), "parameters");
    text_add(out, "</div>");
}

/* ---- curves ------------------------------------------------------------------------------- */

/* Means of at most MOST stretches of the steps. */
enum { MOST_POINTS = 120 };

static double loss_of(const curve_point *p) { return p->loss; }
static double error_of(const curve_point *p) { return 100 * (1 - p->accuracy); }
static double lr_of(const curve_point *p) { return p->lr; }

static int thin(const history *h, double (*of)(const curve_point *p), chart_point *out) {
    int n = h->n_points < MOST_POINTS ? (int)h->n_points : MOST_POINTS;
    for (int i = 0; i < n; i++) {
        int64_t from = i * h->n_points / n, to = (i + 1) * h->n_points / n;
        double sum = 0;
        for (int64_t k = from; k < to; k++) sum += of(&h->points[k]);
        out[i] = (chart_point){ h->points[to - 1].epoch, sum / (double)(to - from) };
    }
    return n;
}

static void figure(text *out, const char *title, const char *key, const chart *c) {
    text_add(out, "<figure class=card><figcaption>");
    escape(out, title);
    text_add(out, "<span class=key>%s</span></figcaption>", key);
    chart_svg(out, c);
    text_add(out, "</figure>");
}

#define KEY(colour, words) "<i style='background:var(--" colour ")'></i>" words

/* A figure of training, and of validation where there is one. */
static void curves(const training *t, text *out, const char *title, const char *unit,
                   double (*of)(const curve_point *p), const chart_point *validation) {
    const history *h = &t->progress.history;
    chart_point *train = allocate(MOST_POINTS, sizeof *train);
    chart_series series[] = { { .points = train, .n = thin(h, of, train), .colour = 'a' },
                              { .points = validation, .n = (int)h->n_epochs, .colour = 'b', .dots = true } };
    figure(
        out, title, validation ? KEY("a", "training") KEY("b", "validation") : KEY("a", "training"),
        &(chart){
            .series = series, .n_series = validation ? 2 : 1, .x_name = "epoch", .unit = unit, .y_free = of == lr_of });
    free(train);
}

static void learning(const training *t, text *out) {
    const history *h = &t->progress.history;
    chart_point *loss = allocate((size_t)h->n_epochs, sizeof *loss),
                *error = allocate((size_t)h->n_epochs, sizeof *error);
    for (int64_t i = 0; i < h->n_epochs; i++) {
        const epoch_row *row = &h->epochs[i];
        loss[i] = (chart_point){ (double)row->epoch, row->validation.loss };
        error[i] = (chart_point){ (double)row->epoch, 100 * (1 - row->validation.accuracy) };
    }
    text_add(
        out,
        "<h2>Learning</h2><p>Training values are means over stretches of an epoch, taken while the weights change; "
        "what has dots is measured when an epoch ends.</p><div class=two>");
    curves(t, out, "Loss", "", loss_of, h->validated ? loss : NULL);
    if (t->classes) curves(t, out, "Error", " %", error_of, h->validated ? error : NULL);
    for (int k = 0; k < h->n_metrics; k++) {
        for (int64_t i = 0; i < h->n_epochs; i++) loss[i].y = h->epochs[i].metrics[k];
        chart_series series = { .points = loss, .n = (int)h->n_epochs, .colour = 'b', .dots = true };
        const bool validated = strncmp(h->metrics[k], "val_", 4) == 0;
        char name[SHORT];
        spelled(metric_label(h->metrics[k]), name);
        const size_t capitals = strlen(name) <= 3 ? strlen(name) : 1; /* short names are abbreviations: FID */
        for (size_t i = 0; i < capitals; i++) name[i] = (char)toupper((unsigned char)name[i]);
        figure(out, name, validated ? KEY("b", "validation") : "",
               &(chart){ .series = &series, .n_series = 1, .x_name = "epoch", .unit = "", .y_free = true });
    }
    if ((t->asked.schedule && strcmp(t->asked.schedule, "constant") != 0) || t->asked.plateau)
        curves(t, out, "Learning rate", "", lr_of, NULL);
    text_add(out, "</div>");
    free(loss);
    free(error);
}

/* ---- the confusion matrix ----------------------------------------------------------------- */

static void matrix(const training *t, text *out) {
    enum { MOST = 32 }; /* classes that a page can show */
    if (!t->confusion || t->classes > MOST) return;
    int n = t->classes;
    int64_t most = 1;
    for (int i = 0; i < n * n; i++)
        if (i / n != i % n && t->confusion[i] > most) most = t->confusion[i];
    text_add(out, "<h2>Confusion</h2><p>Rows are true classes, columns predictions. Errors are red, darker if more "
                  "of them.</p>"
                  "<div class='card scroll'><table class=matrix><tr><th>");
    for (int c = 0; c < n; c++) {
        text_add(out, "<th>");
        escape(out, glia_data_class_name(t->test, c));
    }
    for (int r = 0; r < n; r++) {
        text_add(out, "<tr><th class=row>");
        escape(out, glia_data_class_name(t->test, r));
        int64_t total = 0;
        for (int c = 0; c < n; c++) total += t->confusion[r * n + c];
        for (int c = 0; c < n; c++) {
            int64_t count = t->confusion[r * n + c];
            double share = r == c ? 0.1 + 0.3 * (double)count / (double)(total > 0 ? total : 1)
                                  : 0.12 + 0.6 * sqrt((double)count / (double)most);
            if (count == 0)
                text_add(out, "<td style='color:var(--line)'>&middot;");
            else
                text_add(out, "<td style='background:rgba(var(--%s),%.2f)'>%lld", r == c ? "hit" : "miss", share,
                         (long long)count);
        }
    }
    text_add(out, "</table></div>");
}

/* ---- pictures ----------------------------------------------------------------------------- */

static bool image(const training *t, const glia_dataset *data, int64_t index, int32_t *label, text *out) {
    float *x = plain_sample(t, data, index, label);
    if (!x) return false;
    picture p = picture_of_sample(x, glia_data_x_shape(data));
    text_add(out, "<img alt='' src='data:image/png;base64,");
    picture_base64(&p, out);
    text_add(out, "'>");
    free(p.pixels);
    free(x);
    return true;
}

static void mistakes(const training *t, text *out) {
    enum { SHOWN = 27 };
    mistake worst[SHOWN];
    int n = t->test && picture_possible(glia_data_x_shape(t->test)) ? worst_mistakes(t, worst, SHOWN) : 0;
    if (n == 0) return;
    text_add(
        out,
        "<h2>Worst mistakes</h2><p>The test samples with the least probable true class: true class, predicted class "
        "and its probability.</p><div class='card samples'>");
    for (int i = 0; i < n; i++) {
        int32_t label;
        text_add(out, "<figure>");
        image(t, t->test, worst[i].index, &label, out);
        text_add(out, "<figcaption>");
        escape(out, glia_data_class_name(t->test, worst[i].truth));
        text_add(out, " &rarr; <span class=wrong>");
        escape(out, glia_data_class_name(t->test, worst[i].answer));
        text_add(out, "</span><small>%.1f&thinsp;%% &middot; #%lld</small></figcaption></figure>",
                 100 * (double)worst[i].answer_share, (long long)worst[i].index);
    }
    text_add(out, "</div>");
}

/* Training samples, as the model was given them; fewer of large pictures, whose PNG is not compressed. */
static void sheet(const training *t, text *out) {
    enum { COLUMNS = 20, ROWS = 5, WIDTH = 1000, PIXELS = 1 << 19 };
    const glia_dataset *data = training_data(t);
    const glia_shape shape = glia_data_x_shape(data);
    if (!picture_possible(shape)) return;
    const int columns = (int)fmin(fmax(WIDTH / (int)shape.dim[2], 1), COLUMNS);
    const int room = (int)fmin(fmax(PIXELS / (int)(shape.dim[1] * shape.dim[2]), 1), COLUMNS * ROWS);
    const int n = glia_data_count(data) < room ? (int)glia_data_count(data) : room;
    if (n < 1) return;
    picture samples[COLUMNS * ROWS];
    int read = 0;
    for (; read < n; read++) {
        int32_t label;
        float *x = plain_sample(t, data, read, &label);
        if (!x) break;
        samples[read] = picture_of_sample(x, shape);
        free(x);
    }
    if (read > 0) {
        picture all = picture_sheet(samples, read, columns, 0, 1, 0);
        text_add(out,
                 "<h2>Data</h2><p>The first of %s training samples.</p><div class='card sheet'><img alt='' "
                 "src='data:image/png;base64,",
                 grouped(glia_data_count(data), (char[SHORT]){ 0 }));
        picture_base64(&all, out);
        text_add(out, "'></div>");
        free(all.pixels);
    }
    for (int i = 0; i < read; i++) free(samples[i].pixels);
}

/* ---- settings ----------------------------------------------------------------------------- */

static void row(text *out, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void row(text *out, const char *name, const char *format, ...) {
    char value[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(value, sizeof value, format, arguments);
    va_end(arguments);
    text_add(out, "<tr><td>%s<td>", name);
    escape(out, value);
}

/* Settings that are 0 or off are left out, except the seed. */
static void setting_row(void *context, const char *key, const char *value) {
    bool off = strcmp(value, "0") == 0 || strcmp(value, "false") == 0;
    bool about_files = strncmp(key, "machine.", 8) == 0 || strcmp(key, "watch.checkpoint") == 0;
    if (!about_files && (!off || strcmp(key, "training.seed") == 0)) row(context, key, "%s", value);
}

static void settings_table(const training *t, text *out) {
    const settings *a = &t->asked;
    const history *h = &t->progress.history;
    char number[SHORT], other[SHORT], third[SHORT];
    text_add(out, "<h2>Settings</h2><p>By their names in <code>config.json</code>, with which <code>glia train --config"
                  "</code> repeats the run; what is 0 or off is omitted.</p><div class=two><div class=card><table "
                  "class=settings>");
    settings_each(a, setting_row, out);
    text_add(out, "</table></div><div class=card><table class=settings>");
    row(out, "samples to train on", "%s", grouped(glia_data_count(training_data(t)), number));
    row(out, "to validate, to test", "%s, %s", grouped(t->validation ? glia_data_count(t->validation) : 0, number),
        grouped(t->test ? glia_data_count(t->test) : 0, other));
    row(out, "steps", "%s", grouped(h->steps, number));
    row(out, "time", "%s", duration(h->seconds, number));
    row(out, "memory of a step", "%s, and %s of values that stay", byte_size(h->activation_bytes, other),
        byte_size(h->parameter_bytes, third));
    row(out, "machine", "%s", glia_backend_describe(t->backend));
    row(out, "Glia", "%s", glia_version());
    text_add(out, "</table></div></div>");
    char *layers = glia_model_summary(t->model, a->batch, NULL);
    if (layers) {
        text_add(out, "<h2>Layers</h2><p>As <code>glia summary</code> prints them.</p><div class=card><pre>");
        escape(out, layers);
        text_add(out, "</pre></div>");
    }
    free(layers);
}

static void network(const training *t, text *out) {
    text_add(out, "<h2>Network</h2><p>From the input down: what each layer does, the shape that comes out of it for a "
                  "sample, and its parameters.</p><div class='card scroll'>");
    network_svg(out, t->model, false);
    text_add(out, "</div>");
}

void report_html(const training *t, text *out) {
    text_add(
        out,
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'><title>");
    text_add(out, "%s on ", t->recipe->name);
    escape(out, training_source(t));
    text_add(out, "</title><style>%s%s%s</style><main><h1>%s <span>on ", chart_colours, chart_style, style,
             t->recipe->name);
    escape(out, training_source(t));
    text_add(out, "</span></h1><p>%s%s</p>", t->started, t->stopped ? " &middot; interrupted" : "");
    tiles(t, out);
    learning(t, out);
    report_shown(t, out);
    matrix(t, out);
    mistakes(t, out);
    sheet(t, out);
    network(t, out);
    settings_table(t, out);
    text_add(out, "<footer>Glia %s</footer></main></html>\n", glia_version());
}
