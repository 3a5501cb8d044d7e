/* picture.h - samples as pictures: PNG files and text for a terminal. */
#ifndef GLIA_TOOL_PICTURE_H
#define GLIA_TOOL_PICTURE_H

#include "terminal/tool.h"

/* A picture with interleaved channels. */
typedef struct picture {
    int width, height, channels; /* 1: grey; 3: red, green, blue */
    unsigned char *pixels;       /* (height, width, channels); release with free() */
} picture;

/* Whether samples of this shape can be shown: (1|3, H, W). */
bool picture_possible(glia_shape shape);

/* Converts x (C, H, W) in [0, 1] to bytes; values outside are clipped. */
picture picture_of_sample(const float *x, glia_shape shape);

/* Appends a PNG file (ISO/IEC 15948). The data are stored without compression: samples are small and noisy. */
void picture_png(const picture *p, text *out);
/* n pictures of one size as an animated PNG (APNG 1.0), each shown for `hundredths` of a second, over and over. */
void picture_apng(const picture *frames, int n, int hundredths, text *out);
void picture_base64(const picture *p, text *out); /* the same, as base64 */
/* The CRC of PNG, gzip and zip (polynomial 0xEDB88320, reflected) of bytes after others with this sum; 0: the first. */
uint32_t crc32_of(uint32_t sum, const void *bytes, size_t length);
void base64(const void *bytes, size_t length, text *out);

/* n samples in rows of `columns`, with `gap` pixels of the grey value `paper` between them. */
picture picture_sheet(const picture *samples, int n, int columns, int gap, int scale, unsigned char paper);

/* n samples (C, H, W) with values in [0, 1] as a sheet; columns 0: about as many as rows. Small ones are enlarged. The
 * library's glia_image_save() writes such sheets to files, as PNG only if it was built with libpng; reports and runs
 * need PNG in every build, in memory too. */
picture picture_grid(const float *values, int64_t n, glia_shape sample, int columns);
/* n points (x, y) as dots on a square of `side` pixels that shows them all. */
picture picture_points(const float *points, int64_t n, int side);

/* Prints a grey sample in letters, two rows of pixels to a line, `indent` blanks before each; every second pixel where
 * that is enough. */
void picture_print(const float *x, glia_shape shape, int indent);

#endif
