/* replay.h - growing data sets of named arrays of any dtype, in batches that functions take: replay memories of
 * reinforcement learning, data that arrive while a model learns, samples of several inputs.
 *
 *     const glia_replay_field fields[] = { { "state", GLIA_F32, GLIA_SHAPE(4) }, { "action", GLIA_I32, GLIA_SCALAR } };
 *     glia_replay *replay = glia_replay_create(fields, 2, (glia_replay_opts){ .capacity = 10000 }, &error);
 *     glia_replay_add(replay, rows, 2, &error);
 *     glia_replay_batch batch;
 *     glia_replay_sample(replay, 32, (glia_replay_draw){ .seed = 1, .step = step }, &batch, &error);
 *     glia_function_call(train, batch.arrays, batch.n_arrays, outputs, &error);
 *
 * Rows are numbered from 0 in the order in which they were added. When the capacity is reached, a new row takes the
 * place of the oldest one. A replay: one thread at a time.
 */
#ifndef GLIA_REPLAY_H
#define GLIA_REPLAY_H

#include "glia/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct glia_replay_field {
    const char *name; /* of the array in a batch, which is that of the function's input */
    glia_dtype dtype;
    glia_shape shape; /* of one row; fixed */
} glia_replay_field;

typedef struct glia_replay_opts {
    int64_t capacity; /* rows, 1 or more. Their memory is reserved at once */
    /* Rows are drawn in proportion to their priorities (Schaul et al. 2016, "Prioritized experience replay", section
     * 3.3, proportional variant, by a sum tree; appendix B.2.1: one row of each n-th part of the sum). New rows have
     * the highest priority so far. */
    bool prioritized;
    double alpha;        /* exponent of priorities; 0: 0.6; GLIA_ZERO: all rows are equal */
    double epsilon;      /* is added to every priority before the exponent; 0: 1e-6 */
    const char *weights; /* name under which batches have the weights as an array f32 (n); NULL: not among the arrays */
} glia_replay_opts;

typedef struct glia_replay glia_replay;
GLIA_API glia_replay *glia_replay_create(const glia_replay_field *fields, int n_fields, glia_replay_opts opts,
                                         glia_error *error);
GLIA_API void glia_replay_free(glia_replay *replay);

/* Appends n rows: an array (n, row) for each field, by name, in any order, with the same n; of more than the capacity
 * the last ones stay. After an error nothing has changed. */
GLIA_API glia_status glia_replay_add(glia_replay *replay, const glia_array *arrays, int n_arrays, glia_error *error);
GLIA_API int64_t glia_replay_count(const glia_replay *replay); /* rows that are there */
GLIA_API int64_t
glia_replay_added(const glia_replay *replay); /* rows ever added; rows [added - count, added) are there */

/* How rows are drawn: a function of seed, step, the rows that are there and their priorities. */
typedef struct glia_replay_draw {
    uint64_t seed;
    int64_t step;  /* 0 or more: the number of the batch */
    bool shuffled; /* every row once before any comes again, in passes of ceil(count / n) batches whose last one may be
                    * smaller, each pass in another order (if no rows are added between). Not with priorities. false:
                    * with replacement */
    double beta;   /* with priorities: exponent of the weights; 0: 0.4; GLIA_ZERO: weights of 1 */
} glia_replay_draw;

typedef struct glia_replay_batch {
    int64_t n;
    const glia_array *arrays; /* (n, row) for each field, and the weights if they have a name */
    int n_arrays;
    const int64_t *rows;  /* (n) numbers of the rows */
    /* (n) importance weights (count P(row))^-beta, divided by the largest of the batch (section 3.4); 1 without
     * priorities */
    const float *weights;
} glia_replay_batch;
/* n rows, valid until the next call with this replay. */
GLIA_API glia_status glia_replay_sample(glia_replay *replay, int64_t n, glia_replay_draw draw, glia_replay_batch *batch,
                                        glia_error *error);
/* These rows by number; weights are 1. A row that is not there is an error. Valid until the next call. */
GLIA_API glia_status glia_replay_rows(glia_replay *replay, const int64_t *rows, int64_t n, glia_replay_batch *batch,
                                      glia_error *error);
/* Sets the priorities of these rows, for instance |TD errors|; their signs do not count. Rows that have been
 * overwritten since they were drawn are skipped; of a row that comes twice the last priority counts. */
GLIA_API glia_status glia_replay_prioritize(glia_replay *replay, const int64_t *rows, const float *priorities,
                                            int64_t n, glia_error *error);

/* The whole state as arrays, for checkpoints: names "rows/FIELD", "counters" and, with priorities, "priorities" and
 * "largest". Fills at most `capacity`; returns how many there are. The data are the replay's own, valid until the next
 * call. */
GLIA_API int glia_replay_state(const glia_replay *replay, glia_array *out, int capacity);
/* Takes a state of a replay that was created with the same fields and options; what is drawn afterwards is the same,
 * bit for bit. After an error nothing has changed. */
GLIA_API glia_status glia_replay_restore(glia_replay *replay, const glia_array *state, int n, glia_error *error);
/* Whether glia_replay_restore() would take this state. */
GLIA_API glia_status glia_replay_check(const glia_replay *replay, const glia_array *state, int n, glia_error *error);

/* Returns of n steps along one trajectory (Sutton and Barto 2018, section 7.1), to be stored in place of rewards:
 *
 *     returns[t] = sum over k < m of gamma^k rewards[t + k],    m: n, or less up to the first end or the last step
 *
 * discounts[t] is gamma^m, or 0 if an episode ends in these steps, and next[t] = t + m the step whose value it is for,
 * at most `steps`: target[t] = returns[t] + discounts[t] value(next[t]). ends[t]: the episode ends with step t; NULL:
 * it does not. */
GLIA_API glia_status glia_n_step_returns(const float *rewards, const bool *ends, int64_t steps, int n, double gamma,
                                         float *returns, float *discounts, int64_t *next, glia_error *error);

#ifdef __cplusplus
}
#endif

#endif
