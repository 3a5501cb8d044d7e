#!/usr/bin/env python3
"""Writes tests/golden/explain/CASE.safetensors: small nets of PyTorch with random weights, and what the packages captum,
shap and lime say about them. tests/deploy/test_explain.c builds the same nets.

    PYTHON tools/golden/explain.py [FOLDER]        captum 0.9, shap 0.49, lime 0.2; computed and stored in f64

Tensors: "state.NAME" parameters by the names that Glia gives them, "x", "background", explanations of output 1 by their
methods.
"""
import json
import os
import struct
import sys

import numpy
import shap
import torch
import torch.nn as nn
import torch.nn.functional as F
from captum.attr import (GuidedBackprop, InputXGradient, IntegratedGradients, LayerAttribution, LayerGradCam, Occlusion,
                         Saliency)
from lime.discretize import QuartileDiscretizer
from lime.lime_base import LimeBase
from lime.lime_tabular import LimeTabularExplainer

OUTPUT = 1
torch.manual_seed(3)
torch.set_default_dtype(torch.float64)
random = numpy.random.RandomState(5)


def write(path, tensors):
    header, data, at = {}, b"", 0
    for name, values in tensors.items():
        values = numpy.ascontiguousarray(numpy.asarray(values, dtype=numpy.float64))
        raw = values.tobytes()
        header[name] = {"dtype": "F64", "shape": list(values.shape), "data_offsets": [at, at + len(raw)]}
        data, at = data + raw, at + len(raw)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def as_f32(net):
    """Rounds the parameters, so that both programs have the same."""
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(p.float().double())
    return net.eval()


def state(net, names):
    return {f"state.{names[k.split('.')[0]]}/{'kernel' if k.endswith('weight') else 'bias'}": v.detach().numpy()
            for k, v in net.state_dict().items()}


def gradients(net, x, baseline):
    ig, delta = IntegratedGradients(net).attribute(x, baseline, OUTPUT, n_steps=50, return_convergence_delta=True)
    return {"saliency": Saliency(net).attribute(x, OUTPUT)[0], "gradient-x-input":
            InputXGradient(net).attribute(x, OUTPUT)[0], "integrated-gradients": ig[0], "delta": delta}


def values_of(result):
    """One sample's Shapley values of OUTPUT, from whichever layout this version has."""
    array = numpy.asarray(result)
    return array[0][..., OUTPUT] if array.shape[-1] == 3 else array[OUTPUT][0]


def mlp():
    net = as_f32(nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 3)))
    with torch.no_grad():
        for k in (0, 2, 4):
            net[k].weight.mul_(2)
    x, background = torch.randn(1, 5).float().double(), torch.randn(4, 5).float().double()
    tensors = state(net, {"0": "fc1", "2": "fc2", "4": "out"}) | {"x": x[0], "background": background}
    tensors |= {k: v.detach().numpy() for k, v in gradients(net, x.clone().requires_grad_(), background[:1]).items()}
    tensors["occlusion"] = Occlusion(net).attribute(x, (2,), (1,), target=OUTPUT).numpy()[0]

    def function(rows):
        with torch.no_grad():
            return net(torch.as_tensor(numpy.asarray(rows))).numpy()
    masker = shap.maskers.Independent(background.numpy(), max_samples=100)
    exact = shap.explainers.Exact(lambda r: function(r)[:, OUTPUT], masker)(x.numpy())
    kernel = shap.KernelExplainer(function, background.numpy()).shap_values(x.numpy(), nsamples=1000, l1_reg=0)
    deep = shap.DeepExplainer(net, background).shap_values(x, check_additivity=False)
    tensors |= {"exact-shap": exact.values[0], "base": exact.base_values[0], "kernel-shap": values_of(kernel),
                "deep-shap": values_of(deep)}
    data = random.randn(500, 5).astype(numpy.float32).astype(numpy.float64)
    data[:, 2] = data[:, 2] > 0.5
    explainer = LimeTabularExplainer(data, mode="classification", random_state=1)
    row = x[0].numpy().copy()

    def shares(rows):
        return torch.softmax(torch.as_tensor(function(rows)), 1).numpy()
    lime = explainer.explain_instance(row, shares, labels=(OUTPUT,), num_features=5, num_samples=100000)
    weights = numpy.zeros(5)
    for column, weight in lime.local_exp[OUTPUT]:
        weights[column] = weight
    return tensors | {"lime.data": data, "lime.weights": weights, "lime.intercept": [lime.intercept[OUTPUT]],
                      "lime.r2": [lime.score]}


def conv():
    net = as_f32(nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3),
                               nn.ReLU(), nn.Flatten(), nn.Linear(24, 3)))
    x, background = torch.rand(1, 1, 8, 8).float().double(), torch.rand(3, 1, 8, 8).float().double()
    tensors = state(net, {"0": "conv1", "3": "conv2", "6": "out"}) | {"x": x[0], "background": background}
    tensors |= {k: v.detach().numpy() for k, v in gradients(net, x.clone().requires_grad_(), background[:1]).items()}
    tensors["guided-backprop"] = GuidedBackprop(net).attribute(x.clone().requires_grad_(), OUTPUT)[0].detach().numpy()
    tensors["occlusion"] = Occlusion(net).attribute(x, (1, 3, 3), (1, 2, 2), target=OUTPUT).numpy()[0]
    for name, layer in (("grad-cam", 4), ("grad-cam.conv1", 1)):
        cam = LayerGradCam(net, net[layer]).attribute(x, OUTPUT, relu_attributions=True)
        tensors[name] = LayerAttribution.interpolate(cam, (8, 8), "bilinear")[0, 0].detach().numpy()
    maps = net[:5](x).detach().requires_grad_()
    g = torch.autograd.grad(net[5:](maps)[0, OUTPUT], maps)[0]
    below = 2 * g ** 2 + maps.sum((2, 3), keepdim=True) * g ** 3
    alpha = torch.where(below == 0, torch.zeros(()), g ** 2 / torch.where(below == 0, torch.ones(()), below))
    weight = (alpha * torch.relu(g)).sum((2, 3), keepdim=True)
    plus = torch.relu((weight * maps).sum(1, keepdim=True))
    tensors["grad-cam++"] = F.interpolate(plus, (8, 8), mode="bilinear", align_corners=False)[0, 0].detach().numpy()
    deep = shap.DeepExplainer(net, background).shap_values(x, check_additivity=False)
    tensors["deep-shap"] = values_of(deep)
    return tensors


def local():
    n, d = 300, 12
    z = (random.rand(n, d) < 0.6).astype(float)
    z[0] = 1
    y = z @ (random.randn(d) * (random.rand(d) < 0.6)) + 0.3 * random.randn(n) + z[:, 0] * z[:, 1]
    distances = numpy.sqrt(((z - z[0]) ** 2).sum(1))
    width = 0.75 * numpy.sqrt(d)
    base = LimeBase(lambda r: numpy.sqrt(numpy.exp(-(r ** 2) / width ** 2)), random_state=1)
    tensors = {"z": z, "y": y, "weight": base.kernel_fn(distances)}
    for k in (3, 8, 12):
        method = "none" if k == d else "auto"
        intercept, chosen, r2, _ = base.explain_instance_with_data(z, y[:, None], distances, 0, k, method)
        weights = numpy.zeros(d)
        for column, weight in chosen:
            weights[column] = weight
        tensors |= {f"weights{k}": weights, f"intercept{k}": [float(intercept)], f"r2{k}": [r2]}
    data = random.randn(80, 3).astype(numpy.float32).astype(numpy.float64)
    data[:, 1] = random.randint(0, 3, 80)
    data[:, 2] = data[:, 2] > 1
    quartiles = QuartileDiscretizer(data, [], ["a", "b", "c"])
    tensors["table"] = data
    for k in range(3):
        tensors |= {f"least{k}": quartiles.mins[k], f"most{k}": quartiles.maxs[k], f"mean{k}": quartiles.means[k],
                    f"stddev{k}": quartiles.stds[k]}
    return tensors


folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "../../tests/golden/explain")
os.makedirs(folder, exist_ok=True)
for case in (mlp, conv, local):
    write(os.path.join(folder, case.__name__ + ".safetensors"), case())
