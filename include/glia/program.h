/* program.h - backends, stores, programs and sessions: how a graph is run.
 *
 * Threads: handles of different objects may always be used at the same time. Of one object,
 *   backend    any number of threads may compile for it and run sessions on it. While its pool computes for one thread,
 *              the others compute their own launches themselves; the bits are the same. Close it when no thread uses it.
 *   program    any number of threads may make sessions of it and inspect it.
 *   session    one thread at a time.
 *   function   one thread at a time.
 *   store      any number of threads may read it. One that writes (glia_store_add(), values, sessions with updates or
 *              random operations) needs it alone: no session over it may run in another thread.
 *   graph      any number of threads may compile it. One that adds to it needs it alone.
 */
#ifndef GLIA_PROGRAM_H
#define GLIA_PROGRAM_H

#include "glia/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where programs run. "cpu": vector kernels chosen for this CPU (or what the environment's GLIA_ISA names: v2, v3,
 * v4, neon, generic) on a pool of threads. "ref": one thread, everything computed in double from each operation's
 * definition. */
typedef struct glia_backend glia_backend;
GLIA_API glia_backend *glia_backend_open(const char *name, int threads, glia_error *error); /* threads 0: all cores */
GLIA_API void glia_backend_close(glia_backend *backend);
GLIA_API const char *glia_backend_describe(const glia_backend *backend); /* "cpu, v4 (AVX-512), 2 threads" */

/* Named tensors: the values of a graph's parameters and states. Trainable parameters lie in one flat buffer. */
typedef struct glia_store glia_store;
GLIA_API glia_store *glia_store_create(const glia_graph *graph, uint64_t seed, glia_error *error); /* initialised */
GLIA_API void glia_store_free(glia_store *store);
/* Adds the leaves of `graph` that the store does not have yet, initialised. */
GLIA_API glia_status glia_store_add(glia_store *store, const glia_graph *graph, uint64_t seed, glia_error *error);

GLIA_API int glia_store_count(const glia_store *store);
/* `data` may be read and written at any time between runs, as long as the store lives. */
GLIA_API glia_array glia_store_at(const glia_store *store, int index);
GLIA_API bool glia_store_find(const glia_store *store, const char *name, glia_array *array);
/* A promise that nothing is written through the pointers that these two have given so far. Before it, predictions with
 * a model whose store has given out pointers recompute in every call what depends on the values alone: correct, slower. */
GLIA_API void glia_store_settle(glia_store *store);

/* A store in a safetensors file: its tensors by name, without a graph. `pattern` (NULL: all) is a glob of the names that
 * are meant, as for glia_freeze(); one that matches no tensor of the store is an error. */
GLIA_API glia_status glia_store_save(const glia_store *store, const char *path, const char *pattern, glia_error *error);

typedef struct glia_load_report {
    int loaded;      /* tensors that were taken; 0 after an error */
    int missing;     /* tensors of the store that the file lacks; they stay as they are */
    int unexpected;  /* tensors of the file that the store lacks */
    char names[384]; /* "missing in the file: 'a', 'b'; unexpected in the file: 'c'", as far as there is room */
} glia_load_report;
/* Takes values from a file. strict: the file must have the names of the store and no others, as in PyTorch's
 * load_state_dict(); otherwise it must have one of them at least. A tensor in both with another dtype or shape is always
 * an error. After an error nothing has changed. `report` may be NULL. */
GLIA_API glia_status glia_store_load(glia_store *store, const char *path, const char *pattern, bool strict,
                                     glia_load_report *report, glia_error *error);

/* In what precision matrix products and convolutions multiply. Values, sums and parameters are f32 in any case. */
typedef enum glia_precision {
    GLIA_PRECISION_F32,
    GLIA_PRECISION_BF16 /* operands are rounded to bf16 (8 bits of mantissa) on their way into a product */
} glia_precision;

typedef struct glia_compile_opts {
    const glia_tensor *outputs; /* what to compute; at least one output or update */
    int n_outputs;
    glia_mode mode;
    /* Glob of the update groups to include; NULL: all for GLIA_TRAIN, none for GLIA_INFER; "": none. No two may change
     * the same leaf. A pattern that matches no group is an error, and so is a name among several that no group has. */
    const char *updates;
    /* GLIA_TRAIN only: glob of the running statistics to move ("critic*" matches "critic/bn/running_mean"); NULL: all;
     * "": none. As in PyTorch each forward pass in training mode moves those of its batch norms once, in order,
     * independently of `updates`: a program makes the passes that its outputs and updates depend on. */
    const char *statistics;
    int64_t batch;       /* what GLIA_BATCH stands for; 0: 1 */
    glia_precision precision;
    bool no_fusion;      /* keep every operation a launch of its own, to look for mistakes */
    /* GLIA_INFER only: a promise that the store's parameters and states stay as they are from a session's first run on.
     * What depends on them alone is computed in that run and kept: scales behind a product (batch norm) become part of
     * its weights, which rounds differently, and the weights are packed as the kernels read them. It takes memory for
     * the new weights. When the promise was broken, glia_session_refresh(). What `updates` change is excepted (keys and
     * values that a generation keeps, states of a recurrent layer), and so is what `changing` names. */
    bool frozen;
    /* frozen only: glob of parameters and states that others may change between runs (another program's updates, the
     * caller); NULL: none. A pattern that matches none, or a name among several that is none, is an error. */
    const char *changing;
} glia_compile_opts;

typedef struct glia_program glia_program;
GLIA_API glia_program *glia_compile(glia_graph *graph, glia_backend *backend, glia_compile_opts opts,
                                    glia_error *error);
GLIA_API void glia_program_free(glia_program *program); /* after its sessions */

typedef struct glia_program_info {
    size_t activation_bytes; /* what a session needs, scratch included */
    size_t fixed_bytes;      /* of these: fixed values and packed weights, shared by the program's sessions over one store */
    size_t parameter_bytes;  /* of the leaves that the program touches, in the store */
    size_t unplanned_bytes;  /* what the activations would need without reuse */
    int launches;            /* kernels started by a run */
    int launches_once;       /* frozen: additional kernels of the first run */
    int nodes;
    double flops;            /* multiplications and additions of matrix products and convolutions in a run */
    double bytes;            /* what the kernels of a run read and write, each operand of each of them once */
} glia_program_info;
GLIA_API glia_program_info glia_program_inspect(const glia_program *program);
/* The program as text, a launch a line, for reading. Release with free(). */
GLIA_API char *glia_program_print(const glia_program *program);

/* A running instance: its own activations, the store's parameters (shared). What a frozen program computes once and packs is
 * shared by its sessions over one store. One thread at a time; sessions of one program may run in different threads. */
typedef struct glia_session glia_session;
GLIA_API glia_session *glia_session_create(glia_program *program, glia_store *store, glia_error *error);
GLIA_API void glia_session_free(glia_session *session);
/* Where to write an input before a run: dense, row-major, of the input's dtype. NULL: the program has no such input, or
 * nothing that it computes needs it; `error` has the nearest name. */
GLIA_API void *glia_session_input(glia_session *session, const char *name, glia_array *array, glia_error *error);
GLIA_API glia_status glia_session_run(glia_session *session, glia_error *error); /* allocates nothing */
/* Computes again what a frozen program's sessions keep of the store's values, for all sessions that share it; for after the
 * values have changed, or before the first run, which then is as quick as the others. Waits until no run of these sessions
 * is in progress. Other sessions have nothing to refresh. */
GLIA_API glia_status glia_session_refresh(glia_session *session, glia_error *error);
/* Valid until the next run or refresh; of values that follow from parameters alone: until any sharing session's refresh. */
GLIA_API glia_array glia_session_output(const glia_session *session, int index);

/* Tensors of a graph as a function of its inputs: what glia_compile() and sessions do, with inputs by name and a program for
 * each batch size, compiled when it is first called for; those of the last four sizes are kept. The graph, the backend and
 * the store must outlive it. One thread at a time. */
typedef struct glia_function_opts {
    const glia_tensor *outputs; /* n_outputs of them; copied */
    int n_outputs;
    glia_mode mode;
    const char *updates, *statistics; /* as in glia_compile_opts */
    glia_precision precision;
    bool frozen;         /* as in glia_compile_opts; fixed values are recomputed in each call */
} glia_function_opts;
typedef struct glia_function glia_function;
GLIA_API glia_function *glia_function_create(glia_graph *graph, glia_backend *backend, glia_store *store,
                                             glia_function_opts opts, glia_error *error);
GLIA_API void glia_function_free(glia_function *function);
/* inputs: name, dtype, shape and data of each, the batch size in place of GLIA_BATCH; all checked. An input without a batch
 * axis that is not given keeps the value that it was given last, or the one with which it began (a learning rate).
 * outputs[i], one for each: valid until the next call. */
GLIA_API glia_status glia_function_call(glia_function *function, const glia_array *inputs, int n_inputs,
                                        glia_array *outputs, glia_error *error);

/* The value of x, computed at once on the ref backend, for looking while building: batch 1, parameters as initialised
 * with seed 0, inputs zero. `values` has room for `capacity` doubles. */
GLIA_API glia_status glia_eval(glia_tensor x, double *values, int64_t capacity, glia_error *error);

#ifdef __cplusplus
}
#endif

#endif
