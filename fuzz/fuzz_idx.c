/* fuzz_idx.c - IDX arrays, plain and gzipped. A libFuzzer harness: fuzz_idx [CORPUS FOLDER] [-max_total_time=60]. */
#include "data/formats/formats.h"
#include "glia/glia.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    glia_error error;
    glia_values values;
    if (!glia_idx_parse(bytes, length, &values, &error)) glia_values_free(&values);
    return 0;
}
