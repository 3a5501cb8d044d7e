/* predict.c - `glia predict`: predictions of a trained model for single inputs. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runs/graphs.h"
#include "runs/input.h"
#include "runs/saved.h"
#include "terminal/json.h"
#include "terminal/options.h"

typedef struct request {
    input_how how;
    int64_t top;
    bool json;
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

static int predict(const saved *s, const request *q, const char *input) {
    float *x = allocate((size_t)glia_shape_count(s->sample), sizeof *x), *y = allocate((size_t)s->outputs, sizeof *y);
    char *truth = NULL;
    const char *note = NULL;
    int status = input_read(s, &q->how, input, x, &truth, &note);
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
        { "digit", OPTION_FLAG, &q.how.digit, NULL, "invert and centre images like MNIST digits", 0, 0 },
        { "data-folder", OPTION_TEXT, &q.how.folder, "FOLDER", "folder searched first for named datasets", 0, 0 },
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
