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

GLIA_API const char *glia_version(void); /* of the library that runs, which may differ from GLIA_VERSION */

typedef enum glia_status {
    GLIA_OK,
    GLIA_E_NOMEM,       /* memory ran out; everything is as it was before the call */
    GLIA_E_ARGUMENT,    /* a value outside its domain */
    GLIA_E_SHAPE,       /* shapes or dtypes that do not fit together */
    GLIA_E_NOT_FOUND,   /* no such file, data set, tensor, ... */
    GLIA_E_IO,          /* the operating system refused */
    GLIA_E_FORMAT,      /* a file that is not what it claims; the message has the offset */
    GLIA_E_UNSUPPORTED, /* known, but not on this backend or in this build */
    GLIA_E_INTERRUPTED, /* a callback asked to stop */
    GLIA_E_INTERNAL     /* a mistake in Glia */
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
