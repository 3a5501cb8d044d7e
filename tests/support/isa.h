/* isa.h - selects the instruction sets for kernel tests: all that the machine supports, or the one named by GLIA_ISA
 * when the program started. */
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
