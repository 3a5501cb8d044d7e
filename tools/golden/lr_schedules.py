#!/usr/bin/python3
"""Writes the rates of PyTorch's learning rate schedules, step by step, for tests/nn/test_lr_schedule.c.

    python3 tools/golden/lr_schedules.py        needs torch; rewrites tests/golden/lr_schedules.txt

Each row: the schedule in Glia's syntax | the rate lr, the total steps, the steps per epoch | the rates. Schedules
without a class in PyTorch (inverse square root: Vaswani et al. 2017, section 5.3; warm-up) are computed from their
formulas.
"""
import math
import os

import torch
from torch.optim import lr_scheduler as S

LR, STEPS, EPOCH = 0.1, 40, 5


def rates(make):
    optimizer = torch.optim.SGD([torch.zeros(1, dtype=torch.float64, requires_grad=True)], lr=LR, momentum=0.9)
    scheduler = make(optimizer)
    out = []
    for _ in range(STEPS):
        out.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return out


def momenta(make):
    optimizer = torch.optim.SGD([torch.zeros(1, dtype=torch.float64, requires_grad=True)], lr=LR, momentum=0.9)
    scheduler = make(optimizer)
    out = []
    for _ in range(STEPS):
        out.append(optimizer.param_groups[0]["momentum"])
        optimizer.step()
        scheduler.step()
    return out


def cyclic(mode, **more):
    return lambda o: S.CyclicLR(o, 0.01, LR, step_size_up=6, mode=mode, cycle_momentum=False, **more)


def inverse_sqrt(warmup):
    # d^-0.5 min(s^-0.5, s warmup^-1.5), scaled so that its peak, at s = warmup, is LR
    return [LR * math.sqrt(warmup) * min(s**-0.5, s * warmup**-1.5) for s in range(1, STEPS + 1)]


def warmed(warmup, rest):
    ramp = [LR * (s + 1) / warmup for s in range(warmup)]
    global STEPS
    STEPS -= warmup
    tail = rates(rest)
    STEPS += warmup
    return ramp + tail


CASES = [
    ("constant", lambda: rates(lambda o: S.LambdaLR(o, lambda _: 1.0))),
    ("linear(low=0.02)", lambda: rates(lambda o: S.LinearLR(o, 1, 0.2, STEPS))),
    ("polynomial(power=2)", lambda: rates(lambda o: S.PolynomialLR(o, STEPS, 2.0))),
    ("cosine(low=0.001)", lambda: rates(lambda o: S.CosineAnnealingLR(o, STEPS, 0.001))),
    ("cosine(low=0.001, warmup=8)", lambda: warmed(8, lambda o: S.CosineAnnealingLR(o, STEPS, 0.001))),
    ("cosine(low=0.002, period=7)", lambda: rates(lambda o: S.CosineAnnealingWarmRestarts(o, 7, 1, 0.002))),
    ("cosine(period=1, growth=2, in-epochs)", lambda: rates(lambda o: S.CosineAnnealingWarmRestarts(o, EPOCH, 2))),
    ("step(gamma=0.5, period=2, in-epochs)", lambda: rates(lambda o: S.StepLR(o, 2 * EPOCH, 0.5))),
    ("step(period=15)", lambda: rates(lambda o: S.StepLR(o, 15))),
    ("multistep(gamma=0.3, milestones=10:25:30)", lambda: rates(lambda o: S.MultiStepLR(o, [10, 25, 30], 0.3))),
    ("multistep(milestones=2:5, in-epochs)", lambda: rates(lambda o: S.MultiStepLR(o, [2 * EPOCH, 5 * EPOCH]))),
    ("exponential(gamma=0.95)", lambda: rates(lambda o: S.ExponentialLR(o, 0.95))),
    ("inverse-sqrt(warmup=9)", lambda: inverse_sqrt(9)),
    ("triangular(low=0.01, period=12)", lambda: rates(cyclic("triangular"))),
    ("triangular2(low=0.01, period=12)", lambda: rates(cyclic("triangular2"))),
    ("exp-range(low=0.01, gamma=0.97, period=12)", lambda: rates(cyclic("exp_range", gamma=0.97))),
    ("one-cycle", lambda: rates(lambda o: S.OneCycleLR(o, LR, STEPS))),
    ("one-cycle(rise=0.25, divide=10, divide-end=100)",
     lambda: rates(lambda o: S.OneCycleLR(o, LR, STEPS, pct_start=0.25, div_factor=10, final_div_factor=100))),
]

# rows that begin with "momentum " are SGD's momentum, which is 0.95 at the lowest rate
def cyclic_momentum(mode, **more):
    return lambda o: S.CyclicLR(o, 0.01, LR, step_size_up=6, mode=mode, base_momentum=0.8, max_momentum=0.95, **more)


MOMENTA = [
    ("one-cycle(momentum-low=0.85)", lambda: momenta(lambda o: S.OneCycleLR(o, LR, STEPS))),
    ("triangular(low=0.01, period=12, momentum-low=0.8)", lambda: momenta(cyclic_momentum("triangular"))),
    ("triangular2(low=0.01, period=12, momentum-low=0.8)", lambda: momenta(cyclic_momentum("triangular2"))),
    ("exp-range(low=0.01, gamma=0.97, period=12, momentum-low=0.8)",
     lambda: momenta(cyclic_momentum("exp_range", gamma=0.97))),
]

path = os.path.join(os.path.dirname(__file__), "../../tests/golden/lr_schedules.txt")
with open(path, "w") as f:
    f.write(f"# tools/golden/lr_schedules.py, PyTorch {torch.__version__}\n")
    for text, make in CASES:
        row = " ".join("%.15g" % r for r in make()[:STEPS])
        f.write(f"{text} | {LR} {STEPS} {EPOCH} | {row}\n")
    for text, make in MOMENTA:
        row = " ".join("%.15g" % r for r in make())
        f.write(f"momentum {text} | 0.95 {STEPS} {EPOCH} | {row}\n")
