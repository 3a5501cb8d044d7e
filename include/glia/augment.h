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
 * Options are structs; a field left zero means the default that its comment names, in text as well. Every
 * transformation has p, the probability that it happens to a sample; 1 unless its comment says otherwise.
 */
#ifndef GLIA_AUGMENT_H
#define GLIA_AUGMENT_H

#include "glia/glia.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ==== pipelines ============================================================================= */

GLIA_API glia_augment *glia_augment_create(glia_error *error); /* an empty one: changes nothing */

/* NAME(FIELD=VALUE, ...) one after the other, blanks between them. A value without a name is of the next field in the
 * order of the struct; ranges are LOW..HIGH, lists A/B/C: "resized_crop(0.5..1) jitter(brightness=0.2, hue=0.05)". */
GLIA_API glia_augment *glia_augment_parse(const char *text, glia_error *error);
GLIA_API void glia_augment_free(glia_augment *augment);

/* As text that glia_augment_parse() takes; only what differs from the defaults. Release with free(); NULL: no memory. */
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

#ifdef __cplusplus
}
#endif
#endif
