/* NPY and NPZ, libsvm, raw records, text: reads files of NumPy and scikit-learn, and rejects malformed ones.
 *
 * tools/golden/data_files.py writes the files of tests/golden/data; number() computes the same values.
 */
#include <math.h>
#include <unistd.h>

#include "archives.h"
#include "asserts.h"
#include "data/sources/sources.h"
#include "files.h"
#include "glia/glia.h"
#include "hostile.h"

static glia_error error;

static const char golden[] = GLIA_GOLDEN_DIR "/data/";

static const char *golden_file(const char *name) {
    static char path[2][2000];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s%s", golden, name);
    return path[turn];
}

static glia_dataset *need(glia_dataset *data) {
    if (!data) fail_msg("%s", error.message);
    return data;
}

static glia_dataset *open_golden(const char *scheme, const char *file, const char *options, const char *split) {
    char address[3000];
    snprintf(address, sizeof address, "%s:%s%s", scheme, golden_file(file), options);
    return glia_data_open(address, split, NULL, &error);
}

/* Element i of a file with dtype kind 'u', 'i', 'f' or 'b'. */
static double number(char kind, int i) {
    int value = i * 7 % 11;
    return kind == 'u' ? value : kind == 'b' ? value % 2 : kind == 'i' ? value - 5 : (value - 5) / 4.0;
}

/* ---- NPY ---------------------------------------------------------------------------------- */

static glia_status parse_npy(const uint8_t *bytes, size_t length, glia_error *e) {
    glia_values values;
    glia_status status = glia_npy_parse(bytes, length, &values, e);
    glia_values_free(&values);
    return status;
}

static void test_npy_types(void **state) {
    (void)state;
    static const struct {
        const char *name;
        glia_dtype dtype;
    } files[] = { { "u1", GLIA_U8 },      { "i1", GLIA_I32 },        { "b1", GLIA_BOOL },    { "little_u2", GLIA_I32 },
                  { "big_u2", GLIA_I32 }, { "little_i2", GLIA_I32 }, { "big_i2", GLIA_I32 }, { "little_u4", GLIA_I64 },
                  { "big_u4", GLIA_I64 }, { "little_i4", GLIA_I32 }, { "big_i4", GLIA_I32 }, { "little_u8", GLIA_I64 },
                  { "big_u8", GLIA_I64 }, { "little_i8", GLIA_I64 }, { "big_i8", GLIA_I64 }, { "little_f2", GLIA_F16 },
                  { "big_f2", GLIA_F16 }, { "little_f4", GLIA_F32 }, { "big_f4", GLIA_F32 }, { "little_f8", GLIA_F64 },
                  { "big_f8", GLIA_F64 }, { "fortran", GLIA_I32 } };
    for (int i = 0; i < GLIA_COUNT(files); i++) {
        char name[64];
        snprintf(name, sizeof name, "%s.npy", files[i].name);
        glia_file file;
        glia_values v;
        assert_int_equal(glia_file_open(&file, golden_file(name), &error), GLIA_OK);
        if (glia_npy_parse(file.bytes, file.length, &v, &error)) fail_msg("%s: %s", name, error.message);
        assert_int_equal(v.dtype, files[i].dtype);
        assert_true(glia_shape_equal(v.shape, GLIA_SHAPE(2, 3, 4)));
        double got[24];
        char kind = name[strlen(name) - 6];
        glia_to_double(v.dtype, v.data, got, 24);
        for (int k = 0; k < 24; k++) {
            double wanted = number(strchr("uifb", kind) ? kind : 'i', k);
            if (got[k] != wanted) fail_msg("%s: element %d is %g, not %g", name, k, got[k], wanted);
        }
        glia_values_free(&v);
        glia_file_close(&file);
    }
}

static void test_npy_hostile(void **state) {
    (void)state;
    glia_file file;
    assert_int_equal(glia_file_open(&file, golden_file("fortran.npy"), &error), GLIA_OK);
    hostile_all(parse_npy, file.bytes, file.length, true);
    glia_file_close(&file);
    assert_int_equal(glia_file_open(&file, golden_file("version2.npy"), &error), GLIA_OK);
    hostile_all(parse_npy, file.bytes, file.length, true);
    glia_file_close(&file);
    static const struct {
        const char *header, *says;
        glia_status status;
    } bad[] = {
        { "", "not a dictionary", GLIA_E_FORMAT },
        { "{}", "missing", GLIA_E_FORMAT },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000, 1000000000, 1000000000), }",
          "the header says", GLIA_E_FORMAT },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", "NPY header", GLIA_E_FORMAT },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 3), }", "size 0", GLIA_E_FORMAT },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }", "too many axes", GLIA_E_FORMAT },
        { "{'descr': '<f4', 'fortran_order': Maybe, 'shape': (1,), }", "neither", GLIA_E_FORMAT },
        { "{'descr': '<f4', 'descr': '<f4', 'shape': (1,), }", "twice", GLIA_E_FORMAT },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), } x", "after the dictionary", GLIA_E_FORMAT },
        { "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", "records", GLIA_E_UNSUPPORTED },
        { "{'descr': '<U4', 'fortran_order': False, 'shape': (1,), }", "<U4", GLIA_E_UNSUPPORTED },
        { "{'descr': '<f3', 'fortran_order': False, 'shape': (1,), }", "<f3", GLIA_E_UNSUPPORTED },
        { "{'descr': '', 'fortran_order': False, 'shape': (1,), }", "NPY type", GLIA_E_UNSUPPORTED },
    };
    for (int i = 0; i < GLIA_COUNT(bad); i++) {
        glia_text npy = { 0 };
        glia_text_append(&npy, "\x93NUMPY\1", 8); /* version 1.0 */
        put(&npy, strlen(bad[i].header), 2);
        glia_text_printf(&npy, "%sabcd", bad[i].header);
        assert_int_equal(hostile_try(parse_npy, (const uint8_t *)npy.bytes, npy.length), bad[i].status);
        parse_npy((const uint8_t *)npy.bytes, npy.length, &error);
        ASSERT_SAYS(bad[i].says);
        free(npy.bytes);
    }
    assert_null(open_golden("npy", "complex.npy", "", NULL));
    ASSERT_SAYS("<c8");
    assert_null(open_golden("npy", "objects.npy", "", NULL));
    ASSERT_SAYS("pickled");
}

static void test_npy_data(void **state) {
    (void)state;
    char address[5000];
    float x[12];
    float y[12];
    glia_dataset *data = need(open_golden("npy", "big_f2.npy", "", NULL));
    assert_true(glia_data_count(data) == 2 && glia_shape_equal(glia_data_x_shape(data), GLIA_SHAPE(3, 4)));
    assert_int_equal(glia_data_get(data, 1, x, NULL, &error), GLIA_OK);
    for (int k = 0; k < 12; k++) assert_true(x[k] == (float)number('f', 12 + k));
    glia_data_free(data);
    snprintf(address, sizeof address, "npy:%s,%s", golden_file("row.npy"), golden_file("row.npy"));
    data = need(glia_data_open(address, NULL, NULL, &error)); /* values, one for each sample */
    assert_true(glia_data_count(data) == 5 && glia_data_y_dtype(data) == GLIA_F32 && !glia_data_classes(data));
    assert_int_equal(glia_data_get(data, 2, x, y, &error), GLIA_OK);
    assert_true(x[0] == y[0] && y[0] == (float)number('f', 2));
    glia_data_free(data);
    snprintf(address, sizeof address, "npy:%s,%s", golden_file("fortran.npy"), golden_file("row.npy"));
    assert_null(glia_data_open(address, NULL, NULL, &error));
    ASSERT_SAYS("different numbers of samples");
}

static void test_npz(void **state) {
    (void)state;
    float x[18], y[1];
    int32_t label;
    glia_dataset *data = open_golden("npz", "plain.npz", "?x=features&y=value", NULL);
    need(data);
    assert_true(glia_data_count(data) == 4 && glia_shape_equal(glia_data_x_shape(data), GLIA_SHAPE(3)));
    assert_int_equal(glia_data_get(data, 3, x, y, &error), GLIA_OK);
    assert_true(x[2] == (float)number('f', 11) && y[0] == (float)number('f', 3));
    glia_data_free(data);
    assert_null(open_golden("npz", "plain.npz", "", NULL));
    ASSERT_SAYS("the file has features, value");
    assert_null(open_golden("npz", "plain.npz", "?x=features&y=volume", NULL));
    ASSERT_SAYS("volume");
    assert_null(open_golden("npz", "plain.npz", "?x=features&layout=hwc", NULL));
    ASSERT_SAYS("layout=hwc");
#if GLIA_HAVE_ZLIB
    data = need(open_golden("npz", "pictures.npz", "?layout=hwc", "train"));
    assert_true(glia_data_count(data) == 6 && glia_shape_equal(glia_data_x_shape(data), GLIA_SHAPE(3, 2, 3)));
    assert_true(glia_data_classes(data) == 3 && glia_data_y_shape(data).rank == 0);
    assert_int_equal(glia_data_get(data, 4, x, &label, &error), GLIA_OK);
    assert_int_equal(label, 1);
    for (int c = 0; c < 3; c++) {
        for (int k = 0; k < 6; k++) assert_true(x[c * 6 + k] == (float)(number('u', 4 * 18 + k * 3 + c) / 255.0));
    }
    glia_data_free(data);
    data = need(open_golden("npz", "pictures.npz", "", "test"));
    assert_int_equal(glia_data_count(data), 2);
    glia_data_free(data);
#else
    (void)label;
#endif
}

/* ---- libsvm ------------------------------------------------------------------------------- */

static glia_status parse_libsvm(const uint8_t *bytes, size_t length, glia_error *e) {
    glia_sparse rows;
    glia_status status = glia_libsvm_parse(bytes, length, (glia_libsvm_opts){ .first = -1 }, &rows, e);
    glia_sparse_free(&rows);
    return status;
}

/* Row i, column k of the file written by scikit-learn. */
static float sparse_number(int i, int k) {
    int at = i * 5 + k;
    return at % 3 ? 0 : (float)number('f', at);
}

static void expect_rows(glia_dataset *data) {
    float x[5];
    assert_true(glia_data_count(data) == 6 && glia_shape_equal(glia_data_x_shape(data), GLIA_SHAPE(5)));
    for (int i = 0; i < 6; i++) {
        assert_int_equal(glia_data_get(data, i, x, NULL, &error), GLIA_OK);
        for (int k = 0; k < 5; k++) assert_true(x[k] == sparse_number(i, k));
    }
}

static void test_libsvm(void **state) {
    (void)state;
    glia_dataset *data = need(open_golden("libsvm", "from_zero.svm", "?features=5", NULL));
    int32_t label;
    float value;
    expect_rows(data);
    assert_true(glia_data_classes(data) == 3);
    assert_int_equal(glia_data_get(data, 5, NULL, &label, &error), GLIA_OK);
    assert_int_equal(label, 2);
    double mean[5], deviation[5];
    assert_int_equal(glia_data_statistics(data, mean, deviation, 5), 5);
    for (int k = 0; k < 5; k++) {
        double sum = 0;
        for (int i = 0; i < 6; i++) sum += sparse_number(i, k) / 6.0;
        assert_float_equal(mean[k], sum, 1e-6);
    }
    glia_data_free(data);

    data = need(open_golden("libsvm", "from_one.svm", "?features=5", NULL));
    expect_rows(data);
    assert_int_equal(glia_data_classes(data), 2);
    assert_string_equal(glia_data_class_name(data, 0), "-1");
    assert_int_equal(glia_data_get(data, 2, NULL, &label, &error), GLIA_OK);
    assert_int_equal(label, 1);
    glia_data_free(data);

    data = need(open_golden("libsvm", "values.svm", "?features=5&first=1", NULL));
    expect_rows(data);
    assert_true(!glia_data_classes(data) && glia_data_y_dtype(data) == GLIA_F32);
    assert_int_equal(glia_data_get(data, 3, NULL, &value, &error), GLIA_OK);
    assert_true(value == 0.25f);
    glia_data_free(data);
    data = need(open_golden("libsvm", "from_one.svm", "?target=1&test=0.5", "test"));
    assert_true(glia_data_count(data) == 3 && !glia_data_classes(data));
    glia_data_free(data);
}

static void test_libsvm_refusals(void **state) {
    (void)state;
    static const struct {
        const char *text, *says;
    } bad[] = { { "", "no rows" },
                { "# only a comment\n", "no rows" },
                { "x 1:2\n", "line 1" },
                { "1 1:2\n1,2 1:2\n", "line 2 (offset" },
                { "1 1\n", "INDEX:VALUE" },
                { "1 1:x\n", "INDEX:VALUE" },
                { "1 :2\n", "INDEX:VALUE" },
                { "1 -1:2\n", "the index" },
                { "1 1.5:2\n", "the index" },
                { "1 9999999999:2\n", "the index" },
                { "1 2:1 2:1\n", "not increasing" },
                { "1 3:1 2:1\n", "not increasing" },
                { "1 1:1e300\n", "too large" },
                { "1e300 1:1\n", "too large" } };
    for (int i = 0; i < GLIA_COUNT(bad); i++) {
        size_t n = strlen(bad[i].text);
        assert_int_equal(hostile_try(parse_libsvm, (const uint8_t *)bad[i].text, n), GLIA_E_FORMAT);
        parse_libsvm((const uint8_t *)bad[i].text, n, &error);
        ASSERT_SAYS(bad[i].says);
    }
    static const char good[] = "1 1:2 3:-1e1 # c\r\n\n-1 qid:3 2:.5\n1";
    hostile_all(parse_libsvm, (const uint8_t *)good, sizeof good - 1, false);
    assert_null(open_golden("libsvm", "from_one.svm", "?features=2", NULL));
    ASSERT_SAYS("2 features");
    assert_null(open_golden("libsvm", "from_zero.svm", "?first=1", NULL));
    ASSERT_SAYS("the first must be 1");
}

/* Sparse and dense tables give the same values. */
static void test_sparse_csv(void **state) {
    (void)state;
    static const char dense[] = "a,b,c,kind\n0,1.5,0,x\n0,0,0,y\n2,0,-3,x\n",
                      empty[] = "a,b,c,kind\n,1.5,,x\n,,,y\n2,,-3,x\n";
    write_file("dense.csv", dense, sizeof dense - 1);
    write_file("empty.csv", empty, sizeof empty - 1);
    glia_dataset *whole = need(glia_data_open("csv:dense.csv", NULL, NULL, &error));
    static const char *const addresses[] = { "csv:dense.csv?sparse=1", "csv:empty.csv?sparse=1" };
    for (int k = 0; k < 2; k++) {
        glia_dataset *data = need(glia_data_open(addresses[k], NULL, NULL, &error));
        assert_true(glia_data_count(data) == 3 && glia_data_classes(data) == 2);
        assert_string_equal(glia_data_class_name(data, 1), "y");
        for (int i = 0; i < 3; i++) {
            float x[3], wanted[3];
            int32_t y, label;
            assert_int_equal(glia_data_get(data, i, x, &y, &error), GLIA_OK);
            assert_int_equal(glia_data_get(whole, i, wanted, &label, &error), GLIA_OK);
            assert_memory_equal(x, wanted, sizeof x);
            assert_int_equal(y, label);
        }
        glia_data_free(data);
    }
    glia_data_free(whole);
    assert_null(glia_data_open("csv:empty.csv", NULL, NULL, &error));
    ASSERT_SAYS("not a number");
    glia_text many = { 0 }; /* many rows: all buffers grow */
    for (int i = 0; i < 3000; i++) glia_text_printf(&many, "%d,,%d,%d\n", i % 2, i, i % 3);
    write_file("dense.csv", many.bytes, many.length);
    whole = need(glia_data_open("csv:dense.csv?sparse=1&header=0&target=-1", NULL, NULL, &error));
    for (int i = 0; i < 3000; i++) {
        float x[3], y;
        assert_int_equal(glia_data_get(whole, i, x, &y, &error), GLIA_OK);
        assert_true(x[0] == (float)(i % 2) && x[1] == 0 && x[2] == (float)i && y == (float)(i % 3));
    }
    glia_data_free(whole);
    free(many.bytes);
    assert_true(!unlink("dense.csv") && !unlink("empty.csv"));
}

/* Cora, if in GLIA_DATA: 2,708 papers, 1,433 words, seven classes, 49,216 words in total. */
static void test_cora(void **state) {
    (void)state;
    char address[2000];
    snprintf(address, sizeof address, "libsvm:%s/cora/features.svm.gz", getenv("GLIA_DATA") ? getenv("GLIA_DATA") : "");
    if (access(address + strlen("libsvm:"), R_OK)) skip();
    glia_dataset *data = glia_data_open(address, NULL, NULL, &error);
    if (!data && error.status == GLIA_E_UNSUPPORTED) skip();
    need(data);
    assert_true(glia_data_count(data) == 2708 && glia_data_classes(data) == 7);
    assert_true(glia_shape_equal(glia_data_x_shape(data), GLIA_SHAPE(1433)));
    static float x[1433];
    double sum = 0;
    for (int64_t i = 0; i < 2708; i++) {
        assert_int_equal(glia_data_get(data, i, x, NULL, &error), GLIA_OK);
        for (int k = 0; k < 1433; k++) sum += x[k];
    }
    assert_true(sum == 49216);
    glia_data_free(data);
}

/* ---- raw records -------------------------------------------------------------------------- */

static void test_raw(void **state) {
    (void)state;
    static const uint8_t mixed[] = { 'h', 'd', 'r', 2, 0, 51, 255, 0, 255, 102, 51 };
    write_file("mixed.bin", mixed, sizeof mixed);
    glia_dataset *data = need(glia_data_open("raw:mixed.bin?shape=1x3&header=3&label=u8", NULL, NULL, &error));
    float x[4];
    int32_t y;
    assert_true(glia_data_count(data) == 2 && glia_data_classes(data) == 3);
    assert_true(glia_shape_equal(glia_data_x_shape(data), GLIA_SHAPE(1, 3)));
    assert_int_equal(glia_data_get(data, 1, x, &y, &error), GLIA_OK);
    assert_true(y == 0 && x[0] == 1 && x[1] == (float)(102 / 255.0) && x[2] == (float)(51 / 255.0));
    glia_data_free(data);

    static const uint8_t samples[] = { 0x3F, 0x80, 0, 0, 0xC0, 0, 0, 0 }, labels[] = { 1, 0, 0, 0 };
    write_file("x.bin", samples, sizeof samples);
    write_file("y.bin", labels, sizeof labels);
    data = need(glia_data_open("raw:x.bin,y.bin?dtype=f32&shape=1&label=u16&endian=big", NULL, NULL, &error));
    assert_int_equal(glia_data_get(data, 0, x, &y, &error), GLIA_OK);
    assert_true(x[0] == 1 && y == 256);
    assert_int_equal(glia_data_get(data, 1, x, &y, &error), GLIA_OK);
    assert_true(x[0] == -2 && y == 0);
    assert_int_equal(glia_data_normalize(data, (double[]){ 1 }, (double[]){ 3 }, 1, &error), GLIA_OK);
    assert_int_equal(glia_data_get(data, 1, x, NULL, &error), GLIA_OK);
    assert_float_equal(x[0], -1, 1e-6);
    glia_data_free(data);
    data = need(glia_data_open("raw:x.bin?shape=2x4", NULL, NULL, &error)); /* no labels */
    assert_true(glia_data_count(data) == 1 && !glia_data_classes(data));
    glia_data_free(data);

    static const struct {
        const char *address, *says;
    } bad[] = { { "raw:x.bin", "shape= is missing" },
                { "raw:x.bin?shape=3", "not a multiple of the record size" },
                { "raw:x.bin?shape=3x", "must be sizes" },
                { "raw:x.bin?shape=1&header=9", "not a multiple" },
                { "raw:x.bin?shape=1&dtype=f8", "dtype=f8" },
                { "raw:x.bin?shape=1&endian=middle", "endian=middle" },
                { "raw:x.bin,y.bin?shape=1&label=i32", "x.bin has 8 samples" },
                { "raw:x.bin?shape=1&dtype=i32&label=i32&endian=little", "outside" },
                { "raw:x.bin?shape=2000000000x2000000000x2000000000", "too large" },
                { "raw:x.bin,y.bin,z.bin?shape=1", "more than two files" },
                { "raw:none.bin?shape=1", "none.bin" } };
    write_file("x.bin", "\0\0\0\x80xxxx", 8);
    for (int i = 0; i < GLIA_COUNT(bad); i++) {
        assert_null(glia_data_open(bad[i].address, NULL, NULL, &error));
        ASSERT_SAYS(bad[i].says);
    }
    assert_true(!unlink("mixed.bin") && !unlink("x.bin") && !unlink("y.bin"));
}

/* ---- text --------------------------------------------------------------------------------- */

static void expect_bytes(const float *x, const char *text, size_t n) {
    for (size_t i = 0; i < n; i++) assert_true(x[i] == (float)(uint8_t)text[i]);
}

static void test_lines(void **state) {
    (void)state;
    static const char text[] = "ham\tsee you\r\n\nspam\tbuy \xC3\xA9 now!\nham\tok";
    write_file("mail.txt", text, sizeof text - 1);
    float x[16];
    int32_t y[16];
    glia_dataset *data = need(glia_data_open("lines:mail.txt?label=first&length=8", NULL, NULL, &error));
    assert_true(glia_data_count(data) == 3 && glia_data_classes(data) == 2);
    assert_string_equal(glia_data_class_name(data, 1), "spam");
    assert_int_equal(glia_data_get(data, 1, x, y, &error), GLIA_OK);
    expect_bytes(x, "buy \xC3\xA9 n", 8); /* truncated */
    assert_int_equal(y[0], 1);
    assert_int_equal(glia_data_get(data, 2, x, y, &error), GLIA_OK);
    expect_bytes(x, "ok\0\0\0\0\0\0", 8); /* padded */
    glia_data_free(data);

    data = need(glia_data_open("lines:mail.txt?label=last&sep=tab", NULL, NULL, &error));
    assert_int_equal(glia_data_classes(data), 3);
    assert_int_equal(glia_data_get(data, 1, x, y, &error), GLIA_OK);
    expect_bytes(x, "spam", 4);
    assert_string_equal(glia_data_class_name(data, y[0]), "buy \xC3\xA9 now!");
    glia_data_free(data);
    assert_int_equal(unlink("mail.txt"), 0);
}

static void test_lines_next(void **state) {
    (void)state;
    write_file("two.txt", "abc\nde", 6);
    float x[4];
    int32_t y[4];
    glia_dataset *data = need(glia_data_open("lines:two.txt", NULL, NULL, &error)); /* the longest line's length */
    assert_true(glia_data_count(data) == 2 && glia_shape_equal(glia_data_x_shape(data), GLIA_SHAPE(3)));
    assert_true(glia_shape_equal(glia_data_y_shape(data), GLIA_SHAPE(3)) && glia_data_classes(data) == 256);
    assert_int_equal(glia_data_get(data, 0, x, y, &error), GLIA_OK);
    expect_bytes(x, "abc", 3);
    assert_true(y[0] == 'b' && y[1] == 'c' && y[2] == 0);
    glia_data_free(data);

    write_file("long.txt", "abcdefghij", 10);
    data = need(glia_data_open("text:long.txt?length=4&step=3", NULL, NULL, &error)); /* abcd defg */
    assert_int_equal(glia_data_count(data), 2);
    assert_int_equal(glia_data_get(data, 1, x, y, &error), GLIA_OK);
    expect_bytes(x, "defg", 4);
    for (int i = 0; i < 4; i++) assert_int_equal(y[i], "efgh"[i]);
    glia_data_free(data);

    static const struct {
        const char *address, *says;
    } bad[] = { { "text:long.txt?length=10", "shorter than a window" },
                { "text:long.txt?length=0", "length=0" },
                { "lines:two.txt?label=first", "line 1 (offset 0)" },
                { "lines:two.txt?label=middle", "label=middle" },
                { "lines:none.txt", "none.txt" },
                { "texts:none", "none" } };
    for (int i = 0; i < GLIA_COUNT(bad); i++) {
        assert_null(glia_data_open(bad[i].address, NULL, NULL, &error));
        ASSERT_SAYS(bad[i].says);
    }
    write_file("two.txt", "", 0);
    assert_null(glia_data_open("lines:two.txt", NULL, NULL, &error));
    ASSERT_SAYS("empty");
    write_file("two.txt", "\n\n", 2);
    assert_null(glia_data_open("lines:two.txt", NULL, NULL, &error));
    ASSERT_SAYS("all lines are empty");
    assert_true(!unlink("two.txt") && !unlink("long.txt"));
}

static void test_texts(void **state) {
    (void)state;
    glia_text tar = { 0 };
    tar_put(&tar, '0', "reviews/pos/1.txt", "good", 4);
    tar_put(&tar, '0', "reviews/neg/1.txt", "bad", 3);
    tar_put(&tar, '0', "reviews/README", "no text", 7);
    tar_end(&tar);
    write_file("reviews.tar", tar.bytes, tar.length);
    glia_dataset *data = need(glia_data_open("texts:reviews.tar", NULL, NULL, &error));
    float x[4];
    int32_t y;
    assert_true(glia_data_count(data) == 2 && glia_shape_equal(glia_data_x_shape(data), GLIA_SHAPE(4)));
    assert_int_equal(glia_data_get(data, 0, x, &y, &error), GLIA_OK);
    expect_bytes(x, "bad\0", 4);
    assert_string_equal(glia_data_class_name(data, y), "neg");
    glia_data_free(data);
    assert_int_equal(unlink("reviews.tar"), 0);
    free(tar.bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_npy_types), cmocka_unit_test(test_npy_hostile), cmocka_unit_test(test_npy_data),
        cmocka_unit_test(test_npz),       cmocka_unit_test(test_libsvm),      cmocka_unit_test(test_libsvm_refusals),
        cmocka_unit_test(test_cora),      cmocka_unit_test(test_sparse_csv),  cmocka_unit_test(test_raw),
        cmocka_unit_test(test_lines),     cmocka_unit_test(test_lines_next),  cmocka_unit_test(test_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
