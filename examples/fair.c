/* fair.c - a fair comparison of classifiers of graphs, Errica et al. 2020: in each of ten folds the settings are chosen
 * on a tenth of what is not in the fold, then the chosen ones are trained anew three times and tested; a baseline that
 * sees no edges goes the same way. `gin` instead trains and measures as Xu et al. 2019 do: EPOCHS times 50 batches, the
 * rate halved every 50 epochs, and the epoch with the best mean over the folds, which is chosen on the answers
 * themselves.
 *     fair [mutag|proteins] [gin|--quick] [EPOCHS] */
#include <glia/glia.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FOLDS = 10, LAYERS = 4, MOST = 400, RUNS = 3 };

typedef struct settings {
    bool edges;
    int units;
    double lr, dropout;
} settings;
static const settings grid[] = {
    { true, 16, 0.01, 0.5 },  { true, 32, 0.01, 0 },  { true, 32, 0.002, 0.5 }, /* GIN */
    { false, 16, 0.01, 0.5 }, { false, 32, 0.01, 0 }, { false, 64, 0.002, 0.5 } /* sums of features */
};
enum { CHOICES = 3 };

/* Batches of 34 have about equal sizes in nine tenths of MUTAG; a small last one would disturb batch norm. */
static int64_t epochs = 150, batch = 34;
enum { BATCHES = 50, PASSES = 10 }; /* batches of an epoch of Xu et al.; about so many passes */
static double curve[MOST];          /* sums over folds of the accuracy in the fold, by epoch */

static glia_tensor normal(glia_tensor x, const char *layer, const char *name) {
    char full[32];
    snprintf(full, sizeof full, "%s/%s", layer, name);
    return glia_relu(glia_batch_norm(x, full, (glia_norm_opts){ 0 }));
}

/* Xu et al. 2019: sums over neighbours, two dense layers with batch norm, and a linear read-out of the sums after each
 * layer. Without edges: a layer on each node, then sums. */
static glia_model *build(const glia_graph_data *data, settings s, glia_error *error) {
    glia_model *model = glia_model_create(s.edges ? "gin" : "sums", error);
    const glia_graph_sizes sizes = glia_graph_data_sizes(data);
    const glia_dense_opts units = { .units = s.units }, out = { .units = sizes.outputs };
    glia_tensor x, answer;
    char layer[16], name[32];
    glia_model_nodes(model, sizes, s.units, &x);
    glia_tensor starts = glia_model_starts(model);
    if (s.edges) {
        const glia_edges edges = glia_model_edges(model, GLIA_EDGES_PLAIN, false);
        answer = glia_dropout(glia_dense(glia_segment_sum(x, starts), "read0", out), s.dropout);
        for (int i = 1; i <= LAYERS; i++) {
            snprintf(layer, sizeof layer, "gin%d", i);
            snprintf(name, sizeof name, "%s/a", layer);
            x = normal(glia_dense(glia_gin_sum(x, edges, layer, false), name, units), layer, "norm_a");
            snprintf(name, sizeof name, "%s/b", layer);
            x = normal(glia_dense(x, name, units), layer, "norm_b");
            snprintf(name, sizeof name, "read%d", i);
            answer = glia_add(answer, glia_dropout(glia_dense(glia_segment_sum(x, starts), name, out), s.dropout));
        }
    } else {
        const glia_dense_opts wide = { .units = s.units, .activation = GLIA_RELU };
        x = glia_dense(glia_segment_sum(glia_dense(x, "first", wide), starts), "read", wide);
        answer = glia_dense(glia_dropout(x, s.dropout), "out", out);
    }
    glia_model_output(model, "answer", answer);
    return model;
}

static glia_status note(const glia_progress *p, void *context, glia_error *error) {
    (void)context, (void)error;
    if (p->epoch % PASSES == 0) curve[p->epoch / PASSES - 1] += glia_progress_value(p, "val_accuracy") / FOLDS;
    return GLIA_OK;
}

static double value_of(const glia_assessment *a, const char *name) {
    for (int i = 0; i < a->n; i++)
        if (strcmp(a->values[i].name, name) == 0) return a->values[i].value;
    return NAN;
}

/* Trains; the weights are those of the epoch with the least loss in the validation part. */
static glia_status train(const glia_graph_data *data, settings s, uint64_t seed, bool stop, glia_assessment *out,
                         glia_error *error) {
    glia_model *model = build(data, s, error);
    const glia_early_stopping_opts early = { .patience = epochs / 3, .restore_best_weights = true };
    const glia_callback callback = stop ? glia_early_stopping(early) : (glia_callback){ .epoch_end = note };
    const glia_lr_schedule cosine = { .kind = GLIA_LR_COSINE },
                        halved = { .kind = GLIA_LR_STEP, .period = 50 * BATCHES, .gamma = 0.5 };
    const glia_fit_opts how = { .epochs = stop ? epochs : PASSES * epochs,
                                .batch = batch,
                                .graphs = data,
                                .optimizer = { .kind = GLIA_ADAM, .lr = s.lr },
                                .schedule = stop ? cosine : halved,
                                .callbacks = &callback,
                                .n_callbacks = 1,
                                .threads = 1,
                                .seed = seed };
    glia_status status = glia_train(model, NULL, "graphs", NULL, how, error);
    if (!status) status = glia_assess(model, (glia_assess_opts){ .graphs = data, .threads = 1 }, out, error);
    glia_model_free(model);
    return status;
}

/* The test accuracy of one fold: of the settings from `first` on that are best in its validation part, in `runs`. */
static glia_status one_fold(const glia_graph_data *data, int first, int runs, int fold, double *accuracy,
                            glia_error *error) {
    glia_assessment a;
    double most = -1;
    int best = first;
    for (int i = first; i < first + CHOICES; i++) {
        if (train(data, grid[i], (uint64_t)fold, true, &a, error)) return error->status;
        if (value_of(&a, "val_accuracy") > most) most = value_of(&a, "val_accuracy"), best = i;
    }
    *accuracy = 0;
    for (int run = 1; run <= runs; run++) {
        if (train(data, grid[best], (uint64_t)(fold + 100 * run), true, &a, error)) return error->status;
        *accuracy += value_of(&a, "test_accuracy") / runs;
    }
    return GLIA_OK;
}

/* Rings and paths of carbon for --quick; else one of the folds that come with the data. */
static glia_graph_data *open_fold(const char *name, int fold, bool gin, glia_error *error) {
    char address[128];
    if (name) {
        snprintf(address, sizeof address, "%s?folds=skf0_test_fold&fold=%d/%d%s", name, fold, FOLDS,
                 gin ? "&part=validation" : "/0.1");
        return glia_graph_data_open(address, NULL, error);
    }
    static const char *const some[] = { "C1CC1", "CCC", "C1CCC1", "CCCC", "C1CCCC1", "CCCCC", "C1CCCCC1", "CCCCCC" };
    const char *texts[40];
    int32_t labels[40];
    for (int i = 0; i < 40; i++) texts[i] = some[i % 8], labels[i] = i % 2;
    glia_graph_data *data = glia_graph_data_smiles(texts, 40, error);
    glia_graph_data_add(data, GLIA_OF_GRAPHS, "label", GLIA_I32, GLIA_SCALAR, labels, error);
    glia_graph_split_randomly(data, GLIA_OF_GRAPHS, 0.2, 0.2, (uint64_t)fold, error);
    return data;
}

/* The mean of n numbers, and half of its 95 % interval by Student's t (2.262 for ten). */
static double mean_of(const double *x, int n, double *half, double *deviation) {
    double mean = 0, square = 0;
    for (int i = 0; i < n; i++) mean += x[i] / n;
    for (int i = 0; i < n; i++) square += (x[i] - mean) * (x[i] - mean);
    *deviation = n > 1 ? sqrt(square / (n - 1)) : 0;
    *half = 2.262 * *deviation / sqrt(n);
    return mean;
}

int main(int argc, char **argv) {
    const bool quick = argc > 1 && strcmp(argv[argc - 1], "--quick") == 0;
    const char *name = quick ? NULL : argc > 1 ? argv[1] : "mutag";
    const bool gin = argc > 2 && strcmp(argv[2], "gin") == 0;
    const int folds = quick ? 2 : FOLDS, runs = quick ? 1 : RUNS;
    if (quick) epochs = 40;
    if (argc > 2 && atoi(argv[argc - 1]) > 0) epochs = atoi(argv[argc - 1]) < MOST ? atoi(argv[argc - 1]) : MOST;
    glia_error error = { 0 };
    double accuracy[2][FOLDS] = { { 0 } }, half, deviation;
    for (int fold = 0; fold < folds; fold++) {
        glia_graph_data *data = open_fold(name, fold, gin, &error);
        if (!data) return fprintf(stderr, "fair: %s\n", error.message), 1;
        glia_assessment a;
        glia_status status = GLIA_OK;
        if (gin) status = train(data, grid[0], (uint64_t)fold, false, &a, &error);
        for (int kind = 0; !gin && !status && kind < 2; kind++)
            status = one_fold(data, kind * CHOICES, runs, fold, &accuracy[kind][fold], &error);
        if (status) return fprintf(stderr, "fair: %s\n", error.message), 1;
        const double *gins = accuracy[0], *others = accuracy[1];
        if (!gin) printf("fold %d: GIN %.1f %%, no edges %.1f %%\n", fold, 100 * gins[fold], 100 * others[fold]);
        fflush(stdout);
        glia_graph_data_free(data);
    }
    int best = 0;
    for (int i = 1; i < epochs; i++) best = curve[i] > curve[best] ? i : best;
    if (gin) return printf("GIN: %.1f %% in epoch %d, chosen on the folds\n", 100 * curve[best], best + 1), 0;
    for (int kind = 0; kind < 2; kind++) {
        const double mean = mean_of(accuracy[kind], folds, &half, &deviation);
        printf("%s: %.1f %% +- %.1f, deviation of folds %.1f\n", kind ? "no edges" : "GIN", 100 * mean, 100 * half,
               100 * deviation);
    }
    return 0;
}
