/* data.c - `glia data`: lists the datasets, describes one. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands/fetch.h"
#include "glia/glia.h"
#include "reports/picture.h"
#include "terminal/options.h"
#include "terminal/tool.h"

typedef struct request {
    const char *split, *folder, *sheet, *augment;
    int64_t samples;
} request;

static int list(const request *q) {
    enum { MOST = 64 };
    glia_data_info infos[MOST];
    int n = glia_data_list(infos, MOST);
    text names = { 0 };
    fetch_names(&names);
    printf("%-14s %-8s %8s %8s %8s  %-9s  %s\n", "data", "sample", "classes", "train", "test", "", "description");
    for (int i = 0; i < n && i < MOST; i++) {
        char shape[SHORT], train[SHORT], test[SHORT];
        bool here = glia_data_available(infos[i].name, q->folder);
        printf("%-14s %-8s %8d %8s %8s  %-9s  %s\n", infos[i].name, shape_text(infos[i].x_shape, shape),
               infos[i].classes, grouped(infos[i].train, train), grouped(infos[i].test, test),
               here ? "here" : "not here", infos[i].what);
        if (here) continue;
        const bool fetched = strstr(names.bytes, infos[i].name) != NULL;
        printf("%14s from %s%s%s\n", "", infos[i].source, fetched ? "; glia data fetch " : "",
               fetched ? infos[i].name : "");
    }
    free(names.bytes);
    printf("\nData in files are given by an address (all take ?test=0.2 for a test split; see docs/data.md):\n");
    glia_data_format formats[MOST];
    n = glia_data_formats(formats, MOST);
    for (int i = 0; i < n && i < MOST; i++) printf("  %s\n      %s\n", formats[i].syntax, formats[i].what);
    printf("\nNamed datasets are searched in --data-folder, $GLIA_DATA, ./data and ~/.cache/glia.\n");
    return EXIT_OK;
}

/* Prints the number of samples per class, with bars. */
static void count_classes(const glia_dataset *data) {
    int classes = glia_data_classes(data);
    int64_t *counts = allocate((size_t)classes, sizeof *counts), most = 1;
    for (int64_t i = 0; i < glia_data_count(data); i++) {
        int32_t label;
        if (sample_class(data, i, NULL, &label, NULL) == GLIA_OK && label >= 0 && label < classes) counts[label]++;
    }
    for (int i = 0; i < classes; i++)
        if (counts[i] > most) most = counts[i];
    enum { BAR = 40, MOST = 40 };
    for (int i = 0; i < classes && i < MOST; i++) {
        char number[SHORT];
        printf("  %-14s %8s  ", glia_data_class_name(data, i), grouped(counts[i], number));
        for (int64_t k = 0; k < BAR * counts[i] / most; k++) fputs(terminal_utf8() ? "\u2588" : "#", stdout);
        putchar('\n');
    }
    if (classes > MOST) printf("  ... and %d more\n", classes - MOST);
    free(counts);
}

static void print_statistics(const glia_dataset *data) {
    enum { MOST = 16 };
    double mean[MOST], stddev[MOST];
    int n = glia_data_statistics(data, mean, stddev, MOST);
    printf("mean %s", n > 1 ? "(" : "");
    for (int i = 0; i < n; i++) printf("%s%.4g", i ? ", " : "", mean[i]);
    printf("%s, std %s", n > 1 ? ")" : "", n > 1 ? "(" : "");
    for (int i = 0; i < n; i++) printf("%s%.4g", i ? ", " : "", stddev[i]);
    printf("%s\n", n > 1 ? ")" : "");
}

/* Writes the pictures as one PNG file, `columns` in a row. */
static int write_pictures(const picture *samples, int n, int columns, const char *path) {
    text png = { 0 };
    picture sheet = picture_sheet(samples, n, columns, 2, 2, 96);
    picture_png(&sheet, &png);
    bool written = write_file(path, png.bytes, png.length);
    free(png.bytes);
    free(sheet.pixels);
    return written ? -1 : fail("%s: %s", path, strerror(errno));
}

/* Fills a row for each of the first samples: the sample, then its augmented form in each of a few epochs. Returns the
 * exit status, -1 to go on. */
static int augment_pictures(glia_dataset *data, const request *q, picture *samples, int rows, int columns) {
    const glia_shape shape = glia_data_x_shape(data);
    const size_t count = (size_t)glia_shape_count(shape);
    glia_error error;
    glia_augment *augment = glia_augment_parse(q->augment, &error);
    glia_dataset *first = augment ? glia_data_range(data, 0, rows, &error) : NULL;
    const glia_loader_opts opts = { .batch = rows, .workers = -1, .augment = augment };
    glia_loader *loader = first ? glia_loader_create(first, opts, &error) : NULL;
    int status = loader ? -1 : fail("%s", error.message);
    for (int c = 1; c < columns && status < 0; c++) {
        glia_batch batch;
        if (glia_loader_start(loader, c - 1, &error) || !glia_loader_next(loader, &batch)) {
            glia_loader_check(loader, &error);
            status = fail("%s", error.message);
        }
        for (int r = 0; r < rows && status < 0; r++)
            samples[r * columns + c] = picture_of_sample(batch.x + (size_t)r * count, shape);
    }
    glia_loader_free(loader);
    glia_data_free(first);
    glia_augment_free(augment);
    return status;
}

/* Writes the first samples as one PNG file, with augmented forms if --augment is given. */
static int write_sheet(glia_dataset *data, const request *q) {
    glia_shape shape = glia_data_x_shape(data);
    if (!picture_possible(shape))
        return fail("--sheet: samples of shape %s are not images", shape_text(shape, (char[SHORT]){ 0 }));
    enum { VARIANTS = 12 };
    int64_t most = q->samples ? q->samples : q->augment ? 8 : 128;
    int n = (int)(most < glia_data_count(data) ? most : glia_data_count(data)), each = q->augment ? VARIANTS : 1;
    picture *samples = allocate((size_t)n * (size_t)each, sizeof *samples);
    float *x = allocate((size_t)glia_shape_count(shape), sizeof *x);
    glia_error error;
    int status = -1;
    for (int i = 0; i < n && status < 0; i++) {
        if (glia_data_get(data, i, x, NULL, &error) != GLIA_OK)
            status = fail("%s", error.message);
        else
            samples[i * each] = picture_of_sample(x, shape);
    }
    if (status < 0 && q->augment) status = augment_pictures(data, q, samples, n, each);
    if (status < 0) status = write_pictures(samples, n * each, each > 1 ? each : (int)ceil(sqrt(2.0 * n)), q->sheet);
    if (status < 0 && q->augment)
        printf("%d samples written to %s, each with %d augmented forms\n", n, q->sheet, each - 1);
    else if (status < 0)
        printf("%d samples written to %s\n", n, q->sheet);
    for (int i = 0; i < n * each; i++) free(samples[i].pixels);
    free(samples);
    free(x);
    return status;
}

/* Prints the first samples as text. */
static void print_samples(const glia_dataset *data) {
    glia_shape shape = glia_data_x_shape(data);
    if (!picture_possible(shape) || shape.dim[0] != 1 || shape.dim[2] > 40) return;
    enum { SHOWN = 2 };
    float *x = allocate((size_t)glia_shape_count(shape), sizeof *x);
    for (int i = 0; i < SHOWN; i++) {
        int32_t label;
        if (sample_class(data, i, x, &label, NULL) != GLIA_OK) break;
        const char *name = glia_data_class_name(data, label);
        printf("\nsample %d%s%s\n", i, name ? ": " : "", name ? name : "");
        picture_print(x, shape, 2);
    }
    free(x);
}

static int describe(const char *address, const request *q) {
    glia_error error;
    glia_dataset *data = glia_data_open(address, q->split, q->folder, &error);
    if (!data) return fail("%s", error.message);
    char shape[SHORT], number[SHORT];
    printf("%s, %s: %s samples of %s\n", address, q->split, grouped(glia_data_count(data), number),
           shape_text(glia_data_x_shape(data), shape));
    print_statistics(data);
    if (has_single_classes(data))
        count_classes(data);
    else
        printf("targets: %s %s\n", shape_text(glia_data_y_shape(data), shape),
               glia_dtype_name(glia_data_y_dtype(data)));
    int status = -1;
    if (q->sheet)
        status = write_sheet(data, q);
    else
        print_samples(data);
    glia_data_free(data);
    return status < 0 ? EXIT_OK : status;
}

int command_data(int argc, char **argv) {
    request q = { .split = "train" };
    fetch_opts f = { 0 };
    const option table[] = {
        { .help = "options" },
        { "split", OPTION_TEXT, &q.split, "NAME", "train or test (train)", 0, 0 },
        { "data-folder", OPTION_TEXT, &q.folder, "FOLDER", "folder searched first for named datasets", 0, 0 },
        { "sheet", OPTION_TEXT, &q.sheet, "FILE", "write the first samples to a PNG file", 0, 0 },
        { "samples", OPTION_INT, &q.samples, "N", "number of samples on the sheet (128; with --augment 8)", 1, 10000 },
        { "augment", OPTION_TEXT, &q.augment, "TEXT", "with --sheet: also augmented, \"crop(pad=4) flip\"", 0, 0 },
        { .help = "data fetch (default folder: ~/.cache/glia)" },
        { "to", OPTION_TEXT, &f.to, "FOLDER", "download to FOLDER/NAME", 0, 0 },
        { "mirror", OPTION_TEXT, &f.mirror, "URL", "download from URL/NAME/FILE", 0, 0 },
        { "sha256", OPTION_TEXT, &f.sha256, "HEX", "expected SHA-256 of the file at the URL", 0, 0 },
    };
    const options what = { "data", table, sizeof table / sizeof table[0], 0, 2, NULL };
    int n, status = options_parse(&what, argc, argv, &n);
    if (status >= 0) return status;
    bool fetching = n > 0 && strcmp(argv[1], "fetch") == 0;
    if (!fetching && n == 2) return misuse("data takes one dataset; unexpected argument \"%s\"", argv[2]);
    if (!fetching && (f.to || f.mirror || f.sha256)) return misuse("--to, --mirror and --sha256 are for `data fetch`");
    if (q.augment && (!q.sheet || !n)) return misuse("--augment needs a dataset and --sheet FILE");
    if (!fetching) return n ? describe(argv[1], &q) : list(&q);
    if (n == 2) return fetch(argv[2], f);
    text names = { 0 };
    fetch_names(&names);
    status = misuse("fetch needs a name (%s) or a URL", names.bytes);
    free(names.bytes);
    return status;
}
