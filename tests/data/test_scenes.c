/* test_scenes.c - captioned scenes: drawing, captions, reading, and which combinations the training split lacks. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "asserts.h"
#include "glia/glia.h"

static glia_error error;

enum { NUMBERS = 3 * GLIA_SCENE_SIDE * GLIA_SCENE_SIDE, RED = 0, BLUE = 2, WHITE = 5, CIRCLE = 0, SQUARE = 1 };

static void write_caption(const glia_scene *scene, char text[128]) {
    int32_t ids[GLIA_SCENE_WORDS];
    assert_int_equal(glia_scene_caption(scene, ids, &error), GLIA_OK);
    int at = 0;
    for (int i = 0; i < GLIA_SCENE_WORDS && ids[i]; i++)
        at += snprintf(text + at, 128 - (size_t)at, "%s%s", i ? " " : "", glia_scene_word(ids[i]));
}

static void captions_say_what_is_drawn(void **state) {
    (void)state;
    static const struct {
        glia_scene scene;
        const char *caption;
    } cases[] = {
        { { GLIA_SCENE_TOP, 2, { { CIRCLE, RED, true, 0, 0 }, { SQUARE, BLUE, false, 0, 0 } } },
          "a large red circle above a small blue square" },
        { { GLIA_SCENE_BOTTOM, 2, { { 4, 1, false, 0, 0 }, { 13, 3, true, 0, 0 } } },
          "a small green zero below a large yellow nine" },
        { { GLIA_SCENE_RIGHT, 2, { { 2, 4, false, 0, 0 }, { 3, WHITE, true, 0, 0 } } },
          "a small purple triangle right of a large white cross" },
        { { GLIA_SCENE_LEFT, 1, { { 11, RED, true, 1, -1 } } }, "a large red seven at the left" },
        { { GLIA_SCENE_MIDDLE, 1, { { 5, BLUE, false, 0, 0 } } }, "a small blue one in the middle" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[128];
        write_caption(&cases[i].scene, text);
        assert_string_equal(text, cases[i].caption);
    }
    assert_string_equal(glia_scene_word(0), "-");
    assert_null(glia_scene_word(-1));
    assert_null(glia_scene_word(35));
}

static bool same_thing(const glia_scene_thing *a, const glia_scene_thing *b) {
    return a->object == b->object && a->colour == b->colour && a->large == b->large;
}

static void drawings_are_read_and_captions_understood(void **state) {
    (void)state;
    float pixels[NUMBERS];
    for (int i = 0; i < 60; i++) {
        const glia_scene scene = glia_scene_at(3, (uint64_t)i, i % 2 == 1);
        glia_scene seen, told;
        int32_t ids[GLIA_SCENE_WORDS];
        assert_int_equal(glia_scene_draw(&scene, pixels, &error), GLIA_OK);
        ASSERT_NEAR(glia_scene_read(pixels, &seen), 0, 1e-5);
        assert_int_equal(glia_scene_caption(&scene, ids, &error), GLIA_OK);
        assert_int_equal(glia_scene_of_caption(ids, &told, &error), GLIA_OK);
        assert_true(told.n == scene.n && told.place == scene.place && seen.n == scene.n);
        const bool turned = scene.n == 2 && scene.place % 2 == 1; /* the first is read as the left or upper one */
        assert_int_equal(seen.place, (int)scene.place ^ turned);
        for (int k = 0; k < scene.n; k++) {
            const glia_scene_thing *read = &seen.things[turned ? 1 - k : k];
            assert_true(same_thing(read, &scene.things[k]) && same_thing(&told.things[k], &scene.things[k]));
            assert_true(read->x == scene.things[k].x && read->y == scene.things[k].y);
        }
    }
}

/* The sum of a white circle's pixels is its area. */
static void shapes_have_their_area(void **state) {
    (void)state;
    float pixels[NUMBERS];
    const glia_scene circle = { GLIA_SCENE_MIDDLE, 1, { { CIRCLE, WHITE, true, 0, 0 } } },
                     square = { GLIA_SCENE_MIDDLE, 1, { { SQUARE, WHITE, false, 0, 0 } } };
    double sum = 0;
    assert_int_equal(glia_scene_draw(&circle, pixels, &error), GLIA_OK);
    for (int i = 0; i < NUMBERS; i++) sum += (double)pixels[i] / 3;
    ASSERT_NEAR(sum, 3.14159265 * 49, 1);
    assert_int_equal(glia_scene_draw(&square, pixels, &error), GLIA_OK);
    sum = 0;
    for (int i = 0; i < NUMBERS; i++) sum += (double)pixels[i] / 3;
    ASSERT_NEAR(sum, pow(2 * 4.5 * 0.88, 2), 0.5);
}

static void noise_is_no_scene(void **state) {
    (void)state;
    float pixels[NUMBERS];
    glia_scene seen;
    uint32_t seed = 1;
    for (int i = 0; i < NUMBERS; i++) pixels[i] = (float)((seed = seed * 1664525u + 1013904223u) >> 8) * 0x1p-24f;
    assert_true(glia_scene_read(pixels, &seen) > 0.5);
    memset(pixels, 0, sizeof pixels);
    assert_true(glia_scene_read(pixels, &seen) == 1);
}

/* Of each object one colour appears in held-out scenes only. */
static void combinations_are_held_out(void **state) {
    (void)state;
    int counts[2][GLIA_SCENE_OBJECTS][GLIA_SCENE_COLOURS] = { 0 };
    for (int i = 0; i < 4000; i++) {
        const glia_scene scene = glia_scene_at(8, (uint64_t)i / 2, i % 2 == 1);
        for (int k = 0; k < scene.n; k++) counts[i % 2][scene.things[k].object][scene.things[k].colour]++;
    }
    for (int object = 0; object < GLIA_SCENE_OBJECTS; object++) {
        for (int colour = 0; colour < GLIA_SCENE_COLOURS; colour++) {
            const bool held = (object + 8) % GLIA_SCENE_COLOURS == colour;
            assert_true((counts[0][object][colour] > 0) == !held && (counts[1][object][colour] > 0) == held);
        }
    }
}

static void the_data_set_has_drawings_and_captions(void **state) {
    (void)state;
    glia_dataset *train = glia_data_open("scenes?n=20&seed=4", "train", NULL, &error),
                 *test = glia_data_open("scenes?n=20&seed=4", "test", NULL, &error);
    assert_non_null(train);
    assert_non_null(test);
    assert_int_equal(glia_data_count(train), 20);
    assert_int_equal(glia_data_count(test), 4);
    assert_true(glia_data_is_split(train));
    assert_string_equal(glia_data_class_name(test, 15), "red");
    for (int i = 0; i < 24; i++) {
        float x[NUMBERS], drawn[NUMBERS];
        int32_t y[GLIA_SCENE_WORDS], caption[GLIA_SCENE_WORDS];
        const glia_scene scene = glia_scene_at(4, (uint64_t)i % 20, i >= 20);
        assert_int_equal(glia_data_get(i < 20 ? train : test, i % 20, x, y, &error), GLIA_OK);
        assert_int_equal(glia_scene_draw(&scene, drawn, &error), GLIA_OK);
        assert_int_equal(glia_scene_caption(&scene, caption, &error), GLIA_OK);
        assert_memory_equal(y, caption, sizeof y);
        for (int k = 0; k < NUMBERS; k++) ASSERT_NEAR(x[k], drawn[k], 0.51 / 255);
    }
    glia_data_free(train);
    glia_data_free(test);
    assert_null(glia_data_open("scenes?m=4", NULL, NULL, &error));
    assert_null(glia_data_open("scenes?modes=4", NULL, NULL, &error));
    assert_null(glia_data_open("scenes?n=0", NULL, NULL, &error));
}

static void mistakes_are_named(void **state) {
    (void)state;
    static const glia_scene wrong[] = {
        { GLIA_SCENE_LEFT, 0, { { 0, 0, false, 0, 0 } } },
        { GLIA_SCENE_LEFT, 3, { { 0, 0, false, 0, 0 } } },
        { GLIA_SCENE_PLACES, 1, { { 0, 0, false, 0, 0 } } },
        { GLIA_SCENE_MIDDLE, 2, { { 0, 0, false, 0, 0 } } },
        { GLIA_SCENE_LEFT, 1, { { GLIA_SCENE_OBJECTS, 0, false, 0, 0 } } },
        { GLIA_SCENE_LEFT, 1, { { 0, -1, false, 0, 0 } } },
        { GLIA_SCENE_LEFT, 1, { { 0, 0, false, 100, 0 } } },
    };
    float pixels[NUMBERS];
    int32_t ids[GLIA_SCENE_WORDS];
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(glia_scene_draw(&wrong[i], pixels, &error), GLIA_E_ARGUMENT);
        assert_int_equal(glia_scene_caption(&wrong[i], ids, &error), GLIA_E_ARGUMENT);
    }
    const glia_scene good = { GLIA_SCENE_TOP, 2, { { CIRCLE, RED, true, 0, 0 }, { SQUARE, BLUE, false, 0, 0 } } };
    glia_scene told;
    for (int i = 0; i < 9; i++) { /* each word matters */
        assert_int_equal(glia_scene_caption(&good, ids, &error), GLIA_OK);
        ids[i] = i % 3 == 0 ? 0 : i % 3 == 1 ? INT32_MIN : INT32_MAX;
        assert_int_equal(glia_scene_of_caption(ids, &told, &error), GLIA_E_ARGUMENT);
        ASSERT_SAYS("no caption");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(captions_say_what_is_drawn), cmocka_unit_test(drawings_are_read_and_captions_understood),
        cmocka_unit_test(shapes_have_their_area),     cmocka_unit_test(noise_is_no_scene),
        cmocka_unit_test(combinations_are_held_out),  cmocka_unit_test(the_data_set_has_drawings_and_captions),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
