/* readers.h - internal: what the readers of graph files share: lines, fields and numbers of text; growing lists. */
#ifndef GLIA_SRC_DATA_GRAPHS_READERS_H
#define GLIA_SRC_DATA_GRAPHS_READERS_H

#include "data/formats/formats.h"
#include "data/graphs/graph_data.h"

/* ---- lines -------------------------------------------------------------------------------------- */

/* A text file, plain or gzipped, line by line. After an error `status` is set and there are no more lines. */
typedef struct glia_lines {
    const char *path;
    const char *begin, *end, *at; /* the line, without its end, and the position in it */
    int64_t line;                 /* from 1 */
    glia_status status;
    glia_error *error;
    glia_file file; /* private, as are these */
    uint8_t *owned;
    const char *next, *stop;
} glia_lines;

/* Tries path, then path.gz. */
glia_status glia_lines_open(glia_lines *lines, const char *path, glia_error *error);
/* The same over text in memory; `name` stands for the path. */
void glia_lines_of_text(glia_lines *lines, const char *name, const char *text, size_t length, glia_error *error);
void glia_lines_close(glia_lines *lines);
/* The next line that is neither empty nor a comment (#); false: there is none. */
bool glia_lines_next(glia_lines *lines);
/* "path: line 3: ..."; returns false. */
bool glia_lines_fail(glia_lines *lines, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The next word between spaces, tabs, commas and semicolons. false: the line is over. */
bool glia_lines_word(glia_lines *lines, const char **word, const char **end);
/* The next field of a table: up to a comma (quotes may enclose it). false: the line is over. */
bool glia_lines_field(glia_lines *lines, const char **field, const char **end);
/* A whole number in [least, most], from a word; false: says what is wrong, `what` it should be. */
bool glia_lines_integer(glia_lines *lines, const char *what, int64_t least, int64_t most, int64_t *value);
bool glia_parse_integer(const char *word, const char *end, int64_t *value);
static inline bool glia_word_is(const char *word, const char *end, const char *text) {
    size_t n = 0;
    while (word + n < end && text[n] && word[n] == text[n]) n++;
    return word + n == end && !text[n];
}

/* ---- lists -------------------------------------------------------------------------------------- */

typedef struct glia_ints {
    int32_t *at;
    int64_t n, capacity;
} glia_ints;
typedef struct glia_floats {
    float *at;
    int64_t n, capacity;
} glia_floats;
bool glia_ints_add(glia_ints *list, int64_t value); /* false: out of memory */
bool glia_floats_add(glia_floats *list, double value);

/* Words by number, in order of first occurrence. */
typedef struct glia_names {
    char **at;
    int n, capacity;
} glia_names;
int glia_names_add(glia_names *names, const char *word, const char *end); /* its number; -1: out of memory */
void glia_names_free(glia_names *names);

/* ---- readers, one for each kind of address ------------------------------------------------------- */

enum { GLIA_GRAPH_OPTIONS = 8 };
typedef struct glia_graph_source {
    const char *name, *path;
    const char *keys[GLIA_GRAPH_OPTIONS], *values[GLIA_GRAPH_OPTIONS];
    int n;
} glia_graph_source;
const char *glia_graph_option(const glia_graph_source *source, const char *key); /* NULL: not given */

/* The type of a reader: NULL after an error. */
typedef glia_graph_data *glia_graph_reader(const glia_graph_source *source, glia_error *error);
glia_graph_reader glia_read_graph_folder, glia_read_gin_text, glia_read_tu_collection, glia_read_edge_list,
    glia_read_graph_tables, glia_read_smiles_table, glia_read_ratings, glia_read_planetoid;

/* folds (items) from the column of folds.csv beside a file of data; -1: in none. */
glia_status glia_read_folds(const char *path, const char *column, int64_t items, int32_t *folds, glia_error *error);

/* Marks "split" from words train, val, valid, validation, test; -1: another word. */
int glia_graph_split_named(const char *word, const char *end);

#endif
