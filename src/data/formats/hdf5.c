/* hdf5.c - writes HDF5 files by the HDF5 File Format Specification, version 3.0, with the structures of HDF5 1.8:
 *
 *     48 bytes    superblock, version 2: sizes of numbers, the file's length, the address of the root group
 *     arrays      their bytes, and an object header: dataspace, datatype, fill value, contiguous layout
 *     groups      an object header: link info, group info and a link (name, address) for each member
 *
 * Object headers have version 2: a signature, the length of their messages, the messages, and a checksum (Jenkins 2006,
 * lookup3). Members come before their group, so that addresses are known when they are written. Little-endian.
 */
#include "data/formats/hdf5.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "arrays are written as they lie in memory");

enum { SUPERBLOCK = 48 };
enum { DATASPACE = 1, LINK_INFO = 2, DATATYPE = 3, FILL_VALUE = 5, LINK = 6, LAYOUT = 8, GROUP_INFO = 10 };
#define NOWHERE UINT64_MAX

static void put(glia_text *to, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) {
        const char byte = (char)(value >> 8 * i & 255);
        glia_text_append(to, &byte, 1);
    }
}

/* ---- checksums ------------------------------------------------------------------------------------ */

static uint32_t turn(uint32_t x, int by) { return x << by | x >> (32 - by); }

static void mix(uint32_t s[3]) {
    static const int by[6] = { 4, 6, 8, 16, 19, 4 };
    for (int i = 0; i < 6; i++) {
        uint32_t *a = &s[i % 3], *c = &s[(i + 2) % 3];
        *a -= *c;
        *a ^= turn(*c, by[i]);
        *c += s[(i + 1) % 3];
    }
}

static void finish(uint32_t s[3]) {
    static const int by[7] = { 14, 11, 25, 16, 4, 14, 24 };
    for (int i = 0; i < 7; i++) {
        uint32_t *to = &s[(i + 2) % 3], from = s[(i + 1) % 3];
        *to ^= from;
        *to -= turn(from, by[i]);
    }
}

/* lookup3's hashlittle with the initial value 0. */
static uint32_t checksum(const char *bytes, size_t n) {
    const uint32_t first = 0xdeadbeef + (uint32_t)n;
    uint32_t s[3] = { first, first, first };
    for (size_t from = 0; from < n; from += 12) {
        for (size_t i = from; i < n && i < from + 12; i++)
            s[(i - from) / 4] += (uint32_t)(uint8_t)bytes[i] << 8 * ((i - from) % 4);
        if (from + 12 < n)
            mix(s);
        else
            finish(s);
    }
    return s[2];
}

/* ---- objects -------------------------------------------------------------------------------------- */

static void message(glia_text *to, int kind, const glia_text *content) {
    put(to, (uint64_t)kind, 1);
    put(to, content->length, 2);
    put(to, 0, 1); /* flags */
    glia_text_append(to, content->bytes, content->length);
    to->failed |= content->failed;
}

static uint64_t end_of(glia_hdf5 *file) {
    for (uint64_t i = file->bytes.length; i < SUPERBLOCK; i++) glia_text_append(&file->bytes, "", 1);
    return file->bytes.length;
}

static uint64_t object(glia_hdf5 *file, glia_text *messages) {
    const uint64_t at = end_of(file);
    glia_text header = { 0 };
    glia_text_append(&header, "OHDR\2\2", 6); /* version 2; the length has 4 bytes */
    put(&header, messages->length, 4);
    glia_text_append(&header, messages->bytes, messages->length);
    if (!header.failed) put(&header, checksum(header.bytes, header.length), 4);
    glia_text_append(&file->bytes, header.bytes, header.length);
    file->bytes.failed |= header.failed | messages->failed;
    free(header.bytes);
    return at;
}

/* An array of any datatype. */
static uint64_t dataset(glia_hdf5 *file, glia_shape shape, size_t size, const void *data, const glia_text *type) {
    const uint64_t at = end_of(file), length = (uint64_t)glia_shape_count(shape) * size;
    glia_text_append(&file->bytes, data, length);
    glia_text messages = { 0 }, space = { 0 }, fill = { 0 }, layout = { 0 };
    put(&space, 2, 1); /* version; the shape can not grow */
    put(&space, (uint64_t)shape.rank, 1);
    put(&space, 0, 1);
    put(&space, shape.rank > 0, 1);
    for (int i = 0; i < shape.rank; i++) put(&space, (uint64_t)shape.dim[i], 8);
    put(&fill, 3, 1);
    put(&fill, 0x0a, 1); /* space is allocated late, the value is written if it is set, and it is not */
    put(&layout, 3, 1);
    put(&layout, 1, 1); /* contiguous */
    put(&layout, length ? at : NOWHERE, 8);
    put(&layout, length, 8);
    message(&messages, DATASPACE, &space);
    message(&messages, DATATYPE, type);
    message(&messages, FILL_VALUE, &fill);
    message(&messages, LAYOUT, &layout);
    const uint64_t header = object(file, &messages);
    free(messages.bytes), free(space.bytes), free(fill.bytes), free(layout.bytes);
    return header;
}

uint64_t glia_hdf5_array(glia_hdf5 *file, glia_dtype dtype, glia_shape shape, const void *data) {
    const size_t size = glia_dtype_size(dtype);
    const bool real = dtype == GLIA_F32 || dtype == GLIA_F64, wide = size == 8;
    glia_text type = { 0 };
    put(&type, real ? 0x11 : 0x10, 1); /* version 1, class 1 or 0 */
    put(&type, real ? 0x20 : 0x08, 1); /* the first bit of a mantissa is implied; an integer has a sign */
    put(&type, real ? 8 * size - 1 : 0, 1);
    put(&type, 0, 1);
    put(&type, size, 4);
    put(&type, 0, 2); /* offset and number of bits */
    put(&type, 8 * size, 2);
    if (real) { /* place and bits of the exponent, of the mantissa; the bias */
        put(&type, wide ? 52 : 23, 1);
        put(&type, wide ? 11 : 8, 1);
        put(&type, 0, 1);
        put(&type, wide ? 52 : 23, 1);
        put(&type, wide ? 1023 : 127, 4);
    }
    const uint64_t at = dataset(file, shape, size, data, &type);
    free(type.bytes);
    return at;
}

uint64_t glia_hdf5_texts(glia_hdf5 *file, glia_shape shape, size_t width, const char *data) {
    glia_text type = { 0 };
    put(&type, 0x13, 1); /* version 1, class 3 */
    put(&type, 0x11, 1); /* padded with zeros, UTF-8 */
    put(&type, 0, 2);
    put(&type, width, 4);
    const uint64_t at = dataset(file, shape, width, data, &type);
    free(type.bytes);
    return at;
}

uint64_t glia_hdf5_group(glia_hdf5 *file, const glia_hdf5_link *links, int n) {
    glia_text messages = { 0 }, info = { 0 }, group = { 0 };
    put(&info, 0, 2); /* version, flags; no index of names */
    put(&info, NOWHERE, 8);
    put(&info, NOWHERE, 8);
    put(&group, 0, 2);
    message(&messages, LINK_INFO, &info);
    message(&messages, GROUP_INFO, &group);
    for (int i = 0; i < n; i++) {
        glia_text link = { 0 };
        const size_t length = strlen(links[i].name);
        put(&link, 1, 1);
        put(&link, 0x10, 1); /* a hard link; the character set is given, the name's length has 1 byte */
        put(&link, 1, 1);    /* UTF-8 */
        put(&link, length, 1);
        glia_text_append(&link, links[i].name, length);
        put(&link, links[i].address, 8);
        message(&messages, LINK, &link);
        free(link.bytes);
    }
    const uint64_t at = object(file, &messages);
    free(messages.bytes), free(info.bytes), free(group.bytes);
    return at;
}

/* ---- files ---------------------------------------------------------------------------------------- */

glia_status glia_hdf5_save(glia_hdf5 *file, uint64_t root, const char *path, glia_error *error) {
    glia_text block = { 0 };
    glia_text_append(&block, "\211HDF\r\n\032\n", 8);
    put(&block, 2, 1); /* version */
    put(&block, 8, 1); /* bytes of an address, of a length */
    put(&block, 8, 1);
    put(&block, 0, 1);
    put(&block, 0, 8); /* addresses count from here */
    put(&block, NOWHERE, 8);
    put(&block, end_of(file), 8);
    put(&block, root, 8);
    glia_status status = GLIA_E_NOMEM;
    if (!block.failed && !file->bytes.failed) {
        put(&block, checksum(block.bytes, block.length), 4);
        const glia_span pieces[] = { { block.bytes, block.length },
                                     { file->bytes.bytes + SUPERBLOCK, file->bytes.length - SUPERBLOCK } };
        if (!block.failed) status = glia_file_replace(path, pieces, 2, error);
    }
    if (status == GLIA_E_NOMEM) glia_fail_nomem(error);
    free(block.bytes);
    return status;
}

void glia_hdf5_free(glia_hdf5 *file) {
    free(file->bytes.bytes);
    *file = (glia_hdf5){ 0 };
}
