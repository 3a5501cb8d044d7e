/* space_invaders.c - MinAtar/SpaceInvaders-v1: a cannon shoots aliens that shoot back and come down.
 *
 * State: cannon, alien direction (-1, 1), interval of alien moves, steps until aliens move, until they shoot, until the
 * cannon may shoot, last action, then maps of 100 cells: aliens, own bullets, their bullets. Planes: cannon, aliens,
 * aliens going left, going right, own bullets, their bullets. With `ramping` each wave is faster than the last.
 */
#include <stdlib.h>
#include <string.h>

#include "data/environments/minatar.h"

enum { CANNON, DIRECTION, INTERVAL, MOVE_TIMER, SHOT_TIMER, COOL_DOWN, LAST_ACTION, NUMBERS };
enum { ALIENS = NUMBERS, OWN = ALIENS + MINATAR_CELLS, THEIRS = OWN + MINATAR_CELLS, STATE = THEIRS + MINATAR_CELLS };
enum { SHOT_EVERY = 10, MOVE_EVERY = 12, LEAST_EVERY = 6, RELOAD = 5, BOTTOM = 9 * MINATAR_SIDE };
enum { ALIEN_PLANE = 1, LEFT_PLANE, RIGHT_PLANE, OWN_PLANE, THEIR_PLANE, PLANES };

static const glia_setting settings[] = {
    MINATAR_SETTINGS,
    { "ramping", GLIA_SETTING_SWITCH, offsetof(glia_minatar, ramping), 1, 0, 0, NULL, "waves become faster" },
};
static const int minimal[] = { MINATAR_NOTHING, MINATAR_LEFT, MINATAR_RIGHT, MINATAR_FIRE };

static void spaces(const void *memory, glia_space *observation, glia_space *action) {
    (void)observation;
    glia_minatar_actions(memory, action, GLIA_COUNT(minimal));
}

static void fill_aliens(double *s) {
    for (int row = 0; row < 4; row++) {
        for (int column = 2; column < 8; column++) s[ALIENS + row * MINATAR_SIDE + column] = 1;
    }
}

static glia_status reset(const glia_env_at *at, glia_env_outcome *out, glia_error *error) {
    (void)out;
    (void)error;
    double *s = at->state;
    const double last = s[LAST_ACTION];
    memset(s, 0, STATE * sizeof *s);
    s[LAST_ACTION] = last; /* of the wrapper, which MinAtar does not reset */
    s[CANNON] = 5;
    s[DIRECTION] = -1;
    s[INTERVAL] = s[MOVE_TIMER] = MOVE_EVERY;
    s[SHOT_TIMER] = SHOT_EVERY;
    fill_aliens(s);
    return GLIA_OK;
}

/* Moves a map one row up or down; what leaves it is gone. */
static void move_rows(double *map, bool up) {
    const size_t rest = BOTTOM * sizeof *map;
    memmove(up ? map : map + MINATAR_SIDE, up ? map + MINATAR_SIDE : map, rest);
    memset(up ? map + BOTTOM : map, 0, MINATAR_SIDE * sizeof *map);
}

static int count_aliens(const double *s) {
    int n = 0;
    for (int i = 0; i < MINATAR_CELLS; i++) n += s[ALIENS + i] != 0;
    return n;
}

/* The row of the lowest alien in a column; -1: none. */
static int lowest(const double *s, int column) {
    for (int row = 9; row >= 0; row--) {
        if (s[ALIENS + row * MINATAR_SIDE + column] != 0) return row;
    }
    return -1;
}

/* One row down as np.roll does, or one column to the side. */
static void march(double *s, glia_env_outcome *out) {
    double moved[MINATAR_CELLS];
    const int side = (int)s[DIRECTION];
    const bool turn = lowest(s, side < 0 ? 0 : 9) >= 0;
    for (int i = 0; i < MINATAR_CELLS; i++) {
        const int row = i / MINATAR_SIDE, column = i % MINATAR_SIDE;
        const int to = turn ? (i + MINATAR_SIDE) % MINATAR_CELLS
                            : row * MINATAR_SIDE + (column + side + MINATAR_SIDE) % MINATAR_SIDE;
        moved[to] = s[ALIENS + i];
        if (turn && row == 9 && s[ALIENS + i] != 0) out->terminated = true;
    }
    memcpy(s + ALIENS, moved, sizeof moved);
    if (turn) s[DIRECTION] = -side;
    if (s[ALIENS + BOTTOM + (int)s[CANNON]] != 0) out->terminated = true;
}

/* The lowest alien of the column that is nearest to the cannon, the left one of two, shoots. */
static void shoot_back(double *s) {
    const int cannon = (int)s[CANNON];
    for (int apart = 0; apart < MINATAR_SIDE; apart++) {
        for (int side = -1; side <= 1; side += 2) {
            const int column = cannon + side * apart;
            const int row = column >= 0 && column < MINATAR_SIDE ? lowest(s, column) : -1;
            if (row < 0) continue;
            s[THEIRS + row * MINATAR_SIDE + column] = 1;
            return;
        }
    }
}

static void act(double *s, int asked) {
    if (asked == MINATAR_FIRE && s[COOL_DOWN] == 0) {
        s[OWN + BOTTOM + (int)s[CANNON]] = 1;
        s[COOL_DOWN] = RELOAD;
    }
    if (asked == MINATAR_LEFT) s[CANNON] = GLIA_MAX(0, s[CANNON] - 1);
    if (asked == MINATAR_RIGHT) s[CANNON] = GLIA_MIN(9, s[CANNON] + 1);
}

static glia_status step(const glia_env_at *at, const void *action, glia_env_outcome *out, glia_error *error) {
    (void)error;
    double *s = at->state;
    act(s, glia_minatar_action(at, action, minimal, &s[LAST_ACTION]));
    move_rows(s + OWN, true);
    move_rows(s + THEIRS, false);
    const int under = BOTTOM + (int)s[CANNON];
    if (s[THEIRS + under] != 0 || s[ALIENS + under] != 0) out->terminated = true;
    if (s[MOVE_TIMER] == 0) {
        s[MOVE_TIMER] = GLIA_MIN(count_aliens(s), s[INTERVAL]);
        march(s, out);
    }
    if (s[SHOT_TIMER] == 0) {
        s[SHOT_TIMER] = SHOT_EVERY;
        shoot_back(s);
    }
    for (int i = 0; i < MINATAR_CELLS; i++) {
        if (s[ALIENS + i] == 0 || s[OWN + i] == 0) continue;
        out->reward++;
        s[ALIENS + i] = s[OWN + i] = 0;
    }
    if (s[COOL_DOWN] > 0) s[COOL_DOWN]--;
    s[MOVE_TIMER]--;
    s[SHOT_TIMER]--;
    if (count_aliens(s) == 0) {
        if (s[INTERVAL] > LEAST_EVERY && ((const glia_minatar *)at->settings)->ramping) s[INTERVAL]--;
        fill_aliens(s);
    }
    return GLIA_OK;
}

static void copy_plane(bool *planes, int plane, const double *map) {
    for (int i = 0; i < MINATAR_CELLS; i++) planes[plane * MINATAR_CELLS + i] = map[i] != 0;
}

static void observe(const glia_env_at *at, void *observation) {
    const double *s = at->state;
    bool *planes = memset(observation, 0, PLANES * MINATAR_CELLS);
    planes[BOTTOM + (int)s[CANNON]] = true;
    copy_plane(planes, ALIEN_PLANE, s + ALIENS);
    copy_plane(planes, s[DIRECTION] < 0 ? LEFT_PLANE : RIGHT_PLANE, s + ALIENS);
    copy_plane(planes, OWN_PLANE, s + OWN);
    copy_plane(planes, THEIR_PLANE, s + THEIRS);
}

static bool valid(const glia_env_at *at) {
    const double *s = at->state;
    int most[STATE];
    const int numbers[NUMBERS] = { 9, 0, MOVE_EVERY, MOVE_EVERY, SHOT_EVERY, RELOAD, 5 };
    for (int i = 0; i < STATE; i++) most[i] = i < NUMBERS ? numbers[i] : 1;
    return (s[DIRECTION] == 1 || s[DIRECTION] == -1) && glia_minatar_valid(s, most, 1) &&
           glia_minatar_valid(s + INTERVAL, most + INTERVAL, STATE - INTERVAL);
}

static int draw(const glia_env_at *at, glia_mark *marks, int capacity) {
    return glia_minatar_draw(at, observe, PLANES, marks, capacity);
}

const glia_env_kind glia_env_space_invaders = {
    .name = "MinAtar/SpaceInvaders-v1",
    .alias = "minatar-spaceinvaders",
    .summary = "shoot aliens that come down; 10x10 pixels",
    MINATAR_RECORD(4),
};
