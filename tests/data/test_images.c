/* Images: decoders, writers, resizing, damaged files. */
#include <math.h>
#include <unistd.h>

#include "glia/glia.h"
#include "hostile.h"

static glia_error error;

static glia_status parse_image(const uint8_t *bytes, size_t length, glia_error *e) {
    glia_image image;
    glia_status status = glia_image_decode(bytes, length, &image, e);
    if (status) assert_null(image.pixels);
    glia_image_free(&image);
    return status;
}

static glia_image decode(const void *bytes, size_t length) {
    glia_image image;
    if (glia_image_decode(bytes, length, &image, &error)) fail_msg("%s", error.message);
    return image;
}

static void expect_pixels(glia_image image, int channels, int height, int width, const uint8_t *pixels) {
    assert_true(image.channels == channels && image.height == height && image.width == width);
    assert_memory_equal(image.pixels, pixels, (size_t)(channels * height * width));
    glia_image_free(&image);
}

/* ---- PGM and PPM -------------------------------------------------------------------------- */

static void test_pnm(void **state) {
    (void)state;
    static const char grey[] = "P5 # width, height\n2 3\n#maximum\n255\n\x01\x02\x03\x04\x05\xFF";
    static const char colour[] = "P6\n2 1\n255\n\x01\x02\x03\x04\x05\x06";
    static const char text[] = "P2\n2 2\n3\n0 1\n2 3\n", wide[] = "P5\n1 2\n65535\n\xFF\xFF\x80\x80",
                      text_colour[] = "P3 1 1 10 0 5 10";
    expect_pixels(decode(grey, sizeof grey - 1), 1, 3, 2, (const uint8_t[]){ 1, 2, 3, 4, 5, 255 });
    expect_pixels(decode(colour, sizeof colour - 1), 3, 1, 2, (const uint8_t[]){ 1, 4, 2, 5, 3, 6 });
    expect_pixels(decode(text, sizeof text - 1), 1, 2, 2, (const uint8_t[]){ 0, 85, 170, 255 });
    expect_pixels(decode(wide, sizeof wide - 1), 1, 2, 1, (const uint8_t[]){ 255, 128 });
    expect_pixels(decode(text_colour, sizeof text_colour - 1), 3, 1, 1, (const uint8_t[]){ 0, 128, 255 });
    hostile_all(parse_image, (const uint8_t *)grey, sizeof grey - 1, true);
    hostile_all(parse_image, (const uint8_t *)colour, sizeof colour - 1, true);
    hostile_all(parse_image, (const uint8_t *)text, sizeof text - 1, false); /* the last newline is optional */
    hostile_all(parse_image, (const uint8_t *)wide, sizeof wide - 1, true);
}

static void test_refusals(void **state) {
    (void)state;
    static const char *const bad[] = { "",
                                       "P",
                                       "P5",
                                       "P5 1",
                                       "P5 1 1",
                                       "P5 1 1 255",
                                       "P5 0 1 255\n",
                                       "P5 1 0 255\n",
                                       "P5 1 1 0\nx",
                                       "P5 1 1 65536\nxx",
                                       "P5 2 1 255\nx",
                                       "P5 1 1 255\nxx",
                                       "P5 1 1 10\nx",
                                       "P5 99999999999 1 255\nx",
                                       "P5 16000000 16000000 255\nx",
                                       "P2 1 1 9\n",
                                       "P2 1 1 9\n10",
                                       "P2 1 1 9\n1 2",
                                       "P4 1 1\nx",
                                       "GIF89a",
                                       "hello" };
    for (int i = 0; i < GLIA_COUNT(bad); i++) {
        if (hostile_try(parse_image, (const uint8_t *)bad[i], strlen(bad[i])) != GLIA_E_FORMAT) {
            fail_msg("accepted: %s", bad[i]);
        }
    }
    glia_image image;
    assert_int_equal(glia_image_open("no-such.png", &image, &error), GLIA_E_NOT_FOUND);
    assert_non_null(strstr(error.message, "no-such.png"));
}

/* ---- PNG and JPEG files from Pillow ------------------------------------------------------- */

#if GLIA_HAVE_PNG

/* Red, transparent; half-transparent blue, a dark colour. */
static const uint8_t png_alpha[] = {
    137, 80,  78,  71, 13,  10,  26,  10,  0,   0,   0,   13,  73, 72,  68,  82,  0,   0,  0,   2,
    0,   0,   0,   2,  8,   6,   0,   0,   0,   114, 182, 13,  36, 0,   0,   0,   22,  73, 68,  65,
    84,  120, 156, 99, 248, 207, 192, 240, 159, 1,   2,   254, 55, 112, 137, 200, 253, 7,  0,   41,
    12,  4,   185, 75, 223, 46,  92,  0,   0,   0,   0,   73,  69, 78,  68,  174, 66,  96, 130,
};

/* Red, green, blue; blue, green, red: a two-bit palette. */
static const uint8_t png_palette[] = {
    137, 80, 78,  71,  13,  10,  26,  10,  0,   0,   0, 13, 73, 72, 68, 82, 0,   0,   0,   3,   0,   0,   0,
    2,   2,  3,   0,   0,   0,   224, 26,  142, 137, 0, 0,  0,  9,  80, 76, 84,  69,  255, 0,   0,   0,   255,
    0,   0,  0,   255, 45,  74,  205, 138, 0,   0,   0, 12, 73, 68, 65, 84, 120, 156, 99,  144, 96,  152, 0,
    0,   0,  220, 0,   169, 108, 231, 192, 35,  0,   0, 0,  0,  73, 69, 78, 68,  174, 66,  96,  130,
};

static void test_png(void **state) {
    (void)state;
    expect_pixels(decode(png_alpha, sizeof png_alpha), 3, 2, 2,
                  (const uint8_t[]){ 255, 255, 127, 10, 0, 255, 127, 20, 0, 255, 255, 30 });
    expect_pixels(decode(png_palette, sizeof png_palette), 3, 2, 3,
                  (const uint8_t[]){ 255, 0, 0, 0, 0, 255, 0, 255, 0, 0, 255, 0, 0, 0, 255, 255, 0, 0 });
    /* Every chunk has a checksum: all changes are detected. */
    assert_int_equal(hostile_all(parse_image, png_alpha, sizeof png_alpha, true), 0);
    assert_int_equal(hostile_all(parse_image, png_palette, sizeof png_palette, true), 0);
}

static void test_png_round_trip(void **state) {
    (void)state;
    for (int channels = 1; channels <= 3; channels += 2) {
        glia_image image, back;
        assert_int_equal(glia_image_create(channels, 7, 13, &image, &error), GLIA_OK);
        for (int i = 0; i < channels * 7 * 13; i++) image.pixels[i] = (uint8_t)(i * 37);
        assert_int_equal(glia_image_write("round.png", &image, &error), GLIA_OK);
        assert_int_equal(glia_image_open("round.png", &back, &error), GLIA_OK);
        expect_pixels(back, channels, 7, 13, image.pixels);
        glia_image_free(&image);
    }
    assert_int_equal(unlink("round.png"), 0);
}

#else

static void test_png(void **state) {
    (void)state;
    const uint8_t start[] = { 0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n' };
    assert_int_equal(parse_image(start, sizeof start, &error), GLIA_E_UNSUPPORTED);
}

static void test_png_round_trip(void **state) {
    (void)state;
    skip();
}

#endif

#if GLIA_HAVE_JPEG

/* 10 x 12, pixel (y, x) about 10 y + 12 x; and 8 x 8 of (200, 100, 50), progressive. */
static const uint8_t jpeg_grey[] = {
    255, 216, 255, 224, 0,   16,  74,  70,  73,  70,  0,   1,   1,   0,   0,   1,   0,   1,   0,   0,   255, 219, 0,
    67,  0,   2,   1,   1,   1,   1,   1,   2,   1,   1,   1,   2,   2,   2,   2,   2,   4,   3,   2,   2,   2,   2,
    5,   4,   4,   3,   4,   6,   5,   6,   6,   6,   5,   6,   6,   6,   7,   9,   8,   6,   7,   9,   7,   6,   6,
    8,   11,  8,   9,   10,  10,  10,  10,  10,  6,   8,   11,  12,  11,  10,  12,  9,   10,  10,  10,  255, 192, 0,
    11,  8,   0,   12,  0,   10,  1,   1,   17,  0,   255, 196, 0,   31,  0,   0,   1,   5,   1,   1,   1,   1,   1,
    1,   0,   0,   0,   0,   0,   0,   0,   0,   1,   2,   3,   4,   5,   6,   7,   8,   9,   10,  11,  255, 196, 0,
    181, 16,  0,   2,   1,   3,   3,   2,   4,   3,   5,   5,   4,   4,   0,   0,   1,   125, 1,   2,   3,   0,   4,
    17,  5,   18,  33,  49,  65,  6,   19,  81,  97,  7,   34,  113, 20,  50,  129, 145, 161, 8,   35,  66,  177, 193,
    21,  82,  209, 240, 36,  51,  98,  114, 130, 9,   10,  22,  23,  24,  25,  26,  37,  38,  39,  40,  41,  42,  52,
    53,  54,  55,  56,  57,  58,  67,  68,  69,  70,  71,  72,  73,  74,  83,  84,  85,  86,  87,  88,  89,  90,  99,
    100, 101, 102, 103, 104, 105, 106, 115, 116, 117, 118, 119, 120, 121, 122, 131, 132, 133, 134, 135, 136, 137, 138,
    146, 147, 148, 149, 150, 151, 152, 153, 154, 162, 163, 164, 165, 166, 167, 168, 169, 170, 178, 179, 180, 181, 182,
    183, 184, 185, 186, 194, 195, 196, 197, 198, 199, 200, 201, 202, 210, 211, 212, 213, 214, 215, 216, 217, 218, 225,
    226, 227, 228, 229, 230, 231, 232, 233, 234, 241, 242, 243, 244, 245, 246, 247, 248, 249, 250, 255, 218, 0,   8,
    1,   1,   0,   0,   63,  0,   248, 207, 246, 36,  253, 146, 127, 227, 211, 254, 37,  159, 221, 254, 10,  253, 2,
    211, 191, 100, 159, 248, 151, 193, 255, 0,   18,  207, 249, 98,  191, 193, 236, 42,  231, 236, 73,  240, 219, 194,
    95,  232, 159, 241, 47,  254, 239, 113, 254, 21,  250, 5,   167, 124, 54,  240, 151, 246, 124, 31,  241, 47,  255,
    0,   150, 43,  220, 122, 15,  106, 255, 217,
};

static const uint8_t jpeg_colour[] = {
    255, 216, 255, 224, 0,   16,  74,  70,  73,  70,  0,   1,   1,   0,   0,   1,   0,   1,   0,   0,   255, 219, 0,
    67,  0,   2,   1,   1,   1,   1,   1,   2,   1,   1,   1,   2,   2,   2,   2,   2,   4,   3,   2,   2,   2,   2,
    5,   4,   4,   3,   4,   6,   5,   6,   6,   6,   5,   6,   6,   6,   7,   9,   8,   6,   7,   9,   7,   6,   6,
    8,   11,  8,   9,   10,  10,  10,  10,  10,  6,   8,   11,  12,  11,  10,  12,  9,   10,  10,  10,  255, 219, 0,
    67,  1,   2,   2,   2,   2,   2,   2,   5,   3,   3,   5,   10,  7,   6,   7,   10,  10,  10,  10,  10,  10,  10,
    10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,
    10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  255, 194, 0,
    17,  8,   0,   8,   0,   8,   3,   1,   34,  0,   2,   17,  1,   3,   17,  1,   255, 196, 0,   21,  0,   1,   1,
    0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   4,   255, 196, 0,   20,  1,   1,   0,
    0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   7,   255, 218, 0,   12,  3,   1,   0,   2,
    16,  3,   16,  0,   0,   1,   156, 21,  182, 127, 255, 196, 0,   20,  16,  1,   0,   0,   0,   0,   0,   0,   0,
    0,   0,   0,   0,   0,   0,   0,   0,   0,   255, 218, 0,   8,   1,   1,   0,   1,   5,   2,   127, 255, 196, 0,
    20,  17,  1,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   255, 218, 0,   8,
    1,   3,   1,   1,   63,  1,   127, 255, 196, 0,   20,  17,  1,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,
    0,   0,   0,   0,   0,   0,   255, 218, 0,   8,   1,   2,   1,   1,   63,  1,   127, 255, 196, 0,   20,  16,  1,
    0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   255, 218, 0,   8,   1,   1,   0,
    6,   63,  2,   127, 255, 196, 0,   20,  16,  1,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,
    0,   0,   0,   255, 218, 0,   8,   1,   1,   0,   1,   63,  33,  127, 255, 218, 0,   12,  3,   1,   0,   2,   0,
    3,   0,   0,   0,   16,  3,   255, 196, 0,   20,  17,  1,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,
    0,   0,   0,   0,   0,   255, 218, 0,   8,   1,   3,   1,   1,   63,  16,  127, 255, 196, 0,   20,  17,  1,   0,
    0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   255, 218, 0,   8,   1,   2,   1,   1,
    63,  16,  127, 255, 196, 0,   20,  16,  1,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,
    0,   0,   255, 218, 0,   8,   1,   1,   0,   1,   63,  16,  127, 255, 217,
};

static void test_jpeg(void **state) {
    (void)state;
    glia_image image = decode(jpeg_grey, sizeof jpeg_grey);
    assert_true(image.channels == 1 && image.height == 12 && image.width == 10);
    for (int y = 0; y < 12; y++) {
        for (int x = 0; x < 10; x++) {
            assert_in_range(image.pixels[y * 10 + x] + 8, 10 * y + 12 * x, 10 * y + 12 * x + 16);
        }
    }
    glia_image_free(&image);
    image = decode(jpeg_colour, sizeof jpeg_colour);
    assert_true(image.channels == 3 && image.height == 8 && image.width == 8);
    for (int i = 0; i < 3 * 64; i++) assert_in_range(image.pixels[i] + 3, 50 << (2 - i / 64), (50 << (2 - i / 64)) + 6);
    glia_image_free(&image);
    hostile_all(parse_image, jpeg_grey, sizeof jpeg_grey, true);
    hostile_all(parse_image, jpeg_colour, sizeof jpeg_colour, true);
}

#else

static void test_jpeg(void **state) {
    (void)state;
    const uint8_t start[] = { 0xFF, 0xD8, 0xFF, 0xE0 };
    assert_int_equal(parse_image(start, sizeof start, &error), GLIA_E_UNSUPPORTED);
}

#endif

/* ---- resizing, colour, writing ------------------------------------------------------------ */

static void test_resize(void **state) {
    (void)state;
    uint8_t pixels[] = { 0, 100, 200, 40, 20, 60, 80, 240 };
    glia_image in = { 1, 2, 4, pixels }, out;
    assert_int_equal(glia_image_resize(&in, 1, 2, &out, &error), GLIA_OK); /* means of 2 x 2 */
    expect_pixels(out, 1, 1, 2, (const uint8_t[]){ 45, 140 });
    assert_int_equal(glia_image_resize(&in, 2, 4, &out, &error), GLIA_OK);
    expect_pixels(out, 1, 2, 4, pixels);
    uint8_t pair[] = { 0, 100 };
    in = (glia_image){ 1, 1, 2, pair };
    assert_int_equal(glia_image_resize(&in, 2, 4, &out, &error), GLIA_OK); /* centres at 1/8, 3/8, ... */
    expect_pixels(out, 1, 2, 4, (const uint8_t[]){ 0, 25, 75, 100, 0, 25, 75, 100 });
    uint8_t three[] = { 30, 60, 90 };
    in = (glia_image){ 1, 1, 3, three };
    assert_int_equal(glia_image_resize(&in, 1, 2, &out, &error), GLIA_OK); /* (30 + 60/2) / 1.5, (60/2 + 90) / 1.5 */
    expect_pixels(out, 1, 1, 2, (const uint8_t[]){ 40, 80 });
    uint8_t flat[3 * 5 * 7];
    memset(flat, 173, sizeof flat);
    in = (glia_image){ 3, 5, 7, flat };
    const int sizes[][2] = { { 1, 1 }, { 3, 11 }, { 28, 28 }, { 4, 2 }, { 64, 1 } };
    for (int i = 0; i < GLIA_COUNT(sizes); i++) {
        assert_int_equal(glia_image_resize(&in, sizes[i][0], sizes[i][1], &out, &error), GLIA_OK);
        for (int k = 0; k < 3 * sizes[i][0] * sizes[i][1]; k++) assert_int_equal(out.pixels[k], 173);
        glia_image_free(&out);
    }
    assert_int_equal(glia_image_resize(&in, 0, 4, &out, &error), GLIA_E_ARGUMENT);
    assert_int_equal(glia_image_resize(&in, 1 << 20, 1 << 20, &out, &error), GLIA_E_ARGUMENT);
}

static void test_convert(void **state) {
    (void)state;
    uint8_t pixels[] = { 255, 0, 0, 255, 0, 255, 0, 255, 0, 0, 255, 255 }; /* red, green, blue, white in planes */
    glia_image in = { 3, 2, 2, pixels }, out;
    assert_int_equal(glia_image_convert(&in, 1, &out, &error), GLIA_OK);
    expect_pixels(out, 1, 2, 2, (const uint8_t[]){ 76, 150, 29, 255 });
    in = (glia_image){ 1, 1, 2, pixels };
    assert_int_equal(glia_image_convert(&in, 3, &out, &error), GLIA_OK);
    expect_pixels(out, 3, 1, 2, (const uint8_t[]){ 255, 0, 255, 0, 255, 0 });
    assert_int_equal(glia_image_convert(&in, 2, &out, &error), GLIA_E_ARGUMENT);
}

static void test_write_pnm(void **state) {
    (void)state;
    uint8_t pixels[] = { 1, 2, 3, 4, 5, 6 };
    glia_image colour = { 3, 1, 2, pixels }, grey = { 1, 2, 3, pixels }, back;
    assert_int_equal(glia_image_write("a.ppm", &colour, &error), GLIA_OK);
    assert_int_equal(glia_image_open("a.ppm", &back, &error), GLIA_OK);
    expect_pixels(back, 3, 1, 2, pixels);
    assert_int_equal(glia_image_write("a.PGM", &grey, &error), GLIA_OK);
    assert_int_equal(glia_image_open("a.PGM", &back, &error), GLIA_OK);
    expect_pixels(back, 1, 2, 3, pixels);
    assert_int_equal(glia_image_write("a.PGM", &colour, &error), GLIA_OK); /* converted to grey */
    assert_int_equal(glia_image_open("a.PGM", &back, &error), GLIA_OK);
    expect_pixels(back, 1, 1, 2, (const uint8_t[]){ 3, 4 });
    assert_int_equal(glia_image_write("a.gif", &grey, &error), GLIA_E_UNSUPPORTED);
    assert_int_equal(unlink("a.ppm"), 0);
    assert_int_equal(unlink("a.PGM"), 0);
}

/* ---- pictures of values ------------------------------------------------------------------- */

static void test_save_sheet(void **state) {
    (void)state;
    const float x[] = { 0, 1, 0.5F, -3, NAN, 9 }; /* three pictures of 1 x 2 */
    const uint8_t sheet[] = { 0, 255, 255, 128, 0, 255, 255, 255, 255, 255, 0, 255, 255, 255, 255 };
    glia_image back;
    glia_image_save_opts how = { .columns = 2, .gap = 1 };
    assert_int_equal(glia_image_save("s.pgm", GLIA_SHAPE(1, 1, 2), x, 3, how, &error), GLIA_OK);
    assert_int_equal(glia_image_open("s.pgm", &back, &error), GLIA_OK);
    expect_pixels(back, 1, 3, 5, sheet);
    how = (glia_image_save_opts){ .columns = 1, .gap = GLIA_NONE, .scale = 2, .low = -1, .high = 1 };
    assert_int_equal(glia_image_save("s.ppm", GLIA_SHAPE(3, 1, 1), x, 2, how, &error), GLIA_OK);
    assert_int_equal(glia_image_open("s.ppm", &back, &error), GLIA_OK);
    expect_pixels(back, 3, 4, 2, (const uint8_t[]){ 128, 128, 128, 128, 0,   0,   0,   0,   255, 255, 255, 255,
                                                    0,   0,   0,   0,   191, 191, 191, 191, 255, 255, 255, 255 });
    how = (glia_image_save_opts){ .columns = 2, .gap = 1, .paper = 0.2 };
    assert_int_equal(glia_image_save("s.pgm", GLIA_SHAPE(1, 1, 1), x, 2, how, &error), GLIA_OK);
    assert_int_equal(glia_image_open("s.pgm", &back, &error), GLIA_OK);
    expect_pixels(back, 1, 1, 3, (const uint8_t[]){ 0, 51, 255 });
    assert_int_equal(unlink("s.pgm"), 0);
    assert_int_equal(unlink("s.ppm"), 0);
}

/* The middle of the picture is that of the points; the larger extent takes nine tenths of a side. */
static void test_points(void **state) {
    (void)state;
    enum { SIDE = 20 };
    const float points[] = { 3, 5, 5, 5, NAN, 5, 4, 5, 4, 5 };
    float picture[SIDE * SIDE], sum = 0;
    glia_image_points(points, 5, SIDE, picture);
    const float twice = 1 - 120 / 255.0F;
    for (int k = 0; k < 4; k++) assert_true(fabsf(picture[(10 + k / 2) * SIDE + 10 + k % 2] - twice) < 1e-6F);
    for (int i = 0; i < SIDE * SIDE; i++) sum += 1 - picture[i];
    assert_true(fabsf(sum - 14 * 60 / 255.0F) < 1e-4F); /* at the right edge half a dot is cut off */
}

static void test_save_refusals(void **state) {
    (void)state;
    const float x[4] = { 0 };
    glia_image_save_opts none = { .gap = 0 }, wrong = { .low = 1, .high = 1 },
                         bright = { .paper = 2 };
    assert_int_equal(glia_image_save("s.pgm", GLIA_SHAPE(2, 1, 2), x, 1, none, &error), GLIA_E_SHAPE);
    assert_int_equal(glia_image_save("s.gif", GLIA_SHAPE(1, 2, 2), x, 1, none, &error), GLIA_E_UNSUPPORTED);
    assert_int_equal(glia_image_save("s.pgm", GLIA_SHAPE(1, 2, 2), x, 0, none, &error), GLIA_E_ARGUMENT);
    assert_int_equal(glia_image_save("s.pgm", GLIA_SHAPE(1, 2, 2), x, 1, wrong, &error), GLIA_E_ARGUMENT);
    assert_non_null(strstr(error.message, "from 1 to 1"));
    assert_int_equal(glia_image_save("s.pgm", GLIA_SHAPE(1, 2, 2), x, 1, bright, &error), GLIA_E_ARGUMENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_save_sheet), cmocka_unit_test(test_save_refusals), cmocka_unit_test(test_pnm),
        cmocka_unit_test(test_refusals),   cmocka_unit_test(test_png),           cmocka_unit_test(test_png_round_trip),
        cmocka_unit_test(test_jpeg),       cmocka_unit_test(test_resize),        cmocka_unit_test(test_convert),
        cmocka_unit_test(test_write_pnm),    cmocka_unit_test(test_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
