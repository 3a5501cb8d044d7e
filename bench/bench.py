#!/usr/bin/env python3
"""Compares the speed of Glia's models with PyTorch and of its matrix products with oneDNN; prints one table.

    make bench          everything, some 40 minutes; writes docs/performance.md
    make bench-quick    the same rows in two minutes: few short blocks, few settings of PyTorch; writes nothing
    python3 bench/bench.py --build build/bench [--quick] [--only train,infer-mlp,...] [--write FILE]
    BENCH_CORES=1 python3 bench/bench.py ...    one thread each, measured in CPU seconds: for a busy machine

Method
    Each side is a process that holds a network and runs it for a block of time on command. In each round every side
    gets one block, so that other load on the machine affects all sides equally; the table has the medians over the
    rounds. Glia runs its own models (models/models.def) through the public API. `bench_worker prepare` writes the
    initial weights and the data, which every side reads. The data are MNIST and CIFAR-10 if found (see GLIA_DATA), else
    synthetic digits, else noise. The losses of the first five training steps, and in inference the outputs for the
    first sample, must agree within a relative 1e-3 (bf16: 3e-2); otherwise the row says so. The peak is measured by a
    loop of multiply-adds in registers (peak.c), which gets a block in each round too. peers.py describes the peers.
"""
import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile

import page
from peers import HERE, Peers, choose, has_avx512, installed_python, kann_settings, newest_python
from workers import CLOCK, CORES, Worker, interleave

ROOT = os.path.dirname(HERE)


class Workload:
    """A row: a model of models.def, how it is run, and the target for its speed relative to the best PyTorch."""

    def __init__(self, kind, name, model, target, batch=1, optimizer="sgd", lr=1e-3, momentum=0.0, batches=8, block=1,
                 small=False, isas=(), precision="f32", sample=None):
        self.kind, self.name, self.model, self.target = kind, f"{kind}-{name}", model, target
        self.batch, self.batches, self.optimizer, self.lr, self.momentum = batch, batches, optimizer, lr, momentum
        self.block, self.small, self.isas, self.precision = block, small, isas, precision
        self.sample = sample
        self.sequences = model.startswith(("lstm", "gpt", "enc-dec"))
        self.pictures = not self.sequences and not model.startswith("mlp")
        self.torchvision = model in ("resnet50", "vgg16", "vit-b16", "mobilenet-v2")

    def words(self):
        return {"batch": self.batch, "batches": self.batches, "optimizer": self.optimizer, "lr": self.lr,
                "momentum": self.momentum, "precision": self.precision}


BESIDE_KANN = "train-mlp"  # the row that also has kann

# block: factor for the length of its blocks; small: one thread may be faster than several.
WORKLOADS = [
    Workload("train", "keras-cnn", "keras-cnn", 3, batch=64, optimizer="adam", isas=("v3", "v2")),
    Workload("train", "lenet-b4", "cifar-net", 5, batch=4, momentum=0.9, small=True),
    Workload("train", "lenet-b128", "cifar-net", 3, batch=128, momentum=0.9),
    Workload("train", "mlp", "mlp-512", 2.8, batch=128, optimizer="adam", isas=("v3", "v2")),
    Workload("train", "resnet20", "resnet20", 1.3, batch=128, momentum=0.9, batches=4, block=3),
    Workload("train", "resnet18", "resnet18", 1.3, batch=8, momentum=0.9, batches=2, block=3),
    Workload("train", "lstm28", "lstm-rows", 2.5, batch=64, optimizer="adam"),
    Workload("train", "lstm128", "lstm-rows", 2.5, batch=64, optimizer="adam", batches=4, block=2,
             sample=(1, 128, 64)),
    Workload("train", "gpt-tiny", "gpt-tiny", 1.8, batch=12, optimizer="adam"),
    Workload("train", "gpt-mini", "gpt-mini", 1.5, batch=16, optimizer="adam", batches=4, block=3),
    Workload("train", "enc-dec", "enc-dec", 1.6, batch=64, optimizer="adam", batches=4, block=3),
    Workload("train", "keras-cnn-bf16", "keras-cnn", 0, batch=64, optimizer="adam", precision="bf16"),
    Workload("train", "mlp-bf16", "mlp-512", 0, batch=128, optimizer="adam", precision="bf16"),
    Workload("infer", "keras-cnn", "keras-cnn", 3, small=True),
    Workload("infer", "lenet", "cifar-net", 6, small=True),
    Workload("infer", "mlp", "mlp-512", 1.5, small=True),
    Workload("generate", "gpt-mini", "gpt-mini", 5),
    Workload("prompt", "gpt-mini", "gpt-mini", 0),
    Workload("infer", "resnet18", "resnet18", 1.2, batches=2),
    Workload("infer", "resnet50", "resnet50", 1.2, batches=2),
    Workload("infer", "vgg16", "vgg16", 1.2, batches=2),
    Workload("infer", "vit-b16", "vit-b16", 1.2, batches=2),
    Workload("infer", "mobilenet-v2", "mobilenet-v2", 1.2, batches=2),
    Workload("infer", "resnet50-b8", "resnet50", 1.2, batch=8, batches=2, block=3),
    Workload("infer", "vgg16-b8", "vgg16", 1.2, batch=8, batches=2, block=5),
    Workload("infer", "vit-b16-b8", "vit-b16", 1.2, batch=8, batches=2, block=5),
]

# M, N, K and the target share of the peak
PRODUCTS = [(64, 64, 64, 0), (128, 128, 128, 0), (256, 256, 256, 0), (512, 512, 512, 0.92), (1024, 1024, 1024, 0.92),
            (2048, 2048, 2048, 0.92), (64, 128, 784, 0), (64, 512, 512, 0), (4, 120, 400, 0), (256, 1024, 1024, 0),
            (4096, 64, 288, 0)]


# Relative tolerance between the losses and outputs of two sides
TOLERANCE = {"f32": 1e-3, "bf16": 3e-2}


def agree(a, b, tolerance):
    scale = max(map(abs, b), default=0)
    return len(a) == len(b) and all(abs(x - y) <= tolerance * max(abs(y), 1e-2 * scale) for x, y in zip(a, b))


# ---- training and inference -----------------------------------------------------------------------------------------


class Bench:
    def __init__(self, options, compares_kann):
        self.options, self.folders = options, tempfile.mkdtemp(prefix="glia-bench-")
        self.problems, self.prepared = [], {}
        installed = newest = None
        if not options.no_peers:
            installed = installed_python()
            newest, problem = newest_python(options.venv, not options.quick)
            if not installed:
                self.problems.append("No PyTorch is installed (Debian: apt-get install python3-torch).")
            if problem:
                self.problems.append(f"The newest PyTorch was not measured: {problem}.")
        self.kann = []
        if compares_kann and not options.no_peers:
            self.kann, problem = kann_settings(options.kann, options.build, not options.quick)
            if problem:
                self.problems.append(f"kann was not measured: {problem}.")
        self.peers = Peers(installed, newest, os.path.join(os.path.abspath(options.build), "inductor"))

    def program(self, name):
        return os.path.join(self.options.build, name)

    def glia(self, mode, workload, environment=None):
        words = [f"{name}={value}" for name, value in workload.words().items()]
        if workload.sample:
            words.append("sample=" + "x".join(map(str, workload.sample)))
        return Worker([self.program("bench_worker"), mode, workload.model, f"folder={self.folder(workload)}",
                       f"threads={CORES}", *words], environment)

    def arguments(self, workload):
        """The arguments of peer_torch.py besides those of its setting."""
        about = self.prepared[self.folder(workload)]
        words = [word for name, value in workload.words().items() for word in (f"--{name}", str(value))]
        return [workload.model, "--folder", self.folder(workload), "--sample", ",".join(map(str, about["sample"])),
                "--outputs", str(about["outputs"]), *words]

    def folder(self, workload):
        return os.path.join(self.folders, "-".join(
            map(str, (workload.model, workload.batch, *(workload.sample or ())))))

    def prepare(self, workload):
        folder = self.folder(workload)
        if folder not in self.prepared:
            os.mkdir(folder)
            self.prepared[folder] = {}
            worker = self.glia("prepare", workload)
            self.prepared[folder] = worker.ready
            worker.close()
        return self.prepared[folder]["data"]

    def measure(self, workload):
        """One row: medians of interleaved blocks of Glia, PyTorch as installed, the best PyTorch, and the peak."""
        options, seconds = self.options, self.options.seconds * workload.block
        print(workload.name, flush=True)
        row = {"workload": workload, "data": self.prepare(workload), "setting": "–"}
        start = lambda setting: setting.start(workload.kind, self.arguments(workload))  # noqa: E731
        find = {"train": self.peers.training, "infer": self.peers.inference,
                "generate": self.peers.generation, "prompt": self.peers.generation}[workload.kind]
        sides = {}
        installed = self.peers.as_installed()
        if installed:
            try:
                sides["installed"] = start(installed)
            except RuntimeError as error:
                self.problems.append(f"{workload.name}: PyTorch as installed fails: {error}.")
        settings = find(workload.pictures, workload.small, options.quick)
        if options.peers:
            settings = [s for s in settings if any(word in s.name for word in options.peers.split(","))]
        setting, worker = choose(settings, start, seconds / 2, 0 if options.quick else 3)
        if setting:
            sides["best"], row["setting"] = worker, setting.name
            worker.rates.clear()
        sides["glia"] = self.glia(workload.kind, workload)
        if workload.name == BESIDE_KANN:
            _, worker = choose(self.kann, lambda s: s.start(self.folder(workload), workload.batch, workload.batches),
                               seconds / 2, 1)
            if worker:
                sides["kann"] = worker
                worker.rates.clear()
        for isa in workload.isas:
            if platform.machine() == "x86_64" and (isa != "v3" or has_avx512()):
                sides[isa] = self.glia(workload.kind, workload, {"GLIA_ISA": isa})
        sides["peak"] = Worker([self.program("bench_peak"), str(CORES)])
        interleave(sides.values(), options.rounds, seconds)
        row["peak"] = sides.pop("peak").rate()
        for name, side in sides.items():
            row[name] = {"rate": side.rate() * workload.batch, "spread": side.spread(), "ready": side.ready,
                         "memory": side.close(),
                         "agrees": agree(side.ready.get("values", []), sides["glia"].ready["values"],
                                         TOLERANCE[workload.precision])}
        if "installed" in row and row["installed"]["rate"] > row.get("best", {"rate": 0})["rate"]:
            row["best"], row["setting"] = row["installed"], installed.name
        return row

    def isas(self, row):
        """Rows of other instruction sets, compared with the same peers."""
        for isa in row["workload"].isas:
            if isa in row:
                yield {**row, "glia": row[isa], "isa": isa}

    # ---- matrix products ----------------------------------------------------------------------------------------

    def products(self):
        print("gemm", flush=True)
        sides = {"glia": Worker([self.program("bench_gemm"), "glia", str(CORES)])}
        if not self.options.no_peers:
            try:
                sides["onednn"] = Worker([self.program("bench_gemm"), "onednn", str(CORES)],
                                         {"OMP_NUM_THREADS": str(CORES)})
            except RuntimeError as error:
                self.problems.append(f"oneDNN was not measured: {error}.")
        peak = Worker([self.program("bench_peak"), str(CORES)])
        rows = []
        for m, n, k, share in PRODUCTS:
            for side in [*sides.values(), peak]:
                side.rates.clear()
            for _ in range(self.options.rounds):
                for side in sides.values():
                    side.run(self.options.seconds / 4, f"{m} {n} {k} ")
                peak.run(self.options.seconds / 4)
            rows.append({"shape": (m, n, k), "share": share, "peak": peak.rate(),
                         **{name: side.rate() for name, side in sides.items()},
                         "about": {name: side.ready["description"] for name, side in sides.items()}})
        for side in [*sides.values(), peak]:
            side.process.stdin.close()
            side.process.wait()
        return rows

    # ---- the rest -----------------------------------------------------------------------------------------------

    def bandwidth(self):
        """GB/s of a triad in the last-level cache and in memory."""
        worker = Worker([self.program("bench_peak"), str(CORES)])
        figures = {}
        for name, mib in (("cache", 12), ("memory", 1024)):
            figures[name] = statistics.median(worker.ask(f"triad {mib} {self.options.seconds / 2}")["gbytes"]
                                              for _ in range(3))
        worker.process.stdin.close()
        worker.process.wait()
        return figures

    def first_step(self):
        """Milliseconds from process start to the end of keras-cnn's first training step, for Glia and PyTorch."""
        workload = WORKLOADS[0]
        self.prepare(workload)
        figures, starts = {}, {"glia": lambda: self.glia("first", workload)}
        installed = self.peers.as_installed()
        if installed:
            starts["installed"] = lambda: installed.start("first", self.arguments(workload))
        for name, start in starts.items():
            seconds = []
            for _ in range(self.options.rounds if name == "glia" else min(3, self.options.rounds)):
                worker = start()
                seconds.append(worker.start_seconds)
                worker.close()
            figures[name] = 1e3 * statistics.median(seconds)
        return figures

    def command_size(self):
        """Size of the stripped command in bytes."""
        strip, stripped = shutil.which("strip"), os.path.join(self.folders, "glia")
        if not strip or subprocess.run([strip, "-o", stripped, self.program("glia")], capture_output=True).returncode:
            return None
        return os.path.getsize(stripped)


def portable(arguments):
    """The arguments without folders of this machine."""
    folders = ("--venv", "--kann")
    return [word for i, word in enumerate(arguments)
            if word not in folders and (i == 0 or arguments[i - 1] not in folders)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "bench"), help="folder of bench_worker")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", help="rows, by names or prefixes of names: train,infer-mlp,gemm,extra")
    parser.add_argument("--peers", help="settings of PyTorch to try, by parts of their names: eager,JIT,compiled,ONNX")
    parser.add_argument("--rounds", type=int, help="blocks per side (7; quick: 3)")
    parser.add_argument("--seconds", type=float, help="length of a block (0.5; quick: 0.1)")
    parser.add_argument("--no-peers", action="store_true", help="measure Glia only")
    parser.add_argument("--venv", default=os.path.join(ROOT, "build", "bench-venv"), help="venv of the newest PyTorch")
    parser.add_argument("--kann", default=os.path.join(ROOT, "build", "kann"), help="folder of kann's sources")
    parser.add_argument("--write", metavar="FILE", help="also write the page; keeps sections that were not measured")
    options = parser.parse_args()
    options.rounds = options.rounds or (3 if options.quick else 7)
    options.seconds = options.seconds or (0.1 if options.quick else 0.5)

    names = {w.name for w in WORKLOADS}

    def wanted(name):
        return not options.only or any(name == word or (name.startswith(word) and word not in names)
                                       for word in options.only.split(","))

    load = os.getloadavg()[0]
    bench = Bench(options, any(w.name == BESIDE_KANN and wanted(w.name) for w in WORKLOADS))
    if load > CORES / 2:
        bench.problems.append(f"The machine was busy: load {load:.1f} on {os.cpu_count()} cores before the first row. "
                              + ("" if CLOCK else "This slows down peers with spinning threads most."))
    if CLOCK:
        bench.problems.append("All sides run one thread; their times are CPU seconds.")
    try:
        results = {"rows": [bench.measure(w) for w in WORKLOADS if wanted(w.name)]}
        results["isas"] = [isa for row in results["rows"] for isa in bench.isas(row)]
        results["products"] = bench.products() if wanted("gemm") else []
        results["bandwidth"] = bench.bandwidth()
        results["first"] = bench.first_step() if wanted("extra") else {}
        results["size"] = bench.command_size() if wanted("extra") else None
    finally:
        shutil.rmtree(bench.folders, ignore_errors=True)
    one_thread = "BENCH_CORES=1 " if CLOCK else ""
    results.update(problems=bench.problems, options=options,
                   command=f"{one_thread}python3 bench/bench.py " + " ".join(portable(sys.argv[1:])))
    sections = page.sections_of(results)
    print(f"\n{page.text_of(sections)}")
    if options.write:
        before = ""
        if os.path.exists(options.write):
            with open(options.write) as file:
                before = file.read()
        with open(options.write, "w") as file:
            file.write(page.page_of(sections, before))
    return 0 if page.all_agree(results) else 1


if __name__ == "__main__":
    sys.exit(main())
