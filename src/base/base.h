/* base.h - utilities for all other folders: memory, errors, text, random numbers, threads, files.
 *
 * Independent of tensors. Needs libc and pthreads only.
 *
 *   arena    memory that is freed all at once; graphs live in one
 *   error    glia_fail() fills the caller's glia_error and returns the status
 *   rng      Philox4x32-10: a value is a pure function of (key, counter)
 *   pool     a fixed set of threads that run numbered pieces of work
 *   file     whole files as (bytes, length), mapped or read; atomic replacement; append-only logs
 *   cpu      which instruction sets this machine has
 *   text     growing strings, glob patterns, nearest names
 *   number   decimal text to double and back
 *   eigen    eigenvalues and eigenvectors of symmetric matrices
 *   utf8     checking and writing UTF-8 sequences
 *   json     in json.h: a strict reader, into a tree
 *   hash     in hash.h: a hash of bytes, a hash table of indices
 */
#ifndef GLIA_SRC_BASE_BASE_H
#define GLIA_SRC_BASE_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "glia/status.h"

#define GLIA_COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))
#define GLIA_MIN(a, b) ((a) < (b) ? (a) : (b))
#define GLIA_MAX(a, b) ((a) > (b) ? (a) : (b))

/* ---- memory ------------------------------------------------------------------------------- */

enum { GLIA_ALIGN = 64 }; /* bytes; every tensor buffer starts on such a boundary */

/* Rounds up to a multiple of GLIA_ALIGN. */
static inline size_t glia_align(size_t bytes) { return (bytes + GLIA_ALIGN - 1) / GLIA_ALIGN * GLIA_ALIGN; }

/* Zeroed memory on a GLIA_ALIGN boundary; NULL: out of memory. Release with free(). */
void *glia_alloc_aligned(size_t bytes);

/* *product = a * b; false on overflow. */
static inline bool glia_mul_fits(size_t a, size_t b, size_t *product) { return !__builtin_mul_overflow(a, b, product); }

typedef struct glia_arena {
    struct glia_arena_chunk *chunks;
} glia_arena;

/* Zeroed memory, 16-byte aligned, valid until glia_arena_free(); NULL: out of memory. */
void *glia_arena_alloc(glia_arena *arena, size_t bytes);
char *glia_arena_strdup(glia_arena *arena, const char *text);
char *glia_arena_printf(glia_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
void glia_arena_free(glia_arena *arena);

/* Grows *items (count in use, *capacity allocated) so that one more fits. false: out of memory, nothing changed. */
bool glia_grow(void **items, int count, int *capacity, size_t item_size);

/* ---- options ------------------------------------------------------------------------------ */

/* The effective value of an option: `fallback` for 0, 0 for GLIA_ZERO. */
static inline double glia_option(double value, double fallback) {
    return value == 0 ? fallback : value == GLIA_ZERO ? 0 : value;
}
/* The same for an integer option: 0 for GLIA_NONE. */
static inline int64_t glia_option_count(int64_t value, int64_t fallback) {
    return value == 0 ? fallback : value == GLIA_NONE ? 0 : value;
}

/* ---- errors ------------------------------------------------------------------------------- */

/* Writes the message (if error is not NULL) and returns status, so that callers can `return glia_fail(...)`. */
glia_status glia_fail(glia_error *error, glia_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
glia_status glia_fail_nomem(glia_error *error);
/* GLIA_E_ARGUMENT: the argument with this name is NULL. */
glia_status glia_fail_null(glia_error *error, const char *argument);
/* Prefixes the message in error with "path: " unless status is GLIA_OK; returns status. */
glia_status glia_fail_at_path(glia_error *error, const char *path, glia_status status);

/* ---- text --------------------------------------------------------------------------------- */

/* A growing string. After a failed allocation it is unchanged and `failed` is set. */
typedef struct glia_text {
    char *bytes; /* NUL-terminated once something was appended; release with free() */
    size_t length, capacity;
    bool failed;
} glia_text;

void glia_text_append(glia_text *text, const char *bytes, size_t length);
void glia_text_printf(glia_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void glia_text_vprintf(glia_text *text, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
/* Escapes words for XML. Invalid UTF-8 and characters not allowed in XML become question marks. */
void glia_text_escape(glia_text *text, const char *words);

/* Shell-like pattern with * and ?; a comma separates alternatives: "conv*,dense1/bias". */
bool glia_glob(const char *pattern, const char *name);

/* GLIA_OK if the pattern matches at least one name, and each alternative without * and ? equals one. Else
 * GLIA_E_NOT_FOUND and "WHERE: no WHAT matches 'PATTERN'; did you mean 'NAME'?". */
glia_status glia_glob_check(const char *pattern, const char *const *names, int n, const char *where, const char *what,
                            glia_error *error);

/* The candidate with the smallest edit distance to `name` if close enough to suggest it as a correction, else NULL. */
const char *glia_nearest(const char *name, const char *const *candidates, int n);

/* ---- randomness --------------------------------------------------------------------------- */

/* Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"). */
void glia_philox(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4]);

/* A sequential reader of the Philox stream (seed, stream). Plain data: can be copied, compared and saved. */
typedef struct glia_rng {
    uint64_t seed, stream, position;
} glia_rng;

uint32_t glia_rng_u32(glia_rng *rng);
uint64_t glia_rng_below(glia_rng *rng, uint64_t bound); /* uniform in [0, bound), without bias; bound > 0 */
double glia_rng_uniform(glia_rng *rng);                 /* [0, 1) with 53 bits */
double glia_rng_normal(glia_rng *rng);                  /* N(0, 1), Box-Muller */
/* The next n numbers, equal to n single calls but faster. */
void glia_rng_uniforms(glia_rng *rng, double *out, int64_t n);
void glia_rng_normals(glia_rng *rng, double *out, int64_t n);

/* ---- threads ------------------------------------------------------------------------------ */

/* A pool of n threads (the caller is one of them). Work is cut into pieces; their number must not depend on the number
 * of threads, so that results are bitwise equal on any machine. Which thread runs which piece is unspecified. */
typedef struct glia_pool glia_pool;
typedef void (*glia_piece_fn)(void *context, int64_t piece, int worker); /* worker in [0, glia_pool_size) */

glia_pool *glia_pool_create(int threads, glia_error *error); /* threads <= 0: one per core */
void glia_pool_free(glia_pool *pool);
int glia_pool_size(const glia_pool *pool); /* 1 for NULL */

/* Runs fn(context, i, worker) for every i in [0, pieces); returns when all are done. NULL pool: on the calling thread,
 * in order. Overhead about 1 us. Any thread may call it, also from within a piece: while the pool runs another call,
 * all pieces run on the calling thread, in order, as worker 0. Per-worker data must therefore belong to one call. */
void glia_parallel_for(glia_pool *pool, int64_t pieces, glia_piece_fn fn, void *context);

int glia_cpu_cores(void);

/* ---- cpu features ------------------------------------------------------------------------- */

typedef enum glia_isa {
    GLIA_ISA_GENERIC,
    GLIA_ISA_V2,
    GLIA_ISA_V3,
    GLIA_ISA_V4,
    GLIA_ISA_NEON,
    GLIA_ISA_COUNT
} glia_isa;

const char *glia_isa_name(glia_isa isa);                            /* "generic", "v2", "v3", "v4", "neon" */
glia_status glia_isa_choose(glia_isa *isa, glia_error *error);      /* the best of this CPU, or that of $GLIA_ISA */

/* ---- files -------------------------------------------------------------------------------- */

typedef struct glia_file {
    const uint8_t *bytes;
    size_t length;
    void *mapping; /* private */
    size_t mapped;
} glia_file;

/* The whole file, read-only (mapped where possible). Other than regular files are read to the end, at most
 * GLIA_FILE_STREAM_MOST bytes; devices other than terminals are refused. Error: GLIA_E_IO with path and reason. */
enum { GLIA_FILE_STREAM_MOST = 1 << 30 };
glia_status glia_file_open(glia_file *file, const char *path, glia_error *error);
void glia_file_close(glia_file *file);
bool glia_file_is_device(const char *path); /* other than a terminal */
/* Reads at most `most` bytes to the end into malloc()ed *bytes. Returns 0 or errno; EFBIG: the file is longer. */
int glia_file_read_all(int fd, size_t most, uint8_t **bytes, size_t *length);

/* Replaces `path` atomically: writes path.tmp, syncs, renames. A crash at any time leaves the old file or the new one.
 * The pieces are written in order. */
typedef struct glia_span {
    const void *bytes;
    size_t length;
} glia_span;
glia_status glia_file_replace(const char *path, const glia_span *pieces, int n, glia_error *error);

/* An append-only file. A record that cannot be written completely is truncated away, so the first `length` bytes hold
 * complete records. */
typedef struct glia_log_file {
    int fd; /* -1: not open */
    int64_t length;
} glia_log_file;

/* Opens the log and truncates it to `length` bytes; length 0: creates it if it does not exist.
 * GLIA_E_NOT_FOUND: it or its folder does not exist; GLIA_E_FORMAT: it is shorter than `length`. */
glia_status glia_log_file_open(glia_log_file *log, const char *path, int64_t length, glia_error *error);
glia_status glia_log_file_append(glia_log_file *log, const char *path, const void *bytes, size_t length,
                                 glia_error *error);
void glia_log_file_close(glia_log_file *log);

/* ---- numbers as text ---------------------------------------------------------------------- */

/* Parses all of [text, end) as a decimal number: sign, digits, fraction, exponent. Correctly rounded, independent of
 * the locale. false: not a number, "nan", "inf", or out of a double's range. */
bool glia_number_parse(const char *text, const char *end, double *value);
/* Writes the shortest decimal that parses to the same number; returns `out`. */
enum { GLIA_NUMBER_TEXT = 32 };
char *glia_number_print(double value, char out[GLIA_NUMBER_TEXT]);

/* ---- eigenvectors ------------------------------------------------------------------------- */

/* Eigenvalues and eigenvectors of a symmetric matrix a (m, m), the largest eigenvalue first; row i of `vectors` is the
 * unit eigenvector of values[i]. Overwrites `a`; work (m). false: no convergence, which does not happen for finite
 * matrices. */
bool glia_symmetric_eigen(double *a, int64_t m, double *values, double *vectors, double *work);

/* ---- UTF-8 -------------------------------------------------------------------------------- */

/* Bytes of the valid UTF-8 sequence at p (RFC 3629: no overlong forms, no surrogates), 0 if invalid. rest > 0. */
size_t glia_utf8_length(const uint8_t *p, size_t rest);
/* Writes a code point; returns the number of bytes. */
size_t glia_utf8_write(uint32_t code, char out[4]);

#endif
