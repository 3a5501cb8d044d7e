#!/usr/bin/python3
"""Runs optimisers that PyTorch lacks (or has in bf16 only) for 20 steps, from the formulas of the papers.

    python3 tools/golden/optimizers_papers.py          needs NumPy; rewrites tests/golden/optimizers_papers.txt

The problem and the format of the file are those of optimizers.py. The gradient is written out and checked by finite
differences. All in f64. Weight decay applies to W only.
"""
import os

import numpy as np

STEPS = (1, 5, 20)
X = np.sin(0.7 * np.arange(20)).reshape(5, 4)
Y = np.cos(1.3 * np.arange(15)).reshape(5, 3)


def parameters():
    return [np.sin(1.0 + np.arange(12)).reshape(3, 4) / 2, np.cos(np.arange(3.0)) / 4]


def loss_of(w, b):
    return ((np.tanh(X @ w.T + b) - Y) ** 2).mean() + 0.125 * (w**2).mean() ** 2


def gradients(w, b):
    t = np.tanh(X @ w.T + b)
    dz = 2 * (t - Y) / Y.size * (1 - t**2)
    return [dz.T @ X + 0.5 * (w**2).mean() * w / w.size, dz.sum(axis=0)]


def check_gradients():
    ps, h = parameters(), 1e-6
    gs = gradients(*ps)
    for p, g in zip(ps, gs):
        for i in np.ndindex(p.shape):
            kept = p[i]
            p[i] = kept + h
            above = loss_of(*ps)
            p[i] = kept - h
            below = loss_of(*ps)
            p[i] = kept
            assert abs((above - below) / (2 * h) - g[i]) < 1e-8


class Lion:
    """Chen et al. 2023, algorithm 2."""

    def __init__(self, lr, beta1=0.9, beta2=0.99):
        self.lr, self.beta1, self.beta2, self.m = lr, beta1, beta2, 0.0

    def step(self, w, g, decay):
        c = self.beta1 * self.m + (1 - self.beta1) * g
        self.m = self.beta2 * self.m + (1 - self.beta2) * g
        return w - self.lr * (np.sign(c) + decay * w)


class Lamb:
    """You et al. 2020, algorithm 2, with phi(z) = z."""

    def __init__(self, lr, beta1=0.9, beta2=0.999, epsilon=1e-6):
        self.lr, self.beta1, self.beta2, self.epsilon = lr, beta1, beta2, epsilon
        self.m, self.v, self.t = 0.0, 0.0, 0

    def step(self, w, g, decay):
        self.t += 1
        self.m = self.beta1 * self.m + (1 - self.beta1) * g
        self.v = self.beta2 * self.v + (1 - self.beta2) * g**2
        m_hat, v_hat = self.m / (1 - self.beta1**self.t), self.v / (1 - self.beta2**self.t)
        u = m_hat / (np.sqrt(v_hat) + self.epsilon) + decay * w
        size, step = np.linalg.norm(w), np.linalg.norm(u)
        return w - self.lr * (size / step if size > 0 and step > 0 else 1) * u


class Muon:
    """Jordan et al. 2024 for matrices, with the rate of Liu et al. 2025; AdamW for vectors."""

    def __init__(self, lr, momentum=0.95, beta1=0.9, beta2=0.999, epsilon=1e-8):
        self.lr, self.momentum, self.beta1, self.beta2, self.epsilon = lr, momentum, beta1, beta2, epsilon
        self.m, self.v, self.t = 0.0, 0.0, 0

    def step(self, w, g, decay):
        self.t += 1
        w = w * (1 - self.lr * decay)
        if w.ndim < 2:
            self.m = self.beta1 * self.m + (1 - self.beta1) * g
            self.v = self.beta2 * self.v + (1 - self.beta2) * g**2
            m_hat, v_hat = self.m / (1 - self.beta1**self.t), self.v / (1 - self.beta2**self.t)
            return w - self.lr * m_hat / (np.sqrt(v_hat) + self.epsilon)
        self.m = self.momentum * self.m + (1 - self.momentum) * g
        u = (1 - self.momentum) * g + self.momentum * self.m
        # The iteration changes only the singular values, so it is applied to them instead of the matrix.
        left, sigma, right = np.linalg.svd(u / (np.linalg.norm(u) + 1e-7), full_matrices=False)
        for _ in range(5):
            sigma = 3.4445 * sigma - 4.7750 * sigma**3 + 2.0315 * sigma**5
        return w - self.lr * 0.2 * np.sqrt(max(w.shape)) * (left * sigma) @ right


# name, optimiser, its options, weight decay of W
CASES = [
    ("lion", Lion, dict(lr=0.03125), 0),
    ("lion_decay", Lion, dict(lr=0.03125, beta1=0.8, beta2=0.75), 0.5),
    ("lamb", Lamb, dict(lr=0.0625), 0),
    ("muon", Muon, dict(lr=0.0625), 0),
    ("muon_decay", Muon, dict(lr=0.03125, momentum=0.5, beta1=0.8, epsilon=0.01), 0.1),
    ("lamb_decay", Lamb, dict(lr=0.0625, beta1=0.8, beta2=0.95, epsilon=0.01), 0.1),
]


def run(optimizer, options, decay):
    ps = parameters()
    rules = [optimizer(**options), optimizer(**options)]
    for number in range(1, STEPS[-1] + 1):
        gs = gradients(*ps)
        ps = [rule.step(p, g, d) for rule, p, g, d in zip(rules, ps, gs, (decay, 0))]
        if number in STEPS:
            yield number, np.concatenate([ps[0].ravel(), ps[1]])


def main():
    check_gradients()
    path = os.path.join(os.path.dirname(__file__), "..", "..", "tests", "golden", "optimizers_papers.txt")
    with open(path, "w") as out:
        out.write("# tools/golden/optimizers_papers.py, NumPy, f64\n")
        for name, optimizer, options, decay in CASES:
            for number, values in run(optimizer, options, decay):
                out.write(f"{name} {number} " + " ".join(f"{v:.12g}" for v in values) + "\n")


if __name__ == "__main__":
    main()
