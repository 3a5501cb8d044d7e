"""Run folders: files that `glia train --out` and `--resume` may change, locks, signals, full disks."""
import json
import os
import resource
import signal
import subprocess

from command import DATA, GLIA, TRAIN, Folder, main

LONG = ["train", "perceptron", "--data", DATA, "--epochs", "1000000", "--out", "run"]


class RunFolder(Folder):
    def contents(self, folder="run"):
        """Names and contents of all files."""
        return {str(path.relative_to(self.folder)): path.read_bytes()
                for path in sorted((self.folder / folder).rglob("*")) if path.is_file()}

    def begin(self, *arguments, **options):
        """Starts an endless training run and waits for its first epoch."""
        process = subprocess.Popen([GLIA, *LONG, *map(str, arguments)], cwd=self.folder, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, **options)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        while not process.stdout.readline().startswith("epoch"):
            self.assertIsNone(process.poll())
        return process


class Folders(RunFolder):
    def test_a_used_folder_is_refused(self):
        self.glia(*TRAIN, "--quiet", "--tensorboard", "--out", "run")
        (self.folder / "run/notes.txt").write_text("mine")
        before = self.contents()
        self.refused(*TRAIN, "--out", "run", code=1, says="--force replaces it")
        self.refused(*TRAIN, "--out", "run/", code=1, says="--force replaces it")
        self.assertEqual(before, self.contents())
        self.glia(*TRAIN, "--quiet", "--out", "run", "--force", "--epochs", 1)
        after = self.contents()
        self.assertEqual(after["run/notes.txt"], b"mine")
        self.assertEqual([name for name in after if "tensorboard" in name], [])
        self.assertEqual(len(json.loads(after["run/run.json"])["epochs"]), 1)

    def test_settings_are_checked_before_writing(self):
        self.glia(*TRAIN, "--quiet", "--out", "run")
        before = self.contents()
        for wrong, says in [(["--metrics", "auc"], "auc"), (["--monitor", "val_los"], "did you mean val_loss?"),
                            (["--monitor", "typo", "--early-stopping", 2], "typo"), (["--loss", "hinge2"], "hinge"),
                            (["--ema", "0.9", "--swa", "2e9", "--metrics", "nothing"], "nothing"),
                            (["--no-validation", "--monitor", "val_loss"], "val_loss"),
                            (["--data", "nothing"], "nothing"), (["--from", "nothing"], "nothing")]:
            with self.subTest(wrong):
                done = self.glia(*TRAIN, *wrong, "--quiet", "--out", "run", "--force", code=None)
                self.assertIn(done.returncode, (1, 2))
                self.assertIn(says, done.stderr)
                self.assertEqual(before, self.contents())
                done = self.glia(*TRAIN, *wrong, "--quiet", "--out", "new", code=None)
                self.assertFalse((self.folder / "new").exists())

    def glia(self, *arguments, code=0):
        if code is not None:
            return super().glia(*arguments, code=code)
        return subprocess.run([GLIA, *map(str, arguments)], cwd=self.folder,
                              capture_output=True, text=True, timeout=600)

    def test_other_folders_are_not_changed(self):
        for name, content in ("letter.txt", "dear"), ("config.json", "{\"model\": \"mlp\"}"):
            folder = self.folder / name.split(".")[0]
            folder.mkdir()
            (folder / name).write_text(content)
            for more in [], ["--force"]:
                self.refused(*TRAIN, "--out", folder.name, *more, code=1, says="is not a run folder")
            self.assertEqual([path.name for path in folder.iterdir()], [name])
        self.refused("train", "--resume", "letter", code=1, says="letter")
        self.refused("train", "--resume", "nowhere", code=1, says="nowhere")
        (self.folder / "empty").mkdir()
        self.glia(*TRAIN, "--quiet", "--out", "empty")

    def test_names_that_are_empty(self):
        for option in "--out", "--resume", "--config":
            self.refused(*(TRAIN if option == "--out" else ["train"]), option, "", says=option)
        self.refused(*TRAIN, "--force", says="--force needs --out")

    def test_one_process_at_a_time(self):
        process = self.begin()
        config = (self.folder / "run/config.json").read_bytes()
        for arguments in [*TRAIN, "--out", "run"], [*TRAIN, "--out", "run", "--force"], ["train", "--resume", "run"]:
            self.refused(*arguments, "--quiet", code=1, says="in use by process %d" % process.pid)
        self.assertEqual(config, (self.folder / "run/config.json").read_bytes())
        process.kill()
        process.wait()
        self.assertTrue((self.folder / "run/.lock").exists())  # the file remains, the lock does not
        self.glia("train", "--resume", "run", "--max-steps", 100, "--quiet")
        self.assertFalse((self.folder / "run/.lock").exists())

    def test_two_concurrent_starts(self):
        processes = [subprocess.Popen([GLIA, *TRAIN, "--quiet", "--out", "run"], cwd=self.folder, text=True,
                                      stderr=subprocess.PIPE) for _ in range(6)]
        said = [process.communicate()[1] for process in processes]
        codes = [process.returncode for process in processes]
        self.assertEqual(sorted(codes), [0] + 5 * [1], said)
        for code, words in zip(codes, said):
            self.assertRegex(words, "^$" if code == 0 else "in use by process|--force replaces it")
        self.assertEqual(json.loads((self.folder / "run/run.json").read_text())["state"], "done")

    def test_a_finished_run_is_not_resumed(self):
        self.glia(*TRAIN, "--quiet", "--out", "run")
        before = self.contents()
        self.refused("train", "--resume", "run", code=1, says="is finished")
        self.assertEqual(before, self.contents())

    def test_a_resume_that_is_refused_changes_nothing(self):
        process = self.begin("--checkpoint-seconds", 0)
        process.send_signal(signal.SIGINT)
        process.wait()
        before = self.contents()
        for change in ["--batch", 7], ["--early-stopping", 3], ["--optimizer", "adam"], ["--metrics", "nothing"]:
            with self.subTest(change):
                self.refused("train", "--resume", "run", *change, "--quiet", code=1)
                self.assertEqual(before, self.contents())


class Checkpoints(RunFolder):
    def test_by_time(self):
        """The epochs of a short run are too fast for a timed checkpoint, but an interruption saves one."""
        process = self.begin("--checkpoint-seconds", 1e9)
        self.assertFalse((self.folder / "run/checkpoint.safetensors").exists())
        self.assertFalse((self.folder / "run/best.safetensors").exists())
        process.send_signal(signal.SIGTERM)
        process.wait()
        self.assertTrue((self.folder / "run/checkpoint.safetensors").exists())
        self.assertTrue((self.folder / "run/best.safetensors").exists())

    def test_change_no_result(self):
        for name, seconds in ("each", 0), ("none", 1e9):
            self.glia(*TRAIN, "--epochs", 6, "--checkpoint-seconds", seconds, "--quiet", "--out", name)
        each, none = (self.contents(name) for name in ("each", "none"))
        for file in "model.safetensors", "best.safetensors":
            self.assertEqual(each["each/" + file], none["none/" + file])


class Signals(RunFolder):
    def check_interrupted(self, process, code=1):
        _, said = process.communicate(timeout=300)
        self.assertEqual(process.returncode, code, said)
        self.assertEqual(json.loads((self.folder / "run/run.json").read_text())["state"], "interrupted")
        self.assertEqual([path for path in self.folder.rglob("*.tmp")], [])
        self.assertFalse((self.folder / "run/.lock").exists())
        return said

    def test_hang_up_is_treated_like_terminate(self):
        for number in signal.SIGHUP, signal.SIGTERM:
            with self.subTest(number):
                process = self.begin("--force")
                process.send_signal(number)
                self.assertIn("interrupted in epoch", self.check_interrupted(process))
                self.assertTrue((self.folder / "run/checkpoint.safetensors").exists())

    def test_second_hang_up_is_ignored(self):
        """A closing terminal sends SIGHUP twice."""
        process = self.begin()
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGHUP)
        self.check_interrupted(process)

    def test_nohup(self):
        process = self.begin(preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        process.send_signal(signal.SIGHUP)
        self.assertTrue(process.stdout.readline().startswith("epoch"))
        process.send_signal(signal.SIGTERM)
        self.check_interrupted(process)

    def test_a_closed_pipe(self):
        """`glia train | head -1`: training finishes, and the exit status reports the incomplete output."""
        process = subprocess.Popen([GLIA, *TRAIN, "--epochs", "20", "--out", "run"], cwd=self.folder, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
        process.stderr.close()
        self.assertEqual(process.wait(), 1)
        self.assertIn("output could not be written", said)
        self.assertEqual(json.loads((self.folder / "run/run.json").read_text())["state"], "done")

    def test_file_size_limit(self):
        """SIGXFSZ: checkpoint and model exceed the limit, tables do not."""
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
        done = subprocess.run([GLIA, *TRAIN, "--checkpoint-seconds", "0", "--out", "run"], cwd=self.folder, text=True,
                              capture_output=True, preexec_fn=limit)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stdout.count("epoch "), 2, done.stderr)
        self.assertIn("best.safetensors: File too large; training goes on", done.stderr)
        self.assertIn("checkpoint.safetensors: File too large; training goes on", done.stderr)
        self.assertIn("model.safetensors: File too large", done.stderr)
        self.assertEqual([path for path in self.folder.rglob("*.tmp")], [])
        self.glia("train", "--resume", "run", "--quiet")


if __name__ == "__main__":
    main()
