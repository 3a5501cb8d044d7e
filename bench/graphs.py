#!/usr/bin/env python3
"""Steps of graph nets beside PyTorch Geometric: GCN and GAT on Cora, GIN on 128 molecules of MUTAG.

    PYTHON bench/graphs.py PROGRAM [--threads N] [--rounds N]

PROGRAM is the built bench/graphs.c, PYTHON has torch and torch_geometric, $GLIA_DATA has cora and tu. Both sides take
turns in each round; medians of the milliseconds a step took, by the wall and by the CPU. PyTorch Geometric runs with
dense and with sparse features, edge lists and sparse adjacency matrices; the fastest counts.
"""
import argparse
import gzip
import os
import statistics
import subprocess
import sys
import time

import torch
import torch.nn.functional as F
from torch_geometric.nn import GATConv, GCNConv, GINConv, global_add_pool

FOLDER = os.environ["GLIA_DATA"]


def cora():
    rows, columns, labels = [], [], []
    for line in gzip.open(os.path.join(FOLDER, "cora/features.svm.gz"), "rt"):
        label, *words = line.split()
        rows += [len(labels)] * len(words)
        columns += [int(w.split(":")[0]) for w in words]
        labels.append(int(label))
    columns = torch.tensor(columns)
    x = torch.zeros(len(labels), 1433)
    x[rows, columns - int(columns.min() > 0)] = 1
    edges = torch.tensor([[int(v) for v in line.split(",")] for line in
                          gzip.open(os.path.join(FOLDER, "cora/edges.csv.gz"), "rt")]).T
    split = [line.strip().split(",") for line in open(os.path.join(FOLDER, "cora/split.csv"))][1:]
    train = torch.zeros(len(labels), dtype=torch.bool)
    train[[int(node) for node, part in split if part == "train"]] = True
    return x, torch.cat([edges, edges.flip(0)], 1), torch.tensor(labels), train


def mutag():
    lines = iter(gzip.open(os.path.join(FOLDER, "tu/MUTAG.txt.gz"), "rt").read().split("\n"))
    next(lines)
    tags, edges, graph, labels = [], [], [], []
    for g in range(128):
        n, label = map(int, next(lines).split())
        first = len(tags)
        labels.append(int(label > 0))
        for v in range(n):
            tag, _, *others = map(int, next(lines).split())
            tags.append(tag)
            graph.append(g)
            edges += [(first + u, first + v) for u in others]
    return (F.one_hot(torch.tensor(tags), 7).float(), torch.tensor(edges).T, torch.tensor(labels),
            torch.tensor(graph))


class SparseLinear(torch.nn.Module):
    """The first layer's linear map for features as a sparse matrix."""
    def __init__(self, linear):
        super().__init__()
        self.weight = linear.weight

    def forward(self, x):
        return torch.sparse.mm(x, self.weight.t())


def dropout(x, rate, training):
    if not x.is_sparse:
        return F.dropout(x, rate, training)
    return torch.sparse_coo_tensor(x.indices(), F.dropout(x.values(), rate, training), x.shape).coalesce()


class Cora(torch.nn.Module):
    def __init__(self, gat, cached, sparse=False):
        super().__init__()
        self.gat = gat
        if gat:
            self.first, self.last = GATConv(1433, 8, heads=8, dropout=0.6), GATConv(64, 7, dropout=0.6)
        else:
            self.first, self.last = GCNConv(1433, 16, cached=cached), GCNConv(16, 7, cached=cached)
        if sparse:
            name = "lin_src" if gat else "lin"
            linear = SparseLinear(getattr(self.first, name))
            setattr(self.first, name, linear)
            if gat:
                self.first.lin_dst = linear

    def forward(self, x, edges):
        rate = 0.6 if self.gat else 0.5
        h = self.first(dropout(x, rate, self.training), edges)
        h = F.elu(h) if self.gat else F.relu(h)
        return self.last(F.dropout(h, rate, self.training), edges)


class Gin(torch.nn.Module):
    def __init__(self):
        super().__init__()
        nn = torch.nn
        self.layers = nn.ModuleList(GINConv(nn.Sequential(nn.Linear(7 if i == 0 else 64, 64), nn.BatchNorm1d(64),
                                                          nn.ReLU(), nn.Linear(64, 64), nn.ReLU())) for i in range(5))
        self.read = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))

    def forward(self, x, edges, graph):
        for layer in self.layers:
            x = layer(x, edges)
        return self.read(global_add_pool(x, graph, 128))


def steps_of(name):
    """The variants of a net, each a function that takes a step."""
    def stepper(net, loss):
        optimizer = torch.optim.Adam(net.parameters(), lr=0.01, weight_decay=5e-4)

        def step():
            optimizer.zero_grad()
            loss(net).backward()
            optimizer.step()
        return step
    if name == "gin":
        x, edges, y, graph = mutag()
        return [stepper(Gin(), lambda net: F.cross_entropy(net(x, edges, graph), y))]
    x, edges, y, train = cora()
    loops = torch.arange(len(y)).expand(2, -1)
    adjacency = torch.sparse_coo_tensor(torch.cat([edges, loops], 1), torch.ones(edges.shape[1] + len(y))).coalesce()
    rare = x.to_sparse()
    def over(features, links):
        return lambda net: F.cross_entropy(net(features, links)[train], y[train])
    gat = name == "gat"
    variants = [stepper(Cora(gat, False), over(x, edges)), stepper(Cora(gat, False, True), over(rare, edges))]
    if name == "gcn":
        variants += [stepper(Cora(False, True), over(x, edges)), stepper(Cora(False, True, True), over(rare, edges))]
        degree = torch.sparse.sum(adjacency, 1).to_dense().rsqrt()
        i, j = adjacency.indices()
        norm = torch.sparse_coo_tensor(adjacency.indices(), degree[i] * degree[j]).coalesce()
        plain = Cora(False, False)
        plain.first.normalize = plain.last.normalize = False
        variants.append(stepper(plain, over(x, norm)))
    return variants


def timed(step, n):
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(n):
        step()
    return 1e3 * (time.perf_counter() - wall) / n, 1e3 * (time.process_time() - cpu) / n


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    ours = subprocess.Popen([options.program, str(options.threads)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            text=True, bufsize=1)
    print("net  Glia wall/CPU ms  PyTorch Geometric %s wall/CPU ms  ratio" % sys.modules["torch_geometric"].__version__)
    for name, n, target in (("gcn", 10, 8), ("gat", 4, 4), ("gin", 4, 5)):
        variants = []
        for step in steps_of(name):
            try:
                step()
                variants.append(step)
            except (RuntimeError, ValueError, TypeError) as why:
                print("# a variant of %s does not run: %s" % (name, str(why).split("\n")[0]))
        rows = []
        for _ in range(options.rounds):
            ours.stdin.write("%s %d\n" % (name, n))
            row = [tuple(map(float, ours.stdout.readline().split()))]
            rows.append(row + [timed(step, n) for step in variants])
        rows = rows[1:]  # the first warms up
        medians = [[statistics.median(row[k][c] for row in rows) for c in (0, 1)] for k in range(len(rows[0]))]
        best = min(medians[1:])
        print("%s  %.2f/%.2f  %.2f/%.2f  %.1fx wall, %.1fx CPU (target %dx)"
              % (name, *medians[0], *best, best[0] / medians[0][0], best[1] / medians[0][1], target), flush=True)


if __name__ == "__main__":
    main()
