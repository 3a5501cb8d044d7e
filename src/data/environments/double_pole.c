/* double_pole.c - a cart with two poles of different lengths (Wieland 1991), the benchmark of neuroevolution.
 *
 * State: x (m), its speed, angle (rad) and its speed of the long pole, of the short pole, then a ring of
 * |x| + |speed| + |angle| + |spin| in the last 100 steps, and the number of steps. Equations and constants are those of
 * Gomez and Miikkulainen 1997, with friction of the hinges but none of the track: two Runge-Kutta steps of 0.01 s with
 * the same force. The action is a force in [-1, 1], times 10 N.
 *
 * The info "jiggle" is the sum of the ring: the denominator of Gruau's fitness (Gruau et al. 1996).
 */
#include <math.h>
#include <string.h>

#include "data/environments/environments.h"

enum { X, SPEED, ANGLE, SPIN, ANGLE2, SPIN2, NUMBERS, RING = 100, STEPS = NUMBERS + RING, STATE };

typedef struct double_pole {
    bool velocities, random;
} double_pole;

static const glia_setting settings[] = {
    { "velocities", GLIA_SETTING_SWITCH, offsetof(double_pole, velocities), 1, 0, 0, NULL,
      "observe the speeds; without them the task needs memory" },
    { "random", GLIA_SETTING_SWITCH, offsetof(double_pole, random), 0, 0, 0, NULL,
      "begin anywhere in the range of the test of generalisation, instead of with the long pole at 4.5 degrees" },
};

static const double limit_x = 2.4, limit_angle = 36 * 3.141592653589793 / 180;

static void spaces(const void *memory, glia_space *observation, glia_space *action) {
    (void)action;
    observation->shape.dim[0] = ((const double_pole *)memory)->velocities ? 6 : 3;
}

static glia_status reset(const glia_env_at *at, glia_env_outcome *out, glia_error *error) {
    static const double ranges[] = { 2.16, 1.35, 3.6 * 3.141592653589793 / 180, 8.6 * 3.141592653589793 / 180 };
    (void)error;
    memset(at->state, 0, STATE * sizeof *at->state);
    at->state[ANGLE] = 0.07;
    for (int i = 0; ((const double_pole *)at->settings)->random && i < GLIA_COUNT(ranges); i++)
        at->state[i] = glia_env_uniform(at->random, -ranges[i], ranges[i]);
    out->info[0] = 0;
    return GLIA_OK;
}

/* Accelerations of the cart and both poles. */
static void differentiate(const double *s, double force, double *d) {
    static const double gravity = -9.8, cart = 1, hinge = 0.000002;
    static const double length[2] = { 0.5, 0.05 }, mass[2] = { 0.1, 0.01 };
    double pull = force, total = cart, friction[2];
    for (int i = 0; i < 2; i++) {
        const double angle = s[ANGLE + 2 * i], spin = s[SPIN + 2 * i], sine = sin(angle), cosine = cos(angle);
        friction[i] = hinge * spin / (mass[i] * length[i]);
        pull += mass[i] * length[i] * spin * spin * sine + 0.75 * mass[i] * cosine * (friction[i] + gravity * sine);
        total += mass[i] * (1 - 0.75 * cosine * cosine);
    }
    d[X] = s[SPEED];
    d[SPEED] = pull / total;
    for (int i = 0; i < 2; i++) {
        const double angle = s[ANGLE + 2 * i];
        d[ANGLE + 2 * i] = s[SPIN + 2 * i];
        d[SPIN + 2 * i] = -0.75 * (d[SPEED] * cos(angle) + gravity * sin(angle) + friction[i]) / length[i];
    }
}

static void runge_kutta(double *s, double force, double tau) {
    double k[4][NUMBERS], at[NUMBERS];
    static const double part[4] = { 0, 0.5, 0.5, 1 };
    for (int j = 0; j < 4; j++) {
        for (int i = 0; i < NUMBERS; i++) at[i] = s[i] + (j ? part[j] * tau * k[j - 1][i] : 0);
        differentiate(at, force, k[j]);
    }
    for (int i = 0; i < NUMBERS; i++) s[i] += tau / 6 * (k[0][i] + 2 * k[1][i] + 2 * k[2][i] + k[3][i]);
}

static glia_status step(const glia_env_at *at, const void *action, glia_env_outcome *out, glia_error *error) {
    (void)error;
    double *s = at->state, *ring = s + NUMBERS;
    const double force = 10 * fmin(fmax((double)*(const float *)action, -1), 1);
    for (int i = 0; i < 2; i++) runge_kutta(s, force, 0.01);
    ring[(int64_t)s[STEPS] % RING] = fabs(s[X]) + fabs(s[SPEED]) + fabs(s[ANGLE]) + fabs(s[SPIN]);
    s[STEPS]++;
    double sums[4] = { 0 }; /* which do not wait for each other */
    for (int i = 0; i < RING; i++) sums[i % 4] += ring[i];
    out->info[0] = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    out->terminated = fabs(s[X]) > limit_x || fabs(s[ANGLE]) > limit_angle || fabs(s[ANGLE2]) > limit_angle;
    out->reward = 1;
    return GLIA_OK;
}

/* Scaled to about [-1, 1]. */
static void observe(const glia_env_at *at, void *observation) {
    static const double scale[NUMBERS] = { 2.4, 10, 0.628329, 5, 0.628329, 16 };
    float *o = observation;
    const bool velocities = ((const double_pole *)at->settings)->velocities;
    for (int i = 0; i < NUMBERS; i += velocities ? 1 : 2) *o++ = (float)(at->state[i] / scale[i]);
}

static bool valid(const glia_env_at *at) { return at->state[STEPS] >= 0 && at->state[STEPS] < 1e15; }

static int draw(const glia_env_at *at, glia_mark *marks, int capacity) {
    const float x = 0.5f + (float)(at->state[X] / (2 * limit_x)) * 0.9f, y = 0.3f;
    const float a = (float)at->state[ANGLE], b = (float)at->state[ANGLE2];
    const glia_mark all[] = { { GLIA_MARK_LINE, 0, 0.25f, 1, 0.25f, 0.006f, 0x888888 },
                              { GLIA_MARK_BOX, x - 0.08f, 0.25f, x + 0.08f, 0.33f, 0, 0x333344 },
                              { GLIA_MARK_LINE, x, y, x + 0.45f * sinf(a), y + 0.45f * cosf(a), 0.025f, 0xCA9865 },
                              { GLIA_MARK_LINE, x, y, x + 0.1f * sinf(b), y + 0.1f * cosf(b), 0.02f, 0x65A0CA } };
    for (int i = 0; i < GLIA_MIN(capacity, GLIA_COUNT(all)); i++) marks[i] = all[i];
    return GLIA_COUNT(all);
}

static const float low[] = { -1 }, high[] = { 1 };
static const glia_env_info infos[] = { { "jiggle", 1 } };

const glia_env_kind glia_env_double_pole = {
    .name = "DoublePole",
    .alias = "double-pole",
    .summary = "balance two poles of different lengths on one cart",
    .paper = "Wieland 1991; Gomez and Miikkulainen 1997",
    .observation = { GLIA_SPACE_BOX, 0, GLIA_F32, { 1, { 6 } }, NULL, NULL },
    .action = { GLIA_SPACE_BOX, 0, GLIA_F32, { 1, { 1 } }, low, high },
    .spaces = spaces,
    .limit = 1000,
    .threshold = 1000,
    .settings = settings,
    .n_settings = GLIA_COUNT(settings),
    .bytes = sizeof(double_pole),
    .state = STATE,
    .infos = infos,
    .n_infos = GLIA_COUNT(infos),
    .reset = reset,
    .step = step,
    .observe = observe,
    .valid = valid,
    .draw = draw,
};
