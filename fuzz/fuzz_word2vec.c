/* fuzz_word2vec.c - word vector files: text, binary, safetensors, plain and gzipped. A libFuzzer harness:
 * fuzz_word2vec [CORPUS FOLDER] [-max_total_time=60]. */
#include "families/words/words.h"
#include "glia/glia.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    for (int format = GLIA_VECTORS_DEFAULT; format <= GLIA_VECTORS_SAFETENSORS; format++) {
        glia_error error;
        glia_vectors *vectors;
        if (glia_vectors_parse(bytes, length, (glia_vectors_format)format, format ? 0 : 3, &vectors, &error)) continue;
        volatile float sum = 0; /* every value must be readable */
        for (int64_t i = 0; i < glia_vectors_words(vectors); i++) {
            for (int64_t k = 0; k < glia_vectors_size(vectors); k++) sum = sum + glia_vectors_at(vectors, i)[k];
        }
        glia_vectors_free(vectors);
    }
    return 0;
}
