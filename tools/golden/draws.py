"""Random numbers, parameters and images with the same bits in any language; tests/support/draws.h is the C version.

Random numbers   one splitmix64 stream (Steele, Lea and Flood 2014), state 1 at the start. Each draw:
                     state += 0x9e3779b97f4a7c15; z = state
                     z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
                     z = (z ^ (z >> 27)) * 0x94d049bb133111eb
                     z =  z ^ (z >> 31)
                     u = (z >> 40) / 2^24                     in [0, 1), exact in f32
Parameters       drawn first, in the order of the layers, row-major, in double, then rounded to f32:
                     kernels (K, C, window...) and (units, F): a (2u - 1), a = sqrt(6 / (fan_in + fan_out)), where the
                     fans of a convolution are C and K times the window; a batch norm's scale: 1 + 0.1 (2u - 1);
                     biases and shifts: 0.1 (2u - 1)
Images           drawn next: for each of ten classes and each channel a pattern with one u for each cell of 4x4 pixels.
                 Then, for each sample: a u for the label floor(10 u); then a u for each channel and pixel (y, x),
                 whose value is (pattern[label][channel][y / 4][x / 4] + u) / 2
"""
import math

import numpy as np

CLASSES, CELL = 10, 4


class SplitMix:
    """The stream above; draws n numbers per call."""

    def __init__(self, state=1):
        self.state = state

    def uniform(self, n):
        gamma = 0x9E3779B97F4A7C15
        z = np.uint64(self.state) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(gamma)
        self.state = (self.state + n * gamma) % 2**64
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
        return (z >> np.uint64(40)).astype(np.float64) / 2**24


def draw_parameter(rng, shape, is_scale):
    """Draws one parameter in f32."""
    middle, a = (1, 0.1) if is_scale else (0, 0.1)
    if len(shape) > 1:
        a = math.sqrt(6 / (math.prod(shape[2:]) * (shape[0] + shape[1])))
    return (middle + a * (2 * rng.uniform(math.prod(shape)) - 1)).astype(np.float32).reshape(shape)


def draw_patterns(rng, sample):
    channels, height, width = sample
    shape = (CLASSES, channels, height // CELL, width // CELL)
    return rng.uniform(math.prod(shape)).reshape(shape)


def draw_batch(rng, patterns, batch):
    """Draws images (batch, channels, height, width) in f32 and their labels."""
    images, labels = [], []
    for _ in range(batch):
        label = int(CLASSES * rng.uniform(1)[0])
        pattern = np.repeat(np.repeat(patterns[label], CELL, axis=1), CELL, axis=2)
        images.append(((pattern + rng.uniform(pattern.size).reshape(pattern.shape)) / 2).astype(np.float32))
        labels.append(label)
    return np.stack(images), np.array(labels)
