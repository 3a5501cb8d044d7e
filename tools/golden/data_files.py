#!/usr/bin/env python3
"""Writes files with NumPy and scikit-learn that the tests in tests/data read.

    python3 tools/golden/data_files.py          needs numpy and scikit-learn; rewrites tests/golden/data

Element i in row-major order is 7 i mod 11, minus 5 for signed types, divided by 4 for floating-point types; the tests
compute the same.
"""
import os

import numpy as np
from sklearn.datasets import dump_svmlight_file

FOLDER = os.path.join(os.path.dirname(__file__), "../../tests/golden/data")


def numbers(shape, dtype):
    values = np.arange(np.prod(shape)) * 7 % 11
    if np.dtype(dtype).kind in "if":
        values = values - 5
    if np.dtype(dtype).kind == "f":
        values = values / 4
    if np.dtype(dtype).kind == "b":
        values = values % 2
    return values.reshape(shape).astype(dtype)


def main():
    os.makedirs(FOLDER, exist_ok=True)
    for dtype in "|u1 |i1 |b1 <u2 >u2 <i2 >i2 <u4 >u4 <i4 >i4 <u8 >u8 <i8 >i8 <f2 >f2 <f4 >f4 <f8 >f8".split():
        name = {"<": "little_", ">": "big_", "|": ""}[dtype[0]] + dtype[1:]
        np.save(os.path.join(FOLDER, name + ".npy"), numbers((2, 3, 4), dtype))
    np.save(os.path.join(FOLDER, "fortran.npy"), np.asfortranarray(numbers((2, 3, 4), "<i4")))
    np.save(os.path.join(FOLDER, "row.npy"), numbers((5,), "<f8"))
    with open(os.path.join(FOLDER, "version2.npy"), "wb") as file:
        np.lib.format.write_array(file, numbers((2, 3), "<f4"), version=(2, 0))
    np.save(os.path.join(FOLDER, "complex.npy"), numbers((2,), "<f4").astype("<c8"))
    np.save(os.path.join(FOLDER, "objects.npy"), np.array([None, 1], dtype=object), allow_pickle=True)

    pictures, labels = numbers((6, 2, 3, 3), "u1"), np.arange(6).reshape(6, 1) % 3
    arrays = dict(x_train=pictures, y_train=labels, x_test=pictures[:2], y_test=labels[:2])
    np.savez_compressed(os.path.join(FOLDER, "pictures.npz"), **arrays)
    np.savez(os.path.join(FOLDER, "plain.npz"), features=numbers((4, 3), "<f4"), value=numbers((4,), "<f8"))

    rows = numbers((6, 5), "<f8")
    rows[np.arange(30).reshape(6, 5) % 3 > 0] = 0
    dump_svmlight_file(rows, np.arange(6) % 3, os.path.join(FOLDER, "from_zero.svm"), zero_based=True)
    dump_svmlight_file(rows, np.array([-1, 1, 1, -1, 1, -1]), os.path.join(FOLDER, "from_one.svm"), zero_based=False,
                       comment="two classes", query_id=np.arange(6))
    dump_svmlight_file(rows, np.arange(6) / 4 - 0.5, os.path.join(FOLDER, "values.svm"), zero_based=False)


if __name__ == "__main__":
    main()
