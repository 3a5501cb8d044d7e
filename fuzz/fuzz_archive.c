/* fuzz_archive.c - zip, tar and compressed tar: the index, then every file in it. A libFuzzer harness:
 * fuzz_archive [CORPUS FOLDER] [-max_total_time=60]. */
#include "data/formats/formats.h"
#include "glia/glia.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    glia_error error;
    glia_archive archive;
    if (glia_archive_parse(bytes, length, &archive, &error)) return 0;
    for (int i = 0; i < archive.n && i < 64; i++) {
        glia_blob blob;
        volatile uint8_t sum = 0;
        if (glia_archive_read(&archive, i, &blob, &error)) continue;
        for (size_t k = 0; k < blob.length; k += 97) sum = (uint8_t)(sum + blob.bytes[k]);
        glia_blob_free(&blob);
    }
    glia_archive_free(&archive);
    return 0;
}
