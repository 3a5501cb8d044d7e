#!/usr/bin/env python3
"""Trains word vectors with Glia, Google's word2vec.c and gensim; prints words per second and the quality.

    python3 bench/word2vec.py TEXT... --glia build/release/glia --reference ./word2vec --gensim [--questions FILE]
                              [--similarities FILE] [--repeat 3] [--threads 2] [--models skip-gram,cbow] [--epochs 1,5]

TEXT: files, plain or .gz; all programs read the same words, lower-case letters and digits. --reference is word2vec.c,
compiled with its makefile; --gensim uses the gensim of this Python. Programs that are not given are skipped.

Method
    Each program trains for one and for five epochs (--epochs). The words of the additional epochs, divided by the
    difference of the times, are the words per second of training alone, without counting words, building tables and
    writing files. The programs take turns, so that other load on the machine affects all equally; the table has the
    medians. cpu: words per second of processor time of all threads, which is less sensitive to other load. Words are
    those of the vocabulary (count of five or more), before subsampling. The options are word2vec.c's defaults: 100
    dimensions, window 5, 5 negative samples, sample 1e-3. The quality is that of the longer run.
"""
import argparse
import collections
import gzip
import math
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time

GENSIM = """
import sys
from gensim.models import Word2Vec
text, out, skip_gram, threads, epochs = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
model = Word2Vec(corpus_file=text, vector_size=100, window=5, min_count=5, sample=1e-3, negative=5, sg=skip_gram,
                 alpha=0.025 if skip_gram else 0.05, workers=threads, epochs=epochs)
model.wv.save_word2vec_format(out, binary=True)
"""


def read_texts(paths):
    """The lines of the texts as lines of words."""
    lines = []
    for path in paths:
        with (gzip.open if path.endswith(".gz") else open)(path, "rt", encoding="utf-8", errors="replace") as file:
            lines += [" ".join(re.findall(r"[^\W_]+(?:'[^\W_]+)*", line.lower())) for line in file]
    return [line for line in lines if line]


def commands(options, model, text, out, epochs):
    skip_gram, threads = model == "skip-gram", str(options.threads)
    yield "glia", options.glia and [options.glia, "word2vec", "train", text, "-o", out, "--model", model, "--threads",
                                    threads, "--epochs", str(epochs)]
    yield "glia, own negatives", options.glia and skip_gram and [
        options.glia, "word2vec", "train", text, "-o", out, "--model", model, "--own-negatives", "--threads", threads,
        "--epochs", str(epochs)]
    yield "word2vec.c", options.reference and [
        options.reference, "-train", text, "-output", out, "-binary", "1", "-debug", "0", "-cbow",
        str(int(not skip_gram)), "-threads", threads, "-iter", str(epochs)]
    yield "gensim", options.gensim and [sys.executable, "-c", GENSIM, text, out, str(int(skip_gram)), threads,
                                        str(epochs)]


def run(command):
    """Wall and processor seconds."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wall, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def quality(options, vectors):
    told = []
    command = [options.glia, "word2vec", "evaluate", vectors]
    for flag in ("questions", "similarities"):
        if getattr(options, flag):
            command += ["--" + flag, getattr(options, flag)]
    if options.glia and len(command) > 4:
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        told += re.findall(r"^all +([\d.]+ %)", out, re.MULTILINE) + re.findall(r"Spearman [\d.-]+", out)
    return ", ".join(told)


def measure(options, model, text, words, folder):
    """Measures all programs in turn, with few and with many epochs, and prints a row for each."""
    times, learned = collections.defaultdict(list), collections.defaultdict(list)
    for _ in range(options.repeat):
        spent = {}
        for epochs in options.epochs:
            out = os.path.join(folder, "vectors.bin")
            for name, command in commands(options, model, text, out, epochs):
                if not command:
                    continue
                spent[name, epochs] = run(command)
                if epochs == options.epochs[1]:
                    learned[name].append(quality(options, out))
        for name in {name for name, _ in spent}:
            few, many = (spent[name, epochs] for epochs in options.epochs)
            trained = words * (options.epochs[1] - options.epochs[0])
            times[name].append([trained / (m - f) if m > f else math.nan for f, m in zip(few, many)])
    for name, rates in times.items():
        wall, cpu = (statistics.median([r[k] for r in rates if r[k] > 0] or [math.nan]) for k in range(2))
        print(f"{model:9}  {name:20} {wall:12,.0f} {cpu:12,.0f}   {'; '.join(filter(None, learned[name]))}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("texts", nargs="+")
    parser.add_argument("--glia")
    parser.add_argument("--reference")
    parser.add_argument("--gensim", action="store_true")
    parser.add_argument("--questions")
    parser.add_argument("--similarities")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--models", default="skip-gram,cbow")
    parser.add_argument("--epochs", default="1,5")
    options = parser.parse_args()
    options.epochs = [int(n) for n in options.epochs.split(",")]
    lines = read_texts(options.texts)
    counts = collections.Counter(word for line in lines for word in line.split())
    words = sum(count for count in counts.values() if count >= 5)
    with tempfile.TemporaryDirectory() as folder:
        text = os.path.join(folder, "text.txt")
        with open(text, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        print(f"{words:,} words, {sum(c >= 5 for c in counts.values()):,} distinct; {options.threads} threads\n"
              f"{'model':9}  {'program':20} {'words/s':>12} {'cpu':>12}   quality")
        for model in options.models.split(","):
            measure(options, model, text, words, folder)


if __name__ == "__main__":
    main()
