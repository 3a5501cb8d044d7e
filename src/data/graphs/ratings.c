/* ratings.c - who liked what: a table with columns user, item and rating as a graph of users and items.
 *
 * Users are the first nodes, items the others, each in order of first occurrence; the array "kind" of nodes (i32) is 0
 * for users and 1 for items. An edge has "rating" (f32; 1 without such a column).
 */
#include <stdlib.h>
#include <string.h>

#include "data/graphs/readers.h"

typedef struct ids {
    glia_names names;
    glia_hash_table table;
} ids;

static void free_ids(ids *i) {
    glia_names_free(&i->names);
    glia_hash_free(&i->table);
}

/* The number of a word; -1: out of memory. */
static int number_of(ids *i, const char *word, const char *end) {
    const uint32_t hash = glia_hash_u32(word, (size_t)(end - word));
    int32_t found;
    for (uint32_t at = hash; (found = glia_hash_next(&i->table, hash, &at)) >= 0;) {
        if (glia_word_is(word, end, i->names.at[found])) return found;
    }
    char *copy = strndup(word, (size_t)(end - word));
    if (!copy || !glia_grow((void **)&i->names.at, i->names.n, &i->names.capacity, sizeof *i->names.at) ||
        !glia_hash_add(&i->table, hash, i->names.n)) {
        free(copy);
        return -1;
    }
    i->names.at[i->names.n] = copy;
    return i->names.n++;
}

enum { USER, ITEM, RATING, COLUMNS };
static const char *const columns[] = { "user", "item", "rating" };

typedef struct ratings {
    int places[COLUMNS]; /* -1: there is no such column */
    ids users, items;
    glia_ints from, to;
    glia_floats values;
} ratings;

static bool read_header(glia_lines *l, ratings *r) {
    const char *word, *end;
    for (int k = 0; k < COLUMNS; k++) r->places[k] = -1;
    if (!glia_lines_next(l)) return l->status == GLIA_OK && glia_lines_fail(l, "the table is empty");
    for (int i = 0; glia_lines_field(l, &word, &end); i++) {
        for (int k = 0; k < COLUMNS; k++) {
            if (glia_word_is(word, end, columns[k])) r->places[k] = i;
        }
    }
    return (r->places[USER] >= 0 && r->places[ITEM] >= 0) || glia_lines_fail(l, "there are no columns user and item");
}

static bool read_row(glia_lines *l, ratings *r) {
    const char *word, *end, *field[COLUMNS] = { 0 }, *stop[COLUMNS] = { 0 };
    double value = 1;
    for (int i = 0; glia_lines_field(l, &word, &end); i++) {
        for (int k = 0; k < COLUMNS; k++) {
            if (r->places[k] == i) field[k] = word, stop[k] = end;
        }
    }
    if (!field[USER] || !field[ITEM] || (r->places[RATING] >= 0 && !field[RATING]))
        return glia_lines_fail(l, "the line has too few fields");
    if (field[RATING] && !glia_number_parse(field[RATING], stop[RATING], &value))
        return glia_lines_fail(l, "the rating is not a number");
    const int user = number_of(&r->users, field[USER], stop[USER]),
              item = number_of(&r->items, field[ITEM], stop[ITEM]);
    if (user >= 0 && item >= 0 && glia_ints_add(&r->from, user) && glia_ints_add(&r->to, item) &&
        glia_floats_add(&r->values, value))
        return true;
    l->status = glia_fail_nomem(l->error);
    return false;
}

static glia_graph_data *make(const char *name, ratings *r, glia_error *error) {
    const int64_t nodes = (int64_t)r->users.names.n + r->items.names.n;
    for (int64_t i = 0; i < r->to.n; i++) r->to.at[i] += r->users.names.n;
    const glia_graph_edges edges = { .nodes = nodes,
                                     .edges = r->from.n,
                                     .from = r->from.at,
                                     .to = r->to.at,
                                     .undirected = true,
                                     .repeated = GLIA_EDGES_DROP };
    glia_graph_data *d = glia_graph_data_create(name, edges, error);
    glia_error reason = { 0 };
    int32_t *kind = d ? glia_graph_add_zeros(d, GLIA_OF_NODES, "kind", GLIA_I32, GLIA_SCALAR, &reason) : NULL;
    if (d && !kind) glia_fail(error, reason.status, "%s", reason.message);
    for (int64_t v = r->users.names.n; kind && v < nodes; v++) kind[v] = 1;
    if (kind && glia_graph_data_add(d, GLIA_OF_EDGES, "rating", GLIA_F32, GLIA_SCALAR, r->values.at, error) == GLIA_OK)
        return d;
    glia_graph_data_free(d);
    return NULL;
}

glia_graph_data *glia_read_ratings(const glia_graph_source *s, glia_error *error) {
    glia_lines l;
    ratings r = { 0 };
    glia_graph_data *d = NULL;
    if (glia_lines_open(&l, s->path, error) == GLIA_OK && read_header(&l, &r)) {
        while (glia_lines_next(&l) && read_row(&l, &r)) continue;
        if (l.status == GLIA_OK && !r.from.n) glia_lines_fail(&l, "there is no rating");
        if (l.status == GLIA_OK) d = make(s->name, &r, error);
    }
    glia_lines_close(&l);
    free_ids(&r.users);
    free_ids(&r.items);
    free(r.from.at);
    free(r.to.at);
    free(r.values.at);
    return d;
}
