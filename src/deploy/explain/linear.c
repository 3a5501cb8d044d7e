/* linear.c - which operations are linear, or affine, in the inputs that depend on the sample. */
#include <string.h>

#include "deploy/explain/explain.h"

static const char *const linear[] = { "add",     "sub",       "neg",   "cast", "sum",    "cumsum",   "reshape",
                                      "permute", "broadcast", "slice", "pad",  "concat", "avg_pool", NULL };
/* Linear in the first input if the others do not depend on the sample. */
static const char *const linear_first[] = {
    "div", "conv", "conv_input_grad", "gather", "take_along_axis", "scatter_add", "add_along_axis", NULL
};
/* Linear in whichever one input depends on it. */
static const char *const bilinear[] = { "mul", "matmul", NULL };

bool glia_is_named(const glia_node *n, const char *const *names) {
    for (; *names; names++) {
        if (strcmp(n->op->name, *names) == 0) return true;
    }
    return false;
}

bool glia_is_linear(const glia_node *n, const bool *depends) {
    int count = 0;
    for (int i = 0; i < n->n_in; i++) count += depends[i];
    if (glia_is_named(n, linear)) return true;
    if (glia_is_named(n, linear_first)) return count == 1 && depends[0];
    if (strcmp(n->op->name, "select") == 0) return !depends[0];
    return count == 1 && glia_is_named(n, bilinear);
}
