/* npz.c - NumPy's .npz (NEP 1, version 1.0) in a zip of stored members (APPNOTE 6.3, sections 4.3.7 to 4.3.16). */
#include "reports/npz.h"

#include <stdlib.h>
#include <string.h>

#include "reports/picture.h"

static void little(text *out, uint32_t value, int bytes) {
    for (int i = 0; i < bytes; i++) text_append(out, &(unsigned char){ (unsigned char)(value >> 8 * i) }, 1);
}

/* Magic, version, and a dictionary padded so that the data begin at a multiple of 64. */
static void header(text *out, glia_shape shape) {
    text words = { 0 };
    text_add(&words, "{'descr': '<f8', 'fortran_order': False, 'shape': (");
    for (int i = 0; i < shape.rank; i++)
        text_add(&words, "%lld,%s", (long long)shape.dim[i], i + 1 < shape.rank ? " " : "");
    text_add(&words, "), }");
    while ((10 + words.length + 1) % 64) text_append(&words, " ", 1);
    text_append(&words, "\n", 1);
    text_append(out, "\x93NUMPY\x01\x00", 8);
    little(out, (uint32_t)words.length, 2);
    text_append(out, words.bytes, words.length);
    free(words.bytes);
}

/* The fields that a member's own header and its entry in the directory share. */
static void fields(text *out, const text *data, const char *file) {
    little(out, 20, 2); /* version needed */
    little(out, 0, 2);  /* flags */
    little(out, 0, 2);  /* stored */
    little(out, 0, 2);
    little(out, 0x21, 2); /* 1980-01-01: the same values make the same file */
    little(out, crc32_of(data->bytes, data->length), 4);
    little(out, (uint32_t)data->length, 4);
    little(out, (uint32_t)data->length, 4);
    little(out, (uint32_t)strlen(file), 2);
    little(out, 0, 2);
}

void npz_add(npz *z, const char *name, glia_shape shape, const double *values) {
    text data = { 0 }, file = { 0 };
    header(&data, shape);
    text_append(&data, values, (size_t)glia_shape_count(shape) * sizeof *values);
    text_add(&file, "%s.npy", name);
    const uint32_t offset = (uint32_t)z->bytes.length;
    little(&z->bytes, 0x04034b50, 4);
    fields(&z->bytes, &data, file.bytes);
    text_append(&z->bytes, file.bytes, file.length);
    text_append(&z->bytes, data.bytes, data.length);
    little(&z->directory, 0x02014b50, 4);
    little(&z->directory, 20, 2); /* made by */
    fields(&z->directory, &data, file.bytes);
    for (int i = 0; i < 5; i++) little(&z->directory, 0, 2); /* comment, disk, attributes */
    little(&z->directory, offset, 4);
    text_append(&z->directory, file.bytes, file.length);
    z->n++;
    free(data.bytes);
    free(file.bytes);
}

void npz_end(npz *z) {
    const uint32_t offset = (uint32_t)z->bytes.length;
    if (z->directory.length) text_append(&z->bytes, z->directory.bytes, z->directory.length);
    little(&z->bytes, 0x06054b50, 4);
    little(&z->bytes, 0, 4);
    little(&z->bytes, (uint32_t)z->n, 2);
    little(&z->bytes, (uint32_t)z->n, 2);
    little(&z->bytes, (uint32_t)z->directory.length, 4);
    little(&z->bytes, offset, 4);
    little(&z->bytes, 0, 2);
}

void npz_free(npz *z) {
    free(z->bytes.bytes);
    free(z->directory.bytes);
}
