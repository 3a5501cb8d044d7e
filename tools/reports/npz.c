/* npz.c - NumPy's .npz: a zip of stored .npy members (NEP 1; PKWARE's APPNOTE 6.3). */
#include "reports/npz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "reports/picture.h"

static const char *const descr[GLIA_DTYPE_COUNT] = { [GLIA_F32] = "<f4", [GLIA_F64] = "<f8", [GLIA_I32] = "<i4",
                                                     [GLIA_I64] = "<i8", [GLIA_U8] = "|u1",  [GLIA_BOOL] = "|b1" };

static void put(glia_text *out, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) glia_text_append(out, &(char){ (char)(value >> 8 * i) }, 1);
}

/* The header of an .npy file, padded so that the data begin at a multiple of 64. */
static void npy_header(glia_text *out, const npz_array *a) {
    glia_text words = { 0 };
    glia_text_printf(&words, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr[a->dtype]);
    for (int i = 0; i < a->shape.rank; i++)
        glia_text_printf(&words, "%s%lld", i ? ", " : "", (long long)a->shape.dim[i]);
    glia_text_printf(&words, a->shape.rank == 1 ? ",), }" : "), }");
    while (!words.failed && (words.length + 11) % 64) glia_text_append(&words, " ", 1);
    glia_text_append(&words, "\n", 1);
    glia_text_append(out, "\x93NUMPY\x01\0", 8);
    put(out, words.length, 2);
    if (words.bytes) glia_text_append(out, words.bytes, words.length);
    out->failed |= words.failed;
    free(words.bytes);
}

/* What the local header and the entry of the directory have in common. */
static void common(glia_text *out, const npz_array *a, uint32_t sum, size_t size) {
    put(out, 20, 2);
    put(out, 0, 2);
    put(out, 0, 2);
    put(out, 0x00210000, 4); /* 1 January 1980 */
    put(out, sum, 4);
    put(out, size, 4);
    put(out, size, 4);
    put(out, strlen(a->name) + 4, 2);
    put(out, 0, 2);
}

glia_status npz_write(const char *path, const npz_array *arrays, int n, glia_error *error) {
    enum { MOST = 16 };
    glia_text heads[MOST] = { 0 }, directory = { 0 };
    glia_span pieces[2 * MOST + 1];
    size_t at = 0;
    bool failed = n > MOST;
    for (int i = 0; i < n && i < MOST; i++) {
        const npz_array *a = &arrays[i];
        const size_t bytes = (size_t)glia_shape_count(a->shape) * glia_dtype_size(a->dtype);
        glia_text npy = { 0 };
        npy_header(&npy, a);
        const uint32_t sum = crc32_of(npy.bytes ? crc32_of(0, npy.bytes, npy.length) : 0, a->data, bytes);
        const size_t size = npy.length + bytes, begin = at;
        put(&heads[i], 0x04034B50, 4);
        common(&heads[i], a, sum, size);
        glia_text_printf(&heads[i], "%s.npy", a->name);
        if (npy.bytes) glia_text_append(&heads[i], npy.bytes, npy.length);
        put(&directory, 0x02014B50, 4);
        put(&directory, 20, 2);
        common(&directory, a, sum, size);
        for (int k = 0; k < 5; k++) put(&directory, 0, 2);
        put(&directory, begin, 4);
        glia_text_printf(&directory, "%s.npy", a->name);
        pieces[2 * i] = (glia_span){ heads[i].bytes, heads[i].length };
        pieces[2 * i + 1] = (glia_span){ a->data, bytes };
        at += heads[i].length + bytes;
        failed |= npy.failed || heads[i].failed;
        free(npy.bytes);
    }
    const size_t length = directory.length;
    put(&directory, 0x06054B50, 4);
    put(&directory, 0, 4);
    put(&directory, (uint64_t)n, 2);
    put(&directory, (uint64_t)n, 2);
    put(&directory, length, 4);
    put(&directory, at, 4);
    put(&directory, 0, 2);
    pieces[2 * GLIA_MIN(n, MOST)] = (glia_span){ directory.bytes, directory.length };
    glia_status status = at >> 32 ? glia_fail(error, GLIA_E_UNSUPPORTED, "%s: more than 4 GiB", path)
                         : failed || directory.failed ? glia_fail_nomem(error)
                                                      : glia_file_replace(path, pieces, 2 * n + 1, error);
    for (int i = 0; i < n && i < MOST; i++) free(heads[i].bytes);
    free(directory.bytes);
    return status;
}
