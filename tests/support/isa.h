/* isa.h - on which instruction sets a test of kernels runs: all of the machine, or the one that GLIA_ISA named at the
 * start of the program. */
#ifndef GLIA_TESTS_ISA_H
#define GLIA_TESTS_ISA_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char isa_named[16];

__attribute__((constructor)) static void isa_note(void) {
    const char *name = getenv("GLIA_ISA");
    if (name) snprintf(isa_named, sizeof isa_named, "%s", name);
}

static inline bool isa_is_wanted(const char *isa) { return !isa_named[0] || strcmp(isa_named, isa) == 0; }

#endif
