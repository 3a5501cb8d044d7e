/* test_audio.c - WAV files, their mel bands, and data sets of recordings. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "asserts.h"
#include "data/sources/audio.h"
#include "files.h"
#include "glia/glia.h"
#include "hostile.h"

static glia_error error;

enum { RATE = 8000, HEADER = 44, MOST = HEADER + 2 * RATE };

static void put(uint8_t *p, uint32_t value, int bytes) {
    for (int i = 0; i < bytes; i++) p[i] = (uint8_t)(value >> 8 * i);
}

/* A tone of n samples, 16 bits, one channel. Returns the bytes of the file. */
static size_t make_tone(uint8_t *bytes, int n, double hertz) {
    memcpy(bytes, "RIFF....WAVEfmt ", 16);
    put(bytes + 4, (uint32_t)(HEADER - 8 + 2 * n), 4);
    put(bytes + 16, 16, 4), put(bytes + 20, 1, 2), put(bytes + 22, 1, 2), put(bytes + 24, RATE, 4);
    put(bytes + 28, 2 * RATE, 4), put(bytes + 32, 2, 2), put(bytes + 34, 16, 2);
    memcpy(bytes + 36, "data", 4);
    put(bytes + 40, (uint32_t)(2 * n), 4);
    for (int i = 0; i < n; i++)
        put(bytes + HEADER + 2 * i, (uint32_t)(int32_t)lround(16384 * sin(6.283185307 * hertz * i / RATE)), 2);
    return (size_t)(HEADER + 2 * n);
}

static void samples_are_those_of_the_file(void **state) {
    (void)state;
    uint8_t bytes[MOST];
    glia_wav wav;
    const size_t length = make_tone(bytes, 100, 1000);
    assert_int_equal(glia_wav_parse(bytes, length, &wav, &error), GLIA_OK);
    assert_true(wav.rate == RATE && wav.n == 100);
    for (int i = 0; i < 100; i++) ASSERT_NEAR(wav.samples[i], 0.5 * sin(6.283185307 * i / 8), 1e-4);
    free(wav.samples);
    put(bytes + 22, 2, 2), put(bytes + 34, 8, 2); /* the same bytes as 8 bits, two channels */
    assert_int_equal(glia_wav_parse(bytes, length, &wav, &error), GLIA_OK);
    assert_int_equal(wav.n, 100);
    ASSERT_NEAR(wav.samples[3], ((bytes[HEADER + 6] + bytes[HEADER + 7]) / 2.0 - 128) / 128, 1e-6);
    free(wav.samples);
    put(bytes + 34, 24, 2);
    assert_int_equal(glia_wav_parse(bytes, length, &wav, &error), GLIA_E_UNSUPPORTED);
    ASSERT_SAYS("24 bits");
}

/* A tone is loudest in the band whose centre is nearest on the mel scale, in all steps. */
static void a_tone_lies_in_its_band(void **state) {
    (void)state;
    enum { STEPS = 7, BANDS = 20 };
    static uint8_t bytes[MOST];
    for (int k = 1; k < 6; k++) {
        glia_wav wav;
        float y[STEPS * BANDS];
        const double hertz = 500 * k, each = 2595 * log10(1 + RATE / 2 / 700.0) / (BANDS + 1);
        const int wanted = (int)lround(2595 * log10(1 + hertz / 700) / each) - 1;
        assert_int_equal(glia_wav_parse(bytes, make_tone(bytes, 4000, hertz), &wav, &error), GLIA_OK);
        assert_int_equal(glia_wav_features(&wav, STEPS, BANDS, y, &error), GLIA_OK);
        for (int t = 0; t < STEPS; t++) {
            int best = 0;
            for (int b = 0; b < BANDS; b++) {
                assert_true(y[t * BANDS + b] >= 0 && y[t * BANDS + b] <= 1);
                best = y[t * BANDS + b] > y[t * BANDS + best] ? b : best;
            }
            assert_true(abs(best - wanted) <= 1 && y[t * BANDS + best] > 0.97f);
        }
        free(wav.samples);
    }
    const glia_wav silence = { .rate = RATE, .n = 0 };
    float y[1];
    assert_int_equal(glia_wav_features(&silence, 1, 1, y, &error), GLIA_E_ARGUMENT);
}

static glia_status parse(const uint8_t *bytes, size_t length, glia_error *e) {
    glia_wav wav;
    const glia_status status = glia_wav_parse(bytes, length, &wav, e);
    if (status == GLIA_OK) free(wav.samples);
    return status;
}

static void broken_files_are_refused(void **state) {
    (void)state;
    uint8_t bytes[MOST];
    hostile_all(parse, bytes, make_tone(bytes, 20, 700), false);
}

static void recordings_become_a_data_set(void **state) {
    (void)state;
    static uint8_t bytes[MOST];
    const char *const names[] = { "no_ann_0", "no_ann_7", "no_bob_0", "yes_ann_0", "yes_bob_0", "yes_bob_7" };
    mkdir("recordings", 0755);
    for (int i = 0; i < GLIA_COUNT(names); i++) {
        char path[64];
        snprintf(path, sizeof path, "recordings/%s.wav", names[i]);
        write_file(path, bytes, make_tone(bytes, 800 + 100 * i, 400 + 100 * i));
    }
    const char *const all = "audio:recordings?steps=5&bands=8", *const bob = "audio:recordings?speaker=bob&steps=5";
    glia_dataset *train = glia_data_open(all, "train", NULL, &error);
    if (!train) fail_msg("%s", error.message);
    glia_dataset *test = glia_data_open(all, "test", NULL, &error), *held = glia_data_open(bob, "test", NULL, &error);
    assert_true(test && held);
    assert_true(glia_data_count(train) == 2 && glia_data_count(test) == 4 && glia_data_count(held) == 3);
    assert_true(glia_shape_equal(glia_data_x_shape(train), GLIA_SHAPE(5, 8)) && glia_data_classes(train) == 2);
    assert_string_equal(glia_data_class_name(held, 1), "yes");
    int32_t y = -1;
    assert_int_equal(glia_data_get(train, 1, NULL, &y, &error), GLIA_OK);
    assert_int_equal(y, 1);
    glia_data_free(train), glia_data_free(test), glia_data_free(held);
    assert_null(glia_data_open("audio:recordings?speaker=eve", "train", NULL, &error));
    ASSERT_SAYS("there is no speaker \"eve\"");
    write_file("recordings/yes_bob_8.wav", "RIFF", 4);
    assert_null(glia_data_open(all, "train", NULL, &error));
    ASSERT_SAYS("yes_bob_8.wav: offset 0");
    unlink("recordings/yes_bob_8.wav");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_are_those_of_the_file),
        cmocka_unit_test(a_tone_lies_in_its_band),
        cmocka_unit_test(broken_files_are_refused),
        cmocka_unit_test(recordings_become_a_data_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
