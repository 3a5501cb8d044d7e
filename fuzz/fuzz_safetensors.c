/* fuzz_safetensors.c - safetensors files, and the JSON reader alone. A libFuzzer harness:
 * fuzz_safetensors [CORPUS FOLDER] [-max_total_time=60]. */
#include "data/formats/formats.h"
#include "glia/glia.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    glia_error error;
    glia_safetensors file;
    if (!glia_safetensors_parse(bytes, length, &file, &error)) {
        volatile uint8_t sum = 0; /* every byte of a tensor must be readable */
        for (int i = 0; i < file.n; i++) {
            for (size_t k = 0; k < file.tensors[i].bytes; k++) {
                sum = (uint8_t)(sum + ((const uint8_t *)file.tensors[i].data)[k]);
            }
        }
        glia_safetensors_free(&file);
    }
    glia_arena arena = { 0 };
    glia_json_parse(&arena, bytes, length, 0, &error);
    glia_arena_free(&arena);
    return 0;
}
