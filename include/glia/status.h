/* status.h - version, status and error messages. */
#ifndef GLIA_STATUS_H
#define GLIA_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GLIA_API __attribute__((visibility("default")))

#define GLIA_VERSION_MAJOR 0
#define GLIA_VERSION_MINOR 2
#define GLIA_VERSION_PATCH 0
#define GLIA_VERSION "0.2.0"

GLIA_API const char *glia_version(void); /* of the running library, which may differ from GLIA_VERSION */

/* Options are structs, and a field that is 0 has the default that its comment names. If the default is not 0 but 0 is a
 * valid value (beta1 = 0, no dropout, temperature 0), 0 is written as:
 *
 *     GLIA_ZERO   in a field of type double: exactly 0. It is the smallest normal double, never used as a value.
 *     GLIA_NONE   in an integer field: none. Fields where -1 has another meaning say so in their comments.
 *
 * Every field of type double of every options struct accepts GLIA_ZERO; if its default is 0 this is the same. */
#define GLIA_ZERO 2.2250738585072014e-308
#define GLIA_NONE (-1)

typedef enum glia_status {
    GLIA_OK,
    GLIA_E_NOMEM,       /* out of memory; everything is as before the call */
    GLIA_E_ARGUMENT,    /* a value outside its domain */
    GLIA_E_SHAPE,       /* incompatible shapes or dtypes */
    GLIA_E_NOT_FOUND,   /* no such file, data set, tensor, ... */
    GLIA_E_IO,          /* an operating system call failed */
    GLIA_E_FORMAT,      /* an invalid file; the message has the offset */
    GLIA_E_UNSUPPORTED, /* known, but not on this backend or in this build */
    GLIA_E_INTERRUPTED, /* stopped by a callback */
    GLIA_E_INTERNAL     /* an error in Glia */
} glia_status;

typedef struct glia_error {
    glia_status status;
    char message[512];
} glia_error;

GLIA_API const char *glia_status_name(glia_status status);

#ifdef __cplusplus
}
#endif

#endif
