/* Every public function with NULL and with empty arguments.
 *
 * tests/support/null_calls.py generates null_calls.h from the headers, so new functions are included automatically.
 * Each call runs in its own process: with each argument zero while the others are valid, with each text empty, and with
 * all arguments zero, including the error pointer. None may crash. For a NULL handle, functions that report errors must
 * report GLIA_E_ARGUMENT and name the argument.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "glia/glia.h"

enum { NONE = -2, ALL = -1, ARGUMENTS = 12, WORDS = 64 };

typedef struct result { /* shared with the calling process */
    glia_status status;
    bool null;
    glia_error error;
} result;

typedef struct call {
    const char *name;
    void (*run)(int zero, glia_error *error, result *r);
    char returns;      /* s: a status, p: a pointer or an error, e: something else and an error, ' ': no error */
    const char *kinds; /* of arguments: h handle, o handle that may be NULL, s text, p other pointer, v value */
    const char *names[ARGUMENTS];
} call;

/* ---- valid arguments ---------------------------------------------------------------------- */

static struct {
    glia_augment *augment;
    glia_backend *backend;
    glia_dataset *dataset;
    glia_detokenizer *detokenizer;
    glia_diffusion *diffusion;
    glia_explainer *explainer;
    glia_spike_net *spike_net;
    glia_converted *converted;
    glia_reservoir *reservoir;
    glia_events *events;
    glia_function *function;
    glia_generator *generator; /* NULL, as are function, progress and training: they are complex to create */
    glia_genome *genome;
    glia_graph *graph;
    glia_loader *loader;
    glia_lndp *lndp; /* stays NULL: it needs a genome */
    glia_loop *loop;
    glia_metric *metric;
    glia_model *model;
    glia_neat *neat;
    glia_net *net;
    glia_pairs *pairs;
    glia_program *program;
    glia_progress *progress;
    glia_sampler *sampler;
    glia_replay *replay;
    glia_env *env;
    glia_search *search;
    glia_graph_data *graph_data;
    glia_graph_sampler *graph_sampler;
    glia_grown *grown; /* stays NULL: it needs a genome */
    glia_agent *agent; /* stays NULL: it needs a trained model */
    glia_sentences *sentences;
    glia_session *session;
    glia_store *store;
    glia_synonyms *synonyms;
    glia_tokenizer *tokenizer;
    glia_training *training;
    glia_vectors *vectors;
    glia_tensor tensor;
    glia_encoding encoding;
    glia_arrays arrays;
    glia_perceptron perceptron;
    glia_lr_schedule schedule;
    glia_bleu bleu;
    glia_text_source source;
} world;

static _Alignas(64) unsigned char bytes[1 << 20];
static void *const buffer = bytes;
static const char *words[WORDS];
static glia_tensor tensors[WORDS];
static glia_string strings[WORDS];

static double rate(int64_t epoch, double lr, void *context) {
    (void)epoch, (void)context;
    return lr;
}

static glia_status scores(const int32_t *tokens, int n, int64_t length, const int *parents, float *out, void *context,
                          glia_error *error) {
    (void)tokens, (void)n, (void)length, (void)parents, (void)out, (void)context, (void)error;
    return GLIA_OK;
}

#define ARGUMENT(i, type, good) (zero == ALL || zero == (i) ? (type){ 0 } : (good))
#define TEXT(i, type, good)     (zero == ALL || zero == (i) ? NULL : zero == ARGUMENTS + (i) ? "" : (good))

#include "null_calls.h"

static glia_status values_of_rows(const float *rows, int64_t n, double *values, void *context, glia_error *error) {
    (void)rows, (void)context, (void)error;
    for (int64_t i = 0; i < n; i++) values[i] = 1;
    return GLIA_OK;
}

static void fill_handles(void) {
    glia_error e = { 0 };
    world.augment = glia_augment_create(&e);
    world.backend = glia_backend_open("ref", 1, &e);
    world.dataset = glia_data_open("strokes?n=20", NULL, NULL, &e);
    world.events = glia_events_open("events", &e);
    world.graph = glia_graph_create();
    world.loader = glia_loader_create(world.dataset, (glia_loader_opts){ .workers = -1 }, &e);
    world.reservoir = glia_reservoir_create((glia_reservoir_opts){ .inputs = 1, .units = 1 }, &e);
    world.spike_net = glia_spike_net_create(2, (glia_spike_cell){ 0 }, &e);
    world.diffusion = glia_diffusion_create((glia_diffusion_opts){ .steps = 3 }, &e);
    world.explainer =
        glia_explainer_of_function(values_of_rows, NULL, GLIA_SHAPE(2), 1, "occlusion", (glia_explain_opts){ 0 }, &e);
    world.metric = glia_metric_create("accuracy", 3, &e);
    static const glia_replay_field field = { .name = "x" };
    world.replay = glia_replay_create(&field, 1, (glia_replay_opts){ .capacity = 4, .prioritized = true }, &e);
    world.env = glia_env_create("cartpole", (glia_env_opts){ 0 }, &e);
    glia_replay_add(world.replay, &(glia_array){ "x", GLIA_F32, GLIA_SHAPE(1), bytes, false }, 1, &e);
    world.sampler = glia_sampler_create(4, (glia_sampling){ 0 }, &e);
    world.genome = glia_genome_parse("genome 1 inputs 1 outputs\nnode 0 input\nnode 1 bias\nnode 2 output tanh\n", &e);
    world.net = glia_net_create(world.genome, &e);
    world.neat = glia_neat_create((glia_neat_opts){ .inputs = 1, .outputs = 1, .population = 4 }, &e);
    world.graph_data = glia_graph_data_smiles((const char *const[]){ "CCO" }, 1, &e);
    world.graph_sampler = glia_graph_sampler_create(world.graph_data, &e);
    world.search = glia_search_create((const double[]){ 0, 0 }, 2, (glia_search_opts){ 0 }, &e);
    world.vectors =
        glia_vectors_create((const char *const[]){ "x", "y" }, (const float[]){ 1, 2, 3, 4 }, NULL, 2, 2, &e);
    world.tokenizer =
        glia_tokenizer_train(GLIA_TOKENIZER_CHARACTERS, (glia_tokenizer_opts){ .threads = 1 }, strings, 2, &e);
    world.detokenizer = glia_detokenizer_create(world.tokenizer, false, &e);
    world.tensor = glia_parameter(world.graph, "x", GLIA_F32, GLIA_SHAPE(2, 3), (glia_init){ .kind = GLIA_INIT_ZEROS });
    world.program =
        glia_compile(world.graph, world.backend, (glia_compile_opts){ .outputs = &world.tensor, .n_outputs = 1 }, &e);
    world.store = glia_store_create(world.graph, 1, &e);
    world.session = glia_session_create(world.program, world.store, &e);
    world.loop = glia_loop_begin(world.graph, (glia_loop_opts){ 0 });
    world.model = glia_model_create("m", &e);
    glia_tensor x = glia_model_input(world.model, "x", GLIA_F32, GLIA_SHAPE(784));
    glia_model_output(world.model, "y", glia_dense(x, "d", (glia_dense_opts){ .units = 10, .activation = GLIA_RELU }));
    assert_int_equal(glia_model_init(world.model, 1, &e), GLIA_OK);
    world.converted = glia_convert_to_spiking(world.model, world.dataset, (glia_convert_opts){ .threads = 1 }, &e);
    const void *const made[] = { world.augment,   world.backend,  world.dataset,    world.diffusion, world.explainer,
                                 world.events,    world.graph,    world.graph_data, world.loader,    world.metric,
                                 world.replay,    world.env,      world.sampler,    world.vectors,   world.tokenizer,
                                 world.detokenizer, world.program, world.store,     world.session,   world.loop,
                                 world.converted };
    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++) assert_non_null(made[i]);
}

static int fill_world(void **state) {
    (void)state;
    static double weights[64];
    for (int i = 0; i < WORDS; i++) {
        words[i] = "x";
        strings[i] = (glia_string){ "a b c", 5 };
    }
    fill_handles();
    for (int i = 0; i < WORDS; i++) tensors[i] = world.tensor;
    world.arrays = (glia_arrays){ .n = 2, .x = bytes, .x_shape = GLIA_SHAPE(3) };
    world.perceptron = (glia_perceptron){ .inputs = 2, .weights = weights };
    world.source = (glia_text_source){ .text = "a b a b a b", .length = 11 };
    return 0;
}

static int empty_world(void **state) {
    (void)state;
    glia_session_free(world.session);
    glia_search_free(world.search);
    glia_net_free(world.net);
    glia_neat_free(world.neat);
    glia_genome_free(world.genome);
    glia_graph_sampler_free(world.graph_sampler);
    glia_graph_data_free(world.graph_data);
    glia_store_free(world.store);
    glia_program_free(world.program);
    glia_backend_close(world.backend);
    glia_graph_free(world.graph);
    glia_model_free(world.model);
    glia_loader_free(world.loader);
    glia_data_free(world.dataset);
    glia_detokenizer_free(world.detokenizer);
    glia_tokenizer_free(world.tokenizer);
    glia_vectors_free(world.vectors);
    glia_metric_free(world.metric);
    glia_replay_free(world.replay);
    glia_env_free(world.env);
    glia_sampler_free(world.sampler);
    glia_diffusion_free(world.diffusion);
    glia_explainer_free(world.explainer);
    glia_spike_net_free(world.spike_net);
    glia_converted_free(world.converted);
    glia_reservoir_free(world.reservoir);
    glia_augment_free(world.augment);
    return glia_events_close(world.events, NULL);
}

/* ---- calls -------------------------------------------------------------------------------- */

static int failures;

static void complain(const call *c, int zero, const char *what, const char *more) {
    const char *argument = zero == NONE ? "no argument" : zero == ALL ? "every argument" : c->names[zero % ARGUMENTS];
    print_error("%s: %s %s: %s%s\n", c->name, argument, zero >= ARGUMENTS ? "empty" : "zero", what, more);
    failures++;
}

/* Makes one call in its own process, which stores the result in *r. */
static void try_call(const call *c, int zero, bool report, result *r) {
    *r = (result){ 0 };
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        static const int signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
        for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) signal(signals[i], SIG_DFL); /* not cmocka's */
        c->run(zero, report ? &r->error : NULL, r);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    char number[32] = "";
    if (WIFSIGNALED(status)) snprintf(number, sizeof number, "%d", WTERMSIG(status));
    if (status)
        complain(c, zero, report ? "ends the process by signal " : "without an error ends the process, ", number);
}

/* With the handle `zero` NULL, the call must have reported its name. */
static void check_report(const call *c, int zero, const result *r) {
    const bool reports = c->returns == 's' || c->returns == 'p';
    if (!reports || c->kinds[zero] != 'h') return;
    if (c->returns == 's' ? r->status != GLIA_E_ARGUMENT : !r->null)
        complain(c, zero, "is no error", "");
    else if (r->error.status != GLIA_E_ARGUMENT)
        complain(c, zero, "is no bad argument: ", r->error.message);
    else if (!strstr(r->error.message, c->names[zero]))
        complain(c, zero, "is not named: ", r->error.message);
}

static void test_null_and_empty_arguments(void **state) {
    (void)state;
    result *r = mmap(NULL, sizeof *r, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(r != MAP_FAILED);
    const int n = (int)(sizeof calls / sizeof calls[0]);
    assert_true(n > 400);
    for (int i = 0; i < n; i++) {
        const call *c = &calls[i];
        try_call(c, NONE, true, r);
        try_call(c, ALL, true, r);
        try_call(c, ALL, false, r);
        for (int k = 0; c->kinds[k]; k++) {
            if (c->kinds[k] != 'v') try_call(c, k, true, r);
            check_report(c, k, r);
            if (c->kinds[k] != 'v') try_call(c, k, false, r);
            if (c->kinds[k] == 's') try_call(c, ARGUMENTS + k, true, r);
        }
    }
    munmap(r, sizeof *r);
    if (failures) fail_msg("%d calls go wrong", failures);
}

int main(void) {
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_null_and_empty_arguments) };
    return cmocka_run_group_tests(tests, fill_world, empty_world);
}
