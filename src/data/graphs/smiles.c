/* smiles.c - molecules from SMILES (Weininger 1988, "SMILES, a chemical language and information system"). */
#include <stdlib.h>
#include <string.h>

#include "data/graphs/molecule.h"

static const char *const symbols[] = { "*",  "H",  "He", "Li", "Be", "B",  "C",  "N",  "O",  "F",  "Ne", "Na",
                                       "Mg", "Al", "Si", "P",  "S",  "Cl", "Ar", "K",  "Ca", "Sc", "Ti", "V",
                                       "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Ga", "Ge", "As", "Se", "Br",
                                       "Kr", "Rb", "Sr", "Y",  "Zr", "Nb", "Mo", "Tc", "Ru", "Rh", "Pd", "Ag",
                                       "Cd", "In", "Sn", "Sb", "Te", "I",  "Xe", "Cs", "Ba", "La", "Ce", "Pr",
                                       "Nd", "Pm", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "Lu",
                                       "Hf", "Ta", "W",  "Re", "Os", "Ir", "Pt", "Au", "Hg", "Tl", "Pb", "Bi" };
enum { HYDROGEN = 1, BORON = 5, CARBON = 6, NITROGEN = 7, OXYGEN = 8, PHOSPHORUS = 15, SULFUR = 16 };

enum { RINGS = 100, ANY = -1, LENGTH_MOST = 20000 };
typedef struct parse {
    const char *text;
    size_t length, at;
    glia_molecule *m;
    int last, pending; /* atom to bind to, -1: none; kind of the bond, ANY: not written */
    bool bound;        /* a bond symbol was written */
    int *stack, depth; /* atoms at open branches */
    struct {
        int atom, kind; /* atom -1: not open */
        size_t at;
    } rings[RINGS];
    glia_error *error;
} parse;

static glia_status fail_at(const parse *p, size_t at, const char *what) {
    return glia_fail(p->error, GLIA_E_FORMAT, "position %zu: %s", at + 1, what);
}

static char here(const parse *p) { return p->at < p->length ? p->text[p->at] : 0; }

/* ---- atoms --------------------------------------------------------------------------------------- */

static int element(const char *name, size_t length) {
    for (int z = 0; z < GLIA_COUNT(symbols); z++) {
        if (strlen(symbols[z]) == length && memcmp(symbols[z], name, length) == 0) return z;
    }
    return -1;
}

/* An element at the position: one of two letters if there is such. Lower case: aromatic. */
static bool read_symbol(parse *p, const char *two, const char *one, const char *aromatic, glia_atom *a) {
    char name[3] = { here(p), p->at + 1 < p->length ? p->text[p->at + 1] : 0, 0 };
    if (name[0] >= 'a' && name[0] <= 'z' && strchr(aromatic, name[0])) {
        a->aromatic = true;
        size_t n = 1;
        if ((name[0] == 's' && name[1] == 'e') || (name[0] == 'a' && name[1] == 's')) n = strlen(aromatic) > 6 ? 2 : 1;
        name[0] = (char)(name[0] - 'a' + 'A');
        a->z = element(name, n);
        p->at += n;
        return a->z > 0;
    }
    if (name[1] >= 'a' && name[1] <= 'z' && (two ? strstr(two, name) != NULL : element(name, 2) >= 0)) {
        a->z = element(name, 2);
        p->at += 2;
        return true;
    }
    if (!name[0] || (one && !strchr(one, name[0]))) return false;
    a->z = element(name, 1);
    p->at += a->z >= 0;
    return a->z >= 0;
}

static int read_number(parse *p, int most) {
    int n = 0;
    while (here(p) >= '0' && here(p) <= '9' && n <= most) n = 10 * n + (p->text[p->at++] - '0');
    return GLIA_MIN(n, most);
}

static bool digit_here(const parse *p) { return here(p) >= '0' && here(p) <= '9'; }

/* "+", "++", "+2" */
static int read_charge(parse *p) {
    const char sign = here(p);
    int n = 0;
    if (sign != '+' && sign != '-') return 0;
    while (here(p) == sign && n < 15) p->at++, n++;
    if (n == 1 && digit_here(p)) n = read_number(p, 15);
    return sign == '+' ? n : -n;
}

static glia_status read_bracket(parse *p, glia_atom *a) {
    const size_t start = p->at++;
    a->bracket = true;
    a->isotope = read_number(p, 999);
    if (!read_symbol(p, NULL, NULL, "bcnopsa", a)) return fail_at(p, p->at, "there is no such element");
    while (here(p) == '@') p->at++;
    static const char *const chiral[] = { "TH", "AL", "SP", "TB", "OH" };
    for (int i = 0; i < GLIA_COUNT(chiral); i++) {
        if (p->at + 2 < p->length && memcmp(p->text + p->at, chiral[i], 2) == 0 && p->text[p->at - 1] == '@') {
            p->at += 2;
            read_number(p, 99);
        }
    }
    if (here(p) == 'H') {
        p->at++;
        a->hydrogens = digit_here(p) ? read_number(p, 9) : 1;
    }
    a->charge = read_charge(p);
    if (here(p) == ':') {
        p->at++;
        read_number(p, 9999);
    }
    if (here(p) == ']') {
        p->at++;
        return GLIA_OK;
    }
    return here(p) ? fail_at(p, p->at, "unknown in brackets") : fail_at(p, start, "the bracket is not closed");
}

static void add_bond(parse *p, int a, int b, int kind) { p->m->bonds[p->m->n_bonds++] = (glia_bond){ a, b, kind, 0 }; }

static glia_status add_atom(parse *p) {
    const size_t start = p->at;
    glia_atom a = { .at = start };
    glia_status status = GLIA_OK;
    if (here(p) == '[')
        status = read_bracket(p, &a);
    else if (!read_symbol(p, "Cl Br", "BCNOPSFI*", "bcnops", &a))
        status = fail_at(p, start, "not an atom, bond or ring of SMILES");
    if (status != GLIA_OK) return status;
    const int n = p->m->n_atoms++;
    p->m->atoms[n] = a;
    if (p->last >= 0) add_bond(p, p->last, n, p->pending);
    p->last = n;
    p->pending = ANY;
    p->bound = false;
    return GLIA_OK;
}

/* ---- bonds and rings ----------------------------------------------------------------------------- */

static glia_status read_bond(parse *p) {
    static const char marks[] = "-=#:$/\\";
    static const int kinds[] = { GLIA_BOND_SINGLE,    GLIA_BOND_DOUBLE, GLIA_BOND_TRIPLE, GLIA_BOND_AROMATIC,
                                 GLIA_BOND_QUADRUPLE, GLIA_BOND_SINGLE, GLIA_BOND_SINGLE };
    if (p->bound || p->last < 0) return fail_at(p, p->at, "a bond without an atom before it");
    p->pending = kinds[strchr(marks, here(p)) - marks];
    p->bound = true;
    p->at++;
    return GLIA_OK;
}

static bool are_bound(const glia_molecule *m, int a, int b) {
    for (int i = 0; i < m->n_bonds; i++) {
        if ((m->bonds[i].a == a && m->bonds[i].b == b) || (m->bonds[i].a == b && m->bonds[i].b == a)) return true;
    }
    return false;
}

static glia_status read_ring(parse *p) {
    const size_t start = p->at;
    int ring = 0;
    if (here(p) == '%') {
        p->at++;
        for (int i = 0; i < 2; i++) {
            if (!digit_here(p)) return fail_at(p, start, "% needs two digits");
            ring = 10 * ring + (p->text[p->at++] - '0');
        }
    } else {
        ring = p->text[p->at++] - '0';
    }
    if (p->last < 0) return fail_at(p, start, "a ring without an atom before it");
    if (p->rings[ring].atom < 0) {
        p->rings[ring].atom = p->last;
        p->rings[ring].kind = p->pending;
        p->rings[ring].at = start;
    } else {
        const int other = p->rings[ring].atom, kind = p->rings[ring].kind;
        if (other == p->last || are_bound(p->m, other, p->last))
            return fail_at(p, start, "the ring closes on an atom that is bound to this one");
        if (kind != ANY && p->pending != ANY && kind != p->pending)
            return fail_at(p, start, "the ring has two kinds of bond");
        add_bond(p, other, p->last, kind != ANY ? kind : p->pending);
        p->rings[ring].atom = -1;
    }
    p->pending = ANY;
    p->bound = false;
    return GLIA_OK;
}

static glia_status read_next(parse *p) {
    const char c = here(p);
    if (c == '(') {
        if (p->last < 0) return fail_at(p, p->at, "a branch without an atom before it");
        p->stack[p->depth++] = p->last;
    } else if (c == ')') {
        if (!p->depth || p->bound) return fail_at(p, p->at, "the branch was not opened");
        p->last = p->stack[--p->depth];
    } else if (c == '.') {
        if (p->last < 0 || p->bound) return fail_at(p, p->at, "a dot without an atom before it");
        p->last = -1;
    } else if (strchr("-=#:$/\\", c)) {
        return read_bond(p);
    } else if (c == '%' || (c >= '0' && c <= '9')) {
        return read_ring(p);
    } else {
        return add_atom(p);
    }
    p->at++;
    return GLIA_OK;
}

static glia_status check_end(const parse *p) {
    for (int i = 0; i < RINGS; i++) {
        if (p->rings[i].atom >= 0)
            return glia_fail(p->error, GLIA_E_FORMAT, "position %zu: the ring %d is not closed", p->rings[i].at + 1, i);
    }
    if (p->depth) return fail_at(p, p->length, "a branch is not closed");
    if (p->bound) return fail_at(p, p->length, "a bond without an atom after it");
    return p->m->n_atoms ? GLIA_OK : fail_at(p, 0, "there is no atom");
}

/* ---- what is not written ------------------------------------------------------------------------- */

/* Bonds that were not written: aromatic within rings of aromatic atoms, else single. */
static bool settle_bonds(glia_molecule *m) {
    bool *aromatic = malloc((size_t)m->n_atoms * sizeof *aromatic);
    bool *ring = calloc((size_t)m->n_bonds + 1, sizeof *ring);
    bool good = aromatic && ring;
    for (int i = 0; good && i < m->n_atoms; i++) aromatic[i] = m->atoms[i].aromatic;
    good = good && glia_molecule_rings(m, aromatic, ring);
    for (int i = 0; good && i < m->n_bonds; i++) {
        glia_bond *b = &m->bonds[i];
        if (b->kind == ANY)
            b->kind = aromatic[b->a] && aromatic[b->b] && ring[i] ? GLIA_BOND_AROMATIC : GLIA_BOND_SINGLE;
    }
    free(aromatic);
    free(ring);
    return good;
}

static int bond_order(int kind) {
    static const int orders[] = { 1, 2, 3, 1, 4 };
    return orders[kind];
}

/* Hydrogens of atoms without brackets: up to the least valence that the bonds leave room for. */
static void add_hydrogens(glia_molecule *m) {
    static const struct {
        int z, valences[4];
    } normal[] = {
        { BORON, { 3 } },         { CARBON, { 4 } },       { NITROGEN, { 3, 5 } }, { OXYGEN, { 2 } }, { 9, { 1 } },
        { PHOSPHORUS, { 3, 5 } }, { SULFUR, { 2, 4, 6 } }, { 17, { 1 } },          { 35, { 1 } },     { 53, { 1 } }
    };
    for (int i = 0; i < m->n_atoms; i++) {
        glia_atom *a = &m->atoms[i];
        int used = a->aromatic;
        for (int k = 0; k < a->degree; k++) used += bond_order(m->bonds[m->around[a->first + k]].kind);
        for (int n = 0; !a->bracket && n < GLIA_COUNT(normal); n++) {
            if (normal[n].z != a->z) continue;
            int k = 0;
            while (!a->aromatic && normal[n].valences[k + 1] && normal[n].valences[k] < used) k++;
            a->hydrogens = GLIA_MAX(normal[n].valences[k] - used, 0);
        }
    }
}

/* Nitrogen with five bonds, two of them double to oxygen: as N+ and O-. */
static void separate_charges(glia_molecule *m) {
    for (int i = 0; i < m->n_atoms; i++) {
        glia_atom *a = &m->atoms[i];
        int used = a->hydrogens, oxygen = -1;
        for (int k = 0; k < a->degree; k++) {
            const glia_bond *b = &m->bonds[m->around[a->first + k]];
            const glia_atom *other = &m->atoms[glia_bond_end(b, i)];
            used += bond_order(b->kind);
            if (b->kind == GLIA_BOND_DOUBLE && other->z == OXYGEN && other->degree == 1 && !other->charge && oxygen < 0)
                oxygen = m->around[a->first + k];
        }
        if (a->z != NITROGEN || a->charge || a->aromatic || used != 5 || oxygen < 0) continue;
        m->bonds[oxygen].kind = GLIA_BOND_SINGLE;
        a->charge = 1;
        m->atoms[glia_bond_end(&m->bonds[oxygen], i)].charge = -1;
    }
}

/* Hydrogen atoms with one neighbour that is none become its number. */
static void absorb_hydrogens(glia_molecule *m, int *place) {
    int atoms = 0, bonds = 0;
    for (int i = 0; i < m->n_atoms; i++) {
        const glia_atom *a = &m->atoms[i];
        place[i] = 0;
        if (a->z != HYDROGEN || a->degree != 1 || a->charge || a->isotope) continue;
        const int other = glia_bond_end(&m->bonds[m->around[a->first]], i);
        if (m->atoms[other].z == HYDROGEN) continue;
        m->atoms[other].hydrogens++;
        place[i] = -1;
    }
    for (int i = 0; i < m->n_atoms; i++) {
        if (place[i] < 0) continue;
        m->atoms[atoms] = m->atoms[i];
        place[i] = atoms++;
    }
    for (int i = 0; i < m->n_bonds; i++) {
        const glia_bond b = m->bonds[i];
        if (place[b.a] < 0 || place[b.b] < 0) continue;
        m->bonds[bonds++] = (glia_bond){ place[b.a], place[b.b], b.kind, 0 };
    }
    m->n_atoms = atoms;
    m->n_bonds = bonds;
}

/* Neutral atoms with more bonds than their element can have. */
static glia_status check_valences(const glia_molecule *m, glia_error *error) {
    static const int most[][2] = { { BORON, 3 }, { CARBON, 4 }, { NITROGEN, 3 }, { OXYGEN, 2 }, { 9, 1 } };
    for (int i = 0; i < m->n_atoms; i++) {
        const glia_atom *a = &m->atoms[i];
        int used = a->hydrogens;
        for (int k = 0; k < a->degree; k++) used += bond_order(m->bonds[m->around[a->first + k]].kind);
        for (int k = 0; k < GLIA_COUNT(most); k++) {
            if (most[k][0] != a->z || a->charge || a->aromatic || used <= most[k][1]) continue;
            return glia_fail(error, GLIA_E_FORMAT, "position %zu: %s with %d bonds", a->at + 1, symbols[a->z], used);
        }
    }
    return GLIA_OK;
}

static bool mark_rings(glia_molecule *m) {
    bool *ring = calloc((size_t)m->n_bonds + 1, sizeof *ring);
    const bool good = ring && glia_molecule_rings(m, NULL, ring);
    for (int i = 0; good && i < m->n_bonds; i++) {
        m->bonds[i].in_ring = ring[i];
        if (ring[i]) m->atoms[m->bonds[i].a].in_ring = m->atoms[m->bonds[i].b].in_ring = true;
    }
    free(ring);
    return good;
}

static glia_status complete(glia_molecule *m, int *place, glia_error *error) {
    bool good = glia_molecule_index(m) && settle_bonds(m);
    if (good) add_hydrogens(m);
    if (good) separate_charges(m);
    if (good) absorb_hydrogens(m, place);
    good = good && glia_molecule_index(m);
    const glia_status status = good ? check_valences(m, error) : glia_fail_nomem(error);
    if (status != GLIA_OK) return status;
    return mark_rings(m) && glia_molecule_aromatic(m) ? GLIA_OK : glia_fail_nomem(error);
}

glia_status glia_molecule_read(const char *text, size_t length, glia_molecule *m, glia_error *error) {
    *m = (glia_molecule){ 0 };
    parse p = { .text = text, .length = length, .m = m, .last = -1, .pending = ANY, .error = error };
    for (int i = 0; i < RINGS; i++) p.rings[i].atom = -1;
    m->atoms = calloc(length + 1, sizeof *m->atoms);
    m->bonds = calloc(2 * length + 1, sizeof *m->bonds);
    p.stack = calloc(length + 1, sizeof *p.stack);
    glia_status status = m->atoms && m->bonds && p.stack ? GLIA_OK : glia_fail_nomem(error);
    if (status == GLIA_OK && length > LENGTH_MOST) status = fail_at(&p, 0, "the text is too long");
    while (status == GLIA_OK && p.at < p.length) status = read_next(&p);
    if (status == GLIA_OK) status = check_end(&p);
    if (status == GLIA_OK) status = complete(m, p.stack, error); /* the stack is used up */
    free(p.stack);
    if (status != GLIA_OK) glia_molecule_free(m);
    return status;
}

void glia_molecule_free(glia_molecule *m) {
    free(m->atoms);
    free(m->bonds);
    free(m->around);
    *m = (glia_molecule){ 0 };
}
