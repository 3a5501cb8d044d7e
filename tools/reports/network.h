/* network.h - draws a model: layers from top to bottom, with shapes and parameters. */
#ifndef GLIA_TOOL_NETWORK_H
#define GLIA_TOOL_NETWORK_H

#include "terminal/tool.h"

/* False: the model's graph has a mistake. `file`: an SVG file of its own, else a part of a page. */
bool network_svg(text *out, const glia_model *model, bool file);

/* Appends text with what HTML and SVG give a meaning replaced. */
void escape(text *out, const char *words);

#endif
