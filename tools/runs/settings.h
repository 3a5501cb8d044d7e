/* settings.h - the settings of a training run. Options, configurations and --set name rows of one table.
 *
 * A configuration is JSON, as `glia train` writes it into each run's folder:
 *
 *     {"model": "lenet5", "data": {"address": "mnist", ...}, "optimizer": {"kind": "adam", "lr": 0.001, ...}, ...}
 *
 * A value that is null or not there is the model's default. "about" is informative and not read back.
 */
#ifndef GLIA_TOOL_SETTINGS_H
#define GLIA_TOOL_SETTINGS_H

#include "terminal/json.h"
#include "terminal/options.h"
#include "terminal/tool.h"

#define SETTING_TEXT   const char *
#define SETTING_REAL   double
#define SETTING_INT    int64_t
#define SETTING_SWITCH int

/* settings_default() first. Numbers that are NaN or 0, texts that are NULL, switches that are -1: the model's
 * default. */
typedef struct settings {
#define SECTION(heading)
#define SETTING(kind, field, key, option, argument, help, least, most) SETTING_##kind field;
#include "runs/settings.def"
#undef SETTING
#undef SECTION
    struct word *words; /* texts that belong to them; copies share them */
} settings;

settings settings_default(void);
void settings_free(settings *s);
/* Copies a text; the copy is freed with the settings. */
const char *settings_keep(settings *s, const char *words);

/* Options that fill the settings, headings among them; `out` has room for SETTINGS_OPTIONS. Returns how many. */
enum { SETTINGS_OPTIONS = 80 };
int settings_options(settings *s, option *out);

/* These return -1, or the exit status after printing an error. */
int settings_set(settings *s, const char *assignment); /* "optimizer.lr=0.01" */
int settings_read(settings *s, const char *path);      /* a configuration, or a run folder that has one */
void settings_write(const settings *s, json *j);       /* the members of an object */
/* Calls `tell` with the key and the value, as text, of each setting that is not at its default. */
void settings_each(const settings *s, void (*tell)(void *context, const char *key, const char *value), void *context);

#endif
