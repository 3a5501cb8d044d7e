/* augment.h - samples changed at random while they are loaded, so that a model meets each of them in many forms.
 *
 * A pipeline is a list of transformations. It is made by adders, or from text as configurations hold it:
 *
 *     glia_augment *augment = glia_augment_parse("crop(pad=4) flip rotate(15)", &error);
 *
 * and given to a loader (glia_loader_opts), whose workers run it on the raw sample, pixels in [0, 1], before the data
 * set's normalisation. What is drawn is a function of (seed, epoch, sample, place in the pipeline): the same on any
 * number of workers, and after resuming. The shape of a sample stays.
 *
 * Options are structs; a field left zero means the default that its comment names, GLIA_ZERO (of an int GLIA_NONE) zero
 * itself; a 0 in text is zero. Every
 * transformation has p, the probability that it happens to a sample; 1 unless its comment says otherwise.
 */
#ifndef GLIA_AUGMENT_H
#define GLIA_AUGMENT_H

#include "glia/data.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ==== pipelines ============================================================================= */

GLIA_API glia_augment *glia_augment_create(glia_error *error); /* an empty one: changes nothing */

/* NAME(FIELD=VALUE, ...) one after the other, blanks between them. A value without a name is of the next field in the
 * order of the struct; ranges are LOW..HIGH, lists A/B/C: "resized_crop(0.5..1) jitter(brightness=0.2, hue=0.05)". */
GLIA_API glia_augment *glia_augment_parse(const char *text, glia_error *error);
GLIA_API void glia_augment_free(glia_augment *augment);

/* As text that glia_augment_parse() takes; only what differs from the defaults. Release with free(); NULL: memory
 * ran out. */
GLIA_API char *glia_augment_print(const glia_augment *augment);

/* GLIA_OK, or the first mistake made while adding, or why samples of this shape cannot be changed so (rank 0: any). */
GLIA_API glia_status glia_augment_check(const glia_augment *augment, glia_shape sample, glia_error *error);

/* What a loader of this seed makes of sample `index` in this epoch, x in place; without mixing, which needs others. */
GLIA_API glia_status glia_augment_apply(const glia_augment *augment, glia_shape sample, uint64_t seed, int64_t epoch,
                                        int64_t index, float *x, glia_error *error);

/* What lies beyond the edge. */
typedef enum glia_edge {
    GLIA_EDGE_CONSTANT, /* "constant": `fill` */
    GLIA_EDGE_REPEAT,   /* "edge": the last value again */
    GLIA_EDGE_REFLECT,  /* "reflect": mirrored at the last value, which is not repeated */
    GLIA_EDGE_WRAP      /* "wrap": round again from the other side */
} glia_edge;

/* ==== images (C, H, W) ====================================================================== */
/* Adders keep a mistake for glia_augment_check(). */

/* "crop": pads all around, then cuts out (H, W) at a random place. */
typedef struct glia_augment_crop_opts {
    int pad; /* pixels; 0: 4 */
    glia_edge edge;
    double fill, p;
} glia_augment_crop_opts;
GLIA_API void glia_augment_crop(glia_augment *augment, glia_augment_crop_opts opts);

/* "flip", "vflip": left becomes right; top becomes bottom. p 0: 0.5. */
typedef struct glia_augment_flip_opts {
    double p;
} glia_augment_flip_opts;
GLIA_API void glia_augment_flip(glia_augment *augment, glia_augment_flip_opts opts);
GLIA_API void glia_augment_vflip(glia_augment *augment, glia_augment_flip_opts opts);

/* Rotation, scaling, translation and shear about the middle, sampled bilinearly. Neighbours in a pipeline, also flips
 * between them, are one motion and sampled once. */

/* "rotate": by an angle of [-degrees, degrees]. */
typedef struct glia_augment_rotate_opts {
    double degrees; /* 0: 15 */
    glia_edge edge;
    double fill, p;
} glia_augment_rotate_opts;
GLIA_API void glia_augment_rotate(glia_augment *augment, glia_augment_rotate_opts opts);

/* "scale": by a factor out of a range; above 1 makes larger. */
typedef struct glia_augment_scale_opts {
    double by[2]; /* 0: 0.9..1.1 */
    glia_edge edge;
    double fill, p;
} glia_augment_scale_opts;
GLIA_API void glia_augment_scale(glia_augment *augment, glia_augment_scale_opts opts);

/* "translate": by whole pixels, at most these shares of the width and the height. */
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

/* "resized_crop" (Szegedy et al. 2015): cuts out a part of this share of the area and this ratio of width to height,
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

/* "jitter": colours, in an order that is drawn too. Brightness, contrast and saturation are multiplied by a factor of
 * [1 - v, 1 + v], not below 0; the hue turns by [-hue, hue] of a circle. Saturation and hue leave grey images alone.
 * Values are cut off at [0, 1]. The formulas are torchvision's. One channel or three. */
typedef struct glia_augment_jitter_opts {
    double brightness, contrast, saturation, hue, p;
} glia_augment_jitter_opts;
GLIA_API void glia_augment_jitter(glia_augment *augment, glia_augment_jitter_opts opts);

/* "grayscale": the channels become their luma. p 0: 0.1. */
typedef struct glia_augment_grayscale_opts {
    double p;
} glia_augment_grayscale_opts;
GLIA_API void glia_augment_grayscale(glia_augment *augment, glia_augment_grayscale_opts opts);

/* "blur": a Gaussian whose sigma, in pixels, is of this range. */
typedef struct glia_augment_blur_opts {
    double sigma[2]; /* 0: 0.1..2 */
    double p;
} glia_augment_blur_opts;
GLIA_API void glia_augment_blur(glia_augment *augment, glia_augment_blur_opts opts);

/* "erase" (Zhong et al. 2017): a rectangle of this share of the area and this ratio of height to width becomes `value`,
 * or noise of [0, 1). p 0: 0.5. */
typedef struct glia_augment_erase_opts {
    double p;
    double scale[2]; /* 0: 0.02..0.33 */
    double ratio[2]; /* 0: 0.3..3.3 */
    double value;
    int noise; /* 1: noise */
} glia_augment_erase_opts;
GLIA_API void glia_augment_erase(glia_augment *augment, glia_augment_erase_opts opts);

/* ==== series (T) or (C, T) ================================================================== */

/* "shift": to earlier or later, by at most this share of T. */
typedef struct glia_augment_shift_opts {
    double by; /* 0: 0.1 */
    glia_edge edge;
    double fill, p;
} glia_augment_shift_opts;
GLIA_API void glia_augment_shift(glia_augment *augment, glia_augment_shift_opts opts);

/* "magnitude" (scaling; Um et al. 2017): every channel times a number of N(1, sigma^2). */
typedef struct glia_augment_magnitude_opts {
    double sigma; /* 0: 0.1 */
    double p;
} glia_augment_magnitude_opts;
GLIA_API void glia_augment_magnitude(glia_augment *augment, glia_augment_magnitude_opts opts);

/* "time_warp" (Um et al. 2017): time goes faster and slower, along a cubic spline through speeds of N(1, sigma^2) at
 * the ends and at `knots` places between them; the same for all channels. */
typedef struct glia_augment_time_warp_opts {
    double sigma; /* 0: 0.2 */
    int knots;    /* 0: 4 */
    double p;
} glia_augment_time_warp_opts;
GLIA_API void glia_augment_time_warp(glia_augment *augment, glia_augment_time_warp_opts opts);

/* "slice" (Le Guennec et al. 2016): a window of this share of T, anywhere, stretched to T. */
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

/* "normalize": (x - mean) / stddev, one of each, or one for each channel. What the data set's own normalisation does
 * (glia_data_normalize) comes after the pipeline. */
enum { GLIA_AUGMENT_LIST = 8 };
typedef struct glia_augment_list {
    int n;
    double at[GLIA_AUGMENT_LIST];
} glia_augment_list;
typedef struct glia_augment_normalize_opts {
    glia_augment_list mean, stddev; /* n 0: 0.5 */
} glia_augment_normalize_opts;
GLIA_API void glia_augment_normalize(glia_augment *augment, glia_augment_normalize_opts opts);

/* ==== samples mixed with others ============================================================= */
/* For data with classes, after everything else in the pipeline; a batch's targets are shares of the classes then, f32
 * (n, classes), for a cross-entropy of distributions. The partner is drawn among all samples and changed as it would be
 * by itself. Of several of these a sample gets at most one, each by its p; where these are together above 1, in
 * proportion to them. */

/* "mixup" (Zhang et al. 2018): x = l x + (1 - l) x', y alike, l drawn from Beta(alpha, alpha). */
typedef struct glia_augment_mixup_opts {
    double alpha; /* 0: 0.2 */
    double p;
} glia_augment_mixup_opts;
GLIA_API void glia_augment_mixup(glia_augment *augment, glia_augment_mixup_opts opts);

/* "cutmix" (Yun et al. 2019), images: a rectangle of 1 - l of the area, cut off at the edges, comes from the partner;
 * the target has the shares of the areas. */
typedef struct glia_augment_cutmix_opts {
    double alpha; /* 0: 1 */
    double p;
} glia_augment_cutmix_opts;
GLIA_API void glia_augment_cutmix(glia_augment *augment, glia_augment_cutmix_opts opts);

/* ==== text ================================================================================== */
/* EDA (Wei and Zou 2019) on UTF-8 text whose words are separated by blanks. */

typedef struct glia_synonyms glia_synonyms;

/* A file of lines "word: synonym, synonym" (# begins a remark), or a folder with WordNet's data.noun, data.verb,
 * data.adj and data.adv. */
GLIA_API glia_synonyms *glia_synonyms_open(const char *path, glia_error *error);
GLIA_API void glia_synonyms_free(glia_synonyms *synonyms);
/* Those of a word in small letters, in alphabetical order, at most `capacity`; returns how many there are. */
GLIA_API int glia_synonyms_find(const glia_synonyms *synonyms, const char *word, const char **out, int capacity);

/* Shares of the words: at least one, where a share is not 0. All four 0: one of the operations, drawn, with 0.1; those
 * that need synonyms only if there are any. */
typedef struct glia_text_augment_opts {
    const glia_synonyms *synonyms; /* may be NULL */
    double replace;                /* by synonyms; stop words of English are left alone */
    double insert;                 /* synonyms of words of the text, anywhere */
    double swap;                   /* places of two words */
    double remove;                 /* each word with this probability; one remains */
    uint64_t seed;
    int64_t epoch, index; /* of the text: what is drawn is a function of the three */
} glia_text_augment_opts;
/* The changed text, a blank between words. Release with free(). */
GLIA_API char *glia_text_augment(const char *text, glia_text_augment_opts opts, glia_error *error);

#ifdef __cplusplus
}
#endif
#endif
