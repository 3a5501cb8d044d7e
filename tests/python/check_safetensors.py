"""Reads the file written by tests/data/test_safetensors.c with Python's safetensors: all dtypes, odd names, metadata.

    PYTHON tests/python/check_safetensors.py build/release/tests/scratch/test_safetensors/written.safetensors

Needs safetensors and numpy. NumPy has no bfloat16, so only the header of that tensor is checked.
"""
import json
import struct
import sys

import numpy as np
from safetensors import safe_open

EXPECTED = {
    "bytes": np.array([1, 2, 3], np.uint8),
    "layer/kernel": np.array([[1.5, -2]], np.float32),
    "flags": np.array([False, True]),
    'd\u00e9j\u00e0 "vu"\\': np.array(1e-300, np.float64),
    "half": np.array([1.5], np.float16),
    "ints": np.array([-7, 8], np.int32),
    "longs": np.array([[-(2**63)]], np.int64),
    "small": np.array([[-128, -1], [0, 127]], np.int8),
    "none": np.zeros((0,), np.float32),
}
METADATA = {"graph": 'line 1\nline "2"\t\x01', "\u4e2d": ""}


def main():
    path = sys.argv[1]
    with safe_open(path, framework="numpy") as file:
        assert set(file.keys()) == set(EXPECTED) | {"brain"}, sorted(file.keys())
        assert file.metadata() == METADATA, file.metadata()
        for name, wanted in EXPECTED.items():
            got = file.get_tensor(name)
            assert got.dtype == wanted.dtype and got.shape == wanted.shape, (name, got.dtype, got.shape)
            assert np.array_equal(got, wanted), (name, got)
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    assert header["brain"]["dtype"] == "BF16" and header["brain"]["shape"] == [1], header["brain"]
    print("safetensors: Python reads what Glia wrote")


if __name__ == "__main__":
    main()
