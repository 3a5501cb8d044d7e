/* safetensors and their JSON: a file written by Python, files written by Glia, and invalid files. */
#include <unistd.h>

#include "asserts.h"
#include "glia/glia.h"
#include "hostile.h"

static glia_error error;

/* ---- JSON --------------------------------------------------------------------------------- */

static glia_status parse_json(const uint8_t *bytes, size_t length, glia_error *e) {
    glia_arena arena = { 0 };
    glia_error local = { 0 };
    const glia_json *value = glia_json_parse(&arena, bytes, length, 0, &local);
    glia_arena_free(&arena);
    if (e) *e = local;
    return value ? GLIA_OK : local.status;
}

static void test_json_values(void **state) {
    (void)state;
    static const char text[] = " {\"a\": [1, -2.5e1, true, false, null], \"b\\u00e9\\ud83d\\ude00\": "
                               "\"x\\n\\\"\\/\\\\\", \"c\": {}, \"\": []} \n";
    glia_arena arena = { 0 };
    const glia_json *root = glia_json_parse(&arena, (const uint8_t *)text, sizeof text - 1, 100, &error);
    assert_non_null(root);
    assert_true(root->kind == GLIA_JSON_OBJECT && root->count == 4 && root->offset == 101);
    const glia_json *a = glia_json_member(root, "a"), *b = glia_json_member(root, "b\xC3\xA9\xF0\x9F\x98\x80");
    assert_non_null(a);
    assert_non_null(b);
    assert_true(a->kind == GLIA_JSON_ARRAY && a->count == 5 && a->offset == 107);
    int64_t n;
    assert_true(glia_json_int(a->first, &n) && n == 1);
    assert_false(glia_json_int(a->first->next, &n));
    assert_true(a->first->next->number == -25 && a->first->next->next->number == 1 &&
                a->first->next->next->next->next->kind == GLIA_JSON_NULL);
    assert_string_equal(b->text, "x\n\"/\\");
    assert_null(glia_json_member(root, "d"));
    assert_int_equal(glia_json_member(root, "")->kind, GLIA_JSON_ARRAY);
    glia_arena_free(&arena);
    hostile_all(parse_json, (const uint8_t *)text, sizeof text - 3, true);
}

static void test_json_integers(void **state) {
    (void)state;
    static const char text[] = "[9223372036854775807, -9223372036854775808, 9223372036854775808, 1.0, 1e2, -0]";
    static const bool fits[] = { true, true, false, false, false, true };
    glia_arena arena = { 0 };
    const glia_json *root = glia_json_parse(&arena, (const uint8_t *)text, sizeof text - 1, 0, &error);
    assert_non_null(root);
    int i = 0;
    for (const glia_json *v = root->first; v; v = v->next, i++) {
        int64_t n = 7;
        assert_int_equal(glia_json_int(v, &n), fits[i]);
        if (i == 0) assert_true(n == INT64_MAX);
        if (i == 1) assert_true(n == INT64_MIN);
    }
    assert_int_equal(i, 6);
    glia_arena_free(&arena);
}

static const char *const bad_json[] = {
    "", " ", "{", "[", "[1", "[1,", "[1,]", "[,1]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{'a':1}", "[1 2]",
    "01", "-", "-01", "1.", ".5", "1e", "1e+", "+1", "0x1", "nan", "NaN", "Infinity", "1e999", "tru", "truex", "nul",
    "\"", "\"a", "\"\\\"", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"",
    "\"\\u0000\"", "\"a\nb\"", "\"\x01\"", "\"\x80\"", "\"\xC0\xAF\"", "\"\xE0\x80\x80\"", "\"\xED\xA0\x80\"",
    "\"\xF4\x90\x80\x80\"", "\"\xC3\"", "1 2", "[] x", "{\"a\":1,\"a\":2}", "{\"a\":1,\"b\":2,\"\\u0061\":3}",
    "//x\n1", "[1]//", "\xEF\xBB\xBF{}", "]", "}",
};

static void test_json_refusals(void **state) {
    (void)state;
    for (int i = 0; i < GLIA_COUNT(bad_json); i++) {
        if (hostile_try(parse_json, (const uint8_t *)bad_json[i], strlen(bad_json[i])) != GLIA_E_FORMAT) {
            fail_msg("accepted: %s", bad_json[i]);
        }
    }
    assert_int_equal(hostile_try(parse_json, (const uint8_t *)"1\0", 2), GLIA_E_FORMAT);
    char deep[200] = { 0 };
    memset(deep, '[', 64);
    memset(deep + 64, ']', 64);
    assert_int_equal(hostile_try(parse_json, (const uint8_t *)deep, 128), GLIA_OK);
    memset(deep, '[', 65);
    memset(deep + 65, ']', 65);
    assert_int_equal(hostile_try(parse_json, (const uint8_t *)deep, 130), GLIA_E_FORMAT);
    parse_json((const uint8_t *)"{\"k\":1,\"k\":2}", 13, &error);
    ASSERT_SAYS("offset 7: \"k\" is given twice");
}

/* ---- reading ------------------------------------------------------------------------------ */

/* Written by safetensors 0.8.0 for Python: a to g with every dtype that NumPy also has, an empty tensor with a name
 * that needs escaping, non-ASCII metadata. */
static const uint8_t python_file[] = {
    0,   2,   0,   0,   0,   0,   0,   0,   123, 34,  95,  95,  109, 101, 116, 97,  100, 97,  116, 97,  95,  95,  34,
    58,  123, 34,  102, 111, 114, 109, 97,  116, 34,  58,  34,  110, 112, 34,  44,  34,  110, 111, 116, 101, 34,  58,
    34,  99,  97,  102, 195, 169, 32,  228, 184, 173, 32,  240, 159, 152, 128, 32,  92,  34,  113, 92,  34,  92,  110,
    34,  125, 44,  34,  100, 34,  58,  123, 34,  100, 116, 121, 112, 101, 34,  58,  34,  73,  54,  52,  34,  44,  34,
    115, 104, 97,  112, 101, 34,  58,  91,  93,  44,  34,  100, 97,  116, 97,  95,  111, 102, 102, 115, 101, 116, 115,
    34,  58,  91,  48,  44,  56,  93,  125, 44,  34,  98,  34,  58,  123, 34,  100, 116, 121, 112, 101, 34,  58,  34,
    70,  54,  52,  34,  44,  34,  115, 104, 97,  112, 101, 34,  58,  91,  49,  93,  44,  34,  100, 97,  116, 97,  95,
    111, 102, 102, 115, 101, 116, 115, 34,  58,  91,  56,  44,  49,  54,  93,  125, 44,  34,  97,  34,  58,  123, 34,
    100, 116, 121, 112, 101, 34,  58,  34,  70,  51,  50,  34,  44,  34,  115, 104, 97,  112, 101, 34,  58,  91,  50,
    44,  50,  93,  44,  34,  100, 97,  116, 97,  95,  111, 102, 102, 115, 101, 116, 115, 34,  58,  91,  49,  54,  44,
    51,  50,  93,  125, 44,  34,  195, 169, 92,  34,  92,  110, 34,  58,  123, 34,  100, 116, 121, 112, 101, 34,  58,
    34,  70,  51,  50,  34,  44,  34,  115, 104, 97,  112, 101, 34,  58,  91,  48,  44,  51,  93,  44,  34,  100, 97,
    116, 97,  95,  111, 102, 102, 115, 101, 116, 115, 34,  58,  91,  51,  50,  44,  51,  50,  93,  125, 44,  34,  99,
    34,  58,  123, 34,  100, 116, 121, 112, 101, 34,  58,  34,  73,  51,  50,  34,  44,  34,  115, 104, 97,  112, 101,
    34,  58,  91,  51,  93,  44,  34,  100, 97,  116, 97,  95,  111, 102, 102, 115, 101, 116, 115, 34,  58,  91,  51,
    50,  44,  52,  52,  93,  125, 44,  34,  103, 34,  58,  123, 34,  100, 116, 121, 112, 101, 34,  58,  34,  70,  49,
    54,  34,  44,  34,  115, 104, 97,  112, 101, 34,  58,  91,  50,  93,  44,  34,  100, 97,  116, 97,  95,  111, 102,
    102, 115, 101, 116, 115, 34,  58,  91,  52,  52,  44,  52,  56,  93,  125, 44,  34,  101, 34,  58,  123, 34,  100,
    116, 121, 112, 101, 34,  58,  34,  85,  56,  34,  44,  34,  115, 104, 97,  112, 101, 34,  58,  91,  50,  93,  44,
    34,  100, 97,  116, 97,  95,  111, 102, 102, 115, 101, 116, 115, 34,  58,  91,  52,  56,  44,  53,  48,  93,  125,
    44,  34,  102, 34,  58,  123, 34,  100, 116, 121, 112, 101, 34,  58,  34,  66,  79,  79,  76,  34,  44,  34,  115,
    104, 97,  112, 101, 34,  58,  91,  51,  93,  44,  34,  100, 97,  116, 97,  95,  111, 102, 102, 115, 101, 116, 115,
    34,  58,  91,  53,  48,  44,  53,  51,  93,  125, 125, 32,  32,  32,  251, 255, 255, 255, 255, 255, 255, 255, 89,
    243, 248, 194, 31,  110, 165, 1,   0,   0,   192, 63,  0,   0,   0,   192, 0,   0,   128, 62,  230, 177, 97,  127,
    1,   0,   0,   0,   254, 255, 255, 255, 112, 17,  1,   0,   0,   62,  0,   184, 0,   255, 1,   0,   1,
};

static glia_status parse_file(const uint8_t *bytes, size_t length, glia_error *e) {
    glia_safetensors file;
    glia_status status = glia_safetensors_parse(bytes, length, &file, e);
    if (!status) glia_safetensors_free(&file);
    return status;
}

static void expect(const glia_safetensors *file, const char *name, glia_dtype dtype, glia_shape shape, const void *data,
                   size_t bytes) {
    const glia_safetensor *t = glia_safetensors_find(file, name);
    assert_non_null(t);
    assert_int_equal(t->dtype, dtype);
    assert_true(glia_shape_equal(t->shape, shape));
    assert_int_equal(t->bytes, bytes);
    if (bytes) assert_memory_equal(t->data, data, bytes);
}

static void test_python_file(void **state) {
    (void)state;
    glia_safetensors file;
    assert_int_equal(glia_safetensors_parse(python_file, sizeof python_file, &file, &error), GLIA_OK);
    assert_int_equal(file.n, 8);
    expect(&file, "a", GLIA_F32, GLIA_SHAPE(2, 2), (float[]){ 1.5f, -2, 0.25f, 3e38f }, 16);
    expect(&file, "b", GLIA_F64, GLIA_SHAPE(1), (double[]){ 1e-300 }, 8);
    expect(&file, "c", GLIA_I32, GLIA_SHAPE(3), (int32_t[]){ 1, -2, 70000 }, 12);
    expect(&file, "d", GLIA_I64, GLIA_SCALAR, (int64_t[]){ -5 }, 8);
    expect(&file, "e", GLIA_U8, GLIA_SHAPE(2), (uint8_t[]){ 0, 255 }, 2);
    expect(&file, "f", GLIA_BOOL, GLIA_SHAPE(3), (uint8_t[]){ 1, 0, 1 }, 3);
    expect(&file, "g", GLIA_F16, GLIA_SHAPE(2), (uint16_t[]){ 0x3E00, 0xB800 }, 4);
    expect(&file, "\xC3\xA9\"\n", GLIA_F32, GLIA_SHAPE(0, 3), NULL, 0);
    assert_string_equal(glia_safetensors_get(&file, "format"), "np");
    assert_string_equal(glia_safetensors_get(&file, "note"), "caf\xC3\xA9 \xE4\xB8\xAD \xF0\x9F\x98\x80 \"q\"\n");
    assert_null(glia_safetensors_get(&file, "none"));
    assert_null(glia_safetensors_find(&file, "none"));
    for (int i = 0; i < file.n; i++) assert_ptr_equal(file.tensors[i].data, python_file + file.tensors[i].offset);
    glia_safetensors_free(&file);
}

static void test_python_file_damaged(void **state) {
    (void)state;
    hostile_all(parse_file, python_file, sizeof python_file, true);
}

/* Parses a file with this header and n bytes of data. */
static glia_status parse_header(const char *json, size_t n) {
    uint64_t header = strlen(json);
    uint8_t bytes[2048] = { 0 };
    memcpy(bytes, &header, 8);
    memcpy(bytes + 8, json, header);
    glia_status status = hostile_try(parse_file, bytes, 8 + header + n);
    error.message[0] = 0;
    parse_file(bytes, 8 + header + n, &error);
    return status;
}

#define TENSOR(name, dtype, shape, offsets)                                                                            \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static void test_refusals(void **state) {
    (void)state;
    static const struct {
        const char *json;
        size_t bytes;
        glia_status status;
        const char *says;
    } files[] = {
        { "{}", 0, GLIA_OK, "" },
        { "{}  ", 0, GLIA_OK, "" },
        { "{" TENSOR("b", "U8", "[2]", "[1,3]") "," TENSOR("a", "U8", "[1]", "[0,1]") "}", 3, GLIA_OK, "" },
        { "{" TENSOR("a", "U8", "[0]", "[0,0]") "," TENSOR("b", "U8", "[0]", "[0,0]") "}", 0, GLIA_OK, "" },
        { "{\"__metadata__\":{}}", 0, GLIA_OK, "" },
        { "", 0, GLIA_E_FORMAT, "offset 8" },
        { " {}", 0, GLIA_E_FORMAT, "offset 8" },
        { "[]", 0, GLIA_E_FORMAT, "offset 8" },
        { "{}", 1, GLIA_E_FORMAT, "offset 10: 1 bytes belong to no tensor" },
        { "{\"__metadata__\":[]}", 0, GLIA_E_FORMAT, "not an object" },
        { "{\"__metadata__\":{\"a\":1}}", 0, GLIA_E_FORMAT, "not a string" },
        { "{\"a\":1}", 0, GLIA_E_FORMAT, "dtype, shape and data_offsets" },
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, GLIA_E_FORMAT, "dtype, shape and data_offsets" },
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"x\":1}}", 1, GLIA_E_FORMAT, "nothing else" },
        { "{" TENSOR("a", "F8_E4M3", "[1]", "[0,1]") "}", 1, GLIA_E_UNSUPPORTED, "tensor \"a\" has dtype F8_E4M3" },
        { "{" TENSOR("a", "I16", "[1]", "[0,1]") "}", 1, GLIA_E_UNSUPPORTED, "I16" },
        { "{" TENSOR("a", "U8", "[1,1,1,1,1,1,1,1,1]", "[0,1]") "}", 1, GLIA_E_UNSUPPORTED, "rank 9" },
        { "{" TENSOR("a", "U8", "[-1]", "[0,1]") "}", 1, GLIA_E_FORMAT, "invalid dimension" },
        { "{" TENSOR("a", "U8", "[1.0]", "[0,1]") "}", 1, GLIA_E_FORMAT, "invalid dimension" },
        { "{" TENSOR("a", "F64", "[4611686018427387904,4]", "[0,0]") "}", 0, GLIA_E_FORMAT, "too large" },
        { "{" TENSOR("a", "U8", "[2]", "[0,1]") "}", 1, GLIA_E_FORMAT, "1 bytes, but its dtype and shape need 2" },
        { "{" TENSOR("a", "U8", "[2]", "[0,2]") "}", 1, GLIA_E_FORMAT, "outside the 1 bytes" },
        { "{" TENSOR("a", "U8", "[1]", "[1,0]") "}", 1, GLIA_E_FORMAT, "outside" },
        { "{" TENSOR("a", "U8", "[1]", "[-1,0]") "}", 1, GLIA_E_FORMAT, "outside" },
        { "{" TENSOR("a", "U8", "[1]", "[0,1,2]") "}", 1, GLIA_E_FORMAT, "outside" },
        { "{" TENSOR("a", "U8", "[1]", "[1,2]") "}", 2, GLIA_E_FORMAT, "gap" },
        { "{" TENSOR("a", "U8", "[2]", "[0,2]") "," TENSOR("b", "U8", "[2]", "[1,3]") "}", 3, GLIA_E_FORMAT,
          "overlaps" },
        { "{" TENSOR("a", "U8", "[1]", "[0,1]") "," TENSOR("b", "U8", "[1]", "[0,1]") "}", 1, GLIA_E_FORMAT,
          "overlaps" },
        { "{" TENSOR("a", "U8", "[1]", "[0,1]") "," TENSOR("a", "U8", "[1]", "[1,2]") "}", 2, GLIA_E_FORMAT,
          "\"a\" is given twice" },
    };
    for (int i = 0; i < GLIA_COUNT(files); i++) {
        glia_status status = parse_header(files[i].json, files[i].bytes);
        if (status != files[i].status) fail_msg("%s: %s, %s", files[i].json, glia_status_name(status), error.message);
        ASSERT_SAYS(files[i].says);
    }
    uint8_t huge[16] = { 255, 255, 255, 255, 255, 255, 255, 255, '{', '}' };
    assert_int_equal(hostile_try(parse_file, huge, sizeof huge), GLIA_E_FORMAT);
    uint8_t boolean[512] = { 0 };
    static const char json[] = "{" TENSOR("a", "BOOL", "[2]", "[0,2]") "}";
    uint64_t header = sizeof json - 1;
    memcpy(boolean, &header, 8);
    memcpy(boolean + 8, json, header);
    boolean[8 + header + 1] = 2;
    assert_int_equal(glia_safetensors_parse(boolean, 8 + header + 2, &(glia_safetensors){ 0 }, &error), GLIA_E_FORMAT);
    ASSERT_SAYS("is not 0 or 1");
}

/* ---- writing ------------------------------------------------------------------------------ */

static void test_write_and_read(void **state) {
    (void)state;
    const char *path = "written.safetensors"; /* kept for python/check_safetensors.py */
    uint8_t bytes[] = { 1, 2, 3 }, flags[] = { 0, 1 };
    int8_t small[] = { -128, -1, 0, 127 };
    float floats[] = { 1.5f, -2 };
    double doubles[] = { 1e-300 };
    uint16_t brains[] = { 0x3FC0 }, halves[] = { 0x3E00 };
    int32_t ints[] = { -7, 8 };
    int64_t longs[] = { INT64_MIN };
    glia_array arrays[] = {
        { "bytes", GLIA_U8, GLIA_SHAPE(3), bytes, true },
        { "layer/kernel", GLIA_F32, GLIA_SHAPE(1, 2), floats, true },
        { "flags", GLIA_BOOL, GLIA_SHAPE(2), flags, false },
        { "d\xC3\xA9j\xC3\xA0 \"vu\"\\", GLIA_F64, GLIA_SCALAR, doubles, false },
        { "brain", GLIA_BF16, GLIA_SHAPE(1), brains, true },
        { "half", GLIA_F16, GLIA_SHAPE(1), halves, true },
        { "ints", GLIA_I32, GLIA_SHAPE(2), ints, false },
        { "longs", GLIA_I64, GLIA_SHAPE(1, 1), longs, false },
        { "small", GLIA_I8, GLIA_SHAPE(2, 2), small, true },
        { "none", GLIA_F32, GLIA_SHAPE(0), floats, false },
    };
    glia_pair metadata[] = { { "graph", "line 1\nline \"2\"\t\x01" }, { "\xE4\xB8\xAD", "" } };
    assert_int_equal(glia_safetensors_write(path, arrays, GLIA_COUNT(arrays), metadata, 2, &error), GLIA_OK);

    glia_file disk;
    glia_safetensors file;
    assert_int_equal(glia_file_open(&disk, path, &error), GLIA_OK);
    assert_int_equal(glia_safetensors_parse(disk.bytes, disk.length, &file, &error), GLIA_OK);
    assert_int_equal(file.n, GLIA_COUNT(arrays));
    for (int i = 0; i < GLIA_COUNT(arrays); i++) {
        size_t n = glia_dtype_size(arrays[i].dtype) * (size_t)glia_shape_count(arrays[i].shape);
        expect(&file, arrays[i].name, arrays[i].dtype, arrays[i].shape, arrays[i].data, n);
        const glia_safetensor *t = glia_safetensors_find(&file, arrays[i].name);
        assert_int_equal(t->offset % glia_dtype_size(t->dtype), 0);
    }
    assert_int_equal(file.tensors[0].offset % 64, 0);
    assert_int_equal(file.n_metadata, 2);
    for (int i = 0; i < 2; i++) assert_string_equal(glia_safetensors_get(&file, metadata[i].key), metadata[i].value);
    glia_safetensors_free(&file);
    glia_file_close(&disk);
}

static void test_write_refusals(void **state) {
    (void)state;
    const char *path = "refused.safetensors";
    float x[] = { 1, 2 };
    glia_array same[] = { { "a", GLIA_F32, GLIA_SHAPE(1), x, true }, { "a", GLIA_F32, GLIA_SHAPE(1), x + 1, true } };
    assert_int_equal(glia_safetensors_write(path, same, 2, NULL, 0, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("\"a\" is given twice");
    same[1].name = "\xFF";
    assert_int_equal(glia_safetensors_write(path, same, 2, NULL, 0, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("UTF-8");
    same[1].name = "__metadata__";
    assert_int_equal(glia_safetensors_write(path, same, 2, NULL, 0, NULL), GLIA_E_ARGUMENT);
    same[1].name = "b";
    same[1].shape = GLIA_SHAPE(GLIA_BATCH);
    assert_int_equal(glia_safetensors_write(path, same, 2, NULL, 0, &error), GLIA_E_SHAPE);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(glia_safetensors_write("no-such-folder/x", same, 1, NULL, 0, &error), GLIA_E_NOT_FOUND);
    ASSERT_SAYS("no-such-folder/x");
}

static void test_write_nothing(void **state) {
    (void)state;
    const char *path = "empty.safetensors";
    glia_file disk;
    glia_safetensors file;
    assert_int_equal(glia_safetensors_write(path, NULL, 0, &(glia_pair){ "a", "b" }, 1, &error), GLIA_OK);
    assert_int_equal(glia_file_open(&disk, path, &error), GLIA_OK);
    assert_int_equal(glia_safetensors_parse(disk.bytes, disk.length, &file, &error), GLIA_OK);
    assert_true(file.n == 0 && !strcmp(glia_safetensors_get(&file, "a"), "b"));
    glia_safetensors_free(&file);
    glia_file_close(&disk);
    assert_int_equal(unlink(path), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_values),         cmocka_unit_test(test_json_integers),
        cmocka_unit_test(test_json_refusals),       cmocka_unit_test(test_python_file),
        cmocka_unit_test(test_python_file_damaged), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_write_and_read),      cmocka_unit_test(test_write_refusals),
        cmocka_unit_test(test_write_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
