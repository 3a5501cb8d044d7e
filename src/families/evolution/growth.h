/* growth.h - what the files of growing nets share. */
#ifndef GLIA_SRC_FAMILIES_EVOLUTION_GROWTH_H
#define GLIA_SRC_FAMILIES_EVOLUTION_GROWTH_H

#include "base/base.h"
#include "glia/evolution.h"

/* Defaults; false: an option is outside its domain. */
bool glia_ndp_fill_in(glia_ndp_opts *opts);

/* Is there a path between each two nodes? Arguments as below. */
bool glia_graph_connected(const double *a, int stride, int n, int *work);
/* The mean length of shortest paths in a graph whose edges are the entries of a (n, n) that are not 0, with rows
 * `stride` apart; infinite if it is not connected. work (2 n). */
double glia_graph_paths(const double *a, int stride, int n, int *work, int *diameter);

#endif
