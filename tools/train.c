/* train.c - `glia train`: a model on data, kept in a run folder. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "options.h"
#include "training.h"

typedef struct request {
    settings settings;
    bool json, quiet, no_validation;
} request;

static int read_request(request *r, int argc, char **argv) {
    settings *s = &r->settings;
    const option table[] = {
        { .help = "what to train on; what is not said is as the model wants it" },
        { "data", OPTION_TEXT, &s->data, "DATA", "a name or an address, as `glia data` lists them", 0, 0 },
        { "data-folder", OPTION_TEXT, &s->data_folder, "FOLDER", "where named data are looked for first", 0, 0 },
        { "validation-split", OPTION_REAL, &s->validation, "X",
          "a share, or a number of samples (a tenth, at most 5,000)", 0, INFINITY },
        { "no-validation", OPTION_FLAG, &r->no_validation, NULL, "train on all samples", 0, 0 },
        { "normalize", OPTION_SWITCH, &s->normalize, NULL, "inputs to mean 0, deviation 1", 0, 0 },
        { .help = "how" },
        { "epochs", OPTION_INT, &s->epochs, "N", "passes over the data", 1, INFINITY },
        { "batch", OPTION_INT, &s->batch, "N", "samples in a step", 1, INFINITY },
        { "optimizer", OPTION_TEXT, &s->optimizer, "NAME",
          "sgd, adam, adamw, nadam, radam, adamax, adagrad, adadelta, rmsprop, lion, lamb or muon", 0, 0 },
        { "lr", OPTION_REAL, &s->lr, "X", "learning rate", 1e-12, INFINITY },
        { "schedule", OPTION_TEXT, &s->schedule, "TEXT",
          "of the learning rate: \"cosine\", \"step(period=30, in-epochs)\"", 0, 0 },
        { "warmup", OPTION_INT, &s->warmup, "N", "steps in which the learning rate first rises (0)", 0, INFINITY },
        { "momentum", OPTION_REAL, &s->momentum, "X", "of sgd and rmsprop", 0, 1 },
        { "nesterov", OPTION_FLAG, &s->nesterov, NULL, "sgd looks ahead", 0, 0 },
        { "weight-decay", OPTION_REAL, &s->weight_decay, "X", "pull of the weights to zero (0)", 0, INFINITY },
        { "clip-norm", OPTION_REAL, &s->clip_norm, "X", "longer gradients are scaled down to this (0: never)", 0,
          INFINITY },
        { "label-smoothing", OPTION_REAL, &s->label_smoothing, "X", "share of a target spread over all (0)", 0, 1 },
        { "from", OPTION_TEXT, &s->from, "RUN|FILE", "begin with the weights of a run or a .safetensors file", 0, 0 },
        { "freeze", OPTION_TEXT, &s->freeze, "PATTERN", "parameters to leave alone: \"conv*,dense1/bias\"", 0, 0 },
        { "seed", OPTION_INT, &s->seed, "N", "of weights, order and dropout (0)", 0, INFINITY },
        { "max-steps", OPTION_INT, &s->max_steps, "N", "stop after so many steps", 1, INFINITY },
        { "precision", OPTION_TEXT, &s->precision, "NAME", "of products: f32 or bf16 (f32)", 0, 0 },
        { "threads", OPTION_INT, &s->threads, "N", "the result does not depend on it (all cores)", 1, 1024 },
        { "workers", OPTION_INT, &s->workers, "N", "threads that prepare batches (1)", 1, 1024 },
        { .help = "what comes out" },
        { "out", OPTION_TEXT, &s->out, "FOLDER", "of the run (runs/MODEL-DATE-N)", 0, 0 },
        { "json", OPTION_FLAG, &r->json, NULL, "an object for each epoch and one at the end, nothing else", 0, 0 },
        { "quiet", OPTION_FLAG, &r->quiet, NULL, "print nothing but errors", 0, 0 },
    };
    const options what = { "train", table, sizeof table / sizeof table[0], 1, 1, "the name of a model" };
    int n, status = options_parse(&what, argc, argv, &n);
    if (status >= 0) return status;
    if (r->json && r->quiet) return misuse("--json and --quiet exclude each other");
    if (r->no_validation && !isnan(s->validation))
        return misuse("--no-validation and --validation-split exclude each other");
    if (r->no_validation) s->validation = 0;
    s->model = argv[1];
    return -1;
}

/* What came out of it, for people. */
static void tell(const training *t) {
    char samples[SHORT], errors[SHORT];
    printf("test: loss %.4f", t->scores.loss);
    if (t->classes) {
        printf(", accuracy %.2f %%: %s of %s wrong", 100 * t->scores.accuracy, grouped(training_mistakes(t), errors),
               grouped(t->scores.samples, samples));
    }
    printf("\nkept in %s: model.safetensors, run.json, curves.csv, report.html\n", t->folder);
}

static int run(training *t, const request *r) {
    int status = training_folder(t);
    if (status >= 0) return status;
    bool people = t->progress.voice == VOICE_PEOPLE;
    if (people) training_headline(t);
    status = training_run(t);
    if (status < 0) status = training_test(t);
    if (status < 0) status = training_keep(t);
    if (status >= 0) return status;
    if (people) tell(t);
    if (r->json) {
        text out = { 0 };
        training_json(t, &out, false);
        fputs(out.bytes, stdout);
        free(out.bytes);
    }
    if (!t->stopped) return EXIT_OK;
    return fail("interrupted in epoch %lld, after step %lld; the model so far is kept in %s",
                (long long)t->progress.epoch, (long long)t->progress.step, t->folder);
}

int command_train(int argc, char **argv) {
    request r = { .settings = settings_default() };
    int status = read_request(&r, argc, argv);
    if (status >= 0) return status;
    training t;
    status = training_open(&t, r.settings, r.json ? VOICE_JSON : r.quiet ? VOICE_QUIET : VOICE_PEOPLE);
    if (status < 0) status = run(&t, &r);
    training_close(&t);
    return status;
}
