/* fuzz_pickle.c - files of torch.save(): both formats, and one pickle alone. A libFuzzer harness:
 * fuzz_pickle [CORPUS FOLDER] [-max_total_time=60]. Seeds: fuzz/corpus/fuzz_pickle. */
#include "data/formats/formats.h"
#include "data/formats/pickle.h"
#include "glia/glia.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    static const char *const known[] = { "collections OrderedDict", "torch FloatStorage" };
    glia_error error;
    glia_safetensors file;
    if (!glia_torch_parse(bytes, length, &file, &error)) {
        volatile uint8_t sum = 0; /* every byte of a tensor must be readable */
        for (int i = 0; i < file.n; i++) {
            for (size_t k = 0; k < file.tensors[i].bytes; k++) {
                sum = (uint8_t)(sum + ((const uint8_t *)file.tensors[i].data)[k]);
            }
        }
        glia_safetensors_free(&file);
    }
    glia_arena arena = { 0 };
    size_t used;
    glia_pickle_parse(&arena, bytes, length, 0, known, GLIA_COUNT(known), &used, &error);
    glia_arena_free(&arena);
    return 0;
}
