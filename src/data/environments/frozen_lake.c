/* frozen_lake.c - FrozenLake-v1: from the start to the goal over slippery ice with holes.
 *
 * State and observation: row * columns + column. Actions: left, down, right, up. On slippery ice the move goes the
 * intended way with probability `success_rate`, else to one of the two sides.
 */
#include <string.h>

#include "data/environments/environments.h"

typedef struct frozen_lake {
    int map;
    bool slippery;
    double success_rate;
} frozen_lake;

static const glia_setting settings[] = {
    { "map", GLIA_SETTING_CHOICE, offsetof(frozen_lake, map), 0, 0, 0, "4x4|8x8", "the lake" },
    { "slippery", GLIA_SETTING_SWITCH, offsetof(frozen_lake, slippery), 1, 0, 0, NULL, "moves may go sideways" },
    { "success_rate", GLIA_SETTING_REAL, offsetof(frozen_lake, success_rate), 1.0 / 3.0, 0, 1, NULL,
      "probability of the intended move on slippery ice" },
};

static const char *const maps[] = {
    "SFFF"
    "FHFH"
    "FFFH"
    "HFFG",
    "SFFFFFFF"
    "FFFFFFFF"
    "FFFHFFFF"
    "FFFFFHFF"
    "FFFHFFFF"
    "FHHFFFHF"
    "FHFFHFHF"
    "FFFHFFFG",
};
static const int sides[] = { 4, 8 };
static const glia_env_info infos[] = { { "prob", 1 } };

static void spaces(const void *memory, glia_space *observation, glia_space *action) {
    const int side = sides[((const frozen_lake *)memory)->map];
    (void)action;
    observation->n = side * side;
}

static glia_status reset(const glia_env_at *at, glia_env_outcome *out, glia_error *error) {
    (void)error;
    glia_env_uniform(at->random, 0, 1); /* Gymnasium draws the start, of which there is one */
    at->state[0] = 0;
    out->info[0] = 1;
    return GLIA_OK;
}

static int moved(int cell, int direction, int side) {
    const int row = cell / side, column = cell % side;
    if (direction == 0) return row * side + GLIA_MAX(column - 1, 0);
    if (direction == 1) return GLIA_MIN(row + 1, side - 1) * side + column;
    if (direction == 2) return row * side + GLIA_MIN(column + 1, side - 1);
    return GLIA_MAX(row - 1, 0) * side + column;
}

static glia_status step(const glia_env_at *at, const void *action, glia_env_outcome *out, glia_error *error) {
    (void)error;
    const frozen_lake *lake = at->settings;
    const int side = sides[lake->map], cell = (int)at->state[0];
    const double fail = (1 - lake->success_rate) / 2.0, ways[] = { fail, lake->success_rate, fail }, one = 1;
    const bool over = strchr("GH", maps[lake->map][cell]) != NULL, sure = over || !lake->slippery;
    const int way = sure ? glia_env_choose(at->random, &one, 1) : glia_env_choose(at->random, ways, 3) - 1;
    out->info[0] = sure ? 1 : ways[way + 1];
    if (!over) at->state[0] = moved(cell, (*(const int32_t *)action + way + 4) % 4, side);
    const char there = maps[lake->map][(int)at->state[0]];
    out->terminated = there == 'G' || there == 'H';
    out->reward = there == 'G' && !over ? 1 : 0;
    return GLIA_OK;
}

static void observe(const glia_env_at *at, void *observation) { *(int32_t *)observation = (int32_t)at->state[0]; }

static bool valid(const glia_env_at *at) {
    return glia_env_is_index(at->state[0], (int64_t)strlen(maps[((const frozen_lake *)at->settings)->map]));
}

static int draw(const glia_env_at *at, glia_mark *marks, int capacity) {
    const frozen_lake *lake = at->settings;
    const int side = sides[lake->map], cells = side * side;
    for (int i = 0; i <= cells && i < capacity; i++) {
        const char c = maps[lake->map][GLIA_MIN(i, cells - 1)];
        const int cell = i < cells ? i : (int)at->state[0];
        marks[i] = glia_env_cell(cell / side, cell % side, side, side,
                                 c == 'H'   ? 0x2B4B77
                                 : c == 'G' ? 0x66BB44
                                            : 0xDDEEFF);
        if (i < cells) continue;
        const float radius = 0.3f / (float)side;
        marks[i] = (glia_mark){
            GLIA_MARK_DISC, marks[i].ax + 0.5f / (float)side, marks[i].ay + 0.5f / (float)side, 0, 0, radius, 0xCC3333
        };
    }
    return cells + 1;
}

const glia_env_kind glia_env_frozen_lake = {
    .name = "FrozenLake-v1",
    .alias = "frozenlake",
    .summary = "cross a slippery frozen lake without falling into a hole",
    .observation = { GLIA_SPACE_DISCRETE, 16, GLIA_I32, { 0 }, NULL, NULL },
    .action = { GLIA_SPACE_DISCRETE, 4, GLIA_I32, { 0 }, NULL, NULL },
    .spaces = spaces,
    .limit = 100,
    .threshold = 0.7,
    .settings = settings,
    .n_settings = GLIA_COUNT(settings),
    .bytes = sizeof(frozen_lake),
    .state = 1,
    .infos = infos,
    .n_infos = 1,
    .reset = reset,
    .step = step,
    .observe = observe,
    .valid = valid,
    .draw = draw,
};
