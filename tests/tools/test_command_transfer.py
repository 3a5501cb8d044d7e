"""Transfer with the command: --from and what concerns it, `glia features`, weights of others in `glia eval`."""
import json
import pathlib
import struct
import zipfile

from command import Folder, main, tensors

STROKES = "strokes?n=200"
GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden" / "torch"


class Transfer(Folder):
    def setUp(self):
        super().setUp()
        self.glia("train", "lenet5", "--data", STROKES, "--epochs", 1, "--out", "old", "--quiet")

    def table(self, kinds):
        """A table of 784 numbers and a class, drawn from the pixels of a few shapes."""
        rows = [",".join([*(str((i * k + k) % 7 / 7) for i in range(784)), kind]) for k in range(1, 13)
                for kind in kinds]
        (self.folder / "new.csv").write_text("\n".join(rows) + "\n")

    def test_only_the_last_blocks_learn(self):
        said = self.glia("train", "lenet5", "--data", STROKES, "--from", "old", "--train-last", 2, "--epochs", 1,
                         "--out", "new", "--log", "lines").stdout
        self.assertIn("10 values from old", said)
        before, after = (tensors(self.folder / run / "model.safetensors") for run in ("old", "new"))
        moved = {name for name in before if before[name] != after[name]}
        self.assertEqual(moved, {"f6/kernel", "f6/bias", "logits/kernel", "logits/bias"})
        self.assertEqual(json.loads((self.folder / "new/config.json").read_text())["training"]["train_last"], 2)
        self.refused("train", "lenet5", "--data", STROKES, "--train-last", 9, says="so 1 to 4 can be left")
        self.refused("train", "lenet5", "--data", STROKES, "--train-last", 1, "--freeze", "c1*", says="exclude")

    def test_rates_by_depth_and_resuming(self):
        train = ["train", "lenet5", "--data", STROKES, "--from", "old", "--depth-decay", 0.5, "--epochs", 2, "--quiet"]
        self.glia(*train, "--out", "whole")
        self.glia(*train, "--out", "again")
        self.assertEqual(tensors(self.folder / "whole/model.safetensors"),
                         tensors(self.folder / "again/model.safetensors"))
        self.refused(*train, "--depth-decay", 2, says="depth-decay")

    def test_fixed_norms(self):
        data = "strokes?n=40"
        self.refused("train", "lenet5", "--data", data, "--from", "old", "--fixed-norms", says="no batch norm")
        self.refused("train", "lenet5", "--data", data, "--fixed-norms", says="--fixed-norms needs --from")

    def test_a_new_head_for_other_classes(self):
        self.glia("train", "mlp", "--data", STROKES, "--epochs", 1, "--out", "mlp", "--quiet")
        self.table(["circle", "square", "line"])
        said = self.glia("train", "mlp", "--data", "csv:new.csv", "--from", "mlp", "--no-validation", "--epochs", 1,
                         "--out", "new", "--log", "lines").stdout
        self.assertIn("2 values from mlp; a new head of 2", said)

    def test_files_of_pytorch(self):
        self.refused("train", "lenet5", "--data", STROKES, "--from", GOLDEN / "code.pt", code=1,
                     says="nothing is executed")
        said = self.glia("train", "lenet5", "--data", STROKES, "--from", GOLDEN / "layers.pth", code=1).stderr
        self.assertIn("the file has no tensor of the model: 10 missing, 8 unexpected", said)
        self.assertIn("missing in the file: 'c1/kernel'\n", said)  # all of them are listed, a line each
        self.assertIn("unexpected in the file: 'fc.bias'\n", said)
        self.refused("eval", "lenet5", "--weights", GOLDEN / "code.pt", "--data", STROKES, code=1,
                     says="nothing is executed")
        self.refused("eval", "old", "--weights", GOLDEN / "layers.pth", says="old is a file")
        self.refused("eval", "old", "--mean", 0.5, says="--mean and --stddev need --weights")


class Features(Folder):
    def setUp(self):
        super().setUp()
        self.glia("train", "lenet5", "--data", STROKES, "--epochs", 1, "--out", "run", "--quiet")

    def test_npz(self):
        self.assertIn("x (40, 120), y", self.glia("features", "run", STROKES, "--layer", "c5", "--out", "x.npz").stdout)
        with zipfile.ZipFile(self.folder / "x.npz") as npz:
            self.assertIsNone(npz.testzip())
            self.assertEqual(npz.namelist(), ["x.npy", "y.npy"])
            x = npz.read("x.npy")
        head = 10 + struct.unpack("<H", x[8:10])[0]
        self.assertEqual(head % 64, 0)
        self.assertEqual(len(x) - head, 40 * 120 * 4)
        self.assertIn("40 samples of 120", self.glia("data", "npz:x.npz").stdout)

    def test_probes(self):
        for kind in ("linear", "nearest"):
            said = self.glia("features", "run", STROKES, "--layer", "f6", "--probe", kind).stdout
            self.assertRegex(said, rf"{kind} probe of f6 \(84 features\), 200 samples: accuracy \d+\.\d\d % of 40")

    def test_mistakes(self):
        self.refused("features", "run", STROKES, "--layer", "c6", "--out", "x.npz", code=1, says="did you mean")
        self.refused("features", "run", STROKES, "--layer", "c5", says="--out FILE or --probe KIND")
        self.refused("features", "run", STROKES, "--layer", "c5", "--probe", "tree", says="linear or nearest")
        self.refused("features", "run", STROKES, "--out", "x.npz", says="needs --layer")


class Subsets(Folder):
    def test_mistakes(self):
        self.refused("data", "mnist?clases=1", code=1, says="did you mean")


main()
