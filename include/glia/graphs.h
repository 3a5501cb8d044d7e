/* graphs.h - networks of nodes and edges: data, message passing, node and link prediction, recommendation.
 *
 * Data (glia_graph_data) are one graph or many: edges, and named arrays with a value for each node, edge or graph.
 * (glia_graph is something else: the computation graph of tensor.h.) Several graphs are one larger graph without edges
 * between them, so a batch needs no padding:
 *
 *     glia_graph_data *cora = glia_graph_data_open("cora", NULL, &error);
 *     glia_graph_data *batch = glia_graph_data_select(molecules, indices, 32, &error);
 *
 * Threads: any number may read one object; changing it needs exclusive access.
 */
#ifndef GLIA_GRAPHS_H
#define GLIA_GRAPHS_H

#include "glia/layers.h"
#include "glia/model.h"
#include "glia/words.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ==== data ======================================================================================= */

typedef struct glia_graph_data glia_graph_data;

/* What is done with an edge from a node to itself, and with a second edge between the same two nodes. */
typedef enum glia_edge_rule {
    GLIA_EDGES_KEEP,
    GLIA_EDGES_DROP,  /* leave self edges out; of equal ones keep the first */
    GLIA_EDGES_REFUSE /* an error that names the edge */
} glia_edge_rule;

/* Edges (from[i], to[i]) of nodes 0 to nodes - 1; a message goes from `from` to `to`. */
typedef struct glia_graph_edges {
    int64_t nodes, edges; /* nodes >= 1; edges may be 0 */
    const int32_t *from, *to;
    bool undirected;                   /* each edge is also stored the other way round (once if it is a self edge) */
    glia_edge_rule self, repeated;     /* undirected: (a, b) and (b, a) are equal */
    const int64_t *node_counts;        /* several graphs: nodes of each, in order; NULL: one graph */
    int64_t graphs;                    /* length of node_counts */
} glia_graph_edges;
/* The edges are copied and sorted by target, and by source where targets are equal. NULL: see error. GLIA_E_ARGUMENT:
 * an edge to a node that is not there or of another graph, no nodes. */
GLIA_API glia_graph_data *glia_graph_data_create(const char *name, glia_graph_edges edges, glia_error *error);
GLIA_API void glia_graph_data_free(glia_graph_data *data);

GLIA_API const char *glia_graph_data_name(const glia_graph_data *data);
GLIA_API int64_t glia_graph_data_graphs(const glia_graph_data *data);
GLIA_API int64_t glia_graph_data_nodes(const glia_graph_data *data);
GLIA_API int64_t glia_graph_data_edges(const glia_graph_data *data);        /* stored, so 2 for an undirected one */
GLIA_API const int32_t *glia_graph_data_sources(const glia_graph_data *data); /* (edges): where each comes from */
GLIA_API const int32_t *glia_graph_data_offsets(const glia_graph_data *data); /* (nodes + 1): edges into each node */
GLIA_API const int32_t *glia_graph_data_starts(const glia_graph_data *data);  /* (graphs + 1): nodes of each graph */
/* Whether each edge has an opposite one. */
GLIA_API bool glia_graph_data_symmetric(const glia_graph_data *data);

/* What an array has a value for. */
typedef enum glia_graph_part { GLIA_OF_NODES, GLIA_OF_EDGES, GLIA_OF_GRAPHS, GLIA_GRAPH_PARTS } glia_graph_part;

/* Adds an array: `values` has one item of this shape (rank 0: a number) for each node, edge or graph; copied. For edges
 * in the order in which glia_graph_data_create() was given them (an opposite edge gets the same value). A name that is
 * taken is an error.
 *
 * Readers and methods use these names: "x" features (f32); "label" (i32) of nodes or graphs, -1: unknown; "target" (f32
 * (T)) of graphs, NaN: unknown; "split" (u8) of nodes or graphs: GLIA_PART_TRAIN, ...; of edges "weight" (f32), "type"
 * (i32), "x" (f32). */
enum { GLIA_PART_TRAIN, GLIA_PART_VALIDATION, GLIA_PART_TEST, GLIA_PART_NONE };
GLIA_API glia_status glia_graph_data_add(glia_graph_data *data, glia_graph_part part, const char *name,
                                         glia_dtype dtype, glia_shape item, const void *values, glia_error *error);
/* The array of this name, with shape (items, item...), edges as stored; the values may be written. false: none. */
GLIA_API bool glia_graph_data_find(const glia_graph_data *data, glia_graph_part part, const char *name,
                                   glia_array *array);
/* The arrays of a part in order; false: no such index. */
GLIA_API bool glia_graph_data_at(const glia_graph_data *data, glia_graph_part part, int index, glia_array *array);
/* Classes of the label of nodes or graphs: 1 + the largest; 0: there are none. */
GLIA_API int glia_graph_data_classes(const glia_graph_data *data, glia_graph_part part);
/* The name of a class, or its number as text in `number` (room for 16 bytes). */
GLIA_API const char *glia_graph_data_class_name(const glia_graph_data *data, int label, char *number);
GLIA_API glia_status glia_graph_data_name_classes(glia_graph_data *data, const char *const *names, int n,
                                                  glia_error *error);

/* ---- parts of data --------------------------------------------------------------------------- */

/* These graphs, in this order, as one batch with all arrays. */
GLIA_API glia_graph_data *glia_graph_data_select(const glia_graph_data *data, const int64_t *graphs, int64_t n,
                                                 glia_error *error);
/* The graph that these different nodes induce: node i is nodes[i] of `data`, with the edges between them. All nodes in
 * another order: a permutation. The result is one graph. */
GLIA_API glia_graph_data *glia_graph_data_induce(const glia_graph_data *data, const int32_t *nodes, int64_t n,
                                                 glia_error *error);
/* The same nodes with those edges (indices as stored) where keep[e] is not 0. */
GLIA_API glia_graph_data *glia_graph_data_filter(const glia_graph_data *data, const uint8_t *keep, glia_error *error);
/* With a self edge at each node that has none. Their values: weight 1, all others 0. */
GLIA_API glia_graph_data *glia_graph_data_add_loops(const glia_graph_data *data, glia_error *error);

/* Neighbour sampling, Hamilton et al. 2017: the part of a graph with these different nodes (they are its first ones),
 * at most fanouts[0] of the edges into each of them, fanouts[1] of those into the nodes found so, and so on; edges are
 * chosen without replacement, and all arrays of nodes and edges come along. The same seed gives the same part. The
 * sampler holds memory for one call at a time; the data must outlive it. Time and memory of a call are in proportion to
 * the part. */
typedef struct glia_graph_sampler glia_graph_sampler;
GLIA_API glia_graph_sampler *glia_graph_sampler_create(const glia_graph_data *data, glia_error *error);
GLIA_API void glia_graph_sampler_free(glia_graph_sampler *sampler);
GLIA_API glia_graph_data *glia_graph_sample(glia_graph_sampler *sampler, const int32_t *nodes, int64_t n,
                                            const int *fanouts, int layers, uint64_t seed, glia_error *error);
/* cluster[v] in [0, clusters): groups of at most ceil(nodes / clusters) nodes, grown breadth first, so that many edges
 * lie within one; glia_graph_data_induce() makes a batch of some (Chiang et al. 2019, "Cluster-GCN", which uses
 * METIS). */
GLIA_API glia_status glia_graph_clusters(const glia_graph_data *data, int64_t clusters, uint64_t seed,
                                         int32_t *cluster, glia_error *error);

/* Random walks of second order, Grover and Leskovec 2016, "node2vec": from v, reached from t, to x in proportion to the
 * weight of the edge ("weight", or 1) times 1/p if x is t, 1 if an edge goes from t to x, else 1/q. With p = q = 1 they
 * are DeepWalk's (Perozzi et al. 2014). `walks` from each node, (walks nodes, length), in turns of all nodes; -1 after
 * a node that no edge leaves. Each walk is a function of seed and its index. */
typedef struct glia_walk_opts {
    int64_t walks, length; /* of each node; nodes of a walk */
    double p, q;           /* 0: 1 */
    uint64_t seed;
} glia_walk_opts;
GLIA_API glia_status glia_graph_walks(const glia_graph_data *data, glia_walk_opts opts, int32_t *walks,
                                      glia_error *error);
/* Newman and Girvan 2004: the share of edges within groups, less what it would be by the degrees alone. groups (nodes),
 * from 0. NaN without edges. */
GLIA_API glia_status glia_graph_modularity(const glia_graph_data *data, const int32_t *groups, double *modularity,
                                           glia_error *error);
/* What two groupings of n items tell of each other, divided by the mean of their entropies: 1 if they are the same but
 * for names. Items in a group below 0 are left out; groups are below n. */
GLIA_API glia_status glia_normalized_mutual_information(const int32_t *a, const int32_t *b, int64_t n,
                                                        double *information, glia_error *error);

/* Factors of edges, (edges), from their weights ("weight", or 1) and the sums of weights into each node, d:
 * SYMMETRIC w / sqrt(d_from d_to), Kipf and Welling 2017, after glia_graph_data_add_loops(); MEAN w / d_to. 0 where d
 * is 0. */
typedef enum glia_edge_norm { GLIA_EDGES_PLAIN, GLIA_EDGES_SYMMETRIC, GLIA_EDGES_MEAN } glia_edge_norm;
GLIA_API glia_status glia_graph_data_weights(const glia_graph_data *data, glia_edge_norm norm, float *weights,
                                             glia_error *error);

/* ---- splits ------------------------------------------------------------------------------------ */

/* Marks nodes (part GLIA_OF_NODES) or graphs at random: `train` and `validation` of each class, all others for the test
 * (Shchur et al. 2018: 20 and 30). (Re)writes the array "split". GLIA_E_ARGUMENT: a class has fewer. */
GLIA_API glia_status glia_graph_split_by_class(glia_graph_data *data, glia_graph_part part, int64_t train,
                                               int64_t validation, uint64_t seed, glia_error *error);
/* Marks these shares of the nodes or graphs at random, others for the training. */
GLIA_API glia_status glia_graph_split_randomly(glia_graph_data *data, glia_graph_part part, double validation,
                                               double test, uint64_t seed, glia_error *error);
/* folds[i] in [0, n): each fold has the classes' proportions of the label of graphs, or of nodes. */
GLIA_API glia_status glia_graph_folds(const glia_graph_data *data, glia_graph_part part, int n, uint64_t seed,
                                      int32_t *folds, glia_error *error);
/* Splits molecules by their Bemis-Murcko scaffolds (the array "scaffold" of graphs, which the reader of SMILES makes):
 * the largest groups train, the smallest test, so that no scaffold is in two parts (Wu et al. 2018, "MoleculeNet"). */
GLIA_API glia_status glia_graph_split_by_scaffold(glia_graph_data *data, double validation, double test,
                                                  glia_error *error);

/* Links held out for validation and test, Kipf and Welling 2016, "Variational graph auto-encoders". */
typedef struct glia_link_split {
    glia_graph_data *train; /* all nodes, without the edges held out */
    int64_t n[2];           /* undirected edges held out, and as many pairs without an edge: validation, test */
    int32_t *edges[2];      /* (n, 2) */
    int32_t *others[2];     /* (n, 2): pairs of different nodes that no edge connects, each pair at most once */
} glia_link_split;
/* For symmetric data of one graph. validation and test: shares of the edges; VGAE's are 0.05 and 0.1. */
GLIA_API glia_status glia_graph_split_links(const glia_graph_data *data, double validation, double test, uint64_t seed,
                                            glia_link_split *split, glia_error *error);
GLIA_API void glia_link_split_free(glia_link_split *split);

/* ---- readers ----------------------------------------------------------------------------------- */

/* By name or address; files may be gzipped, options follow as ?name=value&name=value.
 *
 *   cora, amazon_photo, pubmed_graph   folders in `folder`, $GLIA_DATA, ./data: features.svm or labels.txt, edges.csv,
 *                                      split.csv
 *   mutag, proteins                    tu/MUTAG.txt, tu/PROTEINS.txt there; "gin:FILE": graphs in GIN's text
 *   tu:FOLDER/NAME                     NAME_A.txt, NAME_graph_indicator.txt, ... of the TU collections
 *   edges:FILE                         a line an edge, "FROM TO [WEIGHT]", comments with #: SNAP's lists, CSV. Options
 *                                      directed=1, nodes=N (else 1 + the largest number)
 *   table:NODES,EDGES                  two CSV with headers: columns id, label, split, numbers (features x);
 *                                      from, to (or source, target), weight, type, numbers (features x). directed=1
 *   esol, bbbp, ...                    molecules/NAME.csv there; "smiles:FILE": a CSV with SMILES (column smiles=NAME),
 *                                      target=COLUMN (values) or label=COLUMN (classes)
 *
 *   planetoid:FOLDER/NAME              Planetoid's ind.NAME.x, .y, .tx, .ty, .allx, .ally, .graph and .test.index
 *   movielens                          movielens/ratings.csv there; "ratings:FILE": columns user, item, rating: a graph
 *                                      of users and items
 *
 * Options of all: split=random:VALIDATION:TEST (shares), split=class:TRAIN:VALIDATION (of each class), or
 * split=scaffold:VALIDATION:TEST; fold=K/FOLDS: stratified, the fold K is for the test, the next one for validation;
 * seed=N of these. fold=K/FOLDS/SHARE: instead of the next fold, this share of all others, stratified, is for
 * validation; 0: none. folds=COLUMN: the folds are those of this column of folds.csv beside the file (columns dataset,
 * graph and others), not drawn. part=validation: the fold is for validation and nothing for the test, as the authors of
 * GIN do. They (re)write the array "split".
 *
 * Self edges and repeated edges of files are dropped. NULL: see error, with file and line. */
GLIA_API glia_graph_data *glia_graph_data_open(const char *address, const char *folder, glia_error *error);
/* Whether this address is one of graphs. */
GLIA_API bool glia_graph_data_is_address(const char *address);
/* Fills at most `capacity` kinds of addresses; returns their number. */
typedef struct glia_graph_format {
    const char *syntax, *what;
} glia_graph_format;
GLIA_API int glia_graph_data_formats(glia_graph_format *out, int capacity);

/* Molecules as graphs: a node an atom (hydrogens implicit), bonds both ways. Arrays of nodes: "atomic_number",
 * "degree", "charge", "hydrogens", "aromatic", "in_ring" (i32), "x" (f32, one-hot codes of these); of edges "type"
 * (i32: 0 single, 1 double, 2 triple, 3 aromatic, 4 quadruple) and "x". Rings of 5 to 7 atoms that are written with
 * double bonds become aromatic by the rule of 4n + 2 electrons. n texts; molecules without a bond are fine.
 * GLIA_E_FORMAT: "molecule 3, position 7: the ring 1 is not closed". */
GLIA_API glia_graph_data *glia_graph_data_smiles(const char *const *texts, int64_t n, glia_error *error);

/* ==== layers ====================================================================================== */

/* Edges in a computation graph: a CSR matrix whose rows are targets. */
typedef struct glia_edges {
    glia_tensor sources; /* (E) i32 */
    glia_tensor offsets; /* (V + 1) i32: of the edges into each node */
    glia_tensor weights; /* (E) f32; NULL: all 1 */
} glia_edges;
/* The inputs "edges/sources" (GLIA_EDGES), "edges/offsets" (GLIA_PLUS_ONE(GLIA_NODES)) and, if weighted,
 * "edges/weights" (GLIA_EDGES) of a graph. */
GLIA_API glia_edges glia_edges_input(glia_graph *graph, bool weighted);
/* Data as constants of a graph, with these factors. */
GLIA_API glia_edges glia_edges_constant(glia_graph *graph, const glia_graph_data *data, glia_edge_norm norm);
/* Rong et al. 2020, "DropEdge": in training each edge is left out with this probability, anew in each step; nothing is
 * rescaled. */
GLIA_API glia_edges glia_edge_dropout(glia_edges edges, double rate);

/* x (V, F) -> (V, F): the sum of w x_from over the edges into each node; the mean (not weighted); the maximum (0 for a
 * node without edges). */
GLIA_API glia_tensor glia_propagate(glia_tensor x, glia_edges edges);
GLIA_API glia_tensor glia_propagate_mean(glia_tensor x, glia_edges edges);
GLIA_API glia_tensor glia_propagate_max(glia_tensor x, glia_edges edges);
/* x (V, heads units), weights (E, heads): the sum with weights of its own for each head. */
GLIA_API glia_tensor glia_propagate_heads(glia_tensor x, glia_edges edges, glia_tensor weights);
/* SGC's smoothing, Wu et al. 2019: `steps` times glia_propagate(). */
GLIA_API glia_tensor glia_smooth(glia_tensor x, glia_edges edges, int steps);
/* Gasteiger et al. 2019, "Predict then propagate": z <- (1 - alpha) A z + alpha x, `steps` times from z = x. */
GLIA_API glia_tensor glia_appnp(glia_tensor x, glia_edges edges, int steps, double alpha);
/* He et al. 2020, "LightGCN": the mean of x, A x, ..., A^layers x. */
GLIA_API glia_tensor glia_lightgcn(glia_tensor x, glia_edges edges, int layers);

/* Options of layers on nodes: x (V, F) -> (V, units). `sparse` with `features` columns stands in the place of x (then
 * NULL): bags of words need no dense matrix; its kernel is (features, units). */
typedef struct glia_node_opts {
    int units;
    bool no_bias;
    glia_init kernel_init; /* default: Glorot uniform */
    glia_csr sparse;
    int features;
} glia_node_opts;
/* Kipf and Welling 2017: A x kernel^T + bias, for edges with GLIA_EDGES_SYMMETRIC factors and loops. Parameters kernel
 * (units, F), bias (units). */
GLIA_API glia_tensor glia_gcn(glia_tensor x, glia_edges edges, const char *name, glia_node_opts opts);
/* x kernel^T + bias for dense or sparse features. */
GLIA_API glia_tensor glia_node_dense(glia_tensor x, const char *name, glia_node_opts opts);
/* Veličković et al. 2018: heads of `units` numbers, each a mean of neighbours by weights
 * softmax(leaky_relu(a_to h_to + a_from h_from)); v2: Brody et al. 2022, a leaky_relu(h_to + h_from) with two kernels.
 * Result (V, heads units), or with `average` (V, units). Data need loops for a node to see itself. */
typedef struct glia_gat_opts {
    glia_node_opts node;
    int heads;      /* 0: 1 */
    bool average;   /* of the heads, for the last layer */
    bool v2;
    double slope;   /* of leaky relu; 0: 0.2 */
    double dropout; /* of the weights */
} glia_gat_opts;
/* Parameters kernel (heads units, F), from and to (heads, units), bias; v2: kernel_from and kernel_to (heads units, F)
 * with bias_from and bias_to, attention (heads, units), bias. */
GLIA_API glia_tensor glia_gat(glia_tensor x, glia_edges edges, const char *name, glia_gat_opts opts);
/* Hamilton et al. 2017, GraphSAGE: kernel_self x + kernel (mean of neighbours) + bias; pool: the maximum of
 * relu(pool/kernel x_from + pool/bias) instead of the mean. */
typedef struct glia_sage_opts {
    glia_node_opts node;
    bool pool;
    bool normalize; /* rows of the result get length 1 */
} glia_sage_opts;
GLIA_API glia_tensor glia_sage(glia_tensor x, glia_edges edges, const char *name, glia_sage_opts opts);
/* Xu et al. 2019, GIN: (1 + eps) x + the sum of neighbours, before an MLP of the caller; parameter eps (), 0 at first,
 * if `learns`. */
GLIA_API glia_tensor glia_gin_sum(glia_tensor x, glia_edges edges, const char *name, bool learns);
/* Gilmer et al. 2017, "Neural message passing": kernel_self x + the sum of theta_e x_from + bias. theta (E, units F),
 * made from features of edges: theta[e] is a matrix (F, units). */
GLIA_API glia_tensor glia_edge_conv(glia_tensor x, glia_edges edges, glia_tensor theta, const char *name, int units);
/* Schlichtkrull et al. 2018, R-GCN: kernel_self x + over relations r the mean of kernel[r] x_from over edges of type r
 * + bias. types (E) i32 in [0, relations). Parameters kernel (relations, F, units), kernel_self (F, units), bias. */
GLIA_API glia_tensor glia_rgcn(glia_tensor x, glia_edges edges, glia_tensor types, int relations, const char *name,
                               int units);

/* Cai et al. 2021, GraphNorm: x - mean_scale mean, divided by its deviation within each graph. starts (N + 1): the
 * nodes of each graph. Parameters scale, shift, mean_scale (F). */
GLIA_API glia_tensor glia_graph_norm(glia_tensor x, glia_tensor starts, const char *name);
/* Xu et al. 2018, "Jumping knowledge": n layers (V, F) together: side by side, or the maximum. */
typedef enum glia_jump { GLIA_JUMP_CONCAT, GLIA_JUMP_MAX } glia_jump;
GLIA_API glia_tensor glia_jumping_knowledge(const glia_tensor *xs, int n, glia_jump jump);
/* x (V, F) -> (N, F) over the nodes of each graph. ATTENTION: the sum of softmax(gate) x, where gate is a dense layer
 * NAME/gate of one unit (Li et al. 2016); other kinds need no name. */
typedef enum glia_read_out_kind {
    GLIA_READ_SUM,
    GLIA_READ_MEAN,
    GLIA_READ_MAX,
    GLIA_READ_ATTENTION
} glia_read_out_kind;
GLIA_API glia_tensor glia_read_out(glia_tensor x, glia_tensor starts, glia_read_out_kind kind, const char *name);
/* Vinyals et al. 2016, "Order matters", as Gilmer et al. 2017 use it: x (V, F) -> (N, 2 F). `steps` times an LSTM asks
 * with q, and the next thing that it sees is q beside the sum of softmax(q x) x over the nodes of each graph.
 * Parameters kernel (4 F, 2 F), recurrent (4 F, F), bias (4 F), gates in PyTorch's order. */
GLIA_API glia_tensor glia_set2set(glia_tensor x, glia_tensor starts, int steps, const char *name);

/* ==== models ======================================================================================= */

/* What a model for data must fit. */
typedef struct glia_graph_sizes {
    int features, edge_features; /* columns of "x" of nodes and edges; 0: there are none */
    int outputs;                 /* classes of "label" of nodes (one graph) or of graphs, or columns of "target" */
    int relations;               /* 1 + the largest "type" of edges; 0: there are none */
    int64_t nodes;
    bool graphs;   /* the answers are of graphs */
    bool sparse;   /* fewer than a tenth of the features are not 0, and one graph */
} glia_graph_sizes;
GLIA_API glia_graph_sizes glia_graph_data_sizes(const glia_graph_data *data);

/* A model of graphs is a glia_model whose inputs have these names; methods and predictions fill in those that it has:
 *
 *     x                                 (V, F) f32
 *     x/values, x/columns, x/offsets    the same as a sparse matrix: (N), (N) i32, (V + 1) i32
 *     edges/sources, edges/offsets      (E) i32, (V + 1) i32
 *     edges/weights, edges/types, edges/x    (E), (E) i32, (E, F)
 *     graphs/starts                     (N + 1) i32: nodes of each graph; only without a sparse x
 *
 * Its first output is (V, K) for nodes, (N, K) for graphs. glia_model_nodes() declares x as it suits the sizes, and
 * returns options of the first layer with units; *x is NULL if it is sparse. glia_model_edges() declares edges, and
 * notes in the model's metadata ("graph.edges") what is to be done to data: loops and factors. */
GLIA_API glia_node_opts glia_model_nodes(glia_model *model, glia_graph_sizes sizes, int units, glia_tensor *x);
GLIA_API glia_edges glia_model_edges(glia_model *model, glia_edge_norm norm, bool loops);
GLIA_API glia_tensor glia_model_starts(glia_model *model);
/* y times a deviation plus a mean, states "target/deviation" and "target/mean" (K) that the methods "nodes" and
 * "graphs" set to those of the targets to learn from, so that y has mean 0 and deviation 1. y (N, K) or (V, K). */
GLIA_API glia_tensor glia_model_scale(glia_model *model, glia_tensor y);

/* The methods "nodes" and "graphs" (glia_train() with glia_fit_opts.graphs) learn classes from the array "label", or,
 * if there is none, values from "target": of nodes with one graph in full, of graphs in batches. The array "split" says
 * from which and on which to measure; without it all are learned from. docs/graphs.md has settings and figures.
 *
 * glia_graph_predict() writes the first output for all nodes (V, K) or graphs (N, K): out has room for `capacity`
 * floats; *columns gets K. With out NULL only *columns is set. */
typedef struct glia_graph_predict_opts {
    glia_backend *backend; /* NULL: "cpu" with `threads` */
    int threads;
} glia_graph_predict_opts;
GLIA_API glia_status glia_graph_predict(glia_model *model, const glia_graph_data *data, glia_graph_predict_opts opts,
                                        float *out, int64_t capacity, int64_t *columns, glia_error *error);

/* Answers of a net for all nodes of a large graph, layer by layer (Hamilton et al. 2017): of each layer for `batch`
 * nodes and all their neighbours at a time, so memory is that of the vectors of two layers, and no vector is computed
 * twice. `build` makes layer 0, 1, ... of x (V, F), of the net whose parameters the store has. */
typedef glia_tensor glia_graph_layer(glia_tensor x, glia_edges edges, int layer, void *context);
typedef struct glia_graph_layers {
    glia_graph_layer *build;
    void *context;
    int layers;
    glia_edge_norm norm;   /* PLAIN: edges have no factors */
    int64_t batch;         /* 0: 4096 */
    glia_backend *backend; /* NULL: "cpu" with `threads` */
    int threads;
} glia_graph_layers;
/* From the array "x" of nodes (f32) to out (nodes, K) of the last layer, K = `columns`; GLIA_E_SHAPE if K is another.
 * The bits are the same at any number of threads. */
GLIA_API glia_status glia_graph_infer_layers(const glia_graph_data *data, glia_store *store, glia_graph_layers how,
                                             float *out, int64_t columns, glia_error *error);

/* A drawing of a graph as SVG, its nodes placed by forces (Fruchterman and Reingold 1991). */
typedef struct glia_graph_svg_opts {
    const int32_t *groups; /* (nodes): coloured by group, with eight colours; NULL: all the same */
    const int32_t *truth;  /* (nodes): nodes of another group than this get a dark rim; NULL: none */
    int width;             /* pixels; 0: by the number of nodes */
    uint64_t seed;         /* of the places */
} glia_graph_svg_opts;
/* Release with free(). NULL: see error. */
GLIA_API char *glia_graph_svg(const glia_graph_data *data, glia_graph_svg_opts opts, glia_error *error);

/* ==== links and recommendations ===================================================================== */

/* The ranking of n scores of edges and m of pairs without one. auc: area under the ROC curve; ap: average precision;
 * equal scores count half, or have one rank. hits10, hits50, hits100: the share of edges above the 10th (50th, 100th)
 * best of the others; mrr: the mean of 1 / (1 + the number of others that are better) (Hu et al. 2020, "Open graph
 * benchmark"). */
typedef struct glia_ranking {
    double auc, ap, hits10, hits50, hits100, mrr;
} glia_ranking;
GLIA_API glia_status glia_rank_links(const float *edges, int64_t n, const float *others, int64_t m, glia_ranking *out,
                                     glia_error *error);

/* Adds one user's figures at k (at most GLIA_RECOMMENDED_MOST) to sums over users: nDCG (log2 discounts, binary), the
 * mean average precision (precisions at the ranks of hits, divided by min(k, relevant items)), precision, recall. Items
 * where seen[i] is not 0 are left out; a user without relevant items is not counted. */
enum { GLIA_RECOMMENDED_MOST = 1000 };
typedef struct glia_recommended {
    double ndcg, map, precision, recall; /* sums */
    int64_t users;
} glia_recommended;
GLIA_API void glia_rank_items(const float *scores, const uint8_t *relevant, const uint8_t *seen, int64_t items, int k,
                              glia_recommended *sum);

/* The methods "links" and "recommend" learn vectors of nodes so that the dot product of two says how likely they are
 * connected. The model's first output "vector" is (V, K).
 *
 *     links       graph auto-encoders, Kipf and Welling 2016: held out edges against pairs without one. With an output
 *                 "log_deviation" (V, K) the vectors are drawn in training, and their divergence from N(0, 1) is added
 *     recommend   users and items ("kind" of nodes: 0 and 1): a user's item before one that is not (BPR, Rendle et al.
 *                 2009). A share of the edges is for the test */

/* ==== vectors of nodes by walks ===================================================================== */

/* The method "node2vec", on an empty model: word2vec (words.h) on glia_graph_walks(), whose words are the numbers of
 * nodes. Optimiser and schedule are those of word2vec. glia_assess() gives the accuracy of a logistic regression on the
 * vectors, and groups of nodes by k-means: their modularity, and their mutual information with the labels.
 *
 * The vectors of such a model for a graph of `nodes` nodes: word i, "i", is node i. NULL: see error. */
GLIA_API glia_vectors *glia_node_vectors(const glia_model *model, int64_t nodes, glia_error *error);

#ifdef __cplusplus
}
#endif

#endif
