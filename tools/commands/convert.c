/* convert.c - `glia convert`: pictures of one kind become pictures of another, by a trained CycleGAN. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "reports/picture.h"
#include "runs/saved.h"
#include "terminal/options.h"

typedef struct request {
    const char *out, *folder, *split;
    int64_t n, threads;
    bool back;
} request;

static int write_picture(const char *path, const picture *p) {
    text content = { 0 };
    picture_png(p, &content);
    const int status = write_file(path, content.bytes, content.length) ? -1 : fail("%s: %s", path, strerror(errno));
    free(content.bytes);
    return status;
}

/* FOLDER/CLASS/00001.png, or FOLDER/00001.png: `images:FOLDER` reads them again. */
static int write_folder(const request *r, const glia_dataset *data, const float *made, const int32_t *labels, int64_t n,
                        glia_shape shape) {
    int status = -1;
    mkdir(r->out, 0777);
    for (int64_t i = 0; status < 0 && i < n; i++) {
        text path = { 0 };
        text_add(&path, "%s", r->out);
        if (labels) {
            text_add(&path, "/%s", glia_data_class_name(data, labels[i]));
            mkdir(path.bytes, 0777);
        }
        text_add(&path, "/%05lld.png", (long long)i + 1);
        picture p = picture_of_sample(made + i * glia_shape_count(shape), shape);
        status = write_picture(path.bytes, &p);
        free(p.pixels);
        free(path.bytes);
    }
    return status;
}

static int write_result(const request *r, const glia_dataset *data, const float *made, const int32_t *labels, int64_t n,
                        glia_shape shape) {
    const char *ending = strrchr(r->out, '.');
    int status;
    if (ending && strcmp(ending, ".png") == 0) {
        picture sheet = picture_grid(made, n, shape, 0);
        status = write_picture(r->out, &sheet);
        free(sheet.pixels);
    } else {
        status = write_folder(r, data, made, labels, n, shape);
    }
    if (status >= 0) return status;
    printf("%lld pictures in %s\n", (long long)n, r->out);
    return EXIT_OK;
}

static int convert(const request *r, glia_model *model, const glia_dataset *data) {
    const glia_shape sample = glia_data_x_shape(data), shape = glia_cyclegan_shape(model);
    const int64_t have = glia_data_count(data), n = r->n && r->n < have ? r->n : have, size = glia_shape_count(sample);
    const bool labelled = glia_data_classes(data) > 0 && glia_data_y_dtype(data) == GLIA_I32 &&
                          glia_shape_count(glia_data_y_shape(data)) == 1;
    float *x = allocate((size_t)n, (size_t)size * sizeof *x);
    float *made = allocate((size_t)n, (size_t)glia_shape_count(shape) * sizeof *made);
    int32_t *labels = labelled ? allocate((size_t)n, sizeof *labels) : NULL;
    glia_error error;
    glia_status status = glia_data_read(data, 0, n, x, labels, &error);
    const glia_cyclegan_convert_opts how = { .back = r->back, .threads = (int)r->threads };
    if (status == GLIA_OK) status = glia_cyclegan_convert(model, x, n, sample, how, made, &error);
    const int result = status == GLIA_OK ? write_result(r, data, made, labels, n, shape) : fail("%s", error.message);
    free(x);
    free(made);
    free(labels);
    return result;
}

static int run(const request *r, glia_model *model, const char *path, const char *address) {
    glia_error error;
    if (glia_cyclegan_shape(model).rank == 0) return fail("%s was not trained by the method cyclegan", path);
    glia_dataset *data = glia_data_open(address, r->split, r->folder, &error);
    const int status = data ? convert(r, model, data) : fail("%s", error.message);
    glia_data_free(data);
    return status;
}

int command_convert(int argc, char **argv) {
    request r = { .out = "converted.png", .split = "test", .n = 64 };
    const option table[] = {
        { .help = "options" },
        { "out", OPTION_TEXT, &r.out, "PLACE", "NAME.png for a grid, or a folder of PNG files (converted.png)", 0, 0 },
        { "n", OPTION_INT, &r.n, "N", "the first N pictures (64)", 1, 1e9 },
        { "back", OPTION_FLAG, &r.back, NULL, "from the second kind to the first", 0, 0 },
        { "split", OPTION_TEXT, &r.split, "NAME", "train or test (test)", 0, 0 },
        { "data-folder", OPTION_TEXT, &r.folder, "FOLDER", "folder searched first for named datasets", 0, 0 },
        { "threads", OPTION_INT, &r.threads, "N", "CPU threads (all cores)", 1, 1024 },
    };
    const options what = { "convert", table, sizeof table / sizeof table[0], 2, 2, "a run or file, and a dataset" };
    int n, status = options_parse(&what, argc, argv, &n);
    if (status >= 0) return status;
    char *path = saved_path(argv[1]);
    glia_error error;
    glia_model *model = glia_model_load(path, &error);
    status = model ? run(&r, model, path, argv[2]) : fail("%s", error.message);
    glia_model_free(model);
    free(path);
    return status;
}
