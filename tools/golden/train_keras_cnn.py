#!/usr/bin/python3
"""Trains the Keras MNIST CNN for 50 steps in PyTorch and writes the losses that Glia must follow.

    /usr/bin/python3 tools/golden/train_keras_cnn.py          needs torch and numpy; rewrites the file below

Writes tests/golden/keras_cnn_losses.txt: fifty losses, one a line, each the mean cross-entropy of a batch before the
step's update. tests/test_parity.c mirrors everything here in C and follows them to 1e-4.

The recipe, so simple that any language can follow it bit by bit
    Random numbers   one splitmix64 stream (Steele, Lea and Flood 2014), state 1 at the start. Each draw:
                         state += 0x9e3779b97f4a7c15; z = state
                         z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
                         z = (z ^ (z >> 27)) * 0x94d049bb133111eb
                         z =  z ^ (z >> 31)
                         u = (z >> 40) / 2^24                     in [0, 1), exact in f32
    Network          (N, 1, 28, 28), valid 3x3 convolutions, 2x2 max pools:
                         conv1 32 relu, pool, conv2 64 relu, pool, conv3 64 relu, flatten, dense1 64 relu, dense2 10
    Parameters       drawn first, in the order conv1/kernel, conv1/bias, conv2/kernel, ..., dense2/bias, row-major:
                         kernels (K, C, 3, 3) and (units, F): a (2u - 1), a = sqrt(6 / (fan_in + fan_out)), where the
                         fans of a convolution are 9 C and 9 K; biases 0.1 (2u - 1); in double, then rounded to f32
    Images           drawn next: ten patterns of 7x7 u's. Then, for each step, for each of its 16 samples: a u, the label
                     being floor(10 u); then 784 u's, pixel (y, x) being (pattern[label][y / 4][x / 4] + u) / 2
    Training         Adam, lr 0.001, betas 0.9 and 0.999, epsilon 1e-8; batch 16; 50 steps

The file is computed in f64 (PyTorch's double tensors from the same f32 numbers), so it is the truth that an f32 run, ours
or PyTorch's, rounds around; the greatest difference of PyTorch's own f32 run is written into its first line.
"""
import math
import os

import numpy as np
import torch

STEPS, BATCH = 50, 16
SHAPES = [("conv1", (32, 1, 3, 3)), ("conv2", (64, 32, 3, 3)), ("conv3", (64, 64, 3, 3)),
          ("dense1", (64, 576)), ("dense2", (10, 64))]


class SplitMix:
    """The stream above; n draws at a time."""

    def __init__(self, state):
        self.state = state

    def uniform(self, n):
        gamma = 0x9E3779B97F4A7C15
        z = np.uint64(self.state) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(gamma)
        self.state = (self.state + n * gamma) % 2**64
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
        return (z >> np.uint64(40)).astype(np.float64) / 2**24


def draw_parameters(rng):
    values = []
    for _, shape in SHAPES:
        window = math.prod(shape[2:])
        a = math.sqrt(6 / (window * (shape[0] + shape[1])))
        values.append((a * (2 * rng.uniform(math.prod(shape)) - 1)).astype(np.float32).reshape(shape))
        values.append((0.1 * (2 * rng.uniform(shape[0]) - 1)).astype(np.float32))
    return values


def draw_batch(rng, patterns):
    images, labels = [], []
    for _ in range(BATCH):
        label = int(10 * rng.uniform(1)[0])
        pattern = np.repeat(np.repeat(patterns[label], 4, axis=0), 4, axis=1)
        images.append(((pattern + rng.uniform(784).reshape(28, 28)) / 2).astype(np.float32))
        labels.append(label)
    return np.stack(images)[:, None], np.array(labels)


def logits_of(x, p):
    f = torch.nn.functional
    x = f.max_pool2d(f.relu(f.conv2d(x, p[0], p[1])), 2)
    x = f.max_pool2d(f.relu(f.conv2d(x, p[2], p[3])), 2)
    x = f.relu(f.conv2d(x, p[4], p[5])).flatten(1)
    return f.linear(f.relu(f.linear(x, p[6], p[7])), p[8], p[9])


def train(dtype):
    rng = SplitMix(1)
    parameters = [torch.tensor(v, dtype=dtype, requires_grad=True) for v in draw_parameters(rng)]
    patterns = rng.uniform(490).reshape(10, 7, 7)
    optimizer = torch.optim.Adam(parameters, lr=1e-3, eps=1e-8)
    losses = []
    for _ in range(STEPS):
        images, labels = draw_batch(rng, patterns)
        loss = torch.nn.functional.cross_entropy(logits_of(torch.tensor(images, dtype=dtype), parameters),
                                                 torch.tensor(labels))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def main():
    truth, single = train(torch.float64), train(torch.float32)
    gap = max(abs(a - b) for a, b in zip(truth, single))
    path = os.path.join(os.path.dirname(__file__), "..", "..", "tests", "golden", "keras_cnn_losses.txt")
    with open(path, "w") as file:
        file.write(f"# tools/golden/train_keras_cnn.py, PyTorch {torch.__version__}, f64; its f32 differs by {gap:.1e}\n")
        file.writelines(f"{loss:.9g}\n" for loss in truth)
    print(f"{os.path.normpath(path)}: {truth[0]:.6f} ... {truth[-1]:.6f}, f32 differs by {gap:.1e}")


if __name__ == "__main__":
    main()
