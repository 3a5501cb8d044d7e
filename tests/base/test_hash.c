/* The hash table of indices, against linear search in an array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"

enum { COUNT = 3000 };

static int32_t find(const glia_hash_table *t, uint32_t hash, const uint32_t *keys, uint32_t key) {
    int32_t i;
    for (uint32_t at = hash; (i = glia_hash_next(t, hash, &at)) >= 0;)
        if (keys[i] == key) break;
    return i;
}

/* Hashes of `bits` bits: few, so that many keys collide. */
static void check(int bits) {
    static uint32_t keys[COUNT];
    const uint32_t mask = bits < 32 ? ((uint32_t)1 << bits) - 1 : UINT32_MAX;
    glia_hash_table t = { 0 };
    assert_int_equal(find(&t, 7, keys, 7), -1);
    for (int round = 0; round < 2; round++) {
        for (int32_t i = 0; i < COUNT; i++) {
            keys[i] = (uint32_t)i * 7919;
            const uint32_t hash = glia_hash_u32(&keys[i], sizeof keys[i]) & mask;
            assert_int_equal(find(&t, hash, keys, keys[i]), -1);
            assert_true(glia_hash_add(&t, hash, i));
        }
        assert_int_equal(t.count, COUNT);
        for (int32_t i = 0; i < COUNT; i++) {
            const uint32_t hash = glia_hash_u32(&keys[i], sizeof keys[i]) & mask, other = keys[i] + 1;
            assert_int_equal(find(&t, hash, keys, keys[i]), i);
            assert_int_equal(find(&t, glia_hash_u32(&other, sizeof other) & mask, keys, other), -1);
        }
        glia_hash_clear(&t);
        assert_int_equal(find(&t, glia_hash_u32(&keys[0], sizeof keys[0]) & mask, keys, keys[0]), -1);
    }
    glia_hash_free(&t);
}

static void test_find_after_add(void **state) {
    (void)state;
    check(32);
    check(10);
    check(3);
}

static void test_replace(void **state) {
    (void)state;
    const uint32_t keys[] = { 5, 6, 7, 6 };
    glia_hash_table t = { 0 };
    for (int32_t i = 0; i < 3; i++) assert_true(glia_hash_add(&t, 1, i));
    glia_hash_replace(&t, 1, 1, 3);
    assert_int_equal(find(&t, 1, keys, 6), 3);
    glia_hash_replace(&t, 1, 1, 0); /* missing key */
    assert_int_equal(find(&t, 1, keys, 5), 0);
    assert_int_equal(find(&t, 1, keys, 7), 2);
    assert_int_equal(t.count, 3);
    glia_hash_free(&t);
}

/* After reserving, additions do not move the table. */
static void test_reserve(void **state) {
    (void)state;
    glia_hash_table t = { 0 };
    assert_true(glia_hash_reserve(&t, COUNT));
    const glia_hash_slot *slots = t.slots;
    for (int32_t i = 0; i < COUNT; i++) assert_true(glia_hash_add(&t, (uint32_t)i * 2654435761u, i));
    assert_ptr_equal(t.slots, slots);
    assert_false(glia_hash_reserve(&t, SIZE_MAX));
    assert_int_equal(t.count, COUNT);
    glia_hash_free(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find_after_add),
        cmocka_unit_test(test_replace),
        cmocka_unit_test(test_reserve),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
