/* test_oom_graphs.c - fails every allocation (oom.h) of the readers of graphs, their parts and splits. */
#include "files.h"
#include "glia/glia.h"
#include "oom.h"

static void write_text(const char *path, const char *text) { write_file(path, text, strlen(text)); }

/* The status of a reader that has returned NULL. */
static glia_status opened(glia_graph_data *d, glia_error *error) {
    if (!d) return error->status;
    glia_graph_data_free(d);
    return GLIA_OK;
}

static glia_status molecules(glia_error *error) {
    const char *const texts[] = { "Cc1ccccc1", "[H]OC(=O)N(=O)=O" };
    glia_graph_data *d = glia_graph_data_smiles(texts, 2, error);
    if (!d) return error->status;
    glia_status status = glia_graph_split_by_scaffold(d, 0.1, 0.1, error);
    glia_graph_data *both = NULL;
    if (status == GLIA_OK) {
        both = glia_graph_data_select(d, (int64_t[]){ 1, 0 }, 2, error);
        status = both ? GLIA_OK : error->status;
    }
    glia_graph_data_free(both);
    glia_graph_data_free(d);
    return status;
}

static glia_status tables(glia_error *error) {
    write_text("oom-nodes.csv", "id,a,label,split\nx,1,u,train\ny,2,v,test\n");
    write_text("oom-edges.csv", "from,to,weight,type,z\nx,y,1,k,4\n");
    return opened(glia_graph_data_open("table:oom-nodes.csv,oom-edges.csv", NULL, error), error);
}

static glia_status collections(glia_error *error) {
    write_text("oom-gin.txt", "2\n2 7\n0 1 1\n5 1 0\n1 -1\n5 0\n");
    return opened(glia_graph_data_open("gin:oom-gin.txt", NULL, error), error);
}

static glia_status smiles_table(glia_error *error) {
    write_text("oom.csv", "smiles,y,k\nCO,1,a\nc1ccccc1,2,b\n");
    return opened(glia_graph_data_open("smiles:oom.csv?target=y&label=k", NULL, error), error);
}

static glia_status parts(glia_error *error) {
    write_text("oom-list.txt", "0 1 1\n1 2 1\n2 3 1\n3 4 1\n4 5 1\n5 6 1\n6 7 1\n");
    glia_graph_data *d = glia_graph_data_open("edges:oom-list.txt", NULL, error);
    if (!d) return error->status;
    glia_link_split s;
    int32_t labels[8] = { 0, 1, 0, 1, 0, 1, 0, 1 }, folds[8];
    glia_status status = glia_graph_data_add(d, GLIA_OF_NODES, "label", GLIA_I32, GLIA_SCALAR, labels, error);
    if (status == GLIA_OK) status = glia_graph_split_links(d, 0.2, 0.2, 1, &s, error);
    if (status == GLIA_OK) glia_link_split_free(&s);
    if (status == GLIA_OK) status = glia_graph_folds(d, GLIA_OF_NODES, 2, 1, folds, error);
    if (status == GLIA_OK) status = glia_graph_split_by_class(d, GLIA_OF_NODES, 2, 1, 1, error);
    if (status == GLIA_OK) status = opened(glia_graph_data_add_loops(d, error), error);
    if (status == GLIA_OK) status = opened(glia_graph_data_induce(d, (int32_t[]){ 4, 2, 3 }, 3, error), error);
    glia_graph_data_free(d);
    return status;
}

/* Trains for two steps, then assesses. */
static glia_status learn(glia_model *model, const glia_graph_data *d, const char *method, glia_error *error) {
    const glia_fit_opts how = { .epochs = 2,
                                .batch = (glia_method_find(method)->uses & GLIA_USES_BATCH) != 0,
                                .graphs = d,
                                .max_steps = 2,
                                .threads = 1,
                                .optimizer = { .kind = GLIA_ADAM } };
    glia_assessment a;
    glia_status status = glia_train(model, NULL, method, NULL, how, error);
    if (status == GLIA_OK) status = glia_assess(model, (glia_assess_opts){ .graphs = d, .threads = 1 }, &a, error);
    return status;
}

static glia_status nodes_and_links(glia_error *error) {
    write_text("oom-nodes.csv", "id,a,label,split\nx,1,u,train\ny,2,v,val\nz,1,u,test\nw,2,v,train\n");
    write_text("oom-edges.csv", "from,to\nx,y\ny,z\nz,w\nx,w\n");
    glia_graph_data *d = glia_graph_data_open("table:oom-nodes.csv,oom-edges.csv", NULL, error);
    if (!d) return error->status;
    glia_status status = GLIA_OK;
    static const char *const methods[] = { "nodes", "links" };
    for (int i = 0; status == GLIA_OK && i < 2; i++) {
        glia_model *model = glia_model_create("gcn", error);
        glia_tensor x;
        glia_node_opts o = model ? glia_model_nodes(model, glia_graph_data_sizes(d), 2, &x) : (glia_node_opts){ 0 };
        if (model)
            glia_model_output(model, "answer",
                              glia_gcn(x, glia_model_edges(model, GLIA_EDGES_SYMMETRIC, true), "conv", o));
        status = model ? learn(model, d, methods[i], error) : error->status;
        glia_model_free(model);
    }
    glia_graph_data_free(d);
    return status;
}

static glia_status whole_graphs(glia_error *error) {
    write_text("oom-gin.txt", "3\n2 7\n0 1 1\n5 1 0\n1 -1\n5 0\n1 7\n0 0\n");
    glia_graph_data *d = glia_graph_data_open("gin:oom-gin.txt", NULL, error);
    glia_model *model = d ? glia_model_create("gin", error) : NULL;
    glia_status status = model ? GLIA_OK : error->status;
    if (model) {
        glia_tensor x;
        glia_model_nodes(model, glia_graph_data_sizes(d), 2, &x);
        glia_tensor h = glia_gin_sum(x, glia_model_edges(model, GLIA_EDGES_PLAIN, false), "gin", true);
        h = glia_read_out(h, glia_model_starts(model), GLIA_READ_SUM, NULL);
        glia_model_output(model, "answer", glia_dense(h, "out", (glia_dense_opts){ .units = 2 }));
        status = learn(model, d, "graphs", error);
    }
    glia_model_free(model);
    glia_graph_data_free(d);
    return status;
}

static glia_status recommending(glia_error *error) {
    write_text("oom-likes.csv", "user,item\na,x\na,y\nb,y\nb,z\n");
    glia_graph_data *d = glia_graph_data_open("ratings:oom-likes.csv", NULL, error);
    glia_model *model = d ? glia_model_create("bpr", error) : NULL;
    glia_status status = model ? GLIA_OK : error->status;
    if (model) {
        glia_graph *g = glia_model_graph(model);
        glia_tensor table = glia_parameter(g, "table", GLIA_F32, GLIA_SHAPE(5, 2), (glia_init){ 0 });
        glia_tensor x = glia_gather(table, glia_iota(g, GLIA_I32, GLIA_SHAPE(GLIA_NODES), 0), 0);
        glia_model_output(model, "vector", glia_lightgcn(x, glia_model_edges(model, GLIA_EDGES_SYMMETRIC, false), 1));
        status = learn(model, d, "recommend", error);
    }
    glia_model_free(model);
    glia_graph_data_free(d);
    return status;
}

static glia_status sampling_and_drawing(glia_error *error) {
    write_text("oom-list.txt", "0 1\n1 2\n2 3\n3 4\n");
    glia_graph_data *d = glia_graph_data_open("edges:oom-list.txt", NULL, error);
    glia_graph_sampler *s = d ? glia_graph_sampler_create(d, error) : NULL;
    glia_status status = s ? GLIA_OK : error->status;
    int32_t clusters[5];
    if (status == GLIA_OK)
        status = opened(glia_graph_sample(s, (int32_t[]){ 1 }, 1, (int[]){ 1, 1 }, 2, 1, error), error);
    if (status == GLIA_OK) status = glia_graph_clusters(d, 2, 1, clusters, error);
    char *svg = status == GLIA_OK ? glia_graph_svg(d, (glia_graph_svg_opts){ .groups = clusters }, error) : NULL;
    if (status == GLIA_OK && !svg) status = error->status;
    free(svg);
    glia_graph_sampler_free(s);
    glia_graph_data_free(d);
    return status;
}

static glia_status planetoid(glia_error *error) {
    return opened(glia_graph_data_open("planetoid:" GLIA_GOLDEN_DIR "/planetoid/old", NULL, error), error);
}

static glia_status given_folds(glia_error *error) {
    write_text("oom-gin.txt", "3\n2 7\n0 1 1\n5 1 0\n1 -1\n5 0\n1 7\n0 0\n");
    write_text("folds.csv", "graph,f\n0,1\n1,2\n2,2\n");
    return opened(glia_graph_data_open("gin:oom-gin.txt?folds=f&fold=0/2/0.5", NULL, error), error);
}

static glia_status walking(glia_error *error) {
    write_text("oom-list.txt", "0 1 2\n1 2 1\n2 3 1\n");
    glia_graph_data *d = glia_graph_data_open("edges:oom-list.txt?directed=1", NULL, error);
    glia_model *model = d ? glia_model_create("walks", error) : NULL;
    glia_status status = model ? GLIA_OK : error->status;
    const glia_fit_opts how = { .graphs = d, .threads = 1 };
    glia_assessment a;
    if (status == GLIA_OK)
        status = glia_train(model, NULL, "node2vec", "walks=1 length=4 size=4 communities=2", how, error);
    if (status == GLIA_OK) status = glia_assess(model, (glia_assess_opts){ .graphs = d, .threads = 1 }, &a, error);
    glia_model_free(model);
    glia_graph_data_free(d);
    return status;
}

static glia_tensor smoothed(glia_tensor x, glia_edges e, int layer, void *context) {
    (void)layer, (void)context;
    return glia_propagate(x, e);
}

static glia_status layer_by_layer(glia_error *error) {
    write_text("oom-nodes.csv", "id,a\nx,1\ny,2\nz,1\n");
    write_text("oom-edges.csv", "from,to\nx,y\ny,z\n");
    glia_graph_data *d = glia_graph_data_open("table:oom-nodes.csv,oom-edges.csv", NULL, error);
    glia_model *model = d ? glia_model_create("smoothing", error) : NULL;
    glia_status status = model ? glia_model_init(model, 1, error) : error->status;
    float out[3];
    const glia_graph_layers how = {
        .build = smoothed, .layers = 2, .norm = GLIA_EDGES_SYMMETRIC, .batch = 2, .threads = 1
    };
    if (status == GLIA_OK) status = glia_graph_infer_layers(d, glia_model_store(model), how, out, 1, error);
    glia_model_free(model);
    glia_graph_data_free(d);
    return status;
}

static void learning_from_graphs(void **state) {
    (void)state;
    every_allocation(sampling_and_drawing, "sampling_and_drawing");
    every_allocation(nodes_and_links, "nodes_and_links");
    every_allocation(whole_graphs, "whole_graphs");
    every_allocation(recommending, "recommending");
    every_allocation(walking, "walking");
    every_allocation(layer_by_layer, "layer_by_layer");
}

static void reading_graphs(void **state) {
    (void)state;
    every_allocation(molecules, "molecules");
    every_allocation(tables, "tables");
    every_allocation(collections, "collections");
    every_allocation(smiles_table, "smiles_table");
    every_allocation(parts, "parts");
    every_allocation(planetoid, "planetoid");
    every_allocation(given_folds, "given_folds");
}

int main(void) {
    const struct CMUnitTest tests[] = { cmocka_unit_test(reading_graphs), cmocka_unit_test(learning_from_graphs) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
