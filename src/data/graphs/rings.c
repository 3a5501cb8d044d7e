/* rings.c - the rings of molecules: which bonds lie in one, which rings are aromatic, scaffolds. */
#include <stdlib.h>
#include <string.h>

#include "data/graphs/molecule.h"

enum {
    CARBON = 6,
    NITROGEN = 7,
    OXYGEN = 8,
    SULFUR = 16,
    SELENIUM = 34,
    RING_LEAST = 5,
    RING_MOST = 7,
    DEGREE_MOST = 4
};

bool glia_molecule_index(glia_molecule *m) {
    free(m->around);
    m->around = malloc((2 * (size_t)m->n_bonds + 1) * sizeof *m->around);
    if (!m->around) return false;
    for (int i = 0; i < m->n_atoms; i++) m->atoms[i].degree = 0;
    for (int i = 0; i < m->n_bonds; i++) {
        m->atoms[m->bonds[i].a].degree++;
        m->atoms[m->bonds[i].b].degree++;
    }
    for (int i = 0, at = 0; i < m->n_atoms; i++) {
        m->atoms[i].first = at;
        at += m->atoms[i].degree;
        m->atoms[i].degree = 0;
    }
    for (int i = 0; i < m->n_bonds; i++) {
        glia_atom *const ends[] = { &m->atoms[m->bonds[i].a], &m->atoms[m->bonds[i].b] };
        for (int k = 0; k < 2; k++) m->around[ends[k]->first + ends[k]->degree++] = i;
    }
    return true;
}

/* ---- bridges (Tarjan 1974), without recursion ------------------------------------------------------ */

typedef struct visit {
    int entered, low; /* times; 0: not yet */
    int bond, next;   /* the bond by which it was entered; the next of its bonds to follow */
} visit;

static void walk(const glia_molecule *m, const bool *only, int start, visit *v, int *stack, bool *ring) {
    int depth = 0, time = 0;
    stack[depth++] = start;
    time++;
    v[start] = (visit){ time, time, -1, 0 };
    while (depth) {
        const int atom = stack[depth - 1];
        visit *const here = &v[atom];
        if (here->next == m->atoms[atom].degree) {
            depth--;
            if (here->bond < 0) continue;
            visit *const before = &v[glia_bond_end(&m->bonds[here->bond], atom)];
            before->low = GLIA_MIN(before->low, here->low);
            ring[here->bond] = here->low < here->entered;
            continue;
        }
        const int bond = m->around[m->atoms[atom].first + here->next++];
        const int other = glia_bond_end(&m->bonds[bond], atom);
        if (bond == here->bond || (only && !only[other])) continue;
        if (v[other].entered) {
            here->low = GLIA_MIN(here->low, v[other].entered);
            ring[bond] = true;
        } else {
            time++;
            v[other] = (visit){ time, time, bond, 0 };
            stack[depth++] = other;
        }
    }
}

bool glia_molecule_rings(const glia_molecule *m, const bool *only, bool *ring) {
    visit *v = calloc((size_t)m->n_atoms + 1, sizeof *v);
    int *stack = malloc(((size_t)m->n_atoms + 1) * sizeof *stack);
    for (int i = 0; v && stack && i < m->n_atoms; i++) {
        if (!v[i].entered && (!only || only[i])) walk(m, only, i, v, stack, ring);
    }
    const bool good = v && stack;
    free(v);
    free(stack);
    return good;
}

/* ---- aromatic rings -------------------------------------------------------------------------------- */

/* Electrons that an atom gives to a ring; -1: it cannot be part of an aromatic one. */
static int electrons(const glia_molecule *m, int atom) {
    const glia_atom *a = &m->atoms[atom];
    int outside = 0;
    for (int k = 0; k < a->degree; k++) {
        const glia_bond *b = &m->bonds[m->around[a->first + k]];
        const int other = m->atoms[glia_bond_end(b, atom)].z;
        if (b->kind == GLIA_BOND_AROMATIC || (b->kind == GLIA_BOND_DOUBLE && b->in_ring)) return 1;
        if (b->kind == GLIA_BOND_TRIPLE || b->kind == GLIA_BOND_QUADRUPLE) return -1;
        if (b->kind == GLIA_BOND_DOUBLE) outside = other;
    }
    if (outside) return a->z == CARBON && (outside == OXYGEN || outside == NITROGEN || outside == SULFUR) ? 0 : -1;
    if (a->z == CARBON) return a->charge == -1 ? 2 : a->charge == 1 ? 0 : -1;
    const bool pair = a->z == NITROGEN
                          ? a->degree + a->hydrogens == 3 && a->charge == 0
                          : (a->z == OXYGEN || a->z == SULFUR || a->z == SELENIUM) && a->charge == 0 && a->degree == 2;
    return pair ? 2 : -1;
}

typedef struct ring_search {
    const glia_molecule *m;
    bool *atoms, *bonds; /* found to be aromatic */
    int path[RING_MOST], by[RING_MOST], length;
} ring_search;

/* A ring along `path`: by[i] binds path[i] and path[i + 1], by[length - 1] the last and the first. */
static void judge(ring_search *s) {
    int sum = 0;
    for (int i = 0; i < s->length; i++) {
        const int e = electrons(s->m, s->path[i]);
        if (e < 0) return;
        sum += e;
    }
    if (sum % 4 != 2) return;
    for (int i = 0; i < s->length; i++) s->atoms[s->path[i]] = s->bonds[s->by[i]] = true;
}

/* Follows ring bonds from the end of the path; rings are found from their smallest atom. */
static void follow(ring_search *s) {
    const glia_molecule *m = s->m;
    int next[RING_MOST] = { 0 };
    for (;;) {
        const int depth = s->length - 1, atom = s->path[depth];
        if (next[depth] == m->atoms[atom].degree) {
            if (depth == 0) return;
            s->length--;
            continue;
        }
        const int bond = m->around[m->atoms[atom].first + next[depth]++];
        const int other = glia_bond_end(&m->bonds[bond], atom);
        if (!m->bonds[bond].in_ring || other < s->path[0] || m->atoms[other].degree > DEGREE_MOST) continue;
        bool used = false;
        for (int i = 1; i <= depth; i++) used |= s->path[i] == other;
        if (used || (depth > 0 && bond == s->by[depth - 1])) continue;
        s->by[depth] = bond;
        if (other == s->path[0]) {
            if (s->length >= RING_LEAST) judge(s);
        } else if (s->length < RING_MOST) {
            s->path[s->length] = other;
            next[s->length++] = 0;
        }
    }
}

bool glia_molecule_aromatic(glia_molecule *m) {
    ring_search s = { .m = m };
    s.atoms = calloc((size_t)m->n_atoms + 1, sizeof *s.atoms);
    s.bonds = calloc((size_t)m->n_bonds + 1, sizeof *s.bonds);
    const bool good = s.atoms && s.bonds;
    for (int i = 0; good && i < m->n_atoms; i++) {
        if (!m->atoms[i].in_ring || m->atoms[i].degree > DEGREE_MOST) continue;
        s.path[0] = i;
        s.length = 1;
        follow(&s);
    }
    for (int i = 0; good && i < m->n_atoms; i++) m->atoms[i].aromatic |= s.atoms[i];
    for (int i = 0; good && i < m->n_bonds; i++) {
        if (s.bonds[i]) m->bonds[i].kind = GLIA_BOND_AROMATIC;
    }
    free(s.atoms);
    free(s.bonds);
    return good;
}

/* ---- scaffolds -------------------------------------------------------------------------------------- */

/* Removes ends until only rings and what links them is left; then takes back atoms doubly bound to them. */
static void strip(const glia_molecule *m, bool *kept, int *degree) {
    bool changed = true;
    for (int i = 0; i < m->n_atoms; i++) {
        kept[i] = true;
        degree[i] = m->atoms[i].degree;
    }
    while (changed) {
        changed = false;
        for (int i = 0; i < m->n_atoms; i++) {
            if (!kept[i] || degree[i] > 1) continue;
            kept[i] = false;
            changed = true;
            for (int k = 0; k < m->atoms[i].degree; k++)
                degree[glia_bond_end(&m->bonds[m->around[m->atoms[i].first + k]], i)]--;
        }
    }
    for (int i = 0; i < m->n_bonds; i++) {
        const glia_bond *b = &m->bonds[i];
        if (b->kind == GLIA_BOND_DOUBLE && kept[b->a] != kept[b->b]) degree[kept[b->a] ? b->b : b->a] = -1;
    }
    for (int i = 0; i < m->n_atoms; i++) kept[i] |= degree[i] == -1;
}

/* Rounds of hashing neighbourhoods (Weisfeiler and Leman 1968): equal molecules get equal hashes. */
static uint64_t hash_part(const glia_molecule *m, const bool *kept, uint64_t *now, uint64_t *next) {
    uint64_t all = 0;
    int rounds = 0;
    for (int i = 0; i < m->n_atoms; i++) {
        rounds += kept[i];
        const int what[] = { m->atoms[i].z, m->atoms[i].aromatic, m->atoms[i].charge };
        now[i] = glia_hash_bytes(what, sizeof what, 1);
    }
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < m->n_atoms; i++) {
            uint64_t sum = 0;
            for (int k = 0; kept[i] && k < m->atoms[i].degree; k++) {
                const glia_bond *b = &m->bonds[m->around[m->atoms[i].first + k]];
                const int other = glia_bond_end(b, i);
                const uint64_t what[] = { now[other], (uint64_t)b->kind };
                if (kept[other]) sum += glia_hash_bytes(what, sizeof what, 2);
            }
            const uint64_t what[] = { now[i], sum };
            next[i] = glia_hash_bytes(what, sizeof what, 3);
        }
        memcpy(now, next, (size_t)m->n_atoms * sizeof *now);
    }
    for (int i = 0; i < m->n_atoms; i++) {
        if (kept[i]) all += glia_hash_bytes(&now[i], sizeof now[i], 4);
    }
    return all;
}

bool glia_molecule_scaffold(const glia_molecule *m, uint64_t *hash) {
    const size_t n = (size_t)m->n_atoms + 1;
    bool *kept = calloc(n, sizeof *kept);
    int *degree = calloc(n, sizeof *degree);
    uint64_t *now = calloc(n, sizeof *now), *next = calloc(n, sizeof *next);
    const bool good = kept && degree && now && next;
    if (good) {
        strip(m, kept, degree);
        *hash = hash_part(m, kept, now, next);
    }
    free(kept);
    free(degree);
    free(now);
    free(next);
    return good;
}
