"""`glia data` and the data that `train` and `predict` read: tables, pictures, sheets."""
import json
import struct
import zlib

from command import DATA, Folder, glia, main, png


class Inputs(Folder):
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


class Sheets(Folder):
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


if __name__ == "__main__":
    main()
