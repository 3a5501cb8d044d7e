/* motion.h - the equations of environments whose copies may move side by side: one step of one copy. Records use them
 * for single copies, lanes.c in loops that become vectors, with the same bits.
 *
 * States, and where the equations are from, are those of the records' pages.
 */
#ifndef GLIA_SRC_DATA_ENVIRONMENTS_LANES_MOTION_H
#define GLIA_SRC_DATA_ENVIRONMENTS_LANES_MOTION_H

#include <stdbool.h>

#include "base/real.h"

/* ---- CartPole ------------------------------------------------------------------------------------- */

typedef struct glia_cart_pole { /* its settings */
    bool sutton_barto_reward;
} glia_cart_pole;

/* Moves s (x, speed, angle, spin) by a force to the right, or to the left. Returns whether the episode ended. */
static inline bool glia_cart_pole_move(double *s, bool right) {
    enum { X, SPEED, ANGLE, SPIN };
    const double gravity = 9.8, pole = 0.1, mass = 1.1, length = 0.5, pole_length = 0.05, tau = 0.02;
    const double limit_x = 2.4, limit_angle = 12 * 2 * 3.141592653589793 / 360;
    double sine, cosine;
    glia_real_sincos(s[ANGLE], &sine, &cosine);
    const double spin = s[SPIN], force = right ? 10 : -10;
    const double push = (force + pole_length * (spin * spin) * sine) / mass;
    const double turn = (gravity * sine - cosine * push) / (length * (4.0 / 3.0 - pole * (cosine * cosine) / mass));
    const double pull = push - pole_length * turn * cosine / mass;
    s[X] += tau * s[SPEED];
    s[SPEED] += tau * pull;
    s[ANGLE] += tau * spin;
    s[SPIN] += tau * turn;
    return (s[X] < -limit_x) | (s[X] > limit_x) | (s[ANGLE] < -limit_angle) | (s[ANGLE] > limit_angle);
}

/* ---- MountainCar ---------------------------------------------------------------------------------- */

typedef struct glia_mountain_car { /* its settings */
    double goal_velocity;
} glia_mountain_car;

/* Moves s (position, velocity) by a push of -1, 0 or 1. */
static inline bool glia_mountain_car_move(double *s, double push, double goal_velocity) {
    const double left = -1.2, right = 0.6, fastest = 0.07;
    double sine, cosine;
    glia_real_sincos(3 * s[0], &sine, &cosine);
    double v = s[1] + (push * 0.001 + cosine * -0.0025);
    v = glia_real_select(v < -fastest, -fastest, glia_real_select(v > fastest, fastest, v));
    double x = s[0] + v;
    x = glia_real_select(x < left, left, glia_real_select(x > right, right, x));
    v = glia_real_select((x == left) & (v < 0), 0, v);
    s[0] = x;
    s[1] = v;
    return (x >= 0.5) & (v >= goal_velocity);
}

/* ---- Acrobot -------------------------------------------------------------------------------------- */

typedef struct glia_acrobot { /* angles of the links, their speeds; or how they change */
    double first, second, spin, spin2;
} glia_acrobot;

/* The links have mass 1, length 1, their centres at 0.5, moments of inertia 1. */
static inline glia_acrobot glia_acrobot_derive(glia_acrobot s, double torque) {
    const double pi = 3.141592653589793, m1 = 1, m2 = 1, l1 = 1, c1 = 0.5, c2 = 0.5, i1 = 1, i2 = 1, g = 9.8;
    double sin2, cos2, unused, both, first;
    glia_real_sincos(s.second, &sin2, &cos2);
    glia_real_sincos(s.first + s.second - pi / 2.0, &unused, &both);
    glia_real_sincos(s.first - pi / 2, &unused, &first);
    const double d1 = m1 * (c1 * c1) + m2 * (l1 * l1 + c2 * c2 + 2 * l1 * c2 * cos2) + i1 + i2;
    const double d2 = m2 * (c2 * c2 + l1 * c2 * cos2) + i2;
    const double phi2 = m2 * c2 * g * both;
    const double phi1 = -m2 * l1 * c2 * (s.spin2 * s.spin2) * sin2 - 2 * m2 * l1 * c2 * s.spin2 * s.spin * sin2 +
                        (m1 * c1 + m2 * l1) * g * first + phi2;
    const double faster2 = (torque + d2 / d1 * phi1 - m2 * l1 * c2 * (s.spin * s.spin) * sin2 - phi2) /
                           (m2 * (c2 * c2) + i2 - d2 * d2 / d1);
    return (glia_acrobot){ s.spin, s.spin2, -(d2 * faster2 + phi1) / d1, faster2 };
}

/* a + part b */
static inline glia_acrobot glia_acrobot_add(glia_acrobot a, double part, glia_acrobot b) {
    return (glia_acrobot){ a.first + part * b.first, a.second + part * b.second, a.spin + part * b.spin,
                           a.spin2 + part * b.spin2 };
}

/* A Runge-Kutta step; the angles are not yet wrapped. */
static inline glia_acrobot glia_acrobot_move(glia_acrobot s, double torque) {
    const double dt = 0.2, pi = 3.141592653589793, fastest = 4 * pi, fastest2 = 9 * pi;
    const glia_acrobot k1 = glia_acrobot_derive(s, torque);
    const glia_acrobot k2 = glia_acrobot_derive(glia_acrobot_add(s, dt / 2.0, k1), torque);
    const glia_acrobot k3 = glia_acrobot_derive(glia_acrobot_add(s, dt / 2.0, k2), torque);
    const glia_acrobot k4 = glia_acrobot_derive(glia_acrobot_add(s, dt, k3), torque);
    const glia_acrobot sum = glia_acrobot_add(glia_acrobot_add(glia_acrobot_add(k1, 2, k2), 2, k3), 1, k4);
    s = glia_acrobot_add(s, dt / 6.0, sum);
    s.spin = s.spin < -fastest ? -fastest : s.spin > fastest ? fastest : s.spin;
    s.spin2 = s.spin2 < -fastest2 ? -fastest2 : s.spin2 > fastest2 ? fastest2 : s.spin2;
    return s;
}

/* An angle in [-pi, pi]. */
static inline double glia_acrobot_wrap(double x) {
    const double pi = 3.141592653589793;
    while (x > pi) x -= 2 * pi;
    while (x < -pi) x += 2 * pi;
    return x;
}

/* What is seen: cosine and sine of both angles, the speeds; and whether the tip is above the line. */
typedef struct glia_acrobot_view {
    double cosine, sine, cosine2, sine2;
    bool above;
} glia_acrobot_view;
static inline glia_acrobot_view glia_acrobot_see(glia_acrobot s) {
    glia_acrobot_view view;
    double unused, tip;
    glia_real_sincos(s.first, &view.sine, &view.cosine);
    glia_real_sincos(s.second, &view.sine2, &view.cosine2);
    glia_real_sincos(s.second + s.first, &unused, &tip);
    view.above = -view.cosine - tip > 1.0;
    return view;
}

#endif
