/* graph.h - the graph, its nodes, and the record that says everything about an operation.
 *
 * A graph is an arena of nodes in topological order: a node's inputs are always older. A node has one output, whose
 * dtype and shape its op's `infer` has computed. Nodes never change once made; passes write new graphs (rewrite.c).
 *
 *     x ─┐
 *        ├─ matmul ── add ── relu ── ...        outputs: what was asked for, by name
 *     w ─┘             │                        updates: (leaf, value, group): what a step changes
 *     b ───────────────┘
 *
 * The first mistake made while building stays in graph->error; the node returned instead is graph->bad, which every
 * operation passes on, so that model code needs no checks.
 */
#ifndef GLIA_SRC_CORE_GRAPH_GRAPH_H
#define GLIA_SRC_CORE_GRAPH_GRAPH_H

#include "core/tensor/tensor.h"
#include "glia/ops.h"

typedef struct glia_op glia_op;
typedef struct glia_node glia_node;

/* ---- attributes ---------------------------------------------------------------------------- */
/* Each op has a plain struct of attributes and a table of its fields. The table drives printing, parsing, comparing and
 * hashing, so no code anywhere else knows an op's attributes. */

typedef enum glia_field_type {
    GLIA_FIELD_INT,    /* int64_t */
    GLIA_FIELD_FLOAT,  /* double */
    GLIA_FIELD_BOOL,   /* bool */
    GLIA_FIELD_DTYPE,  /* glia_dtype */
    GLIA_FIELD_SHAPE,  /* glia_shape; symbolic dimensions are fixed with the batch */
    GLIA_FIELD_INTS,   /* glia_shape used as a list of integers: axes, strides */
    GLIA_FIELD_STRING, /* const char *, in the arena; may be NULL */
    GLIA_FIELD_VALUES, /* glia_numbers: the numbers of a constant */
    GLIA_FIELD_GRAPH,  /* const glia_graph *: a body (body.c), in the arena; may be NULL. An op has one at most */
    GLIA_FIELD_ENUM    /* int64_t that text gives as one of the field's names */
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
    GLIA_OP_LEAF = 1,         /* value comes from outside: input, parameter, state, constant */
    GLIA_OP_ELEMENTWISE = 2,  /* out[i] depends on in[*][i] only; all shapes equal; may run in place; may be fused */
    GLIA_OP_ALIAS = 4,        /* the same bytes under another shape: reshape */
    GLIA_OP_COMPOSITE = 8,    /* has `expand`, which is its definition */
    GLIA_OP_COMMUTES = 16,    /* of two inputs, the order does not matter */
    GLIA_OP_MODAL = 32,       /* expands differently when training: dropout, batch norm */
    GLIA_OP_STATIC = 64,      /* known from shapes and attributes alone: count, iota */
    GLIA_OP_OVERWRITES = 128, /* input 0 with parts of it replaced, none of which is read: may run in its place */
    GLIA_OP_GRADIENT_ONLY = 256 /* input 0 itself; matters to differentiation alone and vanishes in lowering */
} glia_op_flags;

/* An input of a sample. Kinds keep tests away from kinks (max, abs, relu at 0) and poles (log, division). */
typedef enum glia_sample_kind {
    GLIA_SAMPLE_UNIFORM,  /* [low, high) */
    GLIA_SAMPLE_DISTINCT, /* all different by a margin, in [low, high): for maxima and orders */
    GLIA_SAMPLE_NONZERO,  /* in [low, high) but |x| > 0.1 (low < 0 < high): for kinks at zero */
    GLIA_SAMPLE_INTEGER,  /* whole numbers in [low, high) */
    GLIA_SAMPLE_OFFSETS   /* whole numbers that rise from 0 to high */
} glia_sample_kind;

typedef struct glia_sample_input {
    glia_dtype dtype; /* tests run F32 samples as f64 too */
    glia_shape shape;
    glia_sample_kind kind;
    double low, high; /* both 0: -1, 1 */
    bool constant;    /* no gradient is checked in this input */
} glia_sample_input;

enum { GLIA_SAMPLE_INPUTS = 8 };

/* GLIA_SHAPE for static tables. */
#define GLIA_DIMS(...) { .rank = (int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), .dim = { __VA_ARGS__ } }

typedef struct glia_sample {
    const char *name; /* unique within the op; NULL ends a table */
    int n;
    glia_sample_input in[GLIA_SAMPLE_INPUTS];
    const void *attrs; /* a struct of the op's attribute type, or NULL if it has none */
    bool no_golden;    /* its value is checked elsewhere (random bits) */
} glia_sample;

struct glia_op {
    const char *name;
    const char *summary;         /* a line for the table in docs/ops.md, with the formula */
    int arity;                   /* -1: one or more */
    unsigned flags;
    size_t attr_size;
    const glia_field *fields;    /* of the attribute struct; NULL: none */

    /* Computes node->dtype and node->shape from inputs and attributes (shapes may be symbolic); on a mistake calls
     * glia_node_fail() and returns false. Attributes arrive normalised (axes not negative, ...) by the constructor. */
    bool (*infer)(glia_node *node);

    /* The definition, in double: in[i] and out are dense. Shapes are concrete. NULL for composites, which are defined
     * by expand, and for leaves but constants. */
    void (*eval)(const glia_node *node, const double *const *in, double *out);
    /* How many doubles eval may use behind those of its result; NULL: none. */
    int64_t (*eval_extra)(const glia_node *node);

    /* Given dL/dnode, fills dx[i] = dL/dinput[i], leaving NULL where there is no gradient (integers, a piecewise
     * constant). New nodes go into the same graph. NULL: not differentiable (gradient zero); a composite without one is
     * differentiated through its expansion, a modal one through that of the mode which is compiled. */
    void (*vjp)(glia_node *node, glia_tensor dy, glia_tensor *dx);

    /* The composite in terms of simpler ops, on these inputs, in the inputs' graph. mode matters for MODAL ops. */
    glia_tensor (*expand)(const glia_node *node, const glia_tensor *in, glia_mode mode);

    /* The states that a forward pass in training mode moves: fills next[i] with the new value of the state in[i], leaves
     * NULL where it stays; in[i] is its value before this pass. On these inputs, in the inputs' graph. NULL: none. */
    void (*moves)(const glia_node *node, const glia_tensor *in, glia_tensor *next);

    /* A composite on the same inputs with the same attributes, a vector that begins with this one's value, a vector too,
     * and goes on with what a gradient needs: where a program needs both, it computes that one alone. NULL: none. */
    const glia_op *saves;

    /* Multiplications and additions, for programs' figures; NULL: not counted. */
    double (*flops)(const glia_node *node);
};

/* Rows of src/core/ops/ops.def, and each row's samples (glia_samples_NAME, ended by a NULL name). */
const glia_op *glia_op_named(const char *name); /* leaves too; NULL: none */
int glia_op_count(void);
const glia_op *glia_op_at(int index);
const glia_sample *glia_op_samples(int index);

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
    glia_node *leaf, *value; /* after a run leaf takes value */
    const char *group;
} glia_change;

/* A tensor of the surrounding graph that a body reads, and the body's input that stands for it. */
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
    int n_streams;       /* random nodes made so far: each has a stream of its own */
    const char *label;   /* given to new nodes */
    glia_error error;    /* the first mistake; status GLIA_OK: none */
    glia_node *bad;      /* what a mistake returns; shape (), never in `nodes` */
    glia_graph *parent;  /* of a body in the making: the graph around it */
    glia_graph *open;    /* the body of the loop in this graph that was begun last and has not ended; NULL: none */
    glia_graph *around;  /* of such a body: the one that was `open` before it */
    bool closed;         /* it has become an attribute; nobody may build on it any more */
    glia_node *random;   /* the body's input that is the random state, or stands for it; NULL: it draws nothing */
    glia_capture *captures;
    int n_captures, capture_capacity;
    glia_graph *bodies, *next_body; /* made in this graph; freed with it */
};

/* The workhorse behind every operation: checks the inputs (NULL or bad ones give the bad node), copies the attributes
 * (deeply: strings and values go into the arena), infers, appends. */
glia_tensor glia_node_create(glia_graph *graph, const glia_op *op, const glia_tensor *in, int n_in, const void *attrs);

/* Doubles that the node's eval writes and uses: its result and what eval_extra says. */
static inline int64_t glia_eval_count(const glia_node *node) {
    return glia_shape_count(node->shape) + (node->op->eval_extra ? node->op->eval_extra(node) : 0);
}
/* Can it be evaluated? Composites cannot, nor what has one in its body; leaves need no evaluation. */
bool glia_node_evaluates(const glia_node *node);

/* Shorthands: the graph is that of the first input. */
glia_tensor glia_node1(const glia_op *op, glia_tensor a, const void *attrs);
glia_tensor glia_node2(const glia_op *op, glia_tensor a, glia_tensor b, const void *attrs);

/* Records a mistake, prefixed by the op, its label and its input shapes; returns false. For use in infer. */
bool glia_node_fail(glia_node *node, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Records a mistake with this text; returns the bad node (NULL only if graph is NULL). For use in constructors. */
glia_tensor glia_graph_fail(glia_graph *graph, glia_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
glia_tensor glia_graph_fail_nomem(glia_graph *graph);

/* True if x cannot be built on: NULL, or the bad node. */
static inline bool glia_is_bad(glia_tensor x) { return !x || x == x->graph->bad; }

/* Sets the label of nodes made from now on; returns the one before, to be put back. */
const char *glia_graph_label(glia_graph *graph, const char *label);

/* Does the glob match any parameter (trainable: that is not frozen)? If not, or if it has a name that none has, the graph
 * gets the mistake, with the nearest name. */
bool glia_graph_pattern(glia_graph *graph, const char *pattern, bool trainable, const char *where);

bool glia_graph_output(glia_graph *graph, const char *name, glia_node *node);
glia_node *glia_graph_find_leaf(const glia_graph *graph, const char *name); /* input, parameter or state; NULL: none */

/* Is there a leaf of this name in the graph, or in the outermost one around it, where a body's leaves are? */
bool glia_graph_has_leaf(const glia_graph *graph, const char *name);

/* Leaves' attributes, shared by input, parameter and state. */
typedef struct glia_leaf {
    const char *name;
    glia_dtype dtype;
    glia_shape shape;
    bool frozen;               /* parameter excluded from training */
    int64_t init;              /* glia_init_kind */
    double value;              /* of the initialiser; of an input: what sessions start with */
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

/* A constant's attributes: n values, or one that fills the shape. */
typedef struct glia_constant_attrs {
    glia_dtype dtype;
    glia_shape shape;
    glia_numbers values;
} glia_constant_attrs;
/* True for a constant whose elements are all the same; *value is that. */
bool glia_is_constant_scalar(const glia_node *node, double *value);
static inline bool glia_is_constant(const glia_node *n) { return n->op == &glia_op_constant; }

/* ---- bodies (body.c) ------------------------------------------------------------------------ */
/* A body is a graph that an op has as an attribute: what a loop does in each step. Its inputs, in the order of their ids,
 * stand for values that the op hands in; its outputs, in their order, for those that it takes out. It has no other leaves
 * but constants, and no updates.
 *
 * While it is made it is a graph of its own, whose parent is the graph around it. A tensor of the parent that meets one of
 * the body is captured: an input of the body stands for it from then on. Parameters and states that layers ask for are made
 * in the outermost graph, and captured too. */

glia_graph *glia_graph_create_body(glia_graph *parent); /* lives as long as the parent; NULL: out of memory */
/* Between these two the body is its parent's open one, or an inner one of it. */
void glia_body_open(glia_graph *body);
void glia_body_close(glia_graph *body);
/* The graph in which random operations asked of this one are made: the body of the loop that is being built, so that they
 * draw anew in each step; without one the graph itself. */
glia_graph *glia_graph_for_random(glia_graph *graph);
/* An input of a body in the making. */
glia_tensor glia_body_input(glia_graph *body, glia_dtype dtype, glia_shape shape);
/* What stands for x, of this graph or one around it, in this graph; NULL: x is of another one. */
glia_tensor glia_graph_capture(glia_graph *graph, glia_tensor x);
/* A new input of the body for x, of its parent, even if there is one already. */
glia_tensor glia_graph_capture_apart(glia_graph *body, glia_tensor x);
/* Captures where tensors are of different graphs, one inside the other. For constructors that look at several inputs. */
void glia_graph_join(glia_tensor *xs, int n);

/* A copy of a body in the arena, with symbolic shapes at `batch` (0: kept); NULL: out of memory. */
const glia_graph *glia_graph_embed(const glia_graph *body, glia_arena *arena, int64_t batch);
bool glia_graph_equal(const glia_graph *a, const glia_graph *b); /* but for labels */
uint64_t glia_graph_hash(const glia_graph *graph, uint64_t seed);
const glia_graph *glia_body_of(const glia_node *node); /* NULL: it has none */
/* attrs of an op with a body, copied into `arena` with another one in its place; NULL: out of memory. */
void *glia_attrs_with_body(const glia_op *op, const void *attrs, const glia_graph *body, glia_arena *arena);

/* ---- attributes as data (attrs.c) ---------------------------------------------------------- */

bool glia_attrs_equal(const glia_op *op, const void *a, const void *b);
uint64_t glia_attrs_hash(const glia_op *op, const void *attrs, uint64_t seed);
/* A deep copy in the arena with symbolic shapes at `batch` (0: kept); NULL: out of memory. */
void *glia_attrs_copy(const glia_op *op, const void *attrs, glia_arena *arena, int64_t batch);

/* ---- gradients ------------------------------------------------------------------------------ */

/* gradients[i] = sum over k of <dys[k], d ys[k] / d xs[i]>, NULL where no y depends on it (core/autodiff/grad.c). */
void glia_vjp_of_all(const glia_tensor *ys, const glia_tensor *dys, int n_ys, const glia_tensor *xs, int n,
                     glia_tensor *gradients);

/* ---- text (text form of a graph; the format is described in print.c) ----------------------- */

enum { GLIA_GRAPH_TEXT = 2 }; /* version of the format */

/* Appends the graph as text, a node a line: a file format as well as a display. */
void glia_graph_print(const glia_graph *graph, glia_text *text);
void glia_node_print(const glia_node *node, glia_text *text);
/* A graph from its text, of this version or an older one; every mistake names the line and column. NULL and error on
 * failure. */
glia_graph *glia_graph_parse(const char *text, size_t length, glia_error *error);

/* ---- whole-graph tools --------------------------------------------------------------------- */

/* Checks every invariant stated in this header: order, arity, that infer agrees. For after each pass, in debug builds. */
glia_status glia_graph_verify(const glia_graph *graph, glia_error *error);

/* Writes a new graph: visits the nodes that outputs and updates need (all leaves but constants are kept if keep_leaves),
 * oldest first, calling `rule` with the inputs already mapped. The rule returns the replacement, in the new graph, or
 * NULL to copy the node as it is. batch > 0 fixes symbolic dimensions on the way. Outputs and updates carry over. */
typedef glia_tensor (*glia_rewrite_rule)(glia_graph *to, const glia_node *node, const glia_tensor *in, void *context);
glia_graph *glia_graph_rewrite(const glia_graph *from, glia_rewrite_rule rule, void *context, int64_t batch,
                               bool keep_leaves, glia_error *error);
/* A copy of one node into `to` with these inputs: what a rule's NULL does. */
glia_tensor glia_node_copy(glia_graph *to, const glia_node *node, const glia_tensor *in, int64_t batch);

/* For rules: a copy of the node on these inputs whose body has been rewritten by the same rule. */
glia_tensor glia_node_rewrite_body(glia_graph *to, const glia_node *node, const glia_tensor *in,
                                   glia_rewrite_rule rule, void *context, int64_t batch);

/* live[id] = true for each node that outputs and updates need. */
void glia_graph_mark_live(const glia_graph *graph, bool *live);

/* Evaluates nodes in double from their definitions: values[id] must be set for inputs, parameters and states and is
 * computed (malloc'ed) for every live node else that is NULL. Composites are not allowed: expand first. After a failure
 * the values computed so far stay; they are the caller's to free. */
glia_status glia_graph_eval(const glia_graph *graph, double **values, glia_error *error);

#endif
