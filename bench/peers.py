"""The peers of the benchmark: two versions of PyTorch in many settings, oneDNN, kann.

"installed" is the PyTorch of the system's python3 (Debian: python3-torch) with default settings. "best" is the fastest
of all settings tried, chosen for each row: OpenMP's BLAS, threads, forced AVX-512, channels-last, frozen by the JIT,
and the newest PyTorch on PyPI (in build/bench-venv, a single download of some 3 GB), eager, compiled, and exported to
ONNX Runtime.
"""
import os
import platform
import shutil
import subprocess
import sys

from workers import CORES, Worker, interleave, start_all

KANN = "https://github.com/attractivechaos/kann"
HERE = os.path.dirname(os.path.abspath(__file__))


def has_avx512():
    try:
        with open("/proc/cpuinfo") as file:
            return " avx512f " in file.read()
    except OSError:
        return False


def machine():
    model = "unknown CPU"
    try:
        with open("/proc/cpuinfo") as file:
            model = next(line.split(":")[1].strip() for line in file if line.startswith(("model name", "Model")))
    except (OSError, StopIteration):
        pass
    return f"{model}, {CORES} cores, {'AVX-512' if has_avx512() else platform.machine()}"


# ---- PyTorch --------------------------------------------------------------------------------------------------------


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


def newest_python(folder, install):
    """A Python with the newest PyTorch, installed into `folder` if missing; or None and the reason."""
    python = os.path.join(folder, "bin", "python")
    if not has_module(python, "torch"):
        if not install:
            return None, "it is not installed; `make bench` installs it"
        print(f"installing the newest PyTorch into {os.path.relpath(folder)} (some 3 GB to download) ...", flush=True)
        for command in ([sys.executable, "-m", "venv", folder],
                        [python, "-m", "pip", "install", "--quiet", "torch", "torchvision", "numpy", "setuptools",
                         "onnx", "onnxruntime"]):
            result = subprocess.run(command, capture_output=True, text=True)
            if result.returncode:
                return None, (result.stderr.strip().splitlines() or ["no reason given"])[-1]
    result = subprocess.run([python, "-c", "import torch, numpy"], capture_output=True, text=True)
    if result.returncode:
        return None, result.stderr.strip().splitlines()[-1]
    return python, None


class Setting:
    """A way to run PyTorch: the Python, the environment, the options of peer_torch.py."""

    def __init__(self, name, python, environment=None, options=()):
        self.name, self.python, self.environment, self.options = name, python, environment or {}, list(options)

    def start(self, mode, arguments):
        command = [self.python, os.path.join(HERE, "peer_torch.py"), mode, *arguments, *self.options]
        return Worker(command, self.environment)


TUNED = ["--compile", "max-autotune-no-cudagraphs"]


class Peers:
    """The available PyTorch versions and the settings to try with each."""

    def __init__(self, installed, newest, cache):
        self.installed, self.newest = installed, newest
        forced = {"ATEN_CPU_CAPABILITY": "avx512", "OPENBLAS_CORETYPE": "SkylakeX"} if has_avx512() else {}
        self.word = ", AVX-512" if forced else ""
        openmp = "/usr/lib/x86_64-linux-gnu/openblas-openmp"
        library = {"LD_LIBRARY_PATH": openmp} if os.path.isdir(openmp) else {}
        self.old = {"OMP_NUM_THREADS": str(CORES), **forced, **library}
        self.old_one = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **forced, **library}
        self.new = {"CUDA_VISIBLE_DEVICES": "", "TORCHINDUCTOR_CACHE_DIR": cache, "TORCHINDUCTOR_FREEZING": "1",
                    **forced}
        self.new_one = {**self.new, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        self.compiles = shutil.which("g++") is not None

    def as_installed(self):
        return Setting("as installed", self.installed) if self.installed else None

    def of(self, variants):
        """Settings from (which, name, options); which: "old" or "new", followed by "1" for one thread."""
        settings = []
        for which, name, options in variants:
            python, one = (self.installed if which.startswith("old") else self.newest), which.endswith("1")
            if not python or ("--compile" in options and not self.compiles):
                continue
            environment = {"old": self.old, "old1": self.old_one, "new": self.new, "new1": self.new_one}[which]
            words = [f"{'OpenMP BLAS' if which.startswith('old') else 'newest'}{self.word}", name,
                     f"{1 if one else CORES} thread{'s' * (not one and CORES > 1)}"]
            threads = [] if which.startswith("old") else ["--threads", "1" if one else str(CORES)]
            settings.append(Setting(", ".join(w for w in words if w), python, environment, threads + options))
        return settings

    def training(self, pictures, small, quick):
        last, default = ["--channels-last"], ["--compile", "default"]
        fused = ["--fused"]
        if quick:
            pictured = ("old1", "", []) if small else ("old", "channels-last", last)
            return self.of([pictured if pictures else ("new", "eager", fused)])
        variants = [("old", "", []), ("new", "eager", fused), ("new", "eager, unfused", []),
                    ("new", "compiled", fused + default)]
        if small:
            variants += [("old1", "", []), ("new1", "eager", fused), ("new1", "compiled", fused + default)]
        if pictures:
            variants += [("old", "channels-last", last), ("new", "eager, channels-last", fused + last),
                         ("new", "compiled, channels-last", fused + default + last)]
        else:
            variants += [("new", "compiled, max-autotune", fused + TUNED)]
        return self.of(variants)

    def generation(self, pictures, small, quick):
        default = ["--compile", "default"]
        if quick:
            return self.of([("new1", "eager", [])])
        return self.of([("new", "eager", []), ("new1", "eager", []), ("new", "compiled", default),
                        ("new1", "compiled", default)])

    def inference(self, pictures, small, quick):
        last, default = ["--channels-last"], ["--compile", "default"]
        one = "1" if small else ""
        if quick:
            return self.of([("old" + one, "frozen JIT", ["--jit"])])
        variants = [("old" + one, "frozen JIT", ["--jit"]), ("new" + one, "frozen JIT", ["--jit"]),
                    ("old" + one, "", []), ("new" + one, "eager", []), ("new" + one, "compiled", default),
                    ("new" + one, "ONNX Runtime", ["--onnx"])]
        if small:
            variants += [("old", "frozen JIT", ["--jit"]), ("new", "compiled", default)]
        else:
            variants += [("old", "frozen JIT, channels-last", ["--jit"] + last), ("new", "eager, channels-last", last),
                         ("new", "compiled, channels-last", default + last)]
        if not pictures:
            variants += [("new" + one, "compiled, max-autotune", TUNED)]
        return self.of(variants)


# ---- kann -----------------------------------------------------------------------------------------------------------


class KannSetting:
    def __init__(self, name, program, environment, threads):
        self.name, self.program, self.environment, self.threads = name, program, environment, threads

    def start(self, folder, batch, batches):
        return Worker([self.program, folder, str(batch), str(batches), str(self.threads)], self.environment)


def kann_settings(sources, build, download):
    """kann with OpenBLAS, with the threads of either; or none and the reason. `sources`: folder of kann's sources,
    cloned if missing and `download` is true."""
    if not os.path.exists(os.path.join(sources, "kann.c")):
        if not download:
            return [], "its sources are missing; `make bench` clones them"
        result = subprocess.run(["git", "clone", "--quiet", "--depth", "1", KANN, sources], capture_output=True,
                                text=True, env={**os.environ, "GIT_TERMINAL_PROMPT": "0"})
        if result.returncode:
            return [], (result.stderr.strip().splitlines() or ["git clone failed"])[-1]
    program = os.path.join(os.path.abspath(build), "peer_kann")
    files = [os.path.join(HERE, "peer_kann.c"), *(os.path.join(sources, name) for name in ("kann.c", "kautodiff.c"))]
    command = ["cc", "-O3", "-march=native", "-w", "-DHAVE_CBLAS", "-DHAVE_PTHREAD", "-I", sources, *files,
               "-o", program, "-lopenblas", "-lpthread", "-lm"]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        return [], (result.stderr.strip().splitlines() or ["it does not compile"])[0]
    forced = {"OPENBLAS_CORETYPE": "SkylakeX"} if has_avx512() else {}
    return [KannSetting("kann, its own threads", program, {"OPENBLAS_NUM_THREADS": "1", **forced}, CORES),
            KannSetting("kann, OpenBLAS's threads", program, {"OPENBLAS_NUM_THREADS": str(CORES), **forced}, 1)], None


# ---- the choice -----------------------------------------------------------------------------------------------------


def choose(settings, start, seconds, blocks):
    """The fastest setting and its running worker. Each setting gets one short block; the two fastest then get `blocks`
    more each, and the better median wins. Settings that fail are printed and skipped."""
    best = []  # at most two (rate, setting, worker)
    for i in range(0, len(settings), CORES):
        batch = settings[i:i + CORES]
        for setting, worker in zip(batch, start_all([lambda s=s: start(s) for s in batch])):
            try:
                if isinstance(worker, Exception):
                    raise worker
                worker.run(seconds)
            except (RuntimeError, OSError, ValueError) as error:
                print(f"    {setting.name}: failed ({error})", flush=True)
                continue
            print(f"    {setting.name}: {worker.rate():,.4g} a second", flush=True)
            best.append((worker.rate(), setting, worker))
        best.sort(key=lambda entry: -entry[0])
        for entry in best[2:]:
            entry[2].close()
        del best[2:]
    if len(best) == 2:
        interleave([worker for _, _, worker in best], blocks, seconds)
        best.sort(key=lambda entry: -entry[2].rate())
        best[1][2].close()
    return best[0][1:] if best else (None, None)
