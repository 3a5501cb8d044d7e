/* graph_data.h - internal: how data of graphs are stored.
 *
 * Edges are sorted by target, so those into node v are offsets[v] up to offsets[v + 1]: the rows of a CSR matrix.
 */
#ifndef GLIA_SRC_DATA_GRAPHS_GRAPH_DATA_H
#define GLIA_SRC_DATA_GRAPHS_GRAPH_DATA_H

#include "core/tensor/tensor.h"
#include "glia/graphs.h"

typedef struct glia_graph_array {
    char *name;
    glia_dtype dtype;
    glia_shape shape; /* (items, item...) */
    size_t bytes;     /* of an item */
    uint8_t *values;
} glia_graph_array;

typedef struct glia_graph_arrays {
    glia_graph_array *items;
    int n, capacity;
} glia_graph_arrays;

struct glia_graph_data {
    char *name;
    int64_t graphs, nodes, edges;
    int32_t *starts;            /* (graphs + 1) */
    int32_t *offsets, *sources; /* (nodes + 1), (edges) */
    int64_t given;              /* edges given to glia_graph_data_create() */
    int64_t *origin;            /* (edges): which of these each is; NULL: as they are */
    glia_graph_arrays parts[GLIA_GRAPH_PARTS];
    char **classes; /* (n_classes) names; NULL: none */
    int n_classes;
    bool symmetric;
};

/* Items of a part. */
int64_t glia_graph_items(const glia_graph_data *data, glia_graph_part part);
bool glia_graph_has_edge(const glia_graph_data *data, int32_t from, int32_t to);
bool glia_graph_symmetric(const glia_graph_data *data); /* looks at each edge */
/* The target of each edge, malloc()ed; NULL: out of memory. */
int32_t *glia_graph_targets(const glia_graph_data *data);
/* A new object for this many graphs, nodes and edges, without arrays, with name and symmetry of another; NULL: out of
 * memory. */
glia_graph_data *glia_graph_blank(const glia_graph_data *like, int64_t graphs, int64_t nodes, int64_t edges);
/* An array of `data` for items chosen from another: item i is that of choice[i]; -1: zeros. */
glia_status glia_graph_copy_arrays(glia_graph_data *to, const glia_graph_data *from, glia_graph_part part,
                                   const int64_t *choice, glia_error *error);
/* Adds an array of zeros as stored (edges: no order of their own) and returns it; NULL: out of memory, or the name is
 * taken. */
void *glia_graph_add_zeros(glia_graph_data *data, glia_graph_part part, const char *name, glia_dtype dtype,
                           glia_shape item, glia_error *error);
/* The array if it has this dtype and `numbers` values an item (0: any number); NULL: see error, which says what `who`
 * needs. */
const glia_graph_array *glia_graph_need(const glia_graph_data *data, glia_graph_part part, const char *name,
                                        glia_dtype dtype, const char *who, glia_error *error);
/* Of the items to learn from, this share of each class goes to validation; the array "split" must be there. */
glia_status glia_graph_hold_out(glia_graph_data *data, glia_graph_part part, double share, uint64_t seed,
                                glia_error *error);
const char *glia_graph_part_name(glia_graph_part part); /* "nodes" */

#endif
