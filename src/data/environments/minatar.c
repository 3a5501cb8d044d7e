/* minatar.c - see minatar.h. */
#include "data/environments/minatar.h"

int glia_minatar_action(const glia_env_at *at, const void *action, const int *minimal, double *last) {
    const glia_minatar *game = at->settings;
    int asked = *(const int32_t *)action;
    if (game->minimal) asked = minimal[asked];
    if (glia_env_uniform(at->random, 0, 1) < game->sticky) asked = (int)*last;
    *last = asked;
    return asked;
}

void glia_minatar_actions(const void *settings, glia_space *action, int n) {
    action->n = ((const glia_minatar *)settings)->minimal ? n : MINATAR_ACTIONS;
}

int glia_minatar_draw(const glia_env_at *at, void (*observe)(const glia_env_at *at, void *observation), int n,
                      glia_mark *marks, int capacity) {
    bool planes[MINATAR_PLANES * MINATAR_CELLS];
    static const uint32_t colours[] = { 0x4488EE, 0xEE5544, 0xAA8855, 0x66AA66, 0xCC66CC, 0xDDAA33, 0x55BBBB };
    int count = 0;
    observe(at, planes);
    if (capacity > 0) marks[0] = (glia_mark){ GLIA_MARK_BOX, 0, 0, 1, 1, 0, 0x111122 };
    count++;
    for (int plane = 0; plane < n; plane++) {
        for (int i = 0; i < MINATAR_CELLS; i++) {
            if (!planes[plane * MINATAR_CELLS + i]) continue;
            const glia_mark cell = glia_env_cell(i / MINATAR_SIDE, i % MINATAR_SIDE, MINATAR_SIDE, MINATAR_SIDE,
                                                 colours[plane % GLIA_COUNT(colours)]);
            if (count < capacity) marks[count] = cell;
            count++;
        }
    }
    return count;
}

bool glia_minatar_valid(const double *state, const int *most, int n) {
    for (int i = 0; i < n; i++) {
        if (!glia_env_is_index(state[i], (int64_t)most[i] + 1)) return false;
    }
    return true;
}
