/* fuzz_cifar.c - CIFAR-10 batches. A libFuzzer harness: fuzz_cifar [CORPUS FOLDER] [-max_total_time=60]. */
#include <stdlib.h>

#include "data/formats/formats.h"
#include "glia/glia.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    glia_error error;
    int64_t n;
    if (glia_cifar_parse(bytes, length, &n, &error)) return 0;
    uint8_t *pixels = malloc((size_t)n * GLIA_CIFAR_PIXELS);
    int32_t *labels = malloc((size_t)n * sizeof *labels);
    if (pixels && labels) glia_cifar_copy(bytes, n, pixels, labels);
    free(pixels);
    free(labels);
    return 0;
}
