/* features.c - `glia features`: what a layer of a trained model gives for the samples of a data set, as .npz; or how
 * far a probe of these features gets. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reports/npz.h"
#include "runs/saved.h"
#include "terminal/options.h"

typedef struct request {
    const char *data, *folder, *split, *layer, *out, *probe, *weights, *mean, *stddev;
    int64_t threads, neighbours;
} request;

typedef struct features {
    float *x;
    int32_t *labels;
    int64_t n, size;
    int classes;
} features;

static void features_free(features *f) {
    free(f->x);
    free(f->labels);
}

static int compute(const saved *s, const request *q, const char *split, features *f) {
    const char *address = q->data ? q->data : s->data;
    if (!address) return misuse("features needs DATA: the model file does not name its training data");
    glia_dataset *data;
    *f = (features){ 0 };
    int status = saved_data(s, address, split, q->folder, &data);
    if (status >= 0) return status;
    glia_error error;
    glia_backend *backend = glia_backend_open("cpu", (int)q->threads, &error);
    const bool done =
        backend && glia_model_features(s->model, q->layer, data, &f->x, &f->size, backend, &error) == GLIA_OK;
    f->n = glia_data_count(data);
    f->classes = glia_data_classes(data);
    const bool labelled = f->classes && glia_shape_count(glia_data_y_shape(data)) == 1;
    if (done && labelled) f->labels = allocate((size_t)f->n, sizeof *f->labels);
    for (int64_t i = 0; done && labelled && i < f->n; i++) glia_data_get(data, i, NULL, &f->labels[i], NULL);
    glia_backend_close(backend);
    glia_data_free(data);
    return done ? -1 : fail("%s", error.message);
}

/* Learns from the features of the training split, judges on those of the test split. */
static int probe(const saved *s, const request *q) {
    if (strcmp(q->probe, "linear") != 0 && strcmp(q->probe, "nearest") != 0)
        return misuse("--probe must be linear or nearest, not \"%s\"", q->probe);
    features train, test = { 0 };
    int status = compute(s, q, "train", &train);
    if (status < 0) status = compute(s, q, "test", &test);
    if (status < 0 && (!train.labels || !test.labels)) status = fail("a probe needs data with classes");
    if (status < 0) {
        const glia_probe_data d = { .x = train.x,
                                    .labels = train.labels,
                                    .n = train.n,
                                    .size = train.size,
                                    .classes = train.classes > test.classes ? train.classes : test.classes,
                                    .others = test.x,
                                    .m = test.n };
        int32_t *predicted = allocate((size_t)test.n + 1, sizeof *predicted);
        glia_error error;
        const glia_status done = strcmp(q->probe, "linear") == 0
                                     ? glia_probe_linear(&d, predicted, &error)
                                     : glia_probe_nearest(&d, (int)q->neighbours, predicted, &error);
        int64_t right = 0;
        for (int64_t i = 0; done == GLIA_OK && i < test.n; i++) right += predicted[i] == test.labels[i];
        if (done == GLIA_OK)
            printf("%s probe of %s (%lld features), %lld samples: accuracy %.2f %% of %lld\n", q->probe, q->layer,
                   (long long)train.size, (long long)train.n, 100 * (double)right / (double)test.n, (long long)test.n);
        else
            status = fail("%s", error.message);
        free(predicted);
    }
    features_free(&train);
    features_free(&test);
    return status < 0 ? EXIT_OK : status;
}

static int write(const saved *s, const request *q) {
    features f;
    int status = compute(s, q, q->split, &f);
    if (status < 0) {
        const npz_array arrays[] = { { "x", GLIA_F32, GLIA_SHAPE(f.n, f.size), f.x },
                                     { "y", GLIA_I32, GLIA_SHAPE(f.n), f.labels } };
        glia_error error;
        if (npz_write(q->out, arrays, f.labels ? 2 : 1, &error) == GLIA_OK)
            printf("%s: x (%lld, %lld)%s, features of %s\n", q->out, (long long)f.n, (long long)f.size,
                   f.labels ? ", y" : "", q->layer);
        else
            status = fail("%s", error.message);
    }
    features_free(&f);
    return status < 0 ? EXIT_OK : status;
}

int command_features(int argc, char **argv) {
    request q = { .split = "test" };
    const option table[] = {
        { .help = "options" },
        { "layer", OPTION_TEXT, &q.layer, "NAME", "the layer; `glia summary` lists them", 0, 0 },
        { "out", OPTION_TEXT, &q.out, "FILE", "an .npz file with x and, for classes, y", 0, 0 },
        { "probe", OPTION_TEXT, &q.probe, "KIND", "linear or nearest: accuracy on the test split instead", 0, 0 },
        { "neighbours", OPTION_INT, &q.neighbours, "K", "of the nearest probe (5)", 1, 1000 },
        { "split", OPTION_TEXT, &q.split, "NAME", "train or test (test)", 0, 0 },
        { "data-folder", OPTION_TEXT, &q.folder, "FOLDER", "folder searched first for named datasets", 0, 0 },
        { "weights", OPTION_TEXT, &q.weights, "FILE", "values for a built-in model: .safetensors, .pth, .pt", 0, 0 },
        { "mean", OPTION_TEXT, &q.mean, "LIST", "with --weights: means of the channels, \"0.5,0.5,0.5\"", 0, 0 },
        { "stddev", OPTION_TEXT, &q.stddev, "LIST", "with --weights: their standard deviations", 0, 0 },
        { "threads", OPTION_INT, &q.threads, "N", "CPU threads; does not change the result (all cores)", 1, 1024 },
    };
    const options what = { "features", table, sizeof table / sizeof table[0], 1, 2, "a run or file, and data" };
    int n, status = options_parse(&what, argc, argv, &n);
    if (status >= 0) return status;
    if (n == 2) q.data = argv[2];
    if (!q.layer) return misuse("features needs --layer; `glia summary %s` lists the layers", argv[1]);
    if (!q.out == !q.probe) return misuse("features needs --out FILE or --probe KIND");
    saved s;
    status = saved_open_with(&s, argv[1], q.weights, q.mean, q.stddev);
    if (status < 0) status = q.probe ? probe(&s, &q) : write(&s, &q);
    saved_close(&s);
    return status;
}
