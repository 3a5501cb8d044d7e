/* fuzz_csv.c - CSV tables; the first byte selects the options. A libFuzzer harness:
 * fuzz_csv [CORPUS FOLDER] [-max_total_time=60]. */
#include "data/formats/formats.h"
#include "glia/glia.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    glia_error error;
    static const glia_csv_opts all[] = {
        { 0 },
        { .header = 1 },
        { .header = -1, .label = "0" },
        { .target = "-1" },
        { .separator = ';', .label = "a" },
        { .drop = "0,b" },
        { .sparse = true },
    };
    glia_csv csv;
    if (length == 0) return 0;
    glia_csv_opts opts = all[bytes[0] % (sizeof all / sizeof all[0])];
    if (!glia_csv_parse(bytes + 1, length - 1, opts, &csv, &error)) glia_csv_free(&csv);
    return 0;
}
