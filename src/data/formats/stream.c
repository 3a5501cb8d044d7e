/* stream.c - reads a file sequentially in pieces, decompressing gzip on the way. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/formats/formats.h"

#if GLIA_HAVE_ZLIB

#include <zlib.h>

struct glia_stream {
    gzFile file; /* reads files that are not gzipped unchanged */
    char path[];
};

static gzFile open_file(const char *path) { return gzopen(path, "rb"); }

glia_status glia_stream_read(glia_stream *stream, void *bytes, size_t room, size_t *got, glia_error *error) {
    *got = 0;
    while (*got < room) {
        errno = 0;
        const int n = gzread(stream->file, (char *)bytes + *got, (unsigned)GLIA_MIN(room - *got, (size_t)1 << 30));
        int code = Z_OK;
        const char *why = gzerror(stream->file, &code);
        if (n < 0 || (code != Z_OK && code != Z_STREAM_END)) {
            const long long at = (long long)gzoffset(stream->file);
            if (code == Z_MEM_ERROR) return glia_fail_nomem(error);
            if (code == Z_ERRNO) return glia_fail(error, GLIA_E_IO, "%s: %s", stream->path, strerror(errno));
            if (code == Z_BUF_ERROR)
                return glia_fail(error, GLIA_E_FORMAT, "%s: offset %lld: the gzip data are truncated", stream->path,
                                 at);
            return glia_fail(error, GLIA_E_FORMAT, "%s: offset %lld: the gzip data are damaged: %s", stream->path, at,
                             why);
        }
        if (n == 0) break;
        *got += (size_t)n;
    }
    return GLIA_OK;
}

static void close_file(gzFile file) { gzclose(file); }

#else

struct glia_stream {
    FILE *file;
    bool begun;
    char path[];
};

static FILE *open_file(const char *path) { return fopen(path, "rb"); }

glia_status glia_stream_read(glia_stream *stream, void *bytes, size_t room, size_t *got, glia_error *error) {
    *got = fread(bytes, 1, room, stream->file);
    if (ferror(stream->file)) return glia_fail(error, GLIA_E_IO, "%s: %s", stream->path, strerror(errno));
    if (!stream->begun && glia_gzip_is(bytes, *got)) {
        return glia_fail(error, GLIA_E_UNSUPPORTED,
                         "%s: gzip: this build of Glia has no zlib; decompress the file first", stream->path);
    }
    stream->begun = true;
    return GLIA_OK;
}

static void close_file(FILE *file) { fclose(file); }

#endif

glia_stream *glia_stream_open(const char *path, glia_error *error) {
    if (glia_file_is_device(path)) {
        glia_fail(error, GLIA_E_IO, "%s is a device, not a file", path);
        return NULL;
    }
    const size_t length = strlen(path) + 1;
    glia_stream *stream = calloc(1, sizeof *stream + length);
    if (!stream) {
        glia_fail_nomem(error);
        return NULL;
    }
    memcpy(stream->path, path, length);
    errno = 0;
    stream->file = open_file(path);
    if (stream->file) return stream;
    const glia_status status = errno == ENOENT || errno == ENOTDIR ? GLIA_E_NOT_FOUND
                               : errno == ENOMEM || errno == 0     ? GLIA_E_NOMEM
                                                                   : GLIA_E_IO;
    if (status == GLIA_E_NOMEM) {
        glia_fail_nomem(error);
    } else {
        glia_fail(error, status, "%s: %s", path, strerror(errno));
    }
    free(stream);
    return NULL;
}

void glia_stream_close(glia_stream *stream) {
    if (!stream) return;
    close_file(stream->file);
    free(stream);
}
