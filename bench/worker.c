/* worker.c - Glia's worker process of the benchmark, controlled by bench.py; uses only the public API.
 *
 *     bench_worker MODE MODEL folder=FOLDER [NAME=VALUE...]         MODEL: a name of models.def
 *
 *     prepare   writes the initial weights and the data of all sides into the folder: weights.bin, the parameters in
 *               the order of the layers; x.bin and labels.bin, batches of data. Token models get random ids; with an
 *               input "target", each sample in x.bin is the source followed by the target; labels are tokens
 *     train     trains, one batch at a time, for each line "run SECONDS" of standard input
 *     infer     the same with single samples through the frozen model
 *     generate  generates with a token model: a run is one greedy token, starting with token 0; it restarts when the
 *               context is full
 *     prompt    reads the first 200 tokens of a sample at once, then resets: a run is a prompt
 *     first     one training step, to measure the time from the start of the process
 *
 *     batch=64 batches=8       batch size, number of batches in the files; they are used in turn
 *     optimizer=adam|sgd lr=0.001 momentum=0
 *     threads=0                0: all cores
 *     precision=f32|bf16       of products and convolutions
 *     sample=1x128x64          the shape of a sample; default: that of the recipe
 *
 * It prints lines of JSON: one when it is ready, with the losses of the first steps or the outputs for the first
 * sample, to be compared with the peers'; one for each "run"; and at the end of input its peak resident memory. Each
 * step copies its batch into the session, as a loader would.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "glia/glia.h"
#include "models/models.h"
#include "worker.h"

enum { FIRST_STEPS = 5, SHOWN_OUTPUTS = 10, SEED = 1, PROMPT = 200 };

typedef struct settings {
    const glia_recipe *recipe;
    glia_shape sample;
    const char *folder;
    int64_t batch, batches;
    glia_optimizer optimizer;
    glia_precision precision;
    int threads;
} settings;

static void fail(const char *what) {
    fprintf(stderr, "bench_worker: %s\n", what);
    exit(1);
}

static void check(glia_status status, const glia_error *error) {
    if (status != GLIA_OK) fail(error->message);
}

static void *allocate(int64_t bytes) {
    void *memory = malloc((size_t)bytes);
    if (!memory) fail("out of memory");
    return memory;
}

/* ---- settings ----------------------------------------------------------------------------- */

static const char *value_of(const char *word, const char *name) {
    size_t length = strlen(name);
    return strncmp(word, name, length) == 0 && word[length] == '=' ? word + length + 1 : NULL;
}

/* Parses three sizes; rank 0: invalid. */
static glia_shape read_shape(const char *text) {
    long long d[3];
    if (sscanf(text, "%lldx%lldx%lld", &d[0], &d[1], &d[2]) != 3) return GLIA_SCALAR;
    return GLIA_SHAPE(d[0], d[1], d[2]);
}

static void set(settings *s, const char *word) {
    const char *value;
    if ((value = value_of(word, "folder")))
        s->folder = value;
    else if ((value = value_of(word, "batch")))
        s->batch = atoll(value);
    else if ((value = value_of(word, "batches")))
        s->batches = atoll(value);
    else if ((value = value_of(word, "optimizer")))
        s->optimizer.kind = strcmp(value, "adam") == 0 ? GLIA_ADAM : GLIA_SGD;
    else if ((value = value_of(word, "lr")))
        s->optimizer.lr = atof(value);
    else if ((value = value_of(word, "momentum")))
        s->optimizer.momentum = atof(value);
    else if ((value = value_of(word, "threads")))
        s->threads = atoi(value);
    else if ((value = value_of(word, "precision")))
        s->precision = strcmp(value, "bf16") == 0 ? GLIA_PRECISION_BF16 : GLIA_PRECISION_F32;
    else if ((value = value_of(word, "sample")))
        s->sample = read_shape(value);
    else
        fail(word);
}

static settings read_settings(int argc, char **argv) {
    settings s = { .batch = 1, .batches = 1, .optimizer.lr = 0.001 };
    s.recipe = argc > 2 ? glia_recipe_find(argv[2]) : NULL;
    if (s.recipe) s.sample = s.recipe->sample;
    if (!s.recipe || (s.sample.rank != 3 && !s.recipe->vocabulary))
        fail("usage: bench_worker prepare|train|infer|generate|prompt|first MODEL folder=FOLDER [NAME=VALUE...]");
    for (int i = 3; i < argc; i++) set(&s, argv[i]);
    if (s.sample.rank != 3 && !s.recipe->vocabulary) fail("sample= must be three sizes: 3x32x32");
    if (!s.folder || s.batch < 1 || s.batches < 1) fail("folder=, batch= and batches= are required");
    return s;
}

/* ---- files that both sides read ----------------------------------------------------------- */

static FILE *open_file(const settings *s, const char *name, const char *mode) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", s->folder, name);
    FILE *file = fopen(path, mode);
    if (!file) fail(path);
    return file;
}

static void write_file(FILE *file, const void *values, int64_t bytes) {
    if (fwrite(values, 1, (size_t)bytes, file) != (size_t)bytes) fail("cannot write a file");
}

static void *read_file(const settings *s, const char *name, int64_t bytes) {
    FILE *file = open_file(s, name, "rb");
    void *values = allocate(bytes);
    if (fread(values, 1, (size_t)bytes, file) != (size_t)bytes) fail("a file is truncated");
    fclose(file);
    return values;
}

/* ---- prepare ------------------------------------------------------------------------------ */

static glia_dataset *noise(const settings *s, int64_t n, glia_error *error) {
    int64_t bytes = n * glia_shape_count(s->sample);
    uint8_t *x = allocate(bytes);
    int32_t *y = allocate(n * (int64_t)sizeof *y);
    for (int64_t i = 0; i < bytes; i++) x[i] = (uint8_t)(rand() >> 8);
    for (int64_t i = 0; i < n; i++) y[i] = (int32_t)((rand() >> 8) % s->recipe->outputs);
    glia_arrays arrays = { .n = n,
                           .x = x,
                           .x_dtype = GLIA_U8,
                           .x_shape = s->sample,
                           .y = y,
                           .y_dtype = GLIA_I32,
                           .classes = s->recipe->outputs };
    glia_dataset *data = glia_data_arrays(arrays, error);
    free(x);
    free(y);
    return data;
}

/* The recipe's data if found and of the right shape; else synthetic digits for images of their size, else noise. */
static glia_dataset *open_data(const settings *s, int64_t n, const char **name, glia_error *error) {
    const glia_shape sample = s->sample;
    *name = s->recipe->data;
    if (*name && glia_data_available(*name, NULL)) {
        glia_dataset *data = glia_data_open(*name, "train", NULL, error);
        if (data && glia_shape_equal(glia_data_x_shape(data), sample)) return data;
        glia_data_free(data);
    }
    bool digits = glia_shape_equal(sample, GLIA_SHAPE(1, 28, 28));
    *name = digits ? "synthetic digits" : "noise";
    return digits ? glia_data_strokes(n, SEED, error) : noise(s, n, error);
}

static void normalize(glia_dataset *data) {
    glia_error error = { .message = "cannot read the data" };
    double mean[16], stddev[16];
    int n = glia_data_statistics(data, mean, stddev, 16);
    check(n > 0 ? glia_data_normalize(data, mean, stddev, n, &error) : GLIA_E_IO, &error);
}

static void write_weights(const settings *s, glia_model *model) {
    glia_error error;
    check(glia_model_init(model, SEED, &error), &error);
    glia_store *store = glia_model_store(model);
    FILE *file = open_file(s, "weights.bin", "wb");
    for (int i = 0; i < glia_store_count(store); i++) {
        glia_array array = glia_store_at(store, i);
        if (array.parameter) write_file(file, array.data, glia_shape_count(array.shape) * (int64_t)sizeof(float));
    }
    if (fclose(file)) fail("cannot write weights.bin");
}

static bool has_target(const glia_model *model) {
    const char *name;
    for (int i = 0; glia_model_input_at(model, i, &name); i++) {
        if (strcmp(name, "target") == 0) return true;
    }
    return false;
}

static void write_ids(const settings *s, const char *name, int64_t n) {
    FILE *file = open_file(s, name, "wb");
    for (int64_t i = 0; i < n; i++) {
        int32_t id = (int32_t)((rand() >> 8) % s->recipe->vocabulary);
        write_file(file, &id, sizeof id);
    }
    if (fclose(file)) fail("the data could not be written");
}

static void prepare_tokens(const settings *s, glia_model *model) {
    const int64_t n = s->batch * s->batches * s->sample.dim[0];
    write_ids(s, "x.bin", has_target(model) ? 2 * n : n);
    write_ids(s, "labels.bin", n);
    write_weights(s, model);
    printf("{\"data\": \"random ids\", \"sample\": [%lld], \"outputs\": %d}\n", (long long)s->sample.dim[0],
           s->recipe->vocabulary);
}

static void prepare(const settings *s, glia_model *model) {
    glia_error error = { .message = "there are too few samples" };
    const char *name;
    int64_t n = s->batch * s->batches, sample = glia_shape_count(s->sample);
    glia_dataset *data = open_data(s, n, &name, &error);
    check(data && glia_data_count(data) >= n ? GLIA_OK : GLIA_E_NOT_FOUND, &error);
    if (s->recipe->normalize) normalize(data);
    FILE *xs = open_file(s, "x.bin", "wb"), *labels = open_file(s, "labels.bin", "wb");
    float *x = allocate(sample * (int64_t)sizeof *x);
    for (int64_t i = 0; i < n; i++) {
        int32_t label;
        check(glia_data_get(data, i, x, &label, &error), &error);
        write_file(xs, x, sample * (int64_t)sizeof *x);
        write_file(labels, &label, sizeof label);
    }
    if (fclose(xs) || fclose(labels)) fail("the data could not be written");
    free(x);
    glia_data_free(data);
    write_weights(s, model);
    const int64_t *d = s->sample.dim;
    printf("{\"data\": \"%s\", \"sample\": [%lld, %lld, %lld], \"outputs\": %d}\n", name, (long long)d[0],
           (long long)d[1], (long long)d[2], s->recipe->outputs);
}

/* ---- train and infer ---------------------------------------------------------------------- */

/* A session and the batches that it uses in turn; never freed. */
typedef struct runner {
    glia_backend *backend;
    glia_program *program;
    glia_session *session;
    float *x, *x_input;             /* values, or ids of the same size */
    float *target_input;            /* for the second half of each sample; NULL: none */
    int32_t *labels, *labels_input; /* NULL in inference */
    int64_t batch, batches, sample; /* batch size, number of batches, values of a sample */
    int64_t classes;                /* labels of a sample */
    int64_t runs;                   /* done so far */
    glia_generator *generator;      /* NULL, or in the place of all the above but `runs` */
    int32_t token;                  /* that it reads next */
    int32_t *prompts;               /* NULL, or `batches` of `sample` tokens */
    int64_t parameters;
} runner;

static runner make_runner(const settings *s, glia_model *model, bool train) {
    glia_error error = { 0 };
    const bool tokens = s->recipe->vocabulary > 0;
    runner r = { .batch = s->batch, .batches = s->batches, .sample = glia_shape_count(s->sample), .classes = 1 };
    if (tokens) r.classes = r.sample;
    if (has_target(model)) r.sample *= 2;
    r.backend = glia_backend_open("cpu", s->threads, &error);
    check(error.status, &error);
    glia_graph *graph = glia_model_graph(model);
    glia_tensor output = glia_model_output_at(model, 0, NULL);
    check(glia_model_init(model, SEED, &error), &error);
    if (train) {
        glia_shape one = tokens ? GLIA_SHAPE(GLIA_BATCH, r.classes) : GLIA_SHAPE(GLIA_BATCH);
        glia_tensor labels = glia_input(graph, "labels", GLIA_I32, one);
        output = (tokens ? glia_cross_entropy_tokens : glia_cross_entropy)(output, labels, 0);
        glia_minimize(output, s->optimizer, NULL, NULL);
        check(glia_store_add(glia_model_store(model), graph, 0, &error), &error);
    }
    glia_compile_opts opts = { .outputs = &output,
                               .n_outputs = 1,
                               .batch = s->batch,
                               .mode = train ? GLIA_TRAIN : GLIA_INFER,
                               .frozen = !train,
                               .precision = s->precision };
    r.program = glia_compile(graph, r.backend, opts, &error);
    check(error.status, &error);
    r.session = glia_session_create(r.program, glia_model_store(model), &error);
    check(error.status, &error);
    r.x_input = glia_session_input(r.session, "x", NULL, NULL);
    r.x = read_file(s, "x.bin", r.batches * r.batch * r.sample * (int64_t)sizeof *r.x);
    if (train) {
        r.labels_input = glia_session_input(r.session, "labels", NULL, NULL);
        r.labels = read_file(s, "labels.bin", r.batches * r.batch * r.classes * (int64_t)sizeof *r.labels);
    }
    if (has_target(model)) r.target_input = glia_session_input(r.session, "target", NULL, NULL);
    int32_t *lengths = glia_session_input(r.session, "lengths", NULL, NULL);
    for (int64_t i = 0; lengths && i < r.batch; i++) lengths[i] = (int32_t)s->sample.dim[0];
    return r;
}

static runner make_writer(const settings *s, glia_model *model, bool prompts) {
    glia_error error = { 0 };
    runner r = { .backend = glia_backend_open("cpu", s->threads, &error) };
    check(error.status, &error);
    check(glia_model_init(model, SEED, &error), &error);
    r.generator = glia_generator_create(model, (glia_generator_opts){ .backend = r.backend }, &error);
    check(error.status, &error);
    r.parameters = glia_model_parameter_count(model, false);
    r.batches = s->batches;
    r.sample = s->sample.dim[0];
    if (prompts && r.sample < PROMPT) fail("the model's context is shorter than a prompt");
    if (prompts) r.prompts = read_file(s, "x.bin", r.batches * r.sample * (int64_t)sizeof *r.prompts);
    return r;
}

static const float *write_token(runner *r) {
    if (r->runs++ % glia_generator_context(r->generator) == 0) {
        glia_generator_reset(r->generator);
        r->token = 0;
    }
    glia_error error;
    const float *scores;
    check(glia_generator_read(r->generator, &r->token, 1, &scores, &error), &error);
    int64_t best = 0;
    for (int64_t v = 1; v < glia_generator_vocabulary(r->generator); v++) best = scores[v] > scores[best] ? v : best;
    r->token = (int32_t)best;
    return scores;
}

static const float *read_prompt(runner *r) {
    glia_error error;
    const float *scores;
    const int32_t *tokens = r->prompts + r->runs++ % r->batches * r->sample;
    glia_generator_reset(r->generator);
    check(glia_generator_read(r->generator, tokens, PROMPT, &scores, &error), &error);
    return scores;
}

/* Runs the next batch; returns the output: the loss, or the logits. */
static const float *run(runner *r) {
    if (r->prompts) return read_prompt(r);
    if (r->generator) return write_token(r);
    int64_t b = r->runs++ % r->batches;
    const float *x = r->x + b * r->batch * r->sample;
    const int64_t half = r->sample / 2, labels = r->batch * r->classes;
    if (!r->target_input) memcpy(r->x_input, x, sizeof *x * (size_t)(r->batch * r->sample));
    for (int64_t i = 0; r->target_input && i < r->batch; i++) {
        memcpy(r->x_input + i * half, x + i * r->sample, sizeof *x * (size_t)half);
        memcpy(r->target_input + i * half, x + i * r->sample + half, sizeof *x * (size_t)half);
    }
    if (r->labels) memcpy(r->labels_input, r->labels + b * labels, sizeof *r->labels * (size_t)labels);
    glia_error error;
    check(glia_session_run(r->session, &error), &error);
    return glia_session_output(r->session, 0).data;
}

/* Prints the losses of the first steps, or the outputs of the first run. */
static void print_values(runner *r, int steps) {
    const float *values = run(r);
    for (int i = 0; i < steps; i++) {
        if (i) values = r->labels ? run(r) : values + 1;
        printf("%s%.7g", i ? ", " : "", (double)*values);
    }
}

static void print_ready(runner *r, int values) {
    const int tokens = r->prompts ? PROMPT : 1;
    glia_program_info info = { .flops = 2.0 * tokens * (double)r->parameters,
                               .bytes = sizeof(float) * (double)r->parameters };
    if (r->program) info = glia_program_inspect(r->program);
    printf("{\"description\": \"Glia %s, %s\", \"flops\": %.0f, \"bytes\": %.0f, \"launches\": %d, \"planned\": %zu, ",
           glia_version(), glia_backend_describe(r->backend), info.flops, info.bytes, info.launches,
           info.activation_bytes + info.parameter_bytes);
    printf("\"values\": [");
    print_values(r, values);
    printf("]}\n");
}

/* Runs for about `seconds`, after a tenth of that as warm-up, and prints the number of runs. */
static void run_block(runner *r, double seconds) {
    for (double start = now(); now() < start + seconds / 10;) run(r);
    int64_t before = r->runs;
    double start = now(), end;
    do run(r);
    while ((end = now()) < start + seconds);
    printf("{\"runs\": %lld, \"seconds\": %.6f}\n", (long long)(r->runs - before), end - start);
}

int main(int argc, char **argv) {
    settings s = read_settings(argc, argv);
    const char *mode = argv[1];
    setvbuf(stdout, NULL, _IOLBF, 0);
    glia_error error;
    glia_model *model = glia_recipe_build(s.recipe, s.sample, s.recipe->outputs, &error);
    if (!model) fail(error.message);
    if (strcmp(mode, "prepare") == 0) {
        (s.recipe->vocabulary ? prepare_tokens : prepare)(&s, model);
        return 0;
    }
    bool prompt = strcmp(mode, "prompt") == 0, write = prompt || strcmp(mode, "generate") == 0;
    bool infer = strcmp(mode, "infer") == 0, first = strcmp(mode, "first") == 0;
    runner r = write ? make_writer(&s, model, prompt) : make_runner(&s, model, !infer);
    print_ready(&r, infer || write ? SHOWN_OUTPUTS : first ? 1 : FIRST_STEPS);
    char line[64];
    double seconds;
    while (!first && fgets(line, sizeof line, stdin) && sscanf(line, "run %lf", &seconds) == 1) run_block(&r, seconds);
    printf("{\"peak_kib\": %ld}\n", peak_kib());
    return 0;
}
