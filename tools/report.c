/* report.c - a run as one HTML file.
 *
 * From top to bottom: what it is, the figures, two curves, the confusion matrix, the worst mistakes, a sheet of
 * samples, the settings, the layers. Curves are SVG, pictures PNG in data: addresses; colours follow the reader's
 * light or dark preference through the variables at the head of the style.
 */
#include "report.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chart.h"
#include "picture.h"

/* clang-format off */
static const char style[] =
    ":root{color-scheme:light dark;--paper:#fbfbfa;--card:#fff;--ink:#1c1e21;--soft:#6b7178;--line:#e6e6e3;"
    "--a:#2f6fde;--b:#d9730d;--hit:47,111,222;--miss:214,69,51}"
    "@media(prefers-color-scheme:dark){:root{--paper:#141517;--card:#1c1e21;--ink:#e9e9e7;--soft:#9aa0a6;"
    "--line:#2d3034;--a:#7fa9ff;--b:#f2a65a;--hit:110,155,255;--miss:255,110,92}}*{box-sizing:border-box}"
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
    "svg{display:block;width:100%;height:auto;overflow:visible}svg text{fill:var(--soft);font-size:12px}"
    ".grid{stroke:var(--line)}"
    ".train,.validation{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}"
    ".train{stroke:var(--a)}.validation{stroke:var(--b)}.dot{fill:var(--b);stroke:var(--card);stroke-width:1.5}"
    ".dot.a{fill:var(--a)}.scroll{overflow-x:auto}table{border-collapse:collapse}.matrix{margin:0 auto}"
    ".matrix td,.matrix th{min-width:44px;height:36px;padding:0 6px;text-align:center;font-weight:400;"
    "font-size:13px;border-radius:6px}.matrix{border-collapse:separate;border-spacing:3px}"
    ".matrix th{color:var(--soft)}.matrix th.row{text-align:right;padding-right:10px}"
    ".matrix .axis{font-size:12px}"
    ".samples{display:grid;grid-template-columns:repeat(auto-fill,minmax(92px,1fr));gap:12px}"
    ".samples img,.sheet img{image-rendering:pixelated;display:block;border-radius:8px;width:100%}"
    ".samples figcaption{display:block;text-align:center;font-weight:500;font-size:13px;margin-top:6px}"
    ".samples small{display:block;color:var(--soft);font-weight:400}"
    ".wrong{color:rgb(var(--miss));font-weight:650}.settings{width:100%;font-size:14px}"
    ".settings td{padding:5px 0;border-bottom:1px solid var(--line);vertical-align:top}"
    ".settings td+td{text-align:right;overflow-wrap:anywhere}.settings tr:last-child td{border:0}"
    ".settings td:first-child{color:var(--soft)}"
    "pre{margin:0;font:12.5px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-x:auto}"
    "footer{margin-top:48px;color:var(--soft);font-size:13px}";
/* clang-format on */

/* Appends text with what HTML gives a meaning replaced. */
static void escape(text *out, const char *words) {
    for (; *words; words++) {
        switch (*words) {
        case '<': text_add(out, "&lt;"); break;
        case '>': text_add(out, "&gt;"); break;
        case '&': text_add(out, "&amp;"); break;
        case '"': text_add(out, "&quot;"); break;
        default: text_append(out, words, 1);
        }
    }
}

/* ---- figures ------------------------------------------------------------------------------ */

static void tile(text *out, const char *value, const char *what) {
    text_add(out, "<div class=tile><b>%s</b><span>", value);
    escape(out, what);
    text_add(out, "</span></div>");
}

static void tiles(const training *t, text *out) {
    char value[SHORT], more[2 * SHORT], number[SHORT];
    text_add(out, "<div class=tiles>");
    if (t->classes) {
        snprintf(value, sizeof value, "%.2f&thinsp;%%", 100 * t->scores.accuracy);
        tile(out, value, "right on the test data");
        snprintf(more, sizeof more, "mistakes in %s", grouped(t->scores.samples, number));
        tile(out, grouped(training_mistakes(t), value), more);
    }
    snprintf(value, sizeof value, "%.4f", t->scores.loss);
    tile(out, value, "loss on the test data");
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

typedef enum curve { CURVE_LOSS, CURVE_ERROR } curve;

static double of_point(const curve_point *p, curve which) {
    return which == CURVE_LOSS ? p->loss : 100 * (1 - p->accuracy);
}

static double of_scores(const glia_scores *s, curve which) {
    return which == CURVE_LOSS ? s->loss : 100 * (1 - s->accuracy);
}

static void curves(const training *t, text *out, curve which, const char *title) {
    const history *h = &t->progress.history;
    chart_point *train = allocate((size_t)h->n_points, sizeof *train);
    chart_point *validation = allocate((size_t)h->n_epochs, sizeof *validation);
    for (int64_t i = 0; i < h->n_points; i++)
        train[i] = (chart_point){ h->points[i].epoch, of_point(&h->points[i], which) };
    for (int64_t i = 0; i < h->n_epochs; i++)
        validation[i] = (chart_point){ (double)h->epochs[i].epoch, of_scores(&h->epochs[i].validation, which) };
    text_add(out, "<figure class=card><figcaption>%s<span class=key><i style='background:var(--a)'></i>training",
             title);
    if (h->validated) text_add(out, "<i style='background:var(--b)'></i>validation");
    text_add(out, "</span></figcaption>");
    chart_svg(out, &(chart){ .train = train,
                             .n_train = (int)h->n_points,
                             .validation = validation,
                             .n_validation = h->validated ? (int)h->n_epochs : 0,
                             .x_name = "epoch",
                             .unit = which == CURVE_ERROR ? " %" : "" });
    text_add(out, "</figure>");
    free(train);
    free(validation);
}

/* ---- the confusion matrix ----------------------------------------------------------------- */

static void matrix(const training *t, text *out) {
    enum { MOST = 32 }; /* classes that a page can show */
    if (!t->confusion || t->classes > MOST) return;
    int n = t->classes;
    int64_t most = 1;
    for (int i = 0; i < n * n; i++)
        if (i / n != i % n && t->confusion[i] > most) most = t->confusion[i];
    text_add(out, "<h2>Confusion</h2><p>Rows are the truth, columns the answers. Mistakes are red, the deeper the more "
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
    int n = picture_possible(glia_data_x_shape(t->test)) ? worst_mistakes(t, worst, SHOWN) : 0;
    if (n == 0) return;
    text_add(
        out,
        "<h2>Worst mistakes</h2><p>The test samples whose truth the model thought least likely: the truth, then its "
        "answer and how sure it was.</p><div class='card samples'>");
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

/* Training samples, as the model was given them. */
static void sheet(const training *t, text *out) {
    enum { COLUMNS = 20, ROWS = 5 };
    const glia_dataset *data = training_data(t);
    int n = glia_data_count(data) < COLUMNS * ROWS ? (int)glia_data_count(data) : COLUMNS * ROWS;
    if (!picture_possible(glia_data_x_shape(data)) || n < 1) return;
    picture samples[COLUMNS * ROWS];
    int read = 0;
    for (; read < n; read++) {
        float *x = plain_sample(t, data, read, NULL);
        if (!x) break;
        samples[read] = picture_of_sample(x, glia_data_x_shape(data));
        free(x);
    }
    if (read > 0) {
        picture all = picture_sheet(samples, read, COLUMNS, 0, 1, 0);
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

static void settings_table(const training *t, text *out) {
    const settings *a = &t->asked;
    const history *h = &t->progress.history;
    char schedule[256], number[SHORT], other[SHORT], third[SHORT];
    text_add(out, "<h2>Settings</h2><p>What it takes to repeat this run.</p><div class=two><div class=card><table "
                  "class=settings>");
    row(out, "model", "%s", t->recipe->name);
    row(out, "data", "%s", a->data);
    row(out, "samples to train on", "%s", grouped(glia_data_count(training_data(t)), number));
    row(out, "to validate, to test", "%s, %s", grouped(t->validation ? glia_data_count(t->validation) : 0, number),
        grouped(glia_data_count(t->test), other));
    row(out, "inputs normalised", "%s", t->n_normal ? "yes" : "no");
    row(out, "epochs", "%lld", (long long)a->epochs);
    row(out, "batch", "%lld", (long long)a->batch);
    row(out, "seed", "%lld", (long long)a->seed);
    text_add(out, "</table></div><div class=card><table class=settings>");
    row(out, "optimizer", "%s", glia_optimizer_name(t->optimizer.kind));
    glia_lr_schedule_print(&t->schedule, schedule, sizeof schedule);
    row(out, "learning rate", "%g, %s", t->optimizer.lr, schedule);
    if (t->optimizer.momentum != 0)
        row(out, "momentum", "%g%s", t->optimizer.momentum, t->optimizer.nesterov ? ", Nesterov" : "");
    row(out, "weight decay", "%g", t->optimizer.weight_decay);
    if (t->optimizer.clip_norm != 0) row(out, "gradient norm at most", "%g", t->optimizer.clip_norm);
    if (a->label_smoothing != 0) row(out, "label smoothing", "%g", a->label_smoothing);
    if (a->from) row(out, "weights from", "%s", a->from);
    if (a->freeze) row(out, "frozen", "%s", a->freeze);
    row(out, "steps", "%s", grouped(h->steps, number));
    row(out, "memory of a step", "%s, and %s of values that stay", byte_size(h->activation_bytes, other),
        byte_size(h->parameter_bytes, third));
    row(out, "backend", "%s", glia_backend_describe(t->backend));
    text_add(out, "</table></div></div>");
    char *layers = glia_model_summary(t->model, a->batch, NULL);
    if (layers) {
        text_add(out, "<h2>Layers</h2><p>As <code>glia summary</code> prints them.</p><div class=card><pre>");
        escape(out, layers);
        text_add(out, "</pre></div>");
    }
    free(layers);
}

void report_html(const training *t, text *out) {
    text_add(
        out,
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'><title>");
    text_add(out, "%s on ", t->recipe->name);
    escape(out, t->asked.data);
    text_add(out, "</title><style>%s</style><main><h1>%s <span>on ", style, t->recipe->name);
    escape(out, t->asked.data);
    text_add(out, "</span></h1><p>%s%s</p>", t->started, t->stopped ? " &middot; stopped before its end" : "");
    tiles(t, out);
    text_add(
        out,
        "<h2>Learning</h2><p>Training values are means over stretches of an epoch, taken while the weights change; "
        "validation is measured when an epoch ends.</p><div class=two>");
    curves(t, out, CURVE_LOSS, "Loss");
    if (t->classes) curves(t, out, CURVE_ERROR, "Error");
    text_add(out, "</div>");
    matrix(t, out);
    mistakes(t, out);
    sheet(t, out);
    settings_table(t, out);
    text_add(out, "<footer>Glia %s</footer></main></html>\n", glia_version());
}
