/* test_metrics.c - metrics against scikit-learn, and their guarantees.
 *
 * tools/golden/metrics.py draws the same scores and targets and wrote tests/golden/metrics.txt with scikit-learn. Each
 * value must match to 1e-12, and have the same bits when accumulated in batches of any size, in another order, or
 * merged from parts.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "glia/glia.h"
#include "nn/metrics/metrics.h"

enum { MOST = 500, WIDEST = 5 };

/* ---- the cases ---------------------------------------------------------------------------- */

typedef struct samples {
    int n, classes;
    float scores[MOST * WIDEST];
    int32_t labels[MOST];
    float truth[MOST * WIDEST];
} samples;

static int below(uint32_t *x, int n) {
    *x = 1664525U * *x + 1013904223U;
    return (int)((*x >> 8) % (uint32_t)n);
}

static void draw_probabilities(uint32_t *x, int classes, float *row) {
    int parts[WIDEST];
    if (classes == 1) {
        row[0] = (float)(1 + below(x, 63)) / 64;
        return;
    }
    for (int k = 0; k < classes; k++) parts[k] = 1;
    for (int i = 0; i < 64 - classes; i++) parts[below(x, classes)]++;
    int to = below(x, classes);
    for (int i = 0; i < 40; i++) {
        int giver = below(x, classes);
        if (parts[giver] <= 1) continue;
        parts[giver]--;
        parts[to]++;
    }
    for (int k = 0; k < classes; k++) row[k] = (float)parts[k] / 64;
}

static samples draw_labelled(uint32_t seed, int n, int classes, bool logits, bool absent) {
    samples s = { .n = n, .classes = classes };
    uint32_t x = seed;
    for (int i = 0; i < n; i++) {
        float *row = s.scores + i * classes;
        if (!logits) draw_probabilities(&x, classes, row);
        for (int k = 0; logits && k < classes; k++) row[k] = (float)(below(&x, 1 << 16) - (1 << 15)) / (1 << 13);
        int said = classes == 1 ? row[0] >= (logits ? 0 : 0.5F) : 0;
        for (int k = 1; k < classes; k++) said = row[k] > row[said] ? k : said;
        int other = below(&x, (classes > 2 ? classes : 2) - absent);
        int label = below(&x, 2) ? said : other;
        s.labels[i] = absent && label == classes - 1 ? other : label;
    }
    return s;
}

static samples draw_valued(uint32_t seed, int n, int width, int offset) {
    samples s = { .n = n, .classes = width };
    uint32_t x = seed;
    for (int i = 0; i < n * width; i += width) {
        for (int k = 0; k < width; k++) s.scores[i + k] = (float)offset + (float)(below(&x, 1 << 12) - (1 << 11)) / 256;
        for (int k = 0; k < width; k++) s.truth[i + k] = s.scores[i + k] + (float)(below(&x, 1 << 10) - (1 << 9)) / 256;
    }
    return s;
}

static samples draw(const char *name) {
    if (!strcmp(name, "binary")) return draw_labelled(1, 400, 1, false, false);
    if (!strcmp(name, "binary_logits")) return draw_labelled(2, 400, 1, true, false);
    if (!strcmp(name, "two")) return draw_labelled(3, 400, 2, false, false);
    if (!strcmp(name, "two_logits")) return draw_labelled(4, 400, 2, true, false);
    if (!strcmp(name, "four")) return draw_labelled(5, 500, 4, false, false);
    if (!strcmp(name, "four_logits")) return draw_labelled(6, 500, 4, true, false);
    if (!strcmp(name, "absent")) return draw_labelled(7, 300, 5, false, true);
    if (!strcmp(name, "value")) return draw_valued(8, 250, 1, 0);
    assert_string_equal(name, "values");
    return draw_valued(9, 250, 3, 100);
}

/* ---- accumulation ------------------------------------------------------------------------- */

static glia_metric *make(const char *text, int classes) {
    glia_error error;
    glia_metric *m = glia_metric_create(text, classes, &error);
    if (!m) fail_msg("%s: %s", text, error.message);
    return m;
}

static void update(glia_metric *m, const samples *s, int begin, int end) {
    const void *targets =
        glia_metric_takes_values(m) ? (const void *)(s->truth + begin * s->classes) : (const void *)(s->labels + begin);
    glia_error error;
    if (glia_metric_update(m, s->scores + begin * s->classes, targets, end - begin, &error)) {
        fail_msg("%s", error.message);
    }
}

static double figure(const glia_metric *m, int label) {
    return label < 0 ? glia_metric_result(m) : glia_metric_of_class(m, label);
}

static samples reversed(const samples *s) {
    samples r = { .n = s->n, .classes = s->classes };
    size_t row = (size_t)s->classes * sizeof *s->scores;
    for (int i = 0; i < s->n; i++) {
        int from = (s->n - 1 - i) * s->classes;
        memcpy(r.scores + i * s->classes, s->scores + from, row);
        memcpy(r.truth + i * s->classes, s->truth + from, row);
        r.labels[i] = s->labels[s->n - 1 - i];
    }
    return r;
}

/* Accumulates in other ways; the bits must be the same. */
static void gather_otherwise(const char *text, const samples *s, int label, double whole) {
    static const int cuts[] = { 1, 7, 64, 499 };
    for (size_t c = 0; c < sizeof cuts / sizeof cuts[0]; c++) {
        glia_metric *m = make(text, s->classes);
        for (int at = 0; at < s->n; at += cuts[c]) update(m, s, at, GLIA_MIN(at + cuts[c], s->n));
        assert_true(figure(m, label) == whole);
        glia_metric_free(m);
    }
    samples back = reversed(s);
    glia_metric *m = make(text, s->classes), *parts[3];
    update(m, &back, 0, 20);
    glia_metric_reset(m);
    update(m, &back, 0, s->n);
    assert_true(figure(m, label) == whole);
    glia_metric_free(m);
    for (int i = 0; i < 3; i++) {
        parts[i] = make(text, s->classes);
        update(parts[i], s, i * s->n / 3, (i + 1) * s->n / 3);
    }
    for (int i = 0; i < 2; i++) assert_int_equal(glia_metric_merge(parts[2], parts[i], NULL), GLIA_OK);
    assert_true(figure(parts[2], label) == whole);
    assert_int_equal(glia_metric_samples(parts[2]), s->n);
    for (int i = 0; i < 3; i++) glia_metric_free(parts[i]);
}

static void test_matches_scikit_learn(void **state) {
    (void)state;
    FILE *file = fopen(GLIA_GOLDEN_DIR "/metrics.txt", "r");
    assert_non_null(file);
    char line[256], name[64], text[64];
    int rows = 0;
    while (fgets(line, sizeof line, file)) {
        int label;
        double expected;
        if (line[0] == '#') continue;
        assert_int_equal(sscanf(line, "%63s %63s %d %lf", name, text, &label, &expected), 4);
        samples s = draw(name);
        glia_metric *m = make(text, s.classes);
        update(m, &s, 0, s.n);
        double whole = figure(m, label);
        if (!(fabs(whole - expected) <= 1e-12 * fmax(1, fabs(expected)))) {
            fail_msg("%s %s of class %d is %.17g, not %.17g", name, text, label, whole, expected);
        }
        glia_metric_free(m);
        gather_otherwise(text, &s, label, whole);
        rows++;
    }
    fclose(file);
    assert_true(rows > 300);
}

/* ---- exact sums --------------------------------------------------------------------------- */

static double sum_of(const double *x, int n) {
    glia_exact s = { 0 };
    for (int i = 0; i < n; i++) glia_exact_add(&s, x[i]);
    return glia_exact_value(&s);
}

static void near(double is, double should, double within) {
    if (!(fabs(is - should) <= within)) fail_msg("%.17g is not %.17g", is, should);
}

#define SUM(...) sum_of((double[]){ __VA_ARGS__ }, (int)(sizeof((double[]){ __VA_ARGS__ }) / sizeof(double)))

static void test_exact_sums(void **state) {
    (void)state;
    assert_true(SUM(0.0) == 0);
    assert_true(SUM(1.5, -2.25) == -0.75);
    assert_true(SUM(1e308, 1, -1e308) == 1);
    assert_true(SUM(1e300, 1e-300, -1e300, 1e-300) == 2e-300);
    assert_true(SUM(0x1p-1074, 0x1p-1074) == 0x1p-1073);
    assert_true(SUM(1, 0x1p-53) == 1); /* to even */
    assert_true(SUM(1, 0x1p-53, 0x1p-1000) == 1 + 0x1p-52);
    assert_true(SUM(-1, -0x1p-53, -0x1p-1000) == -1 - 0x1p-52);
    assert_true(SUM(1 + 0x1p-52, 0x1p-53) == 1 + 0x1p-51);
    assert_true(SUM(0x1p1023, 0x1p1022, -0x1p1022, -0x1p1023, -3) == -3);
    assert_true(SUM(1, INFINITY) == INFINITY);
    assert_true(isnan(SUM(-INFINITY, 1, INFINITY)));
    glia_exact tenths = { 0 }, parts[2] = { { .pending = 0 } };
    for (int i = 0; i < 1000000; i++) {
        glia_exact_add(&tenths, 0.1);
        glia_exact_add(&parts[i % 3 == 0], i % 2 ? 0.1 : -0.1);
    }
    assert_true(glia_exact_value(&tenths) == 0.1 * 1000000); /* the exact product rounded once, as in hardware */
    glia_exact_merge(&parts[0], &parts[1]);
    assert_true(glia_exact_value(&parts[0]) == 0);
    double high, low;
    glia_exact_add(&tenths, 0x1p-60);
    glia_exact_add(&tenths, 0x1p100);
    glia_exact_pair(&tenths, &high, &low);
    assert_true(high == 0x1p100 && fabs(low - 1e5) < 1e-9);
}

/* ---- by hand ------------------------------------------------------------------------------ */

static double once(const char *text, int classes, int n, const float *scores, const int32_t *labels) {
    glia_metric *m = make(text, classes);
    assert_int_equal(glia_metric_update(m, scores, labels, n, NULL), GLIA_OK);
    double result = glia_metric_result(m);
    glia_metric_free(m);
    return result;
}

static double once_values(const char *text, int n, const float *values, const float *truth) {
    glia_metric *m = make(text, 1);
    assert_int_equal(glia_metric_update(m, values, truth, n, NULL), GLIA_OK);
    double result = glia_metric_result(m);
    glia_metric_free(m);
    return result;
}

static void test_by_hand(void **state) {
    (void)state;
    const float s[] = { 0.5F, 0.3F, 0.2F, 0.2F, 0.2F, 0.6F, 0.4F, 0.4F, 0.2F };
    const int32_t y[] = { 1, 2, 1 };
    near(once("top1", 3, 3, s, y), 1.0 / 3, 1e-15); /* 0.4 twice: predicts the first class */
    near(once("accuracy", 3, 3, s, y), 1.0 / 3, 1e-15);
    near(once("top2", 3, 3, s, y), 1, 1e-15);
    near(once("topk", 3, 3, s, y), 1, 1e-15); /* k = 5 of 3 classes */
    glia_metric *m = make("confusion", 3);
    assert_int_equal(glia_metric_update(m, s, y, 3, NULL), GLIA_OK);
    int64_t labels;
    const int64_t expected[9] = { 0, 0, 0, 2, 0, 0, 0, 0, 1 }, *counts = glia_metric_confusion(m, &labels);
    assert_int_equal(labels, 3);
    assert_memory_equal(counts, expected, sizeof expected);
    glia_metric_free(m);

    /* Ranked + - + -, the middle two tied: 3.5 of four pairs are in order. */
    const float ranks[] = { 0.9F, 0.5F, 0.5F, 0.1F };
    const int32_t order[] = { 1, 0, 1, 0 };
    near(once("roc-auc", 1, 4, ranks, order), 3.5 / 4, 1e-15);
    near(once("pr-auc", 1, 4, ranks, order), 0.5 * 1 + 0.5 * (2.0 / 3), 1e-15);

    /* Logits whose probabilities round to 0 or 1: still ranked, and the loss is finite. */
    const float sure[] = { 0, 90, 0, 80, 0, 100, 0, -50 };
    const int32_t truth[] = { 0, 0, 1, 0 };
    near(once("roc-auc(logits)", 2, 4, sure, truth), 1, 1e-15);
    near(once("log-loss(logits)", 2, 1, sure, truth), 90, 1e-12);
    const float odds[] = { 90, -90 };
    near(once("log-loss(logits)", 1, 2, odds, (const int32_t[]){ 0, 1 }), 90, 1e-12);
    near(once("log-loss(logits)", 1, 2, odds, (const int32_t[]){ 1, 0 }), 0, 1e-12);
    assert_true(once("perplexity", 1, 1, (const float[]){ 0 }, (const int32_t[]){ 1 }) == INFINITY);
    const float even[] = { 0.25F, 0.25F, 0.25F, 0.25F };
    near(once("perplexity", 4, 1, even, (const int32_t[]){ 3 }), 4, 1e-12);

    /* A variance lost to cancellation in naive sums: 16777216 +- 2. */
    const float far[] = { 16777214, 16777218, 16777214, 16777218 }, off[] = { 16777216, 16777218, 16777214, 16777218 };
    near(once_values("r2", 4, off, far), 1 - 4.0 / 16, 1e-15);
}

/* ---- special cases -------------------------------------------------------------------------- */

static void test_undefined_results(void **state) {
    (void)state;
    glia_metric_info info[64];
    int n = glia_metric_list(info, 64);
    assert_in_range(n, 15, 64);
    for (int i = 0; i < n; i++) {
        glia_metric *m = make(info[i].name, 3);
        assert_true(isnan(glia_metric_result(m)));
        assert_true(isnan(glia_metric_of_class(m, 0)) && isnan(glia_metric_of_class(m, 99)));
        const float scores[] = { 0.2F, 0.5F, 0.3F, 0.1F, NAN, 0.2F };
        const int32_t labels[] = { 1, 2 };
        const float values[] = { 1, 2, 3, 4, 5, 6 };
        const void *targets = info[i].takes_values ? (const void *)values : (const void *)labels;
        assert_int_equal(glia_metric_update(m, scores, targets, 2, NULL), GLIA_OK);
        assert_true(isnan(glia_metric_result(m))); /* a NaN is never silently dropped */
        assert_int_equal(glia_metric_samples(m), 2);
        glia_metric_reset(m);
        assert_int_equal(glia_metric_update(m, NULL, NULL, 0, NULL), GLIA_OK);
        assert_int_equal(glia_metric_samples(m), 0);
        assert_true(info[i].larger_is_better == glia_metric_larger_is_better(m));
        glia_metric_free(m);
    }
    const float s[] = { 0.25F, 0.75F };
    const int32_t ones[] = { 1, 1 }, zeros[] = { 0, 0 };
    assert_true(isnan(once("roc-auc", 1, 2, s, ones)) && isnan(once("roc-auc", 1, 2, s, zeros)));
    assert_true(isnan(once("pr-auc", 1, 2, s, ones)) && isnan(once("pr-auc", 1, 2, s, zeros)));
    assert_true(once("precision", 1, 2, s, zeros) == 0 && once("recall", 1, 2, s, zeros) == 0);
    assert_true(once("f1", 1, 2, s, zeros) == 0 && once("mcc", 1, 2, s, ones) == 0);
    assert_true(isnan(once("cohen-kappa", 1, 2, (const float[]){ 1, 1 }, ones)));
    assert_true(once("balanced-accuracy", 1, 2, s, ones) == 0.5);
    const float same[] = { 2, 2 }, other[] = { 2, 3 };
    assert_true(once_values("r2", 2, same, same) == 1 && once_values("r2", 2, other, same) == 0);
    assert_true(isnan(once_values("r2", 1, same, same)));
    assert_true(once_values("mae", 2, same, (const float[]){ 1, INFINITY }) == INFINITY);
}

static void test_labels_out_of_range(void **state) {
    (void)state;
    glia_error error;
    glia_metric *m = make("accuracy", 3), *pads = make("accuracy(ignore=-1)", 3);
    const float s[] = { 1, 0, 0, 0, 1, 0 };
    assert_int_equal(glia_metric_update(m, s, (const int32_t[]){ 0, 3 }, 2, &error), GLIA_E_ARGUMENT);
    assert_string_equal(error.message, "accuracy: the label 3 of sample 1 is outside the 3 classes");
    assert_int_equal(glia_metric_samples(m), 0);
    assert_int_equal(glia_metric_update(m, s, (const int32_t[]){ 0, -1 }, 2, NULL), GLIA_E_ARGUMENT);
    assert_int_equal(glia_metric_update(pads, s, (const int32_t[]){ 0, -1 }, 2, NULL), GLIA_OK);
    assert_int_equal(glia_metric_samples(pads), 1);
    assert_true(glia_metric_result(pads) == 1);
    assert_int_equal(glia_metric_merge(m, pads, &error), GLIA_E_ARGUMENT);
    glia_metric_free(m);
    glia_metric_free(pads);

    const float logits[] = { 3, -1, 0.5F };
    for (int told = 0; told < 2; told++) {
        m = make("ece", 3);
        glia_metric_assume_logits(m, told);
        glia_status status = glia_metric_update(m, logits, (const int32_t[]){ 0 }, 1, &error);
        assert_int_equal(status, told ? GLIA_OK : GLIA_E_ARGUMENT);
        if (!told) assert_non_null(strstr(error.message, "did you mean ece(logits)?"));
        glia_metric_free(m);
    }
    m = make("accuracy(probabilities)", 1); /* the text takes precedence */
    glia_metric_assume_logits(m, true);
    assert_int_equal(glia_metric_update(m, (const float[]){ 0.25F }, (const int32_t[]){ 0 }, 1, NULL), GLIA_OK);
    assert_true(glia_metric_result(m) == 1);
    glia_metric_free(m);
}

static void expect_refused(const char *text, int classes, glia_status status, const char *word) {
    glia_error error;
    if (glia_metric_create(text, classes, &error)) fail_msg("%s was accepted", text);
    if (error.status != status || !strstr(error.message, word)) fail_msg("%s: %s", text, error.message);
}

static void test_texts(void **state) {
    (void)state;
    expect_refused("acuracy", 3, GLIA_E_NOT_FOUND, "did you mean accuracy?");
    expect_refused("", 3, GLIA_E_NOT_FOUND, "no metric");
    expect_refused("f1(macro", 3, GLIA_E_ARGUMENT, "NAME(OPTION");
    expect_refused("f1)", 3, GLIA_E_ARGUMENT, "NAME(OPTION");
    expect_refused("f1(macro)x", 3, GLIA_E_ARGUMENT, "NAME(OPTION");
    expect_refused("f1(binary)", 3, GLIA_E_ARGUMENT, "two classes");
    expect_refused("f1(large)", 3, GLIA_E_ARGUMENT, "it takes macro, micro");
    expect_refused("mae(logits)", 3, GLIA_E_ARGUMENT, "takes none");
    expect_refused("roc-auc(micro)", 3, GLIA_E_ARGUMENT, "micro");
    expect_refused("topk(0)", 3, GLIA_E_ARGUMENT, "topk");
    expect_refused("topk(1.5)", 3, GLIA_E_ARGUMENT, "topk");
    expect_refused("ece(k=3)", 3, GLIA_E_ARGUMENT, "k=3");
    expect_refused("precision(threshold=1)", 1, GLIA_E_ARGUMENT, "threshold=1");
    expect_refused("accuracy(ignore=0.5)", 3, GLIA_E_ARGUMENT, "ignore");
    expect_refused("top0", 3, GLIA_E_ARGUMENT, "top0");
    expect_refused("confusion", 100000, GLIA_E_ARGUMENT, "too large");
    assert_null(glia_metric_create("accuracy", 0, NULL));
    glia_metric *m = make(" f1 ( weighted , threshold = 0.5 ) ", 2);
    assert_string_equal(glia_metric_name(m), "f1(weighted,threshold=0.5)");
    glia_metric_free(m);
}

static void test_lists(void **state) {
    (void)state;
    const char *list = " accuracy, topk(k=3, ignore=-1) ,f1(macro),, mae";
    const char *const expected[] = { "accuracy", "topk(k=3, ignore=-1)", "f1(macro)", "mae" };
    char text[64], small[4];
    for (int i = 0; i < 4; i++) {
        assert_true(glia_metric_next(&list, text, sizeof text));
        assert_string_equal(text, expected[i]);
    }
    assert_false(glia_metric_next(&list, text, sizeof text));
    list = "accuracy";
    assert_true(glia_metric_next(&list, small, sizeof small));
    assert_string_equal(small, "acc");
    list = NULL;
    assert_false(glia_metric_next(&list, text, sizeof text));
}

/* docs/metrics.md lists all metrics. */
static void test_documented(void **state) {
    (void)state;
    glia_file page;
    assert_int_equal(glia_file_open(&page, GLIA_SOURCE_DIR "/docs/metrics.md", NULL), GLIA_OK);
    char *text = calloc(page.length + 1, 1), name[64];
    assert_non_null(text);
    memcpy(text, page.bytes, page.length);
    glia_file_close(&page);
    glia_metric_info info[64];
    for (int i = 0, n = glia_metric_list(info, 64); i < n; i++) {
        snprintf(name, sizeof name, "| `%s", info[i].name);
        if (!strstr(text, name)) fail_msg("docs/metrics.md lacks %s", info[i].name);
    }
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matches_scikit_learn), cmocka_unit_test(test_exact_sums),
        cmocka_unit_test(test_by_hand),              cmocka_unit_test(test_undefined_results),
        cmocka_unit_test(test_labels_out_of_range),  cmocka_unit_test(test_texts),
        cmocka_unit_test(test_lists),           cmocka_unit_test(test_documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
