#!/usr/bin/env python3
"""Runs PyTorch's recurrent modules and writes their states, outputs and gradients: what Glia's layers must give.

    PYTHON tools/golden/recurrent.py          needs torch; rewrites tests/golden/recurrent/

For each case NAME.safetensors holds the module's state under the prefix "net." (what glia_model_load_torch_recurrent
reads), x (N, T, F), lengths (N), y (N, T, ...) the output, h and c the last states, loss = sum(y * weights) with
"weights", and the gradients of that loss, "grad.x" and "grad.NAME". Everything is computed in f64 from values that are
exact in f32, and written as f32.
"""
import json
import os
import struct

import numpy as np
import torch
from torch import nn

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tests", "golden", "recurrent")
SAMPLES, STEPS, FEATURES = 5, 7, 3

CASES = {
    "lstm": (nn.LSTM, dict(hidden_size=5)),
    "lstm_stacked": (nn.LSTM, dict(hidden_size=4, num_layers=2, bidirectional=True)),
    "lstm_projected": (nn.LSTM, dict(hidden_size=5, proj_size=2)),
    "gru": (nn.GRU, dict(hidden_size=5)),
    "gru_stacked": (nn.GRU, dict(hidden_size=9, num_layers=2, bidirectional=True)),
    "rnn": (nn.RNN, dict(hidden_size=17)),
    "rnn_relu": (nn.RNN, dict(hidden_size=4, nonlinearity="relu", num_layers=2)),
}


def write(path, tensors):
    """A safetensors file: the header's length, the header, the values."""
    header, data = {}, b""
    for name, value in tensors.items():
        array = value.detach().numpy()
        array = array.astype(np.int32 if array.dtype.kind == "i" else np.float32)
        raw = np.ascontiguousarray(array).tobytes()
        header[name] = {"dtype": "I32" if array.dtype == np.int32 else "F32", "shape": list(array.shape),
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def exact(shape, generator):
    return torch.rand(shape, generator=generator, dtype=torch.float32).double() * 2 - 1


def main():
    os.makedirs(FOLDER, exist_ok=True)
    torch.set_default_dtype(torch.float64)
    for number, (name, (module, options)) in enumerate(CASES.items()):
        generator = torch.Generator().manual_seed(number + 1)
        net = module(FEATURES, batch_first=True, **options)
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.copy_(0.5 * exact(parameter.shape, generator))
        x = exact((SAMPLES, STEPS, FEATURES), generator).requires_grad_()
        lengths = torch.tensor([7, 3, 1, 6, 4])
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        y, last = net(packed)
        y, _ = nn.utils.rnn.pad_packed_sequence(y, batch_first=True, total_length=STEPS)
        h, c = last if module is nn.LSTM else (last, None)
        weights = exact(y.shape, generator)
        (y * weights).sum().backward()
        tensors = {"x": x, "lengths": lengths, "weights": weights, "y": y, "h": h, "grad.x": x.grad}
        if c is not None:
            tensors["c"] = c
        for key, parameter in net.named_parameters():
            tensors[f"net.{key}"] = parameter
            tensors[f"grad.{key}"] = parameter.grad
        write(os.path.join(FOLDER, f"{name}.safetensors"), tensors)


if __name__ == "__main__":
    main()
