/* table_rows.c - rows of a table by index, in plain C. The work depends on the number of indices, not on the size of
 * the table. */
#include <string.h>

#include "backend/cpu/lowering/lower.h"
#include "core/ops/ops.h"

/* Rows of `width` numbers. A launch's own hash table finds the first position with the same index. */
typedef struct rows_launch {
    glia_launch base;
    const void *index;
    bool wide; /* the indices are i64 */
    int64_t size, picks, bytes, width, pieces;
    const char *table, *rows; /* put_rows: x and u; row_sums: u in rows */
    char *out;
    int64_t *slots, n_slots, *first; /* row_sums: hash table; for each position the first with its index */
} rows_launch;

/* The row at index number i; less than 0: out of range. */
static int64_t index_at(const rows_launch *l, int64_t i) {
    const int64_t k = l->wide ? ((const int64_t *)l->index)[i] : ((const int32_t *)l->index)[i];
    return k < 0 ? GLIA_MAX(k + l->size, -1) : k < l->size ? k : -1;
}

static void find_first(const rows_launch *l) {
    for (int64_t s = 0; s < l->n_slots; s++) l->slots[s] = -1;
    for (int64_t i = 0; i < l->picks; i++) {
        const int64_t index = index_at(l, i);
        uint64_t at = (uint64_t)index * 0x9e3779b97f4a7c15u >> 20;
        for (;; at++) {
            int64_t *slot = &l->slots[at & (uint64_t)(l->n_slots - 1)];
            if (*slot < 0) *slot = i;
            if (index_at(l, *slot) != index) continue;
            l->first[i] = *slot;
            break;
        }
    }
}

/* Columns [begin, end) of piece `piece`. */
static void share(const rows_launch *l, int64_t piece, int64_t *begin, int64_t *end) {
    *begin = l->width * piece / l->pieces;
    *end = l->width * (piece + 1) / l->pieces;
}

static void sums_piece(void *context, int64_t piece, int worker) {
    const rows_launch *l = context;
    const float *u = (const float *)(const void *)l->rows;
    float *y = (float *)(void *)l->out;
    int64_t begin, end;
    (void)worker;
    share(l, piece, &begin, &end);
    for (int64_t i = 0; i < l->picks; i++) {
        const float *from = u + i * l->width;
        float *to = y + l->first[i] * l->width;
        if (index_at(l, i) < 0)
            memset(y + i * l->width + begin, 0, (size_t)(end - begin) * sizeof *y);
        else if (l->first[i] == i)
            memcpy(to + begin, from + begin, (size_t)(end - begin) * sizeof *to);
        else
            for (int64_t b = begin; b < end; b++) to[b] += from[b];
    }
    for (int64_t i = 0; i < l->picks; i++) {
        const float *from = y + l->first[i] * l->width;
        if (l->first[i] != i && index_at(l, i) >= 0)
            memcpy(y + i * l->width + begin, from + begin, (size_t)(end - begin) * sizeof *y);
    }
}

static void sums_run(const glia_launch *launch, glia_pool *pool) {
    const rows_launch *l = (const rows_launch *)launch;
    find_first(l);
    glia_parallel_for(pool, l->pieces, sums_piece, (void *)(uintptr_t)l);
}

static void put_run(const glia_launch *launch, glia_pool *pool) {
    const rows_launch *l = (const rows_launch *)launch;
    const size_t row = (size_t)(l->bytes * l->width);
    (void)pool;
    if (l->out != l->table) memcpy(l->out, l->table, (size_t)l->size * row);
    for (int64_t i = 0; i < l->picks; i++) {
        const int64_t k = index_at(l, i);
        if (k >= 0) memcpy(l->out + (size_t)k * row, l->rows + (size_t)i * row, row);
    }
}

static rows_launch *create(const glia_lowering *w, int64_t size, glia_shape whole) {
    enum { LEAST = 64 }; /* fewest columns of a piece */
    rows_launch *l = glia_lowering_alloc(w, sizeof *l);
    const glia_node *n = w->node, *indices = n->in[1];
    if (!l) return NULL;
    const int64_t picks = glia_shape_count(indices->shape);
    *l = (rows_launch){ .index = w->address[indices->id],
                        .wide = indices->dtype == GLIA_I64,
                        .size = size,
                        .picks = picks,
                        .bytes = (int64_t)glia_dtype_size(n->dtype),
                        .width = glia_shape_count(whole),
                        .out = w->address[n->id] };
    l->pieces = GLIA_MIN(GLIA_MAX(l->width / LEAST, 1), 8);
    return l;
}

static glia_launch *prepare_row_sums(const glia_lowering *w) {
    const int64_t picks = glia_shape_count(w->node->in[1]->shape);
    glia_shape row = { .rank = w->node->shape.rank - w->node->in[1]->shape.rank };
    for (int i = 0; i < row.rank; i++) row.dim[i] = w->node->shape.dim[w->node->in[1]->shape.rank + i];
    rows_launch *l = create(w, ((const glia_row_sums_attrs *)w->node->attrs)->size, row);
    if (!l) return NULL;
    l->base = (glia_launch){ .run = sums_run, .kernel = "row_sums" };
    l->rows = w->address[w->node->in[0]->id];
    for (l->n_slots = 16; l->n_slots < 2 * picks;) l->n_slots *= 2;
    l->slots = glia_lowering_alloc(w, (size_t)l->n_slots * sizeof *l->slots);
    l->first = glia_lowering_alloc(w, (size_t)picks * sizeof *l->first);
    return l->slots && l->first ? &l->base : NULL;
}

static glia_launch *prepare_put_rows(const glia_lowering *w) {
    glia_shape row = w->node->shape;
    row.dim[0] = 1;
    rows_launch *l = create(w, w->node->shape.dim[0], row);
    if (!l) return NULL;
    l->base = (glia_launch){ .run = put_run, .kernel = "put_rows" };
    l->table = w->address[w->node->in[0]->id];
    l->rows = w->address[w->node->in[2]->id];
    return &l->base;
}

static bool is_f32(const glia_node *n) { return n->dtype == GLIA_F32; }
static bool always(const glia_node *n) {
    (void)n;
    return true;
}

const glia_cpu_row glia_cpu_table_rows[] = { { &glia_op_row_sums, is_f32, NULL, prepare_row_sums, false },
                                             { &glia_op_put_rows, always, NULL, prepare_put_rows, true },
                                             { NULL, NULL, NULL, NULL, false } };
