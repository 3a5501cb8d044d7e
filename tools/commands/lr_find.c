/* lr_find.c - `glia lr-find`: the learning rate range test. Records the loss while the learning rate increases and
 * suggests a rate. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "glia/glia.h"
#include "reports/chart.h"
#include "runs/training.h"

typedef struct request {
    settings settings;
    double from, to;
    int64_t steps;
    const char *config, *out;
    bool json;
} request;

typedef struct found {
    glia_lr_point *points;
    int64_t n;
    double suggested;
} found;

static int read_options(request *r, int argc, char **argv, int *n) {
    const option own[] = {
        { .help = "the range test and its output" },
        { "from", OPTION_REAL, &r->from, "X", "first learning rate (1e-6)", 1e-12, INFINITY },
        { "to", OPTION_REAL, &r->to, "X", "last learning rate (10)", 1e-12, INFINITY },
        { "steps", OPTION_INT, &r->steps, "N", "number of steps (100)", 2, 1000000 },
        { "config", OPTION_TEXT, &r->config, "FILE|RUN", "settings of a run; options override them", 0, 0 },
        { "out", OPTION_TEXT, &r->out, "FILE", "write the curve as SVG", 0, 0 },
        { "json", OPTION_FLAG, &r->json, NULL, "print one JSON object", 0, 0 },
    };
    /* The settings that affect a few steps; "from" is a learning rate here. */
    option table[SETTINGS_OPTIONS];
    int all = settings_options(&r->settings, table), rows = 0;
    for (int i = 0; i < all; i++) {
        static const char *const without[] = {
            "from", "lr",          "schedule",         "warmup",         "epochs",  "max-steps",
            "swa",  "plateau",     "monitor",          "early-stopping", "metrics", "checkpoint",
            "ema",  "ema-warmup",  "tensorboard",      "checkpoint-every", "plateau-factor"
        };
        bool out = !table[i].name && strcmp(table[i].help, "monitoring and checkpoints") == 0;
        for (size_t k = 0; table[i].name && k < sizeof without / sizeof without[0]; k++)
            out |= strcmp(table[i].name, without[k]) == 0;
        if (!out) table[rows++] = table[i];
    }
    memcpy(table + rows, own, sizeof own);
    rows += (int)(sizeof own / sizeof own[0]);
    const options what = { "lr-find", table, rows, 0, 1, "the name of a model" };
    return options_parse(&what, argc, argv, n);
}

static int read_request(request *r, int argc, char **argv) {
    request first = { .settings = settings_default() };
    char **copy = allocate((size_t)argc + 1, sizeof *copy); /* options_parse() reorders them */
    memcpy(copy, argv, (size_t)argc * sizeof *copy);
    int n, status = read_options(&first, argc, copy, &n);
    free(copy);
    settings_free(&first.settings);
    if (status >= 0) return status;
    if (first.config) status = settings_read(&r->settings, first.config);
    if (status < 0) status = read_options(r, argc, argv, &n);
    if (status >= 0) return status;
    if (n == 1) r->settings.model = argv[1];
    if (!r->settings.model) return misuse("lr-find needs a model name; see `glia help lr-find`");
    return r->from < r->to ? -1 : misuse("--from %g is not below --to %g", r->from, r->to);
}

/* ---- showing ------------------------------------------------------------------------------ */

static void tell_json(const found *f) {
    text out = { 0 };
    json j = { .out = &out };
    json_open(&j, NULL, '{');
    json_real(&j, "suggested", f->suggested);
    json_open(&j, "points", '[');
    for (int64_t i = 0; i < f->n; i++) {
        json_open(&j, NULL, '{');
        json_real(&j, "lr", f->points[i].lr);
        json_real(&j, "loss", f->points[i].loss);
        json_real(&j, "smooth", f->points[i].smooth);
        json_close(&j, '}');
    }
    json_close(&j, ']');
    json_close(&j, '}');
    printf("%s\n", out.bytes);
    free(out.bytes);
}

/* A bar for each of about 20 rates; its length is the smoothed loss above the minimum. */
static void tell(const found *f) {
    enum { ROWS = 20, FIXED = 22, LONGEST = 60 };
    int columns = terminal_columns() - 1 - FIXED, width = columns < LONGEST ? columns : LONGEST;
    double least = INFINITY, most = -INFINITY;
    for (int64_t i = 0; i < f->n; i++) {
        least = fmin(least, f->points[i].smooth);
        most = fmax(most, f->points[i].smooth);
    }
    double top =
        fmin(most, f->points[0].smooth + 0.5 * (f->points[0].smooth - least)); /* the diverging part is cut off */
    if (!(top > least)) top = least + 1;
    printf("%9s  %9s\n", "rate", "loss");
    int64_t stride = (f->n + ROWS - 1) / ROWS;
    for (int64_t i = 0; i < f->n; i += stride) {
        const glia_lr_point *p = &f->points[i];
        bool suggested = p->lr <= f->suggested && (i + stride >= f->n || f->points[i + stride].lr > f->suggested);
        printf("%9.2g  %9.4f %c", p->lr, p->smooth, suggested ? '>' : ' ');
        int length = (int)(width * fmin(fmax((p->smooth - least) / (top - least), 0), 1) + 0.5);
        for (int k = 0; k < length; k++) printf("%s", terminal_utf8() ? "\u2501" : "#");
        printf("\n");
    }
}

static int draw(const found *f, const char *path) {
    chart_point *raw = allocate((size_t)f->n, sizeof *raw), *smooth = allocate((size_t)f->n, sizeof *smooth);
    for (int64_t i = 0; i < f->n; i++) {
        raw[i] = (chart_point){ f->points[i].lr, f->points[i].loss };
        smooth[i] = (chart_point){ f->points[i].lr, f->points[i].smooth };
    }
    chart_series series[] = { { .points = raw, .n = (int)f->n, .colour = 'a', .faint = true },
                              { .points = smooth, .n = (int)f->n, .colour = 'a' } };
    text out = { 0 };
    chart_file(&out, &(chart){ .series = series,
                               .n_series = 2,
                               .x_name = "learning rate",
                               .unit = "",
                               .x_logarithmic = true,
                               .mark = f->suggested });
    int status = write_file(path, out.bytes, out.length) ? -1 : fail("%s: %s", path, strerror(errno));
    free(out.bytes);
    free(raw);
    free(smooth);
    return status;
}

static int run(training *t, const request *r) {
    found f = { .points = allocate((size_t)r->steps, sizeof *f.points) };
    glia_error error;
    int status = -1;
    if (glia_lr_find(t->model, training_data(t), training_fit_opts(t),
                     (glia_lr_find_opts){ .from = r->from, .to = r->to, .steps = r->steps }, f.points, &f.n,
                     &f.suggested, &error) != GLIA_OK)
        status = fail("%s", error.message);
    if (status < 0 && f.n < 2) status = fail("the loss is not finite from the first step: try a smaller --from");
    if (status < 0 && r->out) status = draw(&f, r->out);
    if (status < 0 && r->json) tell_json(&f);
    if (status < 0 && !r->json) {
        tell(&f);
        text words = { 0 };
        text_add(&words, "suggested (steepest descent): --lr %.2g%s%s", f.suggested, r->out ? "; curve: " : "",
                 r->out ? r->out : "");
        printf("\n");
        progress_say("", words.bytes);
        free(words.bytes);
    }
    free(f.points);
    return status < 0 ? EXIT_OK : status;
}

int command_lr_find(int argc, char **argv) {
    request r = { .settings = settings_default(), .from = 1e-6, .to = 10, .steps = 100 };
    int status = read_request(&r, argc, argv);
    if (status >= 0) {
        settings_free(&r.settings);
        return status;
    }
    training t;
    status = training_open(&t, r.settings);
    if (status < 0 && strcmp(t.method->name, "fit") != 0)
        status =
            misuse("lr-find takes supervised models; %s is trained by the method %s", t.recipe->name, t.method->name);
    if (status < 0) status = run(&t, &r);
    training_close(&t);
    return status;
}
