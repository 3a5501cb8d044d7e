/* mountain_car.c - MountainCar-v0 and MountainCarContinuous-v0: a car too weak to climb a hill must swing up to it.
 *
 * State: position, velocity (Moore 1990). The continuous one computes in f32 as Gymnasium's does, except for the first
 * step of an episode, which begins in f64: its third number is 1 there.
 */
#include <math.h>

#include "data/environments/environments.h"
#include "data/environments/lanes/lanes.h"
#include "data/environments/lanes/motion.h"

static const glia_setting settings[] = {
    { "goal_velocity", GLIA_SETTING_REAL, offsetof(glia_mountain_car, goal_velocity), 0, 0, 0.07, NULL,
      "speed with which the goal must be reached" },
};

static const double left = -1.2, right = 0.6, fastest = 0.07;
static const float high[] = { 0.6f, 0.07f }, low[] = { -1.2f, -0.07f };

static glia_status reset(const glia_env_at *at, glia_env_outcome *out, glia_error *error) {
    (void)out;
    (void)error;
    at->state[0] = glia_env_uniform(at->random, -0.6, -0.4);
    at->state[1] = 0;
    return GLIA_OK;
}

static glia_status step(const glia_env_at *at, const void *action, glia_env_outcome *out, glia_error *error) {
    (void)error;
    const double goal_velocity = ((const glia_mountain_car *)at->settings)->goal_velocity;
    out->terminated = glia_mountain_car_move(at->state, *(const int32_t *)action - 1, goal_velocity);
    out->reward = -1;
    return GLIA_OK;
}

static glia_env_lanes_fn side_by_side(void) {
    const glia_env_motions *here = glia_env_motions_here();
    return here ? here->mountain_car : NULL;
}

static bool valid(const glia_env_at *at) { return fabs(at->state[0]) < 1e5; } /* for the cosine */

static void observe(const glia_env_at *at, void *observation) {
    float *o = observation;
    for (int i = 0; i < 2; i++) o[i] = (float)at->state[i];
}

static glia_status reset_continuous(const glia_env_at *at, glia_env_outcome *out, glia_error *error) {
    at->state[2] = 1;
    return reset(at, out, error);
}

/* Gymnasium's numbers are f32 here, except in the first step of an episode. */
static double kept(double x, bool first) { return first ? x : (double)(float)x; }

static glia_status step_continuous(const glia_env_at *at, const void *action, glia_env_outcome *out,
                                   glia_error *error) {
    (void)error;
    const double asked = (double)*(const float *)action, force = asked < -1 ? -1 : asked > 1 ? 1 : asked;
    const bool first = at->state[2] != 0;
    const double gravity = 0.0025 * cos(kept(3 * at->state[0], first));
    /* a clipped force is one of Python's own numbers, and the difference then too */
    const double change = asked != force ? force * 0.0015 - gravity : (double)((float)force * 0.0015f - (float)gravity);
    double v = kept(at->state[1] + kept(change, first), first);
    v = v > kept(fastest, first) ? fastest : v < kept(-fastest, first) ? -fastest : v;
    double x = kept(at->state[0] + kept(v, first), first);
    const double begin = kept(left, first), end = kept(right, first);
    x = x > end ? end : x < begin ? begin : x;
    if (x == begin && v < 0) v = 0;
    out->terminated = x >= kept(0.45, first) && v >= ((const glia_mountain_car *)at->settings)->goal_velocity;
    out->reward = (out->terminated ? 100 : 0) - asked * asked * 0.1;
    at->state[0] = (double)(float)x;
    at->state[1] = (double)(float)v;
    at->state[2] = 0;
    return GLIA_OK;
}

static int draw(const glia_env_at *at, glia_mark *marks, int capacity) {
    enum { PARTS = 24, ALL = PARTS + 2 };
    glia_mark all[ALL];
    float before_x = 0, before_y = 0;
    for (int i = 0; i <= PARTS; i++) {
        const double place = left + (right - left) * i / PARTS;
        const float x = (float)i / PARTS, y = 0.2f + 0.5f * (float)(sin(3 * place) * 0.45 + 0.55);
        if (i) all[i - 1] = (glia_mark){ GLIA_MARK_LINE, before_x, before_y, x, y, 0.008f, 0x666666 };
        before_x = x, before_y = y;
    }
    const float x = (float)((at->state[0] - left) / (right - left));
    const float y = 0.2f + 0.5f * (float)(sin(3 * at->state[0]) * 0.45 + 0.55);
    all[PARTS] = (glia_mark){ GLIA_MARK_LINE, 0.944f, 0.69f, 0.944f, 0.8f, 0.008f, 0xCCAA00 };
    all[PARTS + 1] = (glia_mark){ GLIA_MARK_DISC, x, y + 0.03f, 0, 0, 0.035f, 0x333399 };
    for (int i = 0; i < GLIA_MIN(capacity, ALL); i++) marks[i] = all[i];
    return ALL;
}

const glia_env_kind glia_env_mountain_car = {
    .name = "MountainCar-v0",
    .alias = "mountaincar",
    .summary = "swing a weak car up a hill: push left, not at all, or right",
    .paper = "Moore 1990",
    .observation = { GLIA_SPACE_BOX, 0, GLIA_F32, { 1, { 2 } }, low, high },
    .action = { GLIA_SPACE_DISCRETE, 3, GLIA_I32, { 0 }, NULL, NULL },
    .limit = 200,
    .threshold = -110,
    .settings = settings,
    .n_settings = GLIA_COUNT(settings),
    .bytes = sizeof(glia_mountain_car),
    .state = 2,
    .reset = reset,
    .step = step,
    .observe = observe,
    .side_by_side = side_by_side,
    .valid = valid,
    .draw = draw,
};

static const float strongest[] = { 1 }, strongest_back[] = { -1 };

const glia_env_kind glia_env_mountain_car_continuous = {
    .name = "MountainCarContinuous-v0",
    .alias = "mountaincar-continuous",
    .summary = "swing a weak car up a hill by a force in [-1, 1], which costs",
    .paper = "Moore 1990",
    .observation = { GLIA_SPACE_BOX, 0, GLIA_F32, { 1, { 2 } }, low, high },
    .action = { GLIA_SPACE_BOX, 0, GLIA_F32, { 1, { 1 } }, strongest_back, strongest },
    .limit = 999,
    .threshold = 90,
    .settings = settings,
    .n_settings = GLIA_COUNT(settings),
    .bytes = sizeof(glia_mountain_car),
    .state = 3,
    .reset = reset_continuous,
    .step = step_continuous,
    .observe = observe,
    .draw = draw,
};
