/* augment.h - data augmentation: random transformations of samples while they are loaded.
 *
 * A pipeline is a list of transformations. It is built by adders, or parsed from text as in configurations:
 *
 *     glia_augment *augment = glia_augment_parse("crop(pad=4) flip rotate(15)", &error);
 *
 * and passed to a loader (glia_loader_opts). The loader's workers apply it to the raw sample, pixels in [0, 1], before
 * the data set's normalisation. Random numbers are a function of (seed, epoch, sample, position in the pipeline), so
 * results are the same for any number of workers, and after resuming. The shape of a sample does not change.
 *
 * Options are structs; a field left zero means the default that its comment names, GLIA_ZERO (for an int GLIA_NONE)
 * zero itself; a 0 in text is zero. Every transformation has p, the probability that it is applied to a sample; 1
 * unless its comment gives another default.
 */
#ifndef GLIA_AUGMENT_H
#define GLIA_AUGMENT_H

#include "glia/data.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ==== pipelines ============================================================================= */

GLIA_API glia_augment *glia_augment_create(glia_error *error); /* empty: changes nothing */

/* Parses NAME(FIELD=VALUE, ...) items separated by blanks. Values without a name are assigned to the fields in the
 * struct's order; ranges are LOW..HIGH, lists A/B/C: "resized_crop(0.5..1) jitter(brightness=0.2, hue=0.05)". */
GLIA_API glia_augment *glia_augment_parse(const char *text, glia_error *error);
GLIA_API void glia_augment_free(glia_augment *augment);

/* The pipeline as text for glia_augment_parse(); defaults are omitted. Release with free(); NULL: out of memory. */
GLIA_API char *glia_augment_print(const glia_augment *augment);

/* GLIA_OK, the first error of an adder, or the reason why samples of this shape are not supported (rank 0: any
 * shape). */
GLIA_API glia_status glia_augment_check(const glia_augment *augment, glia_shape sample, glia_error *error);

/* Applies the pipeline to x in place, as a loader with this seed does for sample `index` in this epoch. Mixing, which
 * needs other samples, is left out. */
GLIA_API glia_status glia_augment_apply(const glia_augment *augment, glia_shape sample, uint64_t seed, int64_t epoch,
                                        int64_t index, float *x, glia_error *error);

/* The values beyond the edge. */
typedef enum glia_edge {
    GLIA_EDGE_CONSTANT, /* "constant": `fill` */
    GLIA_EDGE_REPEAT,   /* "edge": the last value, repeated */
    GLIA_EDGE_REFLECT,  /* "reflect": mirrored about the last value, which is not repeated */
    GLIA_EDGE_WRAP      /* "wrap": continues from the opposite side */
} glia_edge;

/* ==== images (C, H, W) ====================================================================== */
/* Adders record errors for glia_augment_check(). */

/* "crop": pads all sides, then crops (H, W) at a random position. */
typedef struct glia_augment_crop_opts {
    int pad; /* pixels; 0: 4 */
    glia_edge edge;
    double fill, p;
} glia_augment_crop_opts;
GLIA_API void glia_augment_crop(glia_augment *augment, glia_augment_crop_opts opts);

/* "flip" left to right, "vflip" top to bottom. p 0: 0.5. */
typedef struct glia_augment_flip_opts {
    double p;
} glia_augment_flip_opts;
GLIA_API void glia_augment_flip(glia_augment *augment, glia_augment_flip_opts opts);
GLIA_API void glia_augment_vflip(glia_augment *augment, glia_augment_flip_opts opts);

/* Rotation, scaling, translation and shear about the centre, with bilinear sampling. Adjacent ones in a pipeline, with
 * flips between them, are combined into one transformation and sampled once. */

/* "rotate": by an angle in [-degrees, degrees]. */
typedef struct glia_augment_rotate_opts {
    double degrees; /* 0: 15 */
    glia_edge edge;
    double fill, p;
} glia_augment_rotate_opts;
GLIA_API void glia_augment_rotate(glia_augment *augment, glia_augment_rotate_opts opts);

/* "scale": by a factor in a range; above 1 enlarges. */
typedef struct glia_augment_scale_opts {
    double by[2]; /* 0: 0.9..1.1 */
    glia_edge edge;
    double fill, p;
} glia_augment_scale_opts;
GLIA_API void glia_augment_scale(glia_augment *augment, glia_augment_scale_opts opts);

/* "translate": by whole pixels, at most these fractions of the width and the height. */
typedef struct glia_augment_translate_opts {
    double x; /* 0: 0.1 */
    double y; /* 0: as x; GLIA_ZERO: none */
    glia_edge edge;
    double fill, p;
} glia_augment_translate_opts;
GLIA_API void glia_augment_translate(glia_augment *augment, glia_augment_translate_opts opts);

/* "shear": by angles of [-x, x] along rows and [-y, y] along columns. */
typedef struct glia_augment_shear_opts {
    double x, y; /* degrees; x 0: 10 */
    glia_edge edge;
    double fill, p;
} glia_augment_shear_opts;
GLIA_API void glia_augment_shear(glia_augment *augment, glia_augment_shear_opts opts);

/* "resized_crop" (Szegedy et al. 2015): crops a part with this fraction of the area and this ratio of width to height,
 * and resizes it to (H, W). */
typedef struct glia_augment_resized_crop_opts {
    double scale[2]; /* 0: 0.08..1 */
    double ratio[2]; /* 0: 3/4..4/3 */
    double p;
} glia_augment_resized_crop_opts;
GLIA_API void glia_augment_resized_crop(glia_augment *augment, glia_augment_resized_crop_opts opts);

/* "elastic" (Simard, Steinkraus and Platt 2003): every pixel moves by alpha times a field drawn from U(-1, 1) and
 * smoothed by a Gaussian of sigma pixels. */
typedef struct glia_augment_elastic_opts {
    double alpha; /* 0: 34, the paper's for 29 x 29 */
    double sigma; /* 0: 4 */
    glia_edge edge;
    double fill, p;
} glia_augment_elastic_opts;
GLIA_API void glia_augment_elastic(glia_augment *augment, glia_augment_elastic_opts opts);

/* "jitter": colours, in random order. Brightness, contrast and saturation are multiplied by a factor in [1 - v, 1 + v],
 * at least 0; the hue is rotated by [-hue, hue] of a circle. Saturation and hue do not change grey images. Values are
 * clipped to [0, 1]. The formulas are torchvision's. One channel or three. */
typedef struct glia_augment_jitter_opts {
    double brightness, contrast, saturation, hue, p;
} glia_augment_jitter_opts;
GLIA_API void glia_augment_jitter(glia_augment *augment, glia_augment_jitter_opts opts);

/* "grayscale": sets all channels to the luma. p 0: 0.1. */
typedef struct glia_augment_grayscale_opts {
    double p;
} glia_augment_grayscale_opts;
GLIA_API void glia_augment_grayscale(glia_augment *augment, glia_augment_grayscale_opts opts);

/* "blur": a Gaussian with a sigma, in pixels, from this range. */
typedef struct glia_augment_blur_opts {
    double sigma[2]; /* 0: 0.1..2 */
    double p;
} glia_augment_blur_opts;
GLIA_API void glia_augment_blur(glia_augment *augment, glia_augment_blur_opts opts);

/* "erase" (Zhong et al. 2017): fills a rectangle with this fraction of the area and this ratio of height to width with
 * `value`, or with noise in [0, 1). p 0: 0.5. */
typedef struct glia_augment_erase_opts {
    double p;
    double scale[2]; /* 0: 0.02..0.33 */
    double ratio[2]; /* 0: 0.3..3.3 */
    double value;
    int noise; /* 1: noise */
} glia_augment_erase_opts;
GLIA_API void glia_augment_erase(glia_augment *augment, glia_augment_erase_opts opts);

/* ==== series (T) or (C, T) ================================================================== */

/* "shift": earlier or later, by at most this fraction of T. */
typedef struct glia_augment_shift_opts {
    double by; /* 0: 0.1 */
    glia_edge edge;
    double fill, p;
} glia_augment_shift_opts;
GLIA_API void glia_augment_shift(glia_augment *augment, glia_augment_shift_opts opts);

/* "magnitude" (scaling; Um et al. 2017): multiplies every channel by a random number from N(1, sigma^2). */
typedef struct glia_augment_magnitude_opts {
    double sigma; /* 0: 0.1 */
    double p;
} glia_augment_magnitude_opts;
GLIA_API void glia_augment_magnitude(glia_augment *augment, glia_augment_magnitude_opts opts);

/* "time_warp" (Um et al. 2017): speeds time up and slows it down, by a cubic spline through speeds from N(1, sigma^2)
 * at the ends and at `knots` positions between them; the same for all channels. */
typedef struct glia_augment_time_warp_opts {
    double sigma; /* 0: 0.2 */
    int knots;    /* 0: 4 */
    double p;
} glia_augment_time_warp_opts;
GLIA_API void glia_augment_time_warp(glia_augment *augment, glia_augment_time_warp_opts opts);

/* "slice" (Le Guennec et al. 2016): a window of this fraction of T, at a random position, stretched to T. */
typedef struct glia_augment_slice_opts {
    double share; /* 0: 0.9 */
    double p;
} glia_augment_slice_opts;
GLIA_API void glia_augment_slice(glia_augment *augment, glia_augment_slice_opts opts);

/* ==== samples of any shape ================================================================== */

/* "noise": adds N(0, sigma^2) to every value. */
typedef struct glia_augment_noise_opts {
    double sigma; /* 0: 0.05 */
    double p;
} glia_augment_noise_opts;
GLIA_API void glia_augment_noise(glia_augment *augment, glia_augment_noise_opts opts);

/* "normalize": (x - mean) / stddev, with one value of each, or one for each channel. The data set's own normalisation
 * (glia_data_normalize) follows after the pipeline. */
enum { GLIA_AUGMENT_LIST = 8 };
typedef struct glia_augment_list {
    int n;
    double at[GLIA_AUGMENT_LIST];
} glia_augment_list;
typedef struct glia_augment_normalize_opts {
    glia_augment_list mean, stddev; /* n 0: 0.5 */
} glia_augment_normalize_opts;
GLIA_API void glia_augment_normalize(glia_augment *augment, glia_augment_normalize_opts opts);

/* ==== mixing samples ======================================================================== */
/* For data with classes, after the rest of the pipeline. A batch's targets are then the fractions of the classes, f32
 * (n, classes), for a cross-entropy of distributions. The partner is drawn from all samples and transformed
 * independently. Of several mixing transformations at most one is applied to a sample, each with its p; if their sum
 * exceeds 1, in proportion to p. */

/* "mixup" (Zhang et al. 2018): x = l x + (1 - l) x', y likewise, l drawn from Beta(alpha, alpha). */
typedef struct glia_augment_mixup_opts {
    double alpha; /* 0: 0.2 */
    double p;
} glia_augment_mixup_opts;
GLIA_API void glia_augment_mixup(glia_augment *augment, glia_augment_mixup_opts opts);

/* "cutmix" (Yun et al. 2019), images: a rectangle of 1 - l of the area, clipped at the edges, is copied from the
 * partner; targets are mixed in proportion to the areas. */
typedef struct glia_augment_cutmix_opts {
    double alpha; /* 0: 1 */
    double p;
} glia_augment_cutmix_opts;
GLIA_API void glia_augment_cutmix(glia_augment *augment, glia_augment_cutmix_opts opts);

/* ==== text ================================================================================== */
/* EDA (Wei and Zou 2019) on UTF-8 text whose words are separated by blanks. */

typedef struct glia_synonyms glia_synonyms;

/* Reads a file of lines "word: synonym, synonym" (# begins a comment), or a folder with WordNet's data.noun, data.verb,
 * data.adj and data.adv. */
GLIA_API glia_synonyms *glia_synonyms_open(const char *path, glia_error *error);
GLIA_API void glia_synonyms_free(glia_synonyms *synonyms);
/* The synonyms of a lower-case word, in alphabetical order, at most `capacity`; returns their number. */
GLIA_API int glia_synonyms_find(const glia_synonyms *synonyms, const char *word, const char **out, int capacity);

/* Fractions of the words to change; a fraction other than 0 changes at least one. All four 0: one random operation,
 * with 0.1; those that need synonyms only if there are any. */
typedef struct glia_text_augment_opts {
    const glia_synonyms *synonyms; /* may be NULL */
    double replace;                /* by synonyms; English stop words are not replaced */
    double insert;                 /* synonyms of words of the text, at random positions */
    double swap;                   /* exchange two words */
    double remove;                 /* each word with this probability; at least one remains */
    uint64_t seed;
    int64_t epoch, index; /* of the text; the result is a function of seed, epoch and index */
} glia_text_augment_opts;
/* The changed text, words separated by blanks. Release with free(). */
GLIA_API char *glia_text_augment(const char *text, glia_text_augment_opts opts, glia_error *error);

#ifdef __cplusplus
}
#endif
#endif
