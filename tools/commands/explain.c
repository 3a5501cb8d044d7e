/* explain.c - `glia explain`: why a trained model answers as it does for single inputs. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reports/explained.h"
#include "runs/input.h"
#include "terminal/options.h"

enum { MOST_INPUTS = 10000, MOST_STEPS = 64 };

typedef struct request {
    input_how how;
    const char *method, *settings, *class, *score, *background, *plot, *feature;
    option_list out;
    int64_t samples, seed, threads, top;
    bool json, check, curves;
} request;

/* ---- methods ---------------------------------------------------------------------------------- */

static void print_setting(const glia_setting *s) {
    printf("  %-12s %s", s->name, s->help);
    if (s->kind == GLIA_SETTING_REAL || s->kind == GLIA_SETTING_INT) printf(" (%g)", s->initial);
    if (s->kind == GLIA_SETTING_CHOICE) printf(": %s", s->choices);
    putchar('\n');
}

static int list_methods(void) {
    for (int i = 0; glia_explain_method_at(i); i++) {
        const glia_method_info *m = glia_explain_method_at(i);
        printf("%-21s %s (%s)%s\n", m->name, m->summary, m->paper, glia_explain_needs_model(m->name) ? "" : " *");
    }
    printf("\n* for any function of the inputs; the others use gradients or layers\n\n"
           "`glia explain METHOD` lists the settings of one.\n");
    return EXIT_OK;
}

static int list_settings(const char *name) {
    const glia_method_info *m = glia_explain_method_find(name);
    printf("%s: %s\n%s\n\n", m->name, m->summary, m->paper);
    for (int i = 0; i < m->n_settings; i++) print_setting(&m->settings[i]);
    if (m->n_settings == 0) printf("no settings\n");
    return EXIT_OK;
}

/* ---- inputs ----------------------------------------------------------------------------------- */

/* The names of the inputs: ADDRESS#FROM:TO stands for the samples from FROM up to, not including, TO. */
static int64_t list_inputs(char **given, int n, char **names) {
    int64_t count = 0;
    for (int i = 0; i < n; i++) {
        const char *hash = strrchr(given[i], '#'), *colon = hash ? strchr(hash, ':') : NULL;
        char *end;
        const long long from = colon ? strtoll(hash + 1, &end, 10) : 0;
        const bool range = colon && end == colon;
        const long long to = range ? strtoll(colon + 1, &end, 10) : 0;
        if (!range || *end || from < 0 || from >= to) {
            if (count < MOST_INPUTS) names[count] = duplicate(given[i]);
            count++;
            continue;
        }
        for (long long k = from; k < to && count <= MOST_INPUTS; k++, count++) {
            text name = { 0 };
            text_add(&name, "%.*s#%lld", (int)(hash - given[i]), given[i], k);
            if (count < MOST_INPUTS) names[count] = name.bytes;
            if (count >= MOST_INPUTS) free(name.bytes);
        }
    }
    return count;
}

/* Before normalisation. */
static void restore(const saved *s, const float *x, double *data) {
    const int64_t size = glia_shape_count(s->sample), plane = s->n_normal > 0 ? size / s->n_normal : size;
    for (int64_t i = 0; i < size; i++) {
        const int64_t c = i / plane;
        const double v = s->n_normal > 0 ? (double)x[i] * s->stddev[c] + s->mean[c] : (double)x[i];
        data[i] = s->n_normal > 0 && fabs(v) < 1e-6 * s->stddev[c] ? 0 : v; /* what rounding left of a zero */
    }
}

/* `samples` of the data, evenly spaced, as the model takes them. NULL: after an error. */
static float *read_background(const saved *s, const request *r, int64_t *n) {
    const char *address = r->background ? r->background : s->data;
    if (!address) {
        fail("the model does not say what it was trained on; --background DATA");
        return NULL;
    }
    glia_dataset *data;
    if (saved_data(s, address, "train", r->how.folder, &data) >= 0) return NULL;
    const int64_t size = glia_shape_count(s->sample), count = glia_data_count(data);
    *n = GLIA_MIN(r->samples, count);
    float *rows = allocate((size_t)*n, (size_t)size * sizeof *rows);
    glia_error error;
    for (int64_t i = 0; i < *n; i++) {
        if (glia_data_get(data, i * count / *n, rows + i * size, NULL, &error) == GLIA_OK) continue;
        fail("%s", error.message);
        free(rows);
        rows = NULL;
        break;
    }
    glia_data_free(data);
    return rows;
}

/* Whether the method averages over samples of the data unless told otherwise. */
static bool wants_background(const saved *s, const glia_method_info *m) {
    if (strcmp(m->name, "lime") == 0) return s->sample.rank == 1 && !s->names.tokenizer;
    return strstr(m->name, "shap") != NULL;
}

/* The tokens of a text; NULL: the samples are not text. */
static char **read_tokens(const saved *s, const float *x) {
    const glia_tensor input = glia_model_input_at(s->model, 0, NULL);
    if (!input || glia_tensor_dtype(input) == GLIA_F32) return NULL;
    const int64_t n = glia_shape_count(s->sample);
    char **tokens = allocate((size_t)n, sizeof *tokens);
    glia_tokenizer *t =
        s->names.tokenizer ? glia_tokenizer_parse(s->names.tokenizer, strlen(s->names.tokenizer), NULL) : NULL;
    for (int64_t i = 0; i < n; i++) {
        const int32_t id = (int32_t)x[i];
        char *word = t ? glia_tokenizer_decode(t, &id, 1, true, NULL) : NULL;
        const char byte[2] = { t || id < 32 || id > 126 ? '\0' : (char)id, '\0' };
        tokens[i] = word ? word : duplicate(byte);
    }
    glia_tokenizer_free(t);
    return tokens;
}

/* Groups tokens to words: bytes between blanks, pieces of a tokenizer that continue a word. Blanks and padding at the
 * end belong to none. Returns the number of words. */
static int group_words(const saved *s, const float *x, char **tokens, int32_t *groups) {
    const int64_t n = glia_shape_count(s->sample);
    glia_tokenizer *t =
        s->names.tokenizer ? glia_tokenizer_parse(s->names.tokenizer, strlen(s->names.tokenizer), NULL) : NULL;
    bool *continues = t ? allocate((size_t)glia_tokenizer_size(t), sizeof *continues) : NULL;
    if (t) glia_tokenizer_continues(t, continues);
    int64_t end = n;
    while (end > 0 && x[end - 1] == 0) end--;
    int words = 0;
    for (int64_t i = 0; i < n; i++) {
        const bool blank = i >= end || !tokens[i][0] || (tokens[i][0] == ' ' && !tokens[i][1]);
        const bool same = i > 0 && groups[i - 1] >= 0 && (t ? continues[(int32_t)x[i]] : true);
        groups[i] = blank ? -1 : same ? groups[i - 1] : words++;
    }
    free(continues);
    glia_tokenizer_free(t);
    return words;
}

/* ---- explaining ------------------------------------------------------------------------------- */

/* Index of the class; GLIA_LARGEST_OUTPUT without one. Returns -1, or the exit status after printing an error. */
static int find_class(const saved *s, const char *name, int *output) {
    *output = GLIA_LARGEST_OUTPUT;
    if (!name) return -1;
    for (int k = 0; s->classes && k < s->outputs; k++) {
        if (strcmp(s->classes[k], name) == 0) return *output = k, -1;
    }
    char *end;
    const long number = strtol(name, &end, 10);
    if (end != name && !*end && number >= 0 && number < s->outputs) return *output = (int)number, -1;
    const char *near = s->classes ? glia_nearest(name, (const char *const *)s->classes, s->outputs) : NULL;
    return misuse("there is no class %s; %s%s", name, near ? "did you mean " : "the outputs are numbered from 0",
                  near ? near : "");
}

static int find_feature(const explained *x, const char *name, int64_t *feature) {
    char words[SHORT];
    for (int64_t f = 0; f < x->e[0].n; f++) {
        if (strcmp(explained_feature(x, f, words), name) == 0) return *feature = f, -1;
    }
    return misuse("there is no feature %s", name);
}

static int write_one(const explained *x, const request *r, const char *path) {
    text content = { 0 };
    const char *ending = strrchr(path, '.');
    int64_t feature = 0;
    int status = -1;
    if (ending && strcmp(ending, ".json") == 0) {
        explained_json(x, &content);
    } else if (ending && strcmp(ending, ".npz") == 0) {
        glia_error error;
        return explained_npz(x, path, &error) == GLIA_OK ? -1 : fail("%s", error.message);
    } else if (ending && strcmp(ending, ".html") == 0) {
        explained_html(x, &content);
    } else if (ending && strcmp(ending, ".svg") == 0) {
        if (r->feature) status = find_feature(x, r->feature, &feature);
        if (status < 0)
            explained_svg(x, r->plot ? r->plot : x->n == 1 ? "waterfall" : "beeswarm", feature, true, &content);
    } else if (ending && strcmp(ending, ".png") == 0) {
        if (!explained_has_heat(x))
            return misuse("%s: the samples are no pictures; -o NAME.svg draws their values", path);
        picture p = explained_heat(x, 0, 224);
        picture_png(&p, &content);
        free(p.pixels);
    } else {
        return misuse("%s: the ending says what is written: .json, .npz, .png, .svg or .html", path);
    }
    if (status < 0 && !write_file(path, content.bytes, content.length)) status = fail("%s: %s", path, strerror(errno));
    free(content.bytes);
    return status;
}

static int tell(const explained *x, const request *r) {
    text json = { 0 };
    if (r->json) explained_json(x, &json);
    if (r->json) fputs(json.bytes, stdout);
    free(json.bytes);
    for (int64_t i = 0; !r->json && i < x->n && i < 20; i++) explained_print(x, i, (int)r->top);
    for (int k = 0; !r->json && k < x->n_checked; k++) {
        printf("  random down to %-20s rank correlation %+.3f, of sizes %+.3f\n", x->checked[k].layer,
               x->checked[k].rank_correlation, x->checked[k].absolute_rank_correlation);
    }
    int status = -1;
    for (int i = 0; i < r->out.n && status < 0; i++) status = write_one(x, r, r->out.items[i]);
    return status;
}

/* Deletion and insertion for sample i, by pixel in pictures, against a sample of zeros. */
static glia_status draw_curves(const explained *x, glia_explainer *why, const float *row, int64_t i,
                               glia_error *error) {
    const glia_shape sample = x->s->sample;
    const int64_t size = glia_shape_count(sample), places = sample.rank == 3 ? size / sample.dim[0] : size;
    const int output = x->e[i].output;
    explained_curves *c = &x->curves[i];
    double *values = allocate((size_t)size, sizeof *values);
    glia_status status = glia_explanation_spread(&x->e[i], sample, values, error);
    for (int64_t k = places; k < size; k++) values[k % places] += values[k];
    if (status == GLIA_OK) {
        c->deleted =
            glia_explain_deletion(why, row, output, values, places, NULL, EXPLAINED_STEPS, c->deletion, error);
        c->inserted =
            glia_explain_insertion(why, row, output, values, places, NULL, EXPLAINED_STEPS, c->insertion, error);
        if (isnan(c->deleted) || isnan(c->inserted)) status = error->status ? error->status : GLIA_E_ARGUMENT;
    }
    free(values);
    return status;
}

/* Explains every input and tells; the samples are read. */
static int explain_all(explained *x, const request *r, const float *rows, glia_explain_opts opts, int output) {
    glia_error error = { 0 };
    glia_explainer *why = glia_explainer_create(x->s->model, x->method->name, opts, &error);
    if (!why) return error.status == GLIA_E_ARGUMENT ? misuse("%s", error.message) : fail("%s", error.message);
    const int64_t size = glia_shape_count(x->s->sample);
    int status = -1;
    if (r->curves) x->curves = allocate((size_t)x->n, sizeof *x->curves);
    for (int64_t i = 0; i < x->n && status < 0; i++) {
        glia_status done = glia_explain(why, rows + i * size, output, &x->e[i], &error);
        if (done == GLIA_OK && r->curves) done = draw_curves(x, why, rows + i * size, i, &error);
        if (done != GLIA_OK) status = fail("%s: %s", x->inputs[i], error.message);
    }
    glia_explainer_free(why);
    glia_randomization_step steps[MOST_STEPS];
    if (status < 0 && r->check) {
        x->n_checked = glia_explain_randomization(x->s->model, x->method->name, opts, rows, x->e[0].output, steps,
                                                  MOST_STEPS, &error);
        x->checked = steps;
        if (x->n_checked < 0) status = fail("%s", error.message);
    }
    if (status < 0) status = tell(x, r);
    for (int64_t i = 0; i < x->n; i++) glia_explanation_free(&x->e[i]);
    free(x->curves);
    return status;
}

static int read_inputs(explained *x, const request *r, float *rows) {
    const int64_t size = glia_shape_count(x->s->sample);
    int status = -1;
    for (int64_t i = 0; i < x->n && status < 0; i++) {
        const char *note = NULL;
        status = input_read(x->s, &r->how, x->inputs[i], rows + i * size, &x->truths[i], &note);
        restore(x->s, rows + i * size, x->data + i * size);
    }
    return status;
}

static int explain(const saved *s, const request *r, explained *x) {
    const int64_t size = glia_shape_count(s->sample);
    float *rows = allocate((size_t)x->n, (size_t)size * sizeof *rows), *background = NULL;
    x->data = allocate((size_t)x->n, (size_t)size * sizeof *x->data);
    x->e = allocate((size_t)x->n, sizeof *x->e);
    x->truths = allocate((size_t)x->n, sizeof *x->truths);
    glia_explain_opts opts = { .settings = r->settings,
                               .score = x->probability ? GLIA_SCORE_PROBABILITY : GLIA_SCORE_OUTPUT,
                               .seed = (uint64_t)r->seed,
                               .threads = (int)r->threads };
    int output, status = find_class(s, r->class, &output);
    if (status < 0) status = read_inputs(x, r, rows);
    if (status < 0 && (r->background || wants_background(s, x->method))) {
        background = read_background(s, r, &opts.n_background);
        opts.background = background;
        if (!background) status = EXIT_FAILED;
    }
    if (status < 0) x->tokens = read_tokens(s, rows);
    if (x->tokens && x->n > 1) status = misuse("texts are explained one at a time");
    int32_t *groups = x->tokens ? allocate((size_t)size, sizeof *groups) : NULL;
    if (groups && !glia_explain_needs_model(x->method->name) && group_words(s, rows, x->tokens, groups) > 0)
        opts.groups = groups;
    if (status < 0) status = explain_all(x, r, rows, opts, output);
    for (int64_t i = 0; x->tokens && i < size; i++) free(x->tokens[i]);
    for (int64_t i = 0; i < x->n; i++) free(x->truths[i]);
    free(x->tokens);
    free(groups);
    free(x->truths);
    free(x->data);
    free(x->e);
    free(rows);
    free(background);
    return status;
}

/* ---- the command ------------------------------------------------------------------------------ */

static int check_request(const request *r, explained *x, const char *path) {
    x->method = glia_explain_method_find(r->method);
    if (!x->method) {
        const char *names[64];
        int n = 0;
        while (n < 64 && glia_explain_method_at(n)) names[n] = glia_explain_method_at(n)->name, n++;
        const char *near = glia_nearest(r->method, names, n);
        return misuse("there is no method of explaining %s; %s%s", r->method,
                      near ? "did you mean " : "`glia explain methods` lists them", near ? near : "");
    }
    if (strcmp(r->score, "output") != 0 && strcmp(r->score, "probability") != 0)
        return misuse("--score is output or probability, not %s", r->score);
    if (r->plot && !explained_plot_named(r->plot))
        return misuse("--plot is one of %s, not %s", explained_plot_names, r->plot);
    x->probability = strcmp(r->score, "probability") == 0;
    x->settings = r->settings;
    x->model = path;
    x->seed = r->seed;
    return -1;
}

int command_explain(int argc, char **argv) {
    request r = { .score = "output", .samples = 100, .top = 10 };
    const option table[] = {
        { .help = "an input is an image (digit.png) or a sample of a data set (mnist#17), or several (mnist#0:100)" },
        { "method", OPTION_TEXT, &r.method, "NAME", "how: `glia explain methods` lists them", 0, 0 },
        { "set", OPTION_TEXT, &r.settings, "SETTINGS", "settings of the method: \"tolerance=0.01 most=5000\"", 0, 0 },
        { "class", OPTION_TEXT, &r.class, "NAME", "the class or output to explain (the largest output)", 0, 0 },
        { "score", OPTION_TEXT, &r.score, "SCORE", "output, or probability: the softmax of the outputs (output)", 0,
          0 },
        { "background", OPTION_TEXT, &r.background, "DATA", "what SHAP averages over, baselines (training data)", 0,
          0 },
        { "samples", OPTION_INT, &r.samples, "N", "samples of the background (100)", 1, 1 << 20 },
        { "seed", OPTION_INT, &r.seed, "N", "random seed (0)", 0, 9e15 },
        { "threads", OPTION_INT, &r.threads, "N", "CPU threads (all cores)", 1, 1024 },
        { "digit", OPTION_FLAG, &r.how.digit, NULL, "invert and centre images like MNIST digits", 0, 0 },
        { "data-folder", OPTION_TEXT, &r.how.folder, "FOLDER", "folder searched first for named datasets", 0, 0 },
        { .help = "results" },
        { "out", OPTION_LIST, &r.out, "FILE", ".json, .npz, .png (heat map), .svg (plot), .html; several times", 0, 0 },
        { "plot", OPTION_TEXT, &r.plot, "NAME", "of .svg: bar, waterfall, force, beeswarm, dependence", 0, 0 },
        { "feature", OPTION_TEXT, &r.feature, "NAME", "of the dependence plot (the first)", 0, 0 },
        { "top", OPTION_INT, &r.top, "N", "features to print (10)", 1, 1 << 20 },
        { "check", OPTION_FLAG, &r.check, NULL, "compare with explanations of random parameters (Adebayo 2018)", 0, 0 },
        { "curves", OPTION_FLAG, &r.curves, NULL, "the score while important parts go, and come (Petsiuk 2018)", 0, 0 },
        { "json", OPTION_FLAG, &r.json, NULL, "print a JSON object with shap's field names", 0, 0 },
    };
    const options what = { "explain", table, sizeof table / sizeof table[0],
                           1,         -1,    "a run folder or a .safetensors file, and inputs" };
    int n, status = options_parse(&what, argc, argv, &n);
    if (status >= 0) return status;
    if (n == 1 && strcmp(argv[1], "methods") == 0) return list_methods();
    if (n == 1 && glia_explain_method_find(argv[1])) return list_settings(argv[1]);
    if (n < 2) return misuse("glia explain needs inputs: pictures, or samples as mnist#17");
    if (!r.method) return misuse("--method NAME is missing; `glia explain methods` lists them");
    saved s;
    explained x = { .s = &s };
    status = check_request(&r, &x, argv[1]);
    if (status >= 0) return status;
    x.inputs = allocate(MOST_INPUTS, sizeof *x.inputs);
    x.n = list_inputs(argv + 2, n - 1, x.inputs);
    status = x.n > MOST_INPUTS ? misuse("at most %d inputs at once", MOST_INPUTS) : saved_open(&s, argv[1]);
    const bool opened = x.n <= MOST_INPUTS;
    if (status < 0) status = explain(&s, &r, &x);
    if (opened) saved_close(&s);
    for (int64_t i = 0; i < MOST_INPUTS; i++) free(x.inputs[i]);
    free(x.inputs);
    return status < 0 ? EXIT_OK : status;
}
