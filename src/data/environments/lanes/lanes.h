/* lanes.h - copies of environments side by side: vector code that is compiled once for each instruction set. */
#ifndef GLIA_SRC_DATA_ENVIRONMENTS_LANES_LANES_H
#define GLIA_SRC_DATA_ENVIRONMENTS_LANES_LANES_H

#include "base/base.h"
#include "glia/environments.h"

/* The hooks `side_by_side` of records, by name. */
typedef struct glia_env_motions {
#define GLIA_ENV_LANES_ROW(name) glia_env_lanes_fn name;
#include "data/environments/lanes/lanes.def"
#undef GLIA_ENV_LANES_ROW
} glia_env_motions;

/* Those of this machine's instruction set. */
const glia_env_motions *glia_env_motions_here(void);

#endif
