/* fetch.h - downloading data sets. */
#ifndef GLIA_TOOL_FETCH_H
#define GLIA_TOOL_FETCH_H

#include "terminal/tool.h"

typedef struct fetch_opts {
    const char *to;     /* folder; NULL: ~/.cache/glia */
    const char *mirror; /* fetch MIRROR/NAME/FILE instead; may be NULL */
    const char *sha256; /* expected checksum of a URL; may be NULL */
} fetch_opts;

/* Downloads the files of a named dataset, or one file by its http(s) URL. Returns the exit status. */
int fetch(const char *what, fetch_opts opts);

/* "mnist, fashion-mnist, ..." */
void fetch_names(text *out);

#endif
