#!/usr/bin/python3
"""Runs every optimiser of Glia for 20 steps in PyTorch and writes the parameters, as reference values.

    python3 tools/golden/optimizers.py          needs torch; rewrites tests/golden/optimizers.txt

Use PyTorch 2: NAdam of 1.13 multiplies the momentum of a step twice into the product for the next step.

The problem, also in tests/nn/test_optim.c: a kernel W (3, 4) and a bias b (3),

    loss = mean over (n, k) of (tanh(x W^T + b) - y)^2 + 0.125 mean(W^2)^2

with W[i] = sin(1 + i) / 2, b[i] = cos(i) / 4, x (5, 4)[i] = sin(0.7 i), y (5, 3)[i] = cos(1.3 i), where i counts
row-major. Learning rates are powers of two, so they are exact in f32. Weight decay and L1 apply to W only.

Each row of the file: name, step (1, 5, 20), then the 12 values of W and the 3 of b after that step. All in f64.
"""
import math
import os

import torch

torch.set_default_dtype(torch.float64)
STEPS = (1, 5, 20)


def sequence(n, f):
    return torch.tensor([f(i) for i in range(n)])


def parameters():
    w = sequence(12, lambda i: math.sin(1 + i) / 2).reshape(3, 4)
    b = sequence(3, lambda i: math.cos(i) / 4)
    return w.requires_grad_(), b.requires_grad_()


X = sequence(20, lambda i: math.sin(0.7 * i)).reshape(5, 4)
Y = sequence(15, lambda i: math.cos(1.3 * i)).reshape(5, 3)


def loss_of(w, b):
    return ((torch.tanh(X @ w.T + b) - Y) ** 2).mean() + 0.125 * (w**2).mean() ** 2


SGD, ADAM, ADAMW = torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW
ADAGRAD, RMSPROP = torch.optim.Adagrad, torch.optim.RMSprop
ADADELTA, ADAMAX, NADAM, RADAM = torch.optim.Adadelta, torch.optim.Adamax, torch.optim.NAdam, torch.optim.RAdam

# name, optimiser, its options, weight decay of W, and the change of the gradients before the step
CASES = [
    ("sgd", SGD, dict(lr=0.25), 0, {}),
    ("sgd_momentum", SGD, dict(lr=0.125, momentum=0.9), 0, {}),
    ("sgd_nesterov", SGD, dict(lr=0.125, momentum=0.9, nesterov=True), 0, {}),
    ("sgd_decay", SGD, dict(lr=0.125, momentum=0.5), 0.1, {}),
    ("sgd_l1", SGD, dict(lr=0.125), 0, dict(l1=0.03)),
    ("sgd_clip_norm", SGD, dict(lr=0.25), 0, dict(norm=0.2)),
    ("sgd_clip_value", SGD, dict(lr=0.25), 0, dict(value=0.04)),
    ("sgd_clip_both", SGD, dict(lr=0.25, momentum=0.9), 0.1, dict(norm=0.1, value=0.04)),
    ("adam", ADAM, dict(lr=0.0625), 0, {}),
    ("adam_betas", ADAM, dict(lr=0.0625, betas=(0.8, 0.95), eps=0.01), 0, {}),
    ("adam_decay", ADAM, dict(lr=0.0625), 0.1, {}),
    ("adam_clip", ADAM, dict(lr=0.0625), 0, dict(norm=0.1)),
    ("adamw", ADAMW, dict(lr=0.0625, weight_decay=0), 0.1, {}),
    ("amsgrad", ADAM, dict(lr=0.25, betas=(0.5, 0.75), amsgrad=True), 0, {}),
    ("amsgradw", ADAMW, dict(lr=0.25, betas=(0.5, 0.75), amsgrad=True, weight_decay=0), 0.1, {}),
    ("adagrad", ADAGRAD, dict(lr=0.125), 0, {}),
    ("adagrad_decay", ADAGRAD, dict(lr=0.125, eps=0.001), 0.1, {}),
    ("rmsprop", RMSPROP, dict(lr=0.03125, alpha=0.9), 0, {}),
    ("rmsprop_momentum", RMSPROP, dict(lr=0.015625, alpha=0.95, momentum=0.9, eps=0.001), 0.1, {}),
    ("adadelta", ADADELTA, dict(lr=1), 0, {}),
    ("adadelta_decay", ADADELTA, dict(lr=4, rho=0.95, eps=0.001), 0.1, {}),
    ("adamax", ADAMAX, dict(lr=0.0625), 0, {}),
    ("adamax_decay", ADAMAX, dict(lr=0.0625, betas=(0.8, 0.75), eps=0.01), 0.1, {}),
    ("nadam", NADAM, dict(lr=0.0625), 0, {}),
    ("nadam_decay", NADAM, dict(lr=0.0625, betas=(0.8, 0.95), eps=0.01), 0.1, {}),
    ("radam", RADAM, dict(lr=0.0625), 0, {}),
    ("radam_decay", RADAM, dict(lr=0.0625, betas=(0.8, 0.95), eps=0.01), 0.1, {}),
    ("radam_never", RADAM, dict(lr=0.0625, betas=(0.8, 0.6)), 0, {}),
]


def run(optimizer, options, decay, before):
    w, b = parameters()
    step = optimizer([dict(params=[w], weight_decay=decay), dict(params=[b])], **options)
    for number in range(1, STEPS[-1] + 1):
        step.zero_grad()
        loss_of(w, b).backward()
        if "value" in before:
            torch.nn.utils.clip_grad_value_([w, b], before["value"])
        if "norm" in before:
            torch.nn.utils.clip_grad_norm_([w, b], before["norm"])
        if "l1" in before:
            w.grad += before["l1"] * torch.sign(w.detach())
        step.step()
        if number in STEPS:
            yield number, torch.cat([w.detach().flatten(), b.detach()]).tolist()


def main():
    path = os.path.join(os.path.dirname(__file__), "..", "..", "tests", "golden", "optimizers.txt")
    with open(path, "w") as out:
        out.write(f"# tools/golden/optimizers.py, PyTorch {torch.__version__}, f64\n")
        for name, optimizer, options, decay, before in CASES:
            for number, values in run(optimizer, options, decay, before):
                out.write(f"{name} {number} " + " ".join(f"{v:.12g}" for v in values) + "\n")


if __name__ == "__main__":
    main()
