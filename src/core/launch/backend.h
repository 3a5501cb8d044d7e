/* backend.h - the interface of a backend, which runs programs.
 *
 * The passes partition a graph into groups, assign an address to every value that is passed between groups, and call
 * the backend to prepare one launch for each group. A run executes the launches in order, without decisions or
 * allocation.
 *
 *   graph ── fuse ──► groups ── plan ──► addresses ── prepare ──► launches ── run, run, run ...
 *
 * A group is one of three kinds:
 *
 *   SINGLE    one node of any op.
 *   LOOP      elementwise nodes over one shape, `space`, computed in one pass; may end with reductions (sum, max) of
 *             values of that shape, all over the same axes, which nothing else in the group reads. Exception: row
 *             reductions, over the last axis alone, may be read in the group, through a broadcast or by elementwise
 *             nodes of their shape (one value per row).
 *   EPILOGUE  `anchor` (a matrix product, a convolution) followed by elementwise nodes of its shape, computed on
 *             each tile of the anchor's result while it is in cache.
 *
 * In LOOP and EPILOGUE groups `nodes` also holds nodes that are never materialised there: scalar constants (immediates)
 * and broadcast nodes whose source is one of the group's inputs or such a constant. Other groups may hold the same
 * node. A group's elementwise nodes may mix dtypes if the backend reports each as `fusable`.
 */
#ifndef GLIA_SRC_CORE_LAUNCH_BACKEND_H
#define GLIA_SRC_CORE_LAUNCH_BACKEND_H

#include "core/graph/graph.h"
#include "glia/program.h"

typedef struct glia_inner glia_inner;

typedef enum glia_group_kind { GLIA_GROUP_SINGLE, GLIA_GROUP_LOOP, GLIA_GROUP_EPILOGUE } glia_group_kind;

typedef struct glia_group {
    glia_group_kind kind;
    glia_shape space;     /* LOOP, EPILOGUE: shape of every elementwise node */
    glia_node **nodes;    /* in topological order */
    int n_nodes;
    glia_node *anchor;    /* SINGLE: the node; EPILOGUE: the product, nodes[0]; LOOP: NULL */
    glia_node **inputs;   /* values read from outside, each once: sources of broadcasts, not the broadcasts */
    int n_inputs;
    glia_node **outputs;  /* values needed outside: these are written, others stay in registers */
    int n_outputs;
    const glia_inner *inner; /* SINGLE with a body, if the backend has `bodies`: the compiled body; else NULL */
    const bool *fixed;    /* by node id: the value does not change after a launch's setup has run; NULL: none */
} glia_group;

typedef struct glia_backend_kind glia_backend_kind;

struct glia_backend {
    const glia_backend_kind *kind;
    glia_pool *pool;      /* NULL: one thread */
    glia_isa isa;
    const void *kernels;  /* the backend's own table */
    char description[96];
};

/* What programs depend on: a program compiled for one backend runs on any other with the same traits. */
typedef struct glia_backend_traits {
    const glia_backend_kind *kind;
    const void *kernels;
    int workers;
} glia_backend_traits;
static inline glia_backend_traits glia_backend_traits_of(const glia_backend *b) {
    return (glia_backend_traits){ b->kind, b->kernels, glia_pool_size(b->pool) };
}

/* One kernel call, with its pointers. Derived structs have this as their first member. */
typedef struct glia_launch glia_launch;
struct glia_launch {
    void (*run)(const glia_launch *launch, glia_pool *pool);
    const char *kernel; /* kernel name, for printing: "gemm_f32", "loop", "ref" */
    /* Packs the fixed value of `keeps`. Called once the value is computed, before the first run, and again after it
     * changes. NULL: nothing is packed. */
    void (*setup)(const glia_launch *launch, glia_pool *pool);
};

struct glia_backend_kind {
    const char *name;
    bool bodies;        /* loops run the launches of their compiled body: see glia_group.inner */
    bool channels_last; /* convolution and pooling prefer (N, spatial..., C): see core/passes/layout.c */
    glia_status (*open)(glia_backend *backend, int threads, glia_error *error);
    /* Composites only: true if there is a kernel for the node, which is then not expanded. */
    bool (*has_kernel)(const glia_backend *backend, const glia_node *node);
    /* May this elementwise node (or cast) be part of a LOOP or EPILOGUE? May this node be an EPILOGUE's anchor? May
     * this reduction end a LOOP? NULL: never. */
    bool (*fusable)(const glia_backend *backend, const glia_node *node);
    bool (*anchors)(const glia_backend *backend, const glia_node *node);
    bool (*reduces)(const glia_backend *backend, const glia_node *node);
    /* May members of the LOOP read this reduction's result? It is over the last axis, kept with size 1. NULL: never. */
    bool (*reduces_rows)(const glia_backend *backend, const glia_node *node);
    /* May an output of the group share memory with one of its inputs of the same shape and element size? */
    bool (*in_place)(const glia_backend *backend, const glia_group *group);
    /* Bytes of scratch memory that a run of the group needs. Shared by all groups of a session. */
    size_t (*scratch)(const glia_backend *backend, const glia_group *group);
    /* Bytes that the launch's setup fills from a fixed value and keeps between runs: packed weights. Runs do not read
     * the fixed value itself. *from is set to the node that reads it, *operand to its input index. 0: none; NULL:
     * never. */
    size_t (*keeps)(const glia_backend *backend, const glia_group *group, const glia_node **from, int *operand);
    /* The launch, allocated in the arena. address[id] is the address of the value of node id; kept points to the bytes
     * of `keeps`. NULL and error on failure. */
    glia_launch *(*prepare)(const glia_backend *backend, const glia_group *group, void *const *address, void *scratch,
                            void *kept, glia_arena *arena, glia_error *error);
    /* One launch with the effect of `first` then `second`, at lower cost; possible if neither accesses what the other
     * writes. NULL: not available. Both are from prepare or merge, with the same scratch, and are not run
     * separately. */
    glia_launch *(*merge)(glia_launch *first, glia_launch *second, glia_arena *arena);
};


extern const glia_backend_kind glia_backend_ref, glia_backend_cpu; /* rows of the table in backend.c */

#endif
