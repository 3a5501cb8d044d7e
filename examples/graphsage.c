/* graphsage.c - GraphSAGE (Hamilton et al. 2017) on a graph too large for its whole: a million nodes, ten million
 * edges, their degrees by a power law; batches are sampled neighbours, weights are shared, memory stays small.
 *
 *   graphsage [--quick]: prints nodes per second, accuracy on held out nodes, and the most memory in use */
#include <glia/glia.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { FEATURES = 16, CLASSES = 8, BATCH = 512, FANOUTS = 2 };
static const int fanouts[FANOUTS] = { 10, 5 };
static uint64_t state = 1;

static double uniform(void) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (double)(state >> 11) / 9007199254740992.0;
}

/* A node is drawn in proportion to 1 / sqrt(1 + number): degrees follow a power law. */
static int32_t popular(int64_t nodes) { return (int32_t)((double)nodes * uniform() * uniform()); }

/* Three of four edges stay within a class; the features are noise with a trace of the class. */
static glia_graph_data *make(int64_t nodes, int64_t edges, glia_error *error) {
    int32_t *from = malloc((size_t)edges * sizeof *from), *to = malloc((size_t)edges * sizeof *to);
    int32_t *label = malloc((size_t)nodes * sizeof *label);
    float *x = malloc((size_t)nodes * FEATURES * sizeof *x);
    for (int64_t i = 0; i < edges; i++) {
        from[i] = popular(nodes), to[i] = (int32_t)(uniform() * (double)nodes);
        if (uniform() < 0.75) from[i] = (int32_t)(from[i] / CLASSES * CLASSES + to[i] % CLASSES);
        if (from[i] >= nodes) from[i] = to[i];
    }
    for (int64_t i = 0; i < nodes; i++) {
        label[i] = (int32_t)(i % CLASSES);
        for (int k = 0; k < FEATURES; k++)
            x[i * FEATURES + k] = (float)(uniform() + uniform() - 1 + (k == label[i] ? 0.2 : 0));
    }
    const glia_graph_edges all = { .nodes = nodes,
                                   .edges = edges,
                                   .from = from,
                                   .to = to,
                                   .undirected = true,
                                   .self = GLIA_EDGES_DROP,
                                   .repeated = GLIA_EDGES_DROP };
    glia_graph_data *data = glia_graph_data_create("power law", all, error);
    if (data) glia_graph_data_add(data, GLIA_OF_NODES, "label", GLIA_I32, GLIA_SCALAR, label, error);
    if (data) glia_graph_data_add(data, GLIA_OF_NODES, "x", GLIA_F32, GLIA_SHAPE(FEATURES), x, error);
    return free(from), free(to), free(label), free(x), data;
}

/* The inputs of a function for a part, with room for as many nodes and edges as any part of the batch can have. */
static glia_status run(glia_function *f, const glia_graph_data *part, int64_t nodes, int64_t edges, glia_array *out,
                       glia_error *error) {
    glia_array x, label;
    static float *values;
    static int32_t *sources, *offsets, *labels;
    if (!values) {
        values = calloc((size_t)nodes * FEATURES, sizeof *values), sources = calloc((size_t)edges, sizeof *sources);
        offsets = calloc((size_t)nodes + 1, sizeof *offsets), labels = calloc(BATCH, sizeof *labels);
    }
    const int64_t n = glia_graph_data_nodes(part), m = glia_graph_data_edges(part);
    glia_graph_data_find(part, GLIA_OF_NODES, "x", &x);
    glia_graph_data_find(part, GLIA_OF_NODES, "label", &label);
    memcpy(values, x.data, (size_t)n * FEATURES * sizeof *values);
    memcpy(sources, glia_graph_data_sources(part), (size_t)m * sizeof *sources);
    for (int64_t i = 0; i <= nodes; i++) offsets[i] = glia_graph_data_offsets(part)[i < n ? i : n];
    memcpy(labels, label.data, BATCH * sizeof *labels);
    const glia_array in[] = {
        { .name = "x", .shape = GLIA_SHAPE(nodes, FEATURES), .data = values },
        { .name = "edges/sources", .dtype = GLIA_I32, .shape = GLIA_SHAPE(edges), .data = sources },
        { .name = "edges/offsets", .dtype = GLIA_I32, .shape = GLIA_SHAPE(nodes + 1), .data = offsets },
        { .name = "label", .dtype = GLIA_I32, .shape = GLIA_SHAPE(BATCH), .data = labels }
    };
    return glia_function_call(f, in, 4, out, error);
}

/* Layer by layer of the net; the names say which weights. */
static glia_tensor layer(glia_tensor x, glia_edges e, int i, void *context) {
    (void)context;
    if (i == 0) return glia_relu(glia_sage(x, e, "sage1", (glia_sage_opts){ .node.units = 64 }));
    return glia_sage(x, e, "sage2", (glia_sage_opts){ .node.units = CLASSES });
}

/* Answers for all nodes from all their neighbours; the share of right ones in the tenth that is for the test. */
static double accuracy_of_all(const glia_graph_data *data, glia_store *weights, glia_backend *cpu, glia_error *error) {
    const int64_t nodes = glia_graph_data_nodes(data), tests = nodes / 10;
    float *answers = malloc((size_t)nodes * CLASSES * sizeof *answers);
    const glia_graph_layers how = { .build = layer, .layers = 2, .batch = 8192, .backend = cpu };
    glia_array label;
    int64_t right = 0;
    if (!glia_graph_infer_layers(data, weights, how, answers, CLASSES, error))
        for (int64_t v = 0; glia_graph_data_find(data, GLIA_OF_NODES, "label", &label) && v < tests; v++) {
            int best = 0;
            for (int k = 1; k < CLASSES; k++) best = answers[v * CLASSES + k] > answers[v * CLASSES + best] ? k : best;
            right += best == ((int32_t *)label.data)[v];
        }
    free(answers);
    return 100 * (double)right / (double)tests;
}

int main(int argc, char **argv) {
    const int quick = argc > 1 && argv[1][0] == '-';
    const int64_t nodes = quick ? 20000 : 1000000, edges = 10 * nodes, steps = quick ? 30 : 400;
    const int64_t most = BATCH * (1 + 10 + 50), links = BATCH * (10 + 50);
    glia_error error = { 0 };
    glia_graph_data *data = make(nodes, edges, &error);
    glia_graph_sampler *sampler = glia_graph_sampler_create(data, &error);
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_NODES, FEATURES));
    glia_tensor label = glia_input(g, "label", GLIA_I32, GLIA_SHAPE(BATCH));
    glia_edges e = glia_edges_input(g, false);
    glia_tensor y = layer(layer(x, e, 0, NULL), e, 1, NULL);
    double first[BATCH]; /* the nodes of the batch are the first of a part */
    for (int i = 0; i < BATCH; i++) first[i] = i;
    y = glia_gather(y, glia_constant(g, GLIA_I32, GLIA_SHAPE(BATCH), first), 0);
    glia_tensor loss = glia_cross_entropy(y, label, 0), right = glia_accuracy(y, label), both[] = { loss, right };
    glia_minimize(loss, (glia_optimizer){ .kind = GLIA_ADAM, .lr = 0.01 }, NULL, NULL);
    glia_backend *cpu = glia_backend_open("cpu", 0, &error);
    glia_store *weights = glia_store_create(g, 1, &error);
    glia_function_opts how = { .outputs = both, .n_outputs = 2, .mode = GLIA_TRAIN };
    glia_function *train = glia_function_create(g, cpu, weights, how, &error);
    how.mode = GLIA_INFER;
    glia_function *test = glia_function_create(g, cpu, weights, how, &error);
    if (error.status) return fprintf(stderr, "%s\n", error.message), 1;
    double accuracy = 0, seconds = 0;
    const int64_t tests = steps / 5;
    for (int64_t step = 0; step < steps + tests; step++) { /* nodes in the first tenth are for the test */
        int32_t batch[BATCH];
        const int64_t tenth = nodes / 10, low = step < steps ? tenth : 0, room = step < steps ? nodes - tenth : tenth;
        const int64_t start = (int64_t)(uniform() * (double)(room - 3 * BATCH));
        for (int i = 0; i < BATCH; i++) batch[i] = (int32_t)(low + start + 3 * i);
        struct timespec a, b;
        clock_gettime(CLOCK_MONOTONIC, &a);
        glia_graph_data *part = glia_graph_sample(sampler, batch, BATCH, fanouts, FANOUTS, (uint64_t)step, &error);
        glia_array out[2];
        if (!part || run(step < steps ? train : test, part, most, links, out, &error))
            return fprintf(stderr, "%s\n", error.message), 1;
        clock_gettime(CLOCK_MONOTONIC, &b);
        if (step < steps) seconds += (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
        if (step >= steps) accuracy += (double)*(float *)out[1].data / (double)tests;
        if (step % 100 == 99 && step < steps)
            printf("step %lld: loss %.4f\n", (long long)step + 1, (double)*(float *)out[0].data);
        glia_graph_data_free(part);
    }
    printf("all neighbours, layer by layer: accuracy %.2f %%\n", accuracy_of_all(data, weights, cpu, &error));
    if (error.status) return fprintf(stderr, "%s\n", error.message), 1;
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    printf("%lld nodes, %lld edges: %.0f nodes a second, accuracy %.2f %%, %.2f GiB\n", (long long)nodes,
           (long long)glia_graph_data_edges(data), (double)(steps * BATCH) / seconds, 100 * accuracy,
           (double)used.ru_maxrss / 1048576);
    glia_function_free(train), glia_function_free(test), glia_store_free(weights), glia_backend_close(cpu);
    glia_graph_free(g), glia_graph_sampler_free(sampler), glia_graph_data_free(data);
    return 0;
}
