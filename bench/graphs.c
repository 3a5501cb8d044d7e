/* graphs.c - times steps of graph nets for graphs.py: "graphs THREADS" reads a name (gcn, gat, gin) and a number of
 * steps a line, and answers with the milliseconds a step took, by the wall and by the CPU. */
#include <glia/glia.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static glia_error error;

/* Stops the program after an error. */
static void *good(void *made) {
    if (made && !error.status) return made;
    fprintf(stderr, "graphs: %s\n", error.message);
    exit(1);
}

typedef struct net {
    glia_graph *g;
    glia_store *store;
    glia_program *program;
    glia_session *session;
} net;

static void finish(net *n, glia_backend *backend, glia_tensor logits, glia_tensor labels, double lr) {
    glia_tensor loss = glia_cross_entropy_tokens(logits, labels, 0);
    glia_minimize(loss, (glia_optimizer){ .kind = GLIA_ADAM, .lr = lr, .l2 = 5e-4 }, NULL, NULL);
    const glia_compile_opts how = { .outputs = &loss, .n_outputs = 1, .mode = GLIA_TRAIN };
    n->store = good(glia_store_create(n->g, 1, &error));
    n->program = good(glia_compile(n->g, backend, how, &error));
    n->session = good(glia_session_create(n->program, n->store, &error));
}

static glia_tensor constant_i32(glia_graph *g, const int32_t *values, int64_t n) {
    double *copy = good(malloc((size_t)n * sizeof *copy));
    for (int64_t i = 0; i < n; i++) copy[i] = values[i];
    glia_tensor t = glia_constant(g, GLIA_I32, GLIA_SHAPE(n), copy);
    free(copy);
    return t;
}

/* Cora: the features as a sparse matrix, the labels of the training part. */
static net cora_net(glia_backend *backend, const char *name) {
    net n = { .g = glia_graph_create() };
    glia_graph_data *bare = good(glia_graph_data_open("cora", NULL, &error));
    glia_graph_data *cora = good(glia_graph_data_add_loops(bare, &error));
    glia_array x, label, split;
    glia_graph_data_find(cora, GLIA_OF_NODES, "x", &x);
    glia_graph_data_find(cora, GLIA_OF_NODES, "label", &label);
    glia_graph_data_find(cora, GLIA_OF_NODES, "split", &split);
    const int64_t nodes = glia_graph_data_nodes(cora), width = x.shape.dim[1];
    int32_t *row = good(malloc(100000 * sizeof *row)), *column = good(malloc(100000 * sizeof *column)), entries = 0;
    double *labels = good(malloc((size_t)nodes * sizeof *labels));
    for (int64_t v = 0; v < nodes; v++) {
        labels[v] = ((uint8_t *)split.data)[v] == GLIA_PART_TRAIN ? ((int32_t *)label.data)[v] : -1;
        for (int64_t k = 0; k < width; k++)
            if (((float *)x.data)[v * width + k] != 0) row[entries] = (int32_t)v, column[entries++] = (int32_t)k;
    }
    glia_node_opts o = { .units = 16, .features = (int)width };
    o.sparse = glia_csr_constant(n.g, GLIA_F32, nodes, entries, row, column, NULL);
    glia_tensor y = glia_constant(n.g, GLIA_I32, GLIA_SHAPE(nodes), labels);
    const bool gat = strcmp(name, "gat") == 0;
    glia_edges e = glia_edges_constant(n.g, cora, gat ? GLIA_EDGES_PLAIN : GLIA_EDGES_SYMMETRIC);
    o.sparse.values = glia_dropout(o.sparse.values, gat ? 0.6 : 0.5);
    glia_tensor h;
    if (gat) {
        o.units = 8;
        h = glia_gat(NULL, e, "conv1", (glia_gat_opts){ .node = o, .heads = 8, .dropout = 0.6 });
        h = glia_dropout(glia_elu(h, 1), 0.6);
        h = glia_gat(h, e, "conv2", (glia_gat_opts){ .node.units = 7, .heads = 1, .dropout = 0.6 });
    } else {
        h = glia_dropout(glia_relu(glia_gcn(NULL, e, "conv1", o)), 0.5);
        h = glia_gcn(h, e, "conv2", (glia_node_opts){ .units = 7 });
    }
    finish(&n, backend, h, y, 0.01);
    free(row), free(column), free(labels), glia_graph_data_free(cora), glia_graph_data_free(bare);
    return n;
}

/* The first 128 molecules of MUTAG: five layers of 64 with batch norm, sums. */
static net gin_net(glia_backend *backend) {
    net n = { .g = glia_graph_create() };
    glia_graph_data *all = good(glia_graph_data_open("mutag", NULL, &error));
    int64_t first[128];
    for (int i = 0; i < 128; i++) first[i] = i;
    glia_graph_data *d = good(glia_graph_data_select(all, first, 128, &error));
    glia_array x, label;
    glia_graph_data_find(d, GLIA_OF_NODES, "x", &x);
    glia_graph_data_find(d, GLIA_OF_GRAPHS, "label", &label);
    const int64_t numbers = glia_shape_count(x.shape);
    double *values = good(malloc((size_t)numbers * sizeof *values));
    for (int64_t i = 0; i < numbers; i++) values[i] = (double)((float *)x.data)[i];
    glia_tensor h = glia_constant(n.g, GLIA_F32, x.shape, values);
    glia_tensor starts = constant_i32(n.g, glia_graph_data_starts(d), 129), y = constant_i32(n.g, label.data, 128);
    glia_edges e = glia_edges_constant(n.g, d, GLIA_EDGES_PLAIN);
    for (int i = 0; i < 5; i++) {
        char name[4][16];
        for (int k = 0; k < 4; k++) snprintf(name[k], sizeof name[k], "layer%d%c", i, 'a' + k);
        h = glia_dense(glia_gin_sum(h, e, name[0], false), name[1], (glia_dense_opts){ .units = 64 });
        h = glia_relu(glia_batch_norm(h, name[2], (glia_norm_opts){ 0 }));
        h = glia_relu(glia_dense(h, name[3], (glia_dense_opts){ .units = 64 }));
    }
    h = glia_dense(glia_read_out(h, starts, GLIA_READ_SUM, NULL), "read1",
                   (glia_dense_opts){ .units = 64, .activation = GLIA_RELU });
    finish(&n, backend, glia_dense(h, "read2", (glia_dense_opts){ .units = 2 }), y, 0.01);
    free(values), glia_graph_data_free(d), glia_graph_data_free(all);
    return n;
}

static double now(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

int main(int argc, char **argv) {
    static const char *const names[] = { "gcn", "gat", "gin" };
    glia_backend *backend = good(glia_backend_open("cpu", argc > 1 ? atoi(argv[1]) : 1, &error));
    net nets[3] = { cora_net(backend, "gcn"), cora_net(backend, "gat"), gin_net(backend) };
    char name[16];
    int steps;
    while (scanf("%15s %d", name, &steps) == 2) {
        const net *n = strcmp(name, names[1]) == 0 ? &nets[1] : strcmp(name, names[2]) == 0 ? &nets[2] : &nets[0];
        const double wall = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
        for (int i = 0; i < steps; i++)
            if (glia_session_run(n->session, &error)) good(NULL);
        printf("%.4f %.4f\n", (now(CLOCK_MONOTONIC) - wall) / steps, (now(CLOCK_PROCESS_CPUTIME_ID) - cpu) / steps);
        fflush(stdout);
    }
    for (int i = 0; i < 3; i++) {
        glia_session_free(nets[i].session), glia_program_free(nets[i].program);
        glia_store_free(nets[i].store), glia_graph_free(nets[i].g);
    }
    glia_backend_close(backend);
    return 0;
}
