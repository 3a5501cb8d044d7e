/* augment.h - inside of augmentation.
 *
 * A transformation is a record: its fields, which checking, defaults, parsing and printing walk, and a function that
 * draws its parameters and applies them. Drawing is apart from applying, whose functions are pure and stand at the end
 * of this page: results of other libraries are compared with those.
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

/* A motion of the plane: the pixel at (x, y) comes from (m[0] x + m[1] y + m[2], m[3] x + m[4] y + m[5]), both counted
 * from the middle. */
typedef struct glia_motion {
    double m[6];
    bool sampled; /* false: flips alone, which move whole pixels */
    glia_edge edge;
    float fill;
} glia_motion;

typedef struct glia_rectangle {
    int top, left, height, width;
} glia_rectangle;

/* With whom a sample is mixed, and how. */
typedef struct glia_mix {
    int64_t partner;
    double share; /* that the sample keeps */
    bool pasted;  /* a part comes from the partner; false: values are blended */
    glia_rectangle part;
} glia_mix;

typedef struct glia_augment_kind {
    const char *name;
    enum { GLIA_AUGMENT_ANY, GLIA_AUGMENT_IMAGE, GLIA_AUGMENT_SERIES } of;
    const glia_augment_field *fields;
    int n_fields;
    size_t opts_bytes;
    glia_status (*check)(const void *opts, glia_frame frame, glia_error *error); /* or NULL */
    size_t (*extra)(const void *opts, glia_frame frame);                         /* or NULL: none */
    /* One of the three: run changes the sample; move says where pixels come from, *motion being that they stay; mix
     * says what share of the sample stays, *mix having the partner. */
    void (*run)(const void *opts, glia_frame frame, glia_rng *rng, glia_augment_work *work);
    void (*move)(const void *opts, glia_frame frame, glia_rng *rng, glia_motion *motion);
    void (*mix)(const void *opts, glia_frame frame, glia_rng *rng, glia_mix *mix);
} glia_augment_kind;

#define GLIA_AUGMENT_ROW(name) extern const glia_augment_kind glia_augment_##name##_kind;
#include "data/augment/augment.def"
#undef GLIA_AUGMENT_ROW

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

bool glia_augment_mixes(const glia_augment *augment); /* targets are shares of classes; NULL: false */

/* With which of n samples it is mixed; false: it is not. */
bool glia_augment_draw_mix(const glia_augment *augment, glia_shape sample, uint64_t key, int64_t index, int64_t n,
                           glia_mix *mix);
void glia_augment_mix(const glia_mix *mix, glia_shape sample, float *x, const float *partner);

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
void glia_augment_shift_pixels(const float *in, float *out, glia_frame frame, int top, int left, glia_edge edge,
                               float fill);
void glia_augment_mirror(float *x, glia_frame frame);   /* left to right */
void glia_augment_overturn(float *x, glia_frame frame); /* top to bottom */

/* Clockwise by radians; larger by a factor; along rows and columns, by tangents; right and down by pixels. */
glia_motion glia_motion_rotate(double angle, glia_edge edge, double fill);
glia_motion glia_motion_scale(double factor, glia_edge edge, double fill);
glia_motion glia_motion_shear(double x, double y, glia_edge edge, double fill);
glia_motion glia_motion_translate(double x, double y, glia_edge edge, double fill);
/* first, then second. */
glia_motion glia_motion_join(glia_motion first, glia_motion second);
void glia_augment_move(const float *in, float *out, glia_frame frame, const glia_motion *motion);

/* The part [top, top + height) x [left, left + width), resized to the frame: bilinear, pixels are areas. */
void glia_augment_resize(const float *in, float *out, glia_frame frame, int top, int left, int height, int width);

/* out(y, x) = in(y + dy(y, x), x + dx(y, x)), bilinear. */
void glia_augment_displace(const float *in, float *out, glia_frame frame, const float *dx, const float *dy,
                           glia_edge edge, float fill);

/* Convolves planes (n, height, width) with a Gaussian cut off at `radius`, in place; scratch as below. Beyond the edge
 * are zeros (GLIA_EDGE_CONSTANT) or what `edge` says. */
enum { GLIA_BLUR_RADIUS = 128 };
void glia_augment_gauss(float *x, int n, int height, int width, double sigma, int radius, glia_edge edge,
                        float *scratch);
size_t glia_augment_gauss_scratch(int height, int width);

/* torchvision's: cut off at [0, 1]; images of one channel or three. */
void glia_augment_brightness(float *x, glia_frame frame, float factor);
void glia_augment_contrast(float *x, glia_frame frame, float factor);
void glia_augment_saturation(float *x, glia_frame frame, float factor);
void glia_augment_hue(float *x, glia_frame frame, float turn);
void glia_augment_grey(float *x, glia_frame frame);

/* Draws a part as Szegedy et al. and Zhong et al. do: its share and its ratio (across : down) in ranges. */
bool glia_augment_draw_part(glia_frame frame, const double scale[2], const double ratio[2], glia_rng *rng,
                            glia_rectangle *part); /* false: ten trials did not fit */

/* Each sample of the series lasts as long as a cubic spline through `points` speeds says, all together as long as
 * before; then sampled again in even steps, linearly. The window [begin, begin + length) stretched to the whole. */
enum { GLIA_WARP_POINTS = 66 };
void glia_augment_warp(const float *in, float *out, glia_frame frame, const double *speed, int points);
void glia_augment_slice_window(const float *in, float *out, glia_frame frame, int begin, int length);

static inline double glia_rng_between(glia_rng *rng, double low, double high) {
    return low + (high - low) * glia_rng_uniform(rng);
}

double glia_rng_beta(glia_rng *rng, double alpha); /* Beta(alpha, alpha) */

#endif
