#!/usr/bin/env python3
"""Writes tests/golden/substrate.txt: what ES-HyperNEAT makes of a function of places, for tests/families/test_growth.c.

    PYTHON tools/golden/substrate.py > tests/golden/substrate.txt        NumPy

Written breadth first from the algorithms 1 to 3 of Risi and Stanley 2012. Lines: for each case "substrate HIDDEN LINKS",
then the weights of the links in ascending order.
"""
import numpy as np

INPUTS, OUTPUTS = [(-1, -1), (0, -1), (1, -1)], [(-0.5, 1), (0.5, 1)]


def weight(a, b):
    """From place a to place b."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    return np.tanh(1.5 * np.exp(-(2 * dx + 0.3) ** 2) - np.sin(3 * dy) + 0.4 * a[0])


class Quad:
    def __init__(self, x, y, width, level, w=0.0):
        self.x, self.y, self.width, self.level, self.w, self.parts = x, y, width, level, w, []

    def weights(self):
        return [w for part in self.parts for w in part.weights()] if self.parts else [self.w]

    def variance(self):
        return np.var(self.weights())


def search(place, outgoing, first, most, division, variance, band):
    """Places (x, y, weight) that are linked with this one."""
    def at(x, y):
        return weight(place, (x, y)) if outgoing else weight((x, y), place)

    root = Quad(0, 0, 1, 1)
    queue = [root]
    while queue:
        p = queue.pop(0)
        for sx, sy in ((-1, -1), (1, -1), (-1, 1), (1, 1)):
            x, y = p.x + sx * p.width / 2, p.y + sy * p.width / 2
            p.parts.append(Quad(x, y, p.width / 2, p.level + 1, at(x, y)))
        if p.level < first or (p.level < most and p.variance() > division):
            queue += p.parts
    found = []

    def extract(p):
        for c in p.parts:
            if c.variance() > variance:
                extract(c)
                continue
            sides = [abs(c.w - at(c.x - p.width, c.y)), abs(c.w - at(c.x + p.width, c.y))]
            ends = [abs(c.w - at(c.x, c.y - p.width)), abs(c.w - at(c.x, c.y + p.width))]
            if max(min(sides), min(ends)) > band:
                found.append((c.x, c.y, c.w))
    extract(root)
    return found


for options in ((2, 4, 0.03, 0.03, 0.3), (3, 3, 0.1, 0.2, 0.1)):
    hidden, links, fresh = [], [], []
    for place in INPUTS:
        for x, y, w in search(place, True, *options):
            if (x, y) not in hidden:
                hidden.append((x, y))
            links.append(w)
    for place in list(hidden):
        for x, y, w in search(place, True, *options):
            if (x, y) != place:
                if (x, y) not in hidden:
                    hidden.append((x, y))
                links.append(w)
    for place in OUTPUTS:
        links += [w for x, y, w in search(place, False, *options) if (x, y) in hidden]
    print("substrate %d %d" % (len(hidden), len(links)))
    print(*("%.9g" % (3 * w) for w in sorted(links)))
