/* settings.c - the table of settings; reads and writes configurations. */
#include "runs/settings.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct row {
    option_kind kind;
    size_t offset;
    const char *key, *name, *argument, *help; /* key NULL: a heading */
    double least, most;
} row;

static const row rows[] = {
#define SECTION(heading) { .help = heading },
#define SETTING(kind_, field, key_, option_, argument_, help_, least_, most_)                                          \
    { OPTION_##kind_, offsetof(settings, field), key_, option_, argument_, help_, least_, most_ },
#include "runs/settings.def"
#undef SETTING
#undef SECTION
};
enum { ROWS = sizeof rows / sizeof rows[0] };
_Static_assert(ROWS + 16 <= SETTINGS_OPTIONS, "room for the settings and a command's own options");

typedef struct word {
    char *text;
    struct word *next;
} word;

static void *place(const settings *s, const row *r) { return (char *)s + r->offset; }

settings settings_default(void) {
    settings s = { .words = allocate(1, sizeof *s.words) };
    for (int i = 0; i < ROWS; i++) {
        if (!rows[i].key) continue;
        if (rows[i].kind == OPTION_REAL) *(double *)place(&s, &rows[i]) = NAN;
        if (rows[i].kind == OPTION_SWITCH) *(int *)place(&s, &rows[i]) = -1;
    }
    return s;
}

void settings_free(settings *s) {
    for (word *w = s->words, *next; w; w = next) {
        next = w->next;
        free(w->text);
        free(w);
    }
    s->words = NULL;
}

const char *settings_keep(settings *s, const char *words) {
    word *w = allocate(1, sizeof *w);
    *w = (word){ duplicate(words), s->words->next };
    s->words->next = w;
    return w->text;
}

static option option_of(settings *s, const row *r) {
    return (option){ r->name, r->kind, place(s, r), r->argument, r->help, r->least, r->most };
}

int settings_options(settings *s, option *out) {
    int n = 0;
    for (int i = 0; i < ROWS; i++) {
        if (!rows[i].key) out[n++] = (option){ .help = rows[i].help };
        if (rows[i].key && rows[i].name) out[n++] = option_of(s, &rows[i]);
    }
    return n;
}

/* ---- one of them by its key ---------------------------------------------------------------- */

/* "-" and "_" are the same in a key. */
static bool same_key(const char *key, const char *other, size_t length) {
    if (strlen(key) != length) return false;
    for (size_t i = 0; i < length; i++)
        if ((key[i] == '-' ? '_' : key[i]) != (other[i] == '-' ? '_' : other[i])) return false;
    return true;
}

static const row *find(const char *key, size_t length) {
    for (int i = 0; i < ROWS; i++)
        if (rows[i].key && same_key(rows[i].key, key, length)) return &rows[i];
    return NULL;
}

/* Reports an unknown key with the nearest one, also by its last word or its option ("lr" for optimizer.lr). */
static int unknown(const char *where, const char *key, size_t length) {
    char *asked = duplicate(key);
    asked[length] = '\0';
    const char *near = NULL, *names[ROWS];
    int n = 0;
    for (int i = 0; i < ROWS; i++) {
        if (!rows[i].key) continue;
        const char *dot = strchr(rows[i].key, '.');
        names[n++] = rows[i].key;
        if ((dot && strcmp(dot + 1, asked) == 0) || (rows[i].name && strcmp(rows[i].name, asked) == 0))
            near = rows[i].key;
    }
    if (!near) near = glia_name_nearest(asked, names, n);
    int status = near ? misuse("%s: unknown setting \"%s\"; did you mean %s?", where, asked, near)
                      : misuse("%s: unknown setting \"%s\"; a run's config.json lists all settings", where, asked);
    free(asked);
    return status;
}

/* Sets a value; NULL: the default. Returns -1 on success. */
static int give(settings *s, const row *r, const char *where, const char *value) {
    if (!value) {
        settings fresh = settings_default();
        size_t size = r->kind == OPTION_TEXT ? sizeof(char *) : r->kind == OPTION_SWITCH ? sizeof(int) : sizeof(double);
        memcpy(place(s, r), place(&fresh, r), size);
        settings_free(&fresh);
        return -1;
    }
    option o = option_of(s, r);
    text label = { 0 };
    text_add(&label, "%s: %s", where, r->key);
    int status = option_take(&o, label.bytes, r->kind == OPTION_TEXT ? settings_keep(s, value) : value);
    free(label.bytes);
    return status;
}

int settings_set(settings *s, const char *assignment) {
    const char *equals = strchr(assignment, '=');
    if (!equals) return misuse("--set must be NAME=VALUE, as in optimizer.lr=0.01, not \"%s\"", assignment);
    size_t length = (size_t)(equals - assignment);
    const row *r = find(assignment, length);
    if (!r) return unknown("--set", assignment, length);
    bool none = strcmp(equals + 1, "null") == 0 || equals[1] == '\0';
    return give(s, r, "--set", none ? NULL : equals + 1);
}

/* ---- configurations ------------------------------------------------------------------------ */

typedef struct reading {
    settings *s;
    const char *path;
    int status;
} reading;

static bool read_value(void *context, const char *key, json_kind kind, const char *value) {
    reading *r = context;
    if (strncmp(key, "about.", 6) == 0) return true;
    const row *setting = find(key, strlen(key));
    if (!setting) {
        r->status = unknown(r->path, key, strlen(key));
    } else if (kind != JSON_NULL && (setting->kind == OPTION_TEXT) != (kind == JSON_TEXT)) {
        r->status = misuse("%s: %s must be %s, not %s", r->path, setting->key,
                           setting->kind == OPTION_TEXT ? "a text in quotes" : "a value without quotes", value);
    } else {
        r->status = give(r->s, setting, r->path, kind == JSON_NULL ? NULL : value);
    }
    return r->status < 0;
}

int settings_read(settings *s, const char *path) {
    struct stat info;
    text file = { 0 }, content = { 0 };
    text_add(&file, stat(path, &info) == 0 && S_ISDIR(info.st_mode) ? "%s/config.json" : "%s", path);
    reading r = { .s = s, .path = file.bytes, .status = -1 };
    if (!read_file(file.bytes, &content)) {
        r.status = fail("%s: %s", file.bytes, strerror(errno));
    } else {
        glia_error error;
        bool read = json_read(content.bytes ? content.bytes : "", content.length, read_value, &r, &error);
        if (!read && r.status < 0) r.status = fail("%s: %s", file.bytes, error.message);
    }
    free(file.bytes);
    free(content.bytes);
    return r.status;
}

/* The value as JSON; NULL: the default. */
static const char *print_value(const settings *s, const row *r, char out[SHORT]) {
    const void *at = place(s, r);
    switch (r->kind) {
    case OPTION_TEXT: return *(const char *const *)at;
    case OPTION_REAL: return isnan(*(const double *)at) ? NULL : glia_number_print(*(const double *)at, out);
    case OPTION_SWITCH: return *(const int *)at < 0 ? NULL : *(const int *)at ? "true" : "false";
    default:
        if (*(const int64_t *)at == 0 && r->least > 0) return NULL;
        snprintf(out, SHORT, "%lld", (long long)*(const int64_t *)at);
        return out;
    }
}

void settings_write(const settings *s, json *j) {
    char section[SHORT] = "", number[SHORT];
    for (int i = 0; i < ROWS; i++) {
        const row *r = &rows[i];
        if (!r->key) continue;
        const char *dot = strchr(r->key, '.'), *key = dot ? dot + 1 : r->key;
        size_t length = dot ? (size_t)(dot - r->key) : 0;
        if (strncmp(section, r->key, length) != 0 || section[length]) {
            if (section[0]) json_close(j, '}');
            snprintf(section, sizeof section, "%.*s", (int)length, r->key);
            if (length) json_open(j, section, '{');
        }
        const char *value = print_value(s, r, number);
        if (r->kind == OPTION_TEXT)
            json_text(j, key, value);
        else
            json_raw(j, key, value ? value : "null");
    }
    if (section[0]) json_close(j, '}');
}

void settings_each(const settings *s, void (*tell)(void *context, const char *key, const char *value), void *context) {
    char number[SHORT];
    for (int i = 0; i < ROWS; i++) {
        const char *value = rows[i].key ? print_value(s, &rows[i], number) : NULL;
        if (value) tell(context, rows[i].key, value);
    }
}
