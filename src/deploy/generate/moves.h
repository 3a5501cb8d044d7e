/* moves.h - rows that become copies of each other, in place. */
#ifndef GLIA_SRC_DEPLOY_GENERATE_MOVES_H
#define GLIA_SRC_DEPLOY_GENERATE_MOVES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Row `to` becomes what row `from` is, from step `first` on. GLIA_SPARE: a row outside. */
typedef struct glia_move {
    int to, from;
    int64_t first;
} glia_move;
enum { GLIA_SPARE = -1 };

/* The moves by which row i becomes what row parents[i] was, for n rows of which the first same[i] steps of both are
 * equal: only rows that differ are moved, and no move overwrites a row that a later one reads. moves: room for 2 n;
 * readers: for n, scratch. Returns their number. */
int glia_moves_plan(const int *parents, const int64_t *same, int n, glia_move *moves, int *readers);

/* Makes the moves in an array of rows of `steps` steps of `bytes` bytes, of which the first `filled` count. spare: a
 * row. */
void glia_moves_make(const glia_move *moves, int n_moves, void *rows, int64_t steps, size_t bytes, int64_t filled,
                     void *spare);

#endif
