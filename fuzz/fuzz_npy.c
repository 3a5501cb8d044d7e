/* fuzz_npy.c - NumPy arrays (.npy). A libFuzzer harness: fuzz_npy [CORPUS FOLDER] [-max_total_time=60]. */
#include "data/formats/formats.h"
#include "glia/glia.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    glia_error error;
    glia_values values;
    if (!glia_npy_parse(bytes, length, &values, &error)) glia_values_free(&values);
    return 0;
}
