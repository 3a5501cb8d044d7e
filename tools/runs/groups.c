/* groups.c - parses parameter groups. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runs/training.h"

static const struct {
    const char *name;
    size_t offset;
    bool scale; /* multiplies the optimiser's value; else replaces it, 0: off */
} fields[] = {
    { "lr", offsetof(glia_parameter_group, lr_scale), true },
    { "weight-decay", offsetof(glia_parameter_group, weight_decay), false },
    { "l1", offsetof(glia_parameter_group, l1), false },
    { "l2", offsetof(glia_parameter_group, l2), false },
    { "max-norm", offsetof(glia_parameter_group, max_norm), false },
};
enum { FIELDS = sizeof fields / sizeof fields[0] };

static int set_field(glia_parameter_group *group, const char *name, const char *value) {
    const char *names[FIELDS];
    for (int i = 0; i < FIELDS; i++) {
        names[i] = fields[i].name;
        if (strcmp(name, fields[i].name) != 0) continue;
        char *end;
        double number = strtod(value, &end);
        if (end == value || *end || !(number >= 0) || (fields[i].scale && number == 0))
            return misuse("--groups: %s must be a number above 0, not \"%s\"%s", name, value,
                          fields[i].scale ? " (--freeze leaves parameters alone)" : "");
        *(double *)(void *)((char *)group + fields[i].offset) = number == 0 ? GLIA_ZERO : number;
        return -1;
    }
    const char *near = glia_name_nearest(name, names, FIELDS);
    return misuse("--groups: unknown setting \"%s\"; %s%s%s", name, near ? "did you mean " : "known are ",
                  near ? near : "lr, weight-decay, l1, l2 and max-norm", near ? "?" : "");
}

/* The fields of one group, without parentheses. */
static int parse_fields(char *words, glia_parameter_group *group) {
    for (char *save, *word = strtok_r(words, ", ", &save); word; word = strtok_r(NULL, ", ", &save)) {
        char *equals = strchr(word, '=');
        if (!equals) return misuse("--groups: \"%s\" has no value, as in weight-decay=0", word);
        *equals = '\0';
        int status = set_field(group, word, equals + 1);
        if (status >= 0) return status;
    }
    return -1;
}

int groups_parse(const char *words, glia_parameter_group *groups, int *n, settings *keeper) {
    for (const char *at = words + strspn(words, " "); *at; at += strspn(at, " ")) {
        const char *open = strchr(at, '('), *close = open ? strchr(open, ')') : NULL;
        if (!close || open == at) return misuse("--groups must be PATTERN(NAME=VALUE, ...), not \"%s\"", at);
        if (*n == PARAMETER_GROUPS) return misuse("--groups: more than %d groups", PARAMETER_GROUPS);
        text pattern = { 0 }, inside = { 0 };
        text_append(&pattern, at, (size_t)(open - at));
        text_append(&inside, open + 1, (size_t)(close - open - 1));
        glia_parameter_group *group = &groups[(*n)++];
        *group = (glia_parameter_group){ .pattern = settings_keep(keeper, pattern.bytes) };
        int status = parse_fields(inside.bytes, group);
        free(pattern.bytes);
        free(inside.bytes);
        if (status >= 0) return status;
        at = close + 1;
    }
    return -1;
}
