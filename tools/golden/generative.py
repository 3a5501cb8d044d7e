#!/usr/bin/env python3
"""Writes tests/golden/generative/CASE.safetensors: small generative nets of PyTorch with random weights, what they are given,
what they give, and the gradients of sum(y * dy). tests/families/test_gan.c and test_unet.c build the same nets.

    PYTHON tools/golden/generative.py [FOLDER]        PyTorch 1.13 or newer; computed in f64, stored in f32

Tensors: "state.NAME" parameters by the names that Glia gives them, "grad.NAME" their gradients, "in.NAME" inputs, "y", "dy".
"""
import json
import os
import struct
import sys

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)


def write(path, tensors):
    header, data, at = {}, b"", 0
    for name, tensor in tensors.items():
        whole = not tensor.is_floating_point()
        raw = (tensor.int() if whole else tensor.float()).contiguous().numpy().tobytes()
        header[name] = {"dtype": "I32" if whole else "F32", "shape": list(tensor.shape),
                        "data_offsets": [at, at + len(raw)]}
        data, at = data + raw, at + len(raw)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


class Net:
    """Parameters by Glia's names, made when they are first asked for; torch.nn.functional does the rest."""

    def __init__(self):
        self.p = {}

    def take(self, name, *shape):
        if name not in self.p:
            near = 1.0 if name.endswith("scale") else 0.0
            fan = max(1, torch.Size(shape[1:]).numel())
            value = near + (0.2 if len(shape) == 1 else fan ** -0.5) * torch.randn(shape)
            self.p[name] = value.float().double().requires_grad_()
        return self.p[name]

    def dense(self, x, name, units, bias=True):
        y = x @ self.take(name + "/kernel", units, x.shape[-1]).T
        return y + self.take(name + "/bias", units) if bias else y

    def conv(self, x, name, filters, k, stride=1, pad=0, bias=True):
        kernel = self.take(name + "/kernel", filters, x.shape[1], k, k)
        return F.conv2d(x, kernel, self.take(name + "/bias", filters) if bias else None, stride, pad)

    def up(self, x, name, filters, k, bias=True):
        kernel = self.take(name + "/kernel", x.shape[1], filters, k, k)
        return F.conv_transpose2d(x, kernel, self.take(name + "/bias", filters) if bias else None, 2, k // 2 - 1)

    def norm(self, x, name, groups):
        """groups 0: batch norm when training."""
        c = x.shape[1]
        scale, shift = self.take(name + "/scale", c), self.take(name + "/shift", c)
        if groups:
            return F.group_norm(x, groups, scale, shift, 1e-5)
        return F.batch_norm(x, torch.zeros(c), torch.ones(c), scale, shift, True, 0.1, 1e-5)


def case(folder, name, build, **inputs):
    net = Net()
    inputs = {k: v.float().double() if v.is_floating_point() else v for k, v in inputs.items()}
    for v in inputs.values():
        if v.is_floating_point():
            v.requires_grad_()
    y = build(net, **inputs)
    dy = torch.randn(y.shape).float().double()
    (y * dy).sum().backward()
    tensors = {"y": y.detach(), "dy": dy}
    for key, p in net.p.items():
        tensors["state." + key], tensors["grad." + key] = p.detach(), p.grad
    for key, v in inputs.items():
        tensors["in." + key] = v.detach()
        if v.is_floating_point():
            tensors["grad.in." + key] = v.grad
    write(os.path.join(folder, name + ".safetensors"), tensors)
    print(name, sum(p.numel() for p in net.p.values()))


# ---- DCGAN (Radford et al. 2016) ------------------------------------------------------------------------------------


def dcgan_generator(net, z):
    """28 x 28, 3 filters at the picture."""
    y = net.dense(z, "g/project", 7 * 7 * 6, bias=False).view(-1, 6, 7, 7)
    y = F.relu(net.norm(y, "g/norm0", 0))
    y = F.relu(net.norm(net.up(y, "g/up1", 3, 4, bias=False), "g/norm1", 0))
    return torch.tanh(net.up(y, "g/out", 1, 4))


def dcgan_critic(groups):
    def build(net, x):
        """16 x 8, 4 filters at the picture, kernels of 6."""
        y = F.leaky_relu(net.conv(x, "c/down1", 4, 6, 2, 2), 0.2)
        return net.dense(y.flatten(1), "c/score", 1).view(-1)

    def two(net, x):
        """16 x 16, 2 filters at the picture."""
        y = F.leaky_relu(net.conv(x, "c/down1", 2, 4, 2, 1), 0.2)
        y = net.norm(net.conv(y, "c/down2", 4, 4, 2, 1, bias=False), "c/norm2", groups)
        return net.dense(F.leaky_relu(y, 0.2).flatten(1), "c/score", 1).view(-1)

    return build if groups is None else two


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "../../tests/golden/generative")
    case(folder, "dcgan_generator", dcgan_generator, z=torch.randn(3, 5))
    case(folder, "dcgan_critic_plain", dcgan_critic(None), x=torch.randn(3, 2, 16, 8))
    case(folder, "dcgan_critic_batch", dcgan_critic(0), x=torch.randn(3, 3, 16, 16))
    case(folder, "dcgan_critic_layer", dcgan_critic(1), x=torch.randn(3, 3, 16, 16))
    case(folder, "dcgan_critic_instance", dcgan_critic(4), x=torch.randn(3, 3, 16, 16))


main()
