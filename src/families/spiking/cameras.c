/* cameras.c - recordings of event cameras: N-MNIST's 5-byte events, AEDAT 1.0, 2.0 and 3.1. */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/bytes.h"
#include "glia/spiking.h"

typedef struct reader {
    const uint8_t *bytes;
    size_t length, at;
    glia_camera_event *events;
    int count, capacity;
} reader;

static glia_status add(reader *r, int64_t time, uint32_t x, uint32_t y, uint32_t polarity, glia_error *error) {
    if (!glia_grow((void **)&r->events, r->count, &r->capacity, sizeof *r->events)) return glia_fail_nomem(error);
    r->events[r->count++] = (glia_camera_event){ time, (int32_t)x, (int32_t)y, (int32_t)polarity };
    return GLIA_OK;
}

static glia_status truncated(const reader *r, glia_error *error) {
    return glia_fail(error, GLIA_E_FORMAT, "an event at byte %zu is incomplete", r->at);
}

/* x, y, then a bit of polarity and 23 bits of microseconds. */
static glia_status read_nmnist(reader *r, glia_error *error) {
    glia_status status = GLIA_OK;
    for (; r->at < r->length && status == GLIA_OK; r->at += 5) {
        const uint8_t *p = r->bytes + r->at;
        if (r->length - r->at < 5) return truncated(r, error);
        status = add(r, (p[2] & 0x7F) << 16 | p[3] << 8 | p[4], p[0], p[1], p[2] >> 7, error);
    }
    return status;
}

/* Lines that begin with # come before the events. */
static void skip_header(reader *r) {
    while (r->at < r->length && r->bytes[r->at] == '#') {
        const uint8_t *end = memchr(r->bytes + r->at, '\n', r->length - r->at);
        r->at = end ? (size_t)(end - r->bytes) + 1 : r->length;
    }
}

/* An address of `wide` bytes (version 1: 2, version 2: 4) and 4 bytes of microseconds, big-endian. */
static glia_status read_aedat(reader *r, size_t wide, glia_error *error) {
    glia_status status = GLIA_OK;
    for (; r->at < r->length && status == GLIA_OK; r->at += wide + 4) {
        const uint8_t *p = r->bytes + r->at;
        if (r->length - r->at < wide + 4) return truncated(r, error);
        const uint32_t address = wide == 4 ? glia_big32(p) : glia_big16(p);
        status = add(r, glia_big32(p + wide), 127 - (address >> 1 & 0x7F), address >> 8 & 0x7F, address & 1, error);
    }
    return status;
}

/* Packets with a header of 28 bytes, little-endian; those of polarity events (type 1) are read, others skipped. */
static glia_status read_aedat3(reader *r, glia_error *error) {
    enum { HEADER = 28, POLARITY = 1, EVENT = 8 };
    glia_status status = GLIA_OK;
    while (r->at < r->length && status == GLIA_OK) {
        const uint8_t *p = r->bytes + r->at;
        if (r->length - r->at < HEADER) return truncated(r, error);
        const uint32_t type = glia_little16(p), size = glia_little32(p + 4), n = glia_little32(p + 20);
        const int64_t overflow = glia_little32(p + 12);
        r->at += HEADER;
        if ((r->length - r->at) / GLIA_MAX(size, 1u) < n || (type == POLARITY && size != EVENT))
            return glia_fail(error, GLIA_E_FORMAT, "a packet of %u events of %u bytes at byte %zu does not fit", n,
                             size, r->at);
        for (uint32_t i = 0; type == POLARITY && i < n && status == GLIA_OK; i++) {
            const uint8_t *e = r->bytes + r->at + (size_t)i * EVENT;
            const uint32_t data = glia_little32(e);
            if (data & 1) /* valid */
                status = add(r, (overflow << 31) + glia_little32(e + 4), data >> 17, data >> 2 & 0x7FFF, data >> 1 & 1,
                             error);
        }
        r->at += (size_t)n * size;
    }
    return status;
}

static bool begins(const reader *r, const char *text) {
    return r->length >= strlen(text) && memcmp(r->bytes, text, strlen(text)) == 0;
}

glia_status glia_camera_load(const char *path, glia_camera_event **events, int64_t *n, glia_error *error) {
    if (!path) return glia_fail_null(error, "path");
    if (!events) return glia_fail_null(error, "events");
    if (!n) return glia_fail_null(error, "n");
    glia_file file;
    glia_status status = glia_file_open(&file, path, error);
    if (status != GLIA_OK) return status;
    reader r = { .bytes = file.bytes, .length = file.length };
    if (!begins(&r, "#!AER-DAT")) {
        status = read_nmnist(&r, error);
    } else {
        const bool third = begins(&r, "#!AER-DAT3"), first = begins(&r, "#!AER-DAT1");
        skip_header(&r);
        status = third ? read_aedat3(&r, error) : read_aedat(&r, first ? 2 : 4, error);
    }
    glia_file_close(&file);
    if (status != GLIA_OK) {
        free(r.events);
        return glia_fail_at_path(error, path, status);
    }
    *events = r.events;
    *n = r.count;
    return GLIA_OK;
}

glia_status glia_camera_frames(const glia_camera_event *events, int64_t n, int64_t steps, int32_t height, int32_t width,
                               float *frames, glia_error *error) {
    if (!events && n > 0) return glia_fail_null(error, "events");
    if (!frames) return glia_fail_null(error, "frames");
    if (n < 0 || steps < 1 || height < 1 || width < 1 || steps > INT64_MAX / 8 / height / width)
        return glia_fail(error, GLIA_E_ARGUMENT, "camera frames: %lld events, %lld frames of %d x %d", (long long)n,
                         (long long)steps, height, width);
    memset(frames, 0, (size_t)(steps * 2 * height * width) * sizeof *frames);
    const int64_t begin = n ? events[0].time : 0, length = n ? events[n - 1].time - begin + 1 : 1;
    for (int64_t i = 0; i < n; i++) {
        const glia_camera_event e = events[i];
        if (e.time < (i ? events[i - 1].time : begin))
            return glia_fail(error, GLIA_E_ARGUMENT, "camera frames: event %lld at %lld us is out of order",
                             (long long)i, (long long)e.time);
        if (e.x < 0 || e.x >= width || e.y < 0 || e.y >= height || (e.polarity & ~1))
            return glia_fail(error, GLIA_E_ARGUMENT, "camera frames: event %lld at (%d, %d) is outside %d x %d",
                             (long long)i, e.x, e.y, width, height);
        const int64_t step = (int64_t)((double)(e.time - begin) / (double)length * (double)steps);
        frames[((GLIA_MIN(step, steps - 1) * 2 + e.polarity) * height + e.y) * width + e.x] += 1;
    }
    return GLIA_OK;
}
