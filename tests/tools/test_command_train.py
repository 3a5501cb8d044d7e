"""`glia train`, `eval` and `predict`: output, run files, threads, Ctrl-C."""
import csv
import json
import re
import signal
import subprocess

from command import DATA, GLIA, TRAIN, Folder, main, tensors


class Train(Folder):
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

    def test_json_log_prints_only_json(self):
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


class Interrupt(Folder):
    LONG = ["train", "perceptron", "--data", DATA, "--epochs", "1000000", "--out", "run"]

    def check_saved(self):
        run = json.loads((self.folder / "run/run.json").read_text())
        self.assertEqual((run["interrupted"], run["state"]), (True, "interrupted"))
        self.assertTrue((self.folder / "run/checkpoint.safetensors").is_file())
        json.loads(self.glia("eval", "run", "--json").stdout)

    def test_ctrl_c_keeps_model(self):
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

    def test_the_bar_on_a_terminal(self):
        code, seen = self.on_terminal(self.LONG, 120, b"validation")
        self.assertEqual(code, 1)
        self.assertIn("\u2501".encode(), seen)
        self.assertIn(b"\r\x1b[K", seen)
        self.check_saved()

    def test_nothing_wraps_at_any_width(self):
        for columns in 30, 40, 60, 80, 120, 200:
            with self.subTest(columns):
                code, seen = self.on_terminal(["train", "perceptron", "--data", DATA, "--epochs", "12", "--metrics",
                                                 "f1,top5", "--schedule", "cosine"], columns)
                self.assertEqual(code, 0)
                plain = re.sub("\x1b\\[[0-9;]*[A-Za-z]", "", seen.decode())
                lines = re.split("[\r\n]+", plain)
                self.assertGreater(len(lines), 12)
                self.assertLess(max(map(len, lines)), columns)
                self.assertEqual("\u2588" in plain, columns >= 120)  # the inline curve


if __name__ == "__main__":
    main()
