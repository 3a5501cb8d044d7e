"""Detection and segmentation with the command: training, figures, boxes and masks drawn over pictures."""
import json
import pathlib

from command import Folder, main

SQUARES = "boxes:%(here)s/squares,%(here)s/squares.csv" % {
    "here": pathlib.Path(__file__).resolve().parents[1] / "golden" / "data"}


class Vision(Folder):
    def test_a_detector(self):
        self.glia("train", "detector", "--data", SQUARES, "--epochs", 4, "--batch", 2, "--threads", 1, "--quiet",
                  "--augment", "flip", "--out", "run", "--no-validation")
        report = (self.folder / "run/report.html").read_text()
        self.assertIn("boxes", report)
        self.assertIn("data:image/png;base64,", report)
        figures = json.loads(self.glia("eval", "run", "--json", "--threads", 1).stdout)
        self.assertEqual((figures["method"], figures["model"]), ("detect", "detector"))
        self.assertTrue(0 <= figures["map"] <= figures["map50"] <= 1, figures)
        self.assertRegex(figures["note"], r"0\.5: large \d\.\d+ small \d\.\d+")
        said = self.glia("predict", "run", SQUARES + "#0", SQUARES + "#1", "-o", "x.png").stdout
        self.assertRegex(said, r"squares.csv#1  \d+ boxes, in pixels of 32x32")
        self.assertEqual((self.folder / "x.png").read_bytes()[:4], b"\x89PNG")
        found = json.loads(self.glia("predict", "run", SQUARES + "#0", "--json").stdout)
        self.assertEqual((found["height"], found["width"]), (32, 32))
        for box in found["boxes"]:
            self.assertIn(box["class"], ("large", "small"))
            self.assertTrue(0 <= box["left"] < box["right"] <= 32 and 0.3 <= box["score"] <= 1, box)
        self.glia("predict", "run", pathlib.Path(SQUARES[6:].split(",")[0]) / "3.pgm")
        self.refused("train", "detector", "--data", SQUARES, "--augment", "elastic", "--batch", 2, "--quiet", code=1,
                     says="boxes cannot follow elastic")
        self.refused("train", "detector", "--data", "strokes?n=20", "--quiet", code=1,
                     says="takes pictures whose sides are multiples of 16 pixels")
        self.refused("train", "unet", "--data", SQUARES, "--quiet", code=1, says="boxes are for the method detect")

    def test_masks(self):
        for name in ("image", "label"):
            (self.folder / "cells" / name).mkdir(parents=True)
            for k in range(3):
                pixels = bytes(255 if (i // 5 + i // 32 // (5 + k)) % 2 else 0 for i in range(1024))
                (self.folder / "cells" / name / f"{k}.pgm").write_bytes(b"P5\n32 32\n255\n" + pixels)
        data = "masks:cells?last=1&tile=16"
        self.glia("train", "unet", "--data", data, "--epochs", 1, "--batch", 4, "--threads", 1, "--quiet", "--augment",
                  "flip elastic(alpha=20) rotate(10)", "--out", "run", "--no-validation")
        said = self.glia("eval", "run", "--threads", 1).stdout
        self.assertRegex(said, r"class +IoU +Dice")
        figures = json.loads(self.glia("eval", "run", "--json", "--threads", 1).stdout)
        self.assertEqual(len(figures["dice"]), 2)
        self.assertAlmostEqual(sum(figures["dice"]) / 2, figures["mean_dice"], delta=1e-6)
        said = self.glia("predict", "run", data + "#0", "-o", "x.png").stdout
        self.assertRegex(said, r"class 1 +[\d.]+ % of the pixels")
        self.assertEqual(sum(json.loads(self.glia("predict", "run", data + "#1", "--json").stdout)["pixels"]), 256)
        self.assertEqual((self.folder / "x.png").read_bytes()[:4], b"\x89PNG")
        self.refused("predict", "run", data + "#99", says="99", code=1)
        self.refused("train", "unet", "--data", "masks:cells?tile=20", "--quiet", code=1,
                     says="takes pictures whose sides are multiples of 16 pixels")
        self.refused("train", "detector", "--data", data, "--quiet", code=1, says="needs data with boxes")


main()
