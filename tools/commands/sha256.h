/* sha256.h - SHA-256 (FIPS 180-4), for verifying downloads. */
#ifndef GLIA_TOOL_SHA256_H
#define GLIA_TOOL_SHA256_H

#include <stddef.h>
#include <stdint.h>

typedef struct sha256_state {
    uint32_t state[8];
    uint64_t length; /* bytes so far */
    uint8_t block[64];
} sha256_state;

void sha256_begin(sha256_state *s);
void sha256_add(sha256_state *s, const void *bytes, size_t length);
void sha256_end(sha256_state *s, char hex[65]); /* 64 digits and a NUL */

#endif
