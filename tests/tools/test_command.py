"""The glia command from outside: exit codes, hints, JSON, a run's files, Ctrl-C. Usage: test_command.py PATH-TO-GLIA"""
import csv
import fcntl
import html
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest
import xml.etree.ElementTree
import zlib

GLIA = None
DATA = "strokes?n=400"
TRAIN = ["train", "perceptron", "--data", DATA, "--epochs", "2"]


def glia(*arguments, folder=None):
    return subprocess.run([GLIA, *map(str, arguments)], cwd=folder, capture_output=True, text=True, timeout=600)


def tensors(path):
    """The bytes of each tensor of a safetensors file."""
    content = path.read_bytes()
    length, = struct.unpack("<Q", content[:8])
    header = json.loads(content[8:8 + length])
    header.pop("__metadata__", None)
    return {name: content[8 + length:][slice(*about["data_offsets"])] for name, about in header.items()}


def png(width, height, rows):
    """A grey picture; rows: each with a 0 before its pixels."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


class Folder(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self.temporary.cleanup)
        self.folder = pathlib.Path(self.temporary.name)

    def glia(self, *arguments, code=0):
        done = glia(*arguments, folder=self.folder)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def refused(self, *arguments, code=2, says=""):
        """One line on stderr that begins with "glia: " and says so, nothing on stdout."""
        done = self.glia(*arguments, code=code)
        self.assertTrue(done.stderr.startswith("glia: "), done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertIn(says, done.stderr)
        return done


class Usage(Folder):
    def test_nothing_is_a_mistake_but_help_is_not(self):
        self.assertIn("usage: glia", self.glia(code=2).stdout)
        self.assertIn("usage: glia", self.glia("help").stdout)
        self.assertIn("usage: glia", self.glia("--help").stdout)
        self.assertRegex(self.glia("--version").stdout, r"^glia \d+\.\d+\.\d+\n")

    def test_every_command_has_help(self):
        listed = re.findall(r"^  ([\w-]+) +\w", self.glia("help").stdout.split("`glia help")[0], re.MULTILINE)
        self.assertGreaterEqual(len(listed), 9)
        for command in listed:
            with self.subTest(command):
                by_name = self.glia("help", command).stdout
                self.assertIn("usage: glia " + command, by_name)
                self.assertEqual(by_name, self.glia(command, "--help").stdout)

    def test_hints(self):
        for arguments, hint in [
            (["trian"], "did you mean `glia train`?"),
            (["xyzzy"], "`glia help` lists them"),
            (["train", "lenet"], "did you mean lenet5?"),
            (["train", "keras-cmn"], "did you mean keras-cnn?"),
            (["train", "xyzzy"], "`glia models` lists them"),
            (["train", "mlp", "--epocs", "3"], "did you mean --epochs?"),
            (["train", "mlp", "--no-normalise"], "did you mean --no-normalize?"),
            (["train", "mlp", "--xyzzy"], "`glia help train` lists them"),
            (["train", "mlp", "-e", "3"], "`glia help train` lists them"),
            (["train", "mlp", "--optimizer", "adamm", "--data", DATA], "did you mean adam"),
            (["train", "mlp", "--schedule", "cosin", "--data", DATA], "did you mean cosine?"),
            (["train", "dnn"], "wants --data"),
            (["summary", "lenet6"], "did you mean lenet5?"),
            (["eval", "lenet5"], "not trained yet"),
        ]:
            with self.subTest(arguments):
                self.refused(*arguments, says=hint)

    def test_values(self):
        for arguments, hint in [
            (["--epochs"], "wants a value"),
            (["--epochs", "three"], "whole number"),
            (["--epochs", "3x"], "whole number"),
            (["--epochs", "99999999999999999999"], "whole number"),
            (["--epochs=0"], "at least 1"),
            (["--lr", "fast"], "a number"),
            (["--lr", "nan"], "a number"),
            (["--momentum", "2"], "between 0 and 1"),
            (["--no-validation=yes"], "takes no value"),
            (["--log", "json", "--quiet"], "exclude each other"),
            (["--log", "jsn"], "bar, lines, json or quiet"),
            (["--augment", "crop(pda=4)"], "pda"),
            (["--groups", "*bias(wieght-decay=0)"], "did you mean weight-decay?"),
            (["--class-weights", "1,2"], "10 numbers"),
            (["--metrics", "f1", "--no-validation"], "validation data"),
            (["--set", "optimizer.rl=1"], "did you mean optimizer.lr?"),
            (["--set", "lr=1"], "did you mean optimizer.lr?"),
            (["--set", "optimizer.lr"], "NAME=VALUE"),
            (["--set", "training.epochs=0"], "at least 1"),
            (["--loss", "msee"], "did you mean mse?"),
            (["--validation-split", "400"], "leaves nothing"),
            (["mlp"], "takes no argument"),
        ]:
            with self.subTest(arguments):
                self.refused("train", "perceptron", "--data", DATA, *arguments, says=hint)
        self.refused("train", says="wants the name of a model")

    def test_data_that_is_not_there(self):
        self.refused("train", "mlp", "--data", "strokse", code=1, says="strokes")
        self.refused("train", "mlp", "--data", "idx:nothing,here", code=1, says="nothing")
        self.refused("train", "cifar-net", "--data", DATA, "--epochs", "1", "--from", "none.safetensors", code=1)
        self.refused("eval", "no-such-run", code=1, says="no-such-run")
        self.refused("predict", "no-such-run", "x.png", code=1, says="no-such-run")

    def test_a_folder_that_cannot_be_made(self):
        (self.folder / "file").write_text("")
        self.refused(*TRAIN, "--out", "file", code=1, says="file")
        self.refused(*TRAIN, "--out", "file/run", code=1, says="file/run")

    def test_lists(self):
        models = self.glia("models").stdout
        self.assertRegex(models, r"keras-cnn +1x28x28 +93,322")
        self.assertRegex(models, r"cifar-net +3x32x32 +62,006")
        self.assertRegex(models, r"lenet5 +1x28x28 +61,706")
        self.assertIn("strokes", self.glia("data").stdout)
        self.assertIn("93,322", self.glia("summary", "keras-cnn").stdout)


class Runs(Folder):
    def test_train_eval_predict(self):
        done = self.glia(*TRAIN, "--out", "run")
        self.assertEqual(done.stdout.count("epoch "), 2)
        self.assertNotIn("\x1b", done.stdout)
        self.assertEqual(sorted(path.name for path in (self.folder / "run").iterdir()),
                         ["best.safetensors", "config.json", "curves.csv", "model.safetensors", "report.html",
                          "run.json", "steps.csv"])

        run = json.loads((self.folder / "run/run.json").read_text())
        self.assertEqual((run["model"], run["data"], run["parameters"]), ("perceptron", DATA, 7850))
        self.assertEqual((len(run["epochs"]), run["state"]), (2, "done"))
        steps = list(csv.DictReader((self.folder / "run/steps.csv").read_text().splitlines()))
        self.assertEqual([int(row["step"]) for row in steps], list(range(1, run["steps"] + 1)))
        rows = list(csv.DictReader((self.folder / "run/curves.csv").read_text().splitlines()))
        self.assertEqual([row["epoch"] for row in rows], ["1", "2"])
        self.assertLess(float(rows[1]["loss"]), float(rows[0]["loss"]))
        report = (self.folder / "run/report.html").read_text()
        self.assertIn("<svg", report)
        self.assertIn("data:image/png;base64,", report)
        self.assertNotRegex(report, r"https?://|<script")

        measured = json.loads(self.glia("eval", "run", "--json").stdout)
        self.assertAlmostEqual(measured["accuracy"], run["test"]["accuracy"], places=9)
        self.assertEqual(sum(map(sum, measured["confusion"])), measured["samples"])
        hits = sum(measured["confusion"][i][i] for i in range(10))
        self.assertAlmostEqual(hits / measured["samples"], measured["accuracy"], places=6)
        self.assertIn("truth", self.glia("eval", "run/model.safetensors").stdout)

        told = json.loads(self.glia("predict", "run", "strokes#3", "--json", "--top", 10).stdout)
        shares = [answer["probability"] for answer in told["classes"]]
        self.assertEqual(len(shares), 10)
        self.assertAlmostEqual(sum(shares), 1, places=5)
        self.assertEqual(shares, sorted(shares, reverse=True))
        self.assertIn("truth: " + told["truth"], self.glia("predict", "run", "strokes#3").stdout)
        self.refused("predict", "run", "strokes#99999999", code=1)
        self.refused("predict", "run", "nothing.png", code=1, says="nothing.png")
        self.assertIn("7,850", self.glia("summary", "run").stdout)

    def test_json_is_all_there_is(self):
        done = self.glia(*TRAIN, "--log", "json", "--out", "run")
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([line.get("epoch") for line in lines], [1, 2, None])
        self.assertEqual(lines[-1]["run"], "run")
        self.assertGreater(lines[-1]["test"]["accuracy"], 0.3)
        self.assertEqual(done.stderr, "")

    def test_quiet_is_quiet(self):
        done = self.glia(*TRAIN, "--quiet")
        self.assertEqual(done.stdout + done.stderr, "")
        self.glia(*TRAIN, "--quiet")
        self.assertEqual(sum(f.is_dir() for f in (self.folder / "runs").iterdir()), 2)

    def test_same_seed_same_bits_on_any_number_of_threads(self):
        for threads in 1, 2, 3:
            self.glia("train", "mlp", "--data", DATA, "--max-steps", 5, "--threads", threads, "--workers", threads,
                      "--quiet", "--out", "threads%d" % threads)
        files = [(self.folder / ("threads%d" % n) / "model.safetensors").read_bytes() for n in (1, 2, 3)]
        self.assertTrue(files[0] == files[1] == files[2])
        self.glia("train", "mlp", "--data", DATA, "--max-steps", 5, "--seed", 1, "--quiet", "--out", "other")
        self.assertNotEqual(files[0], (self.folder / "other/model.safetensors").read_bytes())

    def test_from_and_freeze(self):
        self.glia(*TRAIN, "--quiet", "--out", "first")
        self.glia(*TRAIN, "--quiet", "--out", "second", "--from", "first", "--freeze", "*kernel")
        first, second = (tensors(self.folder / run / "model.safetensors") for run in ("first", "second"))
        self.assertEqual(first["units/kernel"], second["units/kernel"])
        self.assertNotEqual(first["units/bias"], second["units/bias"])
        self.refused(*TRAIN, "--freeze", "conv*", code=1, says="matches no parameter")

    def test_a_table(self):
        rows = ["a,b,kind"] + ["%d,%d,%s" % (i % 17, i % 5, "low" if i % 17 < 8 else "high") for i in range(300)]
        (self.folder / "table.csv").write_text("\n".join(rows) + "\n")
        self.glia("train", "dnn", "--data", "csv:table.csv?label=kind", "--epochs", 30, "--lr", 0.01, "--quiet",
                  "--out", "run")
        run = json.loads((self.folder / "run/run.json").read_text())
        self.assertEqual(run["test"]["samples"], 60)
        self.assertGreater(run["test"]["accuracy"], 0.95)
        told = json.loads(self.glia("predict", "run", "csv:table.csv?label=kind#3", "--json").stdout)
        self.assertEqual((told["truth"], told["classes"][0]["class"]), ("low", "low"))

    def test_pictures_of_ink_on_paper(self):
        self.glia("train", "mlp", "--data", "strokes?n=2000", "--epochs", 3, "--quiet", "--out", "run")
        side, rows = 96, []
        for y in range(side):  # a black upright bar on white paper, off the middle
            rows.append(b"\0" + bytes(0 if 60 <= x < 68 and 12 <= y < 80 else 255 for x in range(side)))
        (self.folder / "one.png").write_bytes(png(side, side, b"".join(rows)))
        done = glia("predict", "run", "one.png", folder=self.folder)
        if done.returncode and "libpng" in done.stderr:
            self.skipTest("built without libpng")
        self.assertIn("inverted", done.stdout)
        told = json.loads(self.glia("predict", "run", "one.png", "--json").stdout)
        self.assertEqual(told["classes"][0]["class"], "1")

    def test_a_sheet_of_augmented_samples(self):
        told = self.glia("data", DATA, "--sheet", "sheet.png", "--samples", 3, "--augment", "rotate(20) mixup").stdout
        self.assertIn("3 samples drawn into sheet.png, each in 11 forms", told)
        width, height = struct.unpack(">II", (self.folder / "sheet.png").read_bytes()[16:24])
        self.assertEqual((width, height), (2 + 12 * (2 * 28 + 2), 2 + 3 * (2 * 28 + 2)))
        self.refused("data", DATA, "--augment", "flip", says="--sheet")
        self.refused("data", DATA, "--sheet", "x.png", "--augment", "flop", code=1, says="did you mean flip?")

    def test_a_sheet_is_a_png_that_others_can_read(self):
        self.glia("data", DATA, "--sheet", "sheet.png", "--samples", 8)
        png = (self.folder / "sheet.png").read_bytes()
        self.assertEqual(png[:8], b"\x89PNG\r\n\x1a\n")
        at, pixels, size = 8, b"", None
        while at < len(png):
            length, = struct.unpack(">I", png[at:at + 4])
            body = png[at + 4:at + 8 + length]
            self.assertEqual(struct.unpack(">I", png[at + 8 + length:at + 12 + length])[0], zlib.crc32(body))
            if body[:4] == b"IHDR":
                size = struct.unpack(">II", body[4:12])
            if body[:4] == b"IDAT":
                pixels += body[4:]
            at += 12 + length
        self.assertEqual(len(zlib.decompress(pixels)), size[1] * (size[0] + 1))


class Pages(Folder):
    """The report and drawings, in a browser."""
    LOOK = """<pre id=seen></pre><script>
        const shown = [...document.querySelectorAll('svg')].flatMap(svg => {
            const boxes = [...svg.querySelectorAll('text')].map(t => [t.textContent, t.getBoundingClientRect()]);
            return boxes.flatMap(([a, p], i) => boxes.slice(i + 1).filter(([b, q]) => p.width && q.width &&
                p.left < q.right - 1 && q.left < p.right - 1 && p.top < q.bottom - 3 && q.top < p.bottom - 3)
                .map(([b, q]) => a + ' over ' + b));
        });
        const root = document.documentElement, style = getComputedStyle(document.body);
        const wide = [...document.querySelectorAll('main *')].filter(e => !e.closest('.scroll,pre') &&
            e.getBoundingClientRect().right > innerWidth + 1).map(e => e.tagName + '.' + e.className);
        document.getElementById('seen').textContent = JSON.stringify({ overlaps: shown, wide: wide,
            paper: style.backgroundColor, ink: style.color, charts: document.querySelectorAll('figure svg').length,
            pictures: [...document.images].filter(i => i.complete && i.naturalWidth > 0).length,
            images: document.images.length, boxes: document.querySelectorAll('.network .box').length,
            loaded: performance.getEntriesByType('resource').filter(r => !r.name.startsWith('data:')).length });
        </script>"""

    def setUp(self):
        super().setUp()
        self.browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

    def look(self, page, width, dark):
        """What a browser makes of the page; skips the test where there is none."""
        if not self.browser:
            self.skipTest("there is no chromium here")
        copy = self.folder / "look.html"
        copy.write_text(page + self.LOOK)
        scheme = ["--blink-settings=preferredColorScheme=%d" % (0 if dark else 1)]
        done = subprocess.run([self.browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                               "--user-data-dir=" + str(self.folder / "profile"), "--window-size=%d,4000" % width,
                               "--dump-dom", *scheme, copy.as_uri()], capture_output=True, text=True, timeout=300)
        found = re.search("<pre id=\"seen\">(.*?)</pre>", done.stdout, re.DOTALL)
        if not found:
            self.skipTest("chromium does not start here: " + done.stderr[-200:])
        return json.loads(html.unescape(found.group(1)))

    def test_a_report_reads_well(self):
        self.glia("train", "lenet5", "--data", "strokes?n=600", "--epochs", 3, "--metrics", "f1,top5", "--quiet", "--out",
                  "run")
        page = (self.folder / "run/report.html").read_text()
        self.assertNotRegex(page, r"https?://(?!www.w3.org)|<script|@import|url\(")
        for words in ["Learning rate", "f1", "Confusion", "Worst mistakes", "Network", "optimizer.lr", "machine"]:
            self.assertIn(words, page)
        for dark in False, True:
            for width in 500, 800, 1400:
                with self.subTest(width=width, dark=dark):
                    seen = self.look(page, width, dark)
                    self.assertEqual((seen["overlaps"], seen["wide"], seen["loaded"]), ([], [], 0))
                    self.assertEqual((seen["charts"], seen["boxes"]), (5, 9))
                    self.assertEqual(seen["pictures"], seen["images"])
                    paper, ink = (sum(map(int, re.findall(r"\d+", seen[name])[:3])) for name in ("paper", "ink"))
                    self.assertEqual(paper < ink, dark)

    def test_every_model_can_be_drawn(self):
        models = re.findall(r"^([\w-]+) +\d", self.glia("models").stdout, re.MULTILINE)
        self.assertGreater(len(models), 8)
        for model in models:
            with self.subTest(model):
                self.glia("plot", model, "-o", "net.svg")
                tree = xml.etree.ElementTree.parse(self.folder / "net.svg").getroot()
                self.assertEqual(tree.tag, "{http://www.w3.org/2000/svg}svg")
                words = " ".join(tree.itertext())
                listed = re.search(r"Parameters +([\d,]+)", self.glia("summary", model).stdout).group(1)
                drawn = sum(int(n.replace(",", "")) for n in re.findall(r"([\d,]+) parameters", words))
                self.assertEqual(drawn, int(listed.replace(",", "")))
        self.assertIn("skip", (self.folder / "net.svg").read_text())  # of the last one, a residual net
        seen = self.look("<style>body{background:#fff;color:#000}</style>" + (self.folder / "net.svg").read_text(), 800,
                         False)
        self.assertEqual(seen["overlaps"], [])
        self.glia("train", "perceptron", "--data", DATA, "--epochs", 1, "--quiet", "--out", "run")
        self.assertIn("7,850", self.glia("plot", "run").stdout)
        self.refused("plot", "lenet6", says="did you mean lenet5?")

    def test_a_learning_rate_is_found(self):
        done = self.glia("lr-find", "mlp", "--data", "strokes?n=1000", "-o", "lr.svg")
        suggested = float(re.search("--lr ([0-9.e-]+);", done.stdout).group(1))
        told = json.loads(self.glia("lr-find", "mlp", "--data", "strokes?n=1000", "--json").stdout)
        self.assertAlmostEqual(told["suggested"] / suggested, 1, places=1)
        rates = [point["lr"] for point in told["points"]]
        self.assertEqual(rates, sorted(rates))
        self.assertAlmostEqual(rates[0], 1e-6)
        best = min(told["points"], key=lambda point: point["smooth"])
        self.assertTrue(rates[0] < told["suggested"] < best["lr"])
        xml.etree.ElementTree.parse(self.folder / "lr.svg")
        self.refused("lr-find", "mlp", "--from", 1, "--to", 0.1, says="not below")
        self.refused("lr-find", "mlp", "--epochs", 3, says="no option --epochs")
        self.refused("lr-find", says="wants the name")


class Documentation(Folder):
    def test_the_page_on_training(self):
        """Its commands, in their order, by a shell that finds this `glia`."""
        page = (pathlib.Path(__file__).resolve().parents[2] / "docs/training.md").read_text()
        commands = re.findall(r"^    (.+)$", page, re.MULTILINE)
        self.assertGreater(len(commands), 12)
        (self.folder / "bin").mkdir()
        (self.folder / "bin/glia").symlink_to(GLIA)
        environment = dict(os.environ, PATH="%s:%s" % (self.folder / "bin", os.environ["PATH"]))
        for command in commands:
            with self.subTest(command):
                done = subprocess.run(["sh", "-c", command], cwd=self.folder, env=environment, capture_output=True,
                                      text=True, timeout=600)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertTrue((self.folder / "watched/tensorboard/validation").is_dir())


class Configurations(Folder):
    MUCH = ["train", "mlp", "--data", "strokes?n=300", "--epochs", "3", "--optimizer", "adamw", "--lr", "0.003",
            "--schedule", "one-cycle(rise=0.2)", "--augment", "translate(0.1) rotate(10) mixup(0.2)", "--stratified",
            "--label-smoothing", "0.1", "--groups", "*bias(weight-decay=0)", "--clip-norm", "1", "--accumulate", "2",
            "--ema", "0.9", "--metrics", "f1,top5", "--early-stopping", "5", "--class-weights", "balanced", "--quiet"]

    def bytes(self, run, name="model.safetensors"):
        return (self.folder / run / name).read_bytes()

    def test_a_run_runs_again_exactly(self):
        self.glia(*self.MUCH, "--out", "first")
        self.glia("train", "--config", "first/config.json", "--quiet", "--out", "second")
        self.glia("train", "--config", "first", "--quiet", "--threads", 1, "--workers", 3, "--out", "third")
        for run in "second", "third":
            self.assertEqual(self.bytes("first"), self.bytes(run))
            self.assertEqual(self.bytes("first", "best.safetensors"), self.bytes(run, "best.safetensors"))
        first, second = (json.loads(self.bytes(run, "config.json")) for run in ("first", "second"))
        for config in first, second:
            config.pop("about")
        self.assertEqual(first, second)

    def test_settings_by_their_names(self):
        self.glia(*self.MUCH, "--out", "first")
        self.glia("train", "--config", "first", "--set", "optimizer.lr=0.001", "--set", "data.augment=null", "--epochs",
                  1, "--no-stratified", "--quiet", "--out", "second")
        config = json.loads(self.bytes("second", "config.json"))
        self.assertEqual((config["optimizer"]["lr"], config["data"]["augment"]), (0.001, None))
        self.assertEqual((config["training"]["epochs"], config["data"]["stratified"]), (1, False))
        self.assertEqual(config["optimizer"]["kind"], "adamw")
        self.assertEqual(config["training"]["label_smoothing"], 0.1)

    def test_what_is_wrong_in_a_configuration(self):
        for content, code, says in [
            ("{\"model\": \"mlp\"", 1, "line 1: a comma or }"),
            ("{\n\"model\": mlp}", 1, "line 2: a value"),
            ("{} {}", 1, "something follows"),
            ("{\"model\": \"mlp\", \"optimizer\": {\"ler\": 1}}", 2, "did you mean optimizer.lr?"),
            ("{\"model\": \"mlp\", \"optimizer\": {\"lr\": \"1\"}}", 2, "without quotes"),
            ("{\"model\": \"mlp\", \"training\": {\"epochs\": 0.5}}", 2, "whole number"),
            ("{\"model\": \"mlp\", \"training\": {\"epochs\": -3}}", 2, "at least 1"),
            ("{}", 2, "names no model"),
        ]:
            with self.subTest(content):
                (self.folder / "run.json").write_text(content)
                self.refused("train", "--config", "run.json", code=code, says=says)
        self.refused("train", "--config", "nothing.json", code=1, says="nothing.json")

    def test_a_killed_run_goes_on(self):
        much = [*self.MUCH, "--set", "training.epochs=40", "--tensorboard", "--checkpoint-every", "7"]
        self.glia(*much, "--out", "whole")
        kills = 0
        for delay in (0.02, 0.05, 0.08, 0.12, 0.17, 0.25):
            process = subprocess.Popen([GLIA, *much, "--out", "broken"], cwd=self.folder)
            time.sleep(delay)
            process.kill()
            process.wait(timeout=300)
            if not (self.folder / "broken/config.json").is_file():
                continue
            if (self.folder / "broken/report.html").is_file():
                break  # it was faster
            kills += 1
            if (self.folder / "broken/run.json").is_file():  # it follows config.json, which is enough to go on
                self.assertEqual(json.loads(self.bytes("broken", "run.json"))["state"], "running")
            self.glia("train", "--resume", "broken", "--quiet")
            for name in "model.safetensors", "best.safetensors":
                self.assertEqual(self.bytes("whole", name), self.bytes("broken", name))
            for name, last in ("curves.csv", 3), ("steps.csv", 1):  # columns of time may differ
                whole, broken = ([line.rsplit(",", last)[0] for line in self.bytes(run, name).decode().splitlines()]
                                 for run in ("whole", "broken"))
                self.assertEqual(whole, broken)
            self.assertFalse((self.folder / "broken/checkpoint.safetensors").exists())
            self.refused("train", "--resume", "broken", code=1, says="is finished")
        self.assertGreater(kills, 0)

    def test_everything_else_is_taken(self):
        for more in [["--swa", "0.5"], ["--plateau", "1", "--plateau-factor", "0.5"], ["--balanced"],
                     ["--optimizer", "lion"], ["--optimizer", "lamb", "--max-norm", "3", "--l1", "1e-5"],
                     ["--max-steps", "3", "--no-checkpoint"], ["--no-validation", "--warmup", "4"],
                     ["--optimizer", "adam", "--amsgrad", "--beta1", "0.8", "--clip-value", "0.1"],
                     ["--class-weights", "1,1,1,1,1,2,1,1,1,1", "--monitor", "val_accuracy"]]:
            with self.subTest(more):
                self.glia(*TRAIN, *more, "--quiet", "--out", "run")
                self.assertTrue(self.bytes("run"))


class Interrupt(Folder):
    LONG = ["train", "perceptron", "--data", DATA, "--epochs", "1000000", "--out", "run"]

    def check_saved(self):
        run = json.loads((self.folder / "run/run.json").read_text())
        self.assertEqual((run["interrupted"], run["state"]), (True, "interrupted"))
        self.assertTrue((self.folder / "run/checkpoint.safetensors").is_file())
        json.loads(self.glia("eval", "run", "--json").stdout)

    def test_ctrl_c_keeps_what_there_is(self):
        process = subprocess.Popen([GLIA, *self.LONG], cwd=self.folder, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        while not process.stdout.readline().startswith("epoch"):
            pass
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=300)
        self.assertEqual(process.returncode, 1)
        self.assertIn("interrupted in epoch", complaint)
        self.assertIn("run", complaint)
        self.check_saved()

    def on_a_terminal(self, arguments, columns, until=None):
        """Runs the command on a terminal of so many columns; interrupts it after `until` is seen thrice. (code, bytes)"""
        try:
            leader, follower = pty.openpty()
        except OSError as error: # a container without /dev/pts
            self.skipTest(f"no pseudo-terminal here: {error}")
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        environment = dict(os.environ, TERM="xterm", LC_ALL="C.UTF-8")
        environment.pop("NO_COLOR", None)
        process = subprocess.Popen([GLIA, *arguments], cwd=self.folder, stdout=follower, stderr=follower,
                                   stdin=follower, env=environment)
        os.close(follower)
        seen = b""
        try:
            while select.select([leader], [], [], 300)[0]:
                more = os.read(leader, 4096)
                seen += more
                if until and seen.count(until) >= 3:
                    process.send_signal(signal.SIGINT)
                    until = None
                if not more:
                    break
        except OSError:  # the other side has gone
            pass
        os.close(leader)
        return process.wait(timeout=300), seen

    def test_the_bar_on_a_terminal(self):
        code, seen = self.on_a_terminal(self.LONG, 120, b"validation")
        self.assertEqual(code, 1)
        self.assertIn("\u2501".encode(), seen)
        self.assertIn(b"\r\x1b[K", seen)
        self.check_saved()

    def test_nothing_wraps_at_any_width(self):
        for columns in 30, 40, 60, 80, 120, 200:
            with self.subTest(columns):
                code, seen = self.on_a_terminal(["train", "perceptron", "--data", DATA, "--epochs", "12", "--metrics",
                                                 "f1,top5", "--schedule", "cosine", "--out", "run"], columns)
                self.assertEqual(code, 0)
                plain = re.sub("\x1b\\[[0-9;]*[A-Za-z]", "", seen.decode())
                lines = re.split("[\r\n]+", plain)
                self.assertGreater(len(lines), 12)
                self.assertLess(max(map(len, lines)), columns)
                self.assertEqual("\u2588" in plain, columns >= 120)  # the small curve


class History(Folder):
    """The history of runs, a database that several programs write at once."""

    def setUp(self):
        super().setUp()
        (self.folder / "runs").mkdir()
        if "without SQLite" in glia("runs", folder=self.folder).stderr:
            self.skipTest("built without SQLite")

    def train(self, *arguments):
        self.glia(*TRAIN, "--quiet", *arguments)

    def runs(self, *arguments):
        return json.loads(self.glia("runs", *arguments, "--json").stdout)

    def test_list_compare_best(self):
        self.assertIn("no runs in runs", self.glia("runs").stdout)
        self.train("--lr", "0.0001")
        self.train("--lr", "0.125", "--epochs", "4")
        slow, fast = self.runs()
        self.assertEqual((slow["status"], slow["epochs_done"], fast["epochs_done"]), ("done", 2, 4))
        self.assertEqual(fast["options"]["optimizer"]["lr"], 0.125)
        kept = json.loads((self.folder / fast["run"] / "run.json").read_text())
        for epoch, figures in zip(kept["epochs"], fast["epochs"]):
            self.assertAlmostEqual(epoch["train"]["loss"], figures["loss"], places=6)
            self.assertAlmostEqual(epoch["validation"]["accuracy"], figures["val_accuracy"], places=6)
        self.assertAlmostEqual(fast["best"]["val_loss"], min(e["val_loss"] for e in fast["epochs"]))
        self.assertAlmostEqual(fast["best"]["val_accuracy"], max(e["val_accuracy"] for e in fast["epochs"]))
        self.assertAlmostEqual(fast["best"]["test_loss"], kept["test"]["loss"], places=6)

        self.assertEqual([r["id"] for r in self.runs("best")], [fast["id"]])
        self.assertEqual([r["id"] for r in self.runs("best", "--by", "test_loss", "--last", 2)], [fast["id"], slow["id"]])
        self.assertEqual(self.runs("--model", "lenet5"), [])
        self.assertEqual(len(self.runs("--data", "strokes")), 2)
        self.assertEqual([r["id"] for r in self.runs("--last", 1)], [fast["id"]])
        told = self.glia("runs", "compare", slow["id"], fast["run"]).stdout
        self.assertRegex(told, r"lr +0\.0001 +0\.125\n")
        self.assertRegex(told, r"epochs +2 +4\n")
        self.assertNotIn("batch", told)
        self.assertIn("\nval_accuracy, ", told)

    def test_mistakes(self):
        self.refused("runs", "bset", says="did you mean best?")
        self.refused("runs", "compare", "1", says="two runs")
        self.refused("runs", "compare", "1", "2", code=1, says="no run \"1\"")
        self.refused("runs", "best", code=1, says="no run has")
        self.refused("runs", "--folder", "nowhere", code=1, says="no folder nowhere")
        (self.folder / "runs/glia.db").write_bytes(b"not a database, but long enough to be looked at" * 40)
        self.refused("runs", code=1, says="made again")

    def test_a_killed_run_is_unfinished_and_a_failed_one_failed(self):
        train = [GLIA, "train", "perceptron", "--data", "strokes?n=2000", "--epochs", "1000000", "--quiet"]
        process = subprocess.Popen(train, cwd=self.folder)
        while not any(r["epochs_done"] for r in self.runs()):
            self.assertIsNone(process.poll())
        self.assertEqual(self.runs()[0]["status"], "running")
        process.kill()
        process.wait()
        self.assertEqual(self.runs()[0]["status"], "unfinished")
        self.assertIn("unfinished", self.glia("runs").stdout)
        self.glia(*TRAIN, "--quiet", "--lr", "3e38", "--out", "diverged", code=1)
        self.assertEqual({r["run"]: r["status"] for r in self.runs()}["diverged"], "failed")

    def test_made_again_from_the_folders(self):
        self.train()
        self.train("--no-validation")
        before = self.runs()
        for file in self.folder.glob("runs/glia.db*"):
            file.unlink()
        after = self.runs()
        self.assertEqual([r["run"] for r in before], [r["run"] for r in after])
        for was, now in zip(before, after):
            for key in "model", "data", "started", "status", "epochs_done", "options":
                self.assertEqual(was[key], now[key], key)
            self.assertEqual(was["best"].keys(), now["best"].keys())
            for name, value in now["best"].items():
                self.assertAlmostEqual(was["best"][name], value, places=6)

    def test_many_at_once(self):
        command = [GLIA, *TRAIN, "--quiet", "--threads", "1", "--epochs", "5"]
        processes = [subprocess.Popen(command, cwd=self.folder, stderr=subprocess.PIPE) for _ in range(6)]
        for process in processes:
            self.assertEqual(process.communicate()[1], b"")
            self.assertEqual(process.returncode, 0)
        runs = self.runs()
        self.assertEqual([(r["status"], len(r["epochs"])) for r in runs], 6 * [("done", 5)])
        self.assertEqual(len({r["run"] for r in runs}), 6)

    def test_fits_any_terminal(self):
        self.train()
        self.train("--lr", "0.5")
        for width in 30, 40, 60, 80, 120, 200:
            for words in ["runs"], ["runs", "compare", "1", "2"]:
                with self.subTest(width=width, words=words):
                    lines = on_terminal(words, width, self.folder).splitlines()
                    self.assertGreater(len(lines), 2)
                    self.assertLessEqual(max(map(len, lines)), width)


def on_terminal(words, width, folder):
    """What the command writes on a terminal of this width."""
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(folder)
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
        os.execve(GLIA, [GLIA, *words], dict(os.environ, LC_ALL="C.UTF-8", TERM="xterm"))
    told = b""
    try:
        while piece := os.read(terminal, 4096):
            told += piece
    except OSError:
        pass
    os.close(terminal)
    os.waitpid(process, 0)
    return told.decode()


class Word2Vec(Folder):
    def setUp(self):
        super().setUp()
        animals, foods = ["cat", "dog", "cow", "horse"], ["bread", "soup", "rice", "cake"]
        lines = ["the %s runs after the %s" % (animals[i % 4], animals[i // 4 % 4]) if i % 2 else
                 "we eat %s and %s with tea" % (foods[i % 7 % 4], foods[i // 8 % 4]) for i in range(2000)]
        (self.folder / "text.txt").write_text("\n".join(lines))

    def test_learns_and_answers(self):
        for out in ("v.bin", "v.txt", "v.safetensors"):
            done = self.glia("word2vec", "train", "text.txt", "--model", "skip-gram", "--sample", 0, "--size", 20,
                             "-o", out)
            self.assertIn("%s: 16 words, vectors of 20" % out, done.stdout)
        near = self.glia("word2vec", "nearest", "v.bin", "cat", "--top", 3).stdout
        self.assertEqual({line.split()[1] for line in near.splitlines()}, {"dog", "cow", "horse"})
        self.assertEqual(near, self.glia("word2vec", "nearest", "v.safetensors", "cat", "--top", 3).stdout)
        self.assertEqual(float(self.glia("word2vec", "similarity", "v.txt", "cat", "cat").stdout), 1)
        self.assertEqual(len(self.glia("word2vec", "analogy", "v.txt", "cat", "dog", "soup").stdout.splitlines()), 10)
        (self.folder / "questions.txt").write_text(": family\ncat dog cow horse\ncat dog cow unknown\n")
        (self.folder / "pairs.txt").write_text("cat dog 9\ncat soup 1\nbread soup 8\n")
        told = self.glia("word2vec", "evaluate", "v.bin", "--questions", "questions.txt",
                         "--similarities", "pairs.txt").stdout
        self.assertIn("asked 1 of 2 questions", told)
        self.assertIn("3 of 3 pairs: Spearman", told)

    def test_draws(self):
        self.glia("word2vec", "train", "text.txt", "--size", 10, "--groups", 2, "--groups-file", "groups.txt",
                  "--save-vocabulary", "counts.txt")
        self.assertEqual(len((self.folder / "groups.txt").read_text().splitlines()), 16)
        self.assertIn("the 2000", (self.folder / "counts.txt").read_text())
        for arguments in (["--method", "pca"], ["--perplexity", 3], ["cat", "soup", "--top", 3]):
            self.glia("word2vec", "plot", "vectors.txt", *arguments)
            svg = xml.etree.ElementTree.parse(self.folder / "words.svg")
            labels = [t.text for t in svg.iter("{http://www.w3.org/2000/svg}title")]
            self.assertIn("cat", labels)

    def test_mistakes(self):
        self.refused("word2vec", says="what to do")
        self.refused("word2vec", "trian", "text.txt", says="glia word2vec train")
        self.refused("word2vec", "train", says="wants a file")
        self.refused("word2vec", "train", "text.txt", "--model", "bert", says="skip-gram or cbow")
        self.refused("word2vec", "train", "missing.txt", code=1, says="missing.txt")
        self.refused("word2vec", "nearest", "text.txt", "cat", code=1, says="text.txt: offset 0")


class Tokenizing(Folder):
    TEXT = "It was the best of times, it was the worst of times.\n"
    KINDS = {"characters": 17, "words": 11, "bpe": 278, "wordpiece": 60, "unigram": 40}

    def setUp(self):
        super().setUp()
        (self.folder / "tale.txt").write_text(self.TEXT * 3)

    def train(self, kind, *more):
        return self.glia("tokenize", "train", kind, "tale.txt", "-o", kind + ".json", *more).stdout

    def test_trains_and_gives_back(self):
        for kind, most in self.KINDS.items():
            told = re.fullmatch(kind + r"\.json: (\d+) tokens, in .*\n", self.train(kind, "--vocabulary", most))
            self.assertLessEqual(int(told[1]), most)
            ids = self.glia("tokenize", "encode", kind + ".json", "tale.txt").stdout
            self.assertEqual(len(ids.splitlines()), 3)
            self.assertTrue(all(int(i) < most for i in ids.split()))
            (self.folder / "ids.txt").write_text(ids)
            back = self.glia("tokenize", "decode", kind + ".json", "ids.txt").stdout
            if kind in ("characters", "bpe", "unigram"):
                self.assertEqual(back, self.TEXT * 3)
            else:  # words lose their spaces, and find them again
                self.assertEqual(back.replace(" ", ""), self.TEXT.replace(" ", "") * 3)

    def test_threads_change_nothing(self):
        for kind in ("bpe", "unigram"):
            self.train(kind, "--vocabulary", self.KINDS[kind], "--threads", 1)
            one = (self.folder / (kind + ".json")).read_bytes()
            self.train(kind, "--vocabulary", self.KINDS[kind], "--threads", 2)
            self.assertEqual(one, (self.folder / (kind + ".json")).read_bytes())

    def test_shows(self):
        self.train("bpe", "--vocabulary", 300)
        self.assertEqual(self.glia("tokenize", "show", "bpe.json", "--text", "the best times").stdout,
                         "|t|he| best| times|\n")
        table = self.glia("tokenize", "show", "bpe.json", "--text", "the\tbest", "--offsets").stdout.splitlines()
        self.assertEqual(table[0].count("|"), len(table))
        self.assertIn("\\t", table[0])
        self.assertEqual(table[-1].split()[1].split("-")[1], "8")
        piped = subprocess.run([GLIA, "tokenize", "encode", "bpe.json"], input="the best times\n", cwd=self.folder,
                               capture_output=True, text=True, timeout=600)
        self.assertEqual(piped.stdout, self.glia("tokenize", "encode", "bpe.json", "--text", "the best times").stdout)

    def test_specials_and_pairs(self):
        self.train("wordpiece", "--vocabulary", 70, "--lowercase")
        shown = ["tokenize", "show", "wordpiece.json", "--text", "The WORST", "--with-specials"]
        self.assertEqual(self.glia(*shown).stdout, "|[CLS]|The|WORST|[SEP]|\n")
        self.assertEqual(self.glia(*shown, "--pair", "of times").stdout.count("[SEP]"), 2)
        ids = self.glia("tokenize", "encode", *shown[2:]).stdout.strip()
        decoded = lambda *more: self.glia("tokenize", "decode", "wordpiece.json", "--text", ids, *more).stdout
        self.assertEqual(decoded(), "the worst\n")
        self.assertEqual(decoded("--with-specials"), "[CLS] the worst [SEP]\n")
        self.train("bpe", "--specials", "<pad>,<s>", "--minimum", 2)
        self.assertEqual(self.glia("tokenize", "encode", "bpe.json", "--text", "<s>").stdout, "1\n")

    def test_mistakes(self):
        self.refused("tokenize", says="train, encode, decode or show")
        self.refused("tokenize", "encdoe", "x.json", says="did you mean encode?")
        self.refused("tokenize", "train", "bpee", "tale.txt", says="did you mean bpe?")
        self.refused("tokenize", "train", "bpe", says="wants a kind and files")
        self.refused("tokenize", "encode", says="wants a tokenizer")
        self.refused("tokenize", "train", "bpe", "missing.txt", code=1, says="missing.txt")
        self.refused("tokenize", "encode", "missing.json", code=1, says="missing.json")
        self.refused("tokenize", "train", "bpe", "tale.txt", "--vocabulary", 20, code=1, says="a vocabulary of 20")
        self.train("words")
        self.refused("tokenize", "encode", "words.json", "tale.txt", "other", says="takes one file")
        self.refused("tokenize", "decode", "words.json", "--text", "1 two", code=1, says="is no id")
        self.refused("tokenize", "decode", "words.json", "--text", "99999", code=1, says="is no id")
        self.train("characters")
        self.refused("tokenize", "encode", "characters.json", "--text", "It wasX", code=1, says="offset 6")


class Writing(Folder):
    """A model of tokens: trained, measured, and made to write."""

    TEXT = "the cat sat on the mat. the cat sat on the hat. " * 8

    def setUp(self):
        super().setUp()
        (self.folder / "cat.txt").write_text(self.TEXT)

    def train(self, *more, model="char-rnn", data="chars:cat.txt?length=24&step=1"):
        return self.glia("train", model, "--data", data, "--epochs", 10, "--batch", 16, "--lr", 0.02, "--out", "cat",
                         "--threads", 1, *more)

    def test_a_model_writes(self):
        self.assertRegex(self.train().stdout, "perplexity 1[.0-9]*, accuracy 9")
        first = self.glia("generate", "cat", "--prompt", "the cat", "--length", 13, "--greedy")
        self.assertRegex(first.stdout, "^the cat sat on the [mh]\n$")
        bare = self.glia("generate", "cat", "--prompt", "the cat", "--length", 13, "--greedy", "--bare", "--time")
        self.assertEqual("the cat" + bare.stdout, first.stdout)
        self.assertIn("13 tokens in", bare.stderr)
        searched = self.glia("generate", "cat", "--prompt", "the cat", "--length", 13, "--beams", 4)
        self.assertRegex(searched.stdout, "^the cat sat on the [mh]\n$")
        stopped = self.glia("generate", "cat", "--prompt", "the cat sat on the", "--length", 30, "--stop", "at. th")
        self.assertRegex(stopped.stdout, "^the cat sat on the [mh]\n$")
        (self.folder / "prompt").write_text("the cat")
        self.assertEqual(self.glia("generate", "cat", "--prompt-file", "prompt", "--length", 13, "--greedy").stdout,
                         first.stdout)
        self.assertRegex(self.glia("eval", "cat").stdout, "perplexity 1[.0-9]*, accuracy 9")

    def test_the_same_seed_writes_the_same(self):
        self.train("--max-steps", 2, model="gpt-tiny")
        how = ["generate", "cat", "--prompt", "the", "--length", 60, "--temperature", 1.5, "--top-p", 0.95]
        texts = [self.glia(*how, "--seed", seed, "--threads", threads).stdout
                 for seed, threads in ((1, 1), (1, 2), (2, 1))]
        self.assertEqual(texts[0], texts[1])
        self.assertNotEqual(texts[0], texts[2])
        both = self.glia(*how, "--seed", 1, "--count", 2).stdout
        self.assertEqual(both, texts[0] + "----\n" + texts[2])

    def test_bytes_need_no_tokenizer(self):
        self.train("--max-steps", 2, data="text:cat.txt?length=24&step=3")
        done = subprocess.run([GLIA, "generate", "cat", "--prompt", "the", "--length", "9"], cwd=self.folder,
                              capture_output=True, timeout=600)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(done.stdout), len("the") + 9 + 1)

    def test_what_cannot_write(self):
        self.glia(*TRAIN, "--out", "digits")
        self.refused("generate", "digits", code=1, says="tokens")
        self.refused("generate", "nothing", code=1, says="nothing")
        self.train("--max-steps", 1)
        self.refused("generate", "cat", "--prompt", "", code=1, says="empty")
        self.refused("generate", "cat", "--top-p", 2, says="--top-p")
        self.refused("generate", "cat", "--beams", 2, "--greedy", says="--beams")
        self.refused("generate", "cat", "--stop", "", says="--stop")
        self.refused("generate", "cat", "--tokenizer", "nothing.json", code=1, says="nothing.json")


if __name__ == "__main__":
    GLIA = os.path.abspath(sys.argv.pop(1))
    unittest.main()
