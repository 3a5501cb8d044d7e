/* gzip.c - decompresses .gz files (RFC 1952) with zlib, if the build has it.
 *
 * A few bytes of deflate data can expand to gigabytes. The caller therefore passes an output limit, and the buffer
 * doubles only as output arrives. zlib checks each member's CRC-32 and length.
 */
#include <stdlib.h>
#include <string.h>

#include "data/formats/formats.h"

bool glia_gzip_is(const uint8_t *bytes, size_t length) { return length >= 2 && bytes[0] == 0x1F && bytes[1] == 0x8B; }

size_t glia_unpack_limit(size_t length) {
    const size_t least = (size_t)64 << 20, factor = 256, most = SIZE_MAX / 4;
    return length > most / factor ? most : GLIA_MAX(least, length * factor);
}

#if GLIA_HAVE_ZLIB

#include <zlib.h>

enum { STEP = 1 << 28 }; /* zlib counts in unsigned int, so it gets the data in pieces */

/* Fills out[0, room) and returns the number of bytes. *done: the last member has ended. Calls inflate() repeatedly and
 * resets it at each member. */
static glia_status fill(z_stream *z, const uint8_t *bytes, size_t length, size_t *at, uint8_t *out, size_t room,
                        size_t *got, bool *done, glia_error *error) {
    *got = 0;
    *done = false;
    while (*got < room) {
        size_t in = GLIA_MIN(length - *at, (size_t)STEP), space = GLIA_MIN(room - *got, (size_t)STEP);
        z->next_in = (z_const Bytef *)(bytes + *at);
        z->avail_in = (uInt)in;
        z->next_out = out + *got;
        z->avail_out = (uInt)space;
        int code = inflate(z, Z_NO_FLUSH);
        *at += in - z->avail_in;
        *got += space - z->avail_out;
        if (code == Z_MEM_ERROR) return glia_fail_nomem(error);
        if (code == Z_STREAM_END) {
            if (*at == length) return *done = true, GLIA_OK;
            if (!glia_gzip_is(bytes + *at, length - *at)) {
                return glia_fail(error, GLIA_E_FORMAT, "offset %zu: %zu bytes follow the gzip data", *at,
                                 length - *at);
            }
            if (inflateReset(z) != Z_OK) return glia_fail(error, GLIA_E_INTERNAL, "zlib cannot restart");
            continue;
        }
        bool stuck = in == z->avail_in && space == z->avail_out;
        if (code != Z_OK && code != Z_BUF_ERROR) {
            return glia_fail(error, GLIA_E_FORMAT, "offset %zu: the gzip data are damaged: %s", *at,
                             z->msg ? z->msg : "a preset dictionary is needed");
        }
        if (stuck) return glia_fail(error, GLIA_E_FORMAT, "offset %zu: the gzip data are truncated", *at);
    }
    return GLIA_OK;
}

static glia_status begin(z_stream *z, glia_error *error) {
    *z = (z_stream){ 0 };
    int code = inflateInit2(z, 15 + 16); /* the largest window; +16: gzip format */
    if (code == Z_MEM_ERROR) return glia_fail_nomem(error);
    return code == Z_OK ? GLIA_OK : glia_fail(error, GLIA_E_INTERNAL, "zlib cannot start: its version differs");
}

glia_status glia_gunzip(const uint8_t *bytes, size_t length, size_t limit, uint8_t **out, size_t *out_length,
                        glia_error *error) {
    z_stream z;
    glia_status status = begin(&z, error);
    if (status) return status;
    uint8_t *buffer = NULL;
    size_t used = 0, capacity = 0, at = 0;
    limit = GLIA_MIN(limit, SIZE_MAX / 4);
    for (bool done = false; !status && !done;) {
        if (used > limit) {
            status = glia_fail(error, GLIA_E_FORMAT,
                               "offset %zu: the gzip data unpack to more than the limit of %zu bytes", at, limit);
            break;
        }
        size_t wanted = capacity ? capacity * 2 : GLIA_MAX(length * 4, (size_t)4096);
        wanted = GLIA_MIN(wanted, limit + 1); /* one byte above the limit, to detect excess */
        uint8_t *grown = realloc(buffer, wanted);
        if (!grown) {
            status = glia_fail_nomem(error);
            break;
        }
        buffer = grown;
        capacity = wanted;
        size_t got;
        status = fill(&z, bytes, length, &at, buffer + used, capacity - used, &got, &done, error);
        used += got;
    }
    inflateEnd(&z);
    if (!status && used > limit) {
        status = glia_fail(error, GLIA_E_FORMAT,
                           "offset %zu: the gzip data unpack to more than the limit of %zu bytes", at, limit);
    }
    if (status) {
        free(buffer);
        return status;
    }
    *out = buffer;
    *out_length = used;
    return GLIA_OK;
}

glia_status glia_gunzip_head(const uint8_t *bytes, size_t length, uint8_t *head, size_t capacity, size_t *got,
                             glia_error *error) {
    z_stream z;
    glia_status status = begin(&z, error);
    if (status) return status;
    size_t at = 0;
    bool done;
    status = fill(&z, bytes, length, &at, head, capacity, got, &done, error);
    inflateEnd(&z);
    return status;
}

#else

static glia_status missing(glia_error *error) {
    return glia_fail(error, GLIA_E_UNSUPPORTED,
                     "gzip: this build of Glia has no zlib; decompress the file first (gunzip FILE)");
}

glia_status glia_gunzip(const uint8_t *bytes, size_t length, size_t limit, uint8_t **out, size_t *out_length,
                        glia_error *error) {
    (void)bytes, (void)length, (void)limit, (void)out, (void)out_length;
    return missing(error);
}

glia_status glia_gunzip_head(const uint8_t *bytes, size_t length, uint8_t *head, size_t capacity, size_t *got,
                             glia_error *error) {
    (void)bytes, (void)length, (void)head, (void)capacity, (void)got;
    return missing(error);
}

#endif

glia_status glia_gunzip_text(const uint8_t *bytes, size_t length, const uint8_t **text, size_t *text_length,
                             uint8_t **owned, glia_error *error) {
    *owned = NULL;
    *text = bytes;
    *text_length = length;
    if (!glia_gzip_is(bytes, length)) return GLIA_OK;
    glia_status status = glia_gunzip(bytes, length, glia_unpack_limit(length), owned, text_length, error);
    if (!status) *text = *owned;
    return status;
}
