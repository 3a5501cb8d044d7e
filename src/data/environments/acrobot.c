/* acrobot.c - Acrobot-v1: two links hang from a hinge; a torque at the joint between them must swing the tip up.
 *
 * State: angle of the first link (rad, 0 hangs down), angle of the second relative to it, their speeds. Equations of
 * Sutton and Barto 2018, example 11.3; one Runge-Kutta step of 0.2 s. As in Gymnasium, a first state is rounded to f32.
 */
#include <math.h>

#include "data/environments/environments.h"

static const double pi = 3.141592653589793;
static const float high[] = { 1, 1, 1, 1, 12.566371f, 28.274334f },
                   low[] = { -1, -1, -1, -1, -12.566371f, -28.274334f };

static glia_status reset(const glia_env_at *at, glia_env_outcome *out, glia_error *error) {
    (void)out;
    (void)error;
    for (int i = 0; i < 4; i++) at->state[i] = (double)(float)glia_env_uniform(at->random, -0.1, 0.1);
    return GLIA_OK;
}

/* Derivatives of the four numbers; the links have mass 1, length 1, their centres at 0.5, moments of inertia 1. */
static void derive(const double *s, double torque, double *out) {
    static const double m1 = 1, m2 = 1, l1 = 1, c1 = 0.5, c2 = 0.5, i1 = 1, i2 = 1, g = 9.8;
    const double cos2 = cos(s[1]), sin2 = sin(s[1]);
    const double d1 = m1 * (c1 * c1) + m2 * (l1 * l1 + c2 * c2 + 2 * l1 * c2 * cos2) + i1 + i2;
    const double d2 = m2 * (c2 * c2 + l1 * c2 * cos2) + i2;
    const double phi2 = m2 * c2 * g * cos(s[0] + s[1] - pi / 2.0);
    const double phi1 = -m2 * l1 * c2 * (s[3] * s[3]) * sin2 - 2 * m2 * l1 * c2 * s[3] * s[2] * sin2 +
                        (m1 * c1 + m2 * l1) * g * cos(s[0] - pi / 2) + phi2;
    out[0] = s[2];
    out[1] = s[3];
    out[3] =
        (torque + d2 / d1 * phi1 - m2 * l1 * c2 * (s[2] * s[2]) * sin2 - phi2) / (m2 * (c2 * c2) + i2 - d2 * d2 / d1);
    out[2] = -(d2 * out[3] + phi1) / d1;
}

static double wrapped(double x) {
    while (x > pi) x -= 2 * pi;
    while (x < -pi) x += 2 * pi;
    return x;
}

static double bounded(double x, double most) { return x < -most ? -most : x > most ? most : x; }

static glia_status step(const glia_env_at *at, const void *action, glia_env_outcome *out, glia_error *error) {
    static const double dt = 0.2;
    (void)error;
    double *s = at->state, k[4][4], between[4];
    const double torque = *(const int32_t *)action - 1;
    derive(s, torque, k[0]);
    for (int stage = 1; stage < 4; stage++) {
        const double part = stage < 3 ? dt / 2.0 : dt;
        for (int i = 0; i < 4; i++) between[i] = s[i] + part * k[stage - 1][i];
        derive(between, torque, k[stage]);
    }
    for (int i = 0; i < 4; i++) s[i] += dt / 6.0 * (k[0][i] + 2 * k[1][i] + 2 * k[2][i] + k[3][i]);
    s[0] = wrapped(s[0]);
    s[1] = wrapped(s[1]);
    s[2] = bounded(s[2], 4 * pi);
    s[3] = bounded(s[3], 9 * pi);
    out->terminated = -cos(s[0]) - cos(s[1] + s[0]) > 1.0;
    out->reward = out->terminated ? 0 : -1;
    return GLIA_OK;
}

static void observe(const glia_env_at *at, void *observation) {
    const double *s = at->state;
    const double all[] = { cos(s[0]), sin(s[0]), cos(s[1]), sin(s[1]), s[2], s[3] };
    float *o = observation;
    for (int i = 0; i < GLIA_COUNT(all); i++) o[i] = (float)all[i];
}

static bool valid(const glia_env_at *at) {
    static const double most[] = { 6.3, 6.3, 12.6, 28.3 };
    for (int i = 0; i < 4; i++) {
        if (fabs(at->state[i]) > most[i]) return false;
    }
    return true;
}

static int draw(const glia_env_at *at, glia_mark *marks, int capacity) {
    const float size = 1 / 4.4f, a = (float)at->state[0], b = a + (float)at->state[1];
    const float x = 0.5f + size * sinf(a), y = 0.5f - size * cosf(a), tip_x = x + size * sinf(b),
                tip_y = y - size * cosf(b);
    const glia_mark all[] = { { GLIA_MARK_LINE, 0, 0.5f + size, 1, 0.5f + size, 0.006f, 0x888888 },
                              { GLIA_MARK_LINE, 0.5f, 0.5f, x, y, 0.04f, 0x00A0A0 },
                              { GLIA_MARK_LINE, x, y, tip_x, tip_y, 0.04f, 0x00CCCC },
                              { GLIA_MARK_DISC, 0.5f, 0.5f, 0, 0, 0.025f, 0xCCCC00 },
                              { GLIA_MARK_DISC, x, y, 0, 0, 0.025f, 0xCCCC00 } };
    for (int i = 0; i < GLIA_MIN(capacity, GLIA_COUNT(all)); i++) marks[i] = all[i];
    return GLIA_COUNT(all);
}

const glia_env_kind glia_env_acrobot = {
    .name = "Acrobot-v1",
    .alias = "acrobot",
    .summary = "swing the tip of two links above a line by a torque at their joint",
    .paper = "Sutton 1996",
    .observation = { GLIA_SPACE_BOX, 0, GLIA_F32, { 1, { 6 } }, low, high },
    .action = { GLIA_SPACE_DISCRETE, 3, GLIA_I32, { 0 }, NULL, NULL },
    .limit = 500,
    .threshold = -100,
    .state = 4,
    .reset = reset,
    .step = step,
    .observe = observe,
    .valid = valid,
    .draw = draw,
};
