/* input.h - reads the inputs of predictions.
 *
 * An input is a picture (digit.png) or a sample of a data set (mnist#17, idx:IMAGES#5, csv:FILE?label=y#3; the test
 * split where there is one). A picture is converted to the model's channels and resized, like images: data; with
 * `digit` it is also normalised like MNIST: inverted if the background is light, cropped to the ink, scaled to 20 of 28
 * pixels on the longer side, its centre of mass in the centre (LeCun et al. 1998, section III.A).
 */
#ifndef GLIA_TOOL_INPUT_H
#define GLIA_TOOL_INPUT_H

#include "runs/saved.h"

typedef struct input_how {
    const char *folder; /* searched first for named data sets; NULL: none */
    bool digit;
} input_how;

/* Reads x (sample) as the model takes it. *truth: the name of its class, to be freed, and *note: the preprocessing
 * applied; unchanged where there is none. Returns -1, or the exit status after printing an error. */
int input_read(const saved *s, const input_how *how, const char *input, float *x, char **truth, const char **note);
/* The length of ADDRESS in "ADDRESS#INDEX"; 0: not of this form. */
size_t input_address(const char *input, int64_t *index);

#endif
