#!/usr/bin/env python3
"""Writes tests/golden/spiking/CASE.safetensors: small spiking nets of snnTorch with random weights, what they are given,
what they give and the gradients of sum(y * dy), for tests/families/test_spiking_layers.c.

    PYTHON tools/golden/spiking_layers.py [FOLDER]        PyTorch 2, snnTorch, safetensors; f32, computed in f64

Tensors as in tools/golden/generative.py.
"""
import os
import sys

import snntorch as snn
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from snntorch import surrogate

torch.set_default_dtype(torch.float64)
N, T = 3, 12


class Triangle(torch.autograd.Function):
    """snnTorch's Triangular has another sign beyond the threshold; this is the one of Bellec et al. 2018."""

    @staticmethod
    def forward(ctx, u):
        ctx.save_for_backward(u)
        return (u > 0).to(u.dtype)

    @staticmethod
    def backward(ctx, dy):
        return dy * torch.relu(1 - ctx.saved_tensors[0].abs())


SURROGATES = {"arctangent": surrogate.atan(alpha=2), "fast_sigmoid": surrogate.fast_sigmoid(slope=25),
              "triangle": Triangle.apply, "straight_through": surrogate.straight_through_estimator()}


class Case:
    def __init__(self, seed):
        torch.manual_seed(seed)
        self.p, self.given = {}, {}

    def take(self, name, *shape, scale=1.0):
        draws = scale * torch.randn(shape, dtype=torch.float32) * max(1, torch.Size(shape[1:]).numel()) ** -0.5
        self.p[name] = draws.double().requires_grad_()
        return self.p[name]

    def give(self, name, *shape):
        self.given[name] = torch.rand(shape, dtype=torch.float32).double().requires_grad_()
        return self.given[name]

    def save(self, folder, name, y):
        dy = torch.randn(y.shape, dtype=torch.float32).double()
        (y * dy).sum().backward()
        tensors = {"y": y.detach(), "dy": dy}
        tensors |= {"state." + k: v.detach() for k, v in self.p.items()}
        tensors |= {"grad." + k: v.grad for k, v in self.p.items()}
        tensors |= {"in." + k: v.detach() for k, v in self.given.items()}
        tensors |= {"grad.in." + k: v.grad for k, v in self.given.items()}
        save_file({k: v.float().contiguous() for k, v in tensors.items()}, os.path.join(folder, name + ".safetensors"))


def over_time(unit, current):
    """A layer of snnTorch over (N, T, ...): spikes and membranes."""
    membrane, spikes, membranes = None, [], []
    for t in range(current.shape[1]):
        spike, membrane = unit(current[:, t], membrane)
        spikes.append(spike.double())  # snnTorch gives f32
        membranes.append(membrane)
    return torch.stack(spikes, 1), torch.stack(membranes, 1)


def dense(folder, name, grad, **options):
    c = Case(len(name))
    x = c.give("x", N, T, 6)
    h = x @ c.take("hidden/kernel", 10, 6, scale=3).T + c.take("hidden/bias", 10)
    spikes, _ = over_time(snn.Leaky(beta=0.9, spike_grad=grad, **options), h)
    out = spikes @ c.take("out/kernel", 4, 10, scale=2).T + c.take("out/bias", 4)
    both, membranes = over_time(snn.Leaky(beta=0.8, threshold=0.5, spike_grad=grad, **options), out)
    c.save(folder, name, torch.cat([both, membranes], 2))


def synaptic(folder):
    c = Case(7)
    x = c.give("x", N, T, 5)
    h = x @ c.take("hidden/kernel", 8, 5, scale=2).T + c.take("hidden/bias", 8)
    unit, syn, mem, out = snn.Synaptic(alpha=0.7, beta=0.9, spike_grad=SURROGATES["arctangent"]), None, None, []
    for t in range(T):
        spike, syn, mem = unit(h[:, t], syn, mem)
        out.append(spike.double() + mem)
    c.save(folder, "synaptic", torch.stack(out, 1))


def recurrent(folder):
    c = Case(8)
    x = c.give("x", N, T, 5)
    h = x @ c.take("hidden/kernel", 7, 5, scale=2).T + c.take("hidden/bias", 7)
    unit = snn.RLeaky(beta=0.9, linear_features=7, spike_grad=SURROGATES["arctangent"])
    unit.recurrent.weight.data = c.take("hidden/recurrent_kernel", 7, 7, scale=1).data
    unit.recurrent.bias.data.zero_()
    c.p["hidden/recurrent_kernel"] = unit.recurrent.weight
    spike, mem, out = None, None, []
    for t in range(T):
        spike, mem = unit(h[:, t], spike.double() if t else None, mem)
        out.append(spike.double() + mem)
    c.save(folder, "recurrent", torch.stack(out, 1))


def conv(folder):
    c = Case(9)
    x = c.give("x", N, T, 2, 6, 6)
    h = F.conv2d(x.reshape(N * T, 2, 6, 6), c.take("c1/kernel", 3, 2, 3, 3, scale=3), c.take("c1/bias", 3))
    spikes, _ = over_time(snn.Leaky(beta=0.9, spike_grad=SURROGATES["fast_sigmoid"]), h.reshape(N, T, 3, 4, 4))
    c.save(folder, "conv", spikes)


if __name__ == "__main__":
    to = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "../../tests/golden/spiking")
    os.makedirs(to, exist_ok=True)
    for kind, function in SURROGATES.items():
        dense(to, kind, function)
    dense(to, "to_zero", SURROGATES["arctangent"], reset_mechanism="zero")
    synaptic(to)
    recurrent(to)
    conv(to)
