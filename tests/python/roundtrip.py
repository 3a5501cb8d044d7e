"""Reads a model saved by Glia with Python's safetensors, writes one for Glia to read, and compares every value.

    PYTHON tests/python/roundtrip.py build/release/tests/roundtrip         needs safetensors and numpy
"""
import os
import subprocess
import sys
import tempfile

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

SHAPES = {"conv/kernel": (3, 2, 3, 3), "conv/bias": (3,), "norm/scale": (3,), "norm/shift": (3,),
          "dense/kernel": (4, 27), "dense/bias": (4,)}
STATES = {"norm/running_mean": (3,), "norm/running_var": (3,)}


def expected():
    for p, (name, shape) in enumerate(SHAPES.items()):
        yield name, ((10 * p + np.arange(np.prod(shape))) / 8).astype(np.float32).reshape(shape)


def main():
    program = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = os.path.join(folder, "ours.safetensors"), os.path.join(folder, "theirs.safetensors")
        subprocess.run([program, "write", ours], check=True)
        with safe_open(ours, framework="numpy") as file:
            assert file.metadata(), "no metadata: the graph should be there"
            missing = (set(SHAPES) | set(STATES)) - set(file.keys())
            assert not missing, f"not in the file: {missing}"
            for name, values in expected():
                got = file.get_tensor(name)
                assert got.dtype == np.float32 and got.shape == values.shape, (name, got.dtype, got.shape)
                assert np.array_equal(got, values), name
            for name, shape in STATES.items():
                assert file.get_tensor(name).shape == shape, name
        save_file({name: -values for name, values in expected()}, theirs, metadata={"format": "np"})
        subprocess.run([program, "read", theirs], check=True)
    print("safetensors: Python and Glia read each other")


if __name__ == "__main__":
    main()
