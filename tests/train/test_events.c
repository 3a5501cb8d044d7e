/* test_events.c - event files: checksums, framing, fields, and node names of the graph. tests/python/check_events.py
 * reads such files with TensorBoard. */
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "glia/glia.h"
#include "train/events/events.h"

/* ---- pieces ------------------------------------------------------------------------------- */

static void test_crc32c(void **state) {
    (void)state;
    uint8_t bytes[32] = { 0 };
    assert_int_equal(glia_crc32c("123456789", 9), 0xE3069283); /* RFC 3720, B.4, and the next four */
    assert_int_equal(glia_crc32c(bytes, 32), 0x8A9136AA);
    for (int i = 0; i < 32; i++) bytes[i] = 0xFF;
    assert_int_equal(glia_crc32c(bytes, 32), 0x62A8AB43);
    for (int i = 0; i < 32; i++) bytes[i] = (uint8_t)i;
    assert_int_equal(glia_crc32c(bytes, 32), 0x46DD794E);
    for (int i = 0; i < 32; i++) bytes[i] = (uint8_t)(31 - i);
    assert_int_equal(glia_crc32c(bytes, 32), 0x113FDB5C);
    assert_int_equal(glia_crc32c(NULL, 0), 0);
}

static void expect_bytes(glia_text *is, const char *bytes, size_t length) {
    assert_false(is->failed);
    assert_int_equal(is->length, length);
    assert_memory_equal(is->bytes, bytes, length);
    free(is->bytes);
    *is = (glia_text){ 0 };
}

/* Examples from the protocol buffers documentation, and edge cases. */
static void test_protocol_buffers(void **state) {
    (void)state;
    glia_text t = { 0 }, inner = { 0 };
    glia_proto_int(&t, 1, 150);
    expect_bytes(&t, "\x08\x96\x01", 3);
    glia_proto_string(&t, 2, "testing");
    expect_bytes(&t, "\x12\x07testing", 9);
    glia_proto_int(&inner, 1, 150);
    glia_proto_message(&t, 3, &inner);
    expect_bytes(&t, "\x1a\x03\x08\x96\x01", 5);
    glia_proto_int(&t, 1, -1);
    expect_bytes(&t, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11);
    glia_proto_double(&t, 1, 1);
    expect_bytes(&t, "\x09\0\0\0\0\0\0\xf0\x3f", 9);
    glia_proto_float(&t, 2, 1);
    expect_bytes(&t, "\x15\0\0\x80\x3f", 5);
    glia_proto_doubles(&t, 6, (const double[]){ 1, -2 }, 2);
    expect_bytes(&t, "\x32\x10\0\0\0\0\0\0\xf0\x3f\0\0\0\0\0\0\0\xc0", 18);
    glia_proto_message(&t, 3, &inner); /* an empty one */
    expect_bytes(&t, "\x1a\0", 2);
}

/* The record that TensorBoard's writer produces for these five bytes. */
static void test_framing(void **state) {
    (void)state;
    glia_text data = { 0 }, record = { 0 };
    glia_text_append(&data, "hello", 5);
    glia_record_append(&record, &data);
    free(data.bytes);
    expect_bytes(&record,
                 "\x05\x00\x00\x00\x00\x00\x00\x00\xea\xb2\x04\x3e"
                 "hello"
                 "\xbb\x1f\x1c\x19",
                 21);
}

/* ---- files -------------------------------------------------------------------------------- */

/* The only file in the folder. */
static char *only_file(const char *folder) {
    static char path[512];
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    int n = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        n++;
    }
    closedir(dir);
    assert_int_equal(n, 1);
    return path;
}

/* Checks every record's length and checksums; returns the number of records. */
static int count_records(const char *path) {
    glia_file file;
    assert_int_equal(glia_file_open(&file, path, NULL), GLIA_OK);
    int n = 0;
    for (size_t at = 0; at < file.length; n++) {
        uint64_t length = 0;
        assert_true(at + 16 <= file.length);
        for (int i = 0; i < 8; i++) length |= (uint64_t)file.bytes[at + (size_t)i] << 8 * i;
        assert_true(length <= file.length - at - 16);
        glia_text data = { 0 }, again = { 0 };
        glia_text_append(&data, (const char *)file.bytes + at + 12, length);
        glia_record_append(&again, &data);
        assert_memory_equal(again.bytes, file.bytes + at, again.length);
        at += again.length;
        free(data.bytes);
        free(again.bytes);
    }
    glia_file_close(&file);
    return n;
}

static void test_file(void **state) {
    (void)state;
    char folder[64];
    snprintf(folder, sizeof folder, "events-%ld", (long)getpid());
    glia_error error;
    glia_events *e = glia_events_open(folder, &error);
    if (!e) fail_msg("%s", error.message);
    for (int i = 0; i < 5; i++) assert_int_equal(glia_events_scalar(e, "a", i, i, NULL), GLIA_OK);
    const float values[] = { NAN, INFINITY };
    assert_int_equal(glia_events_histogram(e, "nothing", 0, values, 2, NULL), GLIA_OK);
    assert_int_equal(glia_events_flush(e, NULL), GLIA_OK);
    char *path = only_file(folder);
    assert_non_null(strstr(path, "/events.out.tfevents."));
    assert_int_equal(count_records(path), 7); /* the first holds the version */
    assert_int_equal(glia_events_image(e, "no", 0, "GIF89a", 6, &error), GLIA_E_FORMAT);
    assert_int_equal(glia_events_close(e, NULL), GLIA_OK);
    assert_int_equal(glia_events_close(NULL, NULL), GLIA_OK);
    unlink(path);
    rmdir(folder);
    assert_null(glia_events_open("no/such/place", &error));
    assert_int_equal(error.status, GLIA_E_IO);
    assert_null(glia_events_open("", &error));
}

/* ---- graphs ------------------------------------------------------------------------------- */

static bool has(const glia_text *def, const char *name) {
    size_t n = strlen(name);
    for (size_t i = 0; i + n + 2 <= def->length; i++) {
        if (def->bytes[i] == 0x0A && def->bytes[i + 1] == (char)n && !memcmp(def->bytes + i + 2, name, n)) return true;
    }
    return false;
}

static void test_graph_names(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_input(g, "the x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 2));
    glia_tensor twin = glia_input(g, "the_x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 2));
    glia_tensor y = glia_dense(glia_add(x, twin), "fc", (glia_dense_opts){ .units = 3 });
    glia_graph_output(g, "y", y);
    glia_text def = { 0 };
    glia_graph_def(g, &def);
    assert_false(def.failed);
    assert_true(has(&def, "the_x") && has(&def, "the_x__0")); /* both names are equal after cleaning */
    assert_true(has(&def, "fc/kernel") && has(&def, "fc/bias"));
    free(def.bytes);
    glia_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc32c), cmocka_unit_test(test_protocol_buffers), cmocka_unit_test(test_framing),
        cmocka_unit_test(test_file),   cmocka_unit_test(test_graph_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
