/* ref.h - a launch that evaluates one node by its op's definition. The ref backend consists of these; the CPU backend
 * uses them where it has no kernel: f64, integers, rare ops. */
#ifndef GLIA_SRC_BACKEND_REF_REF_H
#define GLIA_SRC_BACKEND_REF_REF_H

#include "core/launch/backend.h"

size_t glia_ref_scratch(const glia_node *node);
glia_launch *glia_ref_prepare(const glia_node *node, void *const *address, void *scratch, glia_arena *arena,
                              glia_error *error);

#endif
