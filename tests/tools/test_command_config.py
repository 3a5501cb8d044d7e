"""Configurations: config.json, --config, --set."""
import json

from command import TRAIN, Folder, main


class Configurations(Folder):
    MUCH = ["train", "mlp", "--data", "strokes?n=300", "--epochs", "3", "--optimizer", "adamw", "--lr", "0.003",
            "--schedule", "one-cycle(rise=0.2)", "--augment", "translate(0.1) rotate(10) mixup(0.2)", "--stratified",
            "--label-smoothing", "0.1", "--groups", "*bias(weight-decay=0)", "--clip-norm", "1", "--accumulate", "2",
            "--ema", "0.9", "--metrics", "f1,top5", "--early-stopping", "5", "--class-weights", "balanced", "--quiet"]

    def bytes(self, run, name="model.safetensors"):
        return (self.folder / run / name).read_bytes()

    def test_run_is_reproducible_from_config(self):
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

    def test_zero_is_zero(self):
        short = ["train", "mlp", "--data", "strokes?n=100", "--epochs", "1", "--optimizer", "adam", "--quiet"]
        self.glia(*short, "--out", "usual")
        self.glia(*short, "--set", "optimizer.beta1=0", "--out", "zero")
        self.glia("train", "--config", "zero", "--quiet", "--out", "again")
        for run, beta1 in ("usual", 0.9), ("zero", 0), ("again", 0):
            self.assertEqual(json.loads(self.bytes(run, "config.json"))["optimizer"]["beta1"], beta1)
        self.assertNotEqual(self.bytes("usual"), self.bytes("zero"))
        self.assertEqual(self.bytes("zero"), self.bytes("again"))

    def test_configuration_errors(self):
        for content, code, says in [
            ("{\"model\": \"mlp\"", 1, "offset 15: expected a comma or }, but the text ends"),
            ("{\n\"model\": mlp}", 1, "line 2, offset 11: expected a value"),
            ("{} {}", 1, "after the value"),
            ("{\"model\": \"mlp\", \"model\": \"dnn\"}", 1, "\"model\" is given twice"),
            ("{\"model\": \"m\xff\"}", 1, "invalid UTF-8"),
            ("{\"model\": \"mlp\", \"optimizer\": {\"ler\": 1}}", 2, "did you mean optimizer.lr?"),
            ("{\"model\": \"mlp\", \"optimizer\": {\"lr\": \"1\"}}", 2, "without quotes"),
            ("{\"model\": \"mlp\", \"training\": {\"epochs\": 0.5}}", 2, "whole number"),
            ("{\"model\": \"mlp\", \"training\": {\"epochs\": -3}}", 2, "at least 1"),
            ("{}", 2, "has no model"),
        ]:
            with self.subTest(content):
                (self.folder / "run.json").write_bytes(content.encode("latin-1"))
                self.refused("train", "--config", "run.json", code=code, says=says)
        self.refused("train", "--config", "nothing.json", code=1, says="nothing.json")

    def test_all_other_settings_are_accepted(self):
        for more in [["--swa", "0.5"], ["--plateau", "1", "--plateau-factor", "0.5"], ["--balanced"],
                     ["--optimizer", "lion"], ["--optimizer", "lamb", "--max-norm", "3", "--l1", "1e-5"],
                     ["--max-steps", "3", "--no-checkpoint"], ["--no-validation", "--warmup", "4"],
                     ["--optimizer", "adam", "--amsgrad", "--beta1", "0.8", "--clip-value", "0.1"],
                     ["--class-weights", "1,1,1,1,1,2,1,1,1,1", "--monitor", "val_accuracy"]]:
            with self.subTest(more):
                self.glia(*TRAIN, *more, "--quiet", "--out", "run", "--force")
                self.assertTrue(self.bytes("run"))


if __name__ == "__main__":
    main()
