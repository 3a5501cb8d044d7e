/* program.h - internals of a compiled program; program.c makes it, session.c runs it. */
#ifndef GLIA_SRC_CORE_PROGRAM_PROGRAM_H
#define GLIA_SRC_CORE_PROGRAM_PROGRAM_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/passes/passes.h"

struct glia_program {
    glia_backend *backend;
    glia_graph *graph; /* lowered, concrete */
    glia_schedule schedule;
    glia_plan plan;
    void *constants;
    glia_program_info info;
    atomic_int holders;      /* each holder calls glia_program_free() */
    pthread_mutex_t mutex;   /* protects `fixed` and its entries */
    pthread_cond_t released; /* a run has ended, or the fixed values have been computed */
    struct glia_fixed *fixed;
};

/* Adds a holder, which must call glia_program_free(). */
glia_program *glia_program_hold(glia_program *program);

/* ---- fixed values (fixed.c) ------------------------------------------------------------------ */

/* Memory for the values that a frozen program computes from the store: fixed values and packed weights. All sessions of
 * the program whose leaves lie at the same addresses share one. It is recomputed only while no session runs. */
typedef struct glia_fixed {
    struct glia_fixed *next;
    void **leaves; /* by node id; NULL where there is no leaf */
    char *memory;
    int sessions;
    int running;     /* sessions between glia_fixed_enter() and glia_fixed_exit() */
    bool computing;  /* a session is computing it */
    bool valid;      /* computed at least once */
    uint64_t writes; /* glia_store_writes() at the last computation */
} glia_fixed;

typedef enum glia_fixed_check {
    GLIA_FIXED_TRUST,  /* valid in spite of writes: the caller of glia_session_run() guarantees it */
    GLIA_FIXED_VERIFY, /* valid if the store has not changed since */
    GLIA_FIXED_RENEW   /* compute it again */
} glia_fixed_check;

/* The program's fixed memory for these leaves, new or shared. address: by node id. NULL and error on failure. */
glia_fixed *glia_fixed_join(glia_program *program, void *const *address, glia_error *error);
/* Leaves it; frees it when no other session shares it. */
void glia_fixed_leave(glia_program *program, glia_fixed *fixed);
/* Starts a run. True: the caller must compute the fixed values and then call glia_fixed_computed(). Waits while another
 * session computes them, or while others run and they must be computed. */
bool glia_fixed_enter(glia_program *program, glia_fixed *fixed, const glia_store *store, glia_fixed_check check);
void glia_fixed_computed(glia_program *program, glia_fixed *fixed);
void glia_fixed_exit(glia_program *program, glia_fixed *fixed);

/* ---- sessions (session.c) --------------------------------------------------------------------- */

/* glia_session_create() on a backend with the same traits as the program's. */
glia_session *glia_session_create_on(glia_program *program, glia_backend *backend, glia_store *store,
                                     glia_error *error);
/* Moves the session to another backend with the same traits. */
void glia_session_move(glia_session *session, glia_backend *backend);

/* The next run recomputes the fixed values if the store may have changed. */
void glia_session_outdate(glia_session *session);

/* ---- functions (function.c) ------------------------------------------------------------------- */

int glia_function_outputs(const glia_function *function); /* how many a call gives */

#endif
