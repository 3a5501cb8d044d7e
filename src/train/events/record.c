/* record.c - TFRecord framing and checksum. */
#include "train/events/events.h"

uint32_t glia_crc32c(const void *bytes, size_t length) {
    /* For each 4-bit value; polynomial 0x1EDC6F41, bits reversed. */
    static const uint32_t table[16] = { 0x00000000, 0x105EC76F, 0x20BD8EDE, 0x30E349B1, 0x417B1DBC, 0x5125DAD3,
                                        0x61C69362, 0x7198540D, 0x82F63B78, 0x92A8FC17, 0xA24BB5A6, 0xB21572C9,
                                        0xC38D26C4, 0xD3D3E1AB, 0xE330A81A, 0xF36E6F75 };
    const uint8_t *at = bytes;
    uint32_t crc = 0xFFFFFFFF;
    for (size_t i = 0; i < length; i++) {
        crc ^= at[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

/* The CRC of data that contain CRCs is weak, so TFRecord rotates it and adds a constant. */
static void masked(glia_text *to, const char *bytes, size_t length) {
    uint32_t crc = glia_crc32c(bytes, length), mask = (crc >> 15 | crc << 17) + 0xA282EAD8;
    for (int i = 0; i < 4; i++) glia_text_append(to, (char[]){ (char)(mask >> 8 * i) }, 1);
}

void glia_record_append(glia_text *to, const glia_text *data) {
    char length[8];
    for (int i = 0; i < 8; i++) length[i] = (char)((uint64_t)data->length >> 8 * i);
    to->failed |= data->failed;
    glia_text_append(to, length, sizeof length);
    masked(to, length, sizeof length);
    glia_text_append(to, data->bytes, data->length);
    masked(to, data->bytes, data->length);
}
