/* open.c - data of graphs by name or address. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data/graphs/readers.h"

/* One kind of address: "edges:FILE", or a name whose files lie under `path` in a folder of data. */
typedef struct kind {
    const char *name, *path; /* path NULL: an address with ":" */
    glia_graph_reader *read;
    const char *options;  /* names with commas */
    const char *defaults; /* options of a named one, as in an address */
    const char *syntax, *what;
} kind;

static const kind kinds[] = {
    { "cora", "cora", glia_read_graph_folder, "", "", "cora", "2,708 papers, 7 fields (Planetoid split, Yang 2016)" },
    { "amazon_photo", "amazon_photo", glia_read_graph_folder, "", "", "amazon_photo",
      "7,487 products, 8 kinds (Shchur 2018)" },
    { "pubmed_graph", "pubmed_graph", glia_read_graph_folder, "", "", "pubmed_graph",
      "19,717 papers, 3 fields, without features" },
    { "mutag", "tu/MUTAG.txt", glia_read_gin_text, "", "", "mutag", "188 molecules, 2 classes" },
    { "proteins", "tu/PROTEINS.txt", glia_read_gin_text, "", "", "proteins", "1,113 proteins, 2 classes" },
    { "esol", "molecules/delaney.csv", glia_read_smiles_table, "",
      "smiles=smiles&target=measured log solubility in mols per litre", "esol", "1,128 molecules, their solubility" },
    { "bbbp", "molecules/BBBP.csv", glia_read_smiles_table, "", "smiles=smiles&label=BBBP&skip=1", "bbbp",
      "2,039 molecules, whether they pass into the brain" },
    { "freesolv", "molecules/SAMPL.csv", glia_read_smiles_table, "", "smiles=smiles&target=expt", "freesolv",
      "642 molecules, energy of hydration" },
    { "lipophilicity", "molecules/Lipophilicity.csv", glia_read_smiles_table, "", "smiles=smiles&target=exp",
      "lipophilicity", "4,200 molecules, octanol/water distribution" },
    { "movielens", "movielens/ratings.csv", glia_read_ratings, "", "", "movielens",
      "100,000 ratings of 1,682 films by 943 people" },
    { "ratings", NULL, glia_read_ratings, "", "", "ratings:FILE", "a table with columns user, item, rating" },
    { "gin", NULL, glia_read_gin_text, "", "", "gin:FILE", "graphs in GIN's text" },
    { "tu", NULL, glia_read_tu_collection, "", "", "tu:FOLDER/NAME", "a TU collection, NAME_A.txt, ..." },
    { "planetoid", NULL, glia_read_planetoid, "", "", "planetoid:FOLDER/NAME",
      "Planetoid's pickles, FOLDER/ind.NAME.x, ... (nothing is executed)" },
    { "edges", NULL, glia_read_edge_list, "nodes,directed", "", "edges:FILE?nodes=N&directed=1",
      "a line an edge: SNAP, CSV" },
    { "table", NULL, glia_read_graph_tables, "directed", "", "table:NODES.csv,EDGES.csv?directed=1",
      "a line a node, a line an edge" },
    { "smiles", NULL, glia_read_smiles_table, "smiles,target,label,skip", "", "smiles:FILE?smiles=COLUMN&target=COLUMN",
      "molecules in a table; label= for classes; skip=1 leaves out what "
      "cannot be read" },
};

int glia_graph_data_formats(glia_graph_format *out, int capacity) {
    for (int i = 0; out && i < GLIA_COUNT(kinds) && i < capacity; i++)
        out[i] = (glia_graph_format){ kinds[i].syntax, kinds[i].what };
    return GLIA_COUNT(kinds);
}

/* The kind of an address; *rest: the path after "kind:". */
static const kind *find_kind(const char *address, const char **rest) {
    const size_t length = strcspn(address, ":?");
    for (int i = 0; i < GLIA_COUNT(kinds); i++) {
        const bool named = kinds[i].path != NULL;
        if (strlen(kinds[i].name) != length || strncmp(kinds[i].name, address, length) != 0) continue;
        if (named == (address[length] == ':')) continue;
        *rest = address + length + (named ? 0 : 1);
        return &kinds[i];
    }
    return NULL;
}

bool glia_graph_data_is_address(const char *address) {
    const char *rest;
    return address && find_kind(address, &rest) != NULL;
}

const char *glia_graph_option(const glia_graph_source *s, const char *key) {
    for (int i = 0; i < s->n; i++) {
        if (strcmp(s->keys[i], key) == 0) return s->values[i];
    }
    return NULL;
}

/* Cuts "a=b&c=d" in place. */
static glia_status read_options(glia_graph_source *s, char *text, const char *allowed, glia_error *error) {
    while (text && *text) {
        char *next = strchr(text, '&'), *value;
        if (next) *next++ = 0;
        value = strchr(text, '=');
        if (!value || s->n == GLIA_GRAPH_OPTIONS)
            return glia_fail(error, GLIA_E_ARGUMENT, "the option '%.60s' of '%.60s' has no value", text, s->name);
        *value++ = 0;
        if (allowed && !glia_glob("split,fold,folds,part,seed", text) && (!*allowed || !glia_glob(allowed, text)))
            return glia_fail(error, GLIA_E_ARGUMENT,
                             "'%.60s' has no option '%.60s'; it has split, fold, folds, part, seed%s%s", s->name, text,
                             *allowed ? "," : "", allowed);
        s->keys[s->n] = text;
        s->values[s->n++] = value;
        text = next;
    }
    return GLIA_OK;
}

/* ---- splits ---------------------------------------------------------------------------------------- */

/* Numbers with colons; how many, -1: not numbers. */
static int read_numbers(const char *text, double *numbers, int most) {
    int n = 0;
    while (*text && n < most) {
        const char *end = text + strcspn(text, ":/");
        if (!glia_number_parse(text, end, &numbers[n++])) return -1;
        text = *end ? end + 1 : end;
    }
    return *text ? -1 : n;
}

static glia_graph_part answered_part(const glia_graph_data *d) {
    const bool graphs = glia_graph_data_find(d, GLIA_OF_GRAPHS, "label", NULL) ||
                        glia_graph_data_find(d, GLIA_OF_GRAPHS, "target", NULL);
    return graphs ? GLIA_OF_GRAPHS : GLIA_OF_NODES;
}

/* Folds as the file gives them, or drawn. */
static glia_status find_folds(const glia_graph_data *d, const glia_graph_source *s, int folds, uint64_t seed,
                              int32_t *of_items, glia_error *error) {
    const char *column = glia_graph_option(s, "folds");
    const glia_graph_part part = answered_part(d);
    if (!column) return glia_graph_folds(d, part, folds, seed, of_items, error);
    return glia_read_folds(s->path, column, glia_graph_items(d, part), of_items, error);
}

/* What items outside the fold are for: "3/10": the next fold is for validation; "3/10/0.1": a tenth of them. */
static glia_status split_rest(glia_graph_data *d, const double *of, int n, const int32_t *of_items, uint8_t *split,
                              uint64_t seed, glia_error *error) {
    const glia_graph_part part = answered_part(d);
    if (n == 3) return glia_graph_hold_out(d, part, of[2], seed, error);
    for (int64_t i = 0; i < glia_graph_items(d, part); i++) {
        if (of_items[i] == ((int)of[0] + 1) % (int)of[1]) split[i] = GLIA_PART_VALIDATION;
    }
    return GLIA_OK;
}

static glia_status split_by_fold(glia_graph_data *d, const glia_graph_source *s, const double *of, int n, uint64_t seed,
                                 glia_error *error) {
    const glia_graph_part part = answered_part(d);
    const int64_t items = glia_graph_items(d, part);
    const char *of_what = glia_graph_option(s, "part");
    const bool test = !of_what || strcmp(of_what, "test") == 0;
    if (!test && strcmp(of_what, "validation") != 0)
        return glia_fail(error, GLIA_E_ARGUMENT, "part=%.40s: a fold is for test or validation", of_what);
    if (of[1] < 2 || of[1] > (double)items || of[0] < 0 || of[0] >= of[1] || of[0] != (int)of[0] ||
        of[1] != (int)of[1] || (n == 3 && !(of[2] >= 0 && of[2] < 1)))
        return glia_fail(error, GLIA_E_ARGUMENT, "there is no fold %g of %g", of[0], of[1]);
    glia_status status = glia_graph_split_randomly(d, part, 0, 0, seed, error);
    int32_t *of_items = malloc((size_t)items * sizeof *of_items);
    if (!of_items) return glia_fail_nomem(error);
    if (status == GLIA_OK) status = find_folds(d, s, (int)of[1], seed, of_items, error);
    int64_t members = 0;
    for (int64_t i = 0; status == GLIA_OK && i < items; i++) members += of_items[i] == (int)of[0];
    if (status == GLIA_OK && !members)
        status = glia_fail(error, GLIA_E_ARGUMENT, "the fold %g of %g is empty", of[0], of[1]);
    glia_array a;
    const bool there = status == GLIA_OK && glia_graph_data_find(d, part, "split", &a);
    uint8_t *split = there ? a.data : NULL;
    for (int64_t i = 0; split && i < items; i++)
        split[i] = of_items[i] == (int)of[0] ? test ? GLIA_PART_TEST : GLIA_PART_VALIDATION
                   : of_items[i] < 0         ? GLIA_PART_NONE
                                             : GLIA_PART_TRAIN;
    if (split && test) status = split_rest(d, of, n, of_items, split, seed, error);
    free(of_items);
    return status;
}

static glia_status apply_split(glia_graph_data *d, const glia_graph_source *s, glia_error *error) {
    const char *how = glia_graph_option(s, "split"), *fold = glia_graph_option(s, "fold");
    const char *seed_text = glia_graph_option(s, "seed");
    double numbers[2] = { 0.1, 0.1 };
    int64_t seed = 0;
    if (seed_text && (!glia_parse_integer(seed_text, seed_text + strlen(seed_text), &seed) || seed < 0))
        return glia_fail(error, GLIA_E_ARGUMENT, "seed=%.40s is not a seed", seed_text);
    if (fold) {
        double of[3];
        const int n = read_numbers(fold, of, 3);
        if (n == 2 || n == 3) return split_by_fold(d, s, of, n, (uint64_t)seed, error);
        return glia_fail(error, GLIA_E_ARGUMENT, "fold=%.40s is not FOLD/FOLDS or FOLD/FOLDS/SHARE", fold);
    }
    if (glia_graph_option(s, "folds") || glia_graph_option(s, "part"))
        return glia_fail(error, GLIA_E_ARGUMENT, "the options folds and part need fold=FOLD/FOLDS");
    if (!how) return GLIA_OK;
    const size_t word = strcspn(how, ":");
    const int n = how[word] ? read_numbers(how + word + 1, numbers, 2) : 0;
    if (word == 6 && !memcmp(how, "random", word) && n != -1)
        return glia_graph_split_randomly(d, answered_part(d), numbers[0], numbers[1], (uint64_t)seed, error);
    if (word == 8 && !memcmp(how, "scaffold", word) && n != -1)
        return glia_graph_split_by_scaffold(d, numbers[0], numbers[1], error);
    if (word == 5 && !memcmp(how, "class", word) && n == 2)
        return glia_graph_split_by_class(d, answered_part(d), (int64_t)numbers[0], (int64_t)numbers[1], (uint64_t)seed,
                                         error);
    return glia_fail(error, GLIA_E_ARGUMENT,
                     "split=%.40s: it is random:VALIDATION:TEST, scaffold:VALIDATION:TEST or class:TRAIN:VALIDATION",
                     how);
}

/* ---- opening --------------------------------------------------------------------------------------- */

/* The first place that has the files of a named one; in `path`. */
static glia_status search(const char *name, const char *relative, const char *folder, char *path, size_t room,
                          glia_error *error) {
    const char *const places[] = { folder, getenv("GLIA_DATA"), "data" };
    for (int i = 0; i < GLIA_COUNT(places); i++) {
        static const char *const endings[] = { "", ".gz" };
        for (int k = 0; places[i] && k < GLIA_COUNT(endings); k++) {
            const int length = snprintf(path, room, "%s/%s%s", places[i], relative, endings[k]);
            if (length < 0 || (size_t)length >= room || access(path, R_OK) != 0) continue;
            snprintf(path, room, "%s/%s", places[i], relative);
            return GLIA_OK;
        }
    }
    return glia_fail(error, GLIA_E_NOT_FOUND, "'%s' is not in %s%s$GLIA_DATA or ./data (%s)", name,
                     folder ? folder : "", folder ? ", " : "", relative);
}

/* The data of graphs nearest in name to an address that is none. */
static void no_such(const char *address, glia_error *error) {
    const char *names[GLIA_COUNT(kinds)];
    for (int i = 0; i < GLIA_COUNT(kinds); i++) names[i] = kinds[i].name;
    char word[64];
    snprintf(word, sizeof word, "%.*s", (int)GLIA_MIN(strcspn(address, ":?"), (size_t)63), address);
    const char *near = glia_nearest(word, names, GLIA_COUNT(names));
    glia_fail(error, GLIA_E_NOT_FOUND, "there are no graph data '%.100s'%s%s%s", address,
              near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

glia_graph_data *glia_graph_data_open(const char *address, const char *folder, glia_error *error) {
    const char *rest;
    if (!address) {
        glia_fail_null(error, "address");
        return NULL;
    }
    const kind *k = find_kind(address, &rest);
    if (!k) {
        no_such(address, error);
        return NULL;
    }
    char path[4096], *words = strdup(rest), *defaults = strdup(k->defaults);
    glia_graph_source s = { .name = address, .path = path };
    glia_graph_data *data = NULL;
    glia_status status = words && defaults ? GLIA_OK : glia_fail_nomem(error);
    char *options = status == GLIA_OK ? strchr(words, '?') : NULL;
    if (options) *options++ = 0;
    if (status == GLIA_OK && k->path)
        status = search(k->name, k->path, folder, path, sizeof path, error);
    else if (status == GLIA_OK)
        s.path = words;
    if (status == GLIA_OK) status = read_options(&s, options, k->options, error);
    if (status == GLIA_OK) status = read_options(&s, defaults, NULL, error);
    if (status == GLIA_OK) data = k->read(&s, error);
    if (data && apply_split(data, &s, error) != GLIA_OK) {
        glia_graph_data_free(data);
        data = NULL;
    }
    free(words);
    free(defaults);
    return data;
}
