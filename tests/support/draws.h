/* draws.h - random numbers, parameters and images that other programs can reproduce bit by bit. tools/golden/draws.py
 * documents them and draws the same in Python. */
#ifndef GLIA_TESTS_DRAWS_H
#define GLIA_TESTS_DRAWS_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "glia/glia.h"

enum { DRAWN_CLASSES = 10, DRAWN_CELL = 4 };

/* splitmix64, 24 bits: [0, 1). The initial state is 1. */
static inline double draw_uniform(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z = z ^ (z >> 31);
    return (double)(z >> 40) / 16777216.0;
}

/* Draws all parameters of a store, in store order. */
static inline void draw_parameters(glia_store *store, uint64_t *state) {
    for (int i = 0; i < glia_store_count(store); i++) {
        glia_array array = glia_store_at(store, i);
        if (!array.parameter) continue;
        const char *part = strrchr(array.name, '/');
        double middle = part && strcmp(part, "/scale") == 0 ? 1 : 0, a = 0.1;
        if (array.shape.rank > 1) {
            int64_t window = 1;
            for (int d = 2; d < array.shape.rank; d++) window *= array.shape.dim[d];
            a = sqrt(6 / (double)(window * (array.shape.dim[0] + array.shape.dim[1])));
        }
        float *values = array.data;
        int64_t n = glia_shape_count(array.shape);
        for (int64_t k = 0; k < n; k++) values[k] = (float)(middle + a * (2 * draw_uniform(state) - 1));
    }
}

/* Draws a pattern per class for samples (channels, height, width); `patterns` has room for DRAWN_CLASSES samples. */
static inline void draw_patterns(glia_shape sample, double *patterns, uint64_t *state) {
    int64_t n = DRAWN_CLASSES * sample.dim[0] * (sample.dim[1] / DRAWN_CELL) * (sample.dim[2] / DRAWN_CELL);
    for (int64_t i = 0; i < n; i++) patterns[i] = draw_uniform(state);
}

static inline void draw_batch(glia_shape sample, int64_t batch, const double *patterns, float *x, int32_t *labels,
                              uint64_t *state) {
    int64_t cells = sample.dim[2] / DRAWN_CELL;
    for (int64_t i = 0; i < batch; i++) {
        labels[i] = (int32_t)(DRAWN_CLASSES * draw_uniform(state));
        for (int64_t c = 0; c < sample.dim[0]; c++) {
            int64_t first = (labels[i] * sample.dim[0] + c) * (sample.dim[1] / DRAWN_CELL);
            for (int64_t row = 0; row < sample.dim[1]; row++) {
                const double *pattern = patterns + (first + row / DRAWN_CELL) * cells;
                for (int64_t column = 0; column < sample.dim[2]; column++)
                    *x++ = (float)((pattern[column / DRAWN_CELL] + draw_uniform(state)) / 2);
            }
        }
    }
}

#endif
