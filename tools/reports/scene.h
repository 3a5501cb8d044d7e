/* scene.h - pictures of environments, from marks (glia/environments.h): pixels, SVG, an animated GIF. */
#ifndef GLIA_TOOL_SCENE_H
#define GLIA_TOOL_SCENE_H

#include "reports/picture.h"

enum { SCENE_MARKS = 512 };
typedef struct scene {
    glia_mark marks[SCENE_MARKS];
    int n;
} scene;

picture scene_pixels(const scene *s, int side);
/* Frames beside each other, in rows of `columns`. */
void scene_svg(const scene *frames, int n, int columns, text *out);
/* An endless animation (GIF89a); `hundredths` of a second for a frame. */
void scene_gif(const scene *frames, int n, int side, int hundredths, text *out);
/* Prints a frame with two rows of pixels to a line: coloured half blocks, or letters without colours. */
void scene_print(const scene *s, int side);

#endif
