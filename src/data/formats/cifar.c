/* cifar.c - CIFAR-10's binary batches (Krizhevsky 2009): records of a label byte and 3 planes of 32 x 32 pixels.
 *
 * The format has no header. The only checks are that the number of records is whole and that labels are at most 9.
 */
#include <string.h>

#include "data/formats/formats.h"

const char *const glia_cifar_classes[10] = { "airplane", "automobile", "bird",  "cat",  "deer",
                                             "dog",      "frog",       "horse", "ship", "truck" };

glia_status glia_cifar_parse(const uint8_t *bytes, size_t length, int64_t *n, glia_error *error) {
    size_t records = length / GLIA_CIFAR_RECORD;
    for (size_t i = 0; i < records; i++) {
        uint8_t label = bytes[i * GLIA_CIFAR_RECORD];
        if (label <= 9) continue;
        return glia_fail(error, GLIA_E_FORMAT, "offset %zu: label %d is outside CIFAR-10's 0 to 9",
                         i * GLIA_CIFAR_RECORD, label);
    }
    if (records == 0 || length % GLIA_CIFAR_RECORD) {
        return glia_fail(error, GLIA_E_FORMAT, "offset %zu: the last %zu bytes are not a record of %d bytes",
                         records * GLIA_CIFAR_RECORD, length - records * GLIA_CIFAR_RECORD, GLIA_CIFAR_RECORD);
    }
    *n = (int64_t)records;
    return GLIA_OK;
}

void glia_cifar_copy(const uint8_t *bytes, int64_t n, uint8_t *pixels, int32_t *labels) {
    for (int64_t i = 0; i < n; i++) {
        labels[i] = bytes[i * GLIA_CIFAR_RECORD];
        memcpy(pixels + i * GLIA_CIFAR_PIXELS, bytes + i * GLIA_CIFAR_RECORD + 1, GLIA_CIFAR_PIXELS);
    }
}
