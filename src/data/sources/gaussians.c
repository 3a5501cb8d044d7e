/* gaussians.c - points of normal distributions on a ring or a grid, to see which modes a model of samples misses.
 *
 * Lin et al. 2018 (PacGAN), section 4.1: eight of deviation 0.01 on the unit circle, 25 of deviation 0.05 at {-4, -2,
 * 0, 2, 4} squared. A point's label is its mode; modes are equally frequent. A point is a function of the seed and its
 * index.
 */
#include <math.h>
#include <stdlib.h>

#include "base/base.h"
#include "data/sources/data.h"

static void centre_of(bool grid, int64_t mode, int64_t modes, double at[2]) {
    if (grid) {
        const int64_t side = (int64_t)llround(sqrt((double)modes));
        at[0] = 2 * (double)(mode % side) - (double)(side - 1);
        at[1] = 2 * (double)(mode / side) - (double)(side - 1);
    } else {
        const double angle = 6.283185307179586 * (double)mode / (double)modes;
        at[0] = cos(angle), at[1] = sin(angle);
    }
}

glia_dataset *glia_gaussians_create(bool grid, int64_t modes, int64_t first, int64_t n, uint64_t seed, const char *name,
                                    glia_error *error) {
    enum { STREAM = 0x67617573 };
    float *x = malloc((size_t)n * 2 * sizeof *x);
    int32_t *y = malloc((size_t)n * sizeof *y);
    if (!x || !y) {
        free(x);
        free(y);
        glia_fail_nomem(error);
        return NULL;
    }
    const double deviation = grid ? 0.05 : 0.01;
    for (int64_t i = 0; i < n; i++) {
        glia_rng rng = { .seed = seed, .stream = (uint64_t)STREAM << 32 ^ (uint64_t)(first + i) };
        const int64_t mode = (int64_t)glia_rng_below(&rng, (uint64_t)modes);
        double at[2];
        centre_of(grid, mode, modes, at);
        for (int k = 0; k < 2; k++) x[2 * i + k] = (float)(at[k] + deviation * glia_rng_normal(&rng));
        y[i] = (int32_t)mode;
    }
    const glia_arrays arrays = { .n = n,
                                 .x = x,
                                 .x_dtype = GLIA_F32,
                                 .x_shape = GLIA_SHAPE(2),
                                 .y = y,
                                 .y_dtype = GLIA_I32,
                                 .classes = (int)modes };
    return glia_data_take(arrays, name, NULL, error);
}
