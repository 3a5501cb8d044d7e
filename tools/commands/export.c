/* export.c - `glia export`: a trained model as a file of another program. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runs/saved.h"
#include "terminal/options.h"

int command_export(int argc, char **argv) {
    const char *out = NULL;
    double dt = NAN;
    const option table[] = {
        { .help = "options" },
        { "out", OPTION_TEXT, &out, "FILE.nir", "the file to write; needed", 0, 0 },
        { "dt", OPTION_REAL, &dt, "SECONDS", "what a step of a spiking net stands for (1e-4)", 1e-9, 1 },
    };
    const options what = { "export", table, sizeof table / sizeof table[0], 1, 1, "a run folder or a model file" };
    int n, status = options_parse(&what, argc, argv, &n);
    if (status >= 0) return status;
    const char *ending = out ? strrchr(out, '.') : NULL;
    if (!ending || strcmp(ending, ".nir") != 0) return misuse("-o FILE.nir says where to write a spiking net");
    saved s;
    status = saved_open_method(&s, argv[1]);
    glia_error error;
    if (status < 0 && glia_model_export_nir(s.model, out, isnan(dt) ? 0 : dt, &error) != GLIA_OK)
        status = fail("%s: %s", argv[1], error.message);
    if (status < 0) status = (printf("saved %s\n", out), EXIT_OK);
    saved_close(&s);
    return status;
}
