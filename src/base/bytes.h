/* bytes.h - numbers in the bytes of files, at any address. */
#ifndef GLIA_SRC_BASE_BYTES_H
#define GLIA_SRC_BASE_BYTES_H

#include <stdint.h>

static inline uint32_t glia_little16(const uint8_t *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8; }
static inline uint32_t glia_little32(const uint8_t *p) { return glia_little16(p) | glia_little16(p + 2) << 16; }
static inline uint64_t glia_little64(const uint8_t *p) {
    return glia_little32(p) | (uint64_t)glia_little32(p + 4) << 32;
}

static inline uint32_t glia_big16(const uint8_t *p) { return (uint32_t)p[0] << 8 | (uint32_t)p[1]; }
static inline uint32_t glia_big32(const uint8_t *p) { return glia_big16(p) << 16 | glia_big16(p + 2); }

#endif
