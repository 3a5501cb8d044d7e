/* cppn.c - functions of places as patterns of weights (HyperNEAT) and as pictures. */
#include <math.h>
#include <string.h>

#include "families/evolution/genome.h"

void glia_grid_places(int side, double *places) {
    for (int i = 0; places && i < side * side; i++) {
        places[2 * i] = side > 1 ? 2.0 * (i % side) / (side - 1) - 1 : 0;
        places[2 * i + 1] = side > 1 ? 1 - 2.0 * (i / side) / (side - 1) : 0;
    }
}

/* A genome's net, whose outputs fit into `outputs`. */
enum { OUTPUTS = 16 };
static glia_net *open_cppn(const glia_genome *cppn, int least, glia_error *error) {
    if (!cppn) return glia_fail_null(error, "cppn"), NULL;
    if (cppn->outputs > OUTPUTS || cppn->inputs < least || cppn->inputs > 6 || cppn->inputs == 5) {
        glia_fail(error, GLIA_E_ARGUMENT, "a genome of %d inputs and %d outputs is no function of places", cppn->inputs,
                  cppn->outputs);
        return NULL;
    }
    return glia_net_create(cppn, error);
}

static double between(glia_net *net, const double *from, const double *to) {
    const double x[6] = { from[0], from[1], to[0], to[1], to[0] - from[0], to[1] - from[1] };
    double y[OUTPUTS];
    glia_net_run(net, x, y);
    return y[0];
}

glia_status glia_cppn_weights(const glia_genome *cppn, const double *from, int sources, const double *to, int targets,
                              double threshold, double limit, double *weights, glia_error *error) {
    if (!from) return glia_fail_null(error, "from");
    if (!to) return glia_fail_null(error, "to");
    if (!weights) return glia_fail_null(error, "weights");
    if (!(threshold >= 0 && threshold < 1) || !isfinite(limit))
        return glia_fail(error, GLIA_E_ARGUMENT, "cppn: a threshold of %g, a limit of %g", threshold, limit);
    glia_error reason = { 0 };
    glia_net *net = open_cppn(cppn, 4, &reason);
    if (!net) return glia_fail(error, reason.status, "%s", reason.message);
    for (int k = 0; k < targets; k++) {
        for (int i = 0; i < sources; i++) {
            const double y = fmin(fmax(between(net, from + 2 * i, to + 2 * k), -1), 1), size = fabs(y) - threshold;
            weights[(int64_t)k * sources + i] = size > 0 ? copysign(size / (1 - threshold) * limit, y) : 0;
        }
    }
    glia_net_free(net);
    return GLIA_OK;
}

glia_status glia_cppn_picture(const glia_genome *cppn, int width, int height, float *pixels, glia_error *error) {
    if (!pixels) return glia_fail_null(error, "pixels");
    if (width < 1 || height < 1 || width > 1 << 14 || height > 1 << 14)
        return glia_fail(error, GLIA_E_ARGUMENT, "a picture of %d x %d", width, height);
    glia_error reason = { 0 };
    glia_net *net = open_cppn(cppn, 2, &reason);
    if (!net) return glia_fail(error, reason.status, "%s", reason.message);
    const double centre[2] = { 0, 0 };
    for (int i = 0; i < width * height; i++) {
        const double at[2] = { (2.0 * (i % width) + 1) / width - 1, 1 - (2.0 * (i / width) + 1) / height };
        const double x[3] = { at[0], at[1], hypot(at[0], at[1]) };
        double y[OUTPUTS];
        if (cppn->inputs < 4)
            glia_net_run(net, x, y);
        else
            y[0] = between(net, centre, at);
        pixels[i] = (float)fmin(fmax((y[0] + 1) / 2, 0), 1);
    }
    glia_net_free(net);
    return GLIA_OK;
}
