/* environments.h - what the files of environments share. */
#ifndef GLIA_SRC_DATA_ENVIRONMENTS_ENVIRONMENTS_H
#define GLIA_SRC_DATA_ENVIRONMENTS_ENVIRONMENTS_H

#include "base/base.h"
#include "core/tensor/tensor.h"
#include "glia/environments.h"

struct glia_env_random {
    glia_rng rng;
    const double *script; /* tests: numbers in [0, 1) that are drawn instead; NULL: none */
};

/* The n numbers that an observation is, `apart` from each other: of a discrete space 1 at its value, else 0. */
void glia_space_read(const glia_space *space, const void *seen, int n, double *x, int apart);

/* The stream of random numbers of a handle's first copy; the others' follow. */
enum { GLIA_ENV_STREAM = 0x656e7600 };

/* How copies move side by side; NULL: one after the other. */
glia_env_lanes_fn glia_env_movement_of(const glia_env *env);
/* The record's memory with the values of its settings. */
const void *glia_env_settings_of(const glia_env *env);

/* GLIA_E_NOT_FOUND with the nearest name. */
void glia_env_fail_unknown(const char *name, glia_error *error);
/* Appends the values of the record's settings. */
void glia_env_print_settings(const glia_env *env, glia_text *out);
/* The running statistics as text, and back into a handle that keeps them so; NULL: none, or out of memory. */
char *glia_env_statistics_text(const glia_env *env);
glia_status glia_env_take_statistics(glia_env *env, const char *text, glia_error *error);

/* The first outcome whose cumulated probability exceeds a drawn number, as Gymnasium's categorical_sample(). */
int glia_env_choose(glia_env_random *random, const double *probabilities, int n);

/* Is x a whole number in [0, n)? */
static inline bool glia_env_is_index(double x, int64_t n) { return x >= 0 && x < (double)n && x == (double)(int64_t)x; }

/* Where a cell of a drawn grid lies: a box that leaves a thin border. Row 0 is at the top. */
glia_mark glia_env_cell(int row, int column, int rows, int columns, uint32_t colour);

#endif
