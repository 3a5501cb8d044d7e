/* memory.c - arenas, aligned blocks, growing arrays.
 *
 * An arena is a list of chunks, newest first. A request is served from the newest chunk if it fits, else from a new
 * one. Chunk sizes double up to 1 MiB, so a graph of ten thousand nodes takes about a dozen calls to malloc.
 *
 * Large blocks request huge pages where the system offers them: one page of 2 MiB is allocated faster than 512 small
 * ones, and needs fewer TLB entries.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

#include "base/base.h"

struct glia_arena_chunk {
    struct glia_arena_chunk *next;
    size_t used, size; /* of the bytes after this header */
    _Alignas(16) unsigned char bytes[];
};

enum { CHUNK_FIRST = 4096, CHUNK_LAST = 1 << 20 };

void *glia_arena_alloc(glia_arena *arena, size_t bytes) {
    if (bytes > SIZE_MAX / 2) return NULL;
    bytes = (bytes + 15) & ~(size_t)15;
    struct glia_arena_chunk *c = arena->chunks;
    if (!c || c->size - c->used < bytes) {
        size_t size = c ? GLIA_MIN(c->size * 2, (size_t)CHUNK_LAST) : CHUNK_FIRST;
        size = GLIA_MAX(size, bytes);
        c = malloc(sizeof *c + size);
        if (!c) return NULL;
        *c = (struct glia_arena_chunk){ .next = arena->chunks, .size = size };
        arena->chunks = c;
    }
    void *p = c->bytes + c->used;
    c->used += bytes;
    memset(p, 0, bytes);
    return p;
}

char *glia_arena_strdup(glia_arena *arena, const char *text) {
    size_t n = strlen(text) + 1;
    char *copy = glia_arena_alloc(arena, n);
    if (copy) memcpy(copy, text, n);
    return copy;
}

char *glia_arena_printf(glia_arena *arena, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    char *text = n < 0 ? NULL : glia_arena_alloc(arena, (size_t)n + 1);
    if (text) vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    va_end(args);
    return text;
}

void glia_arena_free(glia_arena *arena) {
    for (struct glia_arena_chunk *c = arena->chunks, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    arena->chunks = NULL;
}

enum { LARGE_PAGE = 2 << 20, LARGE_BLOCK = 2 * LARGE_PAGE };

void *glia_alloc_aligned(size_t bytes) {
    if (bytes > SIZE_MAX / 2) return NULL;
    size_t rounded = GLIA_MAX(glia_align(bytes), (size_t)GLIA_ALIGN);
    void *p;
    if (posix_memalign(&p, rounded >= LARGE_BLOCK ? LARGE_PAGE : GLIA_ALIGN, rounded)) return NULL;
#ifdef MADV_HUGEPAGE
    if (rounded >= LARGE_BLOCK) madvise(p, rounded, MADV_HUGEPAGE); /* only a hint */
#endif
    memset(p, 0, rounded);
    return p;
}

bool glia_grow(void **items, int count, int *capacity, size_t item_size) {
    if (count < *capacity) return true;
    if (*capacity > INT32_MAX / 2) return false;
    int wanted = *capacity ? *capacity * 2 : 16;
    size_t bytes;
    if (!glia_mul_fits((size_t)wanted, item_size, &bytes)) return false;
    void *grown = realloc(*items, bytes);
    if (!grown) return false;
    *items = grown;
    *capacity = wanted;
    return true;
}
