/* pendulum.c - Pendulum-v1: a pendulum is swung up and held upright by a torque.
 *
 * State: angle (rad, 0 upright), its speed. Steps of 0.05 s. The cost is angle^2 + 0.1 speed^2 + 0.001 torque^2, before
 * the step; an episode never terminates.
 */
#include <math.h>

#include "data/environments/environments.h"

typedef struct pendulum {
    double g;
} pendulum;

static const glia_setting settings[] = {
    { "g", GLIA_SETTING_REAL, offsetof(pendulum, g), 10, 0, 1000, NULL, "acceleration of gravity" },
};

static const double pi = 3.141592653589793;
static const float high[] = { 1, 1, 8 }, low[] = { -1, -1, -8 }, strongest[] = { 2 }, strongest_back[] = { -2 };

static glia_status reset(const glia_env_at *at, glia_env_outcome *out, glia_error *error) {
    (void)out;
    (void)error;
    at->state[0] = glia_env_uniform(at->random, -pi, pi);
    at->state[1] = glia_env_uniform(at->random, -1, 1);
    return GLIA_OK;
}

/* In [-pi, pi); the remainder has the sign of the divisor. */
static double centred(double angle) {
    double rest = fmod(angle + pi, 2 * pi);
    if (rest < 0) rest += 2 * pi;
    return rest - pi;
}

static glia_status step(const glia_env_at *at, const void *action, glia_env_outcome *out, glia_error *error) {
    static const double dt = 0.05;
    (void)error;
    const float asked = *(const float *)action, u = asked < -2 ? -2 : asked > 2 ? 2 : asked; /* products of u: f32 */
    const double angle = at->state[0], speed = at->state[1], off = centred(angle);
    const double g = ((const pendulum *)at->settings)->g;
    out->reward = -(off * off + 0.1 * (speed * speed) + (double)(0.001f * (u * u)));
    double faster = speed + (3 * g / 2 * sin(angle) + (double)(3.0f * u)) * dt;
    faster = faster < -8 ? -8 : faster > 8 ? 8 : faster;
    at->state[0] = angle + faster * dt;
    at->state[1] = faster;
    return GLIA_OK;
}

static void observe(const glia_env_at *at, void *observation) {
    float *o = observation;
    o[0] = (float)cos(at->state[0]);
    o[1] = (float)sin(at->state[0]);
    o[2] = (float)at->state[1];
}

static int draw(const glia_env_at *at, glia_mark *marks, int capacity) {
    const float x = 0.5f - 0.4f * (float)sin(at->state[0]), y = 0.5f + 0.4f * (float)cos(at->state[0]);
    const glia_mark all[] = { { GLIA_MARK_LINE, 0.5f, 0.5f, x, y, 0.08f, 0xCC4D4D },
                              { GLIA_MARK_DISC, x, y, 0, 0, 0.04f, 0xCC4D4D },
                              { GLIA_MARK_DISC, 0.5f, 0.5f, 0, 0, 0.02f, 0x000000 } };
    for (int i = 0; i < GLIA_MIN(capacity, GLIA_COUNT(all)); i++) marks[i] = all[i];
    return GLIA_COUNT(all);
}

const glia_env_kind glia_env_pendulum = {
    .name = "Pendulum-v1",
    .alias = "pendulum",
    .summary = "swing a pendulum up and hold it by a torque in [-2, 2]",
    .observation = { GLIA_SPACE_BOX, 0, GLIA_F32, { 1, { 3 } }, low, high },
    .action = { GLIA_SPACE_BOX, 0, GLIA_F32, { 1, { 1 } }, strongest_back, strongest },
    .limit = 200,
    .threshold = NAN,
    .settings = settings,
    .n_settings = GLIA_COUNT(settings),
    .bytes = sizeof(pendulum),
    .state = 2,
    .reset = reset,
    .step = step,
    .observe = observe,
    .draw = draw,
};
