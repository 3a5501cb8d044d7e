"""Processes that hold a network (or a loop) ready and run it on command, a block at a time."""
import concurrent.futures
import json
import os
import statistics
import subprocess
import tempfile
import time

CORES = len(os.sched_getaffinity(0))


class Worker:
    """Prints a line of JSON when it is ready and one for each command."""

    def __init__(self, command, environment=None):
        self.errors = tempfile.TemporaryFile("w+")
        started = time.perf_counter()
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        stderr=self.errors, env={**os.environ, **(environment or {})})
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
        """One block; its rate: runs a second, or GFLOP/s where the worker says so."""
        answer = self.ask(f"run {what}{seconds}")
        self.rates.append(answer["gflops"] if "gflops" in answer else answer["runs"] / answer["seconds"])

    def rate(self):
        return statistics.median(self.rates)

    def spread(self):
        return (max(self.rates) - min(self.rates)) / self.rate()

    def close(self):
        """Ends the process; returns its peak resident memory in bytes, where it says so."""
        try:
            self.process.stdin.close()
            line = self.process.stdout.readline()
            return json.loads(line)["peak_kib"] * 1024 if line else 0
        finally:
            self.process.stdout.close()
            self.process.wait()
            self.errors.close()


def interleave(workers, rounds, seconds, what=""):
    """Lets each worker run one block in each round, so that what else the machine does hits all alike."""
    for _ in range(rounds):
        for worker in workers:
            worker.run(seconds, what)


def start_all(starts):
    """Calls the functions, as many at a time as there are cores; what each returns, or the exception that it raised."""
    def attempt(start):
        try:
            return start()
        except (RuntimeError, OSError, ValueError) as error:
            return error

    with concurrent.futures.ThreadPoolExecutor(CORES) as pool:
        return list(pool.map(attempt, starts))
