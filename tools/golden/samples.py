#!/usr/bin/env python3
"""Distances between two sets of features with NumPy, as reference values.

    python3 tools/golden/samples.py          needs NumPy; rewrites tests/golden/samples.txt

Features come from a linear congruential generator, also in tests/nn/test_distances.c, and are exact in f32. Each row of
the file: case, value. The Fréchet distance takes the root of the product of covariances by its complex eigenvalues, the
kernel distance and the neighbours come from whole matrices: other ways than Glia's.
"""
import os

import numpy as np


def features(seed, n, size):
    x, rows = seed, np.empty((n, size))
    for i in range(n):
        for k in range(size):
            x = (1664525 * x + 1013904223) % 2**32
            rows[i, k] = (x >> 16) / 2**13 - 4 + (k % 3) * (seed % 5) / 4
    rows[:, 1] += rows[:, 0] / 2
    return rows


def frechet(a, b):
    s, t = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    roots = np.sqrt(np.maximum(np.linalg.eigvals(s @ t).real, 0))
    return np.sum((a.mean(0) - b.mean(0))**2) + np.trace(s) + np.trace(t) - 2 * roots.sum()


def kernel(a, b):
    def k(x, y):
        return (x @ y.T / x.shape[1] + 1)**3
    n, m = len(a), len(b)
    of_a, of_b = k(a, a), k(b, b)
    return ((of_a.sum() - np.trace(of_a)) / (n * (n - 1)) + (of_b.sum() - np.trace(of_b)) / (m * (m - 1))
            - 2 * k(a, b).mean())


def distances(a, b):
    return ((a[:, None, :] - b[None, :, :])**2).sum(-1)


def inside(points, of, k):
    radii = np.sort(distances(of, of), axis=1)[:, k]  # column 0 is the row itself
    return (distances(points, of) <= radii[None, :]).any(1).mean()


def score(p):
    m = p.mean(0)
    return np.exp((p * (np.log(p) - np.log(m))).sum(1).mean())


def main():
    a, b = features(1, 60, 7), features(3, 60, 7)
    shares = np.exp(a) / np.exp(a).sum(1, keepdims=True)
    lines = ["frechet %.12g" % frechet(a, b), "kernel %.12g" % kernel(a, b)]
    for k in (1, 3):
        lines += ["precision%d %.12g" % (k, inside(b, a, k)), "recall%d %.12g" % (k, inside(a, b, k))]
    lines.append("score %.12g" % score(shares.astype(np.float32).astype(float)))
    path = os.path.join(os.path.dirname(__file__), "../../tests/golden/samples.txt")
    with open(path, "w", encoding="ascii") as file:
        file.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
