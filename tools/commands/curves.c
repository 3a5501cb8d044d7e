/* curves.c - `glia curves`: figures of epochs of several runs as one chart.
 *
 * Runs whose names differ only in a number behind a dash at their end are one curve: "double-0" and "double-1", but not
 * "plain20" and "plain56". It is the mean, with a band of one standard deviation over the runs to both sides.
 * With --correlation nothing is drawn: the rank correlation of the two figures is printed for each run.
 */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reports/chart.h"
#include "runs/saved.h"
#include "terminal/options.h"

enum { COLUMNS = 64 };

/* Some columns of a run's curves.csv. */
typedef struct curve {
    int n;
    double *x, *y;
} curve;

typedef struct group {
    char name[SHORT];
    curve *runs;
    int n;
    chart_point *mean;
    double *deviation;
} group;

/* ---- reading ------------------------------------------------------------------------------ */

/* Splits a line in place at commas; returns the number of its cells. */
static int split(char *line, char *cells[COLUMNS]) {
    int n = 0;
    line[strcspn(line, "\r")] = 0;
    for (char *at = line; at && n < COLUMNS; n++) {
        cells[n] = at;
        at = strchr(at, ',');
        if (at) *at++ = 0;
    }
    return n;
}

static int column(char *const names[], int n, const char *wanted) {
    for (int i = 0; i < n; i++)
        if (strcmp(names[i], wanted) == 0) return i;
    return -1;
}

static int no_figure(const char *run, const char *wanted, char *const names[], int n) {
    const char *near = glia_nearest(wanted, (const char *const *)names, n);
    return misuse("%s has no figure \"%s\"%s%s%s", run, wanted, near ? "; did you mean " : "", near ? near : "",
                  near ? "?" : "");
}

/* Samples and seconds are those of an epoch; their sums are drawn. */
static bool is_sum(const char *name) { return strcmp(name, "samples") == 0 || strcmp(name, "seconds") == 0; }

static double cell_number(const char *cell) {
    char *end;
    const double value = strtod(cell, &end);
    return end == cell ? NAN : value;
}

/* What is drawn unless asked: the first of these that the first run has. */
static const char *usual_figure(char *const names[], int n) {
    static const char *const usual[] = { "eval_return", "val_loss" };
    for (int i = 0; i < 2; i++)
        if (column(names, n, usual[i]) >= 0) return usual[i];
    return "loss";
}

static int parse(char *content, const char *run, const char **of, const char *over, curve *out) {
    char *cells[COLUMNS], *rest = content, *line = strsep(&rest, "\n");
    const int n = split(line, cells), x = column(cells, n, over);
    if (!*of) *of = usual_figure(cells, n);
    const int y = column(cells, n, *of);
    if (x < 0 || y < 0) return no_figure(run, y < 0 ? *of : over, cells, n);
    const size_t most = strlen(rest ? rest : "") / 2 + 1;
    out->x = allocate(most, sizeof *out->x);
    out->y = allocate(most, sizeof *out->y);
    double sum = 0;
    while ((line = strsep(&rest, "\n"))) {
        if (split(line, cells) < n) break; /* a run that is being written, or the end */
        const double at = cell_number(cells[x]);
        sum = is_sum(over) ? sum + at : at;
        out->x[out->n] = sum;
        out->y[out->n++] = cell_number(cells[y]);
    }
    for (int i = 0; i < out->n; i++)
        if (isfinite(out->y[i]) && isfinite(out->x[i])) return -1;
    return fail("%s has no value of %s", run, *of);
}

static int read_curve(const char *run, const char **of, const char *over, curve *out) {
    text path = { 0 }, content = { 0 };
    text_add(&path, "%s/curves.csv", run);
    int status = read_file(path.bytes, &content) ? -1 : fail("%s: %s", path.bytes, strerror(errno));
    text_append(&content, "", 1);
    if (status < 0) status = parse(content.bytes, run, of, over, out);
    free(content.bytes);
    free(path.bytes);
    return status;
}

/* ---- groups ------------------------------------------------------------------------------- */

/* The folder's name without a number behind "-", "_" or "." at its end: "runs/double-0" -> "double". */
static void name_of(const char *run, char out[SHORT]) {
    size_t end = strlen(run);
    while (end > 1 && run[end - 1] == '/') end--;
    size_t start = end;
    while (start > 0 && run[start - 1] != '/') start--;
    size_t length = end - start;
    while (length > 0 && isdigit((unsigned char)run[start + length - 1])) length--;
    const size_t digits = length;
    while (length > 0 && strchr("-_.", run[start + length - 1])) length--;
    if (length == 0 || length == digits) length = end - start;
    snprintf(out, SHORT, "%.*s", (int)length, run + start);
}

static int add_run(const char *run, const char **of, const char *over, group *groups, int *n) {
    char name[SHORT];
    name_of(run, name);
    int at = 0;
    while (at < *n && strcmp(groups[at].name, name) != 0) at++;
    if (at == CHART_COLOURS)
        return misuse("more than %d curves: runs whose names differ only in a number behind a dash are one",
                      CHART_COLOURS);
    group *g = &groups[at];
    if (at == *n) {
        memcpy(g->name, name, sizeof name);
        (*n)++;
    }
    curve *runs = allocate((size_t)g->n + 1, sizeof *runs);
    if (g->n) memcpy(runs, g->runs, (size_t)g->n * sizeof *runs);
    free(g->runs);
    g->runs = runs;
    return read_curve(run, of, over, &g->runs[g->n++]);
}

/* Over the epochs that all runs have. */
static int summarize(group *g) {
    int epochs = g->runs[0].n;
    for (int i = 1; i < g->n; i++) epochs = g->runs[i].n < epochs ? g->runs[i].n : epochs;
    g->mean = allocate((size_t)epochs, sizeof *g->mean);
    g->deviation = allocate((size_t)epochs, sizeof *g->deviation);
    for (int k = 0; k < epochs; k++) {
        double x = 0, y = 0, squares = 0;
        for (int i = 0; i < g->n; i++) x += g->runs[i].x[k] / g->n, y += g->runs[i].y[k] / g->n;
        for (int i = 0; i < g->n; i++) squares += (g->runs[i].y[k] - y) * (g->runs[i].y[k] - y);
        g->mean[k] = (chart_point){ x, y };
        g->deviation[k] = g->n > 1 ? sqrt(squares / (g->n - 1)) : 0;
    }
    return epochs;
}

static void draw(group *groups, int n, const char *of, const char *over, text *out) {
    chart_series series[CHART_COLOURS] = { { 0 } };
    text names[CHART_COLOURS] = { { 0 } };
    for (int i = 0; i < n; i++) {
        const int epochs = summarize(&groups[i]);
        text_add(&names[i], "%s", groups[i].name);
        if (groups[i].n > 1) text_add(&names[i], " (%d runs)", groups[i].n);
        series[i] = (chart_series){ .points = groups[i].mean,
                                    .n = epochs,
                                    .colour = (char)('a' + i),
                                    .apart = groups[i].n > 1 ? groups[i].deviation : NULL,
                                    .name = names[i].bytes };
    }
    chart_file(out, &(chart){ .series = series,
                              .n_series = n,
                              .x_name = over,
                              .y_name = of,
                              .unit = "",
                              .y_free = true });
    for (int i = 0; i < n; i++) free(names[i].bytes);
}

/* ---- correlation -------------------------------------------------------------------------- */

/* Over the epochs that have both figures. */
static int tell_correlation(const char *run, const char **of, const char *over) {
    curve c = { 0 };
    int status = read_curve(run, of, over, &c), n = 0;
    for (int i = 0; i < c.n; i++) {
        if (!isfinite(c.x[i]) || !isfinite(c.y[i])) continue;
        c.x[n] = c.x[i];
        c.y[n++] = c.y[i];
    }
    const double spearman = status < 0 ? glia_spearman(c.x, c.y, n) : NAN;
    if (status < 0 && isnan(spearman))
        status = fail("%s: a rank correlation needs two epochs or more in which %s and %s differ", run, *of, over);
    if (status < 0) printf("%s, %s with %s: Spearman %.4f over %d epochs\n", run, *of, over, spearman, n);
    free(c.x);
    free(c.y);
    return status;
}

/* ---- the command -------------------------------------------------------------------------- */

static int write_chart(const char *path, const text *svg) {
    if (path) return write_file(path, svg->bytes, svg->length) ? EXIT_OK : fail("%s: %s", path, strerror(errno));
    fwrite(svg->bytes, 1, svg->length, stdout);
    return EXIT_OK;
}

int command_curves(int argc, char **argv) {
    const char *out = NULL, *of = NULL, *over = "epoch";
    bool correlation = false;
    const option table[] = {
        { .help = "Runs whose names differ only in a number behind a dash, as best-0 and best-1, are one curve:" },
        { .help = "their mean, with a band of one standard deviation to both sides." },
        { .help = "options" },
        { "of", OPTION_TEXT, &of, "FIGURE", "a column of curves.csv (eval_return, val_loss or loss)", 0, 0 },
        { "over", OPTION_TEXT, &over, "FIGURE", "along which: epoch, step, samples or seconds (epoch)", 0, 0 },
        { "out", OPTION_TEXT, &out, "FILE", "the SVG file (stdout)", 0, 0 },
        { "correlation", OPTION_FLAG, &correlation, NULL,
          "draw nothing: print Spearman's rank correlation of the two figures over each run's epochs", 0, 0 },
    };
    const options what = { "curves", table, sizeof table / sizeof table[0], 1, -1, "run folders" };
    int n, n_groups = 0, status = options_parse(&what, argc, argv, &n);
    if (status >= 0) return status;
    if (correlation && out) return misuse("--correlation draws nothing, so --out has no use");
    for (int i = 1; correlation && i <= n && status < 0; i++) status = tell_correlation(argv[i], &of, over);
    if (correlation) return status < 0 ? EXIT_OK : status;
    group *groups = allocate(CHART_COLOURS, sizeof *groups);
    for (int i = 1; i <= n && status < 0; i++) status = add_run(argv[i], &of, over, groups, &n_groups);
    if (status < 0) {
        text svg = { 0 };
        draw(groups, n_groups, of, over, &svg);
        status = write_chart(out, &svg);
        free(svg.bytes);
    }
    for (int i = 0; i < n_groups; i++) {
        for (int k = 0; k < groups[i].n; k++) free(groups[i].runs[k].x), free(groups[i].runs[k].y);
        free(groups[i].runs);
        free(groups[i].mean);
        free(groups[i].deviation);
    }
    free(groups);
    return status;
}
