#!/usr/bin/env python3
"""Writes tests/golden/spiking.txt: spikes of Izhikevich's twenty patterns and of cells by fine Euler steps, for
tests/families/test_spiking_cells.c.

    PYTHON tools/golden/spiking.py > tests/golden/spiking.txt        Python 3, no packages

Lines: "pattern INDEX SPIKES FIRST LAST V" (times in ms, -1 without spikes; v at the end), with the parameters written
out once more here, and "cell NAME SPIKES LAST": a conductance-based cell by steps of 0.2 us.
"""

# a, b, c, d, v0, dt, duration, current(t); the equations of G, L and R differ and are below
PATTERNS = [
    (0.02, 0.2, -65, 6, -70, 0.25, 100, lambda t: 14 * (t > 10)),
    (0.02, 0.25, -65, 6, -64, 0.25, 200, lambda t: 0.5 * (t > 20)),
    (0.02, 0.2, -50, 2, -70, 0.25, 220, lambda t: 15 * (t > 22)),
    (0.02, 0.25, -55, 0.05, -64, 0.2, 200, lambda t: 0.6 * (t > 20)),
    (0.02, 0.2, -55, 4, -70, 0.25, 160, lambda t: 10 * (t > 16)),
    (0.01, 0.2, -65, 8, -70, 0.25, 85, lambda t: 30 * (t > 8.5)),
    (0.02, -0.1, -55, 6, -60, 0.25, 300, lambda t: 0.075 * (t - 30) * (t > 30)),
    (0.2, 0.26, -65, 0, -64, 0.25, 300, lambda t: -0.5 + 0.015 * (t - 30) * (t > 30)),
    (0.02, 0.2, -65, 6, -70, 0.2, 100, lambda t: 7.04 * (10 < t < 13)),
    (0.05, 0.26, -60, 0, -62, 0.25, 200, lambda t: 2 * (20 < t < 25)),
    (0.1, 0.26, -60, -1, -62, 0.25, 400, lambda t: 0.65 * any(s < t < s + 4 for s in (40, 60, 280, 320))),
    (0.02, -0.1, -55, 6, -60, 0.25, 100, lambda t: 9 * any(s < t < s + 2 for s in (100 / 11, 100 / 11 + 5, 70, 80))),
    (0.03, 0.25, -60, 4, -64, 0.2, 200, lambda t: -15 * (20 < t < 25)),
    (0.03, 0.25, -52, 0, -64, 0.2, 200, lambda t: -15 * (20 < t < 25)),
    (0.03, 0.25, -60, 4, -64, 0.25, 100, lambda t: 1 if 10 < t < 15 or 80 < t < 85 else -6 if 70 < t < 75 else 0),
    (0.1, 0.26, -60, 0, -61, 0.25, 300, lambda t: 1.24 if 37.5 < t < 42.5 or 216 < t < 221 else 0.24),
    (1, 0.2, -60, -21, -70, 0.1, 50, lambda t: 20 * (abs(t - 10) < 1)),
    (0.02, 1, -55, 4, -65, 0.5, 400,
     lambda t: t / 25 if t < 200 else 0 if t < 300 else (t - 300) / 12.5 * 4 if t < 312.5 else 0),
    (-0.02, -1, -60, 8, -63.8, 0.5, 350, lambda t: 80 if t < 50 or t > 250 else 75),
    (-0.026, -1, -45, -2, -63.8, 0.5, 350, lambda t: 80 if t < 50 or t > 250 else 75),
]


def pattern(index):
    a, b, c, d, v, dt, duration, current = PATTERNS[index]
    u = -16 if index == 17 else b * v
    linear, constant = (4.1, 108) if index in (6, 11) else (5, 140)
    spikes = []
    for i in range(round(duration / dt)):
        t = i * dt
        v += dt * (0.04 * v * v + linear * v + constant - u + current(t))
        u += dt * a * (b * (v + 65)) if index == 17 else dt * a * (b * v - u)
        if v > 30:
            spikes.append(t + dt)
            v, u = c, u + d
    return len(spikes), spikes[0] if spikes else -1, spikes[-1] if spikes else -1, v


def conductance_cell():
    """tau 20, rest -65, threshold -50, ge 1 ms, gi 2 ms; gains at the beginning of each 0.1 ms as in the test."""
    v, ge, gi, spikes, fine = -65.0, 0.0, 0.0, [], 500
    for i in range(3000):
        ge += 0.30 if i % 3 == 0 else 0.0
        gi += 0.05 if i % 7 == 0 else 0.0
        for k in range(fine):
            h = 0.1 / fine
            v += h / 20 * (-65 - v - ge * v + gi * (-100 - v))
            ge, gi = ge * (1 - h), gi * (1 - h / 2)
            if v >= -50:
                spikes.append((i + (k + 1) / fine) * 0.1)
                v = -65.0
    return len(spikes), spikes[-1]


if __name__ == "__main__":
    for index in range(20):
        print("pattern %d %d %.10g %.10g %.10g" % (index, *pattern(index)))
    print("cell conductance %d %.6f" % conductance_cell())
