#!/usr/bin/env python3
"""Writes tests/golden/som.txt: a map of MiniSom's after 300 iterations, for tests/families/test_memories.c.

    PYTHON tools/golden/som.py > tests/golden/som.txt        NumPy, minisom

The samples are x[i][k] = sin(1 + 0.7 i + 1.3 k i), 60 of 3; the weights begin with cos(u + 2 k). Lines: "errors
QUANTIZATION TOPOGRAPHIC", then the weights, a unit a line.
"""
import numpy as np
from minisom import MiniSom

x = np.sin(1 + 0.7 * np.arange(60)[:, None] + 1.3 * np.arange(3)[None, :] * np.arange(60)[:, None])
som = MiniSom(5, 4, 3, sigma=1.5, learning_rate=0.5, random_seed=0)
som._weights = np.cos(np.arange(20)[:, None] + 2 * np.arange(3)[None, :]).reshape(5, 4, 3)
som.train(x, 300)
print("errors %.9g %.9g" % (som.quantization_error(x), som.topographic_error(x)))
for unit in som.get_weights().reshape(20, 3):
    print(*("%.9g" % w for w in unit))
