/* backend.h - what a place to run programs must be able to do.
 *
 * The passes cut a graph into groups, give every value that crosses a group's border an address, and ask the backend to
 * prepare one launch for each group. Running a program is a walk over its launches; nothing is decided or allocated then.
 *
 *   graph ── fuse ──► groups ── plan ──► addresses ── prepare ──► launches ── run, run, run ...
 *
 * A group is one of three kinds:
 *
 *   SINGLE    one node of any op.
 *   LOOP      elementwise nodes over one shape, `space`, as a single pass over it; at the end there may be reductions
 *             (sum, max) of values of that shape, all over the same axes: nothing else in the group reads one of these.
 *             Reductions of rows, over the last axis alone, are an exception: members may read them, through a broadcast
 *             or as elementwise nodes of their shape, a value for each row.
 *   EPILOGUE  `anchor` (a matrix product, a convolution) and elementwise nodes of its shape that follow it, done on each
 *             tile of the anchor's result while it is in cache.
 *
 * In LOOP and EPILOGUE groups `nodes` also holds what is never materialised there: scalar constants (immediates) and
 * broadcast nodes whose source is one of the group's inputs or such a constant. Other groups may hold the same node.
 * A group's elementwise nodes may mix dtypes as far as the backend said `fusable` for each.
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
    const glia_inner *inner; /* SINGLE with a body, for a backend that wants `bodies`: that, compiled; else NULL */
    const bool *fixed;    /* by node id: the value stays what it is when a launch's setup has run; NULL: none does */
} glia_group;

typedef struct glia_backend_kind glia_backend_kind;

struct glia_backend {
    const glia_backend_kind *kind;
    glia_pool *pool;      /* NULL: one thread */
    glia_isa isa;
    const void *kernels;  /* the backend's own table */
    char description[96];
};

/* What programs depend on: one that was compiled for a backend runs on any other with the same traits. */
typedef struct glia_backend_traits {
    const glia_backend_kind *kind;
    const void *kernels;
    int workers;
} glia_backend_traits;
static inline glia_backend_traits glia_backend_traits_of(const glia_backend *b) {
    return (glia_backend_traits){ b->kind, b->kernels, glia_pool_size(b->pool) };
}

/* One kernel start, with its pointers. Derived structs put this first. */
typedef struct glia_launch glia_launch;
struct glia_launch {
    void (*run)(const glia_launch *launch, glia_pool *pool);
    const char *kernel; /* what runs, for printing: "gemm_f32", "loop", "ref" */
    /* Packs the fixed value of `keeps`. Called as soon as that is there, before the first run, and again when it has
     * changed. NULL: nothing is packed. */
    void (*setup)(const glia_launch *launch, glia_pool *pool);
};

struct glia_backend_kind {
    const char *name;
    bool bodies;        /* loops are run launch by launch: see glia_group.inner */
    bool channels_last; /* convolution and pooling want (N, spatial..., C): see core/passes/layout.c */
    glia_status (*open)(glia_backend *backend, int threads, glia_error *error);
    /* Composites only: true keeps the node whole because there is a kernel for it. */
    bool (*has_kernel)(const glia_backend *backend, const glia_node *node);
    /* May this elementwise node (or cast) be part of a LOOP or EPILOGUE? May this node be an EPILOGUE's anchor? May this
     * reduction end a LOOP? NULL: never. */
    bool (*fusable)(const glia_backend *backend, const glia_node *node);
    bool (*anchors)(const glia_backend *backend, const glia_node *node);
    bool (*reduces)(const glia_backend *backend, const glia_node *node);
    /* May members of the LOOP read this reduction's result? It is over the last axis, which stays as 1. NULL: never. */
    bool (*reduces_rows)(const glia_backend *backend, const glia_node *node);
    /* May an output of the group lie where one of its inputs of the same shape and element size lies? */
    bool (*in_place)(const glia_backend *backend, const glia_group *group);
    /* Bytes that a run of the group needs besides its inputs and outputs. Shared by all groups of a session. */
    size_t (*scratch)(const glia_backend *backend, const glia_group *group);
    /* Bytes that the group's launch fills in its setup from a fixed value, which it does not read in its runs, and keeps
     * between them: packed weights. *from becomes the node that reads that value, *operand its index there. 0: none;
     * NULL: never. */
    size_t (*keeps)(const glia_backend *backend, const glia_group *group, const glia_node **from, int *operand);
    /* The launch, allocated in the arena; address[id] is where the value of the node with that id lies, kept where the
     * bytes are that it keeps. NULL and error when it cannot be done. */
    glia_launch *(*prepare)(const glia_backend *backend, const glia_group *group, void *const *address, void *scratch,
                            void *kept, glia_arena *arena, glia_error *error);
    /* One launch that does what `first` and then `second` do, at less cost, because neither touches what the other one
     * writes; NULL: there is none. Both are from prepare or merge, with the same scratch, and not run any more. */
    glia_launch *(*merge)(glia_launch *first, glia_launch *second, glia_arena *arena);
};


extern const glia_backend_kind glia_backend_ref, glia_backend_cpu; /* rows of the table in backend.c */

#endif
