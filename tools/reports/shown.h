/* shown.h - the part of a report that has what the method showed (gallery.c). */
#ifndef GLIA_TOOL_SHOWN_H
#define GLIA_TOOL_SHOWN_H

#include "runs/training.h"

/* Appends a section for each name: pictures after the first epoch, after the last, and between; the last text. */
void report_shown(const training *t, text *out);

#endif
