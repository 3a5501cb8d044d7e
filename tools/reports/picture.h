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
void picture_base64(const picture *p, text *out); /* the same, as base64 */

/* n samples in rows of `columns`, with `gap` pixels of the grey value `paper` between them. */
picture picture_sheet(const picture *samples, int n, int columns, int gap, int scale, unsigned char paper);

/* Prints a grey sample, two rows of pixels per line, each line indented by `indent` spaces: as half blocks on a colour
 * terminal, else as letters for the mean of the two pixels. */
void picture_print(const float *x, glia_shape shape, int indent);

#endif
