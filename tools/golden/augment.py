"""Writes tests/golden/augment.txt: images transformed by torchvision and SciPy with given parameters.

Usage: augment.py OUTPUT      needs torch, torchvision, numpy, scipy

A case is a line "NAME C H W parameters..." and a line of C * H * W results. The image is not in the file: value i is
(i * 2654435761 mod 2^32) / 2^32, which tests/data/test_augment.c computes too.
"""
import math
import sys

import numpy as np
import torch
import torchvision.transforms.functional as F
from scipy import ndimage
from scipy.interpolate import CubicSpline
from torchvision.transforms import InterpolationMode

out = open(sys.argv[1], "w")


def made(shape, start=0):
    n = int(np.prod(shape))
    i = (np.arange(start, start + n, dtype=np.uint64) * np.uint64(2654435761)) % np.uint64(2**32)
    return (i.astype(np.float64) / 2**32).reshape(shape)


def case(name, shape, parameters, result):
    out.write(" ".join([name] + ["%d" % d for d in shape] + ["%.17g" % p for p in parameters]) + "\n")
    out.write(" ".join("%.8g" % v for v in np.asarray(result).ravel()) + "\n")


def torch_image(shape):
    return torch.tensor(made(shape))


# Angle, translation, scale, shear: torchvision's affine shears first, then rotates and scales, then translates.
for shape, angle, move, scale, shear in [((3, 7, 6), 30, (0, 0), 1, (0, 0)), ((1, 8, 8), -100, (0, 0), 1, (0, 0)),
                                         ((2, 5, 9), 0, (2, -1), 1, (0, 0)), ((1, 6, 6), 0, (0, 0), 1.4, (0, 0)),
                                         ((1, 6, 7), 0, (0, 0), 0.7, (0, 0)), ((1, 7, 7), 0, (0, 0), 1, (20, 0)),
                                         ((1, 7, 7), 0, (0, 0), 1, (0, -15)), ((1, 7, 5), 0, (0, 0), 1, (12, 25)),
                                         ((3, 9, 8), 25, (1, 2), 0.85, (10, -5))]:
    result = F.affine(torch_image(shape), angle, list(move), scale, list(shear), InterpolationMode.BILINEAR)
    case("affine", shape, [angle, *move, scale, *shear], result)

# The edge modes, by SciPy: rotation about the centre.
for edge, mode in enumerate(["grid-constant", "nearest", "mirror", "grid-wrap"]):
    h, w, angle = 6, 7, math.radians(35)
    y, x = np.mgrid[0:h, 0:w].astype(float)
    x, y = x - (w - 1) / 2, y - (h - 1) / 2
    at_x = math.cos(angle) * x + math.sin(angle) * y + (w - 1) / 2 - 1.25
    at_y = -math.sin(angle) * x + math.cos(angle) * y + (h - 1) / 2 + 2.5
    result = ndimage.map_coordinates(made((h, w)), [at_y, at_x], order=1, mode=mode, cval=0.375)
    case("edge", (1, h, w), [edge], result)

for shape, box in [((3, 8, 8), (1, 2, 5, 4)), ((1, 9, 6), (0, 0, 3, 6)), ((1, 5, 5), (2, 2, 1, 1)),
                   ((2, 6, 7), (0, 0, 6, 7))]:
    result = F.resized_crop(torch_image(shape), *box, shape[1:], InterpolationMode.BILINEAR, antialias=True)
    case("resize", shape, box, result)

for shape, alpha, sigma in [((1, 9, 11), 12, 1.5), ((2, 7, 7), 34, 4)]:
    h, w = shape[1:]
    field = [ndimage.gaussian_filter(alpha * (2 * made((h, w), 1000 + k * h * w) - 1), sigma, mode="constant",
                                     truncate=4)
             for k in range(2)]
    y, x = np.mgrid[0:h, 0:w].astype(float)
    result = [ndimage.map_coordinates(plane, [y + field[1], x + field[0]], order=1, mode="grid-constant", cval=0)
              for plane in made(shape)]
    case("elastic", shape, [alpha, sigma], result)

for name, function in [("brightness", F.adjust_brightness), ("contrast", F.adjust_contrast),
                       ("saturation", F.adjust_saturation)]:
    for shape, factor in [((3, 4, 5), 0.4), ((3, 4, 5), 1.7), ((3, 4, 5), 0), ((1, 4, 5), 1.3)]:
        case(name, shape, [factor], function(torch_image(shape), factor))
for turn in [-0.5, -0.2, 0.05, 0.31, 0.5]:
    case("hue", (3, 7, 9), [turn], F.adjust_hue(torch_image((3, 7, 9)), turn))
case("grey", (3, 4, 5), [], F.rgb_to_grayscale(torch_image((3, 4, 5)), 3))

for shape, sigma in [((3, 8, 9), 0.6), ((1, 9, 8), 1.3), ((1, 10, 10), 2.0)]:
    size = 2 * math.ceil(3 * sigma) + 1
    case("blur", shape, [sigma], F.gaussian_blur(torch_image(shape), [size, size], [sigma, sigma]))

# Time warping of Um et al.: a spline of speeds is summed to new times; the series is resampled at even ones.
for shape, knots, sigma in [((1, 1, 40), 4, 0.2), ((3, 1, 25), 1, 0.4), ((2, 1, 30), 2, 0.3), ((1, 1, 33), 9, 0.25)]:
    n, points = shape[2], knots + 2
    speed = 1 + sigma * (2 * made((points,), 500) - 1)
    curve = np.maximum(CubicSpline(np.linspace(0, n - 1, points), speed)(np.arange(n)), 0.01)
    times = np.cumsum(curve)
    times *= (n - 1) / times[-1]
    case("warp", shape, [points, sigma], [np.interp(np.arange(n), times, x[0]) for x in made(shape)])

for shape, begin, length in [((2, 1, 20), 3, 14), ((1, 1, 9), 0, 9), ((1, 1, 7), 6, 1)]:
    n = shape[2]
    window = [np.interp(np.linspace(0, length - 1, n), np.arange(length), x[0, begin:begin + length])
              for x in made(shape)]
    case("slice", shape, [begin, length], window)
