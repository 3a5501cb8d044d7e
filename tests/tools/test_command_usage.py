"""The command's options, hints and error messages; the commands of docs/training.md."""
import os
import pathlib
import re
import subprocess

from command import DATA, GLIA, TRAIN, Folder, main


class Usage(Folder):
    def test_no_command_is_an_error_and_help_is_not(self):
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
            (["train", "dnn"], "needs --data"),
            (["summary", "lenet6"], "did you mean lenet5?"),
            (["eval", "lenet5"], "not trained yet"),
        ]:
            with self.subTest(arguments):
                self.refused(*arguments, says=hint)

    def test_values(self):
        for arguments, hint in [
            (["--epochs"], "needs a value"),
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
        self.refused("train", says="needs a model name")

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


class Documentation(Folder):
    def test_the_page_on_training(self):
        """Runs the page's commands in order, in a shell with this `glia` in PATH."""
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


if __name__ == "__main__":
    main()
