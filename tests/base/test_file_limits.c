/* Files without a size: pipes are read to the end or to a limit, devices are rejected. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "data/formats/formats.h"

enum { BYTES = 5000 }; /* less than the capacity of a pipe, so writing never blocks */

/* The read end of a pipe with BYTES bytes; the write end is closed. */
static int filled_pipe(void) {
    int ends[2];
    static const char bytes[BYTES] = { 'a', 'b' };
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], bytes, BYTES), BYTES);
    close(ends[1]);
    return ends[0];
}

static int read_pipe(size_t most, size_t *length) {
    int fd = filled_pipe();
    uint8_t *bytes = NULL;
    *length = 0;
    int code = glia_file_read_all(fd, most, &bytes, length);
    if (!code) assert_true(bytes[0] == 'a' && bytes[1] == 'b' && bytes[*length - 1] == 0);
    free(bytes);
    close(fd);
    return code;
}

static void test_streams_have_a_limit(void **state) {
    (void)state;
    size_t length;
    assert_int_equal(read_pipe(BYTES, &length), 0);
    assert_int_equal(length, BYTES);
    assert_int_equal(read_pipe((size_t)1 << 20, &length), 0);
    assert_int_equal(length, BYTES);
    assert_int_equal(read_pipe(BYTES - 1, &length), EFBIG);
    assert_int_equal(read_pipe(1, &length), EFBIG);
}

static void test_open_pipe_by_path(void **state) {
    (void)state;
    int fd = filled_pipe();
    char path[64];
    snprintf(path, sizeof path, "/dev/fd/%d", fd);
    glia_file file;
    glia_error error;
    assert_int_equal(glia_file_open(&file, path, &error), GLIA_OK);
    assert_int_equal(file.length, BYTES);
    glia_file_close(&file);
    close(fd);
}

static void test_devices_are_refused(void **state) {
    (void)state;
    static const char *const paths[] = { "/dev/zero", "/dev/urandom", "/dev/null", "/dev/full" };
    for (int i = 0; i < GLIA_COUNT(paths); i++) {
        glia_file file;
        glia_error error = { 0 };
        assert_int_equal(glia_file_open(&file, paths[i], &error), GLIA_E_IO);
        assert_non_null(strstr(error.message, paths[i]));
        assert_non_null(strstr(error.message, "a device"));
        assert_null(glia_stream_open(paths[i], &error));
        assert_non_null(strstr(error.message, "a device"));
    }
}

static void test_unpack_limit(void **state) {
    (void)state;
    const size_t least = (size_t)64 << 20;
    assert_true(glia_unpack_limit(0) == least && glia_unpack_limit(least / 256) == least);
    assert_true(glia_unpack_limit(least) == 256 * least);
    assert_true(glia_unpack_limit(SIZE_MAX) == SIZE_MAX / 4); /* and one more byte does not overflow */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams_have_a_limit),
        cmocka_unit_test(test_open_pipe_by_path),
        cmocka_unit_test(test_devices_are_refused),
        cmocka_unit_test(test_unpack_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
