/* IDX, CIFAR, CSV, gzip, numbers as text, whole files: reads valid contents and rejects malformed ones. */
#include <errno.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "asserts.h"
#include "glia/glia.h"
#include "hostile.h"

#if GLIA_HAVE_ZLIB
#include <zlib.h>
#endif

static glia_error error;

/* ---- numbers ------------------------------------------------------------------------------ */

static void test_numbers(void **state) {
    (void)state;
    static const char *const good[] = { "0",
                                        "-0",
                                        "1",
                                        "+7",
                                        "3.25",
                                        ".5",
                                        "5.",
                                        "1e3",
                                        "1E-3",
                                        "-12.5e+2",
                                        "0.1",
                                        "123456789012345678",
                                        "1234567890123456789012",
                                        "9007199254740993",
                                        "1.7976931348623157e308",
                                        "5e-324",
                                        "2.2250738585072011e-308",
                                        "0.000000000000000000000000000000123",
                                        "1e22",
                                        "1e23",
                                        "8.5e-23",
                                        "179769313486231580793e287",
                                        "1e-400" };
    static const char *const bad[] = { "",    "-",   ".",     "e5", "1e", "1e+", "1.2.3", "0x10",
                                       "nan", "inf", "1e999", "1 ", " 1", "1,5", "--1" };
    for (int i = 0; i < GLIA_COUNT(good); i++) {
        double value = -1;
        assert_true(glia_number_parse(good[i], good[i] + strlen(good[i]), &value));
        double wanted = strtod(good[i], NULL);
        if (memcmp(&value, &wanted, sizeof value)) fail_msg("%s gives %.17g", good[i], value);
    }
    for (int i = 0; i < GLIA_COUNT(bad); i++) {
        double value;
        if (glia_number_parse(bad[i], bad[i] + strlen(bad[i]), &value)) {
            fail_msg("\"%s\" is taken for %g", bad[i], value);
        }
    }
    glia_rng rng = { .seed = 1 };
    for (int i = 0; i < 20000; i++) {
        char text[64];
        double scale = pow(10, (double)glia_rng_below(&rng, 60) - 30), value = -1;
        snprintf(text, sizeof text, "%.*g", 1 + (int)glia_rng_below(&rng, 20), (glia_rng_uniform(&rng) - 0.5) * scale);
        assert_true(glia_number_parse(text, text + strlen(text), &value));
        if (value != strtod(text, NULL)) fail_msg("%s gives %.17g", text, value);
    }
}

/* Thousands of digits before and after the point; also numbers halfway between two doubles, and next to halfway. */
static void test_long_numbers(void **state) {
    (void)state;
    static const char *const ends[] = { "", "1", "000", "0001", "e-10", "0e10" };
    static char text[4096];
    glia_rng rng = { .seed = 2 };
    for (int i = 0; i < 600; i++) {
        size_t n = 0;
        const size_t whole = glia_rng_below(&rng, i % 2 ? 300 : 20), most = 600 + glia_rng_below(&rng, 2000);
        text[n++] = '-';
        if (i % 3 == 0) { /* 1 + 2^-53 */
            n += (size_t)snprintf(text + n, sizeof text - n, "1.00000000000000011102230246251565404236316680908203125");
            while (n < most) text[n++] = '0';
        } else {
            for (; n < most; n++) text[n] = n == whole + 1 ? '.' : (char)('0' + glia_rng_below(&rng, 10));
        }
        snprintf(text + n, sizeof text - n, "%s", ends[i % GLIA_COUNT(ends)]);
        double value = 0;
        assert_true(glia_number_parse(text, text + strlen(text), &value));
        if (value != strtod(text, NULL)) fail_msg("%s gives %.17g", text, value);
    }
}

/* ---- IDX ---------------------------------------------------------------------------------- */

static glia_status parse_idx(const uint8_t *bytes, size_t length, glia_error *e) {
    glia_values values;
    glia_status status = glia_idx_parse(bytes, length, &values, e);
    glia_values_free(&values);
    return status;
}

static void test_idx_types(void **state) {
    (void)state;
    static const struct {
        uint8_t bytes[8 + 16];
        size_t length;
        glia_dtype dtype;
        double first, second;
    } files[] = {
        { { 0, 0, 0x08, 1, 0, 0, 0, 2, 7, 255 }, 10, GLIA_U8, 7, 255 },
        { { 0, 0, 0x09, 1, 0, 0, 0, 2, 7, 255 }, 10, GLIA_I32, 7, -1 },
        { { 0, 0, 0x0B, 1, 0, 0, 0, 2, 1, 2, 255, 254 }, 12, GLIA_I32, 258, -2 },
        { { 0, 0, 0x0C, 1, 0, 0, 0, 2, 0, 1, 0, 2, 255, 255, 255, 253 }, 16, GLIA_I32, 65538, -3 },
        { { 0, 0, 0x0D, 1, 0, 0, 0, 2, 0x3F, 0xC0, 0, 0, 0xC0, 0, 0, 0 }, 16, GLIA_F32, 1.5, -2 },
        { { 0, 0, 0x0E, 1, 0, 0, 0, 2, 0x3F, 0xF8, 0, 0, 0, 0, 0, 0, 0xC0, 0, 0, 0, 0, 0, 0, 0 },
          24,
          GLIA_F64,
          1.5,
          -2 },
    };
    for (int i = 0; i < GLIA_COUNT(files); i++) {
        glia_values v;
        assert_int_equal(glia_idx_parse(files[i].bytes, files[i].length, &v, &error), GLIA_OK);
        assert_int_equal(v.dtype, files[i].dtype);
        assert_true(glia_shape_equal(v.shape, GLIA_SHAPE(2)));
        double both[2];
        for (int k = 0; k < 2; k++) {
            both[k] = v.dtype == GLIA_U8    ? ((uint8_t *)v.data)[k]
                      : v.dtype == GLIA_I32 ? ((int32_t *)v.data)[k]
                      : v.dtype == GLIA_F32 ? (double)((float *)v.data)[k]
                                            : ((double *)v.data)[k];
        }
        assert_true(both[0] == files[i].first && both[1] == files[i].second);
        glia_values_free(&v);
        hostile_all(parse_idx, files[i].bytes, files[i].length, true);
    }
}

static void test_idx_refusals(void **state) {
    (void)state;
    static const struct {
        uint8_t bytes[40];
        size_t length;
        const char *says;
    } files[] = {
        { { 0 }, 0, "offset 0" },
        { { 0x50, 0, 8, 1, 0, 0, 0, 1, 9 }, 9, "offset 0" },
        { { 0, 0, 0x0A, 1, 0, 0, 0, 1, 9 }, 9, "offset 2: IDX type 0x0A" },
        { { 0, 0, 8, 0 }, 4, "offset 3" },
        { { 0, 0, 8, 9 }, 40, "offset 3" },
        { { 0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 0 }, 12, "offset 8: an IDX dimension is 0" },
        { { 0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 2, 1, 2, 3 },
          15,
          "offset 15: 3 bytes of IDX data, but the header says 4" },
        { { 0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 2, 1, 2, 3 }, 15, "offset 14" },
        { { 0, 0, 8, 3, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1 }, 17, "offset 8" },
        { { 0, 0, 0x0E, 2, 255, 255, 255, 255, 15, 255, 255, 255, 1 }, 13, "offset 13" },
    };
    for (int i = 0; i < GLIA_COUNT(files); i++) {
        assert_int_equal(hostile_try(parse_idx, files[i].bytes, files[i].length), GLIA_E_FORMAT);
        parse_idx(files[i].bytes, files[i].length, &error);
        ASSERT_SAYS(files[i].says);
    }
}

/* ---- gzip --------------------------------------------------------------------------------- */

#if GLIA_HAVE_ZLIB

/* Compresses in gzip format; the caller frees. */
static uint8_t *gzip(const uint8_t *bytes, size_t length, size_t *packed) {
    z_stream z = { 0 };
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    size_t room = length + 1000;
    uint8_t *out = malloc(room);
    assert_non_null(out);
    z.next_in = (z_const Bytef *)(uintptr_t)bytes;
    z.avail_in = (uInt)length;
    z.next_out = out;
    z.avail_out = (uInt)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    *packed = room - z.avail_out;
    deflateEnd(&z);
    return out;
}

static void test_gzip(void **state) {
    (void)state;
    uint8_t idx[8 + 300] = { 0, 0, 8, 1, 0, 0, 1, 44 };
    for (int i = 0; i < 300; i++) idx[8 + i] = (uint8_t)(i * i);
    size_t n;
    uint8_t *packed = gzip(idx, sizeof idx, &n);
    glia_values v;
    assert_int_equal(glia_idx_parse(packed, n, &v, &error), GLIA_OK);
    assert_memory_equal(v.data, idx + 8, 300);
    glia_values_free(&v);
    /* Only changes to some bytes of the gzip header (time, system, name) may be accepted. */
    assert_true(hostile_all(parse_idx, packed, n, true) <= 4 * 10);

    packed[n - 8] ^= 1;
    assert_int_equal(parse_idx(packed, n, &error), GLIA_E_FORMAT);
    ASSERT_SAYS("incorrect data check");
    packed[n - 8] ^= 1;
    packed = realloc(packed, 2 * n + 1);
    packed[n] = 0;
    assert_int_equal(parse_idx(packed, n + 1, &error), GLIA_E_FORMAT);
    ASSERT_SAYS("follow the gzip data");
    memcpy(packed + n, packed, n); /* a second member: more data than the header states */
    assert_int_equal(parse_idx(packed, 2 * n, &error), GLIA_E_FORMAT);
    ASSERT_SAYS("more than the limit of 308 bytes");
    free(packed);
}

static void test_gzip_members_and_bombs(void **state) {
    (void)state;
    size_t n, m, length;
    uint8_t *first = gzip((const uint8_t *)"abc", 3, &n), *second = gzip((const uint8_t *)"defg", 4, &m), *out;
    uint8_t both[200];
    memcpy(both, first, n);
    memcpy(both + n, second, m);
    assert_int_equal(glia_gunzip(both, n + m, 7, &out, &length, &error), GLIA_OK);
    assert_int_equal(length, 7);
    assert_memory_equal(out, "abcdefg", 7);
    free(out);
    assert_int_equal(glia_gunzip(both, n + m, 6, &out, &length, &error), GLIA_E_FORMAT);
    free(first);
    free(second);

    size_t large = (size_t)80 << 20; /* 80 MB of one letter in 80 kB: more than 64 MiB and more than 256 to 1 */
    uint8_t *zeros = malloc(large);
    assert_non_null(zeros);
    memset(zeros, '1', large);
    uint8_t *bomb = gzip(zeros, large, &n);
    free(zeros);
    glia_csv csv;
    assert_int_equal(glia_csv_parse(bomb, n, (glia_csv_opts){ 0 }, &csv, &error), GLIA_E_FORMAT);
    ASSERT_SAYS("more than");
    free(bomb);
    uint8_t promise[] = { 0, 0, 8, 1, 255, 255, 255, 255, 1 }; /* four gigabytes claimed, one byte present */
    bomb = gzip(promise, sizeof promise, &n);
    assert_int_equal(parse_idx(bomb, n, &error), GLIA_E_FORMAT);
    free(bomb);
}

#else

static void test_gzip(void **state) {
    (void)state;
    const uint8_t start[] = { 0x1F, 0x8B, 8, 0 };
    assert_int_equal(parse_idx(start, sizeof start, &error), GLIA_E_UNSUPPORTED);
    ASSERT_SAYS("zlib");
}

static void test_gzip_members_and_bombs(void **state) {
    (void)state;
    skip();
}

#endif

/* ---- CIFAR -------------------------------------------------------------------------------- */

static void test_cifar(void **state) {
    (void)state;
    uint8_t *file = calloc(2, GLIA_CIFAR_RECORD);
    assert_non_null(file);
    file[0] = 9, file[1] = 11, file[GLIA_CIFAR_PIXELS] = 22;
    file[GLIA_CIFAR_RECORD] = 3, file[2 * GLIA_CIFAR_RECORD - 1] = 33;
    int64_t n = 0;
    assert_int_equal(glia_cifar_parse(file, 2 * GLIA_CIFAR_RECORD, &n, &error), GLIA_OK);
    assert_int_equal(n, 2);
    uint8_t *pixels = malloc(2 * GLIA_CIFAR_PIXELS);
    int32_t labels[2];
    glia_cifar_copy(file, n, pixels, labels);
    assert_true(labels[0] == 9 && labels[1] == 3 && pixels[0] == 11 && pixels[GLIA_CIFAR_PIXELS - 1] == 22);
    assert_int_equal(pixels[2 * GLIA_CIFAR_PIXELS - 1], 33);
    assert_int_equal(glia_cifar_parse(file, 2 * GLIA_CIFAR_RECORD - 1, &n, &error), GLIA_E_FORMAT);
    ASSERT_SAYS("offset 3073");
    assert_int_equal(glia_cifar_parse(file, 0, &n, &error), GLIA_E_FORMAT);
    file[GLIA_CIFAR_RECORD] = 10;
    assert_int_equal(glia_cifar_parse(file, 2 * GLIA_CIFAR_RECORD, &n, &error), GLIA_E_FORMAT);
    ASSERT_SAYS("offset 3073: label 10");
    free(pixels);
    free(file);
}

/* ---- CSV ---------------------------------------------------------------------------------- */

static glia_status parse_csv(const uint8_t *bytes, size_t length, glia_error *e) {
    glia_csv csv;
    glia_status status = glia_csv_parse(bytes, length, (glia_csv_opts){ 0 }, &csv, e);
    glia_csv_free(&csv);
    return status;
}

static glia_csv read_csv(const char *text, glia_csv_opts opts) {
    glia_csv csv;
    if (glia_csv_parse((const uint8_t *)text, strlen(text), opts, &csv, &error)) fail_msg("%s", error.message);
    return csv;
}

static void refuse_csv(const char *text, glia_csv_opts opts, glia_status wanted, const char *says) {
    glia_csv csv;
    error.message[0] = 0;
    assert_int_equal(glia_csv_parse((const uint8_t *)text, strlen(text), opts, &csv, &error), wanted);
    ASSERT_SAYS(says);
}

static void test_csv_words(void **state) {
    (void)state;
    glia_csv csv =
        read_csv("\xEF\xBB\xBFlength,\"wid\"\"th\",kind\r\n1.5,2,setosa\r\n\r\n-3e1,\"4\",\"a, b\"\r\n5,6,setosa",
                 (glia_csv_opts){ 0 });
    const float x[] = { 1.5f, 2, -30, 4, 5, 6 };
    const int32_t y[] = { 1, 0, 1 };
    assert_true(csv.n == 3 && csv.columns == 2 && csv.classes == 2 && csv.y_dtype == GLIA_I32);
    assert_memory_equal(csv.x, x, sizeof x);
    assert_memory_equal(csv.y, y, sizeof y);
    assert_string_equal(csv.names[0], "length");
    assert_string_equal(csv.names[1], "wid\"th");
    assert_string_equal(csv.class_names[0], "a, b");
    assert_string_equal(csv.class_names[1], "setosa");
    glia_csv_free(&csv);
}

static void test_csv_columns(void **state) {
    (void)state;
    glia_csv csv = read_csv("y;a;when;b\n2;1;mon;2\n0;3;tue;4\n", (glia_csv_opts){ .label = "y", .drop = "when" });
    assert_true(csv.n == 2 && csv.columns == 2 && csv.classes == 3 && !csv.class_names);
    assert_true(csv.x[0] == 1 && csv.x[1] == 2 && csv.x[2] == 3 && ((int32_t *)csv.y)[0] == 2 &&
                ((int32_t *)csv.y)[1] == 0);
    assert_string_equal(csv.names[1], "b");
    glia_csv_free(&csv);

    csv = read_csv("1\t2\t0.5\n3\t4\t-1\n", (glia_csv_opts){ .target = "-1" });
    assert_true(csv.n == 2 && csv.columns == 2 && csv.classes == 0 && csv.y_dtype == GLIA_F32 &&
                ((float *)csv.y)[1] == -1 && !csv.names);
    glia_csv_free(&csv);

    csv = read_csv("1,2,0\n3,4,1\n", (glia_csv_opts){ .header = 1 }); /* numbers read as names */
    assert_true(csv.n == 1 && csv.columns == 2 && !strcmp(csv.names[0], "1"));
    glia_csv_free(&csv);

    csv = read_csv("5.1,3.5,Iris-setosa\n4.9,3.0,Iris-virginica\n",
                   (glia_csv_opts){ 0 }); /* a single word is not a header */
    assert_true(csv.n == 2 && csv.classes == 2);
    glia_csv_free(&csv);

    csv = read_csv("1|1.0\n2|0.0\n3|1.0", (glia_csv_opts){ .separator = '|' }); /* integers as floats */
    assert_true(csv.n == 3 && csv.classes == 2 && !csv.class_names && ((int32_t *)csv.y)[0] == 1);
    glia_csv_free(&csv);

    csv = read_csv("1,-1\n2,1\n3,-1", (glia_csv_opts){ .separator = ',' }); /* not 0, 1, ...: names */
    assert_true(csv.classes == 2 && ((int32_t *)csv.y)[0] == 0 && !strcmp(csv.class_names[0], "-1"));
    glia_csv_free(&csv);
}

static void test_csv_many_words(void **state) {
    (void)state;
    glia_text text = { 0 };
    for (int i = 0; i < 5000; i++) glia_text_printf(&text, "%d,w%04d\n", i, (i * 7919) % 1000);
    glia_csv csv = read_csv(text.bytes, (glia_csv_opts){ 0 });
    assert_true(csv.n == 5000 && csv.classes == 1000);
    for (int i = 0; i < 5000; i++) assert_int_equal(((int32_t *)csv.y)[i], (i * 7919) % 1000);
    assert_string_equal(csv.class_names[42], "w0042");
    glia_csv_free(&csv);
    free(text.bytes);
}

static void test_csv_refusals(void **state) {
    (void)state;
    glia_csv_opts none = { 0 };
    refuse_csv("", none, GLIA_E_FORMAT, "empty");
    refuse_csv("\n\n", none, GLIA_E_FORMAT, "empty");
    refuse_csv("a,b,c\n", none, GLIA_E_FORMAT, "no rows");
    refuse_csv("a,b\n1,2\n3\n", none, GLIA_E_FORMAT, "line 3");
    refuse_csv("a,b\n1,2\n3,4,5\n", none, GLIA_E_FORMAT, "more columns than the 2");
    refuse_csv("a,b\n1,2\nx,4\n", none, GLIA_E_FORMAT, "line 3, column 1");
    refuse_csv("a,b\n1,2\n\nx,4\n", none, GLIA_E_FORMAT, "in \"a\": \"x\" is not a number");
    refuse_csv("a,b\n1,2\n,4\n", none, GLIA_E_FORMAT, "line 3, column 1");
    refuse_csv("a,b\n1,2\n3,\n", none, GLIA_E_FORMAT, "line 3, column 2");
    refuse_csv("a,b\n1,\"2\n", none, GLIA_E_FORMAT, "the quote is not closed");
    refuse_csv("a,b\n1,\"2\"3\n", none, GLIA_E_FORMAT, "closing quote");
    refuse_csv("a,b\n1,2\"3\n", none, GLIA_E_FORMAT, "quote in the middle");
    refuse_csv("a,b\n1e300,2\n", none, GLIA_E_FORMAT, "too large");
    refuse_csv("1,2.5\n", none, GLIA_E_FORMAT, "target=");
    refuse_csv("a,b\n1,\xC0\xAF\n", none, GLIA_E_FORMAT, "UTF-8");
    refuse_csv("a\n1\n", none, GLIA_E_FORMAT, "none of the 1 columns");
    refuse_csv("width,kind\n1,2\n", (glia_csv_opts){ .label = "knid" }, GLIA_E_NOT_FOUND, "did you mean \"kind\"");
    refuse_csv("1,2\n", (glia_csv_opts){ .label = "kind" }, GLIA_E_ARGUMENT, "no header");
    refuse_csv("1,2\n", (glia_csv_opts){ .label = "7" }, GLIA_E_ARGUMENT, "0 to 1");
    refuse_csv("1,2\n", (glia_csv_opts){ .label = "0", .target = "1" }, GLIA_E_ARGUMENT, "not both");
    refuse_csv("1,2\n", (glia_csv_opts){ .drop = "1" }, GLIA_E_ARGUMENT, "drop=");
}

static void test_csv_hostile(void **state) {
    (void)state;
    static const char text[] = "a,\"b \"\"c\",kind\r\n1,2.5e1,\"x\ny\"\r\n-3,.5,z\n4,5,x\n";
    hostile_all(parse_csv, (const uint8_t *)text, sizeof text - 1, false);
}

/* ---- files -------------------------------------------------------------------------------- */

static void write_file(const char *path, const char *text) {
    assert_int_equal(glia_file_replace(path, &(glia_span){ text, strlen(text) }, 1, &error), GLIA_OK);
}

static void expect_file(const char *path, const char *text) {
    glia_file file;
    assert_int_equal(glia_file_open(&file, path, &error), GLIA_OK);
    assert_int_equal(file.length, strlen(text));
    if (file.length) assert_memory_equal(file.bytes, text, file.length);
    glia_file_close(&file);
}

static void test_files(void **state) {
    (void)state;
    char folder[] = "glia-files-XXXXXX", path[64], other[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a", folder);
    snprintf(other, sizeof other, "%s/link", folder);

    glia_file file;
    assert_int_equal(glia_file_open(&file, path, &error), GLIA_E_NOT_FOUND);
    ASSERT_SAYS(path);
    assert_int_equal(glia_file_open(&file, folder, &error), GLIA_E_IO);
    write_file(path, "one");
    expect_file(path, "one");
    glia_span pieces[] = { { "two", 3 }, { "", 0 }, { " three", 6 } };
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(symlink("a", other), 0);
    assert_int_equal(glia_file_replace(other, pieces, 3, &error), GLIA_OK);
    expect_file(path, "two three");
    struct stat info;
    assert_true(!lstat(other, &info) && S_ISLNK(info.st_mode));
    assert_true(!stat(path, &info) && (info.st_mode & 0777) == 0640);
    write_file(path, "");
    expect_file(path, "");

    snprintf(other, sizeof other, "%s/a.tmp", folder);
    assert_true(access(other, F_OK) == -1 && errno == ENOENT);
    snprintf(other, sizeof other, "%s/none/a", folder);
    assert_int_equal(glia_file_replace(other, pieces, 3, &error), GLIA_E_NOT_FOUND);
    assert_int_equal(glia_file_replace(folder, pieces, 3, &error), GLIA_E_IO); /* a folder is not replaced */
    assert_int_equal(glia_file_replace("/dev/null", pieces, 3, &error), GLIA_OK);
    assert_true(!stat("/dev/null", &info) && S_ISCHR(info.st_mode));

    snprintf(other, sizeof other, "%s.tmp", folder);
    assert_true(access(other, F_OK) == -1);
    snprintf(other, sizeof other, "%s/link", folder);
    assert_int_equal(unlink(other), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),      cmocka_unit_test(test_long_numbers),
        cmocka_unit_test(test_idx_types),    cmocka_unit_test(test_idx_refusals),
        cmocka_unit_test(test_gzip),         cmocka_unit_test(test_gzip_members_and_bombs),
        cmocka_unit_test(test_cifar),        cmocka_unit_test(test_csv_words),
        cmocka_unit_test(test_csv_columns),  cmocka_unit_test(test_csv_many_words),
        cmocka_unit_test(test_csv_refusals), cmocka_unit_test(test_csv_hostile),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
