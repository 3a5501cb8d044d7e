/* hostile.h - malformed input for parsers: a file truncated at every length and with every byte changed. */
#ifndef GLIA_TEST_HOSTILE_H
#define GLIA_TEST_HOSTILE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "data/formats/formats.h"
#include "glia/glia.h"

/* Parses the bytes and frees the result. */
typedef glia_status (*hostile_parser)(const uint8_t *bytes, size_t length, glia_error *error);

/* Parses a copy without spare memory after it, so that a sanitizer detects reads past the end. Error messages must
 * contain a position. */
static inline glia_status hostile_try(hostile_parser parse, const uint8_t *bytes, size_t length) {
    uint8_t *copy = malloc(length ? length : 1);
    assert_non_null(copy);
    if (length) memcpy(copy, bytes, length);
    glia_error error = { 0 };
    glia_status status = parse(copy, length, &error);
    assert_int_equal(parse(copy, length, NULL), status);
    free(copy);
    assert_int_equal(error.status, status);
    if (status == GLIA_OK) return status;
    bool placed = strstr(error.message, "offset ") || strstr(error.message, "line ") ||
                  strstr(error.message, "pixels is not supported");
    if (!placed) fail_msg("no place in \"%s\"", error.message);
    return status;
}

/* Tries every shorter length, and every byte xor each of some masks. Returns the number of changed files accepted. */
static inline int hostile_all(hostile_parser parse, const uint8_t *bytes, size_t length, bool refuse_short) {
    static const uint8_t masks[] = { 0x01, 0x80, 0xFF, 0x20 };
    int accepted = 0;
    assert_int_equal(hostile_try(parse, bytes, length), GLIA_OK);
    for (size_t n = 0; n < length; n++) {
        glia_status status = hostile_try(parse, bytes, n);
        if (refuse_short && status == GLIA_OK) fail_msg("cut to %zu of %zu bytes and accepted", n, length);
    }
    uint8_t *changed = malloc(length);
    assert_non_null(changed);
    for (size_t i = 0; i < length; i++) {
        for (size_t m = 0; m < sizeof masks; m++) {
            memcpy(changed, bytes, length);
            changed[i] ^= masks[m];
            accepted += hostile_try(parse, changed, length) == GLIA_OK;
        }
    }
    free(changed);
    return accepted;
}

#endif
