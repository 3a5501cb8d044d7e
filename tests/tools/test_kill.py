"""A killed and resumed training leaves the same files as an uninterrupted one.

    test_kill.py GLIA KILL_AT                       every write of a short run, dozens of random kills, a full disk
    test_kill.py GLIA KILL_AT --kills N [--seed S]  N kills at random writes, one to three in a run

kill_at (tests/tools/kill_at.c) kills the process at a given system call that changes a file, before the call or after
half of a write, so nothing here depends on timing. All files of the run folder and the history of runs are compared,
except durations, times and process ids.
"""
import csv
import errno
import json
import os
import pathlib
import platform
import random
import re
import sqlite3
import struct
import subprocess
import sys
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor

GLIA = KILL_AT = None
SKIP, KILLED = 77, 137
TEXT = pathlib.Path(__file__).resolve().parents[2] / "docs" / "performance.md"
GRAPHS = pathlib.Path(__file__).resolve().parents[1] / "golden" / "data"

SHORT = ["train", "perceptron", "--data", "strokes?n=60", "--epochs", "2", "--batch", "20", "--tensorboard",
         "--checkpoint-every", "2", "--metrics", "f1", "--threads", "1", "--quiet"]
RANDOM = {
    "steps": ["train", "perceptron", "--data", "strokes?n=120", "--epochs", "6", "--batch", "16", "--tensorboard",
              "--checkpoint-every", "7", "--metrics", "f1,top5",
              "--augment", "translate(0.1) mixup(0.2)", "--ema", "0.9",
              "--optimizer", "adamw", "--accumulate", "2", "--threads", "1", "--quiet"],
    "epochs": ["train", "perceptron", "--data", "strokes?n=120", "--epochs", "5", "--batch", "16", "--swa", "0.4",
               "--checkpoint-seconds", "0", "--plateau", "1", "--stratified", "--threads", "1", "--quiet"],
    "stopping": ["train", "perceptron", "--data", "strokes?n=120", "--epochs", "30", "--batch", "16", "--lr", "0.5",
                 "--checkpoint-every", "5", "--early-stopping", "1", "--monitor", "val_accuracy", "--tensorboard",
                 "--threads", "1", "--quiet"],
    "gan": ["train", "gan-mlp", "--data", "strokes?n=60", "--epochs", "4", "--batch", "16", "--checkpoint-every", "2",
            "--tensorboard", "--ema", "0.9", "--set", "gan.critic_steps=2", "--set", "gan.shown=4", "--threads", "1",
            "--quiet"],
    "ddpm": ["train", "ddpm", "--data", "strokes?n=14", "--epochs", "2", "--batch", "4", "--checkpoint-every", "2",
             "--set", "ddpm.sampling_steps=2", "--set", "ddpm.shown=1", "--threads", "1", "--quiet"],
    "cyclegan": ["train", "cyclegan", "--data", "strokes?n=6", "--set", "cyclegan.other=strokes?n=8&seed=2", "--epochs",
                 "2", "--batch", "2", "--checkpoint-every", "2", "--set", "cyclegan.buffer=3", "--set",
                 "cyclegan.shown=1", "--threads", "1", "--quiet"],
    "ldm": ["train", "ldm", "--data", "scenes?n=12", "--epochs", "2", "--batch", "2", "--checkpoint-every", "2",
            "--set", "ldm.autoencoder=0.4", "--set", "ldm.sampling_steps=2", "--set", "ldm.shown=1", "--threads", "1",
            "--quiet"],
    "cgan": ["train", "cgan", "--data", "strokes?n=24", "--epochs", "2", "--batch", "8", "--checkpoint-every", "2",
             "--ema", "0.9", "--set", "gan.shown=2", "--threads", "1", "--quiet"],
    "word2vec": ["train", "word2vec", "--data", "%s?lowercase=true" % TEXT, "--epochs", "3", "--checkpoint-every", "1",
                 "--set", "word2vec.size=8", "--tensorboard", "--threads", "1", "--quiet"],
    "stdp": ["train", "snn-stdp", "--data", "strokes?n=24", "--epochs", "2", "--batch", "4", "--checkpoint-every", "2",
             "--set", "stdp.presentation=40", "--set", "stdp.pause=10", "--set", "stdp.rate=100", "--set",
             "stdp.shown=2", "--tensorboard", "--threads", "1", "--quiet"],
    "som": ["train", "som", "--data", "strokes?n=60", "--epochs", "3", "--batch", "10", "--checkpoint-every", "2",
            "--threads", "1", "--quiet"],
    "hopfield": ["train", "hopfield", "--data", "strokes?n=12", "--epochs", "1", "--batch", "2",
                 "--checkpoint-every", "1", "--threads", "1", "--quiet"],
    "nodes": ["train", "gat", "--data", "table:%s/people.csv,%s/friends.csv" % (GRAPHS, GRAPHS), "--epochs", "8",
              "--checkpoint-every", "2", "--threads", "1", "--quiet"],
    "graphs": ["train", "gin", "--data", "gin:%s/rings.txt?fold=0/4" % GRAPHS, "--epochs", "4", "--batch", "5",
               "--checkpoint-every", "2", "--threads", "1", "--quiet"],
    "links": ["train", "vgae", "--data", "table:%s/people.csv,%s/friends.csv" % (GRAPHS, GRAPHS), "--epochs", "8",
              "--checkpoint-every", "3", "--threads", "1", "--quiet"],
    "recommend": ["train", "lightgcn", "--data", "ratings:%s/likes.csv" % GRAPHS, "--epochs", "3", "--batch", "16",
                  "--checkpoint-every", "2", "--threads", "1", "--quiet"],
    "detect": ["train", "detector", "--data", "boxes:%s/squares,%s/squares.csv?test=0" % (GRAPHS, GRAPHS), "--epochs",
               "2", "--batch", "3", "--checkpoint-every", "1", "--augment", "flip translate(0.1)", "--set",
               "detect.shown=1", "--threads", "1", "--quiet"],
    "node2vec": ["train", "node2vec", "--data", "table:%s/people.csv,%s/friends.csv" % (GRAPHS, GRAPHS), "--epochs",
                 "2", "--checkpoint-every", "1", "--set", "node2vec.size=16", "--threads", "1", "--quiet"],
    "vae": ["train", "cvae", "--data", "strokes?n=60", "--epochs", "3", "--batch", "16", "--checkpoint-every", "2",
            "--tensorboard", "--ema", "0.9", "--set", "vae.shown=4", "--threads", "1", "--quiet"],
    "dqn": ["train", "dqn", "--env", "cartpole", "--copies", "2", "--epochs", "2", "--batch", "8", "--checkpoint-every",
            "4", "--set", "dqn.steps=40", "--set", "dqn.learning_starts=10", "--set", "dqn.capacity=24", "--set",
            "dqn.prioritized=true", "--set", "dqn.n_step=3", "--set", "dqn.noisy=true", "--set", "dqn.eval_episodes=2",
            "--threads", "1", "--quiet"],
    "neat": ["train", "neat", "--env", "cartpole", "--epochs", "2", "--checkpoint-every", "2", "--set",
             "neat.generations=3", "--set", "neat.population=8", "--set", "neat.episodes=1", "--set",
             "neat.eval_episodes=1", "--set", "neat.enough=1e9", "--threads", "1", "--quiet"],
    "ndp": ["train", "ndp", "--env", "cartpole", "--epochs", "2", "--checkpoint-every", "2", "--set",
            "ndp.generations=3", "--set", "ndp.population=8", "--set", "ndp.episodes=1", "--set",
            "ndp.eval_episodes=1", "--set", "ndp.enough=1e9", "--threads", "1", "--quiet"],
    "lndp": ["train", "lndp", "--env", "foraging", "--epochs", "2", "--checkpoint-every", "2", "--set",
             "lndp.generations=3", "--set", "lndp.population=8", "--set", "lndp.episodes=1", "--set",
             "lndp.eval_episodes=2", "--set", "lndp.nodes=8", "--set", "lndp.development=3", "--threads", "1",
             "--quiet"],
    "ppo": ["train", "ppo", "--env", "pendulum", "--epochs", "2", "--batch", "8", "--checkpoint-every", "2", "--set",
            "ppo.steps=80", "--set", "ppo.rollout=20", "--set", "ppo.passes=2", "--set", "ppo.eval_episodes=2",
            "--threads", "1", "--quiet"],
}


# ---- files of a run ---------------------------------------------------------------------------

def table(path):
    rows = list(csv.DictReader(path.read_text().splitlines()))
    return [{name: value for name, value in row.items() if not (name or "").startswith(("seconds", "samples_per"))}
            for row in rows], path.read_bytes()[-1:]


def without_times(value):
    if isinstance(value, dict):
        return {key: without_times(item) for key, item in value.items() if key not in ("seconds", "started", "id")}
    return [without_times(item) for item in value] if isinstance(value, list) else value


def page(path):
    """The report without times and speeds."""
    text = re.sub(r"\d\d\d\d-\d\d-\d\d \d\d:\d\d", "DATE", path.read_text())
    text = re.sub(r"<div class=tile><b>[^<]*</b><span>of training, [^<]*</span></div>", "SPEED", text)
    return re.sub(r"<tr><td>time<td>[^<]*", "TIME", text)


def records(path):
    """The events of a TensorBoard file, without the time at the start of each."""
    content, events = path.read_bytes(), []
    while content:
        length, = struct.unpack("<Q", content[:8])
        event = content[12:12 + length]
        if len(event) < length or len(content) < length + 16 or event[0] != 9:
            raise ValueError("%s: the record after %d others is torn" % (path, len(events)))
        events.append(event[9:])
        content = content[16 + length:]
    return events


def look(path):
    if path.name.startswith("events.out.tfevents"):
        return records(path)
    if path.suffix == ".json":
        return without_times(json.loads(path.read_text()))
    if path.suffix == ".csv":
        return table(path)
    return page(path) if path.suffix == ".html" else path.read_bytes()


def files(run):
    found = {}
    for path in sorted(path for path in run.rglob("*") if path.is_file()):
        name = str(path.relative_to(run))
        if "events.out.tfevents" in name:  # the name contains time and process id
            name = str(path.parent.relative_to(run) /
                       ("events %d" % sum(str(path.parent.name) in key for key in found)))
        found[name] = look(path)
    return found


def rounded(row):
    """Rounds reals to f32, as in run.json, from which the history may have been rebuilt."""
    return tuple(struct.unpack("f", struct.pack("f", value))[0] if isinstance(value, float) else value for value in row)


def history(folder):
    """The rows of the history of runs."""
    if not (folder / "runs/glia.db").is_file():
        return "none"
    database = sqlite3.connect(folder / "runs/glia.db")
    try:
        runs = database.execute("SELECT id, folder, model, data, status, settings FROM runs ORDER BY id").fetchall()
        epochs = database.execute("SELECT * FROM epochs WHERE name <> 'seconds' ORDER BY run, epoch, name")
        figures = database.execute("SELECT * FROM figures ORDER BY run, name")
        return ([(*row[:-1], json.loads(row[-1])) for row in runs], [*map(rounded, epochs)], [*map(rounded, figures)])
    except sqlite3.OperationalError:  # no tables
        return "none"
    finally:
        database.close()


def everything(folder):
    return {**files(folder / "run"), "history": history(folder)}


def differences(whole, broken):
    """Lists the files that differ, with the first difference of each."""
    found = ["%s is only in the %s run" % (name, "whole" if name in whole else "broken")
             for name in sorted(whole.keys() ^ broken.keys())]
    for name in sorted(whole.keys() & broken.keys()):
        if whole[name] != broken[name]:
            a, b = repr(whole[name]), repr(broken[name])
            at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
            found.append("%s differs: %s | %s" % (name, a[max(0, at - 60):at + 60], b[max(0, at - 60):at + 60]))
    return found


# ---- killed runs --------------------------------------------------------------------------------

def attempt(folder, train, n, torn=False):
    """Starts or resumes the run and kills it at call n (0: never). Returns (exit status, calls, messages)."""
    begun = (folder / "run/config.json").is_file()
    words = ["train", "--resume", "run", "--quiet"] if begun else [*train, "--out", "run"]
    done = subprocess.run([KILL_AT, *(["--torn"] if torn else []), str(n), GLIA, *words], cwd=folder, text=True,
                          capture_output=True, timeout=600)
    return done.returncode, int((done.stdout.splitlines() or ["0"])[-1]) if done.stdout else 0, done.stderr


def finish(folder, train):
    """Runs to the end without kills; returns the messages if that failed."""
    code, _, said = attempt(folder, train, 0)
    return [] if code == 0 or "is finished" in said else ["exit status %d: %s" % (code, said)]


def broken_run(train, kills, whole):
    """A run with kills at these (n, torn). Returns the differences from the whole run and the number of kills."""
    with tempfile.TemporaryDirectory() as name:
        folder, killed = pathlib.Path(name), 0
        for n, torn in kills:
            code, _, said = attempt(folder, train, n, torn)
            if code not in (0, KILLED) and "is finished" not in said:
                return ["exit status %d: %s" % (code, said)], killed
            killed += code == KILLED
        wrong = finish(folder, train)
        return wrong or differences(whole, everything(folder)), killed


def whole_run(train):
    """An uninterrupted run: its files and its number of calls."""
    with tempfile.TemporaryDirectory() as name:
        code, calls, said = attempt(pathlib.Path(name), train, 0)
        if code == SKIP:
            raise unittest.SkipTest("processes cannot be traced here")
        if code:
            raise AssertionError("exit status %d: %s" % (code, said))
        return everything(pathlib.Path(name)), calls


def random_kills(kills, seed):
    """Random kills, one to three per run. Returns (runs, kills, differences)."""
    draw, plans = random.Random(seed), []
    wholes = {name: whole_run(train) for name, train in RANDOM.items()}
    while sum(len(plan) for _, plan in plans) < kills:
        name = draw.choice(sorted(wholes))
        plans.append((name, [(draw.randint(1, wholes[name][1]), draw.random() < 0.4)
                             for _ in range(draw.randint(1, 3))]))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda p: broken_run(RANDOM[p[0]], p[1], wholes[p[0]][0]), plans))
    wrong = ["%s %s: %s" % (*plan, "; ".join(found)) for plan, (found, _) in zip(plans, results) if found]
    return len(plans), sum(killed for _, killed in results), wrong


def full_disk(train, n, count, whole):
    """A run in which calls n to n + count - 1 find the disk full. Returns the errors and the differences in files."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        done = subprocess.run([KILL_AT, "--fail=%d:%d" % (errno.ENOSPC, count), str(n), GLIA, *train, "--out", "run"],
                              cwd=folder, text=True, capture_output=True, timeout=600)
        left = ["%s is left" % path.name for path in folder.rglob("*.tmp")]
        if done.returncode not in (0, 1) or (done.returncode and "No space left" not in done.stderr):
            return ["exit status %d: %s" % (done.returncode, done.stderr)]
        if done.returncode:  # when there is space again
            return left + (finish(folder, train) or differences(whole, everything(folder)))
        found = differences(whole, everything(folder))
        bad = [line for line in found if line.startswith(("curves", "steps", "model", "run.json", "report"))]
        return left + bad + (["silence: %s" % found] if found and not done.stderr else [])


class Kill(unittest.TestCase):
    def setUp(self):
        try:
            sqlite3.connect(":memory:").close()
        except sqlite3.Error:
            self.skipTest("no SQLite")

    def test_at_every_write(self):
        whole, calls = whole_run(SHORT)
        self.assertGreater(calls, 80)
        plans = [(n, torn) for n in range(1, calls + 1) for torn in (False, True) if torn == (n % 3 == 0)]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            results = list(pool.map(lambda plan: broken_run(SHORT, [plan], whole), plans))
        for plan, (found, killed) in zip(plans, results):
            self.assertEqual((killed, found), (1, []), "killed at call %d%s" % (plan[0], ", half written" * plan[1]))

    @unittest.skipUnless(platform.machine() == "x86_64", "calls are made to fail on x86-64 only")
    def test_a_full_disk(self):
        """Training continues without a checkpoint; --resume writes the missing files."""
        whole, calls = whole_run(SHORT)
        plans = [(n, 1) for n in range(1, calls - 12, 6)] + [(n, 9) for n in range(4, calls, 6)]
        plans += [(n, 1 << 30) for n in range(2, calls, 12)]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            results = list(pool.map(lambda plan: full_disk(SHORT, *plan, whole), plans))
        for plan, found in zip(plans, results):
            self.assertEqual(found, [], "%d calls from %d on failed" % plan[::-1])

    def test_at_random_writes(self):
        runs, kills, wrong = random_kills(40, 7)
        self.assertGreater(kills, runs // 2)
        self.assertEqual(wrong, [])


def main():
    if "--kills" not in sys.argv:
        return unittest.main()
    words = sys.argv[1:]
    seed = int(words[words.index("--seed") + 1]) if "--seed" in words else random.randrange(1 << 30)
    planned = int(words[words.index("--kills") + 1])
    print("seed %d" % seed, flush=True)
    runs, kills, wrong, began = 0, 0, [], seed
    while kills < planned:  # a resumed run makes fewer calls, so some planned kills are never reached
        more = random_kills(max(planned - kills, 20), began)
        runs, kills, wrong, began = runs + more[0], kills + more[1], wrong + more[2], began + 1
    for line in wrong[:20]:
        print(line)
    print("%d kills in %d runs, %d runs differ" % (kills, runs, len(wrong)))
    return sys.exit(bool(wrong))


if __name__ == "__main__":
    GLIA, KILL_AT = os.path.abspath(sys.argv.pop(1)), os.path.abspath(sys.argv.pop(1))
    main()
