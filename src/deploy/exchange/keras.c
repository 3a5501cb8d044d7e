/* keras.c - see keras.h. */
#include "deploy/exchange/keras.h"

#include <string.h>

#include "core/tensor/tensor.h"

glia_shape glia_keras_picture(const glia_graph *g, const char *kernel) {
    const glia_node *leaf = glia_graph_find_leaf(g, kernel), *x = NULL;
    for (int i = 0; leaf && leaf->shape.rank == 2 && i < g->n_nodes && !x; i++)
        if (g->nodes[i]->n_in == 2 && g->nodes[i]->in[1] == leaf) x = g->nodes[i]->in[0];
    while (x && x->n_in > 0 && x->shape.rank == 2 && glia_shape_equal(x->shape, x->in[0]->shape)) x = x->in[0];
    if (!x || x->n_in != 1 || x->shape.rank != 2 || strcmp(x->op->name, "reshape") != 0) return GLIA_SCALAR;
    const glia_shape s = x->in[0]->shape;
    if (s.rank != 4 || s.dim[1] * s.dim[2] * s.dim[3] != leaf->shape.dim[1]) return GLIA_SCALAR;
    return GLIA_SHAPE(s.dim[1], s.dim[2], s.dim[3]);
}

static bool is_kernel(const char *name) {
    const char *slash = strrchr(name, '/');
    return strcmp(slash ? slash + 1 : name, "kernel") == 0;
}

/* Whether the shape is that of the kernel with the axes in Keras's order; *depthwise: of a depthwise convolution. */
static bool fits(const glia_safetensor *from, const glia_array *to, bool *depthwise) {
    const int rank = to->shape.rank;
    const int64_t *ours = to->shape.dim, *theirs = from->shape.dim;
    for (int d = 2; d < rank; d++)
        if (ours[d] != theirs[d - 2]) return false;
    *depthwise = rank > 2 && ours[1] == 1 && theirs[rank - 2] == ours[0] && theirs[rank - 1] == 1;
    return *depthwise || (theirs[rank - 2] == ours[1] && theirs[rank - 1] == ours[0]);
}

static void copy_one(const glia_safetensor *from, int64_t at, const glia_array *to, int64_t i) {
    const size_t size = glia_dtype_size(from->dtype);
    unsigned char bytes[8];
    double value;
    memcpy(bytes, (const char *)from->data + (size_t)at * size, size);
    glia_to_double(from->dtype, bytes, &value, 1);
    glia_from_double(to->dtype, &value, (char *)to->data + (size_t)i * glia_dtype_size(to->dtype), 1);
}

bool glia_keras_take(const glia_safetensor *from, const glia_array *to, glia_shape picture, bool only_check) {
    const bool kernel = is_kernel(to->name) && to->shape.rank >= 2;
    bool depthwise = false;
    if (!glia_dtype_is_float(from->dtype) || !glia_dtype_is_float(to->dtype) || from->shape.rank != to->shape.rank)
        return false;
    if (kernel ? !fits(from, to, &depthwise) : !glia_shape_equal(from->shape, to->shape)) return false;
    const int64_t n = only_check ? 0 : glia_shape_count(to->shape);
    const int64_t out = kernel ? to->shape.dim[0] : 1, in = kernel ? to->shape.dim[1] : 1;
    const int64_t inner = kernel ? n / (out * in) : n; /* of the window; all without one */
    for (int64_t i = 0; i < n; i++) {
        const int64_t place = i % inner, channel = i / inner % in, filter = i / inner / in;
        int64_t row = channel;
        if (picture.rank == 3) {
            const int64_t plane = picture.dim[1] * picture.dim[2];
            row = channel % plane * picture.dim[0] + channel / plane;
        }
        const int64_t at = !kernel ? i : depthwise ? place * out + filter : (place * in + row) * out + filter;
        copy_one(from, at, to, i);
    }
    return true;
}
