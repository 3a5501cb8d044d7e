/* fuzz_pickle.c - files of torch.save(): both formats, and one pickle alone. A libFuzzer harness:
 * fuzz_pickle [CORPUS FOLDER] [-max_total_time=60]. Seeds: fuzz/corpus/fuzz_pickle. */
#include "data/formats/formats.h"
#include "data/formats/pickle.h"
#include "read_tensors.h"
#include "glia/glia.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    static const char *const known[] = { "collections OrderedDict", "torch FloatStorage" };
    glia_error error;
    glia_safetensors file;
    if (!glia_torch_parse(bytes, length, &file, &error)) {
        read_tensors(&file);
        glia_safetensors_free(&file);
    }
    glia_arena arena = { 0 };
    size_t used;
    glia_pickle_parse(&arena, bytes, length, 0, known, GLIA_COUNT(known), &used, &error);
    glia_arena_free(&arena);
    return 0;
}
