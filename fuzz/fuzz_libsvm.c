/* fuzz_libsvm.c - sparse rows, plain and gzipped. A libFuzzer harness:
 * fuzz_libsvm [CORPUS FOLDER] [-max_total_time=60]. */
#include "data/formats/formats.h"
#include "glia/glia.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    glia_error error;
    glia_sparse rows;
    if (!glia_libsvm_parse(bytes, length, (glia_libsvm_opts){ .first = -1 }, &rows, &error)) glia_sparse_free(&rows);
    return 0;
}
