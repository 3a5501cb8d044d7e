/* tree.c - reads the split and the class of each file from the folders of an archive.
 *
 *     CLASS/NAME                        one set
 *     train|test|val/CLASS/NAME         with splits
 *
 * Leading folders common to all files are skipped (ARCHIVE/cifar10/train/...). Folders inside a class are searched too.
 * Classes are numbered in byte order of their names, over all splits together.
 *
 * Classes are interleaved evenly, each in the order of its file names: file k of a class of n files is placed at
 * (k + 1/2) / n of the whole. Any range of samples, such as the last tenth, therefore has all classes in proportion,
 * and the order is the same on all machines.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "data/sources/sources.h"

/* ---- names -------------------------------------------------------------------------------- */

static bool has_ending(const char *name, const char *const *endings) {
    const char *dot = strrchr(name, '.');
    for (int i = 0; dot && endings[i]; i++) {
        if (!strcasecmp(dot, endings[i])) return true;
    }
    return false;
}

/* Hidden files, and the metadata folder of macOS archives. */
static bool is_hidden(const char *name) {
    if (!strncmp(name, "__MACOSX/", 9)) return true;
    for (const char *p = name; p; p = strchr(p, '/')) {
        p += *p == '/';
        if (*p == '.') return true;
    }
    return false;
}

/* 0 train, 1 test, 2 validation, -1: not a split. */
static int split_named(const char *name, size_t length) {
    static const struct {
        const char *name;
        int split;
    } names[] = { { "train", TREE_TRAIN },          { "training", TREE_TRAIN }, { "test", TREE_TEST },
                  { "testing", TREE_TEST },         { "val", TREE_VALIDATION }, { "valid", TREE_VALIDATION },
                  { "validation", TREE_VALIDATION } };
    for (int i = 0; i < GLIA_COUNT(names); i++) {
        if (strlen(names[i].name) == length && !strncasecmp(names[i].name, name, length)) return names[i].split;
    }
    return -1;
}

static size_t first_part(const char *name) { return strcspn(name, "/"); }

/* ---- the layout --------------------------------------------------------------------------- */

typedef struct entry {
    int member, split;
    const char *name;  /* after the leading folders common to all */
    const char *class; /* start of the class name; length class_length */
    size_t class_length;
} entry;

typedef struct list {
    entry *entries;
    int n, capacity;
} list;

static glia_status choose_files(const glia_archive *archive, const char *const *endings, list *l, glia_error *error) {
    for (int i = 0; i < archive->n; i++) {
        const char *name = archive->members[i].name;
        if (is_hidden(name) || !has_ending(name, endings)) continue;
        if (!glia_grow((void **)&l->entries, l->n, &l->capacity, sizeof *l->entries)) return glia_fail_nomem(error);
        l->entries[l->n++] = (entry){ .member = i, .name = name };
    }
    return GLIA_OK;
}

/* Skips leading folders common to all files, as long as a class folder remains. */
static void skip_shared(list *l) {
    for (;;) {
        const char *first = l->entries[0].name;
        size_t n = first_part(first);
        if (!first[n] || split_named(first, n) >= 0) return;
        for (int i = 0; i < l->n; i++) {
            const char *name = l->entries[i].name;
            if (strncmp(name, first, n + 1) || !strchr(name + n + 1, '/')) return;
        }
        for (int i = 0; i < l->n; i++) l->entries[i].name += n + 1;
    }
}

/* Returns whether the first folders are splits. If so, keeps only the files in splits. */
static bool take_splits(list *l) {
    bool train = false;
    for (int i = 0; i < l->n && !train; i++) {
        const char *name = l->entries[i].name;
        size_t n = first_part(name);
        train = name[n] && split_named(name, n) == TREE_TRAIN && strchr(name + n + 1, '/');
    }
    if (!train) return false;
    int kept = 0;
    for (int i = 0; i < l->n; i++) {
        entry e = l->entries[i];
        size_t n = first_part(e.name);
        e.split = e.name[n] ? split_named(e.name, n) : -1;
        if (e.split < 0) continue;
        e.name += n + 1;
        l->entries[kept++] = e;
    }
    l->n = kept;
    return true;
}

static int compare_classes(const void *a, const void *b) {
    const entry *p = *(const entry *const *)a, *q = *(const entry *const *)b;
    size_t n = GLIA_MIN(p->class_length, q->class_length);
    int order = strncmp(p->class, q->class, n);
    return order ? order : (p->class_length > q->class_length) - (p->class_length < q->class_length);
}

/* Sets the class of each file and the class names. */
static glia_status number_classes(list *l, const glia_archive *archive, tree *t, int32_t *classes, glia_error *error) {
    const entry **sorted = malloc((size_t)l->n * sizeof *sorted);
    if (!sorted) return glia_fail_nomem(error);
    glia_status status = GLIA_OK;
    for (int i = 0; i < l->n && !status; i++) {
        entry *e = &l->entries[i];
        e->class = e->name;
        e->class_length = first_part(e->name);
        sorted[i] = e;
        if (e->name[e->class_length]) continue;
        glia_fail(error, GLIA_E_FORMAT, "is not in a class folder; the layout is CLASS/NAME or train/CLASS/NAME");
        status = glia_archive_fail(archive, e->member, error, GLIA_E_FORMAT);
    }
    if (!status) qsort(sorted, (size_t)l->n, sizeof *sorted, compare_classes);
    int capacity = 0;
    for (int i = 0; i < l->n && !status; i++) {
        if (i == 0 || compare_classes(&sorted[i - 1], &sorted[i])) {
            char *name = glia_arena_alloc(&t->arena, sorted[i]->class_length + 1);
            if (!name || !glia_grow((void **)&t->class_names, t->classes, &capacity, sizeof *t->class_names)) {
                status = glia_fail_nomem(error);
                break;
            }
            memcpy(name, sorted[i]->class, sorted[i]->class_length);
            t->class_names[t->classes++] = name;
        }
        classes[sorted[i] - l->entries] = t->classes - 1;
    }
    free(sorted);
    return status;
}

static int compare_names(const void *a, const void *b) { return strcmp(a, *(const char *const *)b); }

/* Fails for a file that would otherwise be silently left out: one in a class folder without readable files, or one with
 * an ending in `refused`. skipped: length of the leading folders common to all files. */
static glia_status check_left_out(const glia_archive *archive, const char *const *endings, const char *const *refused,
                                  size_t skipped, const tree *t, glia_error *error) {
    const char *shared = skipped ? archive->members[t->members[0]].name : "";
    for (int i = 0; i < archive->n; i++) {
        const char *name = archive->members[i].name;
        if (is_hidden(name) || has_ending(name, endings)) continue;
        const bool outside = strncmp(name, shared, skipped) != 0;
        if (outside && !has_ending(name, refused)) continue;
        if (!outside) name += skipped;
        size_t n = first_part(name);
        if (t->splits && (!name[n] || split_named(name, n) < 0)) continue;
        if (t->splits) name += n + 1, n = first_part(name);
        if (!name[n]) continue; /* not in a class folder */
        char *class = strndup(name, n);
        if (!class) return glia_fail_nomem(error);
        const bool known = bsearch(class, t->class_names, (size_t)t->classes, sizeof *t->class_names, compare_names);
        free(class);
        if (known && !has_ending(name, refused)) continue;
        glia_text kinds = { 0 };
        for (int k = 0; endings[k]; k++) glia_text_printf(&kinds, "%s%s", k ? ", " : "", endings[k]);
        glia_fail(error, GLIA_E_UNSUPPORTED, "is not supported; supported are %s%s",
                  kinds.bytes ? kinds.bytes : "others",
                  known ? "" : "; without it the class of its folder has no samples");
        free(kinds.bytes);
        return glia_archive_fail(archive, i, error, GLIA_E_UNSUPPORTED);
    }
    return GLIA_OK;
}

typedef struct place {
    int member;
    int32_t label;
    int64_t rank, count; /* index within its class; size of the class */
} place;

static int compare_places(const void *a, const void *b) {
    const place *p = a, *q = b;
    int64_t left = (2 * p->rank + 1) * q->count, right = (2 * q->rank + 1) * p->count;
    if (left != right) return left < right ? -1 : 1;
    return (p->label > q->label) - (p->label < q->label);
}

/* Interleaves the classes of the files evenly. */
static bool mix_classes(tree *t) {
    place *places = malloc((size_t)t->n * sizeof *places);
    int64_t *counts = calloc((size_t)t->classes, sizeof *counts);
    if (places && counts) {
        for (int i = 0; i < t->n; i++) {
            places[i] = (place){ .member = t->members[i], .label = t->labels[i], .rank = counts[t->labels[i]]++ };
        }
        for (int i = 0; i < t->n; i++) places[i].count = counts[places[i].label];
        qsort(places, (size_t)t->n, sizeof *places, compare_places);
        for (int i = 0; i < t->n; i++) {
            t->members[i] = places[i].member;
            t->labels[i] = places[i].label;
        }
    }
    bool done = places && counts;
    free(places);
    free(counts);
    return done;
}

/* Keeps the files of one split. */
static glia_status keep_split(const list *l, const glia_archive *archive, int split, const int32_t *classes, tree *t,
                              glia_error *error) {
    bool there[3] = { false };
    for (int i = 0; i < l->n && t->splits; i++) there[l->entries[i].split] = true;
    t->has_test = there[TREE_TEST] || there[TREE_VALIDATION];
    if (t->splits && split == TREE_TEST && !there[TREE_TEST]) split = TREE_VALIDATION;
    if (t->splits && !there[split]) {
        return glia_fail(error, GLIA_E_NOT_FOUND, "%s: there is no split \"%s\"", archive->path,
                         split == TREE_TRAIN ? "train" : "test");
    }
    t->members = malloc((size_t)l->n * sizeof *t->members);
    t->labels = malloc((size_t)l->n * sizeof *t->labels);
    if (!t->members || !t->labels) return glia_fail_nomem(error);
    for (int i = 0; i < l->n; i++) {
        if (t->splits && l->entries[i].split != split) continue;
        t->members[t->n] = l->entries[i].member;
        t->labels[t->n++] = classes[i];
    }
    return mix_classes(t) ? GLIA_OK : glia_fail_nomem(error);
}

glia_status glia_tree_read(const glia_archive *archive, const char *const *endings, const char *const *refused,
                           int split, tree *t, glia_error *error) {
    *t = (tree){ 0 };
    list l = { 0 };
    glia_status status = choose_files(archive, endings, &l, error);
    if (!status && l.n == 0) {
        glia_text kinds = { 0 };
        for (int i = 0; endings[i]; i++) glia_text_printf(&kinds, "%s%s", i ? ", " : "", endings[i]);
        status = glia_fail(error, GLIA_E_NOT_FOUND, "%s has no files that end with %s", archive->path,
                           kinds.bytes ? kinds.bytes : "...");
        free(kinds.bytes);
    }
    size_t skipped = 0;
    if (!status) {
        skip_shared(&l);
        skipped = (size_t)(l.entries[0].name - archive->members[l.entries[0].member].name);
        t->splits = take_splits(&l);
    }
    int32_t *classes = status ? NULL : malloc((size_t)l.n * sizeof *classes);
    if (!status && !classes) status = glia_fail_nomem(error);
    if (!status) status = number_classes(&l, archive, t, classes, error);
    if (!status) status = keep_split(&l, archive, split, classes, t, error);
    if (!status) status = check_left_out(archive, endings, refused, skipped, t, error);
    free(classes);
    free(l.entries);
    if (status) glia_tree_free(t);
    return status;
}

void glia_tree_free(tree *t) {
    free(t->members);
    free(t->labels);
    free(t->class_names);
    glia_arena_free(&t->arena);
    *t = (tree){ 0 };
}
