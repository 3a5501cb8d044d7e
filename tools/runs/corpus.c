/* corpus.c - the source of methods that learn from text: FILE,FILE?words=letters&lowercase=true&vocabulary=FILE, or
 * "abc".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runs/source.h"

enum { FILES_MOST = 64 };

/* Texts with names. */
static const struct {
    const char *name, *address;
} named[] = {
    { "abc", "abc/rural.txt.gz,abc/science.txt.gz?words=letters&lowercase=true" },
};
enum { NAMED = sizeof named / sizeof named[0] };

typedef struct corpus {
    glia_text_source text;
    const char *files[FILES_MOST];
} corpus;

/* The file where it is, kept with the settings. */
static const char *find_file(settings *a, const char *name) {
    char *path = glia_data_find_file(name, a->data_folder);
    const char *kept = path ? settings_keep(a, path) : NULL;
    free(path);
    return kept;
}

/* "name=value&name=value" */
static int read_options(training *t, char *words) {
    glia_text_source *to = &t->corpus->text;
    for (char *save = NULL, *at = strtok_r(words, "&", &save); at; at = strtok_r(NULL, "&", &save)) {
        const char *value = strchr(at, '=');
        const size_t n = strcspn(at, "=");
        value = value ? value + 1 : "";
        const bool yes = !strcmp(value, "true"), letters = !strcmp(value, "letters");
        if (n == 5 && !strncmp(at, "words", n) && (letters || !strcmp(value, "spaces")))
            to->rule = letters ? GLIA_WORDS_LETTERS : GLIA_WORDS_SPACES;
        else if (n == 9 && !strncmp(at, "lowercase", n) && (yes || !strcmp(value, "false")))
            to->lowercase = yes;
        else if (n == 10 && !strncmp(at, "vocabulary", n) && *value)
            to->vocabulary = find_file(&t->asked, value);
        else
            return misuse("--data %s: \"%s\" is none of words=spaces|letters, lowercase=true|false, vocabulary=FILE",
                          t->asked.data, at);
    }
    return -1;
}

static int open_corpus(training *t) {
    settings *a = &t->asked;
    if (!a->data) a->data = t->recipe->data;
    const char *address = a->data;
    if (!address) return misuse("%s needs --data: files of text", t->recipe->name);
    int status = -1;
    t->corpus = allocate(1, sizeof *t->corpus);
    for (int i = 0; i < NAMED; i++)
        if (strcmp(address, named[i].name) == 0) address = named[i].address;
    char *copy = allocate(strlen(address) + 1, 1);
    strcpy(copy, address);
    char *asked = strchr(copy, '?');
    if (asked) *asked++ = 0;
    if (asked) status = read_options(t, asked);
    int n = 0;
    for (char *save = NULL, *at = strtok_r(copy, ",", &save); at; at = strtok_r(NULL, ",", &save), n++)
        if (n < FILES_MOST) t->corpus->files[n] = find_file(a, at);
    free(copy);
    if (status < 0 && (n == 0 || n > FILES_MOST))
        status = misuse("--data %s: there must be 1 to %d files of text", a->data, FILES_MOST);
    t->corpus->text.files = t->corpus->files;
    t->corpus->text.n_files = n;
    return status;
}

const glia_text_source *training_text(const training *t) { return t->corpus ? &t->corpus->text : NULL; }

static void sizes(const training *t, glia_shape *x, int64_t *outputs) {
    *x = t->recipe->sample;
    *outputs = t->recipe->outputs;
}

static int prepare(training *t) {
    glia_error error;
    return glia_model_set(t->model, "data", t->asked.data, &error) == GLIA_OK ? -1 : fail("%s", error.message);
}

static int64_t samples(const training *t) {
    (void)t;
    return 0;
}

static void tell(const training *t) { progress_say("data", t->asked.data); }

static void close_corpus(training *t) { free(t->corpus); }

const source source_corpus = { .flag = GLIA_USES_TEXT,
                               .takes = SOURCE_ADDRESS,
                               .open = open_corpus,
                               .sizes = sizes,
                               .prepare = prepare,
                               .samples = samples,
                               .tell = tell,
                               .close = close_corpus };
