/* eval.c - `glia eval`: evaluates a trained model: on a dataset, or as its method assesses models. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runs/graphs.h"
#include "runs/saved.h"
#include "terminal/json.h"
#include "terminal/options.h"

typedef struct request {
    const char *data, *folder, *split, *settings, *weights, *mean, *stddev;
    int64_t batch, threads, samples, episodes, seed;
    bool json;
} request;

typedef struct result {
    glia_scores scores;
    int64_t *confusion; /* NULL: not a classification, or more than 1000 classes */
    int classes;
    int64_t *pixels; /* of a segmentation: the confusion matrix of the pixels, (classes, classes); NULL: it is none */
    bool seen; /* the samples are those that the model was trained on */
} result;

static int64_t confused(const result *r, int truth, int answer) { return r->confusion[truth * r->classes + answer]; }

static void tell_json(const saved *s, const char *address, const glia_dataset *data, const result *r) {
    text out = { 0 };
    json j = { .out = &out };
    json_open(&j, NULL, '{');
    json_text(&j, "model", glia_model_get(s->model, "name"));
    json_text(&j, "data", address);
    json_int(&j, "samples", r->scores.samples);
    json_bool(&j, "trained_on", r->seen);
    json_real(&j, "loss", r->scores.loss);
    json_real(&j, "accuracy", r->scores.accuracy);
    json_real(&j, "seconds", r->scores.seconds);
    if (r->pixels) {
        const int classes = glia_data_classes(data);
        double *iou = allocate((size_t)classes, sizeof *iou), *dice = allocate((size_t)classes, sizeof *dice);
        const glia_overlap mean = glia_overlap_of(r->pixels, classes, iou, dice);
        json_real(&j, "mean_iou", mean.mean_iou);
        json_real(&j, "mean_dice", mean.mean_dice);
        json_open(&j, "iou", '[');
        for (int i = 0; i < classes; i++) json_real(&j, NULL, iou[i]);
        json_close(&j, ']');
        json_open(&j, "dice", '[');
        for (int i = 0; i < classes; i++) json_real(&j, NULL, dice[i]);
        json_close(&j, ']');
        free(iou);
        free(dice);
    }
    if (r->confusion) {
        json_open(&j, "classes", '[');
        for (int i = 0; i < r->classes; i++) json_text(&j, NULL, glia_data_class_name(data, i));
        json_close(&j, ']');
        json_open(&j, "confusion", '[');
        for (int i = 0; i < r->classes; i++) {
            json_open(&j, NULL, '[');
            for (int k = 0; k < r->classes; k++) json_int(&j, NULL, confused(r, i, k));
            json_close(&j, ']');
        }
        json_close(&j, ']');
    }
    json_close(&j, '}');
    printf("%s\n", out.bytes);
    free(out.bytes);
}

/* Rows are true classes, columns predicted classes; a zero is shown as a dot. */
static void print_confusion(const glia_dataset *data, const result *r) {
    enum { MOST = 20, NAME = 14 };
    if (r->classes > MOST) return;
    int longest = 5, width = 5;
    for (int i = 0; i < r->classes; i++) {
        int length = (int)strlen(glia_data_class_name(data, i));
        if (length > longest) longest = length < NAME ? length : NAME;
    }
    for (int i = 0; i < r->classes * r->classes; i++) {
        int length = 1 + snprintf(NULL, 0, "%lld", (long long)r->confusion[i]);
        if (length > width) width = length;
    }
    printf("\n%*s ", longest + 2, "truth");
    for (int i = 0; i < r->classes; i++) printf("%*.*s", width, width - 1, glia_data_class_name(data, i));
    printf("    right\n");
    for (int i = 0; i < r->classes; i++) {
        printf("%*.*s ", longest + 2, NAME, glia_data_class_name(data, i));
        int64_t total = 0;
        for (int k = 0; k < r->classes; k++) {
            total += confused(r, i, k);
            if (confused(r, i, k))
                printf("%*lld", width, (long long)confused(r, i, k));
            else
                printf("%*s", width, ".");
        }
        if (total > 0)
            printf("  %5.1f %%\n", 100 * (double)confused(r, i, i) / (double)total);
        else
            printf("        -\n");
    }
}

static void print_overlap(const glia_dataset *data, const result *r) {
    const int classes = glia_data_classes(data);
    double *iou = allocate((size_t)classes, sizeof *iou), *dice = allocate((size_t)classes, sizeof *dice);
    const glia_overlap mean = glia_overlap_of(r->pixels, classes, iou, dice);
    printf("\n%14s      IoU     Dice\n", "class");
    for (int c = 0; c < classes; c++) {
        if (isnan(iou[c])) continue;
        printf("%14.14s %8.4f %8.4f\n", glia_data_class_name(data, c), iou[c], dice[c]);
    }
    printf("%14s %8.4f %8.4f\n", "mean", mean.mean_iou, mean.mean_dice);
    free(iou);
    free(dice);
}

static void tell(const saved *s, const char *address, const glia_dataset *data, const result *r) {
    char number[SHORT], errors[SHORT], time[SHORT];
    const char *name = glia_model_get(s->model, "name");
    printf("%s on %s: %s samples in %s\n", name ? name : s->path, address, grouped(r->scores.samples, number),
           duration(r->scores.seconds, time));
    if (r->seen) printf("the model was trained on these samples: this does not measure generalisation\n");
    printf("loss %.4f", r->scores.loss);
    if (!isnan(r->scores.accuracy)) {
        int64_t answers = r->scores.samples * glia_shape_count(glia_data_y_shape(data));
        int64_t wrong = answers - llround(r->scores.accuracy * (double)answers);
        if (answers > r->scores.samples && !r->pixels) printf(", perplexity %.3g", exp(r->scores.loss));
        printf(", accuracy %.2f %%, %s wrong", 100 * r->scores.accuracy, grouped(wrong, errors));
    }
    printf("\n");
    if (r->confusion) print_confusion(data, r);
    if (r->pixels) print_overlap(data, r);
}

static int measure(const saved *s, glia_dataset *data, const request *q, result *r) {
    enum { MOST_CONFUSED = 1000 }; /* classes: the matrix has its square */
    glia_error error;
    bool one = glia_data_classes(data) && glia_shape_count(glia_data_y_shape(data)) == 1;
    r->classes = one ? s->outputs : 0;
    if (r->classes && r->classes <= MOST_CONFUSED && r->classes == glia_data_classes(data))
        r->confusion = allocate((size_t)r->classes * (size_t)r->classes, sizeof *r->confusion);
    glia_evaluate_opts opts = { .batch = q->batch, .threads = (int)q->threads, .confusion = r->confusion };
    if (glia_evaluate(s->model, data, opts, &r->scores, &error) != GLIA_OK) return fail("%s", error.message);
    const int classes = glia_data_classes(data);
    if (!classes || glia_data_x_shape(data).rank != 3 || glia_shape_count(glia_data_y_shape(data)) == 1) return -1;
    r->pixels = allocate((size_t)classes * (size_t)classes, sizeof *r->pixels);
    return glia_segmentation_confusion(s->model, data, classes, r->pixels, NULL, &error) == GLIA_OK
               ? -1
               : fail("%s", error.message);
}

static int evaluate(const saved *s, const request *q) {
    const char *address = q->data ? q->data : s->data;
    if (!address) return misuse("eval needs --data: the model file does not name its training data");
    glia_dataset *data;
    int status = saved_data(s, address, q->split, q->folder, &data);
    if (status >= 0) return status;
    result r = { .seen = strcmp(q->split, "train") == 0 || !glia_data_is_split(data) };
    r.seen = r.seen && s->data && strcmp(address, s->data) == 0;
    status = measure(s, data, q, &r);
    if (status < 0) (q->json ? tell_json : tell)(s, address, data, &r);
    free(r.confusion);
    free(r.pixels);
    glia_data_free(data);
    return status < 0 ? EXIT_OK : status;
}

/* ---- models of other methods than fit ------------------------------------------------------- */

static void tell_assessment(const saved *s, const glia_assessment *a, bool as_json) {
    const char *name = glia_model_get(s->model, "name"), *method = glia_model_get(s->model, "method");
    if (!as_json) {
        printf("%s, trained by %s\n", name ? name : s->path, method);
        for (int i = 0; i < a->n; i++) printf("%-24s %.6g\n", a->values[i].name, a->values[i].value);
        if (*a->note) printf("%s\n", a->note);
        return;
    }
    text out = { 0 };
    json j = { .out = &out };
    json_open(&j, NULL, '{');
    json_text(&j, "model", name);
    json_text(&j, "method", method);
    for (int i = 0; i < a->n; i++) json_real(&j, a->values[i].name, a->values[i].value);
    if (*a->note) json_text(&j, "note", a->note);
    json_close(&j, '}');
    printf("%s\n", out.bytes);
    free(out.bytes);
}

static int assess(const saved *s, const request *q, const glia_method_info *method) {
    if (!method->assesses)
        return fail("%s was trained by the method %s, which has no figures for a trained model", s->path, method->name);
    if (q->samples && q->episodes) return misuse("--samples and --episodes are the same number under two names");
    glia_dataset *data = NULL;
    glia_graph_data *graphs = NULL;
    if (method->uses & GLIA_USES_GRAPHS) {
        const char *address = q->data ? q->data : glia_model_get(s->model, "data");
        if (!address) return misuse("eval needs --data: the model file does not name its training data");
        glia_error error;
        graphs = graphs_open(address, q->folder, &error);
        if (!graphs) return fail("%s", error.message);
    } else if (method->uses & GLIA_USES_DATA) {
        const char *address = q->data ? q->data : s->data;
        if (!address) return misuse("eval needs --data: the model file does not name its training data");
        const int status = saved_data(s, address, q->split, q->folder, &data);
        if (status >= 0) return status;
    } else if (q->data) {
        return misuse("--data: the method %s does not use data", method->name);
    }
    const glia_assess_opts opts = { .data = data,
                                    .graphs = graphs,
                                    .count = q->samples ? q->samples : q->episodes,
                                    .seed = (uint64_t)q->seed,
                                    .settings = q->settings,
                                    .threads = (int)q->threads };
    glia_assessment assessment;
    glia_error error;
    const glia_status status = glia_assess(s->model, opts, &assessment, &error);
    if (status == GLIA_OK) tell_assessment(s, &assessment, q->json);
    glia_data_free(data);
    glia_graph_data_free(graphs);
    return status == GLIA_OK           ? EXIT_OK
           : status == GLIA_E_ARGUMENT ? misuse("%s", error.message)
                                       : fail("%s", error.message);
}

/* By the method that the file names. */
static int run(const request *q, saved *s) {
    const char *name = glia_model_get(s->model, "method");
    const glia_method_info *method = name && strcmp(name, "fit") != 0 ? glia_method_find(name) : NULL;
    if (method) return assess(s, q, method);
    if (q->samples || q->episodes || q->settings)
        return misuse("--samples, --episodes and --set are for models of other methods than fit");
    const int status = saved_supervised(s);
    return status < 0 ? evaluate(s, q) : status;
}

int command_eval(int argc, char **argv) {
    request q = { .split = "test" };
    const option table[] = {
        { .help = "options" },
        { "data", OPTION_TEXT, &q.data, "DATA", "a dataset name or address (that of the training)", 0, 0 },
        { "data-folder", OPTION_TEXT, &q.folder, "FOLDER", "folder searched first for named datasets", 0, 0 },
        { "split", OPTION_TEXT, &q.split, "NAME", "train or test (test)", 0, 0 },
        { "batch", OPTION_INT, &q.batch, "N", "batch size (256)", 1, 1 << 20 },
        { "threads", OPTION_INT, &q.threads, "N", "CPU threads; does not change the result (all cores)", 1, 1024 },
        { "json", OPTION_FLAG, &q.json, NULL, "print one JSON object", 0, 0 },
        { "weights", OPTION_TEXT, &q.weights, "FILE", "values for a built-in model: .safetensors, .pth, .pt", 0, 0 },
        { "mean", OPTION_TEXT, &q.mean, "LIST", "with --weights: means of the channels, \"0.5,0.5,0.5\"", 0, 0 },
        { "stddev", OPTION_TEXT, &q.stddev, "LIST", "with --weights: their standard deviations", 0, 0 },
        { .help = "models of other methods than fit" },
        { "samples", OPTION_INT, &q.samples, "N", "samples to draw and measure (the method's default)", 1, 1e9 },
        { "episodes", OPTION_INT, &q.episodes, "N", "episodes to play (the method's default)", 1, 1e9 },
        { "seed", OPTION_INT, &q.seed, "N", "random seed (0)", 0, 9e15 },
        { "set", OPTION_TEXT, &q.settings, "SETTINGS", "settings of the method: \"sampling_steps=50\"", 0, 0 },
    };
    const options what = { "eval", table, sizeof table / sizeof table[0], 1, 1, "a run folder or a .safetensors file" };
    int n, status = options_parse(&what, argc, argv, &n);
    if (status >= 0) return status;
    saved s;
    const bool built = q.weights || q.mean || q.stddev;
    status = built ? saved_open_with(&s, argv[1], q.weights, q.mean, q.stddev) : saved_open_method(&s, argv[1]);
    if (status < 0) status = run(&q, &s);
    saved_close(&s);
    return status;
}
