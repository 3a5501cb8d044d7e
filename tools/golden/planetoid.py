#!/usr/bin/env python3
"""Writes tests/golden/planetoid/ind.NAME.*: a small data set in Planetoid's files, as SciPy and NumPy pickle it.

    PYTHON tools/golden/planetoid.py [FOLDER]        NumPy 1.26, SciPy

NAME is "old": as Python 2 wrote them (protocol 2, data as strings), and "new": by protocol 4. 7 nodes, 4 features, 3
classes; node 5 is not in test.index and has no class. Feature k of node v is v + 1 if (v + k) % 3 is 0.
tests/data/test_graph_files.c knows the same.
"""
import collections
import os
import pickle
import struct
import sys

import numpy
import scipy.sparse

NODES, FEATURES, CLASSES, ALL, TESTS = 7, 4, 3, 4, [6, 4]
EDGES = [(0, 1), (1, 0), (1, 2), (2, 2), (3, 6), (4, 6), (3, 6)]


class Old(pickle._Pickler):
    """Texts and bytes are strings of Python 2."""
    dispatch = dict(pickle._Pickler.dispatch)

    def string(self, value):
        data = value.encode() if isinstance(value, str) else bytes(value)
        head = b"U" + bytes([len(data)]) if len(data) < 256 else b"T" + struct.pack("<i", len(data))
        self.write(head + data)
        self.memoize(value)

    dispatch[str] = dispatch[bytes] = string


def dump(value, path, old):
    with open(path, "wb") as file:
        if old:
            Old(file, 2).dump(value)
        else:
            pickle.dump(value, file, 4)
    if old:  # the module of those days
        data = open(path, "rb").read().replace(b"scipy.sparse._csr", b"scipy.sparse.csr")
        open(path, "wb").write(data)


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else "tests/golden/planetoid"
    os.makedirs(folder, exist_ok=True)
    x = numpy.array([[v + 1 if (v + k) % 3 == 0 else 0 for k in range(FEATURES)] for v in range(NODES)], "f4")
    y = numpy.eye(CLASSES, dtype="i4")[numpy.arange(NODES) % CLASSES]
    graph = collections.defaultdict(list)
    for a, b in EDGES:
        graph[a].append(b)
    for name in ("old", "new"):
        sparse = (lambda rows: scipy.sparse.csr_matrix(x[rows]))
        for ending, value in (("x", sparse([0, 1])), ("y", y[:2]), ("allx", sparse(range(ALL))), ("ally", y[:ALL]),
                              ("tx", sparse(TESTS)), ("ty", y[TESTS]), ("graph", graph)):
            dump(value, os.path.join(folder, "ind.%s.%s" % (name, ending)), name == "old")
        with open(os.path.join(folder, "ind.%s.test.index" % name), "w") as file:
            file.write("".join("%d\n" % v for v in TESTS))


if __name__ == "__main__":
    main()
