"""`glia runs`: the history of runs, a database that several programs write at once."""
import json
import shutil
import sqlite3
import subprocess

from command import GLIA, TRAIN, Folder, glia, main


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
        self.assertEqual([r["id"] for r in self.runs("best", "--by", "test_loss", "--last", 2)],
                         [fast["id"], slow["id"]])
        self.assertEqual(self.runs("--model", "lenet5"), [])
        self.assertEqual(len(self.runs("--data", "strokes")), 2)
        self.assertEqual([r["id"] for r in self.runs("--last", 1)], [fast["id"]])
        told = self.glia("runs", "compare", slow["id"], fast["run"]).stdout
        self.assertRegex(told, r"lr +0\.0001 +0\.125\n")
        self.assertRegex(told, r"epochs +2 +4\n")
        self.assertNotIn("batch", told)
        self.assertIn("\nval_accuracy, ", told)

    def test_errors(self):
        self.refused("runs", "bset", says="did you mean best?")
        self.refused("runs", "compare", "1", says="two runs")
        self.refused("runs", "compare", "1", "2", code=1, says="no run \"1\"")
        self.refused("runs", "best", code=1, says="no run has")
        self.refused("runs", "--folder", "nowhere", code=1, says="no folder nowhere")
        (self.folder / "runs/glia.db").write_bytes(b"not a database, but long enough to be looked at" * 40)
        self.refused("runs", code=1, says="rebuild it")

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

    def test_rebuilt_from_the_folders(self):
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

    def test_added_removed_moved_and_retrained_folders(self):
        for name in "a", "b", "c":
            self.train("--out", "runs/" + name)
        known = {r["run"]: r["id"] for r in self.runs()}
        self.assertEqual(set(known), {"runs/a", "runs/b", "runs/c"})

        (self.folder / "runs/a").rename(self.folder / "runs/moved")
        shutil.rmtree(self.folder / "runs/b")
        shutil.copytree(self.folder / "runs/c", self.folder / "runs/copy")
        self.train("--out", "elsewhere")
        (self.folder / "runs/no-run").mkdir()
        (self.folder / "runs/no-run/config.json").write_text("{\"model\": \"mlp\"}")
        now = {r["run"]: r for r in self.runs()}
        self.assertEqual(set(now), {"runs/moved", "runs/c", "runs/copy", "elsewhere"})
        self.assertEqual(now["runs/moved"]["id"], known["runs/a"])
        self.assertEqual(now["runs/copy"]["epochs_done"], 2)
        self.assertEqual(self.runs("compare", "moved", "copy")[0]["run"], "runs/moved")
        self.refused("runs", "compare", "runs/b", "runs/c", code=1, says="no run")

        (self.folder / "runs/moved").rename(self.folder / "runs/a")  # the original path exists again
        (self.folder / "elsewhere").rename(self.folder / "hidden")
        self.assertEqual({r["run"] for r in self.runs()}, {"runs/a", "runs/c", "runs/copy"})
        (self.folder / "hidden").rename(self.folder / "elsewhere")
        self.assertIn("elsewhere", {r["run"] for r in self.runs()})

        self.train("--out", "runs/c", "--force", "--epochs", "3")
        anew = {r["run"]: r for r in self.runs()}
        self.assertEqual((anew["runs/c"]["epochs_done"], anew["runs/copy"]["epochs_done"]), (3, 2))
        self.assertEqual(len(anew), 4)

    def test_runs_trained_where_the_history_could_not_be_written(self):
        self.train("--out", "runs/a")
        other = self.folder / "other"
        other.mkdir()
        self.glia("train", "--config", "runs/a", "--epochs", "3", "--quiet", "--out", "other/anew")
        shutil.rmtree(self.folder / "runs/a")
        (self.folder / "other/anew").rename(self.folder / "runs/a")
        (row,) = self.runs()
        self.assertEqual((row["run"], row["epochs_done"]), ("runs/a", 3))

    def test_from_another_folder(self):
        self.train("--out", "runs/a")
        self.train("--out", "b")
        (self.folder / "sub").mkdir()
        for where in "../runs", "../runs/", str(self.folder / "runs"):
            done = glia("runs", "--folder", where, "--json", folder=self.folder / "sub")
            self.assertEqual([r["run"] for r in json.loads(done.stdout)], ["runs/a", "b"])
        done = glia("runs", "--folder", ".", "--json", folder=self.folder / "runs")
        self.assertEqual([r["run"] for r in json.loads(done.stdout)], ["runs/a", "b"])

    def test_a_history_of_version_1(self):
        self.train("--out", "runs/a")
        self.train("--out", "b")
        database = sqlite3.connect(self.folder / "runs/glia.db")
        for column in "key", "stamp", "missing":
            database.execute("ALTER TABLE runs DROP COLUMN " + column)
        database.execute("PRAGMA user_version = 1")
        database.close()
        self.assertEqual([(r["run"], r["id"], r["epochs_done"]) for r in self.runs()], [("runs/a", 1, 2), ("b", 2, 2)])

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
                    lines = self.on_terminal(words, width)[1].decode().splitlines()
                    self.assertGreater(len(lines), 2)
                    self.assertLessEqual(max(map(len, lines)), width)


if __name__ == "__main__":
    main()
