/* sample.c - `glia sample`: draws from a trained generative model. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reports/picture.h"
#include "runs/saved.h"
#include "terminal/options.h"

typedef struct request {
    const char *out, *settings, *sampler, *inpaint, *hole, *way, *prompt;
    int64_t n, seed, columns, threads, steps, wanted_class, interpolate;
    double guidance;
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

/* ---- settings ------------------------------------------------------------------------------------- */

/* Adds an option that is a setting of some methods. Returns -1, or the exit status after saying that the model's method
 * has no such setting. */
static int add_setting(text *settings, const glia_method_info *method, const char *option_name, const char *name,
                       const char *value) {
    for (int i = 0; i < method->n_settings; i++) {
        if (strcmp(method->settings[i].name, name) != 0) continue;
        text_add(settings, " %s=%s", name, value);
        return -1;
    }
    return misuse("--%s: models of the method %s have no such option", option_name, method->name);
}

static int choose_settings(const request *r, const glia_model *model, text *settings) {
    const char *name = glia_model_get(model, "method");
    const glia_method_info *method = name ? glia_method_find(name) : NULL;
    text_add(settings, "%s", r->settings ? r->settings : "");
    if (!method) return -1;
    const struct {
        bool set;
        const char *option_name, *name;
        double value;
    } numbers[] = {
        { r->steps > 0, "steps", "sampling_steps", (double)r->steps },
        { r->guidance >= 0, "guidance", "guidance", r->guidance },
        { r->wanted_class >= 0, "class", "class", (double)r->wanted_class },
        { r->interpolate > 0, "interpolate", "interpolate", (double)r->interpolate },
    };
    int status = r->sampler ? add_setting(settings, method, "sampler", "sampler", r->sampler) : -1;
    for (int i = 0; status < 0 && i < (int)(sizeof numbers / sizeof numbers[0]); i++) {
        char value[GLIA_NUMBER_TEXT];
        if (numbers[i].set)
            status = add_setting(settings, method, numbers[i].option_name, numbers[i].name,
                                 glia_number_print(numbers[i].value, value));
    }
    if (status < 0 && r->way && strcmp(name, "ddpm") != 0 && strcmp(name, "ldm") != 0)
        return misuse("--way: models of the method %s do not sample in steps", name);
    return status;
}

/* ---- inpainting ----------------------------------------------------------------------------------- */

/* The picture, and a mask of what of it is kept: all but the hole, by default the right half. */
static int read_known(const request *r, glia_shape shape, float *known, float *mask) {
    if (!picture_possible(shape)) return misuse("--inpaint: the samples are no pictures");
    const int64_t height = shape.dim[1], width = shape.dim[2], pixels = height * width;
    long long left = width / 2, top = 0, wide = width - width / 2, high = height;
    char rest;
    if (r->hole && sscanf(r->hole, "%lld,%lld,%lld,%lld%c", &left, &top, &wide, &high, &rest) != 4)
        return misuse("--hole takes LEFT,TOP,WIDTH,HEIGHT in pixels, not \"%s\"", r->hole);
    if (left < 0 || top < 0 || wide < 1 || high < 1 || wide > width || high > height || left > width - wide ||
        top > height - high)
        return misuse("--hole %lld,%lld,%lld,%lld is not within the %lld x %lld pixels", left, top, wide, high,
                      (long long)width, (long long)height);
    glia_error error;
    if (glia_image_load(r->inpaint, shape, known, &error) != GLIA_OK) return fail("%s", error.message);
    for (int64_t i = 0; i < shape.dim[0] * pixels; i++) {
        const int64_t y = i % pixels / width, x = i % width;
        mask[i] = x < left || x >= left + wide || y < top || y >= top + high;
    }
    return -1;
}

/* ---- the way -------------------------------------------------------------------------------------- */

enum { FRAMES_MOST = 60 };
typedef struct way {
    const request *r;
    glia_shape shape;
    bool shows; /* on a terminal */
    picture frames[FRAMES_MOST];
    int n;
} way;

/* Keeps evenly spaced steps of the first samples, and tells how far sampling has come. */
static glia_status watch(void *context, const float *samples, int64_t first, int64_t n, int step, int steps,
                         glia_error *error) {
    (void)error;
    way *w = context;
    if (w->shows)
        fprintf(stderr, "\rsamples %lld to %lld of %lld, step %d of %d ", (long long)first + 1, (long long)(first + n),
                (long long)w->r->n, step, steps);
    if (w->shows && step == steps && first + n == w->r->n) fprintf(stderr, "\n");
    const int every = (steps + FRAMES_MOST - 1) / FRAMES_MOST;
    if (!w->r->way || first > 0 || (step % every != 0 && step != steps) || w->n == FRAMES_MOST) return GLIA_OK;
    w->frames[w->n++] = picture_possible(w->shape) ? picture_grid(samples, n, w->shape, (int)w->r->columns)
                                                   : picture_points(samples, n, 320);
    return GLIA_OK;
}

static int write_way(const way *w) {
    enum { HUNDREDTHS = 8 };
    if (!w->r->way) return EXIT_OK;
    text content = { 0 };
    picture_apng(w->frames, w->n, HUNDREDTHS, &content);
    const int status =
        write_file(w->r->way, content.bytes, content.length) ? EXIT_OK : fail("%s: %s", w->r->way, strerror(errno));
    free(content.bytes);
    if (status == EXIT_OK) printf("%d moments of the way in %s\n", w->n, w->r->way);
    return status;
}

/* ---- drawing -------------------------------------------------------------------------------------- */

static int draw_with(const request *r, glia_model *model, glia_shape shape, const char *settings) {
    const size_t bytes = (size_t)glia_shape_count(shape) * sizeof(float);
    float *samples = allocate((size_t)r->n, bytes), *known = NULL, *mask = NULL;
    way w = { .r = r, .shape = shape, .shows = isatty(STDERR_FILENO) != 0 };
    if (r->inpaint) known = allocate(1, bytes), mask = allocate(1, bytes);
    int result = r->inpaint ? read_known(r, shape, known, mask) : -1;
    if (result < 0) {
        glia_error error;
        const glia_sample_opts opts = { .seed = (uint64_t)r->seed,
                                        .settings = settings,
                                        .threads = (int)r->threads,
                                        .known = known,
                                        .mask = mask,
                                        .prompt = r->prompt,
                                        .watch = watch,
                                        .context = &w };
        const glia_status status = glia_sample(model, r->n, opts, samples, &error);
        result = status == GLIA_OK           ? write_samples(r, samples, shape)
                 : status == GLIA_E_ARGUMENT ? misuse("%s", error.message)
                                             : fail("%s", error.message);
        if (result == EXIT_OK) result = write_way(&w);
    }
    for (int i = 0; i < w.n; i++) free(w.frames[i].pixels);
    free(samples);
    free(known);
    free(mask);
    return result;
}

static int draw(const request *r, glia_model *model, const char *path) {
    const glia_shape shape = glia_sample_shape(model);
    if (shape.rank == 0)
        return fail("%s was not trained by a method that draws samples; `glia methods` lists them", path);
    if (r->hole && !r->inpaint) return misuse("--hole needs --inpaint");
    if (r->way && !picture_possible(shape) && !(shape.rank == 1 && shape.dim[0] == 2))
        return misuse("--way: the samples are no pictures");
    text settings = { 0 };
    int status = choose_settings(r, model, &settings);
    if (status < 0) status = draw_with(r, model, shape, settings.bytes);
    free(settings.bytes);
    return status;
}

int command_sample(int argc, char **argv) {
    request r = { .out = "samples.png", .n = 64, .wanted_class = -1, .guidance = -1 };
    const option table[] = {
        { .help = "options" },
        { "n", OPTION_INT, &r.n, "N", "number of samples (64)", 1, 100000 },
        { "out", OPTION_TEXT, &r.out, "FILE", "PNG of a grid, or NAME.csv with the numbers (samples.png)", 0, 0 },
        { "seed", OPTION_INT, &r.seed, "N", "random seed (0)", 0, 9e15 },
        { "columns", OPTION_INT, &r.columns, "N", "columns of the grid (about as many as rows)", 1, 1000 },
        { "class", OPTION_INT, &r.wanted_class, "N", "only this class (one after the other)", 0, 1e6 },
        { "interpolate", OPTION_INT, &r.interpolate, "N", "walks of N samples from one to the next", 2, 1000 },
        { "set", OPTION_TEXT, &r.settings, "SETTINGS", "settings of the method: \"steps=50 eta=1\"", 0, 0 },
        { "threads", OPTION_INT, &r.threads, "N", "CPU threads (all cores)", 1, 1024 },
        { .help = "diffusion" },
        { "steps", OPTION_INT, &r.steps, "N", "steps of the sampler", 1, 100000 },
        { "sampler", OPTION_TEXT, &r.sampler, "NAME", "ddpm, ddim or dpm-solver", 0, 0 },
        { "guidance", OPTION_REAL, &r.guidance, "S", "how far samples follow their class (1: as trained)", 0, 100 },
        { "prompt", OPTION_TEXT, &r.prompt, "WORDS", "what the pictures show: \"a large red circle at the left\"", 0,
          0 },
        { "inpaint", OPTION_TEXT, &r.inpaint, "FILE", "a picture of which a part is drawn anew", 0, 0 },
        { "hole", OPTION_TEXT, &r.hole, "X,Y,W,H", "that part, in pixels (the right half)", 0, 0 },
        { "way", OPTION_TEXT, &r.way, "FILE", "animated PNG of the steps from noise to samples", 0, 0 },
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
