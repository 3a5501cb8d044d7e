/* cliff_walking.c - CliffWalking-v1: along a cliff to the goal; a step over it costs 100 and leads back to the start.
 *
 * Sutton and Barto 2018, example 6.6. State and observation: row * 12 + column of a grid with 4 rows. Actions: up,
 * right, down, left; with `slippery` each of the intended way and the two sides with probability 1/3.
 */
#include <math.h>

#include "data/environments/environments.h"

typedef struct cliff_walking {
    bool slippery;
} cliff_walking;

static const glia_setting settings[] = {
    { "slippery", GLIA_SETTING_SWITCH, offsetof(cliff_walking, slippery), 0, 0, 0, NULL, "moves may go sideways" },
};
static const glia_env_info infos[] = { { "prob", 1 } };
enum { ROWS = 4, COLUMNS = 12, START = 36, GOAL = 47 };

static glia_status reset(const glia_env_at *at, glia_env_outcome *out, glia_error *error) {
    (void)error;
    glia_env_uniform(at->random, 0, 1); /* Gymnasium draws the start, of which there is one */
    at->state[0] = START;
    out->info[0] = 1;
    return GLIA_OK;
}

static glia_status step(const glia_env_at *at, const void *action, glia_env_outcome *out, glia_error *error) {
    (void)error;
    static const int down[] = { -1, 0, 1, 0 }, across[] = { 0, 1, 0, -1 };
    static const double ways[] = { 1.0 / 3, 1.0 / 3, 1.0 / 3 }, one = 1;
    const bool slippery = ((const cliff_walking *)at->settings)->slippery;
    const int way = slippery ? glia_env_choose(at->random, ways, 3) - 1 : glia_env_choose(at->random, &one, 1);
    const int direction = (*(const int32_t *)action + way + 4) % 4, cell = (int)at->state[0];
    const int row = GLIA_MAX(0, GLIA_MIN(cell / COLUMNS + down[direction], ROWS - 1));
    const int column = GLIA_MAX(0, GLIA_MIN(cell % COLUMNS + across[direction], COLUMNS - 1));
    const int there = row * COLUMNS + column;
    const bool fell = there > START && there < GOAL;
    at->state[0] = fell ? START : there;
    out->reward = fell ? -100 : -1;
    out->terminated = there == GOAL;
    out->info[0] = slippery ? ways[0] : 1;
    return GLIA_OK;
}

static void observe(const glia_env_at *at, void *observation) { *(int32_t *)observation = (int32_t)at->state[0]; }

static bool valid(const glia_env_at *at) { return glia_env_is_index(at->state[0], ROWS * COLUMNS); }

static int draw(const glia_env_at *at, glia_mark *marks, int capacity) {
    enum { CELLS = ROWS * COLUMNS };
    for (int i = 0; i <= CELLS && i < capacity; i++) {
        const int cell = i < CELLS ? i : (int)at->state[0];
        const uint32_t ground = i > START && i < GOAL ? 0x554433 : i == GOAL ? 0x66BB44 : 0xDDDDBB;
        marks[i] = glia_env_cell(cell / COLUMNS, cell % COLUMNS, ROWS, COLUMNS, i < CELLS ? ground : 0xCC3333);
    }
    return CELLS + 1;
}

const glia_env_kind glia_env_cliff_walking = {
    .name = "CliffWalking-v1",
    .alias = "cliffwalking",
    .summary = "walk along a cliff to the goal",
    .paper = "Sutton and Barto 2018, example 6.6",
    .observation = { GLIA_SPACE_DISCRETE, ROWS *COLUMNS, GLIA_I32, { 0 }, NULL, NULL },
    .action = { GLIA_SPACE_DISCRETE, 4, GLIA_I32, { 0 }, NULL, NULL },
    .threshold = NAN,
    .settings = settings,
    .n_settings = GLIA_COUNT(settings),
    .bytes = sizeof(cliff_walking),
    .state = 1,
    .infos = infos,
    .n_infos = 1,
    .reset = reset,
    .step = step,
    .observe = observe,
    .valid = valid,
    .draw = draw,
};
