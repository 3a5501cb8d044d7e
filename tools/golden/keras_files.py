#!/usr/bin/env python3
"""Writes tests/golden/keras: the weights of a small net of Keras, with an input and its output.

    python3 -m venv venv && venv/bin/pip install keras jax numpy
    KERAS_BACKEND=jax venv/bin/python3 tools/golden/keras_files.py

named.npz    each weight under its path, as "sequential/c1/kernel"
keras2.npz   the same as Keras 2 wrote them into .h5 files, "c1/c1/kernel:0"
order.npz    numpy.savez(file, *model.get_weights())
answer.npz   x (3, H, W, C), y (3, units)
"""
import pathlib

import keras
import numpy

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "keras"


def main():
    layers = keras.layers
    model = keras.Sequential([
        keras.Input((8, 6, 2)),
        layers.Conv2D(3, (3, 2), name="c1"),
        layers.BatchNormalization(epsilon=1e-5, name="bn"),
        layers.Activation("relu"),
        layers.DepthwiseConv2D(3, padding="same", name="d1"),
        layers.Flatten(),
        layers.Dropout(0.5),
        layers.Dense(5, activation="tanh", name="f1"),
        layers.Dense(4, name="f2"),
    ])
    random = numpy.random.default_rng(1)
    model.set_weights([random.uniform(0.2, 1.0, w.shape).astype("f") * random.choice([-1, 1], w.shape)
                       if "variance" not in v.path else random.uniform(0.5, 2.0, w.shape).astype("f")
                       for v, w in zip(model.weights, model.get_weights())])
    named = {w.path: numpy.asarray(w) for w in model.weights}
    print("\n".join(f"{name} {value.shape}" for name, value in named.items()))
    FOLDER.mkdir(exist_ok=True)
    numpy.savez(FOLDER / "named.npz", **named)
    old = {name.split("/", 1)[1]: value for name, value in named.items()}
    numpy.savez(FOLDER / "keras2.npz", **{f"{name.split('/')[0]}/{name}:0": value for name, value in old.items()})
    numpy.savez(FOLDER / "order.npz", *model.get_weights())
    x = random.standard_normal((3, 8, 6, 2)).astype("f")
    numpy.savez(FOLDER / "answer.npz", x=x, y=numpy.asarray(model(x, training=False)))


main()
