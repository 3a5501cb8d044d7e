/* loop.h - a loop under construction: glia_loop_begin() etc., also used by the gradient of scan. */
#ifndef GLIA_SRC_CORE_OPS_LOOP_H
#define GLIA_SRC_CORE_OPS_LOOP_H

#include "core/ops/ops.h"
#include "glia/recurrent.h"

typedef enum glia_loop_kind { GLIA_LOOP_SEQUENCE, GLIA_LOOP_STATE, GLIA_LOOP_CAPTURE } glia_loop_kind;

/* An input of the loop and its counterpart in the body. */
typedef struct glia_loop_item glia_loop_item;
struct glia_loop_item {
    glia_loop_item *next_item;
    glia_loop_kind kind;
    glia_tensor outer, inner;
    glia_tensor next; /* of a state, in the body */
    int result;       /* of a state: its index among the results */
};

struct glia_loop {
    glia_graph *outer, *body;
    glia_loop_opts opts;
    int64_t rows;     /* the batch axis; 0: not known yet */
    bool typed;       /* dtype is known */
    glia_dtype dtype; /* of states and results */
    glia_loop_item *first, *last;
    glia_tensor mask; /* of this step, (N), or NULL */
    bool last_only;   /* only the last value of each state is a result */
    bool ended;
    glia_tensor scan; /* the op; NULL: there are no results */
};

/* The item whose inner tensor is x; NULL: none. */
glia_loop_item *glia_loop_find(const glia_loop *loop, glia_tensor x);

#endif
