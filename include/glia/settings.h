/* settings.h - settings as tables: what methods and environments can be told, as text "name=value name=value".
 *
 * A table lets programs list, check and print settings. Values lie in plain memory of the owner, at the offsets that
 * the table names.
 */
#ifndef GLIA_SETTINGS_H
#define GLIA_SETTINGS_H

#include "glia/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum glia_setting_kind {
    GLIA_SETTING_REAL,   /* double */
    GLIA_SETTING_INT,    /* int64_t */
    GLIA_SETTING_SWITCH, /* bool: true or false */
    GLIA_SETTING_CHOICE, /* int: index of one of the names in `choices` */
    GLIA_SETTING_TEXT    /* const char *, NULL if not set; without spaces */
} glia_setting_kind;

/* One setting. */
typedef struct glia_setting {
    const char *name; /* "critic_steps"; in texts - and _ are the same */
    glia_setting_kind kind;
    size_t offset;       /* of the value in the owner's memory */
    double initial;      /* default; of a choice its index; of texts unused */
    double least, most;  /* inclusive; of reals and integers */
    const char *choices; /* "gan|wgan-gp" */
    const char *help;    /* one line */
} glia_setting;

#ifdef __cplusplus
}
#endif

#endif
