/* network.h - draws a model: layers from top to bottom, with shapes and parameters. */
#ifndef GLIA_TOOL_NETWORK_H
#define GLIA_TOOL_NETWORK_H

#include "terminal/tool.h"

/* False: the model's graph has an error. file: writes a complete SVG file, else a part of a page. */
bool network_svg(text *out, const glia_model *model, bool file);

/* Appends the text with the special characters of HTML and SVG escaped. */
void escape(text *out, const char *words);

#endif
