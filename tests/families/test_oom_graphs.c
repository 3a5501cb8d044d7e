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

static void reading_graphs(void **state) {
    (void)state;
    every_allocation(molecules, "molecules");
    every_allocation(tables, "tables");
    every_allocation(collections, "collections");
    every_allocation(smiles_table, "smiles_table");
    every_allocation(parts, "parts");
}

int main(void) {
    const struct CMUnitTest tests[] = { cmocka_unit_test(reading_graphs) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
