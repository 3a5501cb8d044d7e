/* settings.h - the settings of a training run. Options, configurations and --set refer to rows of one table.
 *
 * A configuration is JSON, as `glia train` writes it into each run's folder:
 *
 *     {"model": "lenet5", "data": {"address": "mnist", ...}, "optimizer": {"kind": "adam", "lr": 0.001, ...}, ...}
 *
 * A null or missing value is the model's default. "about" is informative and not read back.
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

/* Initialise with settings_default(). A number that is NaN or 0, a text that is NULL and a switch that is -1 are the
 * model's default. */
typedef struct settings {
#define SECTION(heading)
#define SETTING(kind, field, key, option, argument, help, least, most) SETTING_##kind field;
#include "runs/settings.def"
#undef SETTING
#undef SECTION
    struct word *words; /* owned texts; shared by copies */
} settings;

settings settings_default(void);
void settings_free(settings *s);
/* Copies a text; the copy is freed with the settings. */
const char *settings_keep(settings *s, const char *words);

/* Writes the options that set the settings, with headings, to `out` (room for SETTINGS_OPTIONS). Returns the number. */
enum { SETTINGS_OPTIONS = 80 };
int settings_options(settings *s, option *out);

/* These return -1, or the exit status after printing an error. */
int settings_set(settings *s, const char *assignment); /* "optimizer.lr=0.01" */
int settings_read(settings *s, const char *path);      /* a configuration, or a run folder with one */
void settings_write(const settings *s, json *j);       /* the members of an object */
/* Calls `tell` with the key and the value, as text, of each setting that differs from its default. */
void settings_each(const settings *s, void (*tell)(void *context, const char *key, const char *value), void *context);

#endif
