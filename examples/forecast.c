/* forecast.c - forecasts the oil temperature of a transformer for a day from the week before: ETTh1 (Zhou et al. 2021).
 *
 *     forecast [--quick] [--data ETTh1.csv.gz] [--epochs N] [--plot FILE.svg] [--threads N]
 *
 * Uses only the column OT, one row per hour: 12 months for training, 4 for validation, 4 for testing, as in the paper.
 * A GRU reads 168 hours and predicts the difference of each of the next 24 from the last value read. Two baselines: the
 * last value, and the value 24 hours earlier. Errors are in units of the training data's standard deviation. The plot
 * shows two weeks of the test data, forecast day by day.
 *
 * Without the data, and with --quick, the series is synthetic: daily and weekly waves and a drifting level. Exit status
 * 1 if the net is not better than both baselines.
 */
#include <glia/glia.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAST = 168, AHEAD = 24, MONTH = 30 * 24, PLOTTED_DAYS = 14 };

static void check(glia_status status, const glia_error *error) {
    if (status == GLIA_OK) return;
    fprintf(stderr, "forecast: %s\n", error->message);
    exit(2);
}

/* ---- the series ----------------------------------------------------------------------------- */

typedef struct series {
    float *v;
    int64_t n, train, validate, test; /* where the parts end */
    double mean, stddev;              /* of the training part; v is normalised */
} series;

static double noise(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 33) * 0x1p-30 - 1;
}

static series drawn(int64_t n) {
    const double day = 2 * 3.14159265358979 / 24;
    series s = { .v = calloc((size_t)n, sizeof(float)), .n = n };
    uint64_t state = 7;
    double level = 0;
    for (int64_t t = 0; s.v && t < n; t++) {
        level = 0.97 * level + 0.4 * noise(&state);
        s.v[t] = (float)(level + sin(day * (double)t) + 0.3 * sin(day * (double)t / 7));
    }
    return s;
}

/* Reads the column OT of the file. */
static series read_series(const char *path) {
    char address[1024];
    glia_error error = { 0 };
    snprintf(address, sizeof address, "csv:%s?target=OT&drop=date", path);
    glia_dataset *data = glia_data_open(address, NULL, NULL, &error);
    if (!data) check(error.status, &error);
    series s = { .n = glia_data_count(data) };
    s.v = calloc((size_t)s.n, sizeof(float));
    for (int64_t i = 0; s.v && i < s.n; i++) check(glia_data_get(data, i, NULL, &s.v[i], &error), &error);
    glia_data_free(data);
    return s;
}

static void split(series *s, bool quick) {
    const int64_t part = quick ? s->n / 20 : MONTH;
    s->train = 12 * part;
    s->validate = 16 * part;
    s->test = 20 * part < s->n ? 20 * part : s->n;
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < s->train; i++) sum += s->v[i];
    s->mean = sum / (double)s->train;
    for (int64_t i = 0; i < s->train; i++) squares += (s->v[i] - s->mean) * (s->v[i] - s->mean);
    s->stddev = sqrt(squares / (double)s->train);
    for (int64_t i = 0; i < s->n; i++) s->v[i] = (float)((s->v[i] - s->mean) / s->stddev);
}

/* Windows whose forecast lies in [from, to), `stride` hours apart: inputs are the past values, targets the future
 * values minus the last past value. */
static glia_dataset *windows(const series *s, int64_t from, int64_t to, int64_t stride) {
    if (from < PAST) from = PAST;
    const int64_t n = (to - AHEAD - from) / stride + 1;
    float *x = malloc((size_t)n * PAST * sizeof *x), *y = malloc((size_t)n * AHEAD * sizeof *y);
    for (int64_t i = 0; x && y && i < n; i++) {
        const float *now = s->v + from + i * stride;
        memcpy(x + i * PAST, now - PAST, PAST * sizeof *x);
        for (int k = 0; k < AHEAD; k++) y[i * AHEAD + k] = now[k] - now[-1];
    }
    glia_error error = { 0 };
    glia_arrays arrays = { .n = n, .x = x, .x_shape = GLIA_SHAPE(PAST, 1), .y = y, .y_shape = GLIA_SHAPE(AHEAD) };
    glia_dataset *data = x && y ? glia_data_arrays(arrays, &error) : NULL;
    if (!data) check(error.status ? error.status : GLIA_E_NOMEM, &error);
    free(x);
    free(y);
    return data;
}

/* ---- the net and its errors ----------------------------------------------------------------- */

static glia_model *build(int units) {
    glia_error error = { 0 };
    glia_model *model = glia_model_create("forecast", &error);
    if (!model) check(GLIA_E_NOMEM, &error);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(PAST, 1));
    /* Relative to the last value, as the targets are. */
    glia_tensor last = glia_slice(x, GLIA_SHAPE(0, PAST - 1, 0), GLIA_SHAPE(GLIA_BATCH, PAST, 1), GLIA_SCALAR);
    x = glia_gru(glia_sub(x, last), "gru", (glia_recurrent_opts){ .units = units, .last_only = true });
    x = glia_dropout(x, 0.2);
    glia_model_output(model, "change", glia_dense(x, "change", (glia_dense_opts){ .units = AHEAD }));
    return model;
}

typedef struct errors {
    double net, last, seasonal, net_abs, last_abs, seasonal_abs; /* mean square and mean absolute */
} errors;

/* Errors over all windows of the test part; forecasts (windows, AHEAD) are changes from the last value. */
static errors measure(const series *s, const float *forecasts, int64_t first, int64_t n) {
    errors e = { 0 };
    for (int64_t i = 0; i < n; i++) {
        const float *now = s->v + first + i;
        for (int k = 0; k < AHEAD; k++) {
            const double net = now[-1] + forecasts[i * AHEAD + k] - now[k], last = now[-1] - now[k];
            const double seasonal = now[k - AHEAD] - now[k], share = 1.0 / (double)(n * AHEAD);
            e.net += share * net * net, e.net_abs += share * fabs(net);
            e.last += share * last * last, e.last_abs += share * fabs(last);
            e.seasonal += share * seasonal * seasonal, e.seasonal_abs += share * fabs(seasonal);
        }
    }
    return e;
}

/* ---- the plot ------------------------------------------------------------------------------- */

static void line(FILE *f, const float *v, int64_t n, const char *colour) {
    const double low = -3, high = 1;
    fprintf(f, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.6\" points=\"", colour);
    for (int64_t t = 0; t < n; t++) {
        fprintf(f, "%.1f,%.1f ", 50 + 830.0 * (double)t / (double)(n - 1), 270 - 240 * (v[t] - low) / (high - low));
    }
    fprintf(f, "\"/>\n");
}

/* Plots two weeks from the middle of the test part, each day forecast from the hours before it. */
static void plot(const char *path, const series *s, const float *forecasts, int64_t first, int64_t n) {
    enum { HOURS = PLOTTED_DAYS * AHEAD };
    static float told[HOURS];
    const int64_t from = n / 2 / AHEAD * AHEAD;
    if (from + HOURS > n) return;
    for (int64_t t = 0; t < HOURS; t++) {
        const int64_t window = from + t / AHEAD * AHEAD;
        told[t] = s->v[first + window - 1] + forecasts[window * AHEAD + t % AHEAD];
    }
    FILE *f = fopen(path, "w");
    if (!f) return;
    fprintf(f, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 900 310\" font-family=\"sans-serif\" "
               "font-size=\"13\">\n<rect width=\"900\" height=\"310\" fill=\"#fff\"/>\n");
    for (int y = -3; y <= 1; y++) {
        const double at = 270 - 60.0 * (y + 3);
        fprintf(f,
                "<path d=\"M50 %.0fH880\" stroke=\"#ddd\"/><text x=\"42\" y=\"%.0f\" text-anchor=\"end\" "
                "fill=\"#555\">%.0f</text>\n",
                at, at + 4, s->mean + y * s->stddev);
    }
    for (int d = 0; d <= PLOTTED_DAYS; d += 2) {
        fprintf(f, "<text x=\"%.0f\" y=\"290\" text-anchor=\"middle\" fill=\"#555\">day %d</text>\n",
                50 + 830.0 * d / PLOTTED_DAYS, d);
    }
    line(f, s->v + first + from, HOURS, "#888");
    line(f, told, HOURS, "#d33");
    fprintf(f, "<text x=\"60\" y=\"20\" fill=\"#666\">measured</text><text x=\"140\" y=\"20\" fill=\"#d33\">forecast a "
               "day ahead</text>\n</svg>\n");
    fclose(f);
}

/* ---- main ----------------------------------------------------------------------------------- */

typedef struct settings {
    const char *data, *plot;
    int64_t epochs;
    int threads;
    bool quick;
} settings;

static int run(const settings *o) {
    series s = o->data ? read_series(o->data) : drawn(o->quick ? 3000 : 17420);
    if (!s.v) return 2;
    split(&s, o->quick || !o->data);
    glia_error error = { 0 };
    glia_dataset *train = windows(&s, PAST, s.train, o->quick ? 2 : 1);
    glia_dataset *validation = windows(&s, s.train, s.validate, o->quick ? 2 : 1);
    glia_dataset *test = windows(&s, s.validate, s.test, 1);
    const int64_t n = glia_data_count(test);
    glia_model *model = build(o->quick ? 16 : 48);
    const glia_fit_opts how = { .epochs = o->epochs,
                                .batch = 64,
                                .optimizer = { .kind = GLIA_ADAM, .lr = o->quick ? 0.01 : 0.002, .clip_norm = 1 },
                                .schedule = { .kind = GLIA_LR_COSINE },
                                .validation = validation,
                                .threads = o->threads,
                                .seed = 1 };
    check(glia_fit(model, train, how, &error), &error);
    float *x = malloc((size_t)n * PAST * sizeof *x), *forecasts = malloc((size_t)n * AHEAD * sizeof *forecasts);
    for (int64_t i = 0; x && i < n; i++) check(glia_data_get(test, i, x + i * PAST, NULL, &error), &error);
    if (!x || !forecasts) return 2;
    check(glia_predict(model, x, n, forecasts, NULL, &error), &error);
    const errors e = measure(&s, forecasts, s.validate, n);
    printf("%lld forecasts of 24 hours  mean square  mean absolute\n", (long long)n);
    printf("last value                  %11.4f  %13.4f\n", e.last, e.last_abs);
    printf("the day before              %11.4f  %13.4f\n", e.seasonal, e.seasonal_abs);
    printf("GRU                         %11.4f  %13.4f\n", e.net, e.net_abs);
    if (o->plot) plot(o->plot, &s, forecasts, s.validate, n);
    free(x);
    free(forecasts);
    free(s.v);
    glia_model_free(model);
    glia_data_free(train);
    glia_data_free(validation);
    glia_data_free(test);
    return !(e.net < e.last && e.net < e.seasonal);
}

int main(int argc, char **argv) {
    settings o = { .epochs = 6 };
    static char found[1024];
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quick") == 0) o.quick = true, o.epochs = 4;
        if (i + 1 == argc) break;
        if (strcmp(argv[i], "--data") == 0) o.data = argv[i + 1];
        if (strcmp(argv[i], "--epochs") == 0) o.epochs = atoll(argv[i + 1]);
        if (strcmp(argv[i], "--plot") == 0) o.plot = argv[i + 1];
        if (strcmp(argv[i], "--threads") == 0) o.threads = atoi(argv[i + 1]);
    }
    const char *folder = getenv("GLIA_DATA");
    if (!o.quick && !o.data && folder) {
        snprintf(found, sizeof found, "%s/ett/ETTh1.csv.gz", folder);
        FILE *f = fopen(found, "rb");
        if (f) o.data = found, fclose(f);
    }
    return run(&o);
}
