/* proto.c - writes the subset of protocol buffers that events use. */
#include <stdlib.h>
#include <string.h>

#include "train/events/events.h"

enum { VARINT, EIGHT_BYTES, BYTES, FOUR_BYTES = 5 };

static void varint(glia_text *to, uint64_t value) {
    for (; value >= 0x80; value >>= 7) glia_text_append(to, (char[]){ (char)(value | 0x80) }, 1);
    glia_text_append(to, (char[]){ (char)value }, 1);
}

static void key(glia_text *to, int field, unsigned type) { varint(to, (uint64_t)field << 3 | type); }

static void fixed(glia_text *to, uint64_t bits, int bytes) {
    for (int i = 0; i < bytes; i++) glia_text_append(to, (char[]){ (char)(bits >> 8 * i) }, 1);
}

static uint64_t bits_of(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

void glia_proto_int(glia_text *to, int field, int64_t value) {
    key(to, field, VARINT);
    varint(to, (uint64_t)value);
}

void glia_proto_double(glia_text *to, int field, double value) {
    key(to, field, EIGHT_BYTES);
    fixed(to, bits_of(value), 8);
}

void glia_proto_float(glia_text *to, int field, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    key(to, field, FOUR_BYTES);
    fixed(to, bits, 4);
}

void glia_proto_bytes(glia_text *to, int field, const void *bytes, size_t length) {
    key(to, field, BYTES);
    varint(to, length);
    glia_text_append(to, bytes, length);
}

void glia_proto_string(glia_text *to, int field, const char *text) { glia_proto_bytes(to, field, text, strlen(text)); }

void glia_proto_doubles(glia_text *to, int field, const double *values, int n) {
    key(to, field, BYTES);
    varint(to, 8 * (uint64_t)n);
    for (int i = 0; i < n; i++) fixed(to, bits_of(values[i]), 8);
}

void glia_proto_message(glia_text *to, int field, glia_text *message) {
    to->failed |= message->failed;
    glia_proto_bytes(to, field, message->bytes, message->length);
    free(message->bytes);
    *message = (glia_text){ 0 };
}
