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

/* A setting of a method. */
typedef struct method_value {
    const char *method, *name, *value;
    struct method_value *next;
} method_value;

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
    for (method_value *v = s->own, *next; v; v = next) {
        next = v->next;
        free(v);
    }
    s->own = NULL;
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

/* ---- settings of methods --------------------------------------------------------------------- */

/* The method whose name the key begins with, as in gan.critic_steps; NULL: none. */
static const glia_method_info *method_of(const char *key, size_t length) {
    const char *dot = memchr(key, '.', length);
    for (int i = 0; dot && glia_method_at(i); i++) {
        const char *name = glia_method_at(i)->name;
        if (strlen(name) == (size_t)(dot - key) && strncmp(name, key, strlen(name)) == 0) return glia_method_at(i);
    }
    return NULL;
}

/* Checks and keeps a method's setting; the key is METHOD.NAME. value NULL: the default. */
static int give_own(settings *s, const glia_method_info *method, const char *where, const char *key, size_t length,
                    const char *value) {
    const size_t skip = strlen(method->name) + 1;
    text name = { 0 }, assignment = { 0 };
    text_add(&name, "%.*s", (int)(length - skip), key + skip);
    for (char *at = name.bytes; *at; at++)
        if (*at == '-') *at = '_';
    text_add(&assignment, "%s=%s", name.bytes, value ? value : "");
    glia_error error;
    char *checked = value ? glia_method_settings(method->name, assignment.bytes, NULL, &error) : duplicate("");
    method_value **at = &s->own;
    while (*at && (strcmp((*at)->method, method->name) != 0 || strcmp((*at)->name, name.bytes) != 0))
        at = &(*at)->next;
    if (checked && !*at) {
        *at = allocate(1, sizeof **at);
        **at = (method_value){ .method = method->name, .name = settings_keep(s, name.bytes) };
    }
    if (checked) (*at)->value = value ? settings_keep(s, value) : NULL;
    free(name.bytes);
    free(assignment.bytes);
    free(checked);
    return checked ? -1 : misuse("%s: %s", where, error.message);
}

/* Replaces the values by those of the text "name=value name=value". */
static void take_resolved(settings *s, const char *method, const char *words) {
    for (method_value *v = s->own, *next; v; v = next) {
        next = v->next;
        free(v);
    }
    s->own = NULL;
    method_value **end = &s->own;
    for (const char *at = words; *at; at += strcspn(at, " "), at += *at == ' ') {
        const int name = (int)strcspn(at, "="), value = (int)strcspn(at + name + 1, " ");
        text pair[2] = { { 0 }, { 0 } };
        text_add(&pair[0], "%.*s", name, at);
        text_add(&pair[1], "%.*s", value, at + name + 1);
        *end = allocate(1, sizeof **end);
        **end = (method_value){ .method = method,
                                .name = settings_keep(s, pair[0].bytes),
                                .value = settings_keep(s, pair[1].bytes) };
        end = &(*end)->next;
        free(pair[0].bytes);
        free(pair[1].bytes);
    }
}

int settings_of_method(settings *s, const char *model, const char *method, const char *recipe, const char **out) {
    text asked = { 0 };
    int status = -1;
    for (const method_value *v = s->own; v && status < 0; v = v->next) {
        if (!v->value) continue;
        if (strcmp(v->method, method) != 0)
            status = misuse("%s.%s is a setting of the method %s, and %s is trained by %s", v->method, v->name,
                            v->method, model, method);
        text_add(&asked, "%s=%s ", v->name, v->value);
    }
    glia_error error;
    char *resolved = status < 0 ? glia_method_settings(method, recipe, asked.bytes, &error) : NULL;
    if (status < 0 && !resolved) status = misuse("%s", error.message);
    if (resolved) {
        *out = settings_keep(s, resolved);
        take_resolved(s, glia_method_find(method)->name, *out);
    }
    free(resolved);
    free(asked.bytes);
    return status;
}

/* Whether the value is written in quotes. */
static bool is_quoted(const method_value *v) {
    const glia_method_info *m = glia_method_find(v->method);
    for (int i = 0; m && i < m->n_settings; i++) {
        const glia_setting *s = &m->settings[i];
        if (strcmp(s->name, v->name) == 0) return s->kind == GLIA_SETTING_CHOICE || s->kind == GLIA_SETTING_TEXT;
    }
    return true;
}

static void write_own(const settings *s, json *j) {
    if (s->own) json_open(j, s->own->method, '{'); /* resolved: all of one method */
    for (const method_value *v = s->own; v; v = v->next) {
        if (is_quoted(v))
            json_text(j, v->name, v->value);
        else
            json_raw(j, v->name, v->value ? v->value : "null");
    }
    if (s->own) json_close(j, '}');
}

int settings_set(settings *s, const char *assignment) {
    const char *equals = strchr(assignment, '=');
    if (!equals) return misuse("--set must be NAME=VALUE, as in optimizer.lr=0.01, not \"%s\"", assignment);
    size_t length = (size_t)(equals - assignment);
    bool none = strcmp(equals + 1, "null") == 0 || equals[1] == '\0';
    const char *value = none ? NULL : equals + 1;
    const glia_method_info *method = method_of(assignment, length);
    if (method) return give_own(s, method, "--set", assignment, length, value);
    const row *r = find(assignment, length);
    return r ? give(s, r, "--set", value) : unknown("--set", assignment, length);
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
    const glia_method_info *method = method_of(key, strlen(key));
    if (method) {
        r->status = give_own(r->s, method, r->path, key, strlen(key), kind == JSON_NULL ? NULL : value);
    } else if (!setting) {
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
    write_own(s, j);
}

void settings_each(const settings *s, void (*tell)(void *context, const char *key, const char *value), void *context) {
    char number[SHORT];
    for (int i = 0; i < ROWS; i++) {
        const char *value = rows[i].key ? print_value(s, &rows[i], number) : NULL;
        if (value) tell(context, rows[i].key, value);
    }
    for (const method_value *v = s->own; v; v = v->next) {
        char key[2 * SHORT];
        snprintf(key, sizeof key, "%s.%s", v->method, v->name);
        if (v->value) tell(context, key, v->value);
    }
}
