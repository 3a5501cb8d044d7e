/* Files of torch.save(): those of tools/golden/torch_files.py, malformed ones, and pickles with code in them. */
#include <unistd.h>

#include "asserts.h"
#include "core/tensor/tensor.h"
#include "data/formats/pickle.h"
#include "glia/glia.h"
#include "hostile.h"

static glia_error error;

static const char *golden(const char *name) {
    static char path[1024];
    snprintf(path, sizeof path, "%s/torch/%s", GLIA_GOLDEN_DIR, name);
    return path;
}

typedef struct disk {
    glia_file bytes;
    glia_safetensors file;
} disk;

static disk open_file(const char *path) {
    disk d;
    assert_int_equal(glia_file_open(&d.bytes, path, &error), GLIA_OK);
    if (glia_tensors_parse(d.bytes.bytes, d.bytes.length, &d.file, &error) != GLIA_OK)
        fail_msg("%s: %s", path, error.message);
    return d;
}

static void close_file(disk *d) {
    glia_safetensors_free(&d->file);
    glia_file_close(&d->bytes);
}

/* ---- values --------------------------------------------------------------------------------- */

static void expect(const glia_safetensors *file, const char *name, glia_dtype dtype, glia_shape shape,
                   const double *values) {
    const glia_safetensor *t = glia_safetensors_find(file, name);
    if (!t) fail_msg("no tensor %s", name);
    assert_int_equal(t->dtype, dtype);
    assert_true(glia_shape_equal(t->shape, shape));
    const int64_t n = glia_shape_count(shape);
    assert_int_equal(t->bytes, (size_t)n * glia_dtype_size(dtype));
    double got[32];
    uint8_t aligned[256];
    if (n) memcpy(aligned, t->data, t->bytes);
    glia_to_double(dtype, aligned, got, n);
    for (int64_t i = 0; i < n; i++) {
        if (got[i] != values[i]) fail_msg("%s[%d] is %g, not %g", name, (int)i, got[i], values[i]);
    }
}

static void expect_state(const glia_safetensors *file) {
    double half[24], whole[8], bytes[8], odd[8], turned[24];
    for (int i = 0; i < 24; i++) half[i] = i + 0.5, turned[i] = i % 4 * 6 + i / 4 + 0.5;
    for (int i = 0; i < 8; i++) whole[i] = i - 2, bytes[i] = i, odd[i] = i % 2;
    assert_int_equal(file->n, 17);
    expect(file, "f32", GLIA_F32, GLIA_SHAPE(2, 3), half);
    expect(file, "f64", GLIA_F64, GLIA_SHAPE(3), half);
    expect(file, "f16", GLIA_F16, GLIA_SHAPE(2, 2), half);
    expect(file, "bf16", GLIA_BF16, GLIA_SHAPE(2, 2), half);
    expect(file, "i32", GLIA_I32, GLIA_SHAPE(4), whole);
    expect(file, "i64", GLIA_I64, GLIA_SHAPE(2, 2), whole);
    expect(file, "u8", GLIA_U8, GLIA_SHAPE(3), bytes);
    expect(file, "i8", GLIA_I8, GLIA_SHAPE(3), whole);
    expect(file, "bool", GLIA_BOOL, GLIA_SHAPE(4), odd);
    expect(file, "scalar", GLIA_F32, GLIA_SCALAR, (const double[]){ 2.5 });
    expect(file, "empty", GLIA_F32, GLIA_SHAPE(0, 3), NULL);
    expect(file, "base", GLIA_F32, GLIA_SHAPE(4, 6), half);
    expect(file, "transposed", GLIA_F32, GLIA_SHAPE(6, 4), turned);
    expect(file, "part", GLIA_F32, GLIA_SHAPE(2, 3), (const double[]){ 8.5, 9.5, 10.5, 14.5, 15.5, 16.5 });
    expect(file, "expanded", GLIA_F32, GLIA_SHAPE(2, 3), (const double[]){ 1.5, 1.5, 1.5, 2.5, 2.5, 2.5 });
    expect(file, "parameter", GLIA_F32, GLIA_SHAPE(2), (const double[]){ 1, 2 });
    expect(file, "nested.deep.0", GLIA_F32, GLIA_SHAPE(1), (const double[]){ 3 });
}

static void test_files_of_torch(void **state) {
    (void)state;
    static const char *const names[] = { "zip.pt", "zip4.pt", "old.pth", "deflated.pt" };
    for (int i = 0; i < GLIA_COUNT(names); i++) {
#if !GLIA_HAVE_ZLIB
        if (i == 3) continue;
#endif
        disk d = open_file(golden(names[i]));
        expect_state(&d.file);
        close_file(&d);
    }
}

static void expect_twins(const char *a_path, const char *b_path) {
    char first[1024];
    snprintf(first, sizeof first, "%s", a_path);
    disk a = open_file(first), b = open_file(b_path);
    int common = 0;
    for (int i = 0; i < b.file.n; i++) {
        const glia_safetensor *want = &b.file.tensors[i], *t = glia_safetensors_find(&a.file, want->name);
        if (!t) fail_msg("no tensor %s", want->name);
        assert_true(t->dtype == want->dtype && glia_shape_equal(t->shape, want->shape));
        assert_memory_equal(t->data, want->data, want->bytes);
        common++;
    }
    assert_int_equal(common, a.file.n);
    close_file(&a);
    close_file(&b);
}

/* Names lose "state_dict." and "module.", and the optimiser's tensors do not count. */
static void test_state_of_a_checkpoint(void **state) {
    (void)state;
    char twin[1024];
    snprintf(twin, sizeof twin, "%s", golden("layers.safetensors"));
    expect_twins(golden("wrapped.th"), twin);
    expect_twins(golden("layers.pth"), twin);
}

static void test_public_weights_equal_their_twin(void **state) {
    (void)state;
    const char *data = getenv("GLIA_DATA");
    if (!data) skip();
    char th[1024], twin[1024];
    snprintf(th, sizeof th, "%s/weights/resnet20-12fca82f.th", data);
    snprintf(twin, sizeof twin, "%s/weights/resnet20-cifar10.safetensors", data);
    if (access(th, R_OK) != 0) skip();
    expect_twins(th, twin);
}

/* ---- refusals ------------------------------------------------------------------------------- */

static void refuse(const char *name, const char *says) {
    glia_file bytes;
    glia_safetensors file;
    assert_int_equal(glia_file_open(&bytes, golden(name), &error), GLIA_OK);
    assert_int_not_equal(glia_tensors_parse(bytes.bytes, bytes.length, &file, &error), GLIA_OK);
    ASSERT_SAYS(says);
    ASSERT_SAYS("offset ");
    glia_file_close(&bytes);
}

static void test_code_is_refused(void **state) {
    (void)state;
    refuse("code.pt", "system' is no part of a file of tensors, and nothing is executed");
    refuse("module.pt", "'torch.nn.modules.linear.Linear' is no part of a file of tensors");
}

static void refuse_pickle(const char *bytes, size_t length, const char *says) {
    static const char *const known[] = { "collections OrderedDict" };
    glia_arena arena = { 0 };
    size_t used;
    assert_null(glia_pickle_parse(&arena, (const uint8_t *)bytes, length, 100, known, 1, &used, &error));
    ASSERT_SAYS(says);
    glia_arena_free(&arena);
}
#define REFUSE_PICKLE(bytes, says) refuse_pickle(bytes, sizeof(bytes) - 1, says)

static void test_pickles(void **state) {
    (void)state;
    REFUSE_PICKLE("\x80\x02(ios\nsystem\n.", "offset 103: pickle: the opcode INST is not");
    REFUSE_PICKLE("\x80\x02)o.", "offset 103: pickle: the opcode OBJ is not");
    REFUSE_PICKLE("\x80\x02N)\x81.", "offset 104: pickle: NEWOBJ makes something");
    REFUSE_PICKLE("\x80\x02T\x04\0\0\0abc", "the pickle is truncated");
    REFUSE_PICKLE("\x80\x02\x82\x01.", "offset 102: pickle: the opcode EXT1 is not");
    REFUSE_PICKLE("\x80\x02\xF0.", "offset 102: pickle: 0xF0 is no opcode");
    REFUSE_PICKLE("\x80\x02" "cbuiltins\neval\n.", "offset 102: pickle: 'builtins.eval' is no part");
    REFUSE_PICKLE("\x80\x04\x8C\x02os\x8C\x06system\x93.", "'os.system' is no part");
    REFUSE_PICKLE("\x80\x01N.", "the protocol is not one of 2 to 5");
    REFUSE_PICKLE("\x80\x02N", "offset 103: the pickle is truncated");
    REFUSE_PICKLE("\x80\x02NN.", "does not hold one value");
    REFUSE_PICKLE("\x80\x02(.", "does not hold one value");
    REFUSE_PICKLE("\x80\x02h\x07.", "the memo has no such value");
    REFUSE_PICKLE("\x80\x02Nr\xFF\xFF\xFF\x7F.", "the index of the memo");
    REFUSE_PICKLE("\x80\x02N)R.", "REDUCE calls something");
    REFUSE_PICKLE("\x80\x02}Nb.", "BUILD changes something");
    REFUSE_PICKLE("\x80\x02}(Nu.", "items are added to a value that takes none");
    REFUSE_PICKLE("\x80\x02](NNs.", "the stack has too few values");
    REFUSE_PICKLE("\x80\x02X\x04\0\0\0\xFF\xFF\xFF\xFF.", "not valid UTF-8");
    REFUSE_PICKLE("\x80\x02\x85.", "too few values for a tuple");
    REFUSE_PICKLE("\x80\x02\x8A\x09" "123456789.", "longer than 64 bits");
    static const char good[] = "\x80\x02}q\0(X\x01\0\0\0aJ\xFE\xFF\xFF\xFFX\x01\0\0\0b\x8A\x02\xFE\xFF"
                               "X\x01\0\0\0ch\0u.";
    glia_arena arena = { 0 };
    size_t used;
    const glia_pickle *root =
        glia_pickle_parse(&arena, (const uint8_t *)good, sizeof good - 1, 0, NULL, 0, &used, &error);
    assert_non_null(root);
    assert_int_equal(used, sizeof good - 1);
    assert_true(root->kind == GLIA_PICKLE_DICT && root->n == 6);
    assert_true(root->items[1]->integer == -2 && root->items[3]->integer == -2 && root->items[5] == root);
    glia_arena_free(&arena);
}

/* ---- malformed files ------------------------------------------------------------------------ */

static glia_status parse_bytes(const uint8_t *bytes, size_t length, glia_error *e) {
    glia_safetensors file;
    const glia_status status = glia_torch_parse(bytes, length, &file, e);
    if (status != GLIA_OK) return status;
    volatile uint8_t sum = 0; /* every byte of a tensor must be readable */
    for (int i = 0; i < file.n; i++) {
        for (size_t k = 0; k < file.tensors[i].bytes; k++)
            sum = (uint8_t)(sum + ((const uint8_t *)file.tensors[i].data)[k]);
    }
    glia_safetensors_free(&file);
    return GLIA_OK;
}

static void test_malformed(void **state) {
    (void)state;
    static const char *const names[] = { "old.pth", "layers.pth" };
    for (int i = 0; i < GLIA_COUNT(names); i++) {
        glia_file bytes;
        assert_int_equal(glia_file_open(&bytes, golden(names[i]), &error), GLIA_OK);
        hostile_all(parse_bytes, bytes.bytes, bytes.length, true);
        glia_file_close(&bytes);
    }
}

static const char head[] = "\x80\x02\x8A\x0A\x6C\xFC\x9C\x46\xF9\x20\x6A\xA8\x50\x19.\x80\x02M\xE9\x03."
                           "\x80\x02}X\x0D\0\0\0little_endian\x88s.";

static void refuse_old(const char *object, size_t object_length, const char *tail, size_t tail_length,
                       const char *says) {
    uint8_t bytes[1024];
    size_t n = sizeof head - 1;
    memcpy(bytes, head, n);
    memcpy(bytes + n, object, object_length);
    n += object_length;
    memcpy(bytes + n, tail, tail_length);
    assert_int_not_equal(parse_bytes(bytes, n + tail_length, &error), GLIA_OK);
    ASSERT_SAYS(says);
}
#define OBJECT(sizes, strides)                                                                                        \
    "\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storage"                                    \
    "ctorch\nFloatStorage\nX\x01\0\0\0kX\x03\0\0\0cpuK\x02NtQK\0" sizes strides "\x89}tRs."
#define KEYS "\x80\x02]X\x01\0\0\0ka."
#define REFUSE_OLD(object, tail, says) refuse_old(object, sizeof(object) - 1, tail, sizeof(tail) - 1, says)

static void test_wrong_tensors(void **state) {
    (void)state;
    static const char good[] = OBJECT("K\x02\x85", "K\x01\x85");
    uint8_t bytes[1024];
    size_t n = 0;
#define PUT(text) memcpy(bytes + n, text, sizeof(text) - 1), n += sizeof(text) - 1
    PUT(head), PUT(good), PUT(KEYS), PUT("\x02\0\0\0\0\0\0\0abcdefgh");
    if (parse_bytes(bytes, n, &error) != GLIA_OK) fail_msg("%s", error.message);
#define TWO "\x02\0\0\0\0\0\0\0abcdefgh"
    REFUSE_OLD(OBJECT("K\x03\x85", "K\x01\x85"), KEYS TWO, "tensor 'w' is larger than its storage of 8 bytes");
    REFUSE_OLD(OBJECT("K\x02\x85", "K\x02\x85"), KEYS TWO, "larger than its storage");
    REFUSE_OLD(OBJECT("K\x02\x85", ")"), KEYS TWO, "not as many strides as sizes");
    REFUSE_OLD(OBJECT("J\xFF\xFF\xFF\xFF\x85", "K\x01\x85"), KEYS TWO, "not numbers from 0 on");
    REFUSE_OLD(OBJECT("(KKKKKKKKKKKKKKKKKKt", "(KKKKKKKKKKKKKKKKKKt"), KEYS TWO, "has rank 9; at most 8");
    REFUSE_OLD(OBJECT("J\xFF\xFF\xFF\x7F\x85", "K\0\x85"), KEYS TWO, "the tensors are much larger than the file");
    REFUSE_OLD(OBJECT("K\x02\x85", "K\x01\x85"), KEYS "\xFF\0\0\0\0\0\0\0", "longer than the rest of the file");
    REFUSE_OLD(OBJECT("K\x02\x85", "K\x01\x85"), KEYS TWO "x", "bytes follow the last storage");
    REFUSE_OLD(OBJECT("K\x02\x85", "K\x01\x85"), "\x80\x02].", "the storage 'k' is not in the file");
    REFUSE_OLD(OBJECT("K\x02\x85", "K\x01\x85"), "\x80\x02]X\x01\0\0\0ja.", "no tensor uses this storage");
    REFUSE_OLD("\x80\x02}.", "\x80\x02].", "has no tensors");
    REFUSE_OLD("\x80\x02}q\0X\x01\0\0\0ah\0s.", "\x80\x02].", "nested too deeply");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files_of_torch),
        cmocka_unit_test(test_state_of_a_checkpoint),
        cmocka_unit_test(test_public_weights_equal_their_twin),
        cmocka_unit_test(test_code_is_refused),
        cmocka_unit_test(test_pickles),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_wrong_tensors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
