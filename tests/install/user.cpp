/* user.cpp - user.c in C++11: the headers and their macros in C++. */
#include <glia/glia.h>

#include <cstdio>
#include <cstring>

int main() {
    static_assert(GLIA_SHAPE(2, 3).rank == 2 && GLIA_SHAPE(2, 3).dim[1] == 3, "a shape is a constant");
    static_assert(GLIA_SCALAR.rank == 0 && GLIA_SHAPE(GLIA_BATCH).dim[0] == -1, "so are these");
    glia_graph *graph = glia_graph_create();
    const int64_t three = 3;
    const double values[] = { 1, 2, 3 };
    double sum = 0;
    glia_tensor x = glia_constant(graph, GLIA_F64, GLIA_SHAPE(three), values);
    glia_dense_opts dense = glia_dense_opts();
    dense.units = 4;
    glia_tensor y = glia_dense(glia_reshape(x, GLIA_SHAPE(1, 3)), "dense", dense);
    const bool built = glia_shape_equal(glia_tensor_shape(y), GLIA_SHAPE(1, 4));
    glia_status status = glia_eval(glia_sum(x, GLIA_SCALAR, false), &sum, 1, nullptr);
    std::printf("%.1f\n", sum);
    glia_graph_free(graph);
    return status != GLIA_OK || sum != 6 || !built || std::strcmp(glia_version(), GLIA_VERSION) != 0;
}
