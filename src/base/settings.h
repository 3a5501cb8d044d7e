/* settings.h - reading and printing settings by a table (glia/settings.h). */
#ifndef GLIA_SRC_BASE_SETTINGS_H
#define GLIA_SRC_BASE_SETTINGS_H

#include "base/base.h"
#include "glia/settings.h"

typedef struct glia_setting_table {
    const char *owner, *name; /* "method", "gan": for messages */
    const glia_setting *rows;
    int n; /* at most 64 */
} glia_setting_table;

/* Writes the defaults, then what the text says, into `memory`. Texts are copied to the arena. */
glia_status glia_settings_parse(const glia_setting_table *table, const char *text, void *memory, glia_arena *texts,
                                glia_error *error);
/* Changes only what the text names. */
glia_status glia_settings_change(const glia_setting_table *table, const char *text, void *memory, glia_arena *texts,
                                 glia_error *error);
/* A setting that has an effect in some cases only. */
typedef struct glia_setting_need {
    const char *name;
    bool met;
    const char *needs; /* "prioritized=true" */
} glia_setting_need;
/* GLIA_E_ARGUMENT if a setting differs from its default and its need is not met. Not for texts. */
glia_status glia_settings_check(const glia_setting_table *table, const void *memory, const glia_setting_need *needs,
                                int n, glia_error *error);
/* Appends "name=value name=value". */
void glia_settings_print(const glia_setting_table *table, const void *memory, glia_text *out);

#endif
