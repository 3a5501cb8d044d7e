/* demo.c - `glia demo`: trains a convolutional network on synthetic digits and writes a report. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reports/picture.h"
#include "reports/report.h"
#include "runs/training.h"
#include "terminal/options.h"

/* Prints a test sample with its true and its predicted class. */
static void show(const training *t, int64_t index) {
    int32_t truth;
    float *x = plain_sample(t, t->test, index, &truth);
    if (!x) return;
    printf("\n  true class %s, predicted %s\n", glia_data_class_name(t->test, truth),
           glia_data_class_name(t->test, t->predicted[index]));
    picture_print(x, glia_data_x_shape(t->test), 2);
    free(x);
}

static int write_report(const training *t, const char *path) {
    text html = { 0 };
    report_html(t, &html);
    int status = write_file(path, html.bytes, html.length) ? -1 : fail("%s: %s", path, strerror(errno));
    free(html.bytes);
    return status;
}

static int run(training *t, const char *path) {
    printf("A convolutional network learns to recognise synthetic handwritten digits.\n\n");
    training_headline(t);
    voice how;
    voice_parse(NULL, &how);
    int status = training_run(t, how);
    if (status < 0) status = training_test(t);
    if (status < 0) status = write_report(t, path);
    if (status >= 0) return status;
    show(t, 0);
    mistake worst;
    if (worst_mistakes(t, &worst, 1) == 1) show(t, worst.index);
    char wrong[SHORT], samples[SHORT];
    printf("\nTest accuracy %.2f %% (%s of %s wrong).\n", 100 * t->scores.accuracy,
           grouped(training_mistakes(t), wrong), grouped(t->scores.samples, samples));
    printf("Report: %s\n", path);
    return t->stopped ? fail("interrupted; the report covers the training so far") : EXIT_OK;
}

int command_demo(int argc, char **argv) {
    settings s = settings_default();
    const char *path = "glia-demo.html";
    s.model = "keras-cnn";
    s.data = "strokes";
    s.epochs = 3;
    const option table[] = {
        { .help = "options" },
        { "out", OPTION_TEXT, &path, "FILE", "the report (glia-demo.html)", 0, 0 },
        { "epochs", OPTION_INT, &s.epochs, "N", "passes over the training data (3)", 1, 1000 },
        { "threads", OPTION_INT, &s.threads, "N", "CPU threads; does not change the result (all cores)", 1, 1024 },
    };
    const options what = { "demo", table, sizeof table / sizeof table[0], 0, 0, NULL };
    int n, status = options_parse(&what, argc, argv, &n);
    if (status >= 0) {
        settings_free(&s);
        return status;
    }
    training t;
    status = training_open(&t, s);
    if (status < 0) status = run(&t, path);
    training_close(&t);
    return status;
}
