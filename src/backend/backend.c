/* backend.c - the table of backends; opens and closes a backend.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/launch/backend.h"

static const glia_backend_kind *const kinds[] = { &glia_backend_cpu, &glia_backend_ref };

static glia_status fail_unknown(const char *name, glia_error *error) {
    const char *names[GLIA_COUNT(kinds)];
    for (int i = 0; i < GLIA_COUNT(kinds); i++) names[i] = kinds[i]->name;
    const char *near = glia_nearest(name, names, GLIA_COUNT(kinds));
    if (near) return glia_fail(error, GLIA_E_NOT_FOUND, "unknown backend '%s'; did you mean '%s'?", name, near);
    return glia_fail(error, GLIA_E_NOT_FOUND, "unknown backend '%s'; backends are 'cpu' and 'ref'", name);
}

glia_backend *glia_backend_open(const char *name, int threads, glia_error *error) {
    const glia_backend_kind *kind = NULL;
    if (!name) name = kinds[0]->name;
    for (int i = 0; i < GLIA_COUNT(kinds); i++) {
        if (!strcmp(kinds[i]->name, name)) kind = kinds[i];
    }
    if (!kind) {
        fail_unknown(name, error);
        return NULL;
    }
    glia_backend *backend = calloc(1, sizeof *backend);
    if (!backend) {
        glia_fail_nomem(error);
        return NULL;
    }
    backend->kind = kind;
    if (kind->open(backend, threads, error) != GLIA_OK) {
        glia_backend_close(backend);
        return NULL;
    }
    return backend;
}

void glia_backend_close(glia_backend *backend) {
    if (!backend) return;
    glia_pool_free(backend->pool);
    free(backend);
}

const char *glia_backend_describe(const glia_backend *backend) { return backend ? backend->description : ""; }
