#!/usr/bin/env python3
"""Trains the same networks with Glia and with PyTorch, side by side, and prints one table.

    make bench          everything; writes docs/performance.md
    make bench-quick    fewer and shorter blocks, installed PyTorch only
    python3 bench/bench.py --build build/bench [--quick] [--only keras-cnn,mlp] [--write FILE]

How it measures
    Each side is a process of its own that holds a network ready and trains on command for a block of half a second. In
    each round every side gets one block, so that what else the machine does hits all alike; the table has the medians over
    the rounds. The first five losses, from the same weights on the same data, must agree to one in a thousand, else the
    rows would compare different things. The peak is that of a loop of multiply-adds in registers (peak.c), which gets a
    block in each round too.

Two PyTorches
    "installed" is what the system's python3 has (Debian: python3-torch), with no setting touched. "best" is the fastest
    of all settings tried before, in short blocks, for each row alone: OpenMP's BLAS, threads, forced AVX-512, channels-last,
    and the newest PyTorch that pip has (in build/bench-venv: some 3 GB to download, once), eager and compiled.
"""
import argparse
import datetime
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
CORES = len(os.sched_getaffinity(0))

# Multiply-adds of the forward pass of a sample, layer by layer. A training step does each three times (forward, gradient of
# the weights, gradient of the input), but for the first layer's input, which needs no gradient.
FORWARD = {
    "keras-cnn": [26 * 26 * 32 * 9, 11 * 11 * 64 * 288, 3 * 3 * 64 * 576, 576 * 64, 64 * 10],
    "lenet-b4": [28 * 28 * 6 * 75, 10 * 10 * 16 * 150, 400 * 120, 120 * 84, 84 * 10],
    "lenet-b128": [28 * 28 * 6 * 75, 10 * 10 * 16 * 150, 400 * 120, 120 * 84, 84 * 10],
    "mlp": [784 * 512, 512 * 512, 512 * 10],
}


def flops_of(workload):
    return 2 * (3 * sum(FORWARD[workload]) - FORWARD[workload][0])


class Worker:
    """A process that prints a line of JSON when it is ready and one for each "run SECONDS"."""

    def __init__(self, command, environment=None):
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        stderr=self.errors, env={**os.environ, **(environment or {})})
        self.rates = []
        self.ready = self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.errors.seek(0)
            lines = self.errors.read().strip().splitlines()
            raise RuntimeError(lines[-1] if lines else "the worker stopped")
        return json.loads(line)

    def run(self, seconds):
        self.process.stdin.write(f"run {seconds}\n")
        self.process.stdin.flush()
        answer = self.read()
        self.rates.append(answer["gflops"] if "gflops" in answer else answer["samples"] / answer["seconds"])

    def rate(self):
        return statistics.median(self.rates)

    def close(self):
        """Ends the process; returns its peak resident memory in bytes, where it says so."""
        try:
            self.process.stdin.close()
            line = self.process.stdout.readline()
            return json.loads(line)["rss_kib"] * 1024 if line else 0
        finally:
            self.process.stdout.close()
            self.process.wait()


# ---- PyTorch's settings ---------------------------------------------------------------------------------------------


class Setting:
    """One way to run PyTorch: which Python, which environment, which options of peer_torch.py."""

    def __init__(self, name, python, environment=None, options=()):
        self.name, self.python, self.environment, self.options = name, python, environment or {}, list(options)

    def start(self, workload):
        return Worker([self.python, os.path.join(HERE, "peer_torch.py"), workload, *self.options], self.environment)


def has_module(python, module):
    if not python or not os.access(python, os.X_OK):
        return False
    code = f"import importlib.util as u, sys; sys.exit(u.find_spec('{module}') is None)"
    return subprocess.run([python, "-c", code], capture_output=True).returncode == 0


def installed_python():
    for python in ("/usr/bin/python3", sys.executable):
        if has_module(python, "torch") and has_module(python, "numpy"):
            return python
    return None


def newest_python(folder):
    """A Python with the newest PyTorch, installed into `folder` if it is not there yet; or None and why not."""
    python = os.path.join(folder, "bin", "python")
    if not has_module(python, "torch"):
        print(f"installing the newest PyTorch into {os.path.relpath(folder)} (some 3 GB to download) ...", flush=True)
        for command in ([sys.executable, "-m", "venv", folder],
                        [python, "-m", "pip", "install", "--quiet", "torch", "numpy", "setuptools"]):
            result = subprocess.run(command, capture_output=True, text=True)
            if result.returncode:
                return None, (result.stderr.strip().splitlines() or ["no reason given"])[-1]
    result = subprocess.run([python, "-c", "import torch, numpy"], capture_output=True, text=True)
    if result.returncode:
        return None, result.stderr.strip().splitlines()[-1]
    return python, None


def has_avx512():
    try:
        with open("/proc/cpuinfo") as file:
            return " avx512f " in file.read()
    except OSError:
        return False


def settings_of(installed, newest, quick):
    """All the settings to try; the first one is "installed"."""
    forced = {"ATEN_CPU_CAPABILITY": "avx512", "OPENBLAS_CORETYPE": "SkylakeX"} if has_avx512() else {}
    word = ", AVX-512" if forced else ""
    many = {"OMP_NUM_THREADS": str(CORES), **forced}
    one = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **forced}
    openmp = "/usr/lib/x86_64-linux-gnu/openblas-openmp"
    if os.path.isdir(openmp):
        many["LD_LIBRARY_PATH"] = openmp
    settings = []
    if installed:
        settings += [Setting("as installed", installed),
                     Setting(f"OpenMP BLAS{word}, {CORES} threads", installed, many),
                     Setting(f"OpenMP BLAS{word}, {CORES} threads, channels-last", installed, many, ["--channels-last"])]
        if not quick:
            settings += [Setting(f"one thread{word}", installed, one),
                         Setting(f"one thread{word}, channels-last", installed, one, ["--channels-last"]),
                         Setting(f"OpenMP BLAS{word}, {CORES} threads, without oneDNN", installed, many, ["--no-mkldnn"])]
    if newest:
        threads = ["--threads", str(CORES)]
        hidden = {"CUDA_VISIBLE_DEVICES": "", **forced}
        single = {**hidden, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        settings += [Setting("newest", newest, hidden, threads),
                     Setting("newest, fused", newest, hidden, threads + ["--fused"]),
                     Setting("newest, fused, channels-last", newest, hidden, threads + ["--fused", "--channels-last"]),
                     Setting("newest, fused, one thread", newest, single, ["--threads", "1", "--fused"])]
        if shutil.which("g++"):
            settings += [Setting("newest, compiled", newest, hidden, threads + ["--compile", "default"]),
                         Setting("newest, compiled, fused", newest, hidden, threads + ["--compile", "default", "--fused"]),
                         Setting("newest, compiled, fused, channels-last", newest, hidden,
                                 threads + ["--compile", "default", "--fused", "--channels-last"]),
                         Setting("newest, compiled, fused, one thread", newest, single,
                                 ["--threads", "1", "--compile", "default", "--fused"]),
                         Setting("newest, compiled, fused, max-autotune", newest, hidden,
                                 threads + ["--compile", "max-autotune", "--fused"])]
    return settings


def choose(workload, settings, blocks, seconds):
    """The setting with the best median, from short blocks; those that fail to run are told and left out."""
    best, best_rate = None, 0
    for setting in settings:
        if "--channels-last" in setting.options and workload == "mlp":
            continue
        try:
            worker = setting.start(workload)
            for _ in range(blocks):
                worker.run(seconds)
            worker.close()
        except (RuntimeError, OSError) as error:
            print(f"    {setting.name}: does not run ({error})", flush=True)
            continue
        print(f"    {setting.name}: {worker.rate():,.0f}", flush=True)
        if worker.rate() > best_rate:
            best, best_rate = setting, worker.rate()
    return best


# ---- the measurement ------------------------------------------------------------------------------------------------


def losses_agree(a, b):
    return all(abs(x - y) <= 1e-3 * max(abs(x), abs(y)) for x, y in zip(a, b))


def measure(workload, options, settings):
    """One row: medians of interleaved blocks of Glia, PyTorch as installed, PyTorch at its best, and the peak."""
    best = choose(workload, settings, 3, options.seconds / 2) if settings else None
    installed = next((s for s in settings if s.name == "as installed"), None)
    sides = {"glia": Worker([os.path.join(options.build, "bench_train"), workload, str(options.threads)])}
    if installed:
        sides["installed"] = installed.start(workload)
    if best and best is not installed:
        sides["best"] = best.start(workload)
    sides["peak"] = Worker([os.path.join(options.build, "bench_peak"), str(options.threads or CORES)])
    for _ in range(options.rounds):
        for side in sides.values():
            side.run(options.seconds)
    row = {"workload": workload, "setting": best.name if best else "-", "agree": True}
    for name, side in sides.items():
        row[name] = side.rate()
        row["spread_" + name] = (max(side.rates) - min(side.rates)) / side.rate()
        row["about_" + name] = side.ready["description"]
        if "losses" in side.ready:
            row["agree"] &= losses_agree(side.ready["losses"], sides["glia"].ready["losses"])
            row["losses_" + name] = side.ready["losses"]
        row["rss_" + name] = side.close()
    if installed and row["installed"] > row.get("best", 0):
        row["setting"] = installed.name
        for what in ("", "spread_", "about_", "rss_", "losses_"):
            row[what + "best"] = row[what + "installed"]
    return row


def table_of(rows):
    head = ["workload", "Glia", "PyTorch installed", "PyTorch best", "Glia / best", "GFLOP/s", "% of peak", "memory",
            "PyTorch's", "first losses"]
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 2) + "|---|"]

    def rate(row, side):
        return f"{row[side]:,.0f}" if side in row else "–"

    def memory(row, side):
        return f"{row[side] / 2**20:,.0f} MiB" if side in row else "–"

    for row in rows:
        gflops = row["glia"] * flops_of(row["workload"]) * 1e-9
        ratio = f"{row['glia'] / row['best']:.2f}" if "best" in row else "–"
        lines.append("| " + " | ".join([
            row["workload"], rate(row, "glia"), rate(row, "installed"), rate(row, "best"), ratio, f"{gflops:.0f}",
            f"{100 * gflops / row['peak']:.0f}", memory(row, "rss_glia"), memory(row, "rss_installed"),
            "agree" if row["agree"] else "DIFFER"]) + " |")
    return "\n".join(lines)


def machine():
    model = "unknown CPU"
    try:
        with open("/proc/cpuinfo") as file:
            model = next(line.split(":")[1].strip() for line in file if line.startswith(("model name", "Model")))
    except (OSError, StopIteration):
        pass
    return f"{model}, {CORES} cores, {'AVX-512' if has_avx512() else platform.machine()}"


def notes_of(rows, options, newest_problem):
    """What one needs to know to read the table."""
    lines = [f"Samples a second in training, fp32, medians of {options.rounds} interleaved blocks of {options.seconds} s. "
             f"{machine()}; peak {statistics.median(r['peak'] for r in rows):.0f} GFLOP/s. "
             f"{datetime.date.today().isoformat()}, {rows[0]['about_glia']}."]
    for row in rows:
        if "best" in row:
            lines.append(f"- {row['workload']}: best is {row['about_best']}, {row['setting']}. "
                         f"Spread of the blocks: Glia {100 * row['spread_glia']:.0f} %, "
                         f"PyTorch {100 * row.get('spread_best', row['spread_installed']):.0f} %.")
        if not row["agree"]:
            lines.append(f"- {row['workload']}: the first losses differ: "
                         + "; ".join(f"{n} {row['losses_' + n]}" for n in ("glia", "installed", "best") if "losses_" + n in row))
    if newest_problem:
        lines.append(f"- The newest PyTorch could not take part: {newest_problem}")
    return "\n".join(lines)


PAGE = """# Performance

Printed by `make bench`; `bench/bench.py` says how it measures. "Installed" is the distribution's PyTorch untouched, "best" the
fastest of all settings tried for that row, the newest PyTorch, eager and compiled, among them. Memory is the peak of the
whole process.

{table}

{notes}

The workloads, all fp32 on random data in memory:

| name | network | optimizer | batch |
|---|---|---|---:|
| keras-cnn | 28×28×1; conv 32, 64, 64 (3×3, relu), 2×2 max pool after the first two; dense 64 relu, 10 | Adam | 64 |
| lenet-b4, lenet-b128 | 32×32×3; conv 6, 16 (5×5, relu), 2×2 max pools; dense 120, 84 relu, 10 | SGD, momentum 0.9 | 4, 128 |
| mlp | 784; dense 512, 512 relu, 10 | Adam | 128 |
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "bench"), help="where bench_train lies")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default=",".join(FORWARD), help="workloads, separated by commas")
    parser.add_argument("--rounds", type=int, help="blocks for each side (15; quick: 5)")
    parser.add_argument("--seconds", type=float, help="of a block (0.5; quick: 0.3)")
    parser.add_argument("--threads", type=int, default=0, help="Glia's; 0: all cores")
    parser.add_argument("--no-peers", action="store_true", help="Glia alone")
    parser.add_argument("--venv", default=os.path.join(ROOT, "build", "bench-venv"), help="the newest PyTorch's place")
    parser.add_argument("--write", metavar="FILE", help="write the page there as well")
    options = parser.parse_args()
    options.rounds = options.rounds or (5 if options.quick else 15)
    options.seconds = options.seconds or (0.3 if options.quick else 0.5)

    installed = newest = problem = None
    if not options.no_peers:
        installed = installed_python()
        if not options.quick:
            newest, problem = newest_python(options.venv)
        if not installed:
            print("no PyTorch is installed (Debian: apt-get install python3-torch)")
    settings = settings_of(installed, newest, options.quick)
    rows = []
    for workload in options.only.split(","):
        if workload not in FORWARD:
            parser.error(f"unknown workload {workload}; there are {', '.join(FORWARD)}")
        print(f"{workload}", flush=True)
        rows.append(measure(workload, options, settings))
    table, notes = table_of(rows), notes_of(rows, options, problem)
    print(f"\n{table}\n\n{notes}")
    if options.write:
        with open(options.write, "w") as file:
            file.write(PAGE.format(table=table, notes=notes))
    return 0 if all(row["agree"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
