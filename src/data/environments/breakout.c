/* breakout.c - MinAtar/Breakout-v1: a paddle keeps a ball in play that breaks bricks.
 *
 * State: ball x, y, its last x, y, direction (0 up left, 1 up right, 2 down right, 3 down left), paddle, 1 while the
 * ball is inside bricks, last action, then 30 bricks of the rows 1 to 3. Planes: paddle, ball, trail, bricks.
 */
#include <string.h>

#include "data/environments/minatar.h"

enum { X, Y, LAST_X, LAST_Y, DIRECTION, PADDLE, STRIKE, LAST_ACTION, BRICKS, N_BRICKS = 30, STATE = BRICKS + N_BRICKS };
enum { BALL_PLANE = 1, TRAIL_PLANE, BRICK_PLANE, PLANES };

static const glia_setting settings[] = { MINATAR_SETTINGS };
static const int minimal[] = { MINATAR_NOTHING, MINATAR_LEFT, MINATAR_RIGHT };
/* Directions after a bounce off a side, off what is above or below, and off both. */
static const int off_side[] = { 1, 0, 3, 2 }, off_level[] = { 3, 2, 1, 0 }, off_corner[] = { 2, 3, 0, 1 };

static void spaces(const void *memory, glia_space *observation, glia_space *action) {
    (void)observation;
    glia_minatar_actions(memory, action, GLIA_COUNT(minimal));
}

static void fill_bricks(double *s) {
    for (int i = 0; i < N_BRICKS; i++) s[BRICKS + i] = 1;
}

static glia_status reset(const glia_env_at *at, glia_env_outcome *out, glia_error *error) {
    (void)out;
    (void)error;
    double *s = at->state;
    const bool right = glia_env_below(at->random, 2) == 1;
    memset(s, 0, STATE * sizeof *s);
    s[X] = s[LAST_X] = right ? 9 : 0;
    s[Y] = s[LAST_Y] = 3;
    s[DIRECTION] = right ? 3 : 2;
    s[PADDLE] = 4;
    fill_bricks(s);
    return GLIA_OK;
}

/* The brick at a place; NULL: none can be there. */
static double *brick_at(double *s, int x, int y) { return y >= 1 && y <= 3 ? &s[BRICKS + (y - 1) * 10 + x] : NULL; }

static bool has_bricks(const double *s) {
    for (int i = 0; i < N_BRICKS; i++) {
        if (s[BRICKS + i] != 0) return true;
    }
    return false;
}

/* The ball has reached the paddle's row: its new y. */
static int meet_paddle(double *s, int x, int y, glia_env_outcome *out) {
    if (!has_bricks(s)) fill_bricks(s);
    const bool straight = s[X] == s[PADDLE], edge = x == (int)s[PADDLE];
    if (!straight && !edge) {
        out->terminated = true;
        return y;
    }
    s[DIRECTION] = straight ? off_level[(int)s[DIRECTION]] : off_corner[(int)s[DIRECTION]];
    return (int)s[LAST_Y];
}

static glia_status step(const glia_env_at *at, const void *action, glia_env_outcome *out, glia_error *error) {
    (void)error;
    double *s = at->state;
    const int asked = glia_minatar_action(at, action, minimal, &s[LAST_ACTION]);
    if (asked == MINATAR_LEFT) s[PADDLE] = GLIA_MAX(0, s[PADDLE] - 1);
    if (asked == MINATAR_RIGHT) s[PADDLE] = GLIA_MIN(9, s[PADDLE] + 1);
    s[LAST_X] = s[X];
    s[LAST_Y] = s[Y];
    const int direction = (int)s[DIRECTION];
    int x = (int)s[X] + (direction == 1 || direction == 2 ? 1 : -1), y = (int)s[Y] + (direction >= 2 ? 1 : -1);
    if (x < 0 || x > 9) {
        x = x < 0 ? 0 : 9;
        s[DIRECTION] = off_side[direction];
    }
    double *brick = brick_at(s, x, y);
    bool inside = false;
    if (y < 0) {
        y = 0;
        s[DIRECTION] = off_level[(int)s[DIRECTION]];
    } else if (brick && *brick != 0) {
        inside = true;
        if (s[STRIKE] == 0) {
            out->reward = 1;
            *brick = 0;
            y = (int)s[LAST_Y];
            s[DIRECTION] = off_level[(int)s[DIRECTION]];
        }
    } else if (y == 9) {
        y = meet_paddle(s, x, y, out);
    }
    s[STRIKE] = inside;
    s[X] = x;
    s[Y] = y;
    return GLIA_OK;
}

static void observe(const glia_env_at *at, void *observation) {
    const double *s = at->state;
    bool *planes = memset(observation, 0, PLANES * MINATAR_CELLS);
    planes[9 * MINATAR_SIDE + (int)s[PADDLE]] = true;
    planes[BALL_PLANE * MINATAR_CELLS + (int)s[Y] * MINATAR_SIDE + (int)s[X]] = true;
    planes[TRAIL_PLANE * MINATAR_CELLS + (int)s[LAST_Y] * MINATAR_SIDE + (int)s[LAST_X]] = true;
    for (int i = 0; i < N_BRICKS; i++) planes[BRICK_PLANE * MINATAR_CELLS + MINATAR_SIDE + i] = s[BRICKS + i] != 0;
}

static bool valid(const glia_env_at *at) {
    int most[STATE] = { 9, 9, 9, 9, 3, 9, 1, 5 };
    for (int i = 0; i < N_BRICKS; i++) most[BRICKS + i] = 1;
    return glia_minatar_valid(at->state, most, STATE);
}

static int draw(const glia_env_at *at, glia_mark *marks, int capacity) {
    return glia_minatar_draw(at, observe, PLANES, marks, capacity);
}

const glia_env_kind glia_env_breakout = {
    .name = "MinAtar/Breakout-v1",
    .alias = "minatar-breakout",
    .summary = "keep a ball in play that breaks bricks; 10x10 pixels",
    MINATAR_RECORD(3),
};
