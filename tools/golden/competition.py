#!/usr/bin/env python3
"""Writes tests/golden/competition.txt: the network of Diehl and Cook 2015, small and with inputs that fire in every step,
by loops over dense arrays in the order of the authors' program: all membranes and conductances move by an Euler step,
then spikes arrive; for tests/families/test_spiking_learning.c.

    PYTHON tools/golden/competition.py > tests/golden/competition.txt        Python 3, no packages

Lines: "counts ...", "theta ...", "weights ..." (inputs x cells) after one presentation that learns.
"""
import math

DT, SHOWN, PAUSE, INPUTS, CELLS = 0.5, 120, 150, 5, 4
NORM, PRE, POST = 1.6, 0.002, 0.05


def run():
    w = [[0.05 + 0.3 * ((3 * i + 5 * j) % 7) / 7 for j in range(CELLS)] for i in range(INPUTS)]
    on = [True, True, False, True, True]
    for j in range(CELLS):
        total = sum(w[i][j] for i in range(INPUTS))
        for i in range(INPUTS):
            w[i][j] *= NORM / total
    theta, counts = [20.0] * CELLS, [0] * CELLS
    v, ge, gi, held = [-65.0] * CELLS, [0.0] * CELLS, [0.0] * CELLS, [0] * CELLS
    iv, ig, ih = [-60.0] * CELLS, [0.0] * CELLS, [0] * CELLS
    pre, post1, post2 = [0.0] * INPUTS, [0.0] * CELLS, [0.0] * CELLS
    fired = [False] * CELLS
    for t in range(round((SHOWN + PAUSE) / DT)):
        if t > 0:
            pre = [x * math.exp(-DT / 20) for x in pre]
            post1 = [x * math.exp(-DT / 20) for x in post1]
            post2 = [x * math.exp(-DT / 40) for x in post2]
        for i in reversed(range(INPUTS)):
            if on[i] and t < SHOWN / DT:
                pre[i] = 1.0
                for j in range(CELLS):
                    ge[j] += w[i][j]
                    w[i][j] = max(w[i][j] - PRE * post1[j], 0)
        spikes = []
        for j in range(CELLS):
            v[j] += DT / 100 * ((-65 - v[j]) + ge[j] * (0 - v[j]) + gi[j] * (-100 - v[j]))
            ge[j] -= DT / 1 * ge[j]
            gi[j] -= DT / 2 * gi[j]
            if held[j] > t:
                v[j] = -65.0
            elif v[j] > theta[j] - 72:
                spikes.append(j)
        inner = []
        for k in range(CELLS):
            if ih[k] <= t:
                iv[k] += DT / 10 * ((-60 - iv[k]) - ig[k] * iv[k])
            ig[k] -= DT / 1 * ig[k]
            if ih[k] <= t and iv[k] > -40:
                inner.append(k)
        for j in spikes:
            v[j], held[j] = -65.0, t + 10
            counts[j] += 1
            ig[j] += 10.4
            for i in range(INPUTS):
                w[i][j] = min(w[i][j] + POST * post2[j] * pre[i], 1)
            theta[j] += 0.05
            post1[j] = post2[j] = 1.0
            fired[j] = True
        for k in inner:
            iv[k], ih[k] = -45.0, t + 4
            for j in range(CELLS):
                if j != k:
                    gi[j] += 17.0
    theta = [x * math.exp(-(SHOWN + PAUSE) / 1e7) for x in theta]
    for j in range(CELLS):
        if fired[j]:
            total = sum(w[i][j] for i in range(INPUTS))
            for i in range(INPUTS):
                w[i][j] *= NORM / total
    return counts, theta, [x for row in w for x in row]


if __name__ == "__main__":
    for name, values in zip(("counts", "theta", "weights"), run()):
        print(name, *("%.9g" % x for x in values))
