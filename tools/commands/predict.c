/* predict.c - `glia predict`: predictions of a trained model for single inputs.
 *
 * An input is a picture (digit.png) or a sample of a data set (mnist#17, idx:IMAGES#5, csv:FILE?label=y#3; the test
 * split where there is one). A picture is converted to the model's channels and resized, like images: data.
 * --digit also normalises it like MNIST: inverted if the background is light, cropped to the ink, scaled to 20 of 28
 * pixels on the longer side, its centre of mass in the centre (LeCun et al. 1998, section III.A).
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reports/picture.h"
#include "runs/graphs.h"
#include "runs/saved.h"
#include "terminal/json.h"
#include "terminal/options.h"

typedef struct request {
    const char *folder;
    int64_t top;
    bool json, digit;
} request;

/* ---- pictures ----------------------------------------------------------------------------- */

enum { FINE = 140 }; /* side of the picture searched for ink */

static bool border_is_lighter(const float *x, int height, int width) {
    double border = 0, inside = 0;
    int n = 0;
    for (int r = 0; r < height; r++) {
        for (int c = 0; c < width; c++) {
            bool edge = r == 0 || c == 0 || r == height - 1 || c == width - 1;
            *(edge ? &border : &inside) += (double)x[r * width + c];
            n += edge;
        }
    }
    return border / n > inside / (height * width - n);
}

typedef struct box {
    int top, left, bottom, right; /* bottom and right exclusive */
} box;

/* The bounding box of the ink: pixels of at least a quarter of the maximum. */
static box find_ink(const float *x) {
    float most = 0;
    for (int i = 0; i < FINE * FINE; i++) most = fmaxf(most, x[i]);
    box b = { FINE, FINE, 0, 0 };
    for (int i = 0; i < FINE * FINE && most > 0; i++) {
        int r = i / FINE, c = i % FINE;
        if (x[i] < most / 4) continue;
        if (r < b.top) b.top = r;
        if (c < b.left) b.left = c;
        if (r >= b.bottom) b.bottom = r + 1;
        if (c >= b.right) b.right = c + 1;
    }
    return b;
}

/* Mean of x over [top, bottom) x [left, right), with fractional bounds; outside is 0. */
static double area(const float *x, double top, double left, double bottom, double right) {
    double sum = 0;
    for (int r = (int)floor(top); r < bottom; r++) {
        double high = fmin(bottom, r + 1) - fmax(top, r);
        for (int c = (int)floor(left); c < right; c++) {
            if (r < 0 || c < 0 || r >= FINE || c >= FINE) continue;
            sum += high * (fmin(right, c + 1) - fmax(left, c)) * (double)x[r * FINE + c];
        }
    }
    return sum / ((bottom - top) * (right - left));
}

/* Scales and centres the ink of `fine` into out (height, width). */
static void lay_ink(const float *fine, float *out, int height, int width) {
    box b = find_ink(fine);
    if (b.top >= b.bottom) return;
    double mass = 0, row = 0, column = 0, most = 0;
    for (int r = b.top; r < b.bottom; r++) {
        for (int c = b.left; c < b.right; c++) {
            double ink = (double)fine[r * FINE + c];
            mass += ink;
            row += ink * (r + 0.5);
            column += ink * (c + 0.5);
            most = fmax(most, ink);
        }
    }
    int longer = b.bottom - b.top > b.right - b.left ? b.bottom - b.top : b.right - b.left;
    int shorter = height < width ? height : width;
    double pixel = longer / (shorter * 20.0 / 28.0); /* size of an output pixel in pixels of `fine` */
    double top = row / mass - pixel * height / 2, left = column / mass - pixel * width / 2;
    for (int r = 0; r < height; r++)
        for (int c = 0; c < width; c++)
            out[r * width + c] = (float)fmin(
                1, area(fine, top + r * pixel, left + c * pixel, top + (r + 1) * pixel, left + (c + 1) * pixel) / most);
}

/* -1: x is read. `note`: the preprocessing applied. */
static int read_picture(const saved *s, const request *q, const char *path, float *x, const char **note) {
    if (!picture_possible(s->sample)) {
        char shape[SHORT];
        return fail("%s: the model takes %s numbers, not images", path, shape_text(s->sample, shape));
    }
    double least, most;
    if (!saved_takes_pixels(s, &least, &most))
        return fail("%s: the model was trained on numbers from %g to %g, images have 0 to 1", path, least, most);
    if (q->digit && s->sample.dim[0] != 1) return fail("--digit: the model takes colour images");
    glia_error error;
    bool ink = q->digit;
    glia_shape shape = ink ? GLIA_SHAPE(1, FINE, FINE) : s->sample;
    float *fine = ink ? allocate(FINE * FINE, sizeof *fine) : x;
    int status = glia_image_load(path, shape, fine, &error) == GLIA_OK ? -1 : fail("%s", error.message);
    if (status < 0 && ink) {
        bool inverted = border_is_lighter(fine, FINE, FINE);
        for (int i = 0; inverted && i < FINE * FINE; i++) fine[i] = 1 - fine[i];
        memset(x, 0, (size_t)glia_shape_count(s->sample) * sizeof *x);
        lay_ink(fine, x, (int)s->sample.dim[1], (int)s->sample.dim[2]);
        *note = inverted ? "inverted and centred" : "centred";
    }
    if (ink) free(fine);
    if (status < 0) saved_normalize_sample(s, x);
    return status;
}

/* ---- samples of data ---------------------------------------------------------------------- */

/* The length of ADDRESS in "ADDRESS#INDEX"; 0: not of this form. */
static size_t sample_address(const char *input, int64_t *index) {
    const char *hash = strrchr(input, '#');
    if (!hash || hash == input || !hash[1]) return 0;
    char *end;
    *index = strtoll(hash + 1, &end, 10);
    return *end ? 0 : (size_t)(hash - input);
}

static int read_sample(const saved *s, const request *q, const char *address, int64_t index, float *x, char **truth) {
    glia_error error;
    glia_dataset *data;
    int status = saved_data(s, address, "test", q->folder, &data);
    if (status >= 0) return status;
    int32_t label = -1;
    if (sample_class(data, index, x, &label, &error) != GLIA_OK)
        status = fail("%s", error.message);
    else if (glia_data_class_name(data, label))
        *truth = duplicate(glia_data_class_name(data, label));
    glia_data_free(data);
    return status;
}

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

static int predict(const saved *s, const request *q, const char *input) {
    float *x = allocate((size_t)glia_shape_count(s->sample), sizeof *x), *y = allocate((size_t)s->outputs, sizeof *y);
    char *truth = NULL, *address = duplicate(input);
    const char *note = NULL;
    int64_t index = 0;
    size_t length = sample_address(input, &index);
    address[length] = '\0';
    int status = length ? read_sample(s, q, address, index, x, &truth) : read_picture(s, q, input, x, &note);
    glia_error error;
    if (status < 0 && glia_predict(s->model, x, 1, y, NULL, &error) != GLIA_OK) status = fail("%s", error.message);
    if (status < 0) {
        if (s->classes && !are_shares(y, s->outputs)) softmax(y, s->outputs);
        if (q->json)
            tell_json(s, q, input, y, truth);
        else
            tell(s, q, input, y, truth, note);
    }
    free(x);
    free(y);
    free(truth);
    free(address);
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
    a->data = graphs_open(address, q->folder, &error);
    if (!a->data) return fail("%s", error.message);
    a->part = glia_graph_data_sizes(a->data).graphs ? GLIA_OF_GRAPHS : GLIA_OF_NODES;
    a->rows = a->part == GLIA_OF_NODES ? glia_graph_data_nodes(a->data) : glia_graph_data_graphs(a->data);
    const glia_graph_predict_opts how = { 0 };
    if (glia_graph_predict(s->model, a->data, how, NULL, 0, &a->k, &error) != GLIA_OK) return fail("%s", error.message);
    a->y = allocate((size_t)(a->rows * a->k), sizeof *a->y);
    if (glia_graph_predict(s->model, a->data, how, a->y, a->rows * a->k, &a->k, &error) != GLIA_OK)
        return fail("%s", error.message);
    return -1;
}

/* "node#17" or "graph#3" */
static int predict_item(const saved *s, const request *q, const graph_answers *a, const char *input) {
    int64_t index = 0;
    const char *noun = a->part == GLIA_OF_NODES ? "node" : "graph";
    const size_t length = sample_address(input, &index);
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
    saved_names_read(&s->names, s->model);
    if (s->names.n_classes == s->outputs) s->classes = s->names.classes;
    for (int i = 0; i < n && status < 0; i++) status = predict_item(s, q, &a, inputs[i]);
    glia_graph_data_free(a.data);
    free(a.y);
    return status;
}

static bool of_graphs(const saved *s) {
    const char *name = glia_model_get(s->model, "method");
    const glia_method_info *method = name ? glia_method_find(name) : NULL;
    return method && (method->uses & GLIA_USES_GRAPHS);
}

int command_predict(int argc, char **argv) {
    request q = { .top = 3 };
    const option table[] = {
        { .help = "an input is an image (digit.png) or a sample of a data set (mnist#17, idx:FILE#5, csv:FILE#3);\n"
                  "of models of graphs: node#17, graph#3" },
        { "top", OPTION_INT, &q.top, "N", "number of classes to print (3)", 1, 1 << 20 },
        { "digit", OPTION_FLAG, &q.digit, NULL, "invert and centre images like MNIST digits", 0, 0 },
        { "data-folder", OPTION_TEXT, &q.folder, "FOLDER", "folder searched first for named datasets", 0, 0 },
        { "json", OPTION_FLAG, &q.json, NULL, "print a JSON object for each input", 0, 0 },
    };
    const options what = { "predict", table, sizeof table / sizeof table[0],
                           2,         -1,    "a run folder or a .safetensors file, and inputs" };
    int n, status = options_parse(&what, argc, argv, &n);
    if (status >= 0) return status;
    saved s;
    status = saved_open_method(&s, argv[1]);
    if (status < 0 && of_graphs(&s)) {
        status = predict_graphs(&s, &q, n - 1, argv + 2);
        saved_close(&s);
        return status < 0 ? EXIT_OK : status;
    }
    if (status < 0) status = saved_supervised(&s);
    for (int i = 2; i <= n && status < 0; i++) status = predict(&s, &q, argv[i]);
    saved_close(&s);
    return status < 0 ? EXIT_OK : status;
}
