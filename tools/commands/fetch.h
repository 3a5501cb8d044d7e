/* fetch.h - downloading data sets. */
#ifndef GLIA_TOOL_FETCH_H
#define GLIA_TOOL_FETCH_H

#include "terminal/tool.h"

typedef struct fetch_opts {
    const char *to;     /* folder; NULL: where data by name are looked for last, ~/.cache/glia */
    const char *mirror; /* fetch MIRROR/NAME/FILE instead; may be NULL */
    const char *sha256; /* of an address; may be NULL */
} fetch_opts;

/* The files of a data set that is known by name, or one by its http(s) address. Returns the exit status. */
int fetch(const char *what, fetch_opts opts);

/* "mnist, fashion-mnist, ..." */
void fetch_names(text *out);

#endif
