/* version.c - which Glia this is. */
#include "base/base.h"

const char *glia_version(void) { return GLIA_VERSION; }
