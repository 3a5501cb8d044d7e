/* tool.h - shared by the subcommands of `glia`: messages, growing strings, number formatting.
 *
 * A subcommand is a function of its arguments that returns the exit status. Unlike in the library, running out of
 * memory ends the program.
 */
#ifndef GLIA_TOOL_H
#define GLIA_TOOL_H

#include "base/base.h"
#include "glia/glia.h"
#include "models/models.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

typedef int (*command_fn)(int argc, char **argv); /* argv[0] is the subcommand's name */

typedef struct command {
    char name[16];
    command_fn run;
    const char *arguments, *summary;
} command;
int command_count(void);
const command *command_at(int index);
const command *command_find(const char *name); /* NULL: no such subcommand */

#define COMMAND(name, arguments, summary) int command_##name(int argc, char **argv);
#include "commands/commands.def"
#undef COMMAND

/* Prints "glia: MESSAGE" on stderr and returns EXIT_FAILED or EXIT_USAGE. */
int fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
int misuse(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Allocates memory; ends the program if there is none. */
void *allocate(size_t count, size_t size); /* zeroed */
char *duplicate(const char *words);

/* A string that grows. Zero-initialise; release bytes with free(). */
typedef glia_text text;
void text_append(text *t, const void *bytes, size_t length);
void text_add(text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends the bytes of a file; false: see errno. */
bool read_file(const char *path, text *content);
/* Writes a whole file under a temporary name and renames it, so it is never seen incomplete. False: see errno. */
bool write_file(const char *path, const void *bytes, size_t length);

/* Format a number in the caller's buffer and return it. */
enum { SHORT = 48 };
char *grouped(int64_t n, char out[SHORT]);           /* 60000 -> "60,000" */
char *duration(double seconds, char out[SHORT]);     /* "80 ms", "1.5 s", "12 s", "1:05", "2:03:15" */
char *byte_size(size_t bytes, char out[SHORT]);      /* "1.4 MiB" */
char *loss_text(double loss, char out[SHORT]);       /* "0.0712", "1.95e+15" */
char *shape_text(glia_shape shape, char out[SHORT]); /* "1x28x28" */

/* The capabilities of stdout. */
bool terminal_live(void);    /* a terminal whose lines can be redrawn */
bool terminal_colours(void); /* a terminal, and NO_COLOR is not set */
bool terminal_utf8(void);    /* the locale's encoding */
int terminal_columns(void);  /* 80 if unknown */

/* Whether every sample has exactly one class, an int32_t, as sample_class() requires. */
bool has_single_classes(const glia_dataset *data);
/* Reads the class of a sample, and its values into x unless that is NULL. The class is -1 if has_single_classes() is
 * false: targets of other shapes and types are not read. */
glia_status sample_class(const glia_dataset *data, int64_t index, float *x, int32_t *label, glia_error *error);

double seconds_now(void); /* of a monotonic clock */

/* Converts logits to probabilities, in place. */
void softmax(float *x, int n);

#endif
