/* graph.h - the graph, its nodes, and the record that describes an operation.
 *
 * A graph is an arena of nodes in topological order: a node's inputs always precede it. A node has one
 * output, whose dtype and shape are computed by its op's `infer`. Nodes are immutable; passes write new graphs
 * (rewrite.c).
 *
 *     x ─┐
 *        ├─ matmul ── add ── relu ── ...        outputs: requested values, by name
 *     w ─┘             │                        updates: (leaf, value, group): assigned by a step
 *     b ───────────────┘
 *
 * The first error while building is kept in graph->error; the failing call returns graph->bad, which every operation
 * propagates, so that model code needs no checks.
 */
#ifndef GLIA_SRC_CORE_GRAPH_GRAPH_H
#define GLIA_SRC_CORE_GRAPH_GRAPH_H

#include "core/tensor/tensor.h"
#include "glia/ops.h"

typedef struct glia_op glia_op;
typedef struct glia_node glia_node;

/* ---- attributes ---------------------------------------------------------------------------- */
/* Each op has a plain struct of attributes and a table of its fields. The table drives printing, parsing, comparison
 * and hashing, so this needs no code for each op. */

typedef enum glia_field_type {
    GLIA_FIELD_INT,    /* int64_t */
    GLIA_FIELD_FLOAT,  /* double */
    GLIA_FIELD_BOOL,   /* bool */
    GLIA_FIELD_DTYPE,  /* glia_dtype */
    GLIA_FIELD_SHAPE,  /* glia_shape; symbolic dimensions are fixed when compiling */
    GLIA_FIELD_INTS,   /* glia_shape used as a list of integers: axes, strides */
    GLIA_FIELD_STRING, /* const char *, in the arena; may be NULL */
    GLIA_FIELD_VALUES, /* glia_numbers: the numbers of a constant */
    GLIA_FIELD_GRAPH,  /* const glia_graph *: a body (body.c), in the arena; may be NULL. An op has one at most */
    GLIA_FIELD_ENUM    /* int64_t, written in text as one of the field's names */
} glia_field_type;

typedef struct glia_numbers {
    const double *v; /* in the arena */
    int64_t n;
} glia_numbers;

typedef struct glia_field {
    const char *name; /* NULL ends a table */
    glia_field_type type;
    size_t offset;
    const char *const *names; /* GLIA_FIELD_ENUM: by value, ended by NULL */
} glia_field;

#define GLIA_FIELD(type, struct_type, member)                                                                          \
    { #member, GLIA_FIELD_##type, offsetof(struct_type, member), NULL }
#define GLIA_ENUM_FIELD(struct_type, member, names)                                                                    \
    { #member, GLIA_FIELD_ENUM, offsetof(struct_type, member), names }
#define GLIA_FIELDS_END                                                                                                \
    { NULL, 0, 0, NULL }

/* The number of names of a GLIA_FIELD_ENUM. */
int glia_field_names(const glia_field *field);

/* ---- the op record ------------------------------------------------------------------------- */

typedef enum glia_op_flags {
    GLIA_OP_LEAF = 1,         /* the value is supplied, not computed: input, parameter, state, constant */
    GLIA_OP_ELEMENTWISE = 2,  /* out[i] depends on in[*][i] only; all shapes equal; may run in place; may be fused */
    GLIA_OP_ALIAS = 4,        /* the same bytes under another shape: reshape */
    GLIA_OP_COMPOSITE = 8,    /* has `expand`, which is its definition */
    GLIA_OP_COMMUTES = 16,    /* commutative: two inputs in either order */
    GLIA_OP_MODAL = 32,       /* expands differently when training: dropout, batch norm */
    GLIA_OP_STATIC = 64,      /* determined by shapes and attributes alone: count, iota */
    GLIA_OP_OVERWRITES = 128, /* input 0 with parts replaced that are not read: may run in place */
    GLIA_OP_GRADIENT_ONLY = 256 /* returns input 0; affects differentiation only; removed in lowering */
} glia_op_flags;

/* An input of a sample. The kinds avoid kinks (max, abs, relu at 0) and poles (log, division). */
typedef enum glia_sample_kind {
    GLIA_SAMPLE_UNIFORM,  /* [low, high) */
    GLIA_SAMPLE_DISTINCT, /* pairwise different by a margin, in [low, high): for maxima and sorting */
    GLIA_SAMPLE_NONZERO,  /* in [low, high) but |x| > 0.1 (low < 0 < high): for kinks at zero */
    GLIA_SAMPLE_INTEGER,  /* integers in [low, high) */
    GLIA_SAMPLE_OFFSETS   /* non-decreasing integers from 0 to high */
} glia_sample_kind;

typedef struct glia_sample_input {
    glia_dtype dtype; /* tests run F32 samples as f64 too */
    glia_shape shape;
    glia_sample_kind kind;
    double low, high; /* both 0: -1, 1 */
    bool constant;    /* the gradient in this input is not checked */
} glia_sample_input;

enum { GLIA_SAMPLE_INPUTS = 8 };

/* GLIA_SHAPE for static tables. */
#define GLIA_DIMS(...) { .rank = (int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), .dim = { __VA_ARGS__ } }

typedef struct glia_op_sample {
    const char *name; /* unique within the op; NULL ends a table */
    int n;
    glia_sample_input in[GLIA_SAMPLE_INPUTS];
    const void *attrs; /* a struct of the op's attribute type, or NULL if it has none */
    bool no_golden;    /* its value is checked elsewhere (random bits) */
} glia_op_sample;

struct glia_op {
    const char *name;
    const char *summary;         /* a line for the table in docs/ops.md, with the formula */
    int arity;                   /* -1: one or more */
    unsigned flags;
    size_t attr_size;
    const glia_field *fields;    /* of the attribute struct; NULL: none */

    /* Computes node->dtype and node->shape from inputs and attributes (shapes may be symbolic); on an error calls
     * glia_node_fail() and returns false. The constructor has normalised the attributes (axes not negative, ...). */
    bool (*infer)(glia_node *node);

    /* The definition, in double: in[i] and out are dense. Shapes are concrete. NULL for composites, which are defined
     * by expand, and for leaves except constants. */
    void (*eval)(const glia_node *node, const double *const *in, double *out);
    /* The number of doubles of scratch that eval needs after its result; NULL: none. */
    int64_t (*eval_extra)(const glia_node *node);

    /* Given dL/dnode, fills dx[i] = dL/dinput[i], leaving NULL where there is no gradient (integers, piecewise
     * constant functions). New nodes are added to the same graph. NULL: not differentiable (gradient zero); a composite
     * without one is differentiated through its expansion, a modal one through the expansion for the compiled mode. */
    void (*vjp)(glia_node *node, glia_tensor dy, glia_tensor *dx);

    /* The composite in terms of simpler ops, on these inputs, in the inputs' graph. mode matters for MODAL ops. */
    glia_tensor (*expand)(const glia_node *node, const glia_tensor *in, glia_mode mode);

    /* The states that a forward pass in training mode updates: fills next[i] with the new value of the state in[i], or
     * leaves NULL if it is unchanged; in[i] is its value before this pass. Built in the inputs' graph. NULL: none. */
    void (*moves)(const glia_node *node, const glia_tensor *in, glia_tensor *next);

    /* A composite with the same inputs and attributes. Its result is a vector: this op's value (also a vector), then
     * the values that the gradient needs. A program that needs both computes only that composite. NULL: none. */
    const glia_op *saves;

    /* The number of multiplications and additions, for program statistics; NULL: not counted. */
    double (*flops)(const glia_node *node);
};

/* Rows of src/core/ops/ops.def, and each row's samples (glia_samples_NAME, ended by a NULL name). */
const glia_op *glia_op_named(const char *name); /* leaves too; NULL: none */
int glia_op_count(void);
const glia_op *glia_op_at(int index);
const glia_op_sample *glia_op_samples(int index);

/* ---- nodes --------------------------------------------------------------------------------- */

struct glia_node {
    glia_graph *graph;
    const glia_op *op;
    glia_dtype dtype;
    glia_shape shape;
    int id;             /* index in graph->nodes */
    int n_in;
    glia_node **in;
    const void *attrs;  /* the op's attribute struct */
    const char *label;  /* layer path for messages and printing ("conv1", "fc/bias"); may be NULL */
};

typedef struct glia_named {
    const char *name;
    glia_node *node;
} glia_named;

typedef struct glia_change {
    glia_node *leaf, *value; /* after a run, value is assigned to leaf */
    const char *group;
} glia_change;

/* A tensor of the surrounding graph that a body reads, and the body's input that represents it. */
typedef struct glia_capture {
    glia_node *outer, *inner;
} glia_capture;

struct glia_graph {
    glia_arena arena;
    glia_node **nodes;
    int n_nodes, node_capacity;
    glia_named *outputs;
    int n_outputs, output_capacity;
    glia_change *updates;
    int n_updates, update_capacity;
    int n_streams;       /* random nodes created so far: each has its own stream */
    const char *label;   /* given to new nodes */
    glia_error error;    /* the first error; status GLIA_OK: none */
    glia_node *bad;      /* returned on an error; shape (), never in `nodes` */
    glia_graph *parent;  /* of a body under construction: the enclosing graph */
    glia_graph *open;    /* the body of the innermost unfinished loop in this graph; NULL: none */
    glia_graph *around;  /* of such a body: the previous value of `open` */
    bool closed;         /* it is an attribute of a node; no nodes can be added */
    glia_node *random;   /* the body's input for the random state; NULL: it draws no random numbers */
    glia_node *index;    /* the body's input for the number of the step; NULL: nothing has asked for it */
    glia_capture *captures;
    int n_captures, capture_capacity;
    glia_graph *bodies, *next_body; /* created in this graph; freed with it */
};

/* Creates a node; all constructors call it. Checks the inputs (NULL or bad ones give the bad node), deep-copies the
 * attributes (strings and values into the arena), runs infer, and appends the node. */
glia_tensor glia_node_create(glia_graph *graph, const glia_op *op, const glia_tensor *in, int n_in, const void *attrs);

/* The doubles that the node's eval writes: its result and the scratch of eval_extra. */
static inline int64_t glia_eval_count(const glia_node *node) {
    return glia_shape_count(node->shape) + (node->op->eval_extra ? node->op->eval_extra(node) : 0);
}
/* True if the node can be evaluated. False for composites and for nodes with one in their body; leaves need no
 * evaluation. */
bool glia_node_evaluates(const glia_node *node);

/* Shorthands: the graph is that of the first input. */
glia_tensor glia_node1(const glia_op *op, glia_tensor a, const void *attrs);
glia_tensor glia_node2(const glia_op *op, glia_tensor a, glia_tensor b, const void *attrs);

/* Records an error, prefixed with the op, its label and its input shapes; returns false. For use in infer. */
bool glia_node_fail(glia_node *node, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Records an error with this text; returns the bad node (NULL only if graph is NULL). For use in constructors. */
glia_tensor glia_graph_fail(glia_graph *graph, glia_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
glia_tensor glia_graph_fail_nomem(glia_graph *graph);

/* True if x cannot be built on: NULL, or the bad node. */
static inline bool glia_is_bad(glia_tensor x) { return !x || x == x->graph->bad; }

/* Sets the label of nodes created from now on; returns the previous one, for restoring. */
const char *glia_graph_label(glia_graph *graph, const char *label);

/* True if the glob matches a parameter (trainable: one that is not frozen). If not, or if a name in it matches none,
 * records an error with the nearest name. */
bool glia_graph_pattern(glia_graph *graph, const char *pattern, bool trainable, const char *where);

bool glia_graph_output(glia_graph *graph, const char *name, glia_node *node);
glia_node *glia_graph_find_output(const glia_graph *graph, const char *name); /* NULL: there is none */
glia_node *glia_graph_find_leaf(const glia_graph *graph, const char *name); /* input, parameter or state; NULL: none */

/* True if the graph has a leaf of this name, or the outermost enclosing graph, which holds the leaves of bodies. */
bool glia_graph_has_leaf(const glia_graph *graph, const char *name);

/* Leaves' attributes, shared by input, parameter and state. */
typedef struct glia_leaf {
    const char *name;
    glia_dtype dtype;
    glia_shape shape;
    bool frozen;               /* parameter excluded from training */
    int64_t init;              /* glia_init_kind */
    double value;              /* of the initialiser; of an input: its initial value in sessions */
    double low, high, mean, stddev, fan_in, fan_out; /* of the initialiser, resolved */
} glia_leaf;
extern const glia_op glia_op_input, glia_op_parameter, glia_op_state, glia_op_constant;
static inline const glia_leaf *glia_leaf_of(const glia_node *node) { return node->attrs; }
static inline bool glia_is_parameter(const glia_node *n) { return n->op == &glia_op_parameter; }
static inline bool glia_is_state(const glia_node *n) { return n->op == &glia_op_state; }
static inline bool glia_is_input(const glia_node *n) { return n->op == &glia_op_input; }

/* The state from which all random nodes of a graph draw: {seed, step} (random_state.c). */
#define GLIA_RANDOM_STATE "rng"
glia_tensor glia_random_state(glia_graph *graph);
bool glia_is_random_state(const glia_node *node);

/* A constant's attributes: n values, or a single one for all elements. */
typedef struct glia_constant_attrs {
    glia_dtype dtype;
    glia_shape shape;
    glia_numbers values;
} glia_constant_attrs;
/* True for a constant whose elements are all equal; *value is set to that value. */
bool glia_is_constant_scalar(const glia_node *node, double *value);
static inline bool glia_is_constant(const glia_node *n) { return n->op == &glia_op_constant; }

/* ---- bodies (body.c) ------------------------------------------------------------------------ */
/* A body is a graph that is an attribute of an op: one step of a loop. Its inputs, in the order of their ids, are
 * values that the op passes in; its outputs, in their order, are values that the op reads back. Its only other leaves
 * are constants, and it has no updates.
 *
 * During construction it is a separate graph, whose parent is the enclosing graph. A tensor of the parent that is
 * combined with one of the body is captured: from then on an input of the body represents it. Parameters and states
 * that layers create in a body belong to the outermost graph, and are captured too. */

glia_graph *glia_graph_create_body(glia_graph *parent); /* lives as long as the parent; NULL: out of memory */
/* Between these two calls the body is its parent's open one, or nested in it. */
void glia_body_open(glia_graph *body);
void glia_body_close(glia_graph *body);
/* The graph to which random operations on this graph are added: the body of the loop under construction, so that each
 * step draws new numbers; without a loop, the graph itself. */
glia_graph *glia_graph_for_random(glia_graph *graph);
/* An input of a body under construction. */
glia_tensor glia_body_input(glia_graph *body, glia_dtype dtype, glia_shape shape);
/* The tensor of this graph that represents x, of this or an enclosing graph; NULL: x is of an unrelated graph. */
glia_tensor glia_graph_capture(glia_graph *graph, glia_tensor x);
/* A new input of the body for x, of its parent, even if x is already captured. */
glia_tensor glia_graph_capture_apart(glia_graph *body, glia_tensor x);
/* Captures tensors where xs are of different, nested graphs. For constructors that inspect several inputs. */
void glia_graph_join(glia_tensor *xs, int n);

/* A copy of a body in the arena, with symbolic shapes at `sizes` (NULL: kept); NULL: out of memory. */
const glia_graph *glia_graph_embed(const glia_graph *body, glia_arena *arena, const glia_sizes *sizes);
bool glia_graph_equal(const glia_graph *a, const glia_graph *b); /* ignores labels */
uint64_t glia_graph_hash(const glia_graph *graph, uint64_t seed);
const glia_graph *glia_body_of(const glia_node *node); /* NULL: it has none */
/* A copy in `arena` of attrs of an op with a body, with the body replaced; NULL: out of memory. */
void *glia_attrs_with_body(const glia_op *op, const void *attrs, const glia_graph *body, glia_arena *arena);

/* ---- attributes as data (attrs.c) ---------------------------------------------------------- */

bool glia_attrs_equal(const glia_op *op, const void *a, const void *b);
uint64_t glia_attrs_hash(const glia_op *op, const void *attrs, uint64_t seed);
/* A deep copy in the arena with symbolic shapes at `sizes` (NULL: kept); NULL: out of memory. */
void *glia_attrs_copy(const glia_op *op, const void *attrs, glia_arena *arena, const glia_sizes *sizes);

/* ---- gradients ------------------------------------------------------------------------------ */

/* gradients[i] = sum over k of <dys[k], d ys[k] / d xs[i]>, NULL where no y depends on it (core/autodiff/grad.c). */
void glia_vjp_of_all(const glia_tensor *ys, const glia_tensor *dys, int n_ys, const glia_tensor *xs, int n,
                     glia_tensor *gradients);

/* ---- text (text form of a graph; the format is described in print.c) ----------------------- */

enum { GLIA_GRAPH_TEXT = 2 }; /* version of the format */

/* Appends the graph as text, one node per line: for display and as a file format. */
void glia_graph_print(const glia_graph *graph, glia_text *text);
void glia_node_print(const glia_node *node, glia_text *text);
/* A graph from its text, of this version or an older one; errors name the line and column. NULL and error on
 * failure. */
glia_graph *glia_graph_parse(const char *text, size_t length, glia_error *error);

/* ---- whole-graph tools --------------------------------------------------------------------- */

/* Checks every invariant stated in this header: order, arity, that infer agrees. Run after each pass in debug builds.
 * */
glia_status glia_graph_verify(const glia_graph *graph, glia_error *error);

/* Writes a new graph: visits the nodes that outputs and updates depend on (keep_leaves: also all leaves except
 * constants) in topological order, calling `rule` with the inputs already mapped. The rule returns the replacement, in
 * the new graph, or NULL to copy the node as it is. `sizes` (NULL: kept) fixes symbolic dimensions. Outputs and updates
 * are carried over. */
typedef glia_tensor (*glia_rewrite_rule)(glia_graph *to, const glia_node *node, const glia_tensor *in, void *context);
glia_graph *glia_graph_rewrite(const glia_graph *from, glia_rewrite_rule rule, void *context, const glia_sizes *sizes,
                               bool keep_leaves, glia_error *error);
/* All nodes, each with its id, outputs and updates; without a loop that has not ended. */
glia_graph *glia_graph_copy(const glia_graph *from, glia_error *error);
/* A copy of one node into `to` with these inputs: the default when a rule returns NULL. */
glia_tensor glia_node_copy(glia_graph *to, const glia_node *node, const glia_tensor *in, const glia_sizes *sizes);

/* For rules: a copy of the node on these inputs whose body has been rewritten by the same rule. */
glia_tensor glia_node_rewrite_body(glia_graph *to, const glia_node *node, const glia_tensor *in, glia_rewrite_rule rule,
                                   void *context, const glia_sizes *sizes);

/* live[id] = true for each node that outputs and updates depend on. */
void glia_graph_mark_live(const glia_graph *graph, bool *live);

/* Evaluates nodes in double from their definitions: values[id] must be set for inputs, parameters and states and is
 * computed (malloc'ed) for every other live node that is NULL. Composites are not allowed: expand first. After a
 * failure the values computed so far remain; the caller frees them. */
glia_status glia_graph_eval(const glia_graph *graph, double **values, glia_error *error);

#endif
