#!/usr/bin/env python3
"""Explains the same samples of the same model with Glia and with the Python packages shap and lime; prints seconds.

    PYTHON bench/explain.py --glia build/release/glia --table TABLE.csv [--model dnn] [--samples 20] [--repeat 3]
                            [--threads 1]

Needs torch, shap, lime and NumPy. TABLE.csv: a header, the class in the last column.

Method
    `glia train` makes the model, dnn (64-32 relu units) or perceptron (a linear one); PyTorch gets its weights. Both
    explain the first samples before the same background of 100 rows with as many evaluations: Kernel SHAP with
    2 features + 2048 coalitions (shap's default, without its selection of features), LIME of tables with 5,000
    neighbours and 10 features. Both times are of the explanations alone: Glia's is the difference of a command that
    explains one sample more and of one that explains one, so without loading and compiling. The programs take turns,
    so that other load on the machine affects both; the table has medians, and processor seconds beside them, which are
    less sensitive to other load.
"""
import argparse
import csv
import json
import os
import resource
import statistics
import struct
import subprocess
import tempfile
import time

for library in ("OMP", "OPENBLAS", "MKL"):  # else BLAS spins on all cores
    os.environ.setdefault(library + "_NUM_THREADS", "1")

import numpy
import shap
import torch
from lime.lime_tabular import LimeTabularExplainer

BACKGROUND = 100


def tensors_of(path):
    with open(path, "rb") as file:
        length = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(length))
        data = file.read()
    def values(t):
        return torch.from_numpy(numpy.frombuffer(data[slice(*t["data_offsets"])], dtype="<f4").copy()).view(t["shape"])
    return {name: values(t) for name, t in header.items() if t.get("dtype") == "F32"}, header["__metadata__"]


class Net:
    """The model in PyTorch: dense layers with relu between them, on rows before normalisation."""

    def __init__(self, path):
        tensors, about = tensors_of(path)
        names = [n[:-len("/kernel")] for n in tensors if n.endswith("/kernel")]
        widths = {n: tensors[n + "/kernel"].shape for n in names}
        self.layers, width = [], len(about["mean"].split(","))
        while names:
            name = next(n for n in names if widths[n][1] == width)
            names.remove(name)
            self.layers.append((tensors[name + "/kernel"], tensors[name + "/bias"]))
            width = widths[name][0]
        self.mean, self.stddev = (torch.tensor([float(v) for v in about[k].split(",")]) for k in ("mean", "stddev"))

    def scores(self, rows):
        x = (torch.as_tensor(numpy.asarray(rows, dtype=numpy.float32)) - self.mean) / self.stddev
        with torch.no_grad():
            for k, (kernel, bias) in enumerate(self.layers):
                x = torch.nn.functional.linear(x if k == 0 else torch.relu(x), kernel, bias)
        return x

    def shares(self, rows):
        return torch.softmax(self.scores(rows), 1).numpy().astype(float)


def timed(action):
    def processor():
        return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    wall, used = time.perf_counter(), processor()
    result = action()
    return time.perf_counter() - wall, processor() - used, result


def glia(a, folder, method, settings, *more):
    """Seconds of the explanations, and the values."""
    def explain(samples):
        command = [a.glia, "explain", folder + "/run", f"csv:{a.table}?test=0#0:{samples}", "--method", method,
                   "--class", "0", "--set", settings, "--threads", str(a.threads), "--json", *more]
        return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    one, all_of_them = timed(lambda: explain(1)), timed(lambda: explain(a.samples + 1))
    return all_of_them[0] - one[0], all_of_them[1] - one[1], all_of_them[2]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--glia", required=True)
    parser.add_argument("--table", required=True)
    parser.add_argument("--model", default="dnn")
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    a = parser.parse_args()
    a.glia, a.table = os.path.abspath(a.glia), os.path.abspath(a.table)
    torch.set_num_threads(a.threads)
    with open(a.table) as file:
        rows = numpy.array([[float(v) for v in row[:-1]] for row in list(csv.reader(file))[1:]])
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([a.glia, "train", a.model, "--data", f"csv:{a.table}?test=0", "--epochs", "10", "--threads", "1",
                        "--quiet", "--normalize", "--no-validation", "--out", folder + "/run"], check=True)
        net = Net(folder + "/run/model.safetensors")
        background = rows[[i * len(rows) // BACKGROUND for i in range(BACKGROUND)]]
        kernel = shap.KernelExplainer(lambda x: net.scores(x).numpy()[:, 0], background)
        lime = LimeTabularExplainer(rows, mode="classification", random_state=1)
        samples = 2 * rows.shape[1] + 2048
        python = {
            "Kernel SHAP": lambda: kernel.shap_values(rows[:a.samples], nsamples=samples, l1_reg=0, silent=True),
            "LIME": lambda: [lime.explain_instance(x, net.shares, labels=(0,), num_samples=5000)
                             for x in rows[:a.samples]],
        }
        ours = {
            "Kernel SHAP": lambda: glia(a, folder, "kernel-shap", f"samples={samples} most={samples} tolerance=0"),
            "LIME": lambda: glia(a, folder, "lime", "samples=5000 tolerance=0", "--score", "probability", "--samples",
                                 str(len(rows))),
        }
        print(f"{'method':<12} {'package s':>10} {'cpu s':>8} {'Glia s':>8} {'cpu s':>8} {'times':>6} {'of cpu':>7}")
        for name, run in python.items():
            times = [(timed(run), ours[name]()) for _ in range(a.repeat)]
            theirs, mine = ([statistics.median(t[side][k] for t in times) for k in (0, 1)] for side in (0, 1))
            print(f"{name:<12} {theirs[0]:>10.3f} {theirs[1]:>8.3f} {mine[0]:>8.3f} {mine[1]:>8.3f} "
                  f"{theirs[0] / mine[0]:>5.1f}x {theirs[1] / mine[1]:>6.1f}x")
            if name == "Kernel SHAP":
                difference = numpy.abs(numpy.array(times[0][1][2]["values"])[:a.samples] - times[0][0][2])
                print(f"             largest difference {difference.max():.3f} of values up to "
                      f"{numpy.abs(times[0][0][2]).max():.3f}")


main()
