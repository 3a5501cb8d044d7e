#!/usr/bin/python3
"""Computes every loss of Glia in PyTorch with each reduction and weights, and the gradients in the prediction.

    python3 tools/golden/losses.py          needs torch 1.10 or newer; rewrites tests/golden/losses.txt

tests/nn/test_losses.c has the same inputs. Predictions of classes are z[i] = 2 sin(0.7 i + 0.3), row-major, (6, 5) or
tokens (3, 4, 5), for NLL and KL their log-softmax. Labels are 3 i mod 5, those of i mod 4 = 1 are none where labels may be
missing. Distributions are softmax(cos(1.3 i)). Losses of two tensors take z (3, 4) and cos(1.3 i), whose signs the hinge
takes and whose squares binary cross-entropy takes. Class weights v are CLASS, weights of samples 0.5 + 0.25 n.

Each row of the file: loss, reduction, options, then the values and the gradient of sum_j (1.5 + cos(0.9 j)) values[j] in
the prediction. Options: - none, s label smoothing 0.1, v class weights, w weights of samples, m the mean divides by weights.
"""
import math
import os

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
CLASS = torch.tensor([0.5, 1, 2, 0.25, 1.5])
IGNORED = -1


def sequence(shape, f):
    n = math.prod(shape)
    return torch.tensor([f(i) for i in range(n)]).reshape(shape)


def scores(*shape):
    return sequence(shape, lambda i: 2 * math.sin(0.7 * i + 0.3)).requires_grad_()


def wave(*shape):
    return sequence(shape, lambda i: math.cos(1.3 * i))


def labels(*shape, missing=False):
    return sequence(shape, lambda i: IGNORED if missing and i % 4 == 1 else 3 * i % 5).long()


def of_labels(call, shape, missing):
    """Values and the weights of their labels by PyTorch's reduction='none', and its own mean for the check below."""
    def loss(options):
        z, t = scores(*shape), labels(*shape[:-1], missing=missing)
        v = CLASS if "v" in options else None
        e = {"label_smoothing": 0.1} if "s" in options else {}
        flat = z.reshape(-1, 5), t.reshape(-1)
        each = call(*flat, weight=v, ignore_index=IGNORED, reduction="none", **e).reshape(t.shape)
        known = (t != IGNORED).double()
        label = known if v is None else v[t.clamp(min=0)] * known
        if "w" not in options:  # PyTorch's own mean is the mean by weights
            mean = call(*flat, weight=v, ignore_index=IGNORED, reduction="mean", **e)
            assert abs(each.sum() / label.sum() - mean) < 1e-12
        return z, each, label, known
    return loss


def nll(z, t, **options):
    return F.nll_loss(F.log_softmax(z, -1), t, **options)


def plain(call, *shape):
    def loss(options):
        z = scores(*shape)
        each = call(z, options)
        return z, each, torch.ones_like(each), torch.ones_like(each)
    return loss


def one_hot(z, options):
    return F.cross_entropy(z, F.softmax(wave(6, 5), -1), weight=CLASS if "v" in options else None, reduction="none",
                           label_smoothing=0.1 if "s" in options else 0)


def kl(z, options):
    return F.kl_div(F.log_softmax(z, -1), F.softmax(wave(6, 5), -1), reduction="none").sum(-1)


def pair(call):
    return plain(lambda z, options: call(z, wave(3, 4)), 3, 4)


LOSSES = {
    "cross_entropy": (of_labels(F.cross_entropy, (6, 5), True), False, "svwm"),
    "cross_entropy_sequence": (of_labels(F.cross_entropy, (3, 4, 5), True), False, "svwm"),
    "cross_entropy_tokens": (of_labels(F.cross_entropy, (3, 4, 5), True), True, "svwm"),
    "nll": (of_labels(nll, (6, 5), True), False, "vwm"),
    "one_hot": (plain(one_hot, 6, 5), False, "svwm"),
    "kl": (plain(kl, 6, 5), False, "wm"),
    "mse": (pair(lambda z, t: F.mse_loss(z, t, reduction="none")), False, "wm"),
    "mae": (pair(lambda z, t: F.l1_loss(z, t, reduction="none")), False, "wm"),
    "huber": (pair(lambda z, t: F.huber_loss(z, t, reduction="none", delta=0.75)), False, "wm"),
    "hinge": (pair(lambda z, t: (1 - z * t.sign()).clamp(min=0)), False, "wm"),
    "binary": (pair(lambda z, t: F.binary_cross_entropy_with_logits(z, t ** 2, reduction="none")), False, "wm"),
}


def divided(x, n):
    return x / torch.where(n == 0, torch.ones_like(n), n)


def reduced(each, label, known, tokens, reduction, options):
    w = torch.ones_like(each)
    if "w" in options:
        w = (0.5 + 0.25 * torch.arange(each.shape[0])).reshape((-1,) + (1,) * (each.dim() - 1)).expand_as(each)
    x = each * w
    n = w * label if "m" in options else known if tokens else torch.ones_like(each)
    axes = tuple(range(1, each.dim()))
    if reduction == "none":
        return x
    if reduction == "sum":
        return x.sum()
    if reduction == "mean":
        return divided(x.sum(), n.sum())
    return divided(x.sum(axes), n.sum(axes)) if axes else divided(x, n)


def main():
    path = os.path.join(os.path.dirname(__file__), "../../tests/golden/losses.txt")
    with open(path, "w") as out:
        print("# tools/golden/losses.py, PyTorch %s, f64" % torch.__version__, file=out)
        for name, (loss, tokens, allowed) in LOSSES.items():
            for bits in range(1 << len(allowed)):
                options = "".join(c for i, c in enumerate(allowed) if bits >> i & 1)
                for reduction in ("mean", "sum", "samples", "none"):
                    z, each, label, known = loss(options)
                    y = reduced(each, label, known, tokens, reduction, options).reshape(-1)
                    c = torch.tensor([1.5 + math.cos(0.9 * j) for j in range(len(y))])
                    (gradient,) = torch.autograd.grad((y * c).sum(), z)
                    numbers = torch.cat([y, gradient.reshape(-1)]).tolist()
                    print(name, reduction, options or "-", *("%.12g" % x for x in numbers), file=out)


if __name__ == "__main__":
    main()
