/* test_cameras.c - recordings of event cameras, byte by byte, and hostile ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "asserts.h"
#include "glia/glia.h"

static glia_error error;
static glia_camera_event *events;
static int64_t n;

static glia_status load(const void *bytes, size_t length) {
    FILE *file = fopen("recording.bin", "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    fclose(file);
    return glia_camera_load("recording.bin", &events, &n, &error);
}

static void assert_event(int i, int64_t time, int x, int y, int polarity) {
    assert_true(i < n);
    assert_true(events[i].time == time && events[i].x == x && events[i].y == y && events[i].polarity == polarity);
}

static void nmnist_has_five_bytes_an_event(void **state) {
    (void)state;
    const uint8_t bytes[] = { 3, 7, 0x80, 0x01, 0x02, 33, 0, 0x12, 0x34, 0x56 };
    assert_int_equal(load(bytes, sizeof bytes), GLIA_OK);
    assert_int_equal(n, 2);
    assert_event(0, 0x0102, 3, 7, 1);
    assert_event(1, 0x123456, 33, 0, 0);
    float frames[2 * 2 * 8 * 34];
    assert_int_equal(glia_camera_frames(events, n, 2, 8, 34, frames, &error), GLIA_OK);
    assert_true(frames[(0 * 2 + 1) * 8 * 34 + 7 * 34 + 3] == 1 && frames[(1 * 2 + 0) * 8 * 34 + 33] == 1);
    assert_int_equal(glia_camera_frames(events, n, 2, 8, 33, frames, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("event 1 at (33, 0) is outside 33 x 8");
    events[1].time = 1;
    assert_int_equal(glia_camera_frames(events, n, 2, 8, 34, frames, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("event 1 at 1 us is out of order");
    free(events);
    assert_int_equal(load(bytes, 7), GLIA_E_FORMAT);
    ASSERT_SAYS("recording.bin: an event at byte 5 is incomplete");
}

static void aedat_has_addresses_and_times(void **state) {
    (void)state;
    /* a DVS128: x reversed in bits 1 to 7, y in bits 8 to 14 */
    const uint8_t second[] = "#!AER-DAT2.0\r\n# made by hand\r\n\x00\x00\x05\x0B\x00\x00\x01\x00";
    assert_int_equal(load(second, sizeof second - 1), GLIA_OK);
    assert_int_equal(n, 1);
    assert_event(0, 256, 127 - 5, 5, 1);
    free(events);
    const uint8_t first[] = "#!AER-DAT1.0\n\x05\x0A\x00\x00\x00\x09";
    assert_int_equal(load(first, sizeof first - 1), GLIA_OK);
    assert_event(0, 9, 127 - 5, 5, 0);
    free(events);
    assert_int_equal(load(second, sizeof second - 3), GLIA_E_FORMAT);
}

static void aedat3_has_packets(void **state) {
    (void)state;
    uint8_t bytes[14 + 2 * 28 + 8 + 16] = "#!AER-DAT3.1\r\n", *p = bytes + 14;
    p[0] = 2, p[4] = 8, p[20] = 1; /* another type: skipped */
    p += 28 + 8;
    p[0] = 1, p[4] = 8, p[12] = 1, p[20] = 2;
    p += 28;
    const uint32_t address = 100u << 17 | 50u << 2 | 2 | 1;
    for (int k = 0; k < 4; k++) p[k] = (uint8_t)(address >> 8 * k);
    p[4] = 7; /* the second event is not valid */
    assert_int_equal(load(bytes, sizeof bytes), GLIA_OK);
    assert_int_equal(n, 1);
    assert_event(0, (INT64_C(1) << 31) + 7, 100, 50, 1);
    free(events);
    bytes[14 + 22] = 0xFF; /* the number of events */
    assert_int_equal(load(bytes, sizeof bytes), GLIA_E_FORMAT);
    ASSERT_SAYS("does not fit");
    for (size_t cut = 14; cut < sizeof bytes; cut++) {
        bytes[14 + 22] = 0;
        events = NULL;
        if (load(bytes, cut) == GLIA_OK) free(events);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nmnist_has_five_bytes_an_event),
        cmocka_unit_test(aedat_has_addresses_and_times),
        cmocka_unit_test(aedat3_has_packets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
