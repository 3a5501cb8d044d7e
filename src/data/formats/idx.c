/* idx.c - IDX, the format of MNIST (LeCun, Cortes, Burges 1998).
 *
 *     2 bytes      zero
 *     1 byte       type: 08 u8, 09 i8, 0B i16, 0C i32, 0D f32, 0E f64
 *     1 byte       rank
 *     4 rank bytes the dimensions, big-endian
 *     the rest     the numbers, big-endian, row-major
 *
 * A gzipped file is inflated to exactly the size that its IDX header states.
 */
#include <stdlib.h>
#include <string.h>

#include "data/formats/formats.h"

enum { HEAD_MOST = 4 + 4 * GLIA_MAX_RANK };

typedef struct head {
    uint8_t type;
    size_t element, bytes; /* size of one number; size of the header */
    size_t count;
    glia_values values; /* dtype and shape */
} head;

static uint32_t big32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Reads and checks the header; the caller compares its sizes with the file's. */
static glia_status read_head(const uint8_t *bytes, size_t length, head *h, glia_error *error) {
    static const struct {
        uint8_t type, element;
        glia_dtype dtype;
    } types[] = { { 0x08, 1, GLIA_U8 },  { 0x09, 1, GLIA_I32 }, { 0x0B, 2, GLIA_I32 },
                  { 0x0C, 4, GLIA_I32 }, { 0x0D, 4, GLIA_F32 }, { 0x0E, 8, GLIA_F64 } };
    if (length < 4) return glia_fail(error, GLIA_E_FORMAT, "offset %zu: the IDX header is truncated", length);
    if (bytes[0] || bytes[1]) {
        return glia_fail(error, GLIA_E_FORMAT, "offset 0: not an IDX file: it does not begin with two zero bytes");
    }
    int row = 0;
    while (row < GLIA_COUNT(types) && types[row].type != bytes[2]) row++;
    if (row == GLIA_COUNT(types)) {
        return glia_fail(error, GLIA_E_FORMAT, "offset 2: IDX type 0x%02X does not exist", bytes[2]);
    }
    int rank = bytes[3];
    if (rank < 1 || rank > GLIA_MAX_RANK) {
        return glia_fail(error, GLIA_E_FORMAT, "offset 3: the IDX array has rank %d, but must have 1 to %d", rank,
                         GLIA_MAX_RANK);
    }
    *h = (head){ .type = bytes[2], .element = types[row].element, .bytes = 4 + 4 * (size_t)rank, .count = 1 };
    h->values = (glia_values){ .dtype = types[row].dtype, .shape.rank = rank };
    if (length < h->bytes) return glia_fail(error, GLIA_E_FORMAT, "offset %zu: the IDX header is truncated", length);
    for (int i = 0; i < rank; i++) {
        size_t at = 4 + 4 * (size_t)i, size = big32(bytes + at);
        if (size == 0) return glia_fail(error, GLIA_E_FORMAT, "offset %zu: an IDX dimension is 0", at);
        if (!glia_mul_fits(h->count, size, &h->count) || h->count > SIZE_MAX / 16) {
            return glia_fail(error, GLIA_E_FORMAT, "offset %zu: the IDX array is too large", at);
        }
        h->values.shape.dim[i] = (int64_t)size;
    }
    return GLIA_OK;
}

/* Converts n numbers from the header's type, big-endian, to the machine's byte order. */
static void convert(const head *h, const uint8_t *from, void *to) {
    switch (h->type) {
    case 0x08: memcpy(to, from, h->count); break;
    case 0x09:
        for (size_t i = 0; i < h->count; i++) ((int32_t *)to)[i] = (int8_t)from[i];
        break;
    case 0x0B:
        for (size_t i = 0; i < h->count; i++) ((int32_t *)to)[i] = (int16_t)(from[2 * i] << 8 | from[2 * i + 1]);
        break;
    case 0x0E:
        for (size_t i = 0; i < h->count; i++) {
            ((uint64_t *)to)[i] = (uint64_t)big32(from + 8 * i) << 32 | big32(from + 8 * i + 4);
        }
        break;
    default:
        for (size_t i = 0; i < h->count; i++) ((uint32_t *)to)[i] = big32(from + 4 * i);
        break;
    }
}

static glia_status parse_plain(const uint8_t *bytes, size_t length, glia_values *values, glia_error *error) {
    head h;
    glia_status status = read_head(bytes, length, &h, error);
    if (status) return status;
    size_t wanted = h.count * h.element, there = length - h.bytes;
    if (there != wanted) {
        size_t at = there < wanted ? length : h.bytes + wanted;
        return glia_fail(error, GLIA_E_FORMAT, "offset %zu: %zu bytes of IDX data, but the header says %zu", at,
                         there, wanted);
    }
    void *data = malloc(h.count * glia_dtype_size(h.values.dtype));
    if (!data) return glia_fail_nomem(error);
    convert(&h, bytes + h.bytes, data);
    *values = h.values;
    values->data = data;
    return GLIA_OK;
}

glia_status glia_idx_parse(const uint8_t *bytes, size_t length, glia_values *values, glia_error *error) {
    *values = (glia_values){ 0 };
    if (!glia_gzip_is(bytes, length)) return parse_plain(bytes, length, values, error);
    uint8_t start[HEAD_MOST];
    size_t got;
    head h;
    glia_status status = glia_gunzip_head(bytes, length, start, sizeof start, &got, error);
    if (!status) status = read_head(start, got, &h, error);
    if (status) return status;
    const size_t wanted = h.bytes + h.count * h.element, limit = glia_unpack_limit(length);
    if (wanted > limit) {
        return glia_fail(error, GLIA_E_FORMAT,
                         "offset 4: the header says %zu bytes of IDX data, in a gzip file of %zu bytes; at most %zu",
                         wanted, length, limit);
    }
    uint8_t *plain;
    size_t plain_length;
    status = glia_gunzip(bytes, length, wanted, &plain, &plain_length, error);
    if (status) return status;
    status = parse_plain(plain, plain_length, values, error);
    free(plain);
    return status;
}
