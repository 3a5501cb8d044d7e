/* tables.c - one graph from two CSV with headers: a line a node, a line an edge.
 *
 * Nodes: "id" (a word; without it nodes are 0, 1, ...), "label" (a class), "split", and other columns, which must be
 * numbers: the features x. Edges: "from" and "to" (or "source" and "target"), "weight", "type" (a word), and others:
 * the edges' features x.
 */
#include <stdlib.h>
#include <string.h>

#include "data/graphs/readers.h"

enum { COLUMNS_MOST = 4096, NUMBERS = -1 };

/* What a column is: an index of `roles`, or NUMBERS. */
typedef struct table {
    int roles[COLUMNS_MOST];
    int columns, numbers;
} table;

static bool read_header(glia_lines *l, const char *const *roles, int n, table *t) {
    const char *word, *end;
    if (!glia_lines_next(l)) return l->status == GLIA_OK && glia_lines_fail(l, "the table is empty");
    while (glia_lines_field(l, &word, &end)) {
        if (t->columns == COLUMNS_MOST) return glia_lines_fail(l, "more than %d columns", COLUMNS_MOST);
        int role = NUMBERS;
        for (int i = 0; i < n; i++) {
            if (!glia_word_is(word, end, roles[i])) continue;
            role = i;
            for (int k = 0; k < t->columns; k++) {
                if (t->roles[k] == i) return glia_lines_fail(l, "there are two columns '%s'", roles[i]);
            }
        }
        t->numbers += role == NUMBERS;
        t->roles[t->columns++] = role;
    }
    return true;
}

/* The next row: fields of roles, and the numbers into x. */
static bool read_row(glia_lines *l, const table *t, const char **fields, const char **ends, glia_floats *x) {
    const char *word, *end;
    for (int i = 0; i < t->columns; i++) {
        if (!glia_lines_field(l, &word, &end)) return glia_lines_fail(l, "%d fields, not %d", i, t->columns);
        if (t->roles[i] != NUMBERS) {
            fields[t->roles[i]] = word;
            ends[t->roles[i]] = end;
            continue;
        }
        double value;
        if (!glia_number_parse(word, end, &value))
            return glia_lines_fail(l, "column %d: '%.*s' is not a number", i + 1, (int)GLIA_MIN(end - word, 40), word);
        if (glia_floats_add(x, value)) continue;
        l->status = glia_fail_nomem(l->error);
        return false;
    }
    return !glia_lines_field(l, &word, &end) || glia_lines_fail(l, "more than %d fields", t->columns);
}

/* ---- nodes --------------------------------------------------------------------------------------- */

enum { ID, LABEL, SPLIT, NODE_ROLES };
static const char *const node_roles[] = { "id", "label", "split" };

/* A word and the node that has it. */
typedef struct node_id {
    char *word;
    int32_t node;
} node_id;

typedef struct node_table {
    node_id *ids; /* sorted by word; NULL: numbers */
    int n_ids, capacity;
    glia_ints labels, splits;
    glia_names classes;
    glia_floats x;
    int64_t n;
    int numbers;
} node_table;

static int by_word(const void *a, const void *b) {
    return strcmp(((const node_id *)a)->word, ((const node_id *)b)->word);
}

static void free_nodes(node_table *nodes) {
    for (int i = 0; i < nodes->n_ids; i++) free(nodes->ids[i].word);
    free(nodes->ids);
    free(nodes->labels.at);
    free(nodes->splits.at);
    free(nodes->x.at);
    glia_names_free(&nodes->classes);
}

static bool add_id(glia_lines *l, node_table *nodes, const char *word, const char *end) {
    char *copy = strndup(word, (size_t)(end - word));
    if (!copy || !glia_grow((void **)&nodes->ids, nodes->n_ids, &nodes->capacity, sizeof *nodes->ids)) {
        free(copy);
        l->status = glia_fail_nomem(l->error);
        return false;
    }
    nodes->ids[nodes->n_ids++] = (node_id){ copy, (int32_t)nodes->n };
    return true;
}

static bool read_node(glia_lines *l, const table *t, node_table *nodes) {
    const char *field[NODE_ROLES] = { 0 }, *end[NODE_ROLES] = { 0 };
    if (!read_row(l, t, field, end, &nodes->x)) return false;
    if (field[ID] && !add_id(l, nodes, field[ID], end[ID])) return false;
    if (field[LABEL]) {
        const bool known = end[LABEL] > field[LABEL];
        const int label = known ? glia_names_add(&nodes->classes, field[LABEL], end[LABEL]) : -1;
        if ((known && label < 0) || !glia_ints_add(&nodes->labels, label)) l->status = glia_fail_nomem(l->error);
    }
    if (field[SPLIT]) {
        const int part = glia_graph_split_named(field[SPLIT], end[SPLIT]);
        if (part < 0) return glia_lines_fail(l, "a node is of train, val or test");
        if (!glia_ints_add(&nodes->splits, part)) l->status = glia_fail_nomem(l->error);
    }
    nodes->n++;
    return l->status == GLIA_OK;
}

static glia_status read_nodes(const char *path, node_table *nodes, glia_error *error) {
    glia_lines l;
    table *t = calloc(1, sizeof *t);
    glia_status status = t ? glia_lines_open(&l, path, error) : glia_fail_nomem(error);
    if (!t) return status;
    if (status == GLIA_OK && read_header(&l, node_roles, NODE_ROLES, t)) {
        while (glia_lines_next(&l) && read_node(&l, t, nodes)) continue;
        if (l.status == GLIA_OK && !nodes->n) glia_lines_fail(&l, "there are no nodes");
    }
    nodes->numbers = t->numbers;
    if (l.status == GLIA_OK && nodes->ids) {
        qsort(nodes->ids, (size_t)nodes->n_ids, sizeof *nodes->ids, by_word);
        for (int i = 1; i < nodes->n_ids && l.status == GLIA_OK; i++) {
            if (strcmp(nodes->ids[i].word, nodes->ids[i - 1].word) == 0)
                glia_lines_fail(&l, "the id '%.80s' is there twice", nodes->ids[i].word);
        }
    }
    status = l.status;
    glia_lines_close(&l);
    free(t);
    return status;
}

/* ---- edges --------------------------------------------------------------------------------------- */

enum { FROM, TO, SOURCE, TARGET, WEIGHT, TYPE, EDGE_ROLES };
static const char *const edge_roles[] = { "from", "to", "source", "target", "weight", "type" };

typedef struct edge_table {
    glia_ints from, to, types;
    glia_floats weights, x;
    glia_names kinds;
    int numbers;
} edge_table;

static void free_edges(edge_table *e) {
    free(e->from.at);
    free(e->to.at);
    free(e->types.at);
    free(e->weights.at);
    free(e->x.at);
    glia_names_free(&e->kinds);
}

static bool find_node(glia_lines *l, const node_table *nodes, const char *word, const char *end, int64_t *node) {
    char key[512];
    if (!word || end - word >= (ptrdiff_t)sizeof key) return glia_lines_fail(l, "an edge needs columns from and to");
    memcpy(key, word, (size_t)(end - word));
    key[end - word] = 0;
    if (!nodes->ids) {
        if (glia_parse_integer(word, end, node) && *node >= 0 && *node < nodes->n) return true;
    } else {
        const node_id wanted = { key, 0 };
        const node_id *found = bsearch(&wanted, nodes->ids, (size_t)nodes->n_ids, sizeof wanted, by_word);
        if (found) *node = found->node;
        if (found) return true;
    }
    return glia_lines_fail(l, "there is no node '%.80s'", key);
}

static bool read_edge(glia_lines *l, const table *t, const node_table *nodes, edge_table *e) {
    const char *field[EDGE_ROLES] = { 0 }, *end[EDGE_ROLES] = { 0 };
    int64_t from, to;
    double weight;
    if (!read_row(l, t, field, end, &e->x)) return false;
    const int a = field[FROM] ? FROM : SOURCE, b = field[TO] ? TO : TARGET;
    if (!find_node(l, nodes, field[a], end[a], &from) || !find_node(l, nodes, field[b], end[b], &to)) return false;
    bool good = glia_ints_add(&e->from, from) && glia_ints_add(&e->to, to);
    if (field[WEIGHT] && !glia_number_parse(field[WEIGHT], end[WEIGHT], &weight))
        return glia_lines_fail(l, "the weight is not a number");
    if (field[WEIGHT]) good = good && glia_floats_add(&e->weights, weight);
    if (field[TYPE]) {
        const int type = glia_names_add(&e->kinds, field[TYPE], end[TYPE]);
        good = good && type >= 0 && glia_ints_add(&e->types, type);
    }
    if (!good) l->status = glia_fail_nomem(l->error);
    return good;
}

static glia_status read_edges(const char *path, const node_table *nodes, edge_table *e, glia_error *error) {
    glia_lines l;
    table *t = calloc(1, sizeof *t);
    glia_status status = t ? glia_lines_open(&l, path, error) : glia_fail_nomem(error);
    if (!t) return status;
    if (status == GLIA_OK && read_header(&l, edge_roles, EDGE_ROLES, t)) {
        while (glia_lines_next(&l) && read_edge(&l, t, nodes, e)) continue;
    }
    e->numbers = t->numbers;
    status = l.status;
    glia_lines_close(&l);
    free(t);
    return status;
}

/* ---- the graph ------------------------------------------------------------------------------------ */

static glia_status add_arrays(glia_graph_data *d, const node_table *nodes, const edge_table *e, glia_error *error) {
    glia_status s = GLIA_OK;
    const glia_graph_part v = GLIA_OF_NODES, edges = GLIA_OF_EDGES;
    if (nodes->numbers) s = glia_graph_data_add(d, v, "x", GLIA_F32, GLIA_SHAPE(nodes->numbers), nodes->x.at, error);
    if (s == GLIA_OK && nodes->labels.n)
        s = glia_graph_data_add(d, v, "label", GLIA_I32, GLIA_SCALAR, nodes->labels.at, error);
    if (s == GLIA_OK && nodes->classes.n)
        s = glia_graph_data_name_classes(d, (const char *const *)(const void *)nodes->classes.at, nodes->classes.n,
                                         error);
    if (s == GLIA_OK && nodes->splits.n) {
        glia_error reason = { 0 };
        uint8_t *split = glia_graph_add_zeros(d, v, "split", GLIA_U8, GLIA_SCALAR, &reason);
        if (!split) return glia_fail(error, reason.status, "%s", reason.message);
        for (int64_t i = 0; i < nodes->n; i++) split[i] = (uint8_t)nodes->splits.at[i];
    }
    if (s == GLIA_OK && e->weights.n)
        s = glia_graph_data_add(d, edges, "weight", GLIA_F32, GLIA_SCALAR, e->weights.at, error);
    if (s == GLIA_OK && e->types.n)
        s = glia_graph_data_add(d, edges, "type", GLIA_I32, GLIA_SCALAR, e->types.at, error);
    if (s == GLIA_OK && e->numbers && e->x.n)
        s = glia_graph_data_add(d, edges, "x", GLIA_F32, GLIA_SHAPE(e->numbers), e->x.at, error);
    return s;
}

glia_graph_data *glia_read_graph_tables(const glia_graph_source *s, glia_error *error) {
    const char *comma = strchr(s->path, ','), *directed = glia_graph_option(s, "directed");
    if (!comma) {
        glia_fail(error, GLIA_E_ARGUMENT, "a graph of tables is table:NODES.csv,EDGES.csv");
        return NULL;
    }
    char *path = strndup(s->path, (size_t)(comma - s->path));
    node_table nodes = { 0 };
    edge_table e = { 0 };
    glia_graph_data *d = NULL;
    glia_status status = path ? read_nodes(path, &nodes, error) : glia_fail_nomem(error);
    if (status == GLIA_OK) status = read_edges(comma + 1, &nodes, &e, error);
    if (status == GLIA_OK) {
        const glia_graph_edges edges = { .nodes = nodes.n,
                                         .edges = e.from.n,
                                         .from = e.from.at,
                                         .to = e.to.at,
                                         .undirected = !directed || *directed != '1',
                                         .self = GLIA_EDGES_DROP,
                                         .repeated = e.types.n ? GLIA_EDGES_KEEP : GLIA_EDGES_DROP };
        d = glia_graph_data_create(s->name, edges, error);
        status = d ? add_arrays(d, &nodes, &e, error) : GLIA_E_ARGUMENT;
    }
    if (status != GLIA_OK) {
        glia_graph_data_free(d);
        d = NULL;
    }
    free(path);
    free_nodes(&nodes);
    free_edges(&e);
    return d;
}
