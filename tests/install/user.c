/* user.c - a program outside the source tree: prints "6.0" if the installed library computes 1 + 2 + 3 and is the one
 * of its header. */
#include <glia/glia.h>
#include <stdio.h>
#include <string.h>

int main(void) {
    glia_graph *graph = glia_graph_create();
    double sum = 0;
    glia_tensor x = glia_constant(graph, GLIA_F64, GLIA_SHAPE(3), (double[]){ 1, 2, 3 });
    glia_status status = glia_eval(glia_sum(x, GLIA_SCALAR, false), &sum, 1, NULL);
    printf("%.1f\n", sum);
    glia_graph_free(graph);
    return status != GLIA_OK || sum != 6 || strcmp(glia_version(), GLIA_VERSION) != 0;
}
