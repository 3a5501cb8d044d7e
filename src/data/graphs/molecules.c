/* molecules.c - molecules as data of graphs, from SMILES in memory or in a column of a table. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/graphs/molecule.h"
#include "data/graphs/readers.h"

static const int common[] = { 6, 7, 8, 16, 9, 15, 17, 35, 53, 5, 14 }; /* any other element: one more */
enum { DEGREES = 6, HYDROGENS = 5, ATOM_X = 11 + 1 + DEGREES + HYDROGENS + 3, BOND_X = GLIA_BOND_KINDS + 1 };

enum { Z, DEGREE, CHARGE, ATTACHED, AROMATIC, IN_RING, NUMBERS };
static const char *const number_names[] = { "atomic_number", "degree", "charge", "hydrogens", "aromatic", "in_ring" };

/* Molecules on the way into one object. */
typedef struct molecules {
    glia_ints from, to, types, rings, numbers[NUMBERS];
    int64_t *counts, n;
    uint64_t *scaffolds;
    int64_t atoms;
} molecules;

static void free_molecules(molecules *all) {
    free(all->from.at);
    free(all->to.at);
    free(all->types.at);
    free(all->rings.at);
    for (int i = 0; i < NUMBERS; i++) free(all->numbers[i].at);
    free(all->counts);
    free(all->scaffolds);
}

static glia_status add_molecule(molecules *all, const glia_molecule *m, glia_error *error) {
    bool good = glia_molecule_scaffold(m, &all->scaffolds[all->n]);
    for (int i = 0; good && i < m->n_atoms; i++) {
        const glia_atom *a = &m->atoms[i];
        const int numbers[NUMBERS] = { a->z, a->degree, a->charge, a->hydrogens, a->aromatic, a->in_ring };
        for (int k = 0; k < NUMBERS; k++) good = good && glia_ints_add(&all->numbers[k], numbers[k]);
    }
    for (int i = 0; good && i < m->n_bonds; i++) {
        const glia_bond *b = &m->bonds[i];
        good = glia_ints_add(&all->from, all->atoms + b->a) && glia_ints_add(&all->to, all->atoms + b->b) &&
               glia_ints_add(&all->types, b->kind) && glia_ints_add(&all->rings, b->in_ring);
    }
    all->counts[all->n++] = m->n_atoms;
    all->atoms += m->n_atoms;
    return good ? GLIA_OK : glia_fail_nomem(error);
}

static void atom_features(const molecules *all, int64_t atom, float *x) {
    int element = 0;
    while (element < GLIA_COUNT(common) && common[element] != all->numbers[Z].at[atom]) element++;
    x[element] = 1;
    x += GLIA_COUNT(common) + 1;
    x[GLIA_MIN(all->numbers[DEGREE].at[atom], DEGREES - 1)] = 1;
    x += DEGREES;
    x[GLIA_MIN(all->numbers[ATTACHED].at[atom], HYDROGENS - 1)] = 1;
    x += HYDROGENS;
    x[0] = (float)all->numbers[CHARGE].at[atom];
    x[1] = (float)all->numbers[AROMATIC].at[atom];
    x[2] = (float)all->numbers[IN_RING].at[atom];
}

static glia_status add_features(glia_graph_data *d, const molecules *all, glia_error *error) {
    glia_error reason = { 0 };
    float *x = glia_graph_add_zeros(d, GLIA_OF_NODES, "x", GLIA_F32, GLIA_SHAPE(ATOM_X), &reason);
    for (int64_t i = 0; x && i < d->nodes; i++) atom_features(all, i, x + i * ATOM_X);
    float *y = x ? glia_graph_add_zeros(d, GLIA_OF_EDGES, "x", GLIA_F32, GLIA_SHAPE(BOND_X), &reason) : NULL;
    for (int64_t e = 0; y && e < d->edges; e++) {
        y[e * BOND_X + all->types.at[d->origin[e]]] = 1;
        y[e * BOND_X + GLIA_BOND_KINDS] = (float)all->rings.at[d->origin[e]];
    }
    return y ? GLIA_OK : glia_fail(error, reason.status, "%s", reason.message);
}

/* scaffold: the first molecule that has the same. */
static glia_status add_scaffolds(glia_graph_data *d, const molecules *all, glia_error *error) {
    glia_error reason = { 0 };
    int32_t *scaffold = glia_graph_add_zeros(d, GLIA_OF_GRAPHS, "scaffold", GLIA_I32, GLIA_SCALAR, &reason);
    if (!scaffold) return glia_fail(error, reason.status, "%s", reason.message);
    for (int64_t i = 0; i < d->graphs; i++) {
        scaffold[i] = (int32_t)i;
        for (int64_t k = 0; k < i; k++) {
            if (all->scaffolds[k] != all->scaffolds[i]) continue;
            scaffold[i] = (int32_t)k;
            break;
        }
    }
    return GLIA_OK;
}

static glia_graph_data *make(const char *name, const molecules *all, glia_error *error) {
    const glia_graph_edges edges = { .nodes = all->atoms,
                                     .edges = all->from.n,
                                     .from = all->from.at,
                                     .to = all->to.at,
                                     .undirected = true,
                                     .node_counts = all->counts,
                                     .graphs = all->n };
    glia_graph_data *d = glia_graph_data_create(name, edges, error);
    glia_status status = d ? add_features(d, all, error) : GLIA_E_ARGUMENT;
    for (int i = 0; status == GLIA_OK && i < NUMBERS; i++)
        status =
            glia_graph_data_add(d, GLIA_OF_NODES, number_names[i], GLIA_I32, GLIA_SCALAR, all->numbers[i].at, error);
    if (status == GLIA_OK && d->edges)
        status = glia_graph_data_add(d, GLIA_OF_EDGES, "type", GLIA_I32, GLIA_SCALAR, all->types.at, error);
    if (status == GLIA_OK) status = add_scaffolds(d, all, error);
    if (status == GLIA_OK) return d;
    glia_graph_data_free(d);
    return NULL;
}

static bool start(molecules *all, int64_t n) {
    all->counts = calloc((size_t)n + 1, sizeof *all->counts);
    all->scaffolds = calloc((size_t)n + 1, sizeof *all->scaffolds);
    return all->counts && all->scaffolds;
}

glia_graph_data *glia_graph_data_smiles(const char *const *texts, int64_t n, glia_error *error) {
    if (!texts || n < 1) {
        glia_fail(error, GLIA_E_ARGUMENT, "glia_graph_data_smiles: needs texts");
        return NULL;
    }
    molecules all = { 0 };
    glia_graph_data *d = NULL;
    glia_status status = start(&all, n) ? GLIA_OK : glia_fail_nomem(error);
    for (int64_t i = 0; status == GLIA_OK && i < n; i++) {
        glia_error reason = { 0 };
        glia_molecule m;
        if (!texts[i]) {
            status = glia_fail_null(error, "texts");
            break;
        }
        status = glia_molecule_read(texts[i], strlen(texts[i]), &m, &reason);
        if (status != GLIA_OK) {
            glia_fail(error, status, "molecule %lld, %s", (long long)i, reason.message);
            break;
        }
        status = add_molecule(&all, &m, error);
        glia_molecule_free(&m);
    }
    if (status == GLIA_OK) d = make("smiles", &all, error);
    free_molecules(&all);
    return d;
}

/* ---- tables ---------------------------------------------------------------------------------------- */

typedef struct table {
    int smiles, label, target; /* columns; -1: not asked for */
    bool skip;
    glia_ints labels;
    glia_names classes;
    glia_floats targets;
} table;

static bool find_columns(glia_lines *l, const glia_graph_source *s, table *t) {
    static const char *const keys[] = { "smiles", "label", "target" };
    int *const columns[] = { &t->smiles, &t->label, &t->target };
    const char *word, *end;
    t->smiles = t->label = t->target = -1;
    if (!glia_lines_next(l)) return l->status == GLIA_OK && glia_lines_fail(l, "the table is empty");
    for (int i = 0; glia_lines_field(l, &word, &end); i++) {
        for (int k = 0; k < GLIA_COUNT(keys); k++) {
            const char *wanted = glia_graph_option(s, keys[k]);
            if (!wanted && k == 0) wanted = "smiles";
            if (wanted && glia_word_is(word, end, wanted)) *columns[k] = i;
        }
    }
    for (int k = 0; k < GLIA_COUNT(keys); k++) {
        const char *wanted = glia_graph_option(s, keys[k]);
        if (*columns[k] < 0 && (wanted || k == 0))
            return glia_lines_fail(l, "there is no column '%.80s'", wanted ? wanted : "smiles");
    }
    return true;
}

/* The label or the target of a row; blanks are unknown. */
static bool add_answer(glia_lines *l, table *t, const char *word, const char *end, bool label) {
    const bool known = end > word;
    double value = NAN;
    int class = -1;
    if (label && known) class = glia_names_add(&t->classes, word, end);
    if (!label && known && !glia_number_parse(word, end, &value)) return glia_lines_fail(l, "the target is no number");
    if (label ? (!known || class >= 0) && glia_ints_add(&t->labels, class) : glia_floats_add(&t->targets, value))
        return true;
    l->status = glia_fail_nomem(l->error);
    return false;
}

static bool read_row(glia_lines *l, table *t, molecules *all) {
    const char *word, *end, *smiles = NULL, *answers[2] = { 0 }, *stops[2] = { 0 };
    size_t length = 0;
    for (int i = 0; glia_lines_field(l, &word, &end); i++) {
        if (i == t->smiles) smiles = word, length = (size_t)(end - word);
        if (i == t->label) answers[0] = word, stops[0] = end;
        if (i == t->target) answers[1] = word, stops[1] = end;
    }
    if (!smiles || (t->label >= 0 && !answers[0]) || (t->target >= 0 && !answers[1]))
        return glia_lines_fail(l, "the line has too few fields");
    glia_molecule m;
    glia_error reason = { 0 };
    const glia_status status = glia_molecule_read(smiles, length, &m, &reason);
    if (status == GLIA_E_FORMAT && t->skip) return true;
    if (status == GLIA_E_FORMAT) return glia_lines_fail(l, "%s", reason.message);
    if (status == GLIA_OK) l->status = add_molecule(all, &m, l->error);
    if (status == GLIA_OK) glia_molecule_free(&m);
    if (status != GLIA_OK) l->status = glia_fail_nomem(l->error);
    if (l->status != GLIA_OK) return false;
    return (!answers[0] || add_answer(l, t, answers[0], stops[0], true)) &&
           (!answers[1] || add_answer(l, t, answers[1], stops[1], false));
}

static glia_status add_answers(glia_graph_data *d, const table *t, glia_error *error) {
    glia_status s = GLIA_OK;
    if (t->label >= 0) s = glia_graph_data_add(d, GLIA_OF_GRAPHS, "label", GLIA_I32, GLIA_SCALAR, t->labels.at, error);
    if (s == GLIA_OK && t->classes.n)
        s = glia_graph_data_name_classes(d, (const char *const *)(const void *)t->classes.at, t->classes.n, error);
    if (s == GLIA_OK && t->target >= 0)
        s = glia_graph_data_add(d, GLIA_OF_GRAPHS, "target", GLIA_F32, GLIA_SHAPE(1), t->targets.at, error);
    return s;
}

glia_graph_data *glia_read_smiles_table(const glia_graph_source *s, glia_error *error) {
    const char *skip = glia_graph_option(s, "skip");
    glia_lines l;
    molecules all = { 0 };
    table t = { .skip = skip && *skip == '1' };
    glia_graph_data *d = NULL;
    if (glia_lines_open(&l, s->path, error) == GLIA_OK && find_columns(&l, s, &t)) {
        if (!start(&all, l.stop - l.next)) l.status = glia_fail_nomem(error);
        while (glia_lines_next(&l) && read_row(&l, &t, &all)) continue;
        if (l.status == GLIA_OK && !all.n) glia_lines_fail(&l, "there is no molecule");
        if (l.status == GLIA_OK) d = make(s->name, &all, error);
    }
    if (d && add_answers(d, &t, error) != GLIA_OK) {
        glia_graph_data_free(d);
        d = NULL;
    }
    glia_lines_close(&l);
    free_molecules(&all);
    free(t.labels.at);
    free(t.targets.at);
    glia_names_free(&t.classes);
    return d;
}
