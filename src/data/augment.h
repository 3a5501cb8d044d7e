/* augment.h - inside of augmentation.
 *
 * A transformation is a record: its fields, which checking, defaults, parsing and printing walk, and a function that
 * draws its parameters and applies them. Drawing is apart from applying, whose functions are pure and stand at the end
 * of this page: results of other libraries are compared with those.
 */
#ifndef GLIA_DATA_AUGMENT_H
#define GLIA_DATA_AUGMENT_H

#include "data/data.h"
#include "glia/augment.h"

/* ---- transformations ---------------------------------------------------------------------- */

typedef enum glia_augment_field_kind {
    GLIA_AUGMENT_REAL,  /* double */
    GLIA_AUGMENT_RANGE, /* double[2], low and high */
    GLIA_AUGMENT_WHOLE, /* int */
    GLIA_AUGMENT_EDGE,  /* glia_edge */
} glia_augment_field_kind;

typedef struct glia_augment_field {
    const char *name;
    glia_augment_field_kind kind;
    size_t offset;          /* in the struct of options */
    double least, most;     /* both possible */
    double fallback, upper; /* what zero means; upper: of a range's end */
} glia_augment_field;

#define AUGMENT_FIELD(opts, kind, name, ...)                                                                           \
    { #name, GLIA_AUGMENT_##kind, offsetof(opts, name), __VA_ARGS__ }
#define AUGMENT_P(opts) AUGMENT_FIELD(opts, REAL, p, 0, 1, 1, 0)
#define AUGMENT_BEYOND(opts)                                                                                           \
    AUGMENT_FIELD(opts, EDGE, edge, 0, 3, 0, 0), AUGMENT_FIELD(opts, REAL, fill, -1e6, 1e6, 0, 0)

enum { GLIA_AUGMENT_OPTS_MOST = 192 }; /* bytes of the largest struct of options */

/* A sample as transformations see it: an image (C, H, W); a series (T) or (C, T), whose H is 1. */
typedef struct glia_frame {
    int channels, height, width;
    size_t count;
} glia_frame;

/* Where a sample is while it is changed. Whoever writes into `spare` exchanges the two. */
typedef struct glia_augment_work {
    float *x, *spare; /* frame.count numbers each */
    float *extra;     /* as many as the record's extra() asks for */
} glia_augment_work;
void glia_augment_exchange(glia_augment_work *work);

typedef struct glia_augment_kind {
    const char *name;
    enum { GLIA_AUGMENT_ANY, GLIA_AUGMENT_IMAGE, GLIA_AUGMENT_SERIES } of;
    const glia_augment_field *fields;
    int n_fields;
    size_t opts_bytes;
    glia_status (*check)(const void *opts, glia_frame frame, glia_error *error); /* or NULL */
    size_t (*extra)(const void *opts, glia_frame frame);                         /* or NULL: none */
    void (*run)(const void *opts, glia_frame frame, glia_rng *rng, glia_augment_work *work);
} glia_augment_kind;

#define AUGMENT(name) extern const glia_augment_kind glia_augment_##name##_kind;
#include "data/augment.def"
#undef AUGMENT

/* Adds one; the options are copied. */
void glia_augment_add(glia_augment *augment, const glia_augment_kind *kind, const void *opts);

/* ---- running ------------------------------------------------------------------------------ */

typedef struct glia_augment_step {
    const glia_augment_kind *kind;
    const void *opts; /* defaults filled in */
    double p;
} glia_augment_step;

struct glia_augment {
    glia_augment_step *steps;
    int n, capacity;
    glia_error mistake; /* the first; status GLIA_OK: none */
    glia_arena arena;
};

/* The frame that a step sees. The shape must have passed glia_augment_check(). */
glia_frame glia_augment_frame(const glia_augment_kind *kind, glia_shape sample);

/* Numbers of scratch that glia_augment_run() needs. */
size_t glia_augment_scratch(const glia_augment *augment, glia_shape sample);

/* The key of all draws in an epoch, and the stream of one step for one sample. */
uint64_t glia_augment_key(uint64_t seed, uint64_t epoch);
glia_rng glia_augment_rng(uint64_t key, int64_t index, int step);

/* Changes x in place; never fails. */
void glia_augment_run(const glia_augment *augment, glia_shape sample, uint64_t key, int64_t index, float *x,
                      float *scratch);

/* ---- applying ----------------------------------------------------------------------------- */

/* Where value i of n comes from, i anywhere; -1: from nowhere, take the fill. */
static inline int64_t glia_edge_source(glia_edge edge, int64_t i, int64_t n) {
    if (i >= 0 && i < n) return i;
    if (edge == GLIA_EDGE_CONSTANT) return -1;
    if (edge == GLIA_EDGE_REPEAT || n == 1) return i < 0 ? 0 : n - 1;
    int64_t period = edge == GLIA_EDGE_WRAP ? n : 2 * n - 2;
    i = (i % period + period) % period;
    return i < n ? i : period - i;
}

/* out(y, x) = in(y + top, x + left). */
void glia_augment_move(const float *in, float *out, glia_frame frame, int top, int left, glia_edge edge, float fill);
void glia_augment_mirror(float *x, glia_frame frame);   /* left to right */
void glia_augment_overturn(float *x, glia_frame frame); /* top to bottom */

#endif
