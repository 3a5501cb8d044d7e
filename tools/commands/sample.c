/* sample.c - `glia sample`: draws from a trained generative model. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reports/picture.h"
#include "runs/saved.h"
#include "terminal/options.h"

typedef struct request {
    const char *out, *settings;
    int64_t n, seed, columns, threads;
} request;

static int write_samples(const request *r, const float *samples, glia_shape shape) {
    text content = { 0 };
    const bool pictures = picture_possible(shape), points = shape.rank == 1 && shape.dim[0] == 2;
    const char *ending = strrchr(r->out, '.');
    if (ending && strcmp(ending, ".csv") == 0) {
        const int64_t numbers = glia_shape_count(shape);
        char number[GLIA_NUMBER_TEXT];
        for (int64_t i = 0; i < r->n * numbers; i++)
            text_add(&content, "%s%c", glia_number_print((double)samples[i], number), (i + 1) % numbers ? ',' : '\n');
    } else if (pictures || points) {
        picture p = pictures ? picture_grid(samples, r->n, shape, (int)r->columns) : picture_points(samples, r->n, 640);
        picture_png(&p, &content);
        free(p.pixels);
    } else {
        char words[SHORT];
        return misuse("samples of %s are no pictures; -o NAME.csv writes their numbers", shape_text(shape, words));
    }
    const int status =
        write_file(r->out, content.bytes, content.length) ? EXIT_OK : fail("%s: %s", r->out, strerror(errno));
    free(content.bytes);
    if (status == EXIT_OK) printf("%lld samples in %s\n", (long long)r->n, r->out);
    return status;
}

static int draw(const request *r, glia_model *model, const char *path) {
    const glia_shape shape = glia_sample_shape(model);
    if (shape.rank == 0)
        return fail("%s was not trained by a method that draws samples; `glia methods` lists them", path);
    float *samples = allocate((size_t)r->n, (size_t)glia_shape_count(shape) * sizeof *samples);
    glia_error error;
    const glia_sample_opts opts = { .seed = (uint64_t)r->seed, .settings = r->settings, .threads = (int)r->threads };
    const glia_status status = glia_sample(model, r->n, opts, samples, &error);
    const int result = status == GLIA_OK           ? write_samples(r, samples, shape)
                       : status == GLIA_E_ARGUMENT ? misuse("%s", error.message)
                                                   : fail("%s", error.message);
    free(samples);
    return result;
}

int command_sample(int argc, char **argv) {
    request r = { .out = "samples.png", .n = 64 };
    const option table[] = {
        { .help = "options" },
        { "n", OPTION_INT, &r.n, "N", "number of samples (64)", 1, 100000 },
        { "out", OPTION_TEXT, &r.out, "FILE", "PNG of a grid, or NAME.csv with the numbers (samples.png)", 0, 0 },
        { "seed", OPTION_INT, &r.seed, "N", "random seed (0)", 0, 9e15 },
        { "columns", OPTION_INT, &r.columns, "N", "columns of the grid (about as many as rows)", 1, 1000 },
        { "set", OPTION_TEXT, &r.settings, "SETTINGS", "settings of the method: \"steps=50 eta=1\"", 0, 0 },
        { "threads", OPTION_INT, &r.threads, "N", "CPU threads (all cores)", 1, 1024 },
    };
    const options what = { "sample", table, sizeof table / sizeof table[0], 1, 1, "a run folder or a file" };
    int n, status = options_parse(&what, argc, argv, &n);
    if (status >= 0) return status;
    char *path = saved_path(argv[1]);
    glia_error error;
    glia_model *model = glia_model_load(path, &error);
    status = model ? draw(&r, model, path) : fail("%s", error.message);
    glia_model_free(model);
    free(path);
    return status;
}
