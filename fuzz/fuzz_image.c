/* fuzz_image.c - PNG, JPEG, PGM and PPM, then resizing and colour conversion. A libFuzzer harness:
 * fuzz_image [CORPUS FOLDER] [-max_total_time=60]. */
#include "data/formats/formats.h"
#include "glia/glia.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    glia_error error;
    glia_image image, small, grey;
    if (glia_image_decode(bytes, length, &image, &error)) return 0;
    if (!glia_image_resize(&image, 28, 28, &small, &error)) {
        if (!glia_image_convert(&small, 1, &grey, &error)) glia_image_free(&grey);
        glia_image_free(&small);
    }
    glia_image_free(&image);
    return 0;
}
