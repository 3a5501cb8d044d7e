/* Archives: contents of zip and tar files and folders, rejection of malformed ones, and images in them. */
#include <errno.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archives.h"
#include "asserts.h"
#include "data/sources/sources.h"
#include "files.h"
#include "glia/glia.h"
#include "hostile.h"

static glia_error error;

/* Parses the index and reads every file. */
static glia_status parse_all(const uint8_t *bytes, size_t length, glia_error *e) {
    glia_archive archive;
    glia_status status = glia_archive_parse(bytes, length, &archive, e);
    if (status) return status;
    for (int i = 0; i < archive.n && !status; i++) {
        glia_blob blob;
        status = glia_archive_read(&archive, i, &blob, e);
        uint64_t sum = status ? 0 : glia_hash_bytes(blob.bytes, blob.length, 0);
        (void)sum;
        glia_blob_free(&blob);
    }
    glia_archive_free(&archive);
    return status;
}

static void expect_member(const glia_archive *archive, const char *name, const char *content) {
    int member = glia_archive_find(archive, name);
    if (member < 0) fail_msg("no %s", name);
    glia_blob blob;
    if (glia_archive_read(archive, member, &blob, &error)) fail_msg("%s", error.message);
    assert_int_equal(blob.length, strlen(content));
    if (blob.length) assert_memory_equal(blob.bytes, content, blob.length);
    glia_blob_free(&blob);
}

static void refuse(const glia_text *file, glia_status wanted, const char *says) {
    error.message[0] = 0;
    assert_int_equal(hostile_try(parse_all, (const uint8_t *)file->bytes, file->length), wanted);
    parse_all((const uint8_t *)file->bytes, file->length, &error);
    ASSERT_SAYS(says);
}

/* ---- tar ---------------------------------------------------------------------------------- */

static void test_tar(void **state) {
    (void)state;
    glia_text tar = { 0 };
    char long_name[300];
    memset(long_name, 'n', sizeof long_name);
    snprintf(long_name + 290, 10, "/end.txt");
    tar_put(&tar, '5', "b/", NULL, 0);
    tar_put(&tar, '0', "b/two.txt", "old", 3);
    tar_put(&tar, '0', "./a//one.txt", "first", 5);
    tar_put(&tar, '2', "link", NULL, 0);
    tar_put(&tar, 'L', "././@LongLink", long_name, strlen(long_name) + 1);
    tar_put(&tar, '0', "short", "long", 4);
    tar_put(&tar, 'x', "pax", "24 path=c/r\xC3\xA9sum\xC3\xA9.text\n8 a=zyx\n9 size=0\n", 41);
    tar_put(&tar, '0', "replaced", NULL, 0);
    tar_put(&tar, '0', "b/two.txt", "second", 6);
    tar_end(&tar);
    glia_archive archive;
    if (glia_archive_parse((const uint8_t *)tar.bytes, tar.length, &archive, &error)) fail_msg("%s", error.message);
    assert_int_equal(archive.n, 4);
    assert_string_equal(archive.members[0].name, "a/one.txt");
    expect_member(&archive, "a/one.txt", "first");
    expect_member(&archive, "b/two.txt", "second"); /* the later one */
    expect_member(&archive, "c/r\xC3\xA9sum\xC3\xA9.text", "");
    expect_member(&archive, long_name, "long");
    assert_int_equal(glia_archive_find(&archive, "link"), -1);
    glia_archive_free(&archive);
    hostile_all(parse_all, (const uint8_t *)tar.bytes, tar.length - 512, true);
    free(tar.bytes);
}

static void test_tar_refusals(void **state) {
    (void)state;
    static const struct {
        char type;
        const char *name;
        size_t size;
        const char *says;
    } bad[] = { { '0', "../../etc/passwd", 0, "is outside" },
                { '0', "/etc/passwd", 0, "is outside" },
                { '0', "a/../../b", 0, "is outside" },
                { '0', "a\xFF", 0, "UTF-8" },
                { '0', "huge", 0x7FFFFFFFF, "left" },
                { 'S', "sparse", 0, "sparse" },
                { 'x', "pax", 0x200, "extended" } };
    for (int i = 0; i < GLIA_COUNT(bad); i++) {
        glia_text tar = { 0 };
        char bytes[512];
        memset(bytes, '9', sizeof bytes);
        tar_claim(&tar, bad[i].type, bad[i].name, bad[i].size, bytes, GLIA_MIN(bad[i].size, sizeof bytes));
        tar_end(&tar);
        refuse(&tar, bad[i].type == 'S' ? GLIA_E_UNSUPPORTED : GLIA_E_FORMAT, bad[i].says);
        free(tar.bytes);
    }
    glia_text cut = { 0 };
    tar_put(&cut, '0', "a", "x", 1);
    refuse(&cut, GLIA_E_FORMAT, "truncated");
    free(cut.bytes);
    glia_text none = { 0 };
    glia_text_append(&none, "no archive", 10);
    refuse(&none, GLIA_E_FORMAT, "offset");
    free(none.bytes);
}

/* ---- zip ---------------------------------------------------------------------------------- */

#if GLIA_HAVE_ZLIB

static void test_zip(void **state) {
    (void)state;
    zip_writer w = { 0 };
    char many[3000];
    for (int i = 0; i < 2999; i++) many[i] = (char)('a' + i % 7);
    many[2999] = 0;
    zip_put(&w, "z/stored.txt", "as it is", 8, false);
    zip_put(&w, "a/", "", 0, false);
    zip_put(&w, "a/deflated.txt", many, 2999, true);
    zip_end(&w);
    glia_archive archive;
    if (glia_archive_parse((const uint8_t *)w.out.bytes, w.out.length, &archive, &error)) fail_msg("%s", error.message);
    assert_int_equal(archive.n, 2);
    assert_string_equal(archive.members[0].name, "a/deflated.txt");
    expect_member(&archive, "a/deflated.txt", many);
    expect_member(&archive, "z/stored.txt", "as it is");
    glia_archive_free(&archive);
    /* Changes to times, versions and the sizes in the local headers are harmless. */
    hostile_all(parse_all, (const uint8_t *)w.out.bytes, w.out.length, true);

    w.out.bytes[30 + 12] ^= 1; /* a stored byte */
    refuse(&w.out, GLIA_E_FORMAT, "checksum");
    free(w.out.bytes);
}

static void test_zip_refusals(void **state) {
    (void)state;
    static const struct {
        int at; /* offset in the central directory entry; -1: unchanged */
        uint8_t byte;
        glia_status status;
        const char *name, *says;
    } bad[] = {
        { -1, 0, GLIA_E_FORMAT, "../out", "is outside" },
        { -1, 0, GLIA_E_FORMAT, "/out", "is outside" },
        { -1, 0, GLIA_E_FORMAT, "\xC0\xAF", "UTF-8" },
        { 8, 1, GLIA_E_UNSUPPORTED, "secret", "encrypted" },
        { 10, 12, GLIA_E_UNSUPPORTED, "bzip2", "method 12" },
        { 27, 0x7F, GLIA_E_FORMAT, "huge", "do not fit" }, /* two gigabytes from a few bytes */
        { 24, 99, GLIA_E_FORMAT, "longer", "damaged" },
        { 45, 0x7F, GLIA_E_FORMAT, "elsewhere", "do not fit" },
        { 42, 9, GLIA_E_FORMAT, "beside", "no local header" },
        { 0, 0, GLIA_E_FORMAT, "signature", "is invalid" },
        { 29, 9, GLIA_E_FORMAT, "name", "longer than the central directory" },
    };
    for (int i = 0; i < GLIA_COUNT(bad); i++) {
        zip_writer w = { 0 };
        zip_put(&w, bad[i].name, "0123456789", 10, true);
        size_t contents = w.out.length;
        zip_end(&w);
        if (bad[i].at >= 0) w.out.bytes[contents + (size_t)bad[i].at] = (char)bad[i].byte;
        refuse(&w.out, bad[i].status, bad[i].says);
        free(w.out.bytes);
    }
}

static uint8_t *gzip(const glia_text *text, size_t *packed) {
    z_stream z = { 0 };
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    uint8_t *out = malloc(text->length + 1000);
    assert_non_null(out);
    z.next_in = (z_const Bytef *)(uintptr_t)text->bytes;
    z.avail_in = (uInt)text->length;
    z.next_out = out;
    z.avail_out = (uInt)text->length + 1000;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    *packed = text->length + 1000 - z.avail_out;
    deflateEnd(&z);
    return out;
}

static void test_compressed_tar(void **state) {
    (void)state;
    glia_text tar = { 0 };
    tar_put(&tar, '0', "a/1", "one", 3);
    tar_end(&tar);
    size_t n;
    uint8_t *packed = gzip(&tar, &n);
    glia_archive archive;
    if (glia_archive_parse(packed, n, &archive, &error)) fail_msg("%s", error.message);
    expect_member(&archive, "a/1", "one");
    glia_archive_free(&archive);
    hostile_all(parse_all, packed, n, true);
    free(packed);
    tar.length = 0;
    glia_text_printf(&tar, "no tar at all");
    packed = gzip(&tar, &n);
    assert_int_equal(hostile_try(parse_all, packed, n), GLIA_E_FORMAT);
    free(packed);
    tar.length = 0; /* a bomb: 80 MB of zeros in 80 kB */
    char *zeros = calloc(80, 1 << 20);
    assert_non_null(zeros);
    glia_text_append(&tar, zeros, (size_t)80 << 20);
    free(zeros);
    packed = gzip(&tar, &n);
    assert_int_equal(hostile_try(parse_all, packed, n), GLIA_E_FORMAT);
    parse_all(packed, n, &error);
    ASSERT_SAYS("more than");
    free(packed);
    free(tar.bytes);
}

#else

static void test_zip(void **state) { (void)state, skip(); }
static void test_zip_refusals(void **state) { (void)state, skip(); }
static void test_compressed_tar(void **state) { (void)state, skip(); }

#endif

/* ---- images ------------------------------------------------------------------------------- */

/* A PGM image with all pixels of one value. */
static size_t picture(char out[64], int side, int value) {
    int n = snprintf(out, 64, "P5 %d %d 255\n", side, side);
    for (int i = 0; i < side * side; i++) out[n++] = (char)value;
    return (size_t)n;
}

static glia_dataset *need(glia_dataset *data) {
    if (!data) fail_msg("%s", error.message);
    return data;
}

/* Expects the values and labels of a data set, in order: "cat 10, dog 20, ...". */
static void expect_samples(const char *address, const char *split, const char *wanted) {
    glia_dataset *data = need(glia_data_open(address, split, NULL, &error));
    glia_text told = { 0 };
    float *x = malloc((size_t)glia_shape_count(glia_data_x_shape(data)) * sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < glia_data_count(data); i++) {
        int32_t y;
        if (glia_data_get(data, i, x, &y, &error)) fail_msg("%s", error.message);
        glia_text_printf(&told, "%s%s %d", i ? ", " : "", glia_data_class_name(data, y), (int)lroundf(x[0] * 255));
    }
    assert_string_equal(told.bytes, wanted);
    free(told.bytes);
    free(x);
    glia_data_free(data);
}

static void test_images_in_archives(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int value;
    } files[] = { { "dog/b.pgm", 21 }, { "dog/a.pgm", 20 },      { "cat/x.PGM", 10 },   { "dog/more/c.pgm", 22 },
                  { "dog/d.pgm", 23 }, { "cat/.hidden.pgm", 1 }, { "cat/notes.txt", 2 } };
    glia_text flat = { 0 }, split = { 0 };
    char bytes[64];
    for (int i = 0; i < GLIA_COUNT(files); i++) {
        char path[64];
        size_t n = picture(bytes, 2, files[i].value);
        snprintf(path, sizeof path, "shared/%s", files[i].name);
        tar_put(&flat, '0', path, bytes, n);
        snprintf(path, sizeof path, "%s/%s", i == 1 ? "test" : "train", files[i].name);
        tar_put(&split, '0', path, bytes, n);
    }
    tar_end(&flat);
    tar_end(&split);
    write_file("flat.tar", flat.bytes, flat.length);
    write_file("split.tar", split.bytes, split.length);
    expect_samples("images:flat.tar", "train", "dog 20, dog 21, cat 10, dog 23, dog 22");
    expect_samples("images:flat.tar", "test", "dog 20, dog 21, cat 10, dog 23, dog 22");
    expect_samples("images:split.tar", "train", "dog 21, cat 10, dog 23, dog 22");
    expect_samples("images:split.tar", "test", "dog 20"); /* dog is class 1 here too */

    glia_dataset *data = need(glia_data_open("images:flat.tar?size=3x4&channels=3", NULL, NULL, &error));
    assert_true(glia_shape_equal(glia_data_x_shape(data), GLIA_SHAPE(3, 3, 4)) && glia_data_classes(data) == 2);
    float x[36];
    assert_int_equal(glia_data_normalize(data, (double[]){ 0 }, (double[]){ 1 / 255.0 }, 1, &error), GLIA_OK);
    assert_int_equal(glia_data_get(data, 0, x, NULL, &error), GLIA_OK);
    for (int i = 0; i < 36; i++) assert_float_equal(x[i], 20, 1e-4);
    glia_data_free(data);
    assert_null(glia_data_open("images:split.tar?test=0.5", NULL, NULL, &error));
    ASSERT_SAYS("train and test folders");
    assert_true(!unlink("flat.tar") && !unlink("split.tar"));
    free(flat.bytes);
    free(split.bytes);
}

static void test_images_in_folders(void **state) {
    (void)state;
    char bytes[64];
    static const char *const folders[] = { "pets", "pets/cat", "pets/dog" };
    for (int i = 0; i < 3; i++) assert_true(!mkdir(folders[i], 0777) || errno == EEXIST);
    unlink("pets/dog/2.pgm"); /* left by an interrupted run */
    write_file("pets/cat/1.pgm", bytes, picture(bytes, 2, 7));
    write_file("pets/dog/1.pgm", bytes, picture(bytes, 4, 9)); /* a different size: resized */
    expect_samples("images:pets", NULL, "cat 7, dog 9");
    glia_dataset *data = need(glia_data_open("images:pets?test=0.5&seed=1", "test", NULL, &error));
    assert_int_equal(glia_data_count(data), 1);
    glia_data_free(data);

    /* Errors in an address, a damaged image, a folder without images. */
    assert_null(glia_data_open("images:pets?size=0", NULL, NULL, &error));
    assert_null(glia_data_open("images:pets?size=3x", NULL, NULL, &error));
    assert_null(glia_data_open("images:pets?channels=2", NULL, NULL, &error));
    assert_null(glia_data_open("images:pets?sizes=2", NULL, NULL, &error));
    ASSERT_SAYS("did you mean \"size\"");
    assert_null(glia_data_open("images:nowhere", NULL, NULL, &error));
    ASSERT_SAYS("nowhere");
    assert_null(glia_data_open("images:pets/cat", NULL, NULL, &error));
    ASSERT_SAYS("not in a class folder");
    write_file("pets/dog/2.pgm", "P5 9 9 255\n", 11);
    data = need(glia_data_open("images:pets", NULL, NULL, &error));
    assert_int_equal(glia_data_count(data), 3);
    float x[36];
    glia_status status = GLIA_OK;
    for (int i = 0; i < 3; i++) {
        status = glia_data_get(data, i, x, NULL, &error);
        if (status) break;
    }
    assert_int_equal(status, GLIA_E_FORMAT);
    ASSERT_SAYS("pets/dog/2.pgm");
    glia_data_free(data);
    assert_true(!unlink("pets/dog/1.pgm") && !unlink("pets/dog/2.pgm") && !unlink("pets/cat/1.pgm"));
    assert_null(glia_data_open("images:pets", NULL, NULL, &error));
    ASSERT_SAYS("has no files");
    assert_true(!rmdir("pets/cat") && !rmdir("pets/dog") && !rmdir("pets"));
}

/* A damaged image ends the loader's epoch with an error that names it. */
static void test_loader(void **state) {
    (void)state;
    glia_text tar = { 0 };
    char bytes[64], name[64];
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "c%d/%02d.pgm", i % 4, i);
        tar_put(&tar, '0', name, bytes, i == 30 ? 5 : picture(bytes, 2, i));
    }
    tar_end(&tar);
    write_file("loaded.tar", tar.bytes, tar.length);
    glia_dataset *data = need(glia_data_open("images:loaded.tar", NULL, NULL, &error));
    glia_loader *loader =
        glia_loader_create(data, (glia_loader_opts){ .batch = 4, .workers = 2, .shuffle = true }, &error);
    assert_non_null(loader);
    assert_int_equal(glia_loader_start(loader, 0, &error), GLIA_OK);
    glia_batch batch;
    while (glia_loader_next(loader, &batch)) {
        for (int64_t i = 0; i < batch.n; i++) {
            int value = (int)lroundf(batch.x[i * 4] * 255);
            assert_int_equal(value % 4, ((const int32_t *)batch.y)[i]);
        }
    }
    assert_int_equal(glia_loader_check(loader, &error), GLIA_E_FORMAT);
    ASSERT_SAYS("loaded.tar: c2/30.pgm");
    glia_loader_free(loader);
    glia_data_free(data);
    unlink("loaded.tar");
    free(tar.bytes);
}

/* CIFAR-10 as downloaded: batch files in an archive. */
static void test_batches(void **state) {
    (void)state;
    glia_text tar = { 0 };
    char *record = calloc(1, GLIA_CIFAR_RECORD);
    assert_non_null(record);
    record[0] = 7;
    record[1] = 51;
    tar_put(&tar, '0', "cifar-10-batches-bin/test_batch.bin", record, GLIA_CIFAR_RECORD);
    tar_end(&tar);
    write_file("cifar-10-binary.tar.gz", tar.bytes, tar.length); /* the format is detected from the bytes */
    glia_dataset *data = need(glia_data_open("cifar10", "test", ".", &error));
    static float x[GLIA_CIFAR_PIXELS];
    int32_t y;
    assert_int_equal(glia_data_get(data, 0, x, &y, &error), GLIA_OK);
    assert_true(glia_data_count(data) == 1 && y == 7 && x[0] == (float)(51 / 255.0) && x[1] == 0);
    glia_data_free(data);
    assert_null(glia_data_open("cifar10", "train", ".", &error));
    ASSERT_SAYS("data_batch_1.bin");
    assert_int_equal(unlink("cifar-10-binary.tar.gz"), 0);
    free(record);
    free(tar.bytes);
}

/* The CIFAR-10 images, if in GLIA_DATA: all 50,000 with their classes. */
static void test_cifar(void **state) {
    (void)state;
    char path[1000];
    snprintf(path, sizeof path, "%s/cifar10/cifar10-jpeg.tar.xz", getenv("GLIA_DATA") ? getenv("GLIA_DATA") : "");
    if (access(path, R_OK)) skip();
    glia_dataset *data = glia_data_open("cifar10", "train", NULL, &error);
    if (!data && error.status == GLIA_E_UNSUPPORTED) skip();
    need(data);
    assert_int_equal(glia_data_count(data), 50000);
    assert_string_equal(glia_data_class_name(data, 9), "truck");
    int counts[10] = { 0 };
    for (int64_t i = 0; i < 50000; i++) {
        int32_t y;
        assert_int_equal(glia_data_get(data, i, NULL, &y, &error), GLIA_OK);
        counts[y]++;
    }
    for (int i = 0; i < 10; i++) assert_int_equal(counts[i], 5000);
    float *x = malloc(3 * 32 * 32 * sizeof *x);
    double sum = 0;
    for (int64_t i = 0; i < 500; i++) {
        glia_status status = glia_data_get(data, i, x, NULL, &error);
        if (status == GLIA_E_UNSUPPORTED) break;
        if (status) fail_msg("%s", error.message);
        for (int k = 0; k < 3 * 32 * 32; k++) sum += x[k] / (500.0 * 3 * 32 * 32);
    }
    if (sum > 0) assert_float_equal(sum, 0.4734, 0.02); /* CIFAR-10's mean over channels */
    free(x);
    glia_data_free(data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tar),
        cmocka_unit_test(test_tar_refusals),
        cmocka_unit_test(test_zip),
        cmocka_unit_test(test_zip_refusals),
        cmocka_unit_test(test_compressed_tar),
        cmocka_unit_test(test_images_in_archives),
        cmocka_unit_test(test_images_in_folders),
        cmocka_unit_test(test_loader),
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_cifar),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
