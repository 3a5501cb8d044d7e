/* freeway.c - MinAtar/Freeway-v1: a chicken crosses eight lanes of cars; a point for each crossing, 2,500 steps.
 *
 * State: chicken's row, steps until it may move, steps that are left, last action, then for each car its column, steps
 * until it moves, and its speed, negative to the left: it moves every |speed| + 1 steps. Planes: chicken, cars, and
 * their trails by |speed|.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/environments/minatar.h"

enum { ROW, MOVE_TIMER, LEFT_STEPS, LAST_ACTION, CARS_AT, CARS = 8, PER_CAR = 3, STATE = CARS_AT + CARS * PER_CAR };
enum { COLUMN, TIMER, SPEED, SLOW = 3, STEPS = 2500, CHICKEN_COLUMN = 4, FASTEST = 5, PLANES = 2 + FASTEST };

static const glia_setting settings[] = { MINATAR_SETTINGS };
static const int minimal[] = { MINATAR_NOTHING, MINATAR_UP, MINATAR_DOWN };

static void spaces(const void *memory, glia_space *observation, glia_space *action) {
    (void)observation;
    glia_minatar_actions(memory, action, GLIA_COUNT(minimal));
}

static double *car_of(double *s, int i) { return s + CARS_AT + i * PER_CAR; }

static void randomize(const glia_env_at *at) {
    double speeds[CARS];
    for (int i = 0; i < CARS; i++) speeds[i] = 1 + (double)glia_env_below(at->random, FASTEST);
    for (int i = 0; i < CARS; i++) {
        double *car = car_of(at->state, i);
        car[TIMER] = speeds[i];
        car[SPEED] = glia_env_uniform(at->random, 0, 1) < 0.5 ? -speeds[i] : speeds[i];
    }
}

static glia_status reset(const glia_env_at *at, glia_env_outcome *out, glia_error *error) {
    (void)out;
    (void)error;
    const double last = at->state[LAST_ACTION];
    memset(at->state, 0, STATE * sizeof *at->state);
    at->state[LAST_ACTION] = last; /* of the wrapper, which MinAtar does not reset */
    at->state[ROW] = 9;
    at->state[MOVE_TIMER] = SLOW;
    at->state[LEFT_STEPS] = STEPS;
    randomize(at);
    return GLIA_OK;
}

/* A car in the chicken's place sends it back. */
static void hit(double *s, const double *car, int lane) {
    if (car[COLUMN] == CHICKEN_COLUMN && s[ROW] == lane) s[ROW] = 9;
}

static void drive(double *s, double *car, int lane) {
    hit(s, car, lane);
    if (car[TIMER] != 0) {
        car[TIMER]--;
        return;
    }
    car[TIMER] = fabs(car[SPEED]);
    car[COLUMN] += car[SPEED] > 0 ? 1 : -1;
    if (car[COLUMN] < 0) car[COLUMN] = 9;
    if (car[COLUMN] > 9) car[COLUMN] = 0;
    hit(s, car, lane);
}

static glia_status step(const glia_env_at *at, const void *action, glia_env_outcome *out, glia_error *error) {
    (void)error;
    double *s = at->state;
    const int asked = glia_minatar_action(at, action, minimal, &s[LAST_ACTION]);
    if ((asked == MINATAR_UP || asked == MINATAR_DOWN) && s[MOVE_TIMER] == 0) {
        s[MOVE_TIMER] = SLOW;
        s[ROW] = asked == MINATAR_UP ? GLIA_MAX(0, s[ROW] - 1) : GLIA_MIN(9, s[ROW] + 1);
    }
    if (s[ROW] == 0) {
        out->reward = 1;
        randomize(at);
        s[ROW] = 9;
    }
    for (int i = 0; i < CARS; i++) drive(s, car_of(s, i), i + 1);
    if (s[MOVE_TIMER] > 0) s[MOVE_TIMER]--;
    s[LEFT_STEPS]--;
    out->terminated = s[LEFT_STEPS] < 0;
    return GLIA_OK;
}

static void observe(const glia_env_at *at, void *observation) {
    double *s = at->state;
    bool *planes = memset(observation, 0, PLANES * MINATAR_CELLS);
    planes[(int)s[ROW] * MINATAR_SIDE + CHICKEN_COLUMN] = true;
    for (int i = 0; i < CARS; i++) {
        const double *car = car_of(s, i);
        const int column = (int)car[COLUMN], back = (column + (car[SPEED] > 0 ? 9 : 1)) % MINATAR_SIDE;
        const int row = (i + 1) * MINATAR_SIDE, speed = (int)fabs(car[SPEED]);
        planes[MINATAR_CELLS + row + column] = true;
        planes[(1 + speed) * MINATAR_CELLS + row + back] = true;
    }
}

static bool valid(const glia_env_at *at) {
    static const int most[CARS_AT] = { 9, SLOW, STEPS, 5 };
    for (int i = 0; i < CARS; i++) {
        const double *car = car_of(at->state, i);
        if (!glia_env_is_index(car[COLUMN], 10) || !glia_env_is_index(car[TIMER], FASTEST + 1) ||
            !glia_env_is_index(fabs(car[SPEED]) - 1, FASTEST)) {
            return false;
        }
    }
    return glia_minatar_valid(at->state, most, LEFT_STEPS) && at->state[LEFT_STEPS] >= -1 &&
           at->state[LEFT_STEPS] <= STEPS && glia_minatar_valid(at->state + LAST_ACTION, most + LAST_ACTION, 1);
}

static int draw(const glia_env_at *at, glia_mark *marks, int capacity) {
    return glia_minatar_draw(at, observe, PLANES, marks, capacity);
}

const glia_env_kind glia_env_freeway = {
    .name = "MinAtar/Freeway-v1",
    .alias = "minatar-freeway",
    .summary = "lead a chicken across a road; 10x10 pixels",
    MINATAR_RECORD(3),
};
