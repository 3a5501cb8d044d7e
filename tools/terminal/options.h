/* options.h - a subcommand's options as a table.
 *
 * --name VALUE or --name=VALUE (-o is --out, -n is --n); a switch is --name or --no-name; "--" ends the options; the
 * rest are arguments. An unknown option, an invalid number, a value out of range, too few or too many arguments: an
 * error message with the nearest name, and exit status 2.
 */
#ifndef GLIA_OPTIONS_H
#define GLIA_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

typedef enum option_kind {
    OPTION_FLAG,   /* bool: given or not */
    OPTION_SWITCH, /* int: 1 after --name, 0 after --no-name */
    OPTION_INT,    /* int64_t */
    OPTION_REAL,   /* double */
    OPTION_TEXT,   /* const char * */
    OPTION_LIST    /* option_list: may be given several times */
} option_kind;

typedef struct option_list {
    const char *items[64];
    int n;
} option_list;

typedef struct option {
    const char *name; /* NULL: a heading of the help text */
    option_kind kind;
    void *value;
    const char *argument; /* of the help text: "N", "FILE"; only a "TEXT" may be empty */
    const char *help;
    double least, most; /* of numbers, both included; both 0: any */
} option;

typedef struct options {
    const char *command; /* a row of commands.def */
    const option *table;
    int n;
    int least, most;     /* arguments; most -1: any number */
    const char *missing; /* name of the first missing argument in messages */
} options;

/* Sets the values and moves the arguments to argv[1 .. *count]. Returns -1 to continue, else the exit status: 0 after
 * --help, 2 after an error. */
int options_parse(const options *what, int argc, char **argv, int *count);
/* Sets the value of an option; `label` names it in messages. Returns -1 on success. */
int option_take(const option *o, const char *label, const char *value);
void options_help(const options *what);

#endif
