/* npz.h - writes arrays as NumPy's .npz: a zip of .npy files, without compression. */
#ifndef GLIA_TOOL_NPZ_H
#define GLIA_TOOL_NPZ_H

#include "terminal/tool.h"

/* A file in the making. Zero-initialise. */
typedef struct npz {
    text bytes, directory;
    int n;
} npz;

/* Adds an array of doubles ("<f8") of this shape, whose first axis may have any length. */
void npz_add(npz *z, const char *name, glia_shape shape, const double *values);
/* Ends the file: z->bytes is complete. */
void npz_end(npz *z);
void npz_free(npz *z);

#endif
