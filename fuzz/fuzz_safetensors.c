/* fuzz_safetensors.c - safetensors files, and the JSON reader alone. A libFuzzer harness:
 * fuzz_safetensors [CORPUS FOLDER] [-max_total_time=60]. */
#include "data/formats/formats.h"
#include "read_tensors.h"
#include "glia/glia.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    glia_error error;
    glia_safetensors file;
    if (!glia_safetensors_parse(bytes, length, &file, &error)) {
        read_tensors(&file);
        glia_safetensors_free(&file);
    }
    glia_arena arena = { 0 };
    glia_json_parse(&arena, bytes, length, 0, &error);
    glia_arena_free(&arena);
    return 0;
}
