/* files.h - writes files for tests, and removes them when the test ends. */
#ifndef GLIA_TESTS_FILES_H
#define GLIA_TESTS_FILES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { WRITTEN_MOST = 128 };
static char written_files[WRITTEN_MOST][256];
static pid_t written_by; /* children leave their parent's files alone */

static inline void remove_written(void) {
    for (int i = 0; getpid() == written_by && i < WRITTEN_MOST && written_files[i][0]; i++) remove(written_files[i]);
}

static inline void remove_at_exit(const char *path) {
    int i = 0;
    while (i < WRITTEN_MOST && written_files[i][0] && strcmp(written_files[i], path)) i++;
    if (i == WRITTEN_MOST || written_files[i][0]) return;
    if (i == 0) {
        written_by = getpid();
        atexit(remove_written);
    }
    snprintf(written_files[i], sizeof written_files[i], "%s", path);
}

static inline void write_file(const char *path, const void *bytes, size_t length) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
    remove_at_exit(path);
}

#endif
