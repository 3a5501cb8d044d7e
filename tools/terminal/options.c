/* options.c - parses options by a table. */
#include "terminal/options.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "terminal/tool.h"

void options_help(const options *what) {
    const command *row = command_find(what->command);
    printf("usage: glia %s %s\n%s\n", row->name, row->arguments, row->summary);
    for (int i = 0; i < what->n; i++) {
        const option *o = &what->table[i];
        if (!o->name) {
            printf("\n%s\n", o->help);
            continue;
        }
        char left[SHORT];
        snprintf(left, sizeof left, "--%s%s%s%s", o->kind == OPTION_SWITCH ? "[no-]" : "", o->name,
                 o->argument ? " " : "", o->argument ? o->argument : "");
        printf("  %-26s %s\n", left, o->help);
    }
}

/* The row of "--name" or "--no-name", NULL if there is none; `length` is without "=VALUE". */
static const option *find(const options *what, const char *name, size_t length, bool *negated) {
    for (int i = 0; i < what->n; i++) {
        const option *o = &what->table[i];
        if (!o->name) continue;
        *negated = false;
        if (strlen(o->name) == length && strncmp(o->name, name, length) == 0) return o;
        *negated = o->kind == OPTION_SWITCH && length > 3 && strncmp(name, "no-", 3) == 0;
        if (*negated && strlen(o->name) == length - 3 && strncmp(o->name, name + 3, length - 3) == 0) return o;
    }
    return NULL;
}

static int unknown(const options *what, const char *name, size_t length) {
    const char **names = allocate(2 * (size_t)what->n + 1, sizeof *names);
    char **negations = allocate((size_t)what->n + 1, sizeof *negations);
    int n = 0;
    for (int i = 0; i < what->n; i++) {
        if (!what->table[i].name) continue;
        names[n++] = what->table[i].name;
        if (what->table[i].kind != OPTION_SWITCH) continue;
        text negation = { 0 };
        text_add(&negation, "no-%s", what->table[i].name);
        names[n++] = negations[i] = negation.bytes;
    }
    char *word = duplicate(name);
    word[length] = '\0';
    const char *near = glia_name_nearest(word, names, n);
    int status = near ? misuse("%s has no option --%s; did you mean --%s?", what->command, word, near)
                      : misuse("%s has no option --%s; `glia help %s` lists them", what->command, word, what->command);
    for (int i = 0; i < what->n; i++) free(negations[i]);
    free(negations);
    free(names);
    free(word);
    return status;
}

static int out_of_range(const option *o, const char *label, const char *value) {
    if (isinf(o->most)) return misuse("%s must be at least %g, not %s", label, o->least, value);
    return misuse("%s must be between %g and %g, not %s", label, o->least, o->most, value);
}

static int take_text(const option *o, const char *label, const char *value) {
    option_list *list = o->value;
    if (!*value && o->argument && strcmp(o->argument, "TEXT") != 0)
        return misuse("%s needs a value: %s, not an empty one", label, o->argument);
    if (o->kind == OPTION_TEXT) {
        *(const char **)o->value = value;
        return -1;
    }
    if (list->n == (int)(sizeof list->items / sizeof list->items[0])) return misuse("%s is given too often", label);
    list->items[list->n++] = value;
    return -1;
}

static int take_switch(const option *o, const char *label, const char *value) {
    bool yes = strcmp(value, "true") == 0;
    if (!yes && strcmp(value, "false") != 0) return misuse("%s must be true or false, not \"%s\"", label, value);
    *(int *)o->value = yes;
    return -1;
}

int option_take(const option *o, const char *label, const char *value) {
    char *end = NULL;
    errno = 0;
    double number = 0;
    if (o->kind == OPTION_TEXT || o->kind == OPTION_LIST) return take_text(o, label, value);
    if (o->kind == OPTION_SWITCH) return take_switch(o, label, value);
    if (o->kind == OPTION_INT) {
        long long integer = strtoll(value, &end, 10);
        if (end == value || *end || errno) return misuse("%s must be a whole number, not \"%s\"", label, value);
        *(int64_t *)o->value = integer;
        number = (double)integer;
    } else {
        number = strtod(value, &end);
        if (end == value || *end || !isfinite(number)) return misuse("%s must be a number, not \"%s\"", label, value);
        *(double *)o->value = number;
    }
    bool bounded = o->least != 0 || o->most != 0;
    return bounded && (number < o->least || number > o->most) ? out_of_range(o, label, value) : -1;
}

/* Parses the option at argv[*i]. Returns -1 to continue. */
static int read_option(const options *what, int argc, char **argv, int *i) {
    const bool dashes = argv[*i][1] == '-'; /* a name of one letter may have one dash */
    const char *name = strcmp(argv[*i], "-o") == 0 ? "out" : argv[*i] + (dashes ? 2 : 1);
    const char *equals = strchr(name, '=');
    size_t length = equals ? (size_t)(equals - name) : strlen(name);
    bool negated;
    const option *o = find(what, name, length, &negated);
    if (!o) return unknown(what, name, length);
    if (o->kind == OPTION_FLAG || o->kind == OPTION_SWITCH) {
        if (equals) return misuse("--%s takes no value", o->name);
        if (o->kind == OPTION_FLAG)
            *(bool *)o->value = true;
        else
            *(int *)o->value = !negated;
        return -1;
    }
    if (!equals && *i + 1 == argc) return misuse("--%s needs a value: %s", o->name, o->argument);
    char label[2 * SHORT];
    snprintf(label, sizeof label, "--%s", o->name);
    return option_take(o, label, equals ? equals + 1 : argv[++*i]);
}

/* Whether an option has this letter for its name. */
static bool has_letter(const options *what, char letter) {
    const char name[2] = { letter, '\0' };
    for (int i = 0; i < what->n; i++)
        if (what->table[i].name && strcmp(what->table[i].name, name) == 0) return true;
    return false;
}

int options_parse(const options *what, int argc, char **argv, int *count) {
    int n = 0;
    bool ended = false;
    for (int i = 1; i < argc; i++) {
        char *word = argv[i];
        if (ended || word[0] != '-' || !word[1]) {
            argv[++n] = word;
        } else if (strcmp(word, "--") == 0) {
            ended = true;
        } else if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0) {
            options_help(what);
            return EXIT_OK;
        } else if (word[1] != '-' && strcmp(word, "-o") != 0 && (word[2] || !has_letter(what, word[1]))) {
            return misuse("%s has no option %s; `glia help %s` lists them", what->command, word, what->command);
        } else {
            int status = read_option(what, argc, argv, &i);
            if (status >= 0) return status;
        }
    }
    *count = n;
    if (n < what->least)
        return misuse("%s needs %s; see `glia help %s`", what->command, what->missing, what->command);
    if (what->most >= 0 && n > what->most)
        return misuse("%s takes no argument \"%s\"; see `glia help %s`", what->command, argv[what->most + 1],
                      what->command);
    return -1;
}
