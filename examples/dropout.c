/* dropout.c - Srivastava et al. 2014, table 2, on a small scale: on MNIST a wide multilayer perceptron has a lower
 * error with dropout than without, and the lowest with dropout and max-norm (1.60, 1.25 and 1.06 % in the paper, whose
 * nets are larger and trained much longer).
 *
 *     dropout [--quick] [--epochs N] [--seeds N] [--units N]
 *
 * Prints a line for each seed, and the means.
 */
#include <glia/glia.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct method {
    const char *name;
    double input_rate, hidden_rate, max_norm;
} method;

static const method methods[] = {
    { "plain", 0, 0, 0 },
    { "dropout", 0.2, 0.5, 0 },
    { "dropout + max-norm", 0.2, 0.5, 1.5 },
};
enum { METHODS = sizeof methods / sizeof methods[0] };

typedef struct task {
    glia_dataset *train, *test;
    int epochs, units;
} task;

/* Test error in per cent; negative: see error. */
static double error_rate(const task *t, const method *m, uint64_t seed, glia_error *error) {
    glia_model *model = glia_model_create("wide", error);
    glia_tensor x = glia_flatten(glia_model_input(model, "image", GLIA_F32, GLIA_SHAPE(1, 28, 28)));
    x = glia_dropout(x, m->input_rate);
    const char *names[] = { "hidden1", "hidden2" };
    for (int i = 0; i < 2; i++) {
        x = glia_dense(x, names[i], (glia_dense_opts){ .units = t->units, .activation = GLIA_RELU });
        x = glia_dropout(x, m->hidden_rate);
    }
    glia_model_output(model, "logits", glia_dense(x, "logits", (glia_dense_opts){ .units = 10 }));

    glia_parameter_group hidden = { .pattern = "hidden*/kernel", .max_norm = m->max_norm };
    glia_fit_opts how = {
        .epochs = t->epochs,
        .batch = 128,
        .optimizer = { .kind = GLIA_SGD, .lr = 0.1, .momentum = 0.9, .groups = &hidden, .n_groups = 1 },
        .schedule = { .kind = GLIA_LR_LINEAR },
        .seed = seed
    };
    glia_scores scores;
    glia_status status = glia_fit(model, t->train, how, error);
    if (status == GLIA_OK) status = glia_evaluate(model, t->test, (glia_evaluate_opts){ 0 }, &scores, error);
    glia_model_free(model);
    return status == GLIA_OK ? 100 * (1 - scores.accuracy) : -1;
}

/* Runs every method with every seed. */
static int run(const task *t, int seeds, glia_error *error) {
    double sums[METHODS] = { 0 };
    printf("%-6s", "seed");
    for (int m = 0; m < METHODS; m++) printf("  %18s", methods[m].name);
    printf("   (errors on the test data, per cent)\n");
    for (int seed = 0; seed < seeds; seed++) {
        printf("%-6d", seed);
        for (int m = 0; m < METHODS; m++) {
            double rate = error_rate(t, &methods[m], (uint64_t)seed, error);
            if (rate < 0) return 1;
            sums[m] += rate / seeds;
            printf("  %18.2f", rate);
            fflush(stdout);
        }
        printf("\n");
    }
    printf("%-6s", "mean");
    for (int m = 0; m < METHODS; m++) printf("  %18.3f", sums[m]);
    printf("\n");
    return 0;
}

int main(int argc, char **argv) {
    task t = { .epochs = 40, .units = 512 };
    int seeds = 5;
    const char *data = glia_data_available("mnist", NULL) ? "mnist" : "strokes";
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quick") == 0) t.epochs = 1, t.units = 64, seeds = 1, data = "strokes?n=2000";
        if (i + 1 == argc) break;
        if (strcmp(argv[i], "--epochs") == 0) t.epochs = atoi(argv[i + 1]);
        if (strcmp(argv[i], "--seeds") == 0) seeds = atoi(argv[i + 1]);
        if (strcmp(argv[i], "--units") == 0) t.units = atoi(argv[i + 1]);
    }
    glia_error error = { 0 };
    t.train = glia_data_open(data, "train", NULL, &error);
    t.test = t.train ? glia_data_open(data, "test", NULL, &error) : NULL;
    int status = t.test ? run(&t, seeds, &error) : 1;
    if (status) fprintf(stderr, "\ndropout: %s\n", error.message);
    glia_data_free(t.train);
    glia_data_free(t.test);
    return status;
}
