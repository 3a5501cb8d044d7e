/* test_graph_data.c - data of graphs: edges, arrays, batches, splits, links, readers of text, and their mistakes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "asserts.h"
#include "files.h"
#include "glia/glia.h"

static glia_error error;

static void write_text(const char *path, const char *text) { write_file(path, text, strlen(text)); }

/* 0 - 1 - 2 - 3 and 1 - 3; node 4 is isolated. */
static const int32_t from[] = { 0, 2, 1, 3 }, to[] = { 1, 1, 3, 2 };
static const glia_graph_edges kite = { .nodes = 5, .edges = 4, .from = from, .to = to, .undirected = true };

static glia_graph_data *make_kite(void) {
    glia_graph_data *d = glia_graph_data_create("kite", kite, &error);
    assert_non_null(d);
    const int32_t labels[] = { 0, 1, 0, 1, 0 };
    const float weights[] = { 1, 2, 3, 4 };
    assert_int_equal(glia_graph_data_add(d, GLIA_OF_NODES, "label", GLIA_I32, GLIA_SCALAR, labels, &error), GLIA_OK);
    assert_int_equal(glia_graph_data_add(d, GLIA_OF_EDGES, "weight", GLIA_F32, GLIA_SCALAR, weights, &error), GLIA_OK);
    return d;
}

static void assert_edges(const glia_graph_data *d, int64_t n, const int32_t *sources, const int32_t *offsets) {
    assert_int_equal(glia_graph_data_edges(d), n);
    assert_memory_equal(glia_graph_data_sources(d), sources, (size_t)n * sizeof *sources);
    assert_memory_equal(glia_graph_data_offsets(d), offsets, ((size_t)glia_graph_data_nodes(d) + 1) * sizeof *offsets);
}

static void edges_are_sorted_by_target(void **state) {
    (void)state;
    glia_graph_data *d = make_kite();
    assert_edges(d, 8, (int32_t[]){ 1, 0, 2, 3, 1, 3, 1, 2 }, (int32_t[]){ 0, 1, 4, 6, 8, 8 });
    assert_true(glia_graph_data_symmetric(d));
    glia_array a;
    assert_true(glia_graph_data_find(d, GLIA_OF_EDGES, "weight", &a));
    assert_memory_equal(a.data, ((float[]){ 1, 1, 2, 3, 2, 4, 3, 4 }), 8 * sizeof(float));
    assert_int_equal(glia_graph_data_classes(d, GLIA_OF_NODES), 2);
    float weights[8];
    assert_int_equal(glia_graph_data_weights(d, GLIA_EDGES_MEAN, weights, &error), GLIA_OK);
    ASSERT_NEAR(weights[1], 1.0 / 6, 1e-7); /* of 1 + 2 + 3 */
    assert_int_equal(glia_graph_data_weights(d, GLIA_EDGES_SYMMETRIC, weights, &error), GLIA_OK);
    ASSERT_NEAR(weights[3], 3 / 6.48074069840786, 1e-6); /* 3 / sqrt(6 * 7) */
    glia_graph_data_free(d);
}

static void self_and_repeated_edges_follow_the_rules(void **state) {
    (void)state;
    const int32_t a[] = { 0, 1, 1, 0 }, b[] = { 1, 1, 0, 1 };
    glia_graph_edges e = { .nodes = 2, .edges = 4, .from = a, .to = b };
    glia_graph_data *d = glia_graph_data_create("x", e, &error);
    assert_edges(d, 4, (int32_t[]){ 1, 0, 0, 1 }, (int32_t[]){ 0, 1, 4 });
    glia_graph_data_free(d);
    e.self = e.repeated = GLIA_EDGES_DROP;
    e.undirected = true;
    d = glia_graph_data_create("x", e, &error);
    assert_edges(d, 2, (int32_t[]){ 1, 0 }, (int32_t[]){ 0, 1, 2 });
    glia_graph_data_free(d);
    e.self = GLIA_EDGES_REFUSE;
    assert_null(glia_graph_data_create("x", e, &error));
    ASSERT_SAYS("edge 1 goes from node 1 to itself");
    e.self = GLIA_EDGES_KEEP;
    e.repeated = GLIA_EDGES_REFUSE;
    assert_null(glia_graph_data_create("x", e, &error));
    ASSERT_SAYS("is given twice");
}

static void wrong_edges_are_refused(void **state) {
    (void)state;
    glia_graph_edges e = kite;
    e.nodes = 3;
    assert_null(glia_graph_data_create("x", e, &error));
    ASSERT_SAYS("edge 2: there is no node 3 among 3 nodes");
    e = kite;
    e.graphs = 2;
    e.node_counts = (int64_t[]){ 2, 3 };
    assert_null(glia_graph_data_create("x", e, &error));
    ASSERT_SAYS("connects two graphs");
    e.node_counts = (int64_t[]){ 2, 4 };
    assert_null(glia_graph_data_create("x", e, &error));
    ASSERT_SAYS("not the 5 of all");
    e.node_counts = (int64_t[]){ 5, 0 };
    assert_null(glia_graph_data_create("x", e, &error));
    ASSERT_SAYS("graph 1 has no nodes");
    e = (glia_graph_edges){ 0 };
    assert_null(glia_graph_data_create("x", e, &error));
    ASSERT_SAYS("needs 1 to");
    glia_graph_data *d = make_kite();
    assert_int_equal(glia_graph_data_add(d, GLIA_OF_NODES, "label", GLIA_F32, GLIA_SCALAR, &error, &error),
                     GLIA_E_ARGUMENT);
    ASSERT_SAYS("already an array 'label' of nodes");
    assert_int_equal(glia_graph_data_add(d, GLIA_OF_NODES, "y", GLIA_F32, GLIA_SHAPE(INT64_MAX / 2), &error, &error),
                     GLIA_E_SHAPE);
    glia_graph_data_free(d);
}

static void parts_have_their_arrays(void **state) {
    (void)state;
    glia_graph_data *d = make_kite();
    glia_graph_data *p = glia_graph_data_induce(d, (int32_t[]){ 3, 1, 4 }, 3, &error);
    assert_edges(p, 2, (int32_t[]){ 1, 0 }, (int32_t[]){ 0, 1, 2, 2 });
    glia_array a;
    assert_true(glia_graph_data_find(p, GLIA_OF_EDGES, "weight", &a));
    ASSERT_NEAR(((float *)a.data)[0], 3, 0);
    assert_true(glia_graph_data_find(p, GLIA_OF_NODES, "label", &a));
    assert_memory_equal(a.data, ((int32_t[]){ 1, 1, 0 }), 12);
    glia_graph_data_free(p);
    p = glia_graph_data_add_loops(d, &error);
    assert_edges(p, 13, (int32_t[]){ 0, 1, 0, 1, 2, 3, 1, 2, 3, 1, 2, 3, 4 }, (int32_t[]){ 0, 2, 6, 9, 12, 13 });
    assert_true(glia_graph_data_find(p, GLIA_OF_EDGES, "weight", &a));
    assert_memory_equal(a.data, ((float[]){ 1, 1, 1, 1, 2, 3, 2, 1, 4, 3, 4, 1, 1 }), 13 * sizeof(float));
    glia_graph_data_free(p);
    p = glia_graph_data_filter(d, (uint8_t[]){ 1, 1, 0, 1, 1, 1, 1, 1 }, &error);
    assert_edges(p, 7, (int32_t[]){ 1, 0, 3, 1, 3, 1, 2 }, (int32_t[]){ 0, 1, 3, 5, 7, 7 });
    assert_false(glia_graph_data_symmetric(p));
    glia_graph_data_free(p);
    assert_null(glia_graph_data_induce(d, (int32_t[]){ 1, 1 }, 2, &error));
    ASSERT_SAYS("node 1 is not there, or chosen twice");
    glia_graph_data_free(d);
}

static void graphs_are_batched_without_padding(void **state) {
    (void)state;
    const char *const texts[] = { "CCO", "C", "c1ccccc1" };
    glia_graph_data *d = glia_graph_data_smiles(texts, 3, &error);
    assert_non_null(d);
    assert_int_equal(glia_graph_data_graphs(d), 3);
    assert_int_equal(glia_graph_data_nodes(d), 10);
    assert_int_equal(glia_graph_data_edges(d), 16);
    glia_graph_data *b = glia_graph_data_select(d, (int64_t[]){ 2, 0, 2 }, 3, &error);
    assert_int_equal(glia_graph_data_nodes(b), 15);
    assert_memory_equal(glia_graph_data_starts(b), ((int32_t[]){ 0, 6, 9, 15 }), 16);
    for (int e = 0; e < 12; e++)
        assert_int_equal(glia_graph_data_sources(b)[e] + 9, glia_graph_data_sources(b)[e + 16]);
    glia_array a;
    assert_true(glia_graph_data_find(b, GLIA_OF_NODES, "atomic_number", &a));
    assert_int_equal(((int32_t *)a.data)[8], 8);
    glia_graph_data_free(b);
    assert_null(glia_graph_data_select(d, (int64_t[]){ 3 }, 1, &error));
    ASSERT_SAYS("no graph 3 among 3");
    glia_graph_data_free(d);
}

/* ---- splits ---------------------------------------------------------------------------------------- */

enum { RING = 200 };
static glia_graph_data *make_ring(void) {
    static int32_t a[RING], b[RING], labels[RING];
    for (int i = 0; i < RING; i++) a[i] = i, b[i] = (i + 1) % RING, labels[i] = i % 4 == 3;
    glia_graph_data *d = glia_graph_data_create(
        "ring", (glia_graph_edges){ .nodes = RING, .edges = RING, .from = a, .to = b, .undirected = true }, &error);
    assert_int_equal(glia_graph_data_add(d, GLIA_OF_NODES, "label", GLIA_I32, GLIA_SCALAR, labels, &error), GLIA_OK);
    return d;
}

static void nodes_are_split_by_class_and_into_folds(void **state) {
    (void)state;
    glia_graph_data *d = make_ring();
    assert_int_equal(glia_graph_split_by_class(d, GLIA_OF_NODES, 20, 10, 1, &error), GLIA_OK);
    glia_array split, label;
    glia_graph_data_find(d, GLIA_OF_NODES, "split", &split);
    glia_graph_data_find(d, GLIA_OF_NODES, "label", &label);
    int counts[2][4] = { { 0 } };
    for (int i = 0; i < RING; i++) counts[((int32_t *)label.data)[i]][((uint8_t *)split.data)[i]]++;
    for (int c = 0; c < 2; c++) {
        assert_int_equal(counts[c][GLIA_PART_TRAIN], 20);
        assert_int_equal(counts[c][GLIA_PART_VALIDATION], 10);
    }
    assert_int_equal(glia_graph_split_by_class(d, GLIA_OF_NODES, 40, 20, 1, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("class 1 has 50 members, fewer than 40 + 20");
    int32_t folds[RING];
    int each[10] = { 0 }, ones[10] = { 0 };
    assert_int_equal(glia_graph_folds(d, GLIA_OF_NODES, 10, 3, folds, &error), GLIA_OK);
    for (int i = 0; i < RING; i++) each[folds[i]]++, ones[folds[i]] += ((int32_t *)label.data)[i];
    for (int k = 0; k < 10; k++) {
        assert_int_equal(each[k], 20);
        assert_int_equal(ones[k], 5);
    }
    assert_int_equal(glia_graph_split_randomly(d, GLIA_OF_NODES, 0.5, 0.6, 1, &error), GLIA_E_ARGUMENT);
    glia_graph_data_free(d);
}

static void links_are_held_out_with_pairs_that_have_none(void **state) {
    (void)state;
    glia_graph_data *d = make_ring();
    glia_link_split s;
    assert_int_equal(glia_graph_split_links(d, 0.05, 0.1, 7, &s, &error), GLIA_OK);
    assert_int_equal(s.n[0], 10);
    assert_int_equal(s.n[1], 20);
    assert_int_equal(glia_graph_data_edges(s.train), 2 * RING - 60);
    assert_true(glia_graph_data_symmetric(s.train));
    for (int k = 0; k < 2; k++) {
        for (int64_t i = 0; i < s.n[k]; i++) {
            const int apart = abs(s.edges[k][2 * i] - s.edges[k][2 * i + 1]);
            const int other = abs(s.others[k][2 * i] - s.others[k][2 * i + 1]);
            assert_true(apart == 1 || apart == RING - 1);
            assert_true(other > 1 && other < RING - 1);
        }
    }
    glia_link_split again;
    assert_int_equal(glia_graph_split_links(d, 0.05, 0.1, 7, &again, &error), GLIA_OK);
    assert_memory_equal(s.others[1], again.others[1], 40 * sizeof(int32_t));
    glia_link_split_free(&s);
    glia_link_split_free(&again);
    glia_graph_data_free(d);
}

static void neighbours_are_sampled(void **state) {
    (void)state;
    glia_graph_data *d = make_kite();
    glia_graph_sampler *s = glia_graph_sampler_create(d, &error);
    glia_graph_data *p = glia_graph_sample(s, (int32_t[]){ 0, 4 }, 2, (int[]){ 5, 2 }, 2, 1, &error);
    assert_non_null(p); /* 0 <- 1 <- two of 0, 2, 3 */
    assert_in_range(glia_graph_data_nodes(p), 4, 5);
    assert_int_equal(glia_graph_data_edges(p), 3);
    assert_memory_equal(glia_graph_data_offsets(p), ((int32_t[]){ 0, 1, 1, 3 }), 16);
    glia_array label;
    assert_true(glia_graph_data_find(p, GLIA_OF_NODES, "label", &label));
    assert_memory_equal(label.data, ((int32_t[]){ 0, 0, 1 }), 12);
    glia_graph_data_free(p);
    p = glia_graph_sample(s, (int32_t[]){ 0, 1, 2, 3, 4 }, 5, (int[]){ 9 }, 1, 1, &error);
    assert_edges(p, 8, glia_graph_data_sources(d), glia_graph_data_offsets(d)); /* everything */
    glia_graph_data_free(p);
    assert_null(glia_graph_sample(s, (int32_t[]){ 1, 1 }, 2, (int[]){ 5 }, 1, 1, &error));
    ASSERT_SAYS("must be there and different");
    p = glia_graph_sample(s, (int32_t[]){ 1 }, 1, (int[]){ 1 }, 1, 1, &error); /* the sampler is as before */
    assert_int_equal(glia_graph_data_edges(p), 1);
    glia_graph_data_free(p);
    glia_graph_sampler_free(s);
    glia_graph_data_free(d);
}

static void clusters_keep_neighbours_together(void **state) {
    (void)state;
    glia_graph_data *d = make_ring();
    int32_t cluster[RING];
    assert_int_equal(glia_graph_clusters(d, 8, 3, cluster, &error), GLIA_OK);
    int members[8] = { 0 }, cut = 0;
    for (int i = 0; i < RING; i++) {
        assert_in_range(cluster[i], 0, 7);
        members[cluster[i]]++;
        cut += cluster[i] != cluster[(i + 1) % RING];
    }
    for (int i = 0; i < 8; i++) assert_int_equal(members[i], RING / 8);
    assert_true(cut <= 16);
    assert_int_equal(glia_graph_clusters(d, 0, 3, cluster, &error), GLIA_E_ARGUMENT);
    glia_graph_data_free(d);
}

/* ---- readers --------------------------------------------------------------------------------------- */

static glia_graph_data *open_good(const char *address) {
    glia_graph_data *d = glia_graph_data_open(address, NULL, &error);
    if (!d) fail_msg("%s: %s", address, error.message);
    return d;
}

static void assert_refused(const char *address, const char *part) {
    assert_null(glia_graph_data_open(address, NULL, &error));
    if (!strstr(error.message, part)) fail_msg("%s: \"%s\" does not say \"%s\"", address, error.message, part);
}

static void edge_lists_are_read(void **state) {
    (void)state;
    write_text("list.txt", "# Nodes: 5\n0\t1\n1 2\r\n2 0\n1 0\n3 3\n");
    glia_graph_data *d = open_good("edges:list.txt");
    assert_edges(d, 6, (int32_t[]){ 1, 2, 0, 2, 0, 1 }, (int32_t[]){ 0, 2, 4, 6, 6 });
    glia_graph_data_free(d);
    d = open_good("edges:list.txt?directed=1&nodes=7");
    assert_int_equal(glia_graph_data_nodes(d), 7);
    assert_int_equal(glia_graph_data_edges(d), 4);
    glia_graph_data_free(d);
    write_text("weights.csv", "from,to,weight\n0,1,0.5\n1,2,2\n");
    d = open_good("edges:weights.csv");
    glia_array a;
    assert_true(glia_graph_data_find(d, GLIA_OF_EDGES, "weight", &a));
    assert_memory_equal(a.data, ((float[]){ 0.5F, 0.5F, 2, 2 }), 16);
    glia_graph_data_free(d);
    assert_refused("edges:list.txt?nodes=3", "list.txt: line 6: the first node is '3', not a whole number from 0 to 2");
    assert_refused("edges:list.txt?nods=3", "has no option 'nods'");
    assert_refused("edges:none.txt", "none.txt");
    assert_refused("cors", "there are no graph data 'cors'; did you mean 'cora'?");
    write_text("bad.txt", "0 1\n1 x\n");
    assert_refused("edges:bad.txt", "line 2: the second node is 'x'");
    write_text("bad.txt", "0 1 2\n1 0\n");
    assert_refused("edges:bad.txt", "line 2: the weight of the edge is missing");
    write_text("bad.txt", "\n");
    assert_refused("edges:bad.txt", "no edge");
}

static void ratings_are_read(void **state) {
    (void)state;
    write_text("ratings.csv", "user,item,rating\nann,x,3\nbob,y,4.5\nann,y,1\n");
    glia_graph_data *d = open_good("ratings:ratings.csv");
    assert_edges(d, 6, (int32_t[]){ 2, 3, 3, 0, 0, 1 }, (int32_t[]){ 0, 2, 3, 4, 6 });
    glia_array a;
    assert_true(glia_graph_data_find(d, GLIA_OF_NODES, "kind", &a));
    assert_memory_equal(a.data, ((int32_t[]){ 0, 0, 1, 1 }), 16);
    glia_graph_data_free(d);
    write_text("ratings.csv", "user,item,rating\nann,x,good\n");
    assert_refused("ratings:ratings.csv", "line 2: the rating is not a number");
    write_text("ratings.csv", "user,thing\nann,x\n");
    assert_refused("ratings:ratings.csv", "no columns user and item");
}

static void splits_are_options_of_addresses(void **state) {
    (void)state;
    write_text("gin.txt", "4\n1 7\n0 0\n1 -1\n5 0\n1 7\n0 0\n1 -1\n5 0\n");
    glia_graph_data *d = open_good("gin:gin.txt?fold=1/2");
    glia_array a;
    assert_true(glia_graph_data_find(d, GLIA_OF_GRAPHS, "split", &a));
    int counts[4] = { 0 };
    for (int i = 0; i < 4; i++) counts[((uint8_t *)a.data)[i]]++;
    assert_int_equal(counts[GLIA_PART_TEST], 2);
    glia_graph_data_free(d);
    assert_refused("gin:gin.txt?fold=2/2", "there is no fold 2 of 2");
    assert_refused("gin:gin.txt?fold=x", "fold=x is not FOLD/FOLDS");
    assert_refused("gin:gin.txt?split=rundom", "split=rundom: it is random");
    assert_refused("gin:gin.txt?split=random:0.6:0.6", "leave nothing to train with");
    assert_refused("gin:gin.txt?seed=-1", "is not a seed");
    write_text("folds.csv", "dataset,graph,label,mine\ngin,0,7,1\nother,9,7,1\ngin,1,-1,2\ngin,2,7,\ngin,3,-1,1\n");
    d = open_good("gin:gin.txt?folds=mine&fold=0/2");
    assert_true(glia_graph_data_find(d, GLIA_OF_GRAPHS, "split", &a));
    assert_memory_equal(a.data, ((uint8_t[]){ 2, 1, 3, 2 }), 4);
    glia_graph_data_free(d);
    d = open_good("gin:gin.txt?folds=mine&fold=1/2&part=validation");
    assert_true(glia_graph_data_find(d, GLIA_OF_GRAPHS, "split", &a));
    assert_memory_equal(a.data, ((uint8_t[]){ 0, 1, 3, 0 }), 4);
    glia_graph_data_free(d);
    d = open_good("gin:gin.txt?folds=mine&fold=1/2/0.5");
    assert_true(glia_graph_data_find(d, GLIA_OF_GRAPHS, "split", &a));
    assert_int_equal(((uint8_t *)a.data)[0] + ((uint8_t *)a.data)[3], GLIA_PART_VALIDATION); /* one of these two */
    assert_int_equal(((uint8_t *)a.data)[1], GLIA_PART_TEST);
    glia_graph_data_free(d);
    assert_refused("gin:gin.txt?folds=yours&fold=0/2", "there is no column 'yours'");
    assert_refused("gin:gin.txt?folds=mine&fold=2/3", "the fold 2 of 3 is empty");
    assert_refused("gin:gin.txt?folds=mine", "need fold=FOLD/FOLDS");
    assert_refused("gin:gin.txt?fold=0/2&part=none", "a fold is for test or validation");
    assert_refused("gin:gin.txt?fold=0/2/1", "there is no fold 0 of 2");
    write_text("folds.csv", "dataset,graph,mine\ngin,4,1\n");
    assert_refused("gin:gin.txt?folds=mine&fold=0/2", "folds.csv: line 2: the item is '4'");
    write_text("folds.csv", "dataset,graph,mine\nother,0,1\n");
    assert_refused("gin:gin.txt?folds=mine&fold=0/2", "folds.csv has no folds of 'gin'");
}

static void tables_are_read(void **state) {
    (void)state;
    write_text("nodes.csv", "id,age,label,split\nann,30,x,train\nbob,25.5,y,val\n\"c, d\",1,x,test\n");
    write_text("links.csv", "source,target,type\nann,bob,knows\n\"c, d\",ann,likes\n");
    glia_graph_data *d = open_good("table:nodes.csv,links.csv");
    assert_edges(d, 4, (int32_t[]){ 1, 2, 0, 0 }, (int32_t[]){ 0, 2, 3, 4 });
    glia_array a;
    assert_true(glia_graph_data_find(d, GLIA_OF_NODES, "x", &a));
    assert_memory_equal(a.data, ((float[]){ 30, 25.5F, 1 }), 12);
    assert_true(glia_graph_data_find(d, GLIA_OF_EDGES, "type", &a));
    assert_memory_equal(a.data, ((int32_t[]){ 0, 1, 0, 1 }), 16);
    char number[16];
    assert_string_equal(glia_graph_data_class_name(d, 1, number), "y");
    assert_true(glia_graph_data_find(d, GLIA_OF_NODES, "split", &a));
    assert_memory_equal(a.data, ((uint8_t[]){ GLIA_PART_TRAIN, GLIA_PART_VALIDATION, GLIA_PART_TEST }), 3);
    glia_graph_data_free(d);
    write_text("links.csv", "source,target\nann,eve\n");
    assert_refused("table:nodes.csv,links.csv", "links.csv: line 2: there is no node 'eve'");
    write_text("nodes2.csv", "id,age\na,1\na,2\n");
    assert_refused("table:nodes2.csv,links.csv", "the id 'a' is there twice");
    write_text("nodes2.csv", "id,age\na,1,3\n");
    assert_refused("table:nodes2.csv,links.csv", "line 2: more than 2 fields");
    write_text("nodes2.csv", "id,age\na,old\n");
    assert_refused("table:nodes2.csv,links.csv", "line 2: column 2: 'old' is not a number");
    assert_refused("table:nodes.csv", "table:NODES.csv,EDGES.csv");
}

static void collections_are_read(void **state) {
    (void)state;
    write_text("gin.txt", "2\n3 7\n0 1 1\n5 2 0 2\n0 1 1\n1 -1\n5 0\n");
    glia_graph_data *d = open_good("gin:gin.txt");
    assert_int_equal(glia_graph_data_graphs(d), 2);
    assert_edges(d, 4, (int32_t[]){ 1, 0, 2, 1 }, (int32_t[]){ 0, 1, 3, 4, 4 });
    glia_array a;
    assert_true(glia_graph_data_find(d, GLIA_OF_NODES, "x", &a));
    assert_memory_equal(a.data, ((float[]){ 1, 0, 0, 1, 1, 0, 0, 1 }), 32);
    assert_string_equal(glia_graph_data_class_name(d, 1, NULL), "-1");
    glia_graph_data_free(d);
    write_text("gin.txt", "2\n3 7\n0 1 1\n5 2 0 3\n0 1 1\n1 -1\n5 0\n");
    assert_refused("gin:gin.txt", "line 4: a neighbour is '3', not a whole number from 0 to 2");
    write_text("gin.txt", "2\n2 7\n0 1 1\n0 1 0\n");
    assert_refused("gin:gin.txt", "graph 1 is missing");
    write_text("gin.txt", "999999999999\n");
    assert_refused("gin:gin.txt", "the number of graphs is '999999999999'");
    write_text("T_A.txt", "1, 2\n2, 1\n3, 4\n");
    write_text("T_graph_indicator.txt", "1\n1\n2\n2\n");
    write_text("T_graph_labels.txt", "1\n-1\n");
    write_text("T_node_attributes.txt", "0.5, 1\n1, 1\n2, 1\n3, 1\n");
    d = open_good("tu:T");
    assert_edges(d, 3, (int32_t[]){ 1, 0, 2 }, (int32_t[]){ 0, 1, 2, 2, 3 });
    assert_true(glia_graph_data_find(d, GLIA_OF_NODES, "x", &a));
    assert_memory_equal(a.data, ((float[]){ 0.5F, 1, 1, 1, 2, 1, 3, 1 }), 32);
    glia_graph_data_free(d);
    write_text("T_A.txt", "1, 2\n2, 5\n");
    assert_refused("tu:T", "T_A.txt: line 2: the second node is '5'");
    write_text("T_A.txt", "1, 2\n2, 3\n");
    assert_refused("tu:T", "connects two graphs");
    write_text("T_A.txt", "1, 2\n");
    write_text("T_node_attributes.txt", "0.5, 1\n1, 1\n2\n3, 1\n");
    assert_refused("tu:T", "line 3: 1 numbers, but 2");
}

/* ---- walks and groups --------------------------------------------------------------------------------- */

/* Triangle 0, 1, 2 with a tail 1 - 3. */
static glia_graph_data *triangle_with_tail(void) {
    const int32_t a[] = { 0, 1, 0, 1 }, b[] = { 1, 2, 2, 3 };
    glia_graph_data *d = glia_graph_data_create(
        "tail", (glia_graph_edges){ .nodes = 4, .edges = 4, .from = a, .to = b, .undirected = true }, &error);
    assert_non_null(d);
    return d;
}

/* From 1, reached from 0: to 0 by 1/p = 2, to 2 (a neighbour of 0) by 1, to 3 by 1/q = 1/4. */
static void walks_have_the_probabilities_of_node2vec(void **state) {
    (void)state;
    enum { WALKS = 4000, LENGTH = 6 };
    glia_graph_data *d = triangle_with_tail();
    static int32_t walks[4 * WALKS * LENGTH], again[4 * LENGTH];
    glia_walk_opts how = { .walks = WALKS, .length = LENGTH, .p = 0.5, .q = 4, .seed = 3 };
    assert_int_equal(glia_graph_walks(d, how, walks, &error), GLIA_OK);
    double next[4] = { 0 }, all = 0;
    for (int i = 0; i < 4 * WALKS; i++) {
        const int32_t *w = walks + i * LENGTH;
        assert_int_equal(w[0], i % 4);
        for (int k = 2; k < LENGTH; k++) {
            if (w[k - 2] != 0 || w[k - 1] != 1) continue;
            next[w[k]]++;
            all++;
        }
    }
    ASSERT_NEAR(next[0] / all, 2 / 3.25, 0.02);
    ASSERT_NEAR(next[2] / all, 1 / 3.25, 0.02);
    ASSERT_NEAR(next[3] / all, 0.25 / 3.25, 0.02);
    how.walks = 1; /* each walk is a function of seed and index */
    assert_int_equal(glia_graph_walks(d, how, again, &error), GLIA_OK);
    assert_memory_equal(walks, again, sizeof again);
    how.p = -1;
    assert_int_equal(glia_graph_walks(d, how, again, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("p and q must be above 0");
    how.length = 0;
    assert_int_equal(glia_graph_walks(d, how, again, &error), GLIA_E_ARGUMENT);
    glia_graph_data_free(d);
}

static void walks_follow_directions_and_weights(void **state) {
    (void)state;
    enum { WALKS = 4000 };
    const int32_t a[] = { 0, 0, 1 }, b[] = { 1, 2, 2 };
    float weights[] = { 3, 1, 1 };
    glia_graph_data *d =
        glia_graph_data_create("arrows", (glia_graph_edges){ .nodes = 3, .edges = 3, .from = a, .to = b }, &error);
    assert_int_equal(glia_graph_data_add(d, GLIA_OF_EDGES, "weight", GLIA_F32, GLIA_SCALAR, weights, &error), GLIA_OK);
    static int32_t walks[3 * WALKS * 3];
    const glia_walk_opts how = { .walks = WALKS, .length = 3, .seed = 1 };
    assert_int_equal(glia_graph_walks(d, how, walks, &error), GLIA_OK);
    double first = 0;
    for (int i = 0; i < WALKS; i++) {
        first += walks[9 * i + 1] == 1;
        assert_int_equal(walks[9 * i + 2], walks[9 * i + 1] == 1 ? 2 : -1);
        assert_memory_equal(walks + 9 * i + 6, ((int32_t[]){ 2, -1, -1 }), 12); /* nothing leaves 2 */
    }
    ASSERT_NEAR(first / WALKS, 0.75, 0.03);
    glia_array w;
    glia_graph_data_find(d, GLIA_OF_EDGES, "weight", &w);
    ((float *)w.data)[0] = -1;
    assert_int_equal(glia_graph_walks(d, how, walks, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("with weight -1 is impossible");
    glia_graph_data_free(d);
}

static void groups_are_judged_by_closed_forms(void **state) {
    (void)state;
    const int32_t a[] = { 0, 1, 2, 3, 4, 5, 0 }, b[] = { 1, 2, 0, 4, 5, 3, 3 }, halves[] = { 0, 0, 0, 1, 1, 1 };
    const int32_t cross[] = { 0, 1, 0, 1 }, pairs[] = { 1, 1, 0, 0 }, part[] = { -1, 1, 1, 0 };
    const int32_t far[] = { 0, 9, 0, 0, 0, 0 };
    glia_graph_data *d = glia_graph_data_create(
        "triangles", (glia_graph_edges){ .nodes = 6, .edges = 7, .from = a, .to = b, .undirected = true }, &error);
    double value;
    assert_int_equal(glia_graph_modularity(d, halves, &value, &error), GLIA_OK);
    ASSERT_NEAR(value, 6.0 / 7 - 0.5, 1e-12); /* 6 of 7 edges within; each group has half of the degrees */
    assert_int_equal(glia_graph_modularity(d, far, &value, &error), GLIA_E_ARGUMENT);
    assert_int_equal(glia_normalized_mutual_information(halves, halves, 6, &value, &error), GLIA_OK);
    ASSERT_NEAR(value, 1, 1e-12);
    assert_int_equal(glia_normalized_mutual_information(cross, pairs, 4, &value, &error), GLIA_OK);
    ASSERT_NEAR(value, 0, 1e-12);
    assert_int_equal(glia_normalized_mutual_information(part, pairs, 4, &value, &error), GLIA_OK);
    ASSERT_NEAR(value, 0.2740175421, 1e-9); /* ln 3 / 3 - ... of the table (1, 0; 1, 1): 2 I / (2 H(1/3)) */
    assert_int_equal(glia_normalized_mutual_information(far, pairs, 4, &value, &error), GLIA_E_ARGUMENT);
    glia_graph_data_free(d);
}

/* ---- Planetoid ------------------------------------------------------------------------------------------ */

static const char *const planetoid_files[] = { "x", "y", "tx", "ty", "allx", "ally", "graph", "test.index" };
enum { PLANETOID_FILES = 8 };

/* tools/golden/planetoid.py says what these data are. */
static void planetoids_files_are_read(void **state) {
    (void)state;
    static const char *const names[] = { "old", "new" };
    for (int i = 0; i < 2; i++) {
        char address[512];
        snprintf(address, sizeof address, "planetoid:%s/planetoid/%s", GLIA_GOLDEN_DIR, names[i]);
        glia_graph_data *d = open_good(address);
        assert_edges(d, 8, (int32_t[]){ 1, 0, 2, 1, 6, 6, 3, 4 }, (int32_t[]){ 0, 1, 3, 4, 5, 6, 6, 8 });
        glia_array x, label, split;
        assert_true(glia_graph_data_find(d, GLIA_OF_NODES, "x", &x));
        for (int v = 0; v < 7; v++)
            for (int k = 0; k < 4; k++)
                assert_true(((float *)x.data)[4 * v + k] == (v != 5 && (v + k) % 3 == 0 ? (float)(v + 1) : 0));
        assert_true(glia_graph_data_find(d, GLIA_OF_NODES, "label", &label));
        assert_memory_equal(label.data, ((int32_t[]){ 0, 1, 2, 0, 1, -1, 0 }), 28);
        assert_true(glia_graph_data_find(d, GLIA_OF_NODES, "split", &split));
        assert_memory_equal(split.data, ((uint8_t[]){ 0, 0, 1, 1, 2, 3, 2 }), 7);
        glia_graph_data_free(d);
    }
}

static size_t read_golden(const char *file, uint8_t *bytes, size_t room) {
    char path[512];
    snprintf(path, sizeof path, "%s/planetoid/ind.old.%s", GLIA_GOLDEN_DIR, file);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    const size_t n = fread(bytes, 1, room, f);
    fclose(f);
    return n;
}

static void write_part(const char *file, const uint8_t *bytes, size_t n) {
    char path[64];
    snprintf(path, sizeof path, "ind.bad.%s", file);
    write_file(path, bytes, n);
}

/* Each file in turn with bytes changed, or cut: refused or read, but nothing beyond an array. */
static void hostile_files_of_planetoid_are_refused(void **state) {
    (void)state;
    uint8_t bytes[PLANETOID_FILES][512];
    size_t n[PLANETOID_FILES];
    for (int i = 0; i < PLANETOID_FILES; i++) {
        n[i] = read_golden(planetoid_files[i], bytes[i], sizeof bytes[i]);
        write_part(planetoid_files[i], bytes[i], n[i]);
    }
    glia_graph_data_free(open_good("planetoid:bad"));
    for (int i = 0; i < PLANETOID_FILES; i++) {
        for (size_t at = (size_t)i % 5; at < n[i]; at += 5) {
            const uint8_t kept = bytes[i][at];
            bytes[i][at] ^= at % 2 ? 0xFF : 1;
            write_part(planetoid_files[i], bytes[i], n[i]);
            glia_graph_data_free(glia_graph_data_open("planetoid:bad", NULL, &error));
            bytes[i][at] = kept;
        }
        write_part(planetoid_files[i], bytes[i], n[i] / 2);
        assert_null(glia_graph_data_open("planetoid:bad", NULL, &error));
        write_part(planetoid_files[i], bytes[i], n[i]);
    }
    static const char evil[] = "\x80\x02"
                               "cos\nsystem\n.";
    write_part("x", (const uint8_t *)evil, sizeof evil - 1);
    assert_refused("planetoid:bad", "ind.bad.x: offset 2: pickle: 'os.system' is no part");
    write_part("x", bytes[1], n[1]);
    assert_refused("planetoid:bad", "differ in number");
    write_part("x", bytes[0], n[0]);
    write_text("ind.bad.test.index", "6\n6\n");
    assert_refused("planetoid:bad", "the node 6 is twice in test.index");
    write_text("ind.bad.test.index", "3\n6\n");
    assert_refused("planetoid:bad", "ind.bad.test.index: line 1: the node is '3'");
    write_text("ind.bad.test.index", "6\n");
    assert_refused("planetoid:bad", "2 rows for the 1 nodes of test.index");
}

static void real_graphs_have_their_sizes(void **state) {
    (void)state;
    if (!getenv("GLIA_DATA")) skip();
    static const struct {
        const char *name;
        int64_t graphs, nodes, edges;
        int classes;
    } sets[] = { { "cora", 1, 2708, 2 * 5278, 7 },
                 { "pubmed_graph", 1, 19717, 2 * 44324, 3 },
                 { "amazon_photo", 1, 7487, 2 * 119043, 8 },
                 { "mutag", 188, 3371, 2 * 3721, 2 },
                 { "proteins", 1113, 43471, 2 * 81044, 2 } };
    for (int i = 0; i < (int)(sizeof sets / sizeof sets[0]); i++) {
        glia_graph_data *d = open_good(sets[i].name);
        assert_int_equal(glia_graph_data_graphs(d), sets[i].graphs);
        assert_int_equal(glia_graph_data_nodes(d), sets[i].nodes);
        assert_int_equal(glia_graph_data_edges(d), sets[i].edges);
        assert_int_equal(glia_graph_data_classes(d, sets[i].graphs > 1 ? GLIA_OF_GRAPHS : GLIA_OF_NODES),
                         sets[i].classes);
        glia_graph_data_free(d);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edges_are_sorted_by_target),
        cmocka_unit_test(self_and_repeated_edges_follow_the_rules),
        cmocka_unit_test(wrong_edges_are_refused),
        cmocka_unit_test(parts_have_their_arrays),
        cmocka_unit_test(graphs_are_batched_without_padding),
        cmocka_unit_test(nodes_are_split_by_class_and_into_folds),
        cmocka_unit_test(links_are_held_out_with_pairs_that_have_none),
        cmocka_unit_test(neighbours_are_sampled),
        cmocka_unit_test(clusters_keep_neighbours_together),
        cmocka_unit_test(edge_lists_are_read),
        cmocka_unit_test(ratings_are_read),
        cmocka_unit_test(splits_are_options_of_addresses),
        cmocka_unit_test(tables_are_read),
        cmocka_unit_test(collections_are_read),
        cmocka_unit_test(walks_have_the_probabilities_of_node2vec),
        cmocka_unit_test(walks_follow_directions_and_weights),
        cmocka_unit_test(groups_are_judged_by_closed_forms),
        cmocka_unit_test(planetoids_files_are_read),
        cmocka_unit_test(hostile_files_of_planetoid_are_refused),
        cmocka_unit_test(real_graphs_have_their_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
