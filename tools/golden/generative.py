#!/usr/bin/env python3
"""Writes tests/golden/generative/CASE.safetensors: small generative nets of PyTorch with random weights, what they are
given, what they give, and the gradients of sum(y * dy). tests/families/test_gan.c and test_unet.c build the same nets.

    PYTHON tools/golden/generative.py [FOLDER]        PyTorch 1.13 or newer; computed in f64, stored in f32

Tensors: "state.NAME" parameters by the names that Glia gives them, "grad.NAME" their gradients, "in.NAME" inputs, "y",
"dy".
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


# ---- UNet (Ho et al. 2020) ------------------------------------------------------------------------------------------


class Unet:
    """Written from the paper's appendix B; attention has matrices of its own for q, k and v there, which Glia stacks
    into one."""

    def __init__(self, net, channels, multipliers, blocks, attention, heads, out):
        self.net, self.channels, self.multipliers, self.blocks = net, channels, multipliers, blocks
        self.attention, self.heads, self.out = attention, heads, out

    def norm(self, x, name):
        groups = max([g for g in range(1, 33) if x.shape[1] % g == 0 and x.shape[1] // g >= 4] or [1])
        return self.net.norm(x, name, groups)

    def residual(self, x, name, channels):
        y = self.net.conv(F.silu(self.norm(x, name + "/norm1")), name + "/conv1", channels, 3, 1, 1)
        y = y + self.net.dense(F.silu(self.time), name + "/time", channels)[:, :, None, None]
        y = self.net.conv(F.silu(self.norm(y, name + "/norm2")), name + "/conv2", channels, 3, 1, 1)
        return y + (x if x.shape[1] == channels else self.net.conv(x, name + "/skip", channels, 1))

    def attend(self, x, name):
        x = self.attend_to(x, None, name)
        return x if self.context is None else self.attend_to(x, self.context, name + "/context")

    def attend_to(self, x, memory, name):
        n, c, h, w = x.shape
        pixels = self.norm(x, name + "/norm").flatten(2).transpose(1, 2)
        if memory is None:
            parts = self.net.dense(pixels, name + "/qkv", 3 * c).split(c, dim=2)
        else:
            parts = (self.net.dense(pixels, name + "/q", c), *self.net.dense(memory, name + "/kv", 2 * c).split(c, dim=2))
        q, k, v = (z.view(n, z.shape[1], self.heads, -1).transpose(1, 2) for z in parts)
        shares = (q @ k.transpose(2, 3) * (c // self.heads) ** -0.5).softmax(-1)
        y = (shares @ v).transpose(1, 2).reshape(n, h * w, c)
        return x + self.net.dense(y, name + "/out", c).transpose(1, 2).view(n, c, h, w)

    def block(self, x, name, level):
        x = self.residual(x, name, self.channels * self.multipliers[level])
        return self.attend(x, name + "/attention") if x.shape[2] in self.attention else x

    def __call__(self, x, t, condition=None, context=None):
        self.context = context
        net, last = self.net, len(self.multipliers) - 1
        half = self.channels // 2
        angles = t[:, None] / 10000 ** (torch.arange(half) * 2 / self.channels)
        self.time = torch.stack((angles.sin(), angles.cos()), -1).flatten(1)
        self.time = F.silu(net.dense(self.time, "u/time1", 4 * self.channels))
        self.time = net.dense(self.time, "u/time2", 4 * self.channels)
        if condition is not None:
            self.time = self.time + net.dense(condition, "u/condition", 4 * self.channels)
        x = net.conv(x, "u/in", self.channels, 3, 1, 1)
        skips = [x]
        for level in range(last + 1):
            for i in range(self.blocks):
                x = self.block(x, "u/down%d_%d" % (level, i), level)
                skips.append(x)
            if level < last:
                x = net.conv(x, "u/halve%d" % level, x.shape[1], 3, 2, 1)
                skips.append(x)
        x = self.residual(x, "u/middle0", x.shape[1])
        if self.attention is not NONE:
            x = self.attend(x, "u/middle_attention")
        x = self.residual(x, "u/middle1", x.shape[1])
        for level in range(last, -1, -1):
            for i in range(self.blocks + 1):
                x = self.block(torch.cat((x, skips.pop()), 1), "u/up%d_%d" % (level, i), level)
            if level:
                x = net.conv(F.interpolate(x, scale_factor=2), "u/double%d" % level, x.shape[1], 3, 1, 1)
        assert not skips
        return net.conv(F.silu(self.norm(x, "u/norm")), "u/out", self.out, 3, 1, 1)


NONE = ()


def unet(*settings):
    return lambda net, x, t, **more: Unet(net, *settings)(x, t, **more)


def count(*settings, size, channels):
    """Parameters of a net without writing a file."""
    net = Net()
    unet(*settings)(net, torch.zeros(1, channels, size, size), torch.zeros(1))
    return sum(p.numel() for p in net.p.values())


def main():
    here = os.path.join(os.path.dirname(__file__), "../../tests/golden/generative")
    folder = sys.argv[1] if len(sys.argv) > 1 else here
    case(folder, "dcgan_generator", dcgan_generator, z=torch.randn(3, 5))
    case(folder, "dcgan_critic_plain", dcgan_critic(None), x=torch.randn(3, 2, 16, 8))
    case(folder, "dcgan_critic_batch", dcgan_critic(0), x=torch.randn(3, 3, 16, 16))
    case(folder, "dcgan_critic_layer", dcgan_critic(1), x=torch.randn(3, 3, 16, 16))
    case(folder, "dcgan_critic_instance", dcgan_critic(4), x=torch.randn(3, 3, 16, 16))
    steps = torch.tensor([0, 17, 999])
    case(folder, "unet", unet(4, (1, 2), 1, (4,), 2, 2), x=torch.randn(3, 2, 8, 8), t=steps)
    case(folder, "unet_plain", unet(4, (1, 1, 3), 2, NONE, 1, 1), x=torch.randn(2, 1, 4, 8), t=steps[1:])
    case(folder, "unet_condition", unet(6, (2,), 1, (3,), 3, 1), x=torch.randn(2, 1, 3, 3), t=steps[1:],
         condition=torch.randn(2, 5))
    case(folder, "unet_context", unet(4, (1, 2), 1, (4,), 2, 2), x=torch.randn(2, 2, 4, 4), t=steps[1:],
         context=torch.randn(2, 3, 5))
    print("CIFAR-10, paper:", count(128, (1, 2, 2, 2), 2, (16,), 1, 3, size=32, channels=3))
    print("defaults, MNIST:", count(64, (1, 2, 2), 2, (14,), 1, 1, size=28, channels=1))


main()
