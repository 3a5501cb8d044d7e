/* settings.c - settings by a table: from text into the owner's memory, and back. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/settings.h"

enum { MOST_SETTINGS = 64, LONGEST_NAME = 64, LONGEST_VALUE = 256 };

static bool same_name(const char *name, const char *text, size_t length) {
    if (strlen(name) != length) return false;
    for (size_t i = 0; i < length; i++) {
        if ((text[i] == '-' ? '_' : text[i]) != name[i]) return false;
    }
    return true;
}

static const glia_setting *find(const glia_setting_table *m, const char *text, size_t length, glia_error *error) {
    const char *names[MOST_SETTINGS];
    for (int i = 0; i < m->n; i++) {
        if (same_name(m->rows[i].name, text, length)) return &m->rows[i];
        names[i] = m->rows[i].name;
    }
    char asked[LONGEST_NAME];
    const size_t kept = GLIA_MIN(length, sizeof asked - 1);
    memcpy(asked, text, kept);
    asked[kept] = 0;
    const char *near = glia_nearest(asked, names, m->n);
    glia_fail(error, GLIA_E_ARGUMENT, "the %s %s has no setting '%s'%s%s%s", m->owner, m->name, asked,
              near   ? "; did you mean '"
              : m->n ? ""
                     : ": it has no settings of its own",
              near ? near : "", near ? "'?" : "");
    return NULL;
}

/* The index of the choice; -1: there is none of this name. */
static int find_choice(const char *choices, const char *value, size_t length) {
    int index = 0;
    for (const char *at = choices;; index++) {
        const size_t n = strcspn(at, "|");
        if (n == length && memcmp(at, value, n) == 0) return index;
        if (!at[n]) return -1;
        at += n + 1;
    }
}

static glia_status take_number(const glia_setting_table *m, const glia_setting *s, const char *value, size_t length,
                               void *to, glia_error *error) {
    double number;
    const bool whole = s->kind == GLIA_SETTING_INT;
    if (!glia_number_parse(value, value + length, &number) || (whole && number != floor(number))) {
        return glia_fail(error, GLIA_E_ARGUMENT, "%s.%s must be %s, not '%.*s'", m->name, s->name,
                         whole ? "a whole number" : "a number", (int)length, value);
    }
    if (!(number >= s->least && number <= s->most)) {
        return glia_fail(error, GLIA_E_ARGUMENT, "%s.%s is %g, which is not in [%g, %g]", m->name, s->name, number,
                         s->least, s->most);
    }
    if (whole)
        *(int64_t *)to = (int64_t)number;
    else
        *(double *)to = number;
    return GLIA_OK;
}

static glia_status take(const glia_setting_table *m, const glia_setting *s, const char *value, size_t length, void *to,
                        glia_arena *texts, glia_error *error) {
    if (s->kind == GLIA_SETTING_REAL || s->kind == GLIA_SETTING_INT) {
        return take_number(m, s, value, length, to, error);
    }
    if (s->kind == GLIA_SETTING_TEXT) {
        char *copy = length ? glia_arena_printf(texts, "%.*s", (int)length, value) : NULL;
        if (length && !copy) return glia_fail_nomem(error);
        *(const char **)to = copy;
        return GLIA_OK;
    }
    const bool on_off = s->kind == GLIA_SETTING_SWITCH;
    const char *choices = on_off ? "false|true" : s->choices;
    const int choice = find_choice(choices, value, length);
    if (choice < 0) {
        return glia_fail(error, GLIA_E_ARGUMENT, "%s.%s must be one of %s, not '%.*s'", m->name, s->name, choices,
                         (int)length, value);
    }
    if (on_off)
        *(bool *)to = choice == 1;
    else
        *(int *)to = choice;
    return GLIA_OK;
}

static void write_initial(const glia_setting *s, void *to) {
    switch (s->kind) {
    case GLIA_SETTING_REAL: *(double *)to = s->initial; break;
    case GLIA_SETTING_INT: *(int64_t *)to = (int64_t)s->initial; break;
    case GLIA_SETTING_SWITCH: *(bool *)to = s->initial != 0; break;
    case GLIA_SETTING_CHOICE: *(int *)to = (int)s->initial; break;
    case GLIA_SETTING_TEXT: *(const char **)to = NULL; break;
    }
}

glia_status glia_settings_parse(const glia_setting_table *m, const char *text, void *memory, glia_arena *texts,
                                glia_error *error) {
    for (int i = 0; i < m->n; i++) write_initial(&m->rows[i], (char *)memory + m->rows[i].offset);
    return glia_settings_change(m, text, memory, texts, error);
}

glia_status glia_settings_change(const glia_setting_table *m, const char *text, void *memory, glia_arena *texts,
                                 glia_error *error) {
    static const char separators[] = " ,\t\n";
    bool seen[MOST_SETTINGS] = { false };
    char *bytes = memory;
    for (const char *at = text ? text : ""; *(at += strspn(at, separators));) {
        const size_t length = strcspn(at, separators), name = strcspn(at, "= ,\t\n");
        if (name == 0 || at[name] != '=') {
            return glia_fail(error, GLIA_E_ARGUMENT, "settings are written name=value, not '%.*s'",
                             (int)GLIA_MIN(length, 100), at);
        }
        if (length - name - 1 >= LONGEST_VALUE) {
            return glia_fail(error, GLIA_E_ARGUMENT, "the value of '%.*s' is too long", (int)GLIA_MIN(name, 100), at);
        }
        const glia_setting *s = find(m, at, name, error);
        if (!s) return GLIA_E_ARGUMENT;
        bool *again = &seen[s - m->rows];
        if (*again) return glia_fail(error, GLIA_E_ARGUMENT, "%s.%s is set twice", m->name, s->name);
        *again = true;
        const glia_status status = take(m, s, at + name + 1, length - name - 1, bytes + s->offset, texts, error);
        if (status != GLIA_OK) return status;
        at += length;
    }
    return GLIA_OK;
}

static bool is_initial(const glia_setting *s, const void *value) {
    switch (s->kind) {
    case GLIA_SETTING_REAL: return *(const double *)value == s->initial;
    case GLIA_SETTING_INT: return *(const int64_t *)value == (int64_t)s->initial;
    case GLIA_SETTING_SWITCH: return *(const bool *)value == (s->initial != 0);
    case GLIA_SETTING_CHOICE: return *(const int *)value == (int)s->initial;
    case GLIA_SETTING_TEXT: return true;
    }
    return true;
}

glia_status glia_settings_check(const glia_setting_table *m, const void *memory, const glia_setting_need *needs, int n,
                                glia_error *error) {
    for (int i = 0; i < n; i++) {
        const glia_setting *s = needs[i].met ? NULL : find(m, needs[i].name, strlen(needs[i].name), error);
        if (!s || is_initial(s, (const char *)memory + s->offset)) continue;
        return glia_fail(error, GLIA_E_ARGUMENT, "%s.%s has no effect: it needs %s.%s", m->name, s->name, m->name,
                         needs[i].needs);
    }
    return GLIA_OK;
}

/* Appends the choice at this index. */
static void print_choice(const char *choices, int index, glia_text *out) {
    for (; index > 0; index--) choices += strcspn(choices, "|") + 1;
    glia_text_append(out, choices, strcspn(choices, "|"));
}

void glia_settings_print(const glia_setting_table *m, const void *memory, glia_text *out) {
    char number[GLIA_NUMBER_TEXT];
    bool first = true;
    for (int i = 0; i < m->n; i++) {
        const glia_setting *s = &m->rows[i];
        const void *value = (const char *)memory + s->offset;
        if (s->kind == GLIA_SETTING_TEXT && !*(const char *const *)value) continue;
        glia_text_printf(out, "%s%s=", first ? "" : " ", s->name);
        first = false;
        switch (s->kind) {
        case GLIA_SETTING_REAL: glia_text_printf(out, "%s", glia_number_print(*(const double *)value, number)); break;
        case GLIA_SETTING_INT: glia_text_printf(out, "%lld", (long long)*(const int64_t *)value); break;
        case GLIA_SETTING_SWITCH: glia_text_printf(out, "%s", *(const bool *)value ? "true" : "false"); break;
        case GLIA_SETTING_CHOICE: print_choice(s->choices, *(const int *)value, out); break;
        case GLIA_SETTING_TEXT: glia_text_printf(out, "%s", *(const char *const *)value); break;
        }
    }
    if (first) glia_text_append(out, "", 0);
}
