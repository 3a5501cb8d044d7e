/* archives.h - writes zip and tar files for tests. */
#ifndef GLIA_TEST_ARCHIVES_H
#define GLIA_TEST_ARCHIVES_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "glia/glia.h"

#if GLIA_HAVE_ZLIB
#include <zlib.h>
#endif

static inline void put(glia_text *out, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) glia_text_append(out, (const char[]){ (char)(value >> 8 * i) }, 1);
}

/* ---- tar ---------------------------------------------------------------------------------- */

/* Appends a header with this type and claimed size, then the given bytes, padded to 512. */
static inline void tar_claim(glia_text *out, char type, const char *name, unsigned long long claim, const char *bytes,
                             size_t size) {
    char h[512] = { 0 };
    unsigned sum = 0;
    snprintf(h, 100, "%s", name);
    snprintf(h + 100, 8, "%07o", 0644);
    char octal[32];
    snprintf(octal, sizeof octal, "%011llo", claim);
    memcpy(h + 124, octal, 11);
    memset(h + 148, ' ', 8);
    h[156] = type;
    memcpy(h + 257,
           "ustar\0"
           "00",
           8);
    for (int i = 0; i < 512; i++) sum += (unsigned char)h[i];
    snprintf(h + 148, 8, "%06o", sum);
    glia_text_append(out, h, 512);
    if (bytes) glia_text_append(out, bytes, size);
    while (out->length % 512) glia_text_append(out, "", 1);
}

static inline void tar_put(glia_text *out, char type, const char *name, const char *bytes, size_t size) {
    tar_claim(out, type, name, size, bytes, size);
}

static inline void tar_end(glia_text *out) {
    static const char zeros[1024];
    glia_text_append(out, zeros, sizeof zeros);
}

/* ---- zip ---------------------------------------------------------------------------------- */

typedef struct zip_writer {
    glia_text out, contents;
    int files;
} zip_writer;

/* Adds a file, deflated or stored. */
static inline void zip_put(zip_writer *w, const char *name, const void *bytes, size_t size, bool deflated) {
    size_t at = w->out.length, packed = size;
    uint32_t crc = 0;
    uint8_t *room = malloc(size + 1000);
    memcpy(room, bytes, size);
#if GLIA_HAVE_ZLIB
    crc = (uint32_t)crc32(0, bytes, (uInt)size);
    if (deflated) {
        z_stream z = { .next_in = (z_const Bytef *)(uintptr_t)bytes, .avail_in = (uInt)size };
        deflateInit2(&z, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY);
        z.next_out = room;
        z.avail_out = (uInt)(size + 1000);
        deflate(&z, Z_FINISH);
        packed = size + 1000 - z.avail_out;
        deflateEnd(&z);
    }
#endif
    for (int central = 0; central < 2; central++) {
        glia_text *t = central ? &w->contents : &w->out;
        put(t, central ? 0x02014B50 : 0x04034B50, 4);
        if (central) put(t, 20, 2);
        put(t, 20, 2);
        put(t, 0, 2);
        put(t, deflated ? 8 : 0, 2);
        put(t, 0, 4);
        put(t, crc, 4);
        put(t, packed, 4);
        put(t, size, 4);
        put(t, strlen(name), 2);
        put(t, 0, 2);
        if (central) put(t, 0, 8), put(t, 0, 2), put(t, at, 4);
        glia_text_append(t, name, strlen(name));
    }
    glia_text_append(&w->out, (const char *)room, packed);
    w->files++;
    free(room);
}

static inline void zip_end(zip_writer *w) {
    size_t at = w->out.length, length = w->contents.length;
    if (length) glia_text_append(&w->out, w->contents.bytes, length);
    put(&w->out, 0x06054B50, 4);
    put(&w->out, 0, 4);
    put(&w->out, (uint64_t)w->files, 2);
    put(&w->out, (uint64_t)w->files, 2);
    put(&w->out, length, 4);
    put(&w->out, at, 4);
    put(&w->out, 0, 2);
    free(w->contents.bytes);
    w->contents = (glia_text){ 0 };
}

#endif
