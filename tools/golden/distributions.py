#!/usr/bin/python3
"""Computes log-probabilities, entropies and divergences by torch.distributions, and their gradients in every input.

    python3 tools/golden/distributions.py          needs torch; rewrites tests/golden/distributions.txt

tests/nn/test_distributions.c has the same inputs: a row of INPUTS is a shape and a function of the place, row-major.
Each row of the file: name, the values, then the gradients of sum_j (1.5 + cos(0.9 j)) values[j] in each input. In f64.
"""
import math
import os

import torch
import torch.nn.functional as F
from torch.distributions import Categorical, Normal, kl_divergence

torch.set_default_dtype(torch.float64)


def sequence(shape, f):
    return torch.tensor([f(i) for i in range(math.prod(shape))]).reshape(shape)


INPUTS = {
    "x": ((3, 4), lambda i: 2 * math.sin(0.7 * i + 0.3)),
    "mean": ((3, 4), lambda i: math.cos(1.3 * i)),
    "log_std": ((4,), lambda i: 0.5 * math.sin(0.4 * i + 1)),
    "other_mean": ((3, 4), lambda i: math.sin(1.1 * i) / 2),
    "other_log_std": ((3, 1), lambda i: 0.4 * math.cos(i)),
    "variance": ((3, 4), lambda i: (1 + math.sin(0.9 * i + 0.2)) / 2),  # some below epsilon
}


def normal(mean, log_std):
    return Normal(mean, log_std.exp())


def labels():
    return torch.tensor([3, 0, 2])


CASES = {
    "normal_log_prob": (("x", "mean", "log_std"), lambda x, m, s: normal(m, s).log_prob(x)),
    "normal_entropy": (("log_std",), lambda s: normal(torch.zeros(4), s).entropy()),
    "normal_kl": (("mean", "log_std", "other_mean", "other_log_std"),
                  lambda m, s, n, t: kl_divergence(normal(m, s), normal(n, t))),
    "normal_kl_standard": (("mean", "log_std"), lambda m, s: kl_divergence(normal(m, s), Normal(0.0, 1.0))),
    "categorical_log_prob": (("x",), lambda x: Categorical(logits=x).log_prob(labels())),
    "categorical_entropy": (("x",), lambda x: Categorical(logits=x).entropy()),
    "categorical_kl": (("x", "mean"), lambda x, y: kl_divergence(Categorical(logits=x), Categorical(logits=y))),
    "gaussian_nll": (("mean", "x", "variance"),
                     lambda m, x, v: F.gaussian_nll_loss(m, x, v, eps=0.125)),
    "smooth_l1": (("x", "mean"), lambda x, y: F.smooth_l1_loss(x, y, beta=0.5)),
}


def main():
    path = os.path.join(os.path.dirname(__file__), "../../tests/golden/distributions.txt")
    with open(path, "w") as out:
        print("# tools/golden/distributions.py, PyTorch %s" % torch.__version__, file=out)
        for name, (names, call) in CASES.items():
            inputs = [sequence(*INPUTS[n]).requires_grad_() for n in names]
            y = call(*inputs).reshape(-1)
            c = torch.tensor([1.5 + math.cos(0.9 * j) for j in range(len(y))])
            gradients = torch.autograd.grad((y * c).sum(), inputs)
            numbers = torch.cat([y] + [g.reshape(-1) for g in gradients]).tolist()
            print(name, *("%.15g" % x for x in numbers), file=out)


if __name__ == "__main__":
    main()
