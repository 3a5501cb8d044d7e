/* test_move.c - strided copies on every instruction set: permutations, broadcasts, slices and other strides, of
 * elements of every size, against a loop over all elements. */
#include "glia/glia.h"
#include "kernel_cases.h"

enum { ROOM = 1 << 18, MARK = 0xA5 };

/* Strides of a dense box with its dimensions in this order, the last one innermost. */
static int64_t lay(const glia_copy *c, const int *order, int64_t *stride) {
    int64_t step = 1;
    for (int k = c->rank - 1; k >= 0; k--) {
        stride[order[k]] = step;
        step *= c->dim[order[k]];
    }
    return step;
}

static int draw(glia_rng *rng, int below) { return (int)glia_rng_below(rng, (uint64_t)below); }

static void shuffle(glia_rng *rng, int *order, int n) {
    for (int i = 0; i < n; i++) order[i] = i;
    for (int i = n - 1; i > 0; i--) {
        const int k = draw(rng, i + 1), at = order[i];
        order[i] = order[k], order[k] = at;
    }
}

/* A random box; source and destination are dense in random orders, sometimes with gaps, sometimes with a broadcast
 * source. */
static glia_copy some_copy(glia_rng *rng) {
    static const int64_t sizes[] = { 1, 2, 3, 3, 4, 5, 8, 16, 17, 31, 64, 100, 784, 1024, 3001 };
    static const int widths[] = { 1, 2, 4, 4, 4, 8 };
    glia_copy c = { .rank = 1 + draw(rng, 4), .size = widths[draw(rng, 6)] };
    int order[GLIA_MAX_RANK];
    int64_t total = 1;
    for (int k = 0; k < c.rank; k++) {
        c.dim[k] = sizes[draw(rng, GLIA_COUNT(sizes))];
        if (total * c.dim[k] > ROOM / 32) c.dim[k] = 1;
        total *= c.dim[k];
    }
    shuffle(rng, order, c.rank);
    lay(&c, order, c.from_stride);
    if (draw(rng, 2)) shuffle(rng, order, c.rank);
    lay(&c, order, c.to_stride);
    for (int k = 0; k < c.rank && draw(rng, 4) == 0; k++) c.from_stride[k] = 0;
    const int64_t gap = draw(rng, 4) ? 1 : 2;
    for (int k = 0; k < c.rank; k++) c.to_stride[k] *= gap;
    return c;
}

static int64_t extent(const glia_copy *c, const int64_t *stride) {
    int64_t last = 0;
    for (int k = 0; k < c->rank; k++) last += (c->dim[k] - 1) * stride[k];
    return (last + 1) * c->size;
}

static void copy_slowly(const glia_copy *c, char *to) {
    int64_t index[GLIA_MAX_RANK] = { 0 }, total = 1;
    for (int k = 0; k < c->rank; k++) total *= c->dim[k];
    for (int64_t i = 0; i < total; i++) {
        int64_t from = 0, at = 0;
        for (int k = 0; k < c->rank; k++) from += index[k] * c->from_stride[k], at += index[k] * c->to_stride[k];
        memcpy(to + at * c->size, c->from + from * c->size, (size_t)c->size);
        for (int k = c->rank - 1; k >= 0 && ++index[k] == c->dim[k]; k--) index[k] = 0;
    }
}

static void copies_match_a_loop(void **state) {
    (void)state;
    const glia_cpu_kernels *tables[GLIA_ISA_COUNT];
    const int n = tables_of_machine(tables);
    glia_pool *pool = glia_pool_create(3, NULL);
    char *from = malloc(ROOM), *to = malloc(ROOM), *want = malloc(ROOM);
    assert_true(pool && from && to && want);
    for (int i = 0; i < ROOM; i++) from[i] = (char)(i * 37 + i / 256);
    glia_rng rng = { .seed = 12 };
    for (int round = 0; round < 1500; round++) {
        glia_copy c = some_copy(&rng);
        c.from = from;
        c.to = to;
        const int64_t bytes = extent(&c, c.to_stride);
        assert_true(bytes < ROOM && extent(&c, c.from_stride) <= ROOM);
        memset(want, MARK, (size_t)bytes + 1);
        copy_slowly(&c, want);
        for (int t = 0; t < n; t++) {
            memset(to, MARK, (size_t)bytes + 1);
            tables[t]->copy(round % 2 ? pool : NULL, &c);
            if (memcmp(to, want, (size_t)bytes + 1)) {
                fail_msg("round %d on %s: (%d, %d, %d, %d) of %d bytes", round, glia_isa_name(tables[t]->isa),
                         (int)c.dim[0], (int)c.dim[1], (int)c.dim[2], (int)c.dim[3], c.size);
            }
        }
    }
    free(from);
    free(to);
    free(want);
    glia_pool_free(pool);
}

/* Images of every width: planes of red, green and blue to interleaved pixels. */
static void planes_to_pixels(void **state) {
    (void)state;
    const glia_cpu_kernels *tables[GLIA_ISA_COUNT];
    const int n = tables_of_machine(tables);
    for (int64_t width = 1; width < 1600; width += width < 70 ? 1 : 97) {
        float *from = random_floats(2 * 3 * width, 1), *to = random_floats(2 * 3 * width, 2);
        const glia_copy c = { .rank = 3,
                              .dim = { 2, width, 3 },
                              .from_stride = { 3 * width, 1, width },
                              .to_stride = { 3 * width, 3, 1 },
                              .size = sizeof(float),
                              .from = (const char *)from,
                              .to = (char *)to };
        for (int t = 0; t < n; t++) {
            tables[t]->copy(NULL, &c);
            for (int64_t i = 0; i < 2 * 3 * width; i++) {
                const int64_t picture = i / (3 * width), pixel = i / 3 % width, colour = i % 3;
                assert_true(to[i] == from[(picture * 3 + colour) * width + pixel]);
            }
        }
        free(from);
        free(to);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = { cmocka_unit_test(copies_match_a_loop), cmocka_unit_test(planes_to_pixels) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
