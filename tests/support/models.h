/* models.h - compares models. */
#ifndef GLIA_TESTS_MODELS_H
#define GLIA_TESTS_MODELS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "glia/glia.h"

/* Asserts that both have the same parameters and states, to the bit. */
static inline void assert_same_model(glia_model *a, glia_model *b) {
    glia_store *s = glia_model_store(a), *t = glia_model_store(b);
    assert_int_equal(glia_store_count(s), glia_store_count(t));
    for (int i = 0; i < glia_store_count(s); i++) {
        glia_array x = glia_store_at(s, i), y;
        assert_true(glia_store_find(t, x.name, &y));
        if (memcmp(x.data, y.data, (size_t)glia_shape_count(x.shape) * glia_dtype_size(x.dtype)))
            fail_msg("'%s' differs", x.name);
    }
}

#endif
