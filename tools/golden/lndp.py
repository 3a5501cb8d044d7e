#!/usr/bin/env python3
"""Writes tests/golden/lndp.txt: a lifelong developmental program in NumPy's doubles, for tests/families/test_growth.c.

    PYTHON tools/golden/lndp.py > tests/golden/lndp.txt        NumPy, and torch for ops.py

Written from Plantec et al. 2024 with arrays of all pairs (i, k), not by rows as the library. The genome is
sin(1 + 2.3 i + 0.017 i^2), the inputs are sin(t), cos(t), the rewards 1, then 0. Lines: "step EDGES GONE
NEW" for 2 steps of development, "act EDGES Y0 Y1" for 2 acts, then the weights of the last net by rows. Standard
error: the smallest distance of a decision from 0.6.
"""
import sys

import numpy as np

from ops import philox

INPUTS, OUTPUTS, NODES, F, E, STEPS, DENSITY, SEED = 2, 2, 11, 8, 4, 3, 0.3, 5


class Numbers:
    """The library's stream of random numbers."""

    def __init__(self, seed, stream):
        self.key, self.stream, self.position = (seed, 0), stream, 0

    def word(self):
        block = philox(self.key, (self.position >> 2, 0, self.stream, 0))
        self.position += 1
        return block[(self.position - 1) & 3]

    def uniform(self):
        high = self.word()
        return ((high << 32 | self.word()) >> 11) / 2**53

    def normal(self):
        u = self.uniform()
        return np.sqrt(-2 * np.log(1 - u)) * np.cos(2 * np.pi * self.uniform())


class Genome:
    def __init__(self):
        self.at = 0

    def take(self, *shape):
        i = np.arange(self.at, self.at + int(np.prod(shape)))
        self.at += len(i)
        return np.sin(1 + 2.3 * i + 0.017 * i * i).astype(np.float32).astype(float).reshape(shape)


def sigmoid(x):
    return 0.5 * (1 + np.tanh(x / 2))


class Gru:
    def __init__(self, inputs, bias, kept, new):
        self.inputs, self.bias, self.kept, self.new = inputs, bias, kept, new

    def __call__(self, x, state):
        a = np.split(x @ self.inputs.T + self.bias, 3, axis=-1)
        b = np.split(state @ self.kept.T, 3, axis=-1)
        r, u = sigmoid(a[0] + b[0]), sigmoid(a[1] + b[1])
        new = np.tanh(a[2] + r * (b[2] + self.new))
        return new + u * (state - new)


def decide(x, w, b, out):
    return sigmoid(np.maximum(x @ w.T + b, 0) @ out[:-1] + out[-1])


g = Genome()
seen = STEPS + 1 + F
perceive, perceive_bias = g.take(F, 5 + seen), g.take(F)
query, key, value = g.take(3, 4, F), g.take(3, 4, F), g.take(3, 8, F)
attend, attend_bias = g.take(3, E + 3), g.take(3)
merge, merge_bias = g.take(F, 24), g.take(F)
node_in, node_kept, node_bias, node_new = g.take(3 * F, F), g.take(3 * F, F), g.take(3 * F), g.take(F)
edge_from, edge_to, edge_reward = g.take(3 * E, seen), g.take(3 * E, seen), g.take(3 * E)
edge_kept, edge_bias, edge_new = g.take(3 * E, E), g.take(3 * E), g.take(E)
add = g.take(16, F), g.take(16, F), g.take(16), g.take(17)
prune = g.take(16, E), g.take(16), g.take(17)
mean, rate, scale = g.take(INPUTS), np.clip(g.take(INPUTS), 0, 1), np.clip(g.take(INPUTS, INPUTS), -1, 1)

node = Gru(node_in, node_bias, node_kept, node_new)
edge = Gru(np.hstack([edge_from, edge_to, edge_reward[:, None]]), edge_bias, edge_kept, edge_new)

kind = np.array(["i"] * INPUTS + ["h"] * (NODES - INPUTS - OUTPUTS) + ["o"] * OUTPUTS)
allowed = np.array([[a + b in ("ih", "hh", "ho") and i != k for k, b in enumerate(kind)] for i, a in enumerate(kind)])

rng = Numbers(SEED, 0x6C6E)
A = np.zeros((NODES, NODES), bool)
for i, k in np.argwhere(allowed):
    A[i, k] = rng.uniform() < DENSITY
h = np.array([[2 * rng.uniform() - 1 for _ in range(NODES)] for _ in range(F)]).T
e = np.zeros((NODES, NODES, E))
for f in range(E):
    for i, k in np.argwhere(A):
        e[i, k, f] = 2 * rng.uniform() - 1
activity = np.zeros((NODES, STEPS + 1))


def noise():
    total = np.zeros(INPUTS)
    for k in range(INPUTS):
        total += scale[:, k] * rng.normal()
    return total


closest = 1


def update(reward):
    global h, e, A, closest
    marks = np.stack([A.sum(0) / 10, A.sum(1) / 10, (A.sum(0) + A.sum(1)) / 20, kind == "i", kind == "o"], -1)
    x = np.hstack([marks, activity, h]) @ perceive.T + perceive_bias
    every = np.concatenate([e, A[..., None], A.T[..., None], np.eye(NODES)[..., None]], -1)
    heads = []
    for head in range(3):
        scores = (x @ query[head].T) @ (x @ key[head].T).T / 2 * (every @ attend[head] + attend_bias[head])
        shares = np.exp(scores - scores.max(1, keepdims=True))
        shares /= shares.sum(1, keepdims=True)
        heads.append(shares.T @ (x @ value[head].T))
    h = node(np.hstack(heads) @ merge.T + merge_bias, h)
    both = np.hstack([activity, h])
    pairs = np.concatenate([np.repeat(both[:, None], NODES, 1), np.repeat(both[None], NODES, 0),
                            np.full((NODES, NODES, 1), reward)], -1)
    e = edge(pairs, e) * A[..., None]
    gone = decide(e, *prune)
    wanted = decide(np.concatenate([np.repeat(h[:, None], NODES, 1), np.repeat(h[None], NODES, 0)], -1),
                    np.hstack(add[:2]), *add[2:])
    free = allowed & ~A
    closest = min([closest] + list(abs(gone[allowed] - 0.6)) + list(abs(wanted[free] - 0.6)))
    goes, comes = A & (gone > 0.6), free & (wanted > 0.6) & (gone <= 0.6)
    A = A & ~goes | comes
    return goes.sum(), comes.sum()


def propagate(x):
    global activity
    a, rows = np.zeros(NODES), []
    for _ in range(STEPS):
        a = np.concatenate([x, a[INPUTS:]])
        rows.append(a)
        a = np.tanh(a @ e[..., 0])
    activity = np.stack(rows + [a], -1)
    return a[-OUTPUTS:]


x = noise()
for _ in range(2):
    x = x + rate * (mean - x)
    x = x + noise()
    goes, comes = update(0)
    propagate(x)
    print("step %d %d %d" % (A.sum(), goes, comes))
for t in range(2):
    update(float(t == 0))
    y = propagate(np.array([np.sin(t), np.cos(t)]).astype(np.float32).astype(float))
    print("act %d %.9g %.9g" % (A.sum(), *y))
for row in e[..., 0]:
    print(*("%.9g" % (w + 0) for w in row))
print("smallest distance of a decision: %.2g; genome of %d numbers" % (closest, g.at), file=sys.stderr)
