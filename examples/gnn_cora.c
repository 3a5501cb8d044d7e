/* gnn_cora.c - a first graph net, as tutorials of PyTorch Geometric begin: two graph convolutions of 16 hidden units,
 * relu, dropout of a half, Adam with a rate of 0.01, 1,000 epochs on Cora.   GLIA_DATA=FOLDER gnn_cora [--quick] */
#include <glia/glia.h>
#include <stdio.h>

static glia_status tell(const glia_progress *p, void *context, glia_error *error) {
    (void)context, (void)error;
    if (p->epoch % 200 == 0)
        printf("epoch %lld: loss %.4f, validation %.1f %%\n", (long long)p->epoch, p->train.loss,
               100 * p->validation.accuracy);
    return GLIA_OK;
}

int main(int argc, char **argv) {
    glia_error error = { 0 };
    glia_graph_data *cora = glia_graph_data_open("cora", NULL, &error);
    if (!cora) return fprintf(stderr, "gnn_cora: needs Cora in $GLIA_DATA: %s\n", error.message), 1;
    glia_model *model = glia_model_create("gnn", &error);
    glia_tensor x;
    glia_node_opts conv1 = glia_model_nodes(model, glia_graph_data_sizes(cora), 16, &x);
    glia_edges edges = glia_model_edges(model, GLIA_EDGES_SYMMETRIC, true);
    x = glia_relu(glia_gcn(x, edges, "conv1", conv1));
    x = glia_gcn(glia_dropout(x, 0.5), edges, "conv2", (glia_node_opts){ .units = 7 });
    glia_model_output(model, "fields", x);

    glia_callback watch = { .epoch_end = tell };
    glia_fit_opts how = { .epochs = argc > 1 && argv[1] ? 50 : 1000,
                          .graphs = cora,
                          .optimizer = { .kind = GLIA_ADAM, .lr = 0.01 },
                          .callbacks = &watch,
                          .n_callbacks = 1 };
    glia_assessment result;
    if (glia_train(model, NULL, "nodes", NULL, how, &error) ||
        glia_assess(model, (glia_assess_opts){ .graphs = cora }, &result, &error))
        return fprintf(stderr, "%s\n", error.message), 1;
    for (int i = 0; i < result.n; i++) printf("%s %.3f\n", result.values[i].name, result.values[i].value);
    glia_model_free(model);
    glia_graph_data_free(cora);
    return 0;
}
