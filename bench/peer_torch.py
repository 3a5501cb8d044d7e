"""PyTorch's side of the training benchmark: one worker process, the twin of train.c (same weights, data, protocol).

    PYTHON bench/peer_torch.py WORKLOAD [--threads N] [--channels-last] [--fused] [--compile MODE] [--no-mkldnn]

--threads N       torch.set_num_threads(N); without it PyTorch decides
--channels-last   model and images in the NHWC memory format
--fused           the optimizer's single-kernel implementation, where this PyTorch has it on CPUs
--compile MODE    torch.compile the model with its loss and the optimizer's step; MODE as torch.compile names them
--no-mkldnn       without oneDNN

Batches lie ready as tensors; no step reads its loss back, so nothing waits for Python more than it must.
"""
import argparse
import json
import math
import resource
import sys
import time

import numpy as np
import torch
from torch import nn

BATCHES, CLASSES, FIRST_LOSSES = 8, 10, 5


def keras_cnn():
    return nn.Sequential(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(),
                         nn.MaxPool2d(2), nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Flatten(),
                         nn.Linear(576, 64), nn.ReLU(), nn.Linear(64, CLASSES))


def lenet():
    return nn.Sequential(nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(),
                         nn.MaxPool2d(2), nn.Flatten(), nn.Linear(400, 120), nn.ReLU(),
                         nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, CLASSES))


def mlp():
    return nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, CLASSES))


def adam(parameters, **more):
    return torch.optim.Adam(parameters, lr=1e-3, **more)


def momentum(parameters, **more):
    return torch.optim.SGD(parameters, lr=1e-3, momentum=0.9, **more)


WORKLOADS = {
    "keras-cnn": (keras_cnn, (64, 1, 28, 28), adam),
    "lenet-b4": (lenet, (4, 3, 32, 32), momentum),
    "lenet-b128": (lenet, (128, 3, 32, 32), momentum),
    "mlp": (mlp, (128, 784), adam),
}


class SplitMix:
    """The stream that tools/golden/train_keras_cnn.py describes."""

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


def draw_parameters(model, rng):
    with torch.no_grad():
        for parameter in model.parameters():
            shape, a = parameter.shape, 0.1
            if len(shape) > 1:
                a = math.sqrt(6 / (math.prod(shape[2:]) * (shape[0] + shape[1])))
            values = (a * (2 * rng.uniform(parameter.numel()) - 1)).astype(np.float32)
            parameter.copy_(torch.from_numpy(values.reshape(shape)))


def draw_batches(shape, rng):
    for _ in range(BATCHES):
        x = rng.uniform(math.prod(shape)).astype(np.float32).reshape(shape)
        labels = (CLASSES * rng.uniform(shape[0])).astype(np.int64)
        yield torch.from_numpy(x), torch.from_numpy(labels)


def make_step(options):
    """A function that trains on the next batch and returns the loss, and the samples in a batch."""
    build, shape, optimizer_of = WORKLOADS[options.workload]
    rng = SplitMix(1)
    model = build()
    draw_parameters(model, rng)
    batches = list(draw_batches(shape, rng))
    if options.channels_last and len(shape) == 4:
        model = model.to(memory_format=torch.channels_last)
        batches = [(x.to(memory_format=torch.channels_last), labels) for x, labels in batches]
    optimizer = optimizer_of(model.parameters(), **({"fused": True} if options.fused else {}))
    loss_of = nn.CrossEntropyLoss()

    def forward(x, labels):
        return loss_of(model(x), labels)

    update = optimizer.step
    if options.compile:
        forward = torch.compile(forward, mode=options.compile)
        if not options.fused:
            update = torch.compile(optimizer.step)
    count = 0

    def step():
        nonlocal count
        x, labels = batches[count % BATCHES]
        count += 1
        optimizer.zero_grad(set_to_none=True)
        loss = forward(x, labels)
        loss.backward()
        update()
        return loss

    return step, shape[0]


def run_block(step, batch, seconds):
    start = time.perf_counter()
    while time.perf_counter() < start + seconds / 10:
        step()
    steps, start, end = 0, time.perf_counter(), 0
    while end < start + seconds:
        step()
        steps += 1
        end = time.perf_counter()
    return {"samples": steps * batch, "seconds": end - start}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--fused", action="store_true")
    parser.add_argument("--compile", metavar="MODE")
    parser.add_argument("--no-mkldnn", action="store_true")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.backends.mkldnn.enabled = not options.no_mkldnn

    def say(**line):
        print(json.dumps(line), flush=True)

    step, batch = make_step(options)
    losses = [step().item() for _ in range(FIRST_LOSSES)]
    threads = torch.get_num_threads()
    say(description=f"PyTorch {torch.__version__}, {threads} thread{'s' * (threads > 1)}", losses=losses)
    for line in sys.stdin:
        words = line.split()
        if len(words) != 2 or words[0] != "run":
            break
        say(**run_block(step, batch, float(words[1])))
    say(rss_kib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


if __name__ == "__main__":
    main()
