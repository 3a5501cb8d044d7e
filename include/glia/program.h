/* program.h - backends, stores, programs and sessions, which run graphs.
 *
 * Threads: different objects may always be used at the same time. For one object,
 *   backend    any number of threads may compile for it and run sessions on it. While its pool computes for one thread,
 *              the others compute their launches themselves, with the same bits. Close it when no thread uses it.
 *   program    any number of threads may make sessions of it and inspect it.
 *   session    one thread at a time.
 *   function   one thread at a time.
 *   store      any number of threads may read it. One that writes (glia_store_add(), values, sessions with updates or
 *              random operations) needs exclusive access: no session over it may run in another thread.
 *   graph      any number of threads may compile it. One that adds to it needs exclusive access.
 */
#ifndef GLIA_PROGRAM_H
#define GLIA_PROGRAM_H

#include "glia/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* An execution backend. "cpu": vector kernels chosen for this CPU (or by the environment variable GLIA_ISA: v2, v3, v4,
 * neon, generic) on a pool of threads. "ref": one thread, everything computed in double from each operation's
 * definition. */
typedef struct glia_backend glia_backend;
GLIA_API glia_backend *glia_backend_open(const char *name, int threads, glia_error *error); /* threads 0: all cores */
GLIA_API void glia_backend_close(glia_backend *backend);
GLIA_API const char *glia_backend_describe(const glia_backend *backend); /* "cpu, v4 (AVX-512), 2 threads" */

/* Named tensors: the values of a graph's parameters and states. Trainable parameters are contiguous in one buffer. */
typedef struct glia_store glia_store;
GLIA_API glia_store *glia_store_create(const glia_graph *graph, uint64_t seed, glia_error *error); /* initialised */
GLIA_API void glia_store_free(glia_store *store);
/* Adds the leaves of `graph` that are not in the store, initialised. */
GLIA_API glia_status glia_store_add(glia_store *store, const glia_graph *graph, uint64_t seed, glia_error *error);

GLIA_API int glia_store_count(const glia_store *store);
/* `data` may be read and written at any time between runs, as long as the store exists. */
GLIA_API glia_array glia_store_at(const glia_store *store, int index);
GLIA_API bool glia_store_find(const glia_store *store, const char *name, glia_array *array);
/* A promise that nothing will be written through the pointers that these two have returned so far. Without it,
 * predictions with a model whose store has given out pointers recompute in every call what depends only on values:
 * correct, but slower. */
GLIA_API void glia_store_settle(glia_store *store);

/* A store as a safetensors file: its tensors by name, without a graph. `pattern` (NULL: all) is a glob of the names to
 * include, as for glia_freeze(); if it matches no tensor of the store, that is an error. */
GLIA_API glia_status glia_store_save(const glia_store *store, const char *path, const char *pattern, glia_error *error);

typedef struct glia_load_report {
    int loaded;      /* tensors loaded; 0 after an error */
    int missing;     /* tensors of the store that the file lacks; they are unchanged */
    int unexpected;  /* tensors of the file that the store lacks */
    char names[384]; /* "missing in the file: 'a', 'b'; unexpected in the file: 'c'", truncated to fit */
} glia_load_report;
/* Loads values from a file. strict: the file must have exactly the names of the store, as in PyTorch's
 * load_state_dict(); otherwise at least one of them. A common name with another dtype or shape is always an error.
 * After an error nothing has changed. `report` may be NULL. */
GLIA_API glia_status glia_store_load(glia_store *store, const char *path, const char *pattern, bool strict,
                                     glia_load_report *report, glia_error *error);

/* Values of one store, or of a part of it, into another by name: PREFIX + rest and the other PREFIX + rest are
 * counterparts (NULL is ""). Every value under a prefix that is not empty needs a counterpart of the same dtype and
 * shape; if both are empty, every value of the first store. The stores may be one, but no value may be on both sides. A
 * prefix that no name begins with, and a missing counterpart, are errors; after an error nothing has changed. As after
 * all writes by the library, predictions use the new values; a session of a frozen program needs
 * glia_session_refresh().
 *
 * dst = (1 - share) dst + share src, rounded once; share in [0, 1], 1 copies the bits. Soft updates of target networks
 * (Lillicrap et al. 2016, "Continuous control with deep reinforcement learning", algorithm 1: share is tau) and moving
 * averages of weights. Integers and bools cannot be mixed: they stay as they are unless share is 1. */
GLIA_API glia_status glia_store_blend(glia_store *dst, const char *dst_prefix, const glia_store *src,
                                      const char *src_prefix, double share, glia_error *error);
/* Exchanges the values of two sides: parameters with their averages ("" and "train/ema/" of a training's store) and
 * back. */
GLIA_API glia_status glia_store_swap(glia_store *a, const char *a_prefix, glia_store *b, const char *b_prefix,
                                     glia_error *error);

/* The f32 values whose names match `pattern` (a glob; NULL: all parameters, frozen ones too, and no states) as one
 * vector, in the store's order, and back: for search methods that see a point, such as evolution strategies. What
 * matches must be f32. pack_size: how many values these are; -1: see error. n must be that number. After an error
 * nothing has changed. */
GLIA_API int64_t glia_store_pack_size(const glia_store *store, const char *pattern, glia_error *error);
GLIA_API glia_status glia_store_pack(const glia_store *store, const char *pattern, float *flat, int64_t n,
                                     glia_error *error);
GLIA_API glia_status glia_store_unpack(glia_store *store, const char *pattern, const float *flat, int64_t n,
                                       glia_error *error);

/* The precision of matrix products and convolutions. Values, sums and parameters are always f32. */
typedef enum glia_precision {
    GLIA_PRECISION_F32,
    GLIA_PRECISION_BF16 /* operands of products are rounded to bf16 (8 bits of mantissa) */
} glia_precision;

typedef struct glia_compile_opts {
    const glia_tensor *outputs; /* what to compute; at least one output or update */
    int n_outputs;
    glia_mode mode;
    /* Glob of the update groups to include; NULL: all for GLIA_TRAIN, none for GLIA_INFER; "": none. No two may change
     * the same leaf. A pattern that matches no group is an error, and so is a name in a list that is not a group. */
    const char *updates;
    /* GLIA_TRAIN only: glob of the running statistics to move ("critic*" matches "critic/bn/running_mean" and the
     * vectors of spectral norm, "critic/fc/u"); NULL: all; "": none. As in PyTorch each forward pass moves its own
     * once, in order, independently of `updates`: a program makes the passes that its outputs and updates depend on. */
    const char *statistics;
    int64_t batch, nodes, edges; /* what GLIA_BATCH, GLIA_NODES and GLIA_EDGES stand for; 0: 1 */
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
    size_t activation_bytes; /* memory of a session, scratch included */
    size_t fixed_bytes;      /* of these: fixed values and packed weights, shared by sessions over one store */
    size_t parameter_bytes;  /* of the leaves that the program uses, in the store */
    size_t unplanned_bytes;  /* size of the activations without reuse */
    int launches;            /* kernels launched per run */
    int launches_once;       /* frozen: additional kernels of the first run */
    int nodes;
    double flops;            /* multiplications and additions of matrix products and convolutions in a run */
    double bytes;            /* bytes that the kernels of a run read and write, each operand of each kernel once */
} glia_program_info;
GLIA_API glia_program_info glia_program_inspect(const glia_program *program);
/* The program as readable text, one launch per line. Release with free(). */
GLIA_API char *glia_program_print(const glia_program *program);

/* A running instance: its own activations, the store's parameters (shared). Values that a frozen program computes once,
 * and packed weights, are shared by its sessions over one store. One thread at a time; sessions of one program may run
 * in different threads. */
typedef struct glia_session glia_session;
GLIA_API glia_session *glia_session_create(glia_program *program, glia_store *store, glia_error *error);
GLIA_API void glia_session_free(glia_session *session);
/* The address of an input, to be written before a run: dense, row-major, of the input's dtype. NULL: the program has no
 * such input, or does not use it; `error` has the nearest name. */
GLIA_API void *glia_session_input(glia_session *session, const char *name, glia_array *array, glia_error *error);
GLIA_API glia_status glia_session_run(glia_session *session, glia_error *error); /* allocates nothing */
/* Recomputes the values that a frozen program's sessions keep, for all sessions that share them: after the store's
 * values have changed, or before the first run, which is then as fast as the others. Waits until none of these sessions
 * is running. Other sessions have nothing to refresh. */
GLIA_API glia_status glia_session_refresh(glia_session *session, glia_error *error);
/* Valid until the next run or refresh; for values that depend only on parameters: until a refresh of any sharing
 * session. */
GLIA_API glia_array glia_session_output(const glia_session *session, int index);

/* Tensors of a graph as a function of its inputs: what glia_compile() and sessions do, with inputs by name and a
 * program for each triple of sizes (batch, nodes, edges), compiled when it is first called for; those of the last four
 * are kept. Batches of graphs that all differ are better padded to a few sizes (entries that belong to no row of the
 * offsets add nothing). The graph, the backend and the store must outlive it. One thread at a time. */
typedef struct glia_function_opts {
    const glia_tensor *outputs; /* n_outputs of them; copied */
    int n_outputs;
    glia_mode mode;
    const char *updates, *statistics; /* as in glia_compile_opts */
    glia_precision precision;
    bool frozen;         /* as in glia_compile_opts; fixed values are recomputed in each call, unless: */
    const char *changing; /* frozen only: a promise that no parameters and states but these (a glob, "": none) change
                           * after the first call of a size, so fixed values are kept; NULL: any may */
} glia_function_opts;
typedef struct glia_function glia_function;
GLIA_API glia_function *glia_function_create(glia_graph *graph, glia_backend *backend, glia_store *store,
                                             glia_function_opts opts, glia_error *error);
GLIA_API void glia_function_free(glia_function *function);
/* inputs: name, dtype, shape and data of each, with numbers in place of GLIA_BATCH, GLIA_NODES and GLIA_EDGES; all
 * checked, and against each other. An input of fixed shape that is not given keeps the value that it was given last, or
 * the one with which it began (a learning rate). outputs[i], one for each: valid until the next call. */
GLIA_API glia_status glia_function_call(glia_function *function, const glia_array *inputs, int n_inputs,
                                        glia_array *outputs, glia_error *error);

/* The value of x, evaluated at once on the ref backend, for inspection while building: batch 1, parameters initialised
 * with seed 0, inputs zero. `values` has room for `capacity` doubles. */
GLIA_API glia_status glia_eval(glia_tensor x, double *values, int64_t capacity, glia_error *error);

#ifdef __cplusplus
}
#endif

#endif
