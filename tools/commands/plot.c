/* plot.c - `glia plot`: draws a model. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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
    const glia_recipe *recipe = glia_recipe_find(argv[1]);
    struct stat info;
    if (!recipe && stat(argv[1], &info) != 0) {
        const char *near = glia_recipe_nearest(argv[1]);
        if (near) return misuse("no model or file \"%s\"; did you mean %s?", argv[1], near);
        return misuse("no model or file \"%s\"; `glia models` lists the models", argv[1]);
    }
    if (recipe) {
        glia_error error;
        glia_model *model = glia_recipe_build(recipe, recipe->sample, recipe->outputs, &error);
        status = model ? draw(model, argv[1], out) : fail("%s", error.message);
        glia_model_free(model);
        return status;
    }
    saved s;
    status = saved_open(&s, argv[1]);
    if (status < 0) status = draw(s.model, argv[1], out);
    saved_close(&s);
    return status;
}
