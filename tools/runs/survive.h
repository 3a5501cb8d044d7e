/* survive.h - callbacks that tolerate a full disk. */
#ifndef GLIA_TOOL_SURVIVE_H
#define GLIA_TOOL_SURVIVE_H

#include "terminal/tool.h"

/* The same callback, but training continues when it fails with GLIA_E_IO after training has begun. A message on stderr
 * reports the first of consecutive failures. An error of save_begin remains an error of the checkpoint. */
glia_callback survive(glia_callback callback);

#endif
