/* shown.c - what a method showed, in the report: names and files are those in the folder `samples` of the run. */
#include "reports/shown.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reports/network.h"
#include "reports/picture.h"

enum { NAMES = 16, NAME = 64 };

typedef struct names {
    char of[NAMES][NAME];
    int n;
} names;

/* The name of NAME-0001.png, .svg or .txt; false: another file. */
static bool name_of(const char *file, char name[NAME]) {
    const char *dot = strrchr(file, '.'), *dash = dot;
    if (!dot || (strcmp(dot, ".png") != 0 && strcmp(dot, ".svg") != 0 && strcmp(dot, ".txt") != 0)) return false;
    while (dash > file && isdigit((unsigned char)dash[-1])) dash--;
    const size_t n = dash > file ? (size_t)(dash - file) - 1 : 0;
    if (dash == dot || n < 1 || n >= NAME || dash[-1] != '-') return false;
    memcpy(name, file, n);
    name[n] = 0;
    return true;
}

static int by_name(const void *a, const void *b) { return strcmp(a, b); }

static void find_names(const char *folder, names *found) {
    DIR *entries = opendir(folder);
    char name[NAME];
    for (struct dirent *entry; entries && (entry = readdir(entries)) != NULL;) {
        bool known = found->n == NAMES || !name_of(entry->d_name, name);
        for (int i = 0; i < found->n && !known; i++) known = strcmp(found->of[i], name) == 0;
        if (!known) memcpy(found->of[found->n++], name, NAME);
    }
    if (entries) closedir(entries);
    qsort(found->of, (size_t)found->n, NAME, by_name);
}

/* Reads what was shown under this name after the epoch. */
static bool read_shown(const char *folder, const char *name, int64_t epoch, const char *ending, text *content) {
    text path = { 0 };
    text_add(&path, "%s/%s-%04lld.%s", folder, name, (long long)epoch, ending);
    const bool there = read_file(path.bytes, content);
    free(path.bytes);
    return there;
}

static void begin(text *out, const char *name) {
    text_add(out, "<h2>%c", toupper((unsigned char)name[0]));
    escape(out, name + 1);
    text_add(out, "</h2><p>%s</p>", strcmp(name, "samples") == 0
                                        ? "Drawn from the model after an epoch, always with the same noise."
                                        : "What the model shows after an epoch.");
}

/* Pictures (PNG) or drawings (SVG) of some epochs. */
static void add_pictures(const char *folder, const char *name, int64_t n, const char *ending, const char *type,
                         text *out) {
    enum { MOST = 4 };
    const int64_t some = n < MOST ? n : MOST;
    bool any = false;
    for (int64_t i = 0; i < some; i++) {
        const int64_t epoch = some == 1 ? n : 1 + i * (n - 1) / (some - 1);
        text bytes = { 0 };
        if (!read_shown(folder, name, epoch, ending, &bytes)) continue;
        if (!any) begin(out, name);
        text_add(out, "%s<figure class='card sheet'><figcaption>epoch %lld</figcaption><img alt='' "
                      "src='data:image/%s;base64,", any ? "" : "<div class=two>", (long long)epoch, type);
        base64(bytes.bytes, bytes.length, out);
        text_add(out, "'></figure>");
        any = true;
        free(bytes.bytes);
    }
    if (any) text_add(out, "</div>");
}

static void add_name(const char *folder, const char *name, int64_t n, text *out) {
    add_pictures(folder, name, n, "png", "png", out);
    add_pictures(folder, name, n, "svg", "svg+xml", out);
    text words = { 0 };
    if (read_shown(folder, name, n, "txt", &words)) {
        begin(out, name);
        text_add(out, "<div class=card><pre>");
        escape(out, words.bytes);
        text_add(out, "</pre></div>");
    }
    free(words.bytes);
}

void report_shown(const training *t, text *out) {
    if (!t->folder) return;
    char *folder = training_file(t, "samples");
    names found = { .n = 0 };
    find_names(folder, &found);
    for (int i = 0; i < found.n; i++) add_name(folder, found.of[i], t->progress.history.n_epochs, out);
    free(folder);
}
