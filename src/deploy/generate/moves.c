/* moves.c - beam search's change of parents without a copy of all caches.
 *
 * A row that nobody reads any more can be overwritten. What then remains are circles, in each of which every row is
 * read by one other: one row of the circle goes to a spare place first, which opens it.
 */
#include "deploy/generate/moves.h"

#include <string.h>

#include "base/base.h"

/* Overwrites row i and then, as long as it sets one free that waits, the row that i was made from. waits[i] < 0: row i
 * has its values. The rows of an opened circle read the spare row in place of row `opened`. */
static int follow(int i, int opened, const int *parents, const int64_t *same, int *waits, glia_move *moves) {
    int n = 0;
    while (i >= 0 && waits[i] == 0) {
        const int parent = parents[i];
        moves[n++] = (glia_move){ i, parent == opened ? GLIA_SPARE : parent, same[i] };
        waits[i] = -1;
        if (parent == opened || waits[parent] < 0) break;
        waits[parent]--;
        i = parent;
    }
    return n;
}

int glia_moves_plan(const int *parents, const int64_t *same, int n, glia_move *moves, int *readers) {
    int n_moves = 0;
    for (int i = 0; i < n; i++) readers[i] = 0;
    for (int i = 0; i < n; i++) readers[parents[i]] += parents[i] != i;
    for (int i = 0; i < n; i++) {
        if (parents[i] == i) readers[i] = -1 - n; /* stays: its readers are never waited for */
    }
    for (int i = 0; i < n; i++) n_moves += follow(i, n, parents, same, readers, moves + n_moves);
    for (int i = 0; i < n; i++) {
        if (readers[i] <= 0) continue;
        int reader = 0;
        while (parents[reader] != i || readers[reader] < 0) reader++;
        moves[n_moves++] = (glia_move){ GLIA_SPARE, i, same[reader] };
        readers[i] = 0;
        n_moves += follow(i, i, parents, same, readers, moves + n_moves);
    }
    return n_moves;
}

void glia_moves_make(const glia_move *moves, int n_moves, void *rows, int64_t steps, size_t bytes, int64_t filled,
                     void *spare) {
    const size_t row = (size_t)steps * bytes;
    char *at = rows;
    for (int k = 0; k < n_moves; k++) {
        const glia_move *m = &moves[k];
        if (m->first >= filled) continue;
        char *to = m->to == GLIA_SPARE ? spare : at + (size_t)m->to * row;
        const char *from = m->from == GLIA_SPARE ? spare : at + (size_t)m->from * row;
        memcpy(to + (size_t)m->first * bytes, from + (size_t)m->first * bytes, (size_t)(filled - m->first) * bytes);
    }
}
