"""Worker processes that hold a network (or a loop) and run it for a block of time on command."""
import concurrent.futures
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

CORES = int(os.environ.get("BENCH_CORES") or len(os.sched_getaffinity(0)))
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
# One thread each is measured in CPU seconds, which other load on the machine affects less.
CLOCK = {"BENCH_CPU_SECONDS": "1", **ONE_THREAD} if CORES == 1 else {}


class Worker:
    """A process that prints a line of JSON when it is ready and one for each command."""

    def __init__(self, command, environment=None):
        self.errors = tempfile.TemporaryFile("w+")
        started = time.perf_counter()
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        stderr=self.errors, env={**os.environ, **CLOCK, **(environment or {})})
        self.rates = []
        self.ready = self.read()
        self.start_seconds = time.perf_counter() - started

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.errors.seek(0)
            lines = self.errors.read().strip().splitlines()
            raise RuntimeError(lines[-1] if lines else "the worker stopped")
        return json.loads(line)

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.read()

    def run(self, seconds, what=""):
        """Runs one block; its rate is in runs per second, or in GFLOP/s if the worker prints that."""
        answer = self.ask(f"run {what}{seconds}")
        self.rates.append(answer["gflops"] if "gflops" in answer else answer["runs"] / answer["seconds"])

    def rate(self):
        return statistics.median(self.rates)

    def spread(self):
        return (max(self.rates) - min(self.rates)) / self.rate()

    def close(self):
        """Ends the process; returns its peak resident memory in bytes, if it prints that."""
        try:
            self.process.stdin.close()
            line = self.process.stdout.readline()
            return json.loads(line)["peak_kib"] * 1024 if line else 0
        finally:
            self.process.stdout.close()
            self.process.wait()
            self.errors.close()


def interleave(workers, rounds, seconds, what=""):
    """Runs one block of each worker in each round, so that other load on the machine affects all equally."""
    for _ in range(rounds):
        for worker in workers:
            worker.run(seconds, what)


def compare(mode, commands, rounds, seconds):
    """Prints the time of a run of each command and how many times Glia's it is. commands: by name, Glia's first. Peers
    that cannot start are named and left out."""
    workers = {}
    for name, command in commands.items():
        try:
            workers[name] = Worker(command, ONE_THREAD)
        except RuntimeError as error:
            if not workers:
                raise
            print("%s: %s" % (name, error), file=sys.stderr)
    interleave(workers.values(), rounds, seconds)
    ours = next(iter(workers.values())).rate()
    for name, worker in workers.items():
        print("%-9s %-14s %9.2f ms   %6.2f times Glia's" % (mode, name, 1000 / worker.rate(), ours / worker.rate()),
              flush=True)
        worker.close()


def serve(step):
    """What a worker in Python does: says that it is ready, then calls step() for as long as each line says. CPU seconds
    of this process; at least one call."""
    print("{}", flush=True)
    for line in sys.stdin:
        began, runs = time.process_time(), 0
        while runs == 0 or time.process_time() - began < float(line.split()[1]):
            step()
            runs += 1
        print(json.dumps({"runs": runs, "seconds": time.process_time() - began}), flush=True)


def start_all(starts):
    """Calls the functions, one per core at a time; returns the result of each, or the exception that it raised."""
    def attempt(start):
        try:
            return start()
        except (RuntimeError, OSError, ValueError) as error:
            return error

    with concurrent.futures.ThreadPoolExecutor(CORES) as pool:
        return list(pool.map(attempt, starts))
