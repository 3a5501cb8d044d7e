/* plot.c - `glia plot`: draws a model. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reports/network.h"
#include "runs/saved.h"
#include "terminal/options.h"

static int draw(const glia_model *model, const char *name, const char *out) {
    text svg = { 0 };
    if (!network_svg(&svg, model, true)) return fail("%s cannot be drawn", name);
    int status = EXIT_OK;
    if (!out)
        fwrite(svg.bytes, 1, svg.length, stdout);
    else if (!write_file(out, svg.bytes, svg.length))
        status = fail("%s: %s", out, strerror(errno));
    free(svg.bytes);
    return status;
}

int command_plot(int argc, char **argv) {
    const char *out = NULL;
    const option table[] = {
        { .help = "options" },
        { "out", OPTION_TEXT, &out, "FILE", "the SVG file (stdout)", 0, 0 },
    };
    const options what = { "plot", table, sizeof table / sizeof table[0], 1, 1, "a model, a run folder or a file" };
    int n, status = options_parse(&what, argc, argv, &n);
    if (status >= 0) return status;
    const glia_recipe *recipe;
    saved s;
    status = saved_open_or_build(&s, argv[1], &recipe);
    if (status < 0) status = draw(s.model, argv[1], out);
    saved_close(&s);
    return status;
}
