#!/usr/bin/env python3
"""Runs PyTorch's recurrent modules and writes states, outputs and gradients, as reference values for Glia's layers.
Layer-normalised cells, which PyTorch lacks, are computed here from Ba, Kiros and Hinton 2016.

    PYTHON tools/golden/recurrent.py          needs torch; rewrites tests/golden/recurrent/

For each case NAME.safetensors has the module's state with the prefix "net." (for glia_model_load_torch_recurrent), x
(N, T, F), lengths (N), the output y (N, T, ...), the last states h and c, loss = sum(y * weights) with "weights", and
the gradients of that loss, "grad.x" and "grad.NAME". Everything is computed in f64 from values that are exact in f32,
and written as f32. Layer-normalised cases use Glia's names: "net/kernel", "grad.net/kernel".
"""
import json
import os
import struct

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

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

# Layer-normalised cases: cell, units, other options.
NORMED = {
    "lstm_normed": ("lstm", 5, dict()),
    "lstm_normed_deep": ("lstm", 6, dict(layers=2, both=True, projection=4, peephole=True)),
    "gru_normed": ("gru", 5, dict()),
    "gru_normed_deep": ("gru", 9, dict(layers=2, both=True)),
    "gru_normed_before": ("gru_before", 5, dict(backwards=True)),
    "rnn_normed": ("tanh", 17, dict(layers=2)),
    "rnn_normed_relu": ("relu", 4, dict(bias=False)),
    "lstm_normed_no_bias": ("lstm", 4, dict(bias=False)),
}
GATES = {"lstm": 4, "gru": 3, "gru_before": 3, "tanh": 1, "relu": 1}


def write(path, tensors):
    """Writes a safetensors file: the header's length, the header, the values."""
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


def normed_parameters(cell, name, units, features, outputs, bias, peephole, generator):
    """The parameters of one direction by Glia's names; gains are close to 1."""
    rows, shapes = GATES[cell] * units, {}
    shapes["kernel"], shapes["recurrent_kernel"] = (rows, features), (rows, outputs)
    if bias:
        shapes["bias"] = (rows,)
    if bias and cell == "gru":
        shapes["recurrent_bias"] = (units,)
    if rows > units:
        shapes["input_norm/scale"] = shapes["recurrent_norm/scale"] = (rows,)
    else:
        shapes["norm/scale"] = (rows,)
    if cell == "lstm":
        shapes["cell_norm/scale"] = (units,)
        if bias:
            shapes["cell_norm/shift"] = (units,)
    if peephole:
        shapes["peephole"] = (3, units)
    if outputs != units:
        shapes["projection"] = (outputs, units)
    return {f"{name}/{what}": (0.5 * exact(shape, generator) + what.endswith("scale")).requires_grad_()
            for what, shape in shapes.items()}


def norm(v):
    return F.layer_norm(v, v.shape[-1:], eps=1e-5)


def normed_step(cell, p, x, h, c):
    """One step of one sample: the equations of the paper's supplement (LSTM, GRU) and its section 3.1 (RNN)."""
    units = p["recurrent_kernel"].shape[0] // GATES[cell]
    wx, bias = p["kernel"] @ x, p.get("bias", torch.zeros(GATES[cell] * units))
    if cell in ("tanh", "relu"):
        a = norm(wx + p["recurrent_kernel"] @ h) * p["norm/scale"] + bias
        return getattr(torch, cell)(a), c
    gain, own = p["input_norm/scale"], p["recurrent_norm/scale"]
    if cell == "lstm":
        a = norm(wx) * gain + norm(p["recurrent_kernel"] @ h) * own + bias
        i, f, g, o = a.split(units)
        if "peephole" in p:
            i, f = i + p["peephole"][0] * c, f + p["peephole"][1] * c
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        if "peephole" in p:
            o = o + p["peephole"][2] * c
        h = o.sigmoid() * (norm(c) * p["cell_norm/scale"] + p.get("cell_norm/shift", torch.zeros(units))).tanh()
        return (p["projection"] @ h if "projection" in p else h), c
    two, u = 2 * units, p["recurrent_kernel"]
    both = norm(wx[:two]) * gain[:two] + norm(u[:two] @ h) * own[:two] + bias[:two]
    r, z = both.sigmoid().split(units)
    n = norm(wx[two:]) * gain[two:] + bias[two:]
    if cell == "gru":
        n = n + r * (norm(u[two:] @ h) * own[two:] + p.get("recurrent_bias", torch.zeros(units)))
    else:
        n = n + norm(u[two:] @ (r * h)) * own[two:]
    return (1 - z) * n.tanh() + z * h, c


def normed_direction(cell, p, x, lengths, units, outputs, backwards):
    """x (N, T, F) -> y (N, T, P), h (N, P), c (N, H); each sample is run separately, without its padding."""
    ys, hs, cs = [], [], []
    for n, length in enumerate(lengths.tolist()):
        h, c, y = torch.zeros(outputs), torch.zeros(units), [torch.zeros(outputs)] * x.shape[1]
        for t in (reversed(range(length)) if backwards else range(length)):
            h, c = normed_step(cell, p, x[n, t], h, c)
            y[t] = h
        ys.append(torch.stack(y)), hs.append(h), cs.append(c)
    return torch.stack(ys), torch.stack(hs), torch.stack(cs)


def normed(cell, units, generator, layers=1, both=False, projection=0, peephole=False, backwards=False, bias=True):
    x = exact((SAMPLES, STEPS, FEATURES), generator).requires_grad_()
    lengths, outputs = torch.tensor([7, 3, 1, 6, 4]), projection or units
    parameters, y, h, c = {}, x, [], []
    for layer in range(layers):
        results = []
        for way in (["/forward", "/backward"] if both else [""]):
            name = "net" + (f"/l{layer}" if layers > 1 else "") + way
            p = normed_parameters(cell, name, units, y.shape[2], outputs, bias, peephole, generator)
            parameters |= p
            inner = {key[len(name) + 1:]: value for key, value in p.items()}
            back = backwards or way == "/backward"
            one, h_last, c_last = normed_direction(cell, inner, y, lengths, units, outputs, back)
            results.append(one), h.append(h_last), c.append(c_last)
        y = torch.cat(results, 2)
    weights = exact(y.shape, generator)
    (y * weights).sum().backward()
    tensors = {"x": x, "lengths": lengths, "weights": weights, "y": y, "h": torch.cat(h), "grad.x": x.grad}
    if cell == "lstm":
        tensors["c"] = torch.cat(c)
    for key, parameter in parameters.items():
        tensors[key], tensors[f"grad.{key}"] = parameter, parameter.grad
    return tensors


def main():
    os.makedirs(FOLDER, exist_ok=True)
    torch.set_default_dtype(torch.float64)
    for number, (name, (cell, units, options)) in enumerate(NORMED.items()):
        generator = torch.Generator().manual_seed(100 + number)
        write(os.path.join(FOLDER, f"{name}.safetensors"), normed(cell, units, generator, **options))
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
