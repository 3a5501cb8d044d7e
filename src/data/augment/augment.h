/* augment.h - internals of augmentation.
 *
 * A transformation is a record: a table of fields, used for checks, defaults, parsing and printing, and a function that
 * draws its parameters and applies them. The functions that only apply are pure and declared at the end of this file;
 * tests compare them with other libraries.
 */
#ifndef GLIA_SRC_DATA_AUGMENT_AUGMENT_H
#define GLIA_SRC_DATA_AUGMENT_AUGMENT_H

#include "data/sources/data.h"
#include "glia/augment.h"

/* ---- transformations ---------------------------------------------------------------------- */

typedef enum glia_augment_field_kind {
    GLIA_AUGMENT_REAL,   /* double */
    GLIA_AUGMENT_RANGE,  /* double[2], low and high */
    GLIA_AUGMENT_WHOLE,  /* int */
    GLIA_AUGMENT_EDGE,   /* glia_edge */
    GLIA_AUGMENT_LIST_OF /* glia_augment_list */
} glia_augment_field_kind;

typedef struct glia_augment_field {
    const char *name;
    glia_augment_field_kind kind;
    size_t offset;          /* in the options struct */
    double least, most;     /* inclusive */
    double fallback, upper; /* default (for zero); upper: default end of a range */
} glia_augment_field;

#define AUGMENT_FIELD(opts, kind, name, ...)                                                                           \
    { #name, GLIA_AUGMENT_##kind, offsetof(opts, name), __VA_ARGS__ }
#define AUGMENT_P(opts) AUGMENT_FIELD(opts, REAL, p, 0, 1, 1, 0)
#define AUGMENT_BEYOND(opts)                                                                                           \
    AUGMENT_FIELD(opts, EDGE, edge, 0, 3, 0, 0), AUGMENT_FIELD(opts, REAL, fill, -1e6, 1e6, 0, 0)

enum { GLIA_AUGMENT_OPTS_MOST = 192 }; /* bytes of the largest options struct */

/* Dimensions of a sample: an image (C, H, W), or a series (T) or (C, T) with height 1. */
typedef struct glia_frame {
    int channels, height, width;
    size_t count;
} glia_frame;

/* Buffers of a sample in work. A function that writes its result to `spare` swaps the two. */
typedef struct glia_augment_work {
    float *x, *spare; /* frame.count floats each */
    float *extra;     /* size from the record's extra() */
} glia_augment_work;
void glia_augment_exchange(glia_augment_work *work);

/* An affine map: output pixel (x, y) is sampled at (m[0] x + m[1] y + m[2], m[3] x + m[4] y + m[5]); coordinates are
 * relative to the image centre. */
typedef struct glia_motion {
    double m[6];
    bool sampled; /* false: only flips, which move whole pixels */
    glia_edge edge;
    float fill;
} glia_motion;

typedef struct glia_rectangle {
    int top, left, height, width;
} glia_rectangle;

/* The partner that a sample is mixed with, and how. */
typedef struct glia_mix {
    int64_t partner;
    double share; /* weight of the sample itself */
    bool pasted;  /* true: `part` is copied from the partner; false: values are blended */
    glia_rectangle part;
} glia_mix;

/* What moves with a picture; elsewhere: nothing. */
typedef struct glia_target {
    glia_targets kind; /* what y is, as in data.h */
    void *y;
    int64_t boxes;
} glia_target;

typedef struct glia_augment_kind {
    const char *name;
    enum { GLIA_AUGMENT_ANY, GLIA_AUGMENT_IMAGE, GLIA_AUGMENT_SERIES } of;
    const glia_augment_field *fields;
    int n_fields;
    size_t opts_bytes;
    glia_status (*check)(const void *opts, glia_frame frame, glia_error *error); /* or NULL */
    size_t (*extra)(const void *opts, glia_frame frame);                         /* or NULL: none */
    /* Exactly one is set. run changes the sample. move sets the affine map; *motion is the identity on entry. mix sets
     * the share of the sample that is kept; mix->partner is set on entry. */
    void (*run)(const void *opts, glia_frame frame, glia_rng *rng, glia_augment_work *work);
    void (*move)(const void *opts, glia_frame frame, glia_rng *rng, glia_motion *motion);
    void (*mix)(const void *opts, glia_frame frame, glia_rng *rng, glia_mix *mix);
    /* Of a run that moves pixels, for targets: the map of the run with the same random numbers. NULL: it moves none. */
    void (*follow)(const void *opts, glia_frame frame, glia_rng *rng, glia_motion *motion);
    /* The run leaves its field in `extra`: dx (H, W), then dy, where each pixel comes from; the edge of its options. */
    bool displaces;
    glia_edge (*edge)(const void *opts);
} glia_augment_kind;

#define GLIA_AUGMENT_ROW(name) extern const glia_augment_kind glia_augment_##name##_kind;
#include "data/augment/augment.def"
#undef GLIA_AUGMENT_ROW

/* Appends a transformation; the options are copied. */
void glia_augment_add(glia_augment *augment, const glia_augment_kind *kind, const void *opts);

/* ---- running ------------------------------------------------------------------------------ */

typedef struct glia_augment_step {
    const glia_augment_kind *kind;
    const void *opts; /* with defaults filled in */
    double p;
} glia_augment_step;

struct glia_augment {
    glia_augment_step *steps;
    int n, capacity;
    glia_error mistake; /* the first error; status GLIA_OK: none */
    glia_arena arena;
};

/* The frame of a sample for a step. The shape must have passed glia_augment_check(). */
glia_frame glia_augment_frame(const glia_augment_kind *kind, glia_shape sample);

/* Number of scratch floats for glia_augment_run(). */
size_t glia_augment_scratch(const glia_augment *augment, glia_shape sample);

/* The random key of an epoch; the random stream of one step for one sample. */
uint64_t glia_augment_key(uint64_t seed, uint64_t epoch);
glia_rng glia_augment_rng(uint64_t key, int64_t index, int step);

/* Changes x, and the target with it, in place; never fails. */
void glia_augment_run(const glia_augment *augment, glia_shape sample, uint64_t key, int64_t index, float *x,
                      const glia_target *target, float *scratch);

/* Whether targets of this kind can follow all steps. */
glia_status glia_augment_check_targets(const glia_augment *augment, glia_targets kind, glia_error *error);

bool glia_augment_mixes(const glia_augment *augment); /* targets become class shares (soft labels); NULL: false */

/* Draws which of n samples it is mixed with, and how; false: not mixed. */
bool glia_augment_draw_mix(const glia_augment *augment, glia_shape sample, uint64_t key, int64_t index, int64_t n,
                           glia_mix *mix);
void glia_augment_mix(const glia_mix *mix, glia_shape sample, float *x, const float *partner);

/* ---- applying ----------------------------------------------------------------------------- */

/* Source index of position i for an axis of length n; i may be out of range. -1: use the fill value. */
static inline int64_t glia_edge_source(glia_edge edge, int64_t i, int64_t n) {
    if (i >= 0 && i < n) return i;
    if (edge == GLIA_EDGE_CONSTANT) return -1;
    if (edge == GLIA_EDGE_REPEAT || n == 1) return i < 0 ? 0 : n - 1;
    int64_t period = edge == GLIA_EDGE_WRAP ? n : 2 * n - 2;
    i = (i % period + period) % period;
    return i < n ? i : period - i;
}

/* out(y, x) = in(y + top, x + left). */
void glia_augment_shift_pixels(const float *in, float *out, glia_frame frame, int top, int left, glia_edge edge,
                               float fill);
void glia_augment_mirror(float *x, glia_frame frame);   /* left to right */
void glia_augment_overturn(float *x, glia_frame frame); /* top to bottom */

/* Rotate clockwise, in radians; scale up by a factor; shear along rows and columns, by tangents of the angles;
 * translate right and down, in pixels. */
glia_motion glia_motion_rotate(double angle, glia_edge edge, double fill);
glia_motion glia_motion_scale(double factor, glia_edge edge, double fill);
glia_motion glia_motion_shear(double x, double y, glia_edge edge, double fill);
glia_motion glia_motion_translate(double x, double y, glia_edge edge, double fill);
/* Composition: first, then second. */
glia_motion glia_motion_join(glia_motion first, glia_motion second);
void glia_augment_move(const float *in, float *out, glia_frame frame, const glia_motion *motion);

/* The same for targets. Pixels of a mask are those that lie nearest, -1 beyond a constant edge. A box becomes the box
 * around its moved corners, cut at the edges; its label becomes -1 if less than a quarter of it is left. `spare` has
 * room for a mask. */
void glia_augment_move_target(const glia_target *target, glia_frame frame, const glia_motion *motion, void *spare);
void glia_augment_displace_mask(int32_t *mask, glia_frame frame, const float *dx, const float *dy, glia_edge edge,
                                int32_t *spare);

/* Resizes the part [top, top + height) x [left, left + width) to the frame: bilinear, half-pixel centres. */
void glia_augment_resize(const float *in, float *out, glia_frame frame, int top, int left, int height, int width);

/* out(y, x) = in(y + dy(y, x), x + dx(y, x)), bilinear. */
void glia_augment_displace(const float *in, float *out, glia_frame frame, const float *dx, const float *dy,
                           glia_edge edge, float fill);

/* Convolves planes (n, height, width) in place with a Gaussian truncated at `radius`; scratch size as below. Padding is
 * zeros (GLIA_EDGE_CONSTANT) or according to `edge`. */
enum { GLIA_BLUR_RADIUS = 128 };
void glia_augment_gauss(float *x, int n, int height, int width, double sigma, int radius, glia_edge edge,
                        float *scratch);
size_t glia_augment_gauss_scratch(int height, int width);

/* As in torchvision: results are clamped to [0, 1]; images have 1 or 3 channels. */
void glia_augment_brightness(float *x, glia_frame frame, float factor);
void glia_augment_contrast(float *x, glia_frame frame, float factor);
void glia_augment_saturation(float *x, glia_frame frame, float factor);
void glia_augment_hue(float *x, glia_frame frame, float turn);
void glia_augment_grey(float *x, glia_frame frame);

/* Draws a rectangle as in Szegedy et al. and Zhong et al.: area share and aspect ratio (width : height) in ranges. */
bool glia_augment_draw_part(glia_frame frame, const double scale[2], const double ratio[2], glia_rng *rng,
                            glia_rectangle *part); /* false: none of ten trials fitted */

/* warp: gives each time step a duration from a cubic spline through `points` speeds, keeps the total length, and
 * resamples linearly in even steps. slice_window: stretches the window [begin, begin + length) to the full length. */
enum { GLIA_WARP_POINTS = 66 };
void glia_augment_warp(const float *in, float *out, glia_frame frame, const double *speed, int points);
void glia_augment_slice_window(const float *in, float *out, glia_frame frame, int begin, int length);

static inline double glia_rng_between(glia_rng *rng, double low, double high) {
    return low + (high - low) * glia_rng_uniform(rng);
}

double glia_rng_beta(glia_rng *rng, double alpha); /* Beta(alpha, alpha) */

#endif
