#!/usr/bin/env python3
"""Writes tests/golden/graphs/CASE.safetensors: layers of PyTorch Geometric with random weights on a small directed
graph, what they give, and the gradients of sum(y * dy). tests/families/test_graph_layers.c builds the same layers.

    PYTHON tools/golden/graphs.py [FOLDER]        PyTorch 1.13, PyTorch Geometric 2.4 or newer; computed in f64

Tensors: "state.NAME" parameters by the names that Glia gives them, "grad.NAME" their gradients, "in.NAME" inputs
(edges sorted by target), "y", "dy".
"""
import os
import sys

import torch
import torch_geometric.nn as pyg

from recurrent import write

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
NODES, FEATURES, UNITS, HEADS, RELATIONS, EDGE_FEATURES = 7, 5, 4, 3, 3, 2
PAIRS = [(1, 0), (3, 0), (0, 1), (2, 1), (4, 1), (1, 2), (0, 3), (1, 4), (3, 4), (5, 4), (2, 5)]  # node 6 has none


def edges(loops):
    """(2, E) sources and targets, by target and then source."""
    pairs = PAIRS + ([(v, v) for v in range(NODES)] if loops else [])
    return torch.tensor(sorted(pairs, key=lambda e: (e[1], e[0]))).T


def rounded(*shape):
    return torch.randn(*shape).float().double()


def shuffle(module):
    """Random values for all parameters, also for those that begin as zeros."""
    with torch.no_grad():
        for p in module.parameters():
            p.copy_((0.5 * torch.randn_like(p)).float())
    return module


def case(folder, name, loops, module, names, call, extra=None, rename=lambda n, p: p):
    """names: Glia's names of the module's parameters; call(module, x, edge_index) -> y."""
    index = edges(loops)
    x = rounded(NODES, FEATURES).requires_grad_()
    y = call(module, x, index)
    dy = rounded(*y.shape)
    (y * dy).sum().backward()
    counts = torch.bincount(index[1], minlength=NODES)
    out = {"y": y.detach(), "dy": dy, "in.x": x.detach(), "grad.in.x": x.grad, "in.edges/sources": index[0],
           "in.edges/offsets": torch.cat([torch.zeros(1, dtype=torch.long), counts.cumsum(0)])}
    for key, tensor in (extra or {}).items():
        out["in." + key] = tensor.detach()
        if tensor.requires_grad:
            out["grad.in." + key] = tensor.grad
    for theirs, ours in names.items():
        p = dict(module.named_parameters())[theirs]
        shape = ours[1] if isinstance(ours, tuple) else p.shape
        key = ours[0] if isinstance(ours, tuple) else ours
        out["state." + key] = p.detach().reshape(shape)
        out["grad." + key] = p.grad.reshape(shape)
    out.pop("grad.g/gate/bias", None)  # 0 but for rounding: a softmax does not depend on it
    write(os.path.join(folder, name + ".safetensors"), out)


def symmetric(index):
    degree = torch.bincount(index[1], minlength=NODES).double()
    return (degree[index[0]] * degree[index[1]]).rsqrt()


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else "tests/golden/graphs"
    plain = lambda m, x, e: m(x, e)
    weights = rounded(len(PAIRS)).abs()
    weighted = symmetric(edges(True))
    gcn = shuffle(pyg.GCNConv(FEATURES, UNITS))
    case(folder, "gcn", True, gcn, {"lin.weight": "g/kernel", "bias": "g/bias"}, plain, {"edges/weights": weighted})
    for mean in (False, True):
        gat = shuffle(pyg.GATConv(FEATURES, UNITS, HEADS, concat=not mean, add_self_loops=False))
        lin = [n for n, _ in gat.named_parameters() if n.startswith("lin") and n.endswith("weight")][0]
        case(folder, "gat_mean" if mean else "gat", True, gat,
             {lin: "g/kernel", "att_src": ("g/from", (HEADS, UNITS)), "att_dst": ("g/to", (HEADS, UNITS)),
              "bias": "g/bias"}, plain)
    gat = shuffle(pyg.GATv2Conv(FEATURES, UNITS, HEADS, add_self_loops=False))
    case(folder, "gatv2", True, gat,
         {"lin_l.weight": "g/kernel_from", "lin_l.bias": "g/bias_from", "lin_r.weight": "g/kernel_to",
          "lin_r.bias": "g/bias_to", "att": ("g/attention", (HEADS, UNITS)), "bias": "g/bias"}, plain)
    sage = {"lin_l.weight": "g/kernel", "lin_l.bias": "g/bias", "lin_r.weight": "g/kernel_self"}
    case(folder, "sage_mean", False, shuffle(pyg.SAGEConv(FEATURES, UNITS)), sage, plain)
    case(folder, "sage_norm", False, shuffle(pyg.SAGEConv(FEATURES, UNITS, normalize=True)), sage, plain)
    case(folder, "sage_pool", False, shuffle(pyg.SAGEConv(FEATURES, UNITS, aggr="max", project=True)),
         dict(sage, **{"lin.weight": "g/pool/kernel", "lin.bias": "g/pool/bias"}), plain)
    gin = shuffle(pyg.GINConv(torch.nn.Sequential(torch.nn.Linear(FEATURES, UNITS), torch.nn.ReLU(),
                                                  torch.nn.Linear(UNITS, UNITS)), train_eps=True))
    case(folder, "gin", False, gin,
         {"eps": ("g/eps", ()), "nn.0.weight": "g1/kernel", "nn.0.bias": "g1/bias", "nn.2.weight": "g2/kernel",
          "nn.2.bias": "g2/bias"}, plain)
    a = rounded(len(PAIRS), EDGE_FEATURES).requires_grad_()
    nn = shuffle(pyg.NNConv(FEATURES, UNITS, torch.nn.Linear(EDGE_FEATURES, FEATURES * UNITS), aggr="add"))
    case(folder, "edge_conv", False, nn,
         {"nn.weight": "theta/kernel", "nn.bias": "theta/bias", "lin.weight": "g/kernel_self", "bias": "g/bias"},
         lambda m, x, e: m(x, e, a), {"edges/x": a})
    kinds = torch.arange(len(PAIRS)) * 5 % RELATIONS
    case(folder, "rgcn", False, shuffle(pyg.RGCNConv(FEATURES, UNITS, RELATIONS)),
         {"weight": "g/kernel", "root": "g/kernel_self", "bias": "g/bias"}, lambda m, x, e: m(x, e, kinds),
         {"edges/types": kinds})
    case(folder, "sgc", True, shuffle(pyg.SGConv(FEATURES, UNITS, K=2)),
         {"lin.weight": "g/kernel", "lin.bias": "g/bias"}, plain, {"edges/weights": weighted})
    case(folder, "appnp", True, pyg.APPNP(K=3, alpha=0.1), {}, plain, {"edges/weights": weighted})
    case(folder, "lightgcn", False, pyg.LGConv(normalize=False), {},
         lambda m, x, e: (x + m(x, e, weights) + m(m(x, e, weights), e, weights)) / 3, {"edges/weights": weights})
    starts, graph = torch.tensor([0, 3, 7]), torch.tensor([0, 0, 0, 1, 1, 1, 1])
    case(folder, "graph_norm", False, shuffle(pyg.GraphNorm(FEATURES)),
         {"weight": "g/scale", "bias": "g/shift", "mean_scale": "g/mean_scale"}, lambda m, x, e: m(x, graph),
         {"starts": starts})
    gate = shuffle(pyg.aggr.AttentionalAggregation(torch.nn.Linear(FEATURES, 1)))
    case(folder, "read_attention", False, gate, {"gate_nn.weight": "g/gate/kernel", "gate_nn.bias": "g/gate/bias"},
         lambda m, x, e: m(x, graph), {"starts": starts})
    for name, pool in (("sum", pyg.global_add_pool), ("mean", pyg.global_mean_pool), ("max", pyg.global_max_pool)):
        case(folder, "read_" + name, False, torch.nn.Identity(), {}, lambda m, x, e: pool(x, graph),
             {"starts": starts})
    set2set = shuffle(pyg.aggr.Set2Set(FEATURES, processing_steps=3))
    with torch.no_grad():
        set2set.lstm.bias_hh_l0.zero_()  # the sum of both counts
    case(folder, "set2set", False, set2set,
         {"lstm.weight_ih_l0": "g/kernel", "lstm.weight_hh_l0": "g/recurrent", "lstm.bias_ih_l0": "g/bias"},
         lambda m, x, e: m(x, graph), {"starts": starts})


if __name__ == "__main__":
    main()
