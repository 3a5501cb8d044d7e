#!/usr/bin/python3
"""Trains nets of models/ for some steps in PyTorch and writes the losses, as reference values.

    /usr/bin/python3 tools/golden/train_models.py [MODEL...]          needs torch and numpy; rewrites the files below

Writes tests/golden/MODEL_losses.txt: one loss per line, the mean cross-entropy of a batch before the step's update.
The last line is the loss of the last batch in inference mode after all updates (batch norm uses its running
statistics). tests/backend/test_parity.c trains the same nets, from models.def, on the same draws (draws.py).

Each file is computed in f64 (PyTorch's double tensors from the same f32 numbers), as the reference for f32 runs. The
first line has the greatest difference of PyTorch's own f32 run from it, the second the number of parameters.
"""
import os
import sys

import torch

from draws import CLASSES, SplitMix, draw_batch, draw_parameter, draw_patterns
from networks import NETWORKS


def adam(parameters):
    return torch.optim.Adam(parameters, lr=1e-3, eps=1e-8)


def momentum(parameters):
    return torch.optim.SGD(parameters, lr=1e-4, momentum=0.9)


# sample, batch, steps, optimizer; tests/backend/test_parity.c has the same table
CASES = {
    "keras-cnn": ((1, 28, 28), 16, 50, adam),
    "resnet20": ((3, 32, 32), 16, 6, momentum),
    "resnet18": ((3, 64, 64), 8, 3, momentum),
}


def train(name, dtype):
    """The losses, the loss after the last update, and the number of parameters."""
    sample, batch, steps, optimizer_of = CASES[name]
    rng = SplitMix()
    model = NETWORKS[name](sample, CLASSES).to(dtype)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            is_scale = parameter.dim() == 1 and key.endswith("weight")
            parameter.copy_(torch.tensor(draw_parameter(rng, tuple(parameter.shape), is_scale)))
    patterns = draw_patterns(rng, sample)
    optimizer = optimizer_of(model.parameters())
    losses = []
    for _ in range(steps):
        images, labels = draw_batch(rng, patterns, batch)
        images, labels = torch.tensor(images, dtype=dtype), torch.tensor(labels)
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        losses.append(torch.nn.functional.cross_entropy(model.eval()(images), labels).item())
    return losses, sum(p.numel() for p in model.parameters())


def main():
    for name in sys.argv[1:] or CASES:
        (truth, count), (single, _) = train(name, torch.float64), train(name, torch.float32)
        gap = max(abs(a - b) for a, b in zip(truth, single))
        path = os.path.join(os.path.dirname(__file__), "..", "..", "tests", "golden", name + "_losses.txt")
        with open(path, "w") as file:
            file.write(f"# tools/golden/train_models.py, PyTorch {torch.__version__}, f64; ")
            file.write(f"its f32 differs by {gap:.1e}\n")
            file.write(f"# {count} parameters\n")
            file.writelines(f"{loss:.9g}\n" for loss in truth)
        print(f"{os.path.normpath(path)}: {truth[0]:.6f} ... {truth[-1]:.6f}, f32 differs by {gap:.1e}")


if __name__ == "__main__":
    main()
