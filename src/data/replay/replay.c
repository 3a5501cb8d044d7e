/* replay.c - a ring of rows of named arrays, and draws from it. replay.h of the public headers describes it.
 *
 * Row r lies in slot r mod capacity of each field's buffer, and its weight for draws, (|priority| + epsilon)^alpha, at
 * that place of the sum tree. A draw is a function of (seed, step) by Philox, so a replay needs no random state of its
 * own.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/tensor/tensor.h"
#include "data/replay/sum_tree.h"
#include "data/sources/data.h"
#include "glia/replay.h"

typedef struct field {
    const char *name, *state; /* "x", "rows/x" */
    glia_dtype dtype;
    glia_shape shape;
    size_t bytes;  /* of a row */
    uint8_t *ring; /* (capacity) rows */
    uint8_t *out;  /* of the last batch */
} field;

struct glia_replay {
    glia_arena arena;
    glia_replay_opts opts;
    field *fields;
    int n_fields;
    int64_t counters[2]; /* rows ever added, the capacity: as checkpoints have them */
    glia_sum_tree tree;  /* with priorities */
    double largest;      /* weight of new rows */

    int64_t room; /* rows for which there is memory below and in `out` of the fields */
    int64_t *rows;
    float *weights;
    glia_array *arrays; /* (n_fields + 1) */
    int64_t *order;     /* (capacity) of the pass below; NULL: no shuffled batch has been drawn */
    uint64_t order_seed;
    int64_t order_pass, order_count; /* count 0: none */
};

static int64_t added(const glia_replay *r) { return r->counters[0]; }
static int64_t count(const glia_replay *r) { return GLIA_MIN(added(r), r->opts.capacity); }

int64_t glia_replay_count(const glia_replay *r) { return r ? count(r) : 0; }
int64_t glia_replay_added(const glia_replay *r) { return r ? added(r) : 0; }

/* ---- creation ------------------------------------------------------------------------------- */

static int find(const glia_replay *r, const char *name) {
    for (int i = 0; i < r->n_fields; i++) {
        if (!strcmp(r->fields[i].name, name)) return i;
    }
    return -1;
}

static glia_status add_field(glia_replay *r, const glia_replay_field *from, int i, glia_error *error) {
    char text[GLIA_SHAPE_TEXT];
    if (!from->name || !from->name[0]) {
        return glia_fail(error, GLIA_E_ARGUMENT, "glia_replay_create: field %d has no name", i);
    }
    if (find(r, from->name) >= 0 || (r->opts.weights && !strcmp(r->opts.weights, from->name))) {
        return glia_fail(error, GLIA_E_ARGUMENT, "glia_replay_create: the name '%s' comes twice", from->name);
    }
    const size_t bytes = (unsigned)from->dtype < GLIA_DTYPE_COUNT && from->shape.rank < GLIA_MAX_RANK
                             ? glia_shape_bytes(from->shape, from->dtype)
                             : 0;
    size_t all;
    if (!bytes || !glia_mul_fits(bytes, (size_t)r->opts.capacity, &all)) {
        return glia_fail(error, GLIA_E_SHAPE, "glia_replay_create: '%s': %lld rows of %s%s are not possible",
                         from->name, (long long)r->opts.capacity, glia_dtype_name(from->dtype),
                         glia_shape_format(from->shape, text));
    }
    field *f = &r->fields[r->n_fields];
    *f = (field){ .dtype = from->dtype, .shape = from->shape, .bytes = bytes };
    f->name = glia_arena_strdup(&r->arena, from->name);
    f->state = glia_arena_printf(&r->arena, "rows/%s", from->name);
    f->ring = calloc((size_t)r->opts.capacity, bytes);
    if (!f->ring || !f->name || !f->state) {
        free(f->ring);
        return glia_fail_nomem(error);
    }
    r->n_fields++;
    return GLIA_OK;
}

static glia_status check_opts(const glia_replay_opts *o, glia_error *error) {
    if (o->capacity < 1 || o->capacity > (int64_t)1 << 48) {
        return glia_fail(error, GLIA_E_ARGUMENT, "glia_replay_create: a capacity of %lld rows is not possible",
                         (long long)o->capacity);
    }
    if (!(o->alpha >= 0) || !(o->epsilon >= 0) || !isfinite(o->alpha) || !isfinite(o->epsilon)) {
        return glia_fail(error, GLIA_E_ARGUMENT, "glia_replay_create: alpha %g and epsilon %g must not be negative",
                         o->alpha, o->epsilon);
    }
    return GLIA_OK;
}

static glia_status fill(glia_replay *r, const glia_replay_field *fields, int n, glia_error *error) {
    r->opts.alpha = glia_option(r->opts.alpha, 0.6);
    r->opts.epsilon = glia_option(r->opts.epsilon, 1e-6);
    r->counters[1] = r->opts.capacity;
    r->largest = 1;
    r->fields = glia_arena_alloc(&r->arena, (size_t)n * sizeof *r->fields);
    r->arrays = glia_arena_alloc(&r->arena, ((size_t)n + 1) * sizeof *r->arrays);
    if (r->opts.weights) r->opts.weights = glia_arena_strdup(&r->arena, r->opts.weights);
    if (!r->fields || !r->arrays) return glia_fail_nomem(error);
    for (int i = 0; i < n; i++) {
        glia_status status = add_field(r, &fields[i], i, error);
        if (status != GLIA_OK) return status;
    }
    return r->opts.prioritized && !glia_sum_tree_init(&r->tree, r->opts.capacity) ? glia_fail_nomem(error) : GLIA_OK;
}

glia_replay *glia_replay_create(const glia_replay_field *fields, int n_fields, glia_replay_opts opts,
                                glia_error *error) {
    if (!fields) return glia_fail_null(error, "fields"), NULL;
    if (n_fields < 1) {
        glia_fail(error, GLIA_E_ARGUMENT, "glia_replay_create: %d fields", n_fields);
        return NULL;
    }
    if (check_opts(&opts, error) != GLIA_OK) return NULL;
    glia_replay *r = calloc(1, sizeof *r);
    if (!r) return glia_fail_nomem(error), NULL;
    r->opts = opts;
    const bool named = opts.weights != NULL;
    glia_status status = fill(r, fields, n_fields, error);
    if (status == GLIA_OK && named && !r->opts.weights) status = glia_fail_nomem(error);
    if (status == GLIA_OK) return r;
    glia_replay_free(r);
    return NULL;
}

void glia_replay_free(glia_replay *r) {
    if (!r) return;
    for (int i = 0; i < r->n_fields; i++) {
        free(r->fields[i].ring);
        free(r->fields[i].out);
    }
    glia_sum_tree_free(&r->tree);
    free(r->rows);
    free(r->weights);
    free(r->order);
    glia_arena_free(&r->arena);
    free(r);
}

/* ---- adding ---------------------------------------------------------------------------------- */

/* Checks an array against its field; *n is 0 or the rows of the arrays before it. */
static glia_status check_rows(const field *f, const glia_array *a, int64_t *n, glia_error *error) {
    char wanted[GLIA_SHAPE_TEXT], given[GLIA_SHAPE_TEXT];
    bool fits = a->dtype == f->dtype && a->shape.rank == f->shape.rank + 1 && a->shape.dim[0] > 0 && a->data;
    for (int i = 0; fits && i < f->shape.rank; i++) fits = a->shape.dim[i + 1] == f->shape.dim[i];
    if (!fits) {
        return glia_fail(error, GLIA_E_SHAPE, "glia_replay_add: '%s' has rows %s%s and cannot take %s%s%s", f->name,
                         glia_dtype_name(f->dtype), glia_shape_format(f->shape, wanted), glia_dtype_name(a->dtype),
                         glia_shape_format(a->shape, given), a->data ? "" : " without data");
    }
    if (*n && *n != a->shape.dim[0]) {
        return glia_fail(error, GLIA_E_SHAPE, "glia_replay_add: '%s' has %lld rows, the arrays before it %lld", f->name,
                         (long long)a->shape.dim[0], (long long)*n);
    }
    *n = a->shape.dim[0];
    return GLIA_OK;
}

static glia_status fail_unknown(const glia_replay *r, const char *name, glia_error *error) {
    const char **names = malloc((size_t)r->n_fields * sizeof *names);
    for (int i = 0; names && i < r->n_fields; i++) names[i] = r->fields[i].name;
    const char *near = names ? glia_nearest(name, names, r->n_fields) : NULL;
    free(names);
    return glia_fail(error, GLIA_E_NOT_FOUND, "glia_replay_add: '%s' is no field of this replay%s%s%s", name,
                     near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* Each field has one array; *n: their rows. */
static glia_status check_arrays(const glia_replay *r, const glia_array *arrays, int n_arrays, int64_t *n,
                                glia_error *error) {
    *n = 0;
    for (int i = 0; i < n_arrays; i++) {
        if (!arrays[i].name) return glia_fail(error, GLIA_E_ARGUMENT, "glia_replay_add: array %d has no name", i);
        const int at = find(r, arrays[i].name);
        if (at < 0) return fail_unknown(r, arrays[i].name, error);
        for (int k = 0; k < i; k++) {
            if (strcmp(arrays[k].name, arrays[i].name)) continue;
            return glia_fail(error, GLIA_E_ARGUMENT, "glia_replay_add: '%s' comes twice", arrays[i].name);
        }
        glia_status status = check_rows(&r->fields[at], &arrays[i], n, error);
        if (status != GLIA_OK) return status;
    }
    for (int i = 0; i < r->n_fields && n_arrays < r->n_fields; i++) {
        bool given = false;
        for (int k = 0; k < n_arrays; k++) given = given || !strcmp(arrays[k].name, r->fields[i].name);
        if (given) continue;
        return glia_fail(error, GLIA_E_ARGUMENT, "glia_replay_add: the field '%s' is missing", r->fields[i].name);
    }
    return GLIA_OK;
}

glia_status glia_replay_add(glia_replay *r, const glia_array *arrays, int n_arrays, glia_error *error) {
    int64_t n;
    if (!r) return glia_fail_null(error, "replay");
    if (!arrays) return glia_fail_null(error, "arrays");
    glia_status status = check_arrays(r, arrays, n_arrays, &n, error);
    if (status != GLIA_OK) return status;
    const int64_t capacity = r->opts.capacity, kept = GLIA_MIN(n, capacity), skipped = n - kept;
    const int64_t slot = (added(r) + skipped) % capacity, first = GLIA_MIN(kept, capacity - slot);
    for (int i = 0; i < n_arrays; i++) {
        const field *f = &r->fields[find(r, arrays[i].name)];
        const uint8_t *from = (const uint8_t *)arrays[i].data + (size_t)skipped * f->bytes;
        memcpy(f->ring + (size_t)slot * f->bytes, from, (size_t)first * f->bytes);
        memcpy(f->ring, from + (size_t)first * f->bytes, (size_t)(kept - first) * f->bytes);
    }
    for (int64_t k = 0; r->opts.prioritized && k < kept; k++) {
        glia_sum_tree_set(&r->tree, (slot + k) % capacity, r->largest);
    }
    r->counters[0] += n;
    return GLIA_OK;
}

/* ---- drawing --------------------------------------------------------------------------------- */

/* Memory for batches of n rows. */
static glia_status make_room(glia_replay *r, int64_t n, glia_error *error) {
    if (n <= r->room) return GLIA_OK;
    int64_t *rows = n <= (int64_t)1 << 40 ? realloc(r->rows, (size_t)n * sizeof *rows) : NULL;
    if (rows) r->rows = rows;
    float *weights = rows ? realloc(r->weights, (size_t)n * sizeof *weights) : NULL;
    if (!weights) return glia_fail_nomem(error);
    r->weights = weights;
    for (int i = 0; i < r->n_fields; i++) {
        size_t bytes;
        field *f = &r->fields[i];
        uint8_t *out = glia_mul_fits(f->bytes, (size_t)n, &bytes) ? realloc(f->out, bytes) : NULL;
        if (!out) return glia_fail_nomem(error);
        f->out = out;
    }
    r->room = n;
    return GLIA_OK;
}

/* Gathers r->rows. */
static void take_rows(glia_replay *r, int64_t n, glia_replay_batch *batch) {
    for (int i = 0; i <= r->n_fields; i++) {
        const bool weights = i == r->n_fields;
        glia_array *a = &r->arrays[i];
        *a = (glia_array){ .name = r->opts.weights, .dtype = GLIA_F32, .shape = GLIA_SHAPE(n), .data = r->weights };
        if (weights) break;
        const field *f = &r->fields[i];
        a->name = f->name, a->dtype = f->dtype, a->data = f->out;
        for (int k = 0; k < f->shape.rank; k++) a->shape.dim[a->shape.rank++] = f->shape.dim[k];
        for (int64_t k = 0; k < n; k++) {
            memcpy(f->out + (size_t)k * f->bytes, f->ring + (size_t)(r->rows[k] % r->opts.capacity) * f->bytes,
                   f->bytes);
        }
    }
    *batch = (glia_replay_batch){ .n = n,
                                  .arrays = r->arrays,
                                  .n_arrays = r->n_fields + (r->opts.weights != NULL),
                                  .rows = r->rows,
                                  .weights = r->weights };
}

/* The row in a slot. */
static int64_t row_at(const glia_replay *r, int64_t slot) {
    const int64_t newest = added(r) - 1, back = (newest - slot) % r->opts.capacity;
    return newest - (back < 0 ? back + r->opts.capacity : back);
}

static void draw_uniformly(glia_replay *r, int64_t n, glia_rng rng) {
    const int64_t oldest = added(r) - count(r);
    for (int64_t i = 0; i < n; i++) {
        r->rows[i] = oldest + (int64_t)glia_rng_below(&rng, (uint64_t)count(r));
        r->weights[i] = 1;
    }
}

static glia_status draw_by_priority(glia_replay *r, int64_t n, glia_rng rng, double beta, glia_error *error) {
    const double total = glia_sum_tree_total(&r->tree), rows = (double)count(r);
    const double *weights = glia_sum_tree_weights(&r->tree);
    if (!(total > 0)) return glia_fail(error, GLIA_E_ARGUMENT, "glia_replay_sample: all priorities are 0");
    double least = INFINITY; /* the smallest priority of the batch has the largest weight */
    for (int64_t i = 0; i < n; i++) {
        const double mass = total * ((double)i + glia_rng_uniform(&rng)) / (double)n;
        const int64_t slot = glia_sum_tree_find(&r->tree, mass);
        r->rows[i] = row_at(r, slot);
        least = fmin(least, weights[slot]);
    }
    const double largest = pow(rows * least / total, -beta);
    for (int64_t i = 0; i < n; i++) {
        const double share = weights[r->rows[i] % r->opts.capacity] / total;
        r->weights[i] = (float)(pow(rows * share, -beta) / largest);
    }
    return GLIA_OK;
}

/* Batch `step` of the passes over all rows; *n becomes its size. */
static glia_status draw_shuffled(glia_replay *r, int64_t *n, const glia_replay_draw *d, glia_error *error) {
    const int64_t rows = count(r), batches = (rows - 1) / *n + 1, pass = d->step / batches;
    if (!r->order) r->order = malloc((size_t)r->opts.capacity * sizeof *r->order);
    if (!r->order) return glia_fail_nomem(error);
    if (r->order_count != rows || r->order_pass != pass || r->order_seed != d->seed) {
        glia_data_shuffle(r->order, rows, d->seed, (uint64_t)pass);
        r->order_count = rows, r->order_pass = pass, r->order_seed = d->seed;
    }
    const int64_t first = d->step % batches * *n;
    *n = GLIA_MIN(*n, rows - first);
    for (int64_t i = 0; i < *n; i++) {
        r->rows[i] = added(r) - rows + r->order[first + i];
        r->weights[i] = 1;
    }
    return GLIA_OK;
}

glia_status glia_replay_sample(glia_replay *r, int64_t n, glia_replay_draw draw, glia_replay_batch *batch,
                               glia_error *error) {
    if (!r) return glia_fail_null(error, "replay");
    if (!batch) return glia_fail_null(error, "batch");
    if (n < 1 || draw.step < 0 || !(draw.beta >= 0) || !isfinite(draw.beta)) {
        return glia_fail(error, GLIA_E_ARGUMENT, "glia_replay_sample: %lld rows in step %lld with beta %g",
                         (long long)n, (long long)draw.step, draw.beta);
    }
    if (count(r) == 0) return glia_fail(error, GLIA_E_ARGUMENT, "glia_replay_sample: the replay has no rows yet");
    if (draw.shuffled && r->opts.prioritized) {
        return glia_fail(error, GLIA_E_UNSUPPORTED, "glia_replay_sample: shuffled passes do not go with priorities");
    }
    glia_status status = make_room(r, draw.shuffled ? GLIA_MIN(n, count(r)) : n, error);
    if (status != GLIA_OK) return status;
    const glia_rng rng = { .seed = draw.seed, .stream = glia_hash_bytes(&draw.step, sizeof draw.step, 0x7265706c) };
    if (draw.shuffled)
        status = draw_shuffled(r, &n, &draw, error);
    else if (r->opts.prioritized)
        status = draw_by_priority(r, n, rng, glia_option(draw.beta, 0.4), error);
    else
        draw_uniformly(r, n, rng);
    if (status == GLIA_OK) take_rows(r, n, batch);
    return status;
}

static bool is_there(const glia_replay *r, int64_t row) { return row >= added(r) - count(r) && row < added(r); }

glia_status glia_replay_rows(glia_replay *r, const int64_t *rows, int64_t n, glia_replay_batch *batch,
                             glia_error *error) {
    if (!r) return glia_fail_null(error, "replay");
    if (!rows) return glia_fail_null(error, "rows");
    if (!batch) return glia_fail_null(error, "batch");
    if (n < 1) return glia_fail(error, GLIA_E_ARGUMENT, "glia_replay_rows: %lld rows", (long long)n);
    for (int64_t i = 0; i < n; i++) {
        if (is_there(r, rows[i])) continue;
        return glia_fail(error, GLIA_E_NOT_FOUND, "glia_replay_rows: row %lld is not among [%lld, %lld)",
                         (long long)rows[i], (long long)(added(r) - count(r)), (long long)added(r));
    }
    glia_status status = make_room(r, n, error);
    if (status != GLIA_OK) return status;
    memmove(r->rows, rows, (size_t)n * sizeof *rows);
    for (int64_t i = 0; i < n; i++) r->weights[i] = 1;
    take_rows(r, n, batch);
    return GLIA_OK;
}

glia_status glia_replay_prioritize(glia_replay *r, const int64_t *rows, const float *priorities, int64_t n,
                                   glia_error *error) {
    if (!r) return glia_fail_null(error, "replay");
    if (!rows) return glia_fail_null(error, "rows");
    if (!priorities) return glia_fail_null(error, "priorities");
    if (!r->opts.prioritized) {
        return glia_fail(error, GLIA_E_ARGUMENT, "glia_replay_prioritize: the replay was created without priorities");
    }
    if (n < 0) return glia_fail(error, GLIA_E_ARGUMENT, "glia_replay_prioritize: %lld rows", (long long)n);
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(priorities[i])) {
            return glia_fail(error, GLIA_E_ARGUMENT, "glia_replay_prioritize: the priority of row %lld is %g",
                             (long long)rows[i], (double)priorities[i]);
        }
        if (rows[i] >= 0 && rows[i] < added(r)) continue;
        return glia_fail(error, GLIA_E_NOT_FOUND, "glia_replay_prioritize: there has been no row %lld",
                         (long long)rows[i]);
    }
    for (int64_t i = 0; i < n; i++) {
        if (!is_there(r, rows[i])) continue;
        const double weight = pow(fabs((double)priorities[i]) + r->opts.epsilon, r->opts.alpha);
        glia_sum_tree_set(&r->tree, rows[i] % r->opts.capacity, weight);
        r->largest = fmax(r->largest, weight);
    }
    return GLIA_OK;
}

/* ---- checkpoints ----------------------------------------------------------------------------- */

enum { COUNTERS, PRIORITIES, LARGEST, EXTRAS };

/* Array i of the state, as it is at `n` rows: of the fields, then the extras. */
static glia_array state_at(const glia_replay *r, int i, int64_t n) {
    const int64_t stored = GLIA_MAX(n, 1);
    glia_array a = { .shape = GLIA_SHAPE(stored) };
    if (i < r->n_fields) {
        const field *f = &r->fields[i];
        a.name = f->state, a.dtype = f->dtype, a.data = f->ring;
        for (int k = 0; k < f->shape.rank; k++) a.shape.dim[a.shape.rank++] = f->shape.dim[k];
        return a;
    }
    a.dtype = i - r->n_fields == COUNTERS ? GLIA_I64 : GLIA_F64;
    switch (i - r->n_fields) {
    case COUNTERS: a.name = "counters", a.shape = GLIA_SHAPE(2), a.data = (void *)(uintptr_t)r->counters; break;
    case PRIORITIES: a.name = "priorities", a.data = r->tree.sums ? r->tree.sums + r->tree.leaves : NULL; break;
    default: a.name = "largest", a.shape = GLIA_SHAPE(1), a.data = (void *)(uintptr_t)&r->largest; break;
    }
    return a;
}

static int state_count(const glia_replay *r) { return r->n_fields + (r->opts.prioritized ? EXTRAS : COUNTERS + 1); }

int glia_replay_state(const glia_replay *r, glia_array *out, int capacity) {
    if (!r) return 0;
    for (int i = 0; out && i < capacity && i < state_count(r); i++) out[i] = state_at(r, i, count(r));
    return state_count(r);
}

/* The array of a name in a state; NULL: there is none. */
static const glia_array *named(const glia_array *state, int n, const char *name) {
    for (int i = 0; i < n; i++) {
        if (state[i].name && !strcmp(state[i].name, name)) return &state[i];
    }
    return NULL;
}

static bool same_type(const glia_array *a, const glia_array *b) {
    return a->data && a->dtype == b->dtype && glia_shape_equal(a->shape, b->shape);
}

/* Weights are finite and not negative. */
static bool are_weights(const glia_array *a) {
    const double *v = a->data;
    for (int64_t i = 0; i < glia_shape_count(a->shape); i++) {
        if (!(v[i] >= 0) || !isfinite(v[i])) return false;
    }
    return true;
}

static glia_status check_state(const glia_replay *r, const glia_array *state, int n, int64_t *counters,
                               glia_error *error) {
    const glia_array wanted = state_at(r, r->n_fields + COUNTERS, 0), *found = named(state, n, wanted.name);
    if (!found || !same_type(found, &wanted)) {
        return glia_fail(error, GLIA_E_FORMAT, "glia_replay_restore: the state has no 'counters' i64(2)");
    }
    memcpy(counters, found->data, sizeof r->counters);
    if (counters[0] < 0 || counters[1] != r->opts.capacity) {
        return glia_fail(
            error, GLIA_E_FORMAT,
            "glia_replay_restore: the state has %lld rows of a capacity of %lld, the replay has room for %lld",
            (long long)counters[0], (long long)counters[1], (long long)r->opts.capacity);
    }
    for (int i = 0; i < state_count(r); i++) {
        char text[GLIA_SHAPE_TEXT];
        const glia_array want = state_at(r, i, GLIA_MIN(counters[0], counters[1]));
        found = named(state, n, want.name);
        if (!found || !same_type(found, &want)) {
            return glia_fail(error, GLIA_E_FORMAT, "glia_replay_restore: the state has no '%s' %s%s", want.name,
                             glia_dtype_name(want.dtype), glia_shape_format(want.shape, text));
        }
        if (i > r->n_fields && !are_weights(found)) {
            return glia_fail(error, GLIA_E_FORMAT, "glia_replay_restore: '%s' has values that are no weights",
                             want.name);
        }
    }
    for (int i = 0; i < n; i++) {
        bool known = false;
        for (int k = 0; k < state_count(r) && state[i].name; k++)
            known = known || !strcmp(state[i].name, state_at(r, k, 0).name);
        if (known) continue;
        return glia_fail(error, GLIA_E_FORMAT, "glia_replay_restore: '%s' is not of this replay's state",
                         state[i].name ? state[i].name : "");
    }
    return GLIA_OK;
}

glia_status glia_replay_check(const glia_replay *r, const glia_array *state, int n, glia_error *error) {
    int64_t counters[2];
    if (!r) return glia_fail_null(error, "replay");
    if (!state) return glia_fail_null(error, "state");
    return check_state(r, state, n, counters, error);
}

glia_status glia_replay_restore(glia_replay *r, const glia_array *state, int n, glia_error *error) {
    int64_t counters[2];
    if (!r) return glia_fail_null(error, "replay");
    if (!state) return glia_fail_null(error, "state");
    glia_status status = check_state(r, state, n, counters, error);
    if (status != GLIA_OK) return status;
    const int64_t rows = GLIA_MIN(counters[0], counters[1]);
    for (int i = 0; i < r->n_fields; i++) {
        const field *f = &r->fields[i];
        memmove(f->ring, named(state, n, f->state)->data, (size_t)rows * f->bytes);
    }
    if (r->opts.prioritized) {
        glia_sum_tree_fill(&r->tree, named(state, n, "priorities")->data, rows);
        memmove(&r->largest, named(state, n, "largest")->data, sizeof r->largest);
    }
    r->counters[0] = counters[0];
    return GLIA_OK;
}

/* ---- returns --------------------------------------------------------------------------------- */

glia_status glia_n_step_returns(const float *rewards, const bool *ends, int64_t steps, int n, double gamma,
                                float *returns, float *discounts, int64_t *next, glia_error *error) {
    if (!rewards) return glia_fail_null(error, "rewards");
    if (!returns) return glia_fail_null(error, "returns");
    if (!discounts) return glia_fail_null(error, "discounts");
    if (!next) return glia_fail_null(error, "next");
    if (steps < 0 || n < 1 || !(gamma >= 0 && gamma <= 1)) {
        return glia_fail(error, GLIA_E_ARGUMENT, "glia_n_step_returns: %lld steps, returns of %d, gamma %g",
                         (long long)steps, n, gamma);
    }
    for (int64_t t = 0; t < steps; t++) {
        double sum = 0, discount = 1;
        bool ended = false;
        int64_t at = t;
        for (; at < steps && at - t < n && !ended; at++) {
            sum += discount * (double)rewards[at];
            discount *= gamma;
            ended = ends && ends[at];
        }
        returns[t] = (float)sum;
        discounts[t] = ended ? 0 : (float)discount;
        next[t] = at;
    }
    return GLIA_OK;
}
