"""Writes tests/golden/projection.txt: principal components, and the affinities, divergence and gradient of t-SNE,
computed by scikit-learn. Needs numpy, scikit-learn.

    python3 tools/golden/projection.py

The points are small fractions, exact in f32; tests/families/test_projection.c generates the same.
"""
import pathlib

import numpy
from sklearn.decomposition import PCA
from sklearn.manifold import _t_sne

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/projection.txt"


def draw(seed, count):
    """The generator of the test: multiples of 1/256 in [-8, 8)."""
    x, out = seed, []
    for _ in range(count):
        x = (1664525 * x + 1013904223) % 2**32
        out.append(((x >> 8) % 4096 - 2048) / 256)
    return numpy.array(out)


def write(file, name, values):
    print(name, *("%.17g" % v for v in numpy.ravel(values)), file=file)


def affinities(points, perplexity):
    """The affinities p of van der Maaten and Hinton 2008, equations 1 and 2, by bisection in f64."""
    n = len(points)
    distances = ((points[:, None] - points[None]) ** 2).sum(-1)
    p = numpy.zeros((n, n))
    for i in range(n):
        others = numpy.arange(n) != i
        low, high = 0.0, 1e6
        for _ in range(400):
            beta = (low + high) / 2
            row = numpy.exp(-beta * (distances[i, others] - distances[i, others].min()))
            row /= row.sum()
            entropy = -(row[row > 0] * numpy.log(row[row > 0])).sum()
            low, high = (beta, high) if entropy > numpy.log(perplexity) else (low, beta)
        p[i, others] = row
    return (p + p.T) / (2 * n)


with OUT.open("w") as file:
    for name, n, size, seed in [("tall", 40, 6, 1), ("wide", 8, 30, 2)]:
        points = draw(seed, n * size).reshape(n, size) * numpy.arange(1, size + 1)
        pca = PCA(4, svd_solver="full").fit(points)
        write(file, name + "_y", pca.transform(points))
        write(file, name + "_axes", pca.components_)
        write(file, name + "_variance", pca.explained_variance_)
    n = 30
    points, places = draw(3, n * 5).reshape(n, 5), draw(4, n * 2).reshape(n, 2)
    p = affinities(points, 7.0)
    upper = p[numpy.triu_indices(n, 1)]
    # scikit-learn takes p in condensed form and normalises 1 / (1 + d^2) itself.
    divergence, gradient = _t_sne._kl_divergence(places.ravel(), upper, 1, n, 2)
    write(file, "affinities", p[0])
    write(file, "divergence", [divergence])
    write(file, "gradient", gradient)
