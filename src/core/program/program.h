/* program.h - a compiled program from the inside; program.c makes it, session.c runs it. */
#ifndef GLIA_SRC_CORE_PROGRAM_PROGRAM_H
#define GLIA_SRC_CORE_PROGRAM_PROGRAM_H

#include "core/passes/passes.h"

struct glia_program {
    glia_backend *backend;
    glia_graph *graph; /* lowered, concrete */
    glia_schedule schedule;
    glia_plan plan;
    void *constants;
    glia_program_info info;
};

/* The next run begins with glia_session_refresh(). */
void glia_session_outdate(glia_session *session);

#endif
