/* error.c - writes messages into a caller's glia_error; names of statuses. */
#include <stdio.h>

#include "base/base.h"

glia_status glia_fail(glia_error *error, glia_status status, const char *format, ...) {
    if (error) {
        error->status = status;
        va_list args;
        va_start(args, format);
        vsnprintf(error->message, sizeof error->message, format, args);
        va_end(args);
    }
    return status;
}

glia_status glia_fail_nomem(glia_error *error) { return glia_fail(error, GLIA_E_NOMEM, "out of memory"); }

glia_status glia_fail_null(glia_error *error, const char *argument) {
    return glia_fail(error, GLIA_E_ARGUMENT, "%s is NULL", argument);
}

const char *glia_status_name(glia_status status) {
    static const char *const names[] = {
        [GLIA_OK] = "ok",
        [GLIA_E_NOMEM] = "out of memory",
        [GLIA_E_ARGUMENT] = "bad argument",
        [GLIA_E_SHAPE] = "shapes do not fit",
        [GLIA_E_NOT_FOUND] = "not found",
        [GLIA_E_IO] = "input/output",
        [GLIA_E_FORMAT] = "bad format",
        [GLIA_E_UNSUPPORTED] = "unsupported",
        [GLIA_E_INTERRUPTED] = "interrupted",
        [GLIA_E_INTERNAL] = "internal error",
    };
    return (unsigned)status < sizeof names / sizeof names[0] ? names[status] : "unknown status";
}

glia_status glia_fail_at_path(glia_error *error, const char *path, glia_status status) {
    if (status == GLIA_OK || !error) return status;
    glia_error inner = *error;
    return glia_fail(error, status, "%s: %s", path, inner.message);
}
