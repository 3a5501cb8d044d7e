/* survive.h - callbacks that tolerate a full disk. */
#ifndef GLIA_TOOL_SURVIVE_H
#define GLIA_TOOL_SURVIVE_H

#include "terminal/tool.h"

/* The same callback, but training goes on when it fails with GLIA_E_IO after it has begun; stderr says so, once for
 * each row of failures. What save_begin says stays an error of the checkpoint. */
glia_callback survive(glia_callback callback);

#endif
