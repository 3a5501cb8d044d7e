/* molecule.h - internal: a molecule as atoms and bonds, from its SMILES. */
#ifndef GLIA_SRC_DATA_GRAPHS_MOLECULE_H
#define GLIA_SRC_DATA_GRAPHS_MOLECULE_H

#include "base/base.h"

enum { GLIA_BOND_SINGLE, GLIA_BOND_DOUBLE, GLIA_BOND_TRIPLE, GLIA_BOND_AROMATIC, GLIA_BOND_QUADRUPLE, GLIA_BOND_KINDS };

typedef struct glia_atom {
    int z, charge, isotope;
    int hydrogens; /* attached, not atoms of their own */
    bool aromatic, bracket, in_ring;
    int degree; /* bonds */
    int first;  /* index of its first bond in `around` */
    size_t at;  /* position in the text */
} glia_atom;

typedef struct glia_bond {
    int a, b, kind; /* kind -1: not yet known */
    bool in_ring;
} glia_bond;

typedef struct glia_molecule {
    glia_atom *atoms;
    glia_bond *bonds;
    int *around; /* (2 bonds): the bonds of each atom */
    int n_atoms, n_bonds;
} glia_molecule;

/* Reads one molecule of Daylight's notation: the organic subset, brackets, rings, branches, dots, aromaticity. Marks of
 * stereochemistry are read and left out, hydrogens in brackets without isotope become numbers, nitro groups N+ and O-.
 * Errors: GLIA_E_FORMAT "position 7: ...". */
glia_status glia_molecule_read(const char *text, size_t length, glia_molecule *molecule, glia_error *error);
void glia_molecule_free(glia_molecule *molecule);
/* The other end of a bond. */
static inline int glia_bond_end(const glia_bond *b, int atom) { return b->a == atom ? b->b : b->a; }

/* Fills `around`, degrees, and first; false: out of memory. */
bool glia_molecule_index(glia_molecule *molecule);
/* Sets in_ring of bonds that are no bridges, and of their atoms. `only`: considers atoms with this mark only (NULL:
 * all), writing ring[bond]. false: out of memory. */
bool glia_molecule_rings(const glia_molecule *molecule, const bool *only, bool *ring);
/* Marks rings of 5 to 7 atoms with 4n + 2 electrons, written with double bonds, as aromatic. false: out of memory. */
bool glia_molecule_aromatic(glia_molecule *molecule);
/* A hash of the Bemis-Murcko scaffold: rings, what links them, and atoms doubly bound to these. 0: there is no ring.
 * false: out of memory. */
bool glia_molecule_scaffold(const glia_molecule *molecule, uint64_t *hash);

#endif
