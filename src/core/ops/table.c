/* table.c - the table of ops from ops.def, and lookup by name. An op without samples fails to link: the table refers to
 * them. */
#include <string.h>

#include "core/ops/ops.h"

#define GLIA_OP_ROW(name) extern const glia_op_sample glia_samples_##name[];
#include "core/ops/ops.def"
#undef GLIA_OP_ROW

static const struct {
    const glia_op *op;
    const glia_op_sample *samples;
} rows[] = {
#define GLIA_OP_ROW(name) { &glia_op_##name, glia_samples_##name },
#include "core/ops/ops.def"
#undef GLIA_OP_ROW
};

static const glia_op *const leaves[] = { &glia_op_input, &glia_op_parameter, &glia_op_state, &glia_op_constant };

int glia_op_count(void) { return GLIA_COUNT(rows); }
const glia_op *glia_op_at(int index) { return rows[index].op; }
const glia_op_sample *glia_op_samples(int index) { return rows[index].samples; }

const glia_op *glia_op_named(const char *name) {
    for (int i = 0; i < GLIA_COUNT(leaves); i++) {
        if (!strcmp(leaves[i]->name, name)) return leaves[i];
    }
    for (int i = 0; i < GLIA_COUNT(rows); i++) {
        if (!strcmp(rows[i].op->name, name)) return rows[i].op;
    }
    return NULL;
}
