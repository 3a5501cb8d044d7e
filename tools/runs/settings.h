/* settings.h - the settings of a training run. Options, configurations and --set refer to rows of one table.
 *
 * A configuration is JSON, as `glia train` writes it into each run's folder:
 *
 *     {"model": "lenet5", "data": {"address": "mnist", ...}, "optimizer": {"kind": "adam", "lr": 0.001, ...}, ...}
 *
 * A value that is null or not there is the model's default. "about" is informative and not read back. Settings of a
 * method are in a section of its name: {"gan": {"critic_steps": 5}}, --set gan.critic_steps=5.
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
    struct method_value *own; /* settings of methods, in no order; copies share them */
    struct word *words;       /* texts that belong to them; copies share them */
} settings;

settings settings_default(void);
void settings_free(settings *s);
/* Copies a text; the copy is freed with the settings. */
const char *settings_keep(settings *s, const char *words);

/* Writes the options that set the settings, with headings, to `out` (room for SETTINGS_OPTIONS). Returns the number. */
enum { SETTINGS_OPTIONS = 80 };
int settings_options(settings *s, option *out);

/* Fills in all settings of the method that trains `model`: those of the recipe (NULL: the defaults), overridden by what
 * was asked for; settings of another method are refused. Returns -1 and the text for glia_train(), or the exit status
 * after printing an error. */
int settings_of_method(settings *s, const char *model, const char *method, const char *recipe, const char **text);

/* These return -1, or the exit status after printing an error. */
int settings_set(settings *s, const char *assignment); /* "optimizer.lr=0.01" */
int settings_read(settings *s, const char *path);      /* a configuration, or a run folder with one */
void settings_write(const settings *s, json *j);       /* the members of an object */
/* Calls `tell` with the key and the value, as text, of each setting that differs from its default. */
void settings_each(const settings *s, void (*tell)(void *context, const char *key, const char *value), void *context);

#endif
