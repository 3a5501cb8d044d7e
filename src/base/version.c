/* version.c - the version of the library. */
#include "base/base.h"

const char *glia_version(void) { return GLIA_VERSION; }
