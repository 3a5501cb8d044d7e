/* predict.c - `glia predict`: predictions of a trained model for single inputs. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reports/marked.h"
#include "reports/picture.h"
#include "runs/graphs.h"
#include "runs/input.h"
#include "runs/saved.h"
#include "terminal/json.h"
#include "terminal/options.h"

typedef struct request {
    input_how how;
    int64_t top;
    bool json;
    const char *out; /* a picture of what was found; NULL: none */
    marked marked;
} request;

/* ---- predictions -------------------------------------------------------------------------- */

static const char *class_name(const saved *s, int class, char number[SHORT]) {
    if (s->classes) return s->classes[class];
    snprintf(number, SHORT, "%d", class);
    return number;
}

/* Index of the largest of y not taken yet. */
static int next_best(const float *y, const bool *taken, int n) {
    int best = -1;
    for (int i = 0; i < n; i++)
        if (!taken[i] && (best < 0 || y[i] > y[best])) best = i;
    return best;
}

static void tell_json(const saved *s, const request *q, const char *input, const float *y, const char *truth) {
    text out = { 0 };
    json j = { .out = &out };
    char number[SHORT];
    bool *taken = allocate((size_t)s->outputs, sizeof *taken);
    json_open(&j, NULL, '{');
    json_text(&j, "input", input);
    if (truth) json_text(&j, "truth", truth);
    json_open(&j, s->classes ? "classes" : "outputs", '[');
    for (int i = 0; i < s->outputs && (!s->classes || i < q->top); i++) {
        if (!s->classes) {
            json_real(&j, NULL, (double)y[i]);
            continue;
        }
        int best = next_best(y, taken, s->outputs);
        taken[best] = true;
        json_open(&j, NULL, '{');
        json_text(&j, "class", class_name(s, best, number));
        json_real(&j, "probability", (double)y[best]);
        json_close(&j, '}');
    }
    json_close(&j, ']');
    json_close(&j, '}');
    printf("%s\n", out.bytes);
    free(out.bytes);
    free(taken);
}

static void tell(const saved *s, const request *q, const char *input, const float *y, const char *truth,
                 const char *note) {
    enum { BAR = 30 };
    printf("%s%s%s%s%s\n", input, truth ? "  truth: " : "", truth ? truth : "", note ? "  " : "", note ? note : "");
    if (!s->classes) {
        for (int i = 0; i < s->outputs; i++) printf("  %g\n", (double)y[i]);
        return;
    }
    int longest = 3;
    for (int i = 0; i < s->outputs; i++)
        if ((int)strlen(s->classes[i]) > longest) longest = (int)strlen(s->classes[i]);
    bool *taken = allocate((size_t)s->outputs, sizeof *taken);
    for (int i = 0; i < s->outputs && i < q->top; i++) {
        int best = next_best(y, taken, s->outputs), filled = (int)lrintf(BAR * y[best]);
        taken[best] = true;
        printf("  %*s  %6.2f %%  ", longest, s->classes[best], 100 * (double)y[best]);
        for (int k = 0; k < filled; k++) fputs(terminal_utf8() ? "\u2588" : "#", stdout);
        putchar('\n');
    }
    free(taken);
}

/* Whether the model's output is already a softmax. */
static bool are_shares(const float *y, int n) {
    double sum = 0;
    for (int i = 0; i < n; i++) {
        if (!(y[i] >= 0)) return false;
        sum += (double)y[i];
    }
    return fabs(sum - 1) < 1e-4;
}

/* ---- what is where in pictures -------------------------------------------------------------- */

/* The sample as it was before it was normalised. */
static void show_pixels(const saved *s, float *x) {
    const int64_t plane = s->n_normal > 0 ? glia_shape_count(s->sample) / s->n_normal : 0;
    for (int c = 0; c < s->n_normal; c++, x += plane)
        for (int64_t i = 0; i < plane; i++) x[i] = (float)((double)x[i] * s->stddev[c] + s->mean[c]);
}

static void tell_boxes_json(const saved *s, const char *input, const glia_box *boxes, int64_t n) {
    text out = { 0 };
    json j = { .out = &out };
    char number[SHORT];
    json_open(&j, NULL, '{');
    json_text(&j, "input", input);
    json_int(&j, "height", s->sample.dim[1]);
    json_int(&j, "width", s->sample.dim[2]);
    json_open(&j, "boxes", '[');
    for (int64_t i = 0; i < n; i++) {
        json_open(&j, NULL, '{');
        json_text(&j, "class", class_name(s, boxes[i].label, number));
        json_real(&j, "score", boxes[i].score);
        json_real(&j, "left", boxes[i].left);
        json_real(&j, "top", boxes[i].top);
        json_real(&j, "right", boxes[i].right);
        json_real(&j, "bottom", boxes[i].bottom);
        json_close(&j, '}');
    }
    json_close(&j, ']');
    json_close(&j, '}');
    printf("%s\n", out.bytes);
    free(out.bytes);
}

static void tell_boxes(const saved *s, const char *input, const glia_box *boxes, int64_t n) {
    char number[SHORT];
    printf("%s  %lld boxes, in pixels of %lldx%lld: left, top, right, bottom\n", input, (long long)n,
           (long long)s->sample.dim[1], (long long)s->sample.dim[2]);
    for (int64_t i = 0; i < n; i++)
        printf("  %-16s %6.2f %%  %6.1f %6.1f %6.1f %6.1f\n", class_name(s, boxes[i].label, number),
               100 * boxes[i].score, boxes[i].left, boxes[i].top, boxes[i].right, boxes[i].bottom);
}

static int predict_boxes(const saved *s, request *q, const char *input) {
    const double certain = 0.3; /* less is not worth telling */
    float *x = allocate((size_t)glia_shape_count(s->sample), sizeof *x);
    char *truth = NULL;
    const char *note = NULL;
    glia_box *boxes = NULL;
    int64_t n = 0;
    glia_error error;
    int status = input_read(s, &q->how, input, x, &truth, &note);
    if (status < 0 &&
        glia_detect(s->model, x, 1, (glia_detect_opts){ .score = certain }, &boxes, &n, &error) != GLIA_OK)
        status = fail("%s", error.message);
    if (status < 0) {
        (q->json ? tell_boxes_json : tell_boxes)(s, input, boxes, n);
        show_pixels(s, x);
        if (q->out) marked_boxes(&q->marked, x, s->sample, boxes, n);
    }
    free(boxes);
    free(truth);
    free(x);
    return status;
}

/* Sets the input's shape and the classes; a detector's first output has a map for each. */
static int open_detector(saved *s) {
    glia_error error;
    glia_tensor x = glia_model_sample_input(s->model, &error);
    const glia_shape shape = x ? glia_tensor_shape(x) : GLIA_SCALAR;
    if (shape.rank != 4) return fail("%s: %s", s->path, x ? "the model takes no pictures" : error.message);
    s->sample = GLIA_SHAPE(shape.dim[1], shape.dim[2], shape.dim[3]);
    s->outputs = (int)glia_tensor_shape(glia_model_output_at(s->model, 0, NULL)).dim[1];
    if (s->names.n_classes == s->outputs) s->classes = s->names.classes;
    return -1;
}

/* The number of classes of each pixel, if the model scores pixels; else 0. */
static int classes_of_pixels(const saved *s) {
    const glia_shape y = glia_tensor_shape(glia_model_output_at(s->model, 0, NULL));
    const bool possible = picture_possible(s->sample) && y.rank == 3;
    return possible && y.dim[1] == s->sample.dim[1] * s->sample.dim[2] ? (int)y.dim[2] : 0;
}

/* Tells the share of each class among the pixels, and draws them. */
static void answer_pixels(const saved *s, request *q, const char *input, float *x, const float *y, int classes) {
    const int64_t pixels = s->outputs / classes;
    int32_t *labels = allocate((size_t)pixels, sizeof *labels);
    int64_t *count = allocate((size_t)classes, sizeof *count);
    for (int64_t i = 0; i < pixels; i++) {
        for (int c = 1; c < classes; c++)
            if (y[i * classes + c] > y[i * classes + labels[i]]) labels[i] = c;
        count[labels[i]]++;
    }
    text out = { 0 };
    json j = { .out = &out };
    json_open(&j, NULL, '{');
    json_text(&j, "input", input);
    json_open(&j, "pixels", '[');
    if (!q->json) printf("%s\n", input);
    for (int c = 0; c < classes; c++) {
        json_int(&j, NULL, count[c]);
        if (!q->json) printf("  class %-8d %6.2f %% of the pixels\n", c, 100 * (double)count[c] / (double)pixels);
    }
    json_close(&j, ']');
    json_close(&j, '}');
    if (q->json) printf("%s\n", out.bytes);
    show_pixels(s, x);
    if (q->out) marked_classes(&q->marked, x, s->sample, labels);
    free(out.bytes);
    free(labels);
    free(count);
}

static int predict(const saved *s, request *q, const char *input) {
    float *x = allocate((size_t)glia_shape_count(s->sample), sizeof *x), *y = allocate((size_t)s->outputs, sizeof *y);
    char *truth = NULL;
    const char *note = NULL;
    int status = input_read(s, &q->how, input, x, &truth, &note);
    glia_error error;
    if (status < 0 && glia_predict(s->model, x, 1, y, NULL, &error) != GLIA_OK) status = fail("%s", error.message);
    const int classes = classes_of_pixels(s);
    if (status < 0 && classes) {
        answer_pixels(s, q, input, x, y, classes);
    } else if (status < 0) {
        if (s->classes && !are_shares(y, s->outputs)) softmax(y, s->outputs);
        if (q->json)
            tell_json(s, q, input, y, truth);
        else
            tell(s, q, input, y, truth, note);
    }
    free(x);
    free(y);
    free(truth);
    return status;
}

/* ---- graphs ------------------------------------------------------------------------------- */

typedef struct graph_answers {
    glia_graph_data *data;
    glia_graph_part part;
    int64_t rows, k;
    float *y;
} graph_answers;

static int answer_graphs(const saved *s, const request *q, graph_answers *a) {
    const char *address = glia_model_get(s->model, "data");
    glia_error error;
    if (!address) return fail("%s does not name its data", s->path);
    a->data = graphs_open(address, q->how.folder, &error);
    if (!a->data) return fail("%s", error.message);
    a->part = glia_graph_data_sizes(a->data).graphs ? GLIA_OF_GRAPHS : GLIA_OF_NODES;
    a->rows = a->part == GLIA_OF_NODES ? glia_graph_data_nodes(a->data) : glia_graph_data_graphs(a->data);
    a->y = graphs_answers(s->model, a->data, 0, &a->k, &error);
    return a->y ? -1 : fail("%s", error.message);
}

/* "node#17" or "graph#3" */
static int predict_item(const saved *s, const request *q, const graph_answers *a, const char *input) {
    int64_t index = 0;
    const char *noun = a->part == GLIA_OF_NODES ? "node" : "graph";
    const size_t length = input_address(input, &index);
    if (length != strlen(noun) || memcmp(input, noun, length) != 0)
        return misuse("%s: the model answers for %ss: %s#17", input, noun, noun);
    if (index < 0 || index >= a->rows) return misuse("%s: there are %lld %ss", input, (long long)a->rows, noun);
    glia_array label;
    char *truth = NULL;
    if (s->classes && glia_graph_data_find(a->data, a->part, "label", &label)) {
        const int32_t class = ((const int32_t *)label.data)[index];
        if (class >= 0 && class < s->outputs) truth = duplicate(s->classes[class]);
    }
    float *y = a->y + index * a->k;
    if (s->classes) softmax(y, s->outputs);
    if (q->json)
        tell_json(s, q, input, y, truth);
    else
        tell(s, q, input, y, truth, NULL);
    free(truth);
    return -1;
}

static int predict_graphs(saved *s, const request *q, int n, char **inputs) {
    graph_answers a = { 0 };
    int status = answer_graphs(s, q, &a);
    s->outputs = (int)a.k;
    if (s->names.n_classes == s->outputs) s->classes = s->names.classes;
    for (int i = 0; i < n && status < 0; i++) status = predict_item(s, q, &a, inputs[i]);
    glia_graph_data_free(a.data);
    free(a.y);
    return status;
}

/* ---- the command -------------------------------------------------------------------------- */

static int run(saved *s, request *q, int n, char **inputs) {
    const char *name = glia_model_get(s->model, "method");
    const glia_method_info *method = name ? glia_method_find(name) : NULL;
    if (method && (method->uses & GLIA_USES_GRAPHS))
        return q->out ? misuse("--out is for pictures") : predict_graphs(s, q, n, inputs);
    const bool boxes = method && strcmp(name, "detect") == 0;
    int status = boxes ? open_detector(s) : saved_supervised(s);
    if (status < 0 && q->out && !boxes && !classes_of_pixels(s))
        status = misuse("--out draws boxes and classes of pixels; %s gives neither", s->path);
    for (int i = 0; i < n && status < 0; i++) status = (boxes ? predict_boxes : predict)(s, q, inputs[i]);
    if (status < 0 && q->out) status = marked_write(&q->marked, q->out);
    free(q->marked.values);
    return status;
}

int command_predict(int argc, char **argv) {
    request q = { .top = 3 };
    const option table[] = {
        { .help = "an input is an image (digit.png) or a sample of a data set (mnist#17, idx:FILE#5, csv:FILE#3);\n"
                  "of models of graphs: node#17, graph#3" },
        { "top", OPTION_INT, &q.top, "N", "number of classes to print (3)", 1, 1 << 20 },
        { "digit", OPTION_FLAG, &q.how.digit, NULL, "invert and centre images like MNIST digits", 0, 0 },
        { "data-folder", OPTION_TEXT, &q.how.folder, "FOLDER", "folder searched first for named datasets", 0, 0 },
        { "json", OPTION_FLAG, &q.json, NULL, "print a JSON object for each input", 0, 0 },
        { "out", OPTION_TEXT, &q.out, "FILE", "a PNG of boxes, or of the classes of pixels, over the inputs", 0, 0 },
    };
    const options what = { "predict", table, sizeof table / sizeof table[0],
                           2,         -1,    "a run folder or a .safetensors file, and inputs" };
    int n, status = options_parse(&what, argc, argv, &n);
    if (status >= 0) return status;
    saved s;
    status = saved_open_method(&s, argv[1]);
    if (status < 0) status = run(&s, &q, n - 1, argv + 2);
    saved_close(&s);
    return status < 0 ? EXIT_OK : status;
}
