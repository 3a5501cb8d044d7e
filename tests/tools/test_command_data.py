"""`glia data` and the data that `train` and `predict` read: tables, images, sheets."""
import json
import random
import signal
import struct
import subprocess
import zipfile
import zlib

from command import DATA, GLIA, Folder, glia, main, png


FLOWERS = [("setosa", (5, 3.4, 1.4, 0.2)), ("versicolor", (5.9, 2.7, 4.2, 1.3)), ("virginica", (6.6, 3, 5.5, 2))]


def write_table(path, kinds, n, columns=("sl", "sw", "pl", "pw", "kind"), order=None):
    """Writes n flowers, cycling through `kinds`; order: the order of the columns. Deterministic in kinds and n."""
    draw = random.Random(1)
    rows = []
    for i in range(n):
        name, means = kinds[i % len(kinds)]
        rows.append(["%.2f" % draw.gauss(mean, 0.25) for mean in means] + ['"%s"' % name])
    order = order or range(5)
    header = columns if len(columns) > 5 else [columns[i] for i in order]
    path.write_text("\n".join(",".join(row) for row in [header] + [[r[i] for i in order] for r in rows]) + "\n")


def npy_bytes(dtype, shape, data):
    header = repr({"descr": dtype, "fortran_order": False, "shape": tuple(shape)}).encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def npy(path, dtype, shape, data):
    path.write_bytes(npy_bytes(dtype, shape, data))


def blob(x, y, side=16):
    """A PGM image: a bright 5 x 5 square on a dark background."""
    return b"P5 %d %d 255\n" % (side, side) + bytes(
        230 if x <= c < x + 5 and y <= r < y + 5 else 10 for r in range(side) for c in range(side))


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

    def bar(self, name, side=96, begin=60):
        """A black vertical bar on white, off centre."""
        rows = [b"\0" + bytes(0 if begin <= x < begin + 8 and 12 <= y < 80 else 255 for x in range(side))
                for y in range(side)]
        (self.folder / name).write_bytes(png(side, side, b"".join(rows)))

    def test_dark_on_light_images(self):
        self.glia("train", "mlp", "--data", "strokes?n=2000", "--epochs", 3, "--quiet", "--out", "run")
        self.bar("one.png")
        done = glia("predict", "run", "one.png", "--digit", folder=self.folder)
        if done.returncode and "libpng" in done.stderr:
            self.skipTest("built without libpng")
        self.assertIn("inverted", done.stdout)
        told = json.loads(self.glia("predict", "run", "one.png", "--digit", "--json").stdout)
        self.assertEqual(told["classes"][0]["class"], "1")
        self.assertNotIn("inverted", self.glia("predict", "run", "one.png").stdout)

    def test_pictures_are_read_as_in_training(self):
        """The two classes differ only in the position of the blob: it must not be centred."""
        for k in range(40):
            for kind, left in (("left", 2), ("right", 8)):
                path = self.folder / "blobs" / kind / f"{k}.pgm"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(blob(left + k % 3, 4 + k % 5))
        self.glia("train", "mlp", "--data", "images:blobs", "--epochs", 20, "--lr", 0.01, "--quiet", "--out", "run")
        for kind in ("left", "right"):
            files = [f"blobs/{kind}/{k}.pgm" for k in range(10)]
            told = [json.loads(line) for line in self.glia("predict", "run", *files, "--json").stdout.splitlines()]
            self.assertEqual([t["classes"][0]["class"] for t in told], [kind] * 10)

    def test_images_for_a_model_of_other_shape(self):
        npy(self.folder / "x.npy", "<f4", (40, 1, 4, 4), struct.pack("<640f", *(i % 256 for i in range(640))))
        npy(self.folder / "y.npy", "<i4", (40,), struct.pack("<40i", *(i % 2 for i in range(40))))
        self.glia("train", "mlp", "--data", "npy:x.npy,y.npy", "--epochs", 1, "--quiet", "--out", "run")
        (self.folder / "a.pgm").write_bytes(b"P5 4 4 255\n0123456789abcdef")
        self.refused("predict", "run", "a.pgm", code=1, says="numbers from 0 to 239")


class Splits(Folder):
    """Splits for training, validation and tests."""

    def trained(self, address, *options):
        self.glia("train", "mlp", "--data", address, "--epochs", 1, "--quiet", "--force", "--out", "run", *options)
        run = json.loads((self.folder / "run/run.json").read_text())
        return run["train_samples"], run["validation_samples"], run["test"]["samples"] if "test" in run else None

    def pictures(self, folder, each):
        for kind in ("a", "b"):
            (self.folder / folder / kind).mkdir(parents=True)
            for i in range(each):
                (self.folder / folder / kind / f"{i}.pgm").write_bytes(blob(3 + 6 * (kind == "b"), 5))

    def test_folders_of_splits(self):
        self.pictures("p/train", 20)
        self.pictures("p/test", 5)
        self.assertEqual(self.trained("images:p"), (36, 4, 10))
        self.refused("train", "mlp", "--data", "images:p?test=0.2", "--out", "no",
                     code=1, says="train and test folders")
        self.pictures("q/train", 20)  # without a test folder: a fifth
        self.assertEqual(self.trained("images:q"), (29, 3, 8))

    def test_arrays_of_splits(self):
        with zipfile.ZipFile(self.folder / "a.npz", "w") as file:
            for name, n in (("train", 50), ("test", 10)):
                file.writestr(f"x_{name}.npy", npy_bytes("<f4", (n, 2), bytes(8 * n)))
                file.writestr(f"y_{name}.npy", npy_bytes("<i4", (n,),
                                                         struct.pack(f"<{n}i", *(i % 2 for i in range(n)))))
        self.assertEqual(self.trained("npz:a.npz"), (45, 5, 10))
        self.refused("train", "mlp", "--data", "npz:a.npz?test=0.2", "--out", "no", code=1, says="arrays of a test set")
        with zipfile.ZipFile(self.folder / "b.npz", "w") as file:
            file.writestr("x_train.npy", npy_bytes("<f4", (50, 2), bytes(400)))
            file.writestr("y_train.npy", npy_bytes("<i4", (50,), struct.pack("<50i", *(i % 2 for i in range(50)))))
        self.assertEqual(self.trained("npz:b.npz"), (36, 4, 10))

    def test_no_validation(self):
        write_table(self.folder / "t.csv", FLOWERS, 100)
        self.assertEqual(self.trained("csv:t.csv"), (72, 8, 20))
        self.assertEqual(self.trained("csv:t.csv", "--no-validation"), (100, 0, None))
        told = json.loads(self.glia("eval", "run", "--json").stdout)
        self.assertEqual((told["samples"], told["trained_on"]), (100, True))
        self.assertEqual(self.trained("csv:t.csv?test=0.3", "--no-validation"), (70, 0, 30))
        self.assertFalse(json.loads(self.glia("eval", "run", "--json").stdout)["trained_on"])
        self.assertEqual(self.trained("csv:t.csv?test=0"), (90, 10, None))
        self.assertEqual(self.trained("strokes?n=100", "--no-validation"), (100, 0, 20))

    def test_invalid_fractions(self):
        write_table(self.folder / "t.csv", FLOWERS, 100)
        for share, says in (("1e19", "leaves nothing"), ("inf", ""), ("80", "leaves nothing"), ("1.5", "neither"),
                            ("0.001", "is none"), ("0.999", "leaves nothing"), ("-1", "")):
            with self.subTest(share=share):
                self.refused("train", "mlp", "--data", "csv:t.csv", "--validation-split", share, "--out", "no",
                             says=says)
        for test in ("1", "-0.1", "nan", "x"):
            self.refused("train", "mlp", "--data", f"csv:t.csv?test={test}", "--out", "no", code=1, says="fraction")

    def test_classes_whose_pictures_cannot_be_read(self):
        self.pictures("p", 5)
        (self.folder / "p/a/notes.txt").write_text("left out")
        self.glia("data", "images:p")
        for name, says in (("c/1.webp", "the class of its folder has no samples"),
                           ("c/1", "the class of its folder has no samples"),
                           ("a/1.gif", "p/a/1.gif: is not supported")):
            with self.subTest(name=name):
                (self.folder / "p" / name).parent.mkdir(exist_ok=True)
                (self.folder / "p" / name).write_bytes(b"x")
                self.refused("data", "images:p", code=1, says=says)
                (self.folder / "p" / name).unlink()


class Names(Folder):
    """Classes and columns are matched by name."""

    def setUp(self):
        super().setUp()
        write_table(self.folder / "all.csv", FLOWERS, 300)
        self.glia("train", "dnn", "--data", "csv:all.csv", "--epochs", 30, "--lr", 0.01, "--normalize", "--quiet",
                  "--out", "run")

    def accuracy(self, file, run="run"):
        return json.loads(self.glia("eval", run, "--data", "csv:" + file, "--json").stdout)["accuracy"]

    def test_fewer_classes(self):
        write_table(self.folder / "two.csv", FLOWERS[1:], 60)
        self.assertGreater(self.accuracy("two.csv"), 0.95)
        told = json.loads(self.glia("eval", "run", "--data", "csv:two.csv", "--json").stdout)
        self.assertEqual(told["classes"], [name for name, _ in FLOWERS])
        self.assertEqual(sum(told["confusion"][0]), 0)

    def test_columns_in_another_order(self):
        write_table(self.folder / "same.csv", FLOWERS, 60)
        write_table(self.folder / "swapped.csv", FLOWERS, 60, order=(3, 1, 4, 0, 2))
        self.assertEqual(self.accuracy("swapped.csv?label=kind"), self.accuracy("same.csv"))
        same, swapped = (self.glia("predict", "run", f"csv:{name}.csv?label=kind#7", "--json").stdout.split(":", 2)[2]
                         for name in ("same", "swapped"))
        self.assertEqual(same.split(",", 1)[1], swapped.split(",", 1)[1])

    def test_unknown_and_missing_names(self):
        renamed = [(name.replace("virginica", "Virginica2"), at) for name, at in FLOWERS]
        write_table(self.folder / "renamed.csv", renamed, 60)
        write_table(self.folder / "missing.csv", FLOWERS, 60, order=(0, 1, 2, 4))
        write_table(self.folder / "column.csv", FLOWERS, 60, columns=("sl", "sw", "pl", "petal_width", "kind"))
        for file, says in (("renamed.csv",
                            'the class "Virginica2" is unknown to the model; the nearest is "virginica"'),
                           ("missing.csv", 'the column "pw" is missing'), ("column.csv", 'the column "pw" is missing')):
            with self.subTest(file=file):
                self.refused("eval", "run", "--data", "csv:" + file, code=1, says=says)
                self.refused("predict", "run", f"csv:{file}#0", code=1, says=says)
                self.refused("train", "dnn", "--data", "csv:" + file, "--from", "run", "--out", "no", code=1, says=says)
        write_table(self.folder / "more.csv", FLOWERS, 60, columns=("sl", "sw", "pl", "pw", "id", "kind"),
                    order=(0, 1, 2, 3, 0, 4))
        self.refused("eval", "run", "--data", "csv:more.csv", code=1, says='the column "id" is unknown to the model')
        self.assertGreater(self.accuracy("more.csv?drop=id"), 0.95)

    def test_weights_of_another_order(self):
        write_table(self.folder / "two.csv", FLOWERS[1:], 100)
        self.glia("train", "dnn", "--data", "csv:two.csv", "--from", "run", "--epochs", 1, "--quiet", "--out", "two")
        told = json.loads(self.glia("eval", "two", "--data", "csv:two.csv", "--json").stdout)
        self.assertEqual(told["classes"], [name for name, _ in FLOWERS])
        write_table(self.folder / "swapped.csv", FLOWERS, 300, order=(3, 1, 2, 0, 4))
        self.glia("train", "dnn", "--data", "csv:swapped.csv", "--from", "run", "--normalize", "--lr", 1e-9, "--epochs",
                  1, "--quiet", "--out", "more")
        told = json.loads(self.glia("eval", "more", "--data", "csv:all.csv", "--json").stdout)
        self.assertEqual(told["classes"], [name for name, _ in FLOWERS])
        self.assertGreater(told["accuracy"], 0.9)  # as with the initial weights

    def test_resume_with_other_names(self):
        process = subprocess.Popen([GLIA, "train", "dnn", "--data", "csv:all.csv",
                                    "--epochs", "1000000", "--log", "json",
                                    "--checkpoint-seconds", "0", "--out", "cut"], cwd=self.folder, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for _ in range(2):
            process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=300)
        write_table(self.folder / "all.csv", FLOWERS, 300, order=(1, 0, 2, 3, 4))
        self.refused("train", "--resume", "cut", "--quiet", code=1,
                     says="was made with columns=sl,sw,pl,pw, and this training has columns=sw,sl,pl,pw")
        renamed = [(name.upper(), at) for name, at in FLOWERS]
        write_table(self.folder / "all.csv", renamed, 300)
        self.refused("train", "--resume", "cut", "--quiet", code=1, says="classes=SETOSA,VERSICOLOR,VIRGINICA")

    def test_names_with_line_breaks(self):
        strange = [("a\nb", FLOWERS[0][1]), ("c\\n", FLOWERS[1][1]), ("d", FLOWERS[2][1])]
        write_table(self.folder / "s.csv", strange, 100)
        self.glia("train", "dnn", "--data", "csv:s.csv", "--epochs", 1, "--quiet", "--out", "strange")
        told = json.loads(self.glia("eval", "strange", "--json").stdout)
        self.assertEqual(told["classes"], ["a\nb", "c\\n", "d"])

    def test_the_positive_class(self):
        write_table(self.folder / "two.csv", FLOWERS[1:], 100)
        train = ["train", "dnn", "--data", "csv:two.csv", "--epochs", 1, "--log", "lines", "--force", "--out", "two"]
        self.assertIn('f1 takes "virginica" for the positive class', self.glia(*train, "--metrics", "f1").stdout)
        chosen = self.glia(*train, "--metrics", "f1(positive=versicolor)").stdout
        self.assertIn('takes "versicolor" for the positive class', chosen)
        zero, one = (self.glia(*train, "--metrics", f"f1(positive={i})").stdout for i in (0, 1))
        value = [text.split("f1(positive=", 2)[2].split(") ", 1)[1].split("\n")[0] for text in (zero, one, chosen)]
        self.assertNotEqual(value[0], value[1])
        self.assertEqual(value[0], value[2])
        self.refused(*train, "--metrics", "f1(positive=rose)", code=1, says='no class "rose"')


class Tokenizers(Folder):
    """The tokenizer is saved with its model."""

    def setUp(self):
        super().setUp()
        for kind, words in (("good", "fine nice lovely"), ("bad", "poor dull awful")):
            for i in range(20):
                path = self.folder / "texts" / kind / f"{i}.txt"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(f"a {words.split()[i % 3]} film number {i}\n")
        (self.folder / "all.txt").write_text("a fine nice lovely poor dull awful film number 0 1 2 3 4 5\n" * 20)
        self.glia("tokenize", "train", "bpe", "all.txt", "--vocabulary", 300, "--out", "t.json")
        self.glia("train", "mlp", "--data", "texts:texts?tokenizer=t.json&length=8", "--epochs", 1, "--quiet", "--out",
                  "run")

    def test_tokenizer_without_its_file(self):
        whole = self.glia("eval", "run", "--json").stdout.split(', "seconds"')[0]
        (self.folder / "t.json").unlink()
        self.assertEqual(self.glia("eval", "run", "--json").stdout.split(', "seconds"')[0], whole)
        told = json.loads(self.glia("eval", "run", "--data", "texts:texts?length=8", "--json").stdout)
        self.assertEqual(told["samples"], 40)

    def test_other_ids(self):
        (self.folder / "l.txt").write_text("good\ta film\nbad\ta poor film\n" * 5)
        self.refused("eval", "run", "--data", "lines:l.txt?label=first&length=8", code=1,
                     says="not ids of the model's tokenizer")
        self.glia("tokenize", "train", "bpe", "all.txt", "--vocabulary", 270, "--out", "u.json")
        self.refused("eval", "run", "--data", "texts:texts?tokenizer=u.json&length=8", code=1,
                     says="u.json is not the model's tokenizer")
        self.glia("train", "mlp", "--data", "texts:texts?length=8", "--epochs", 1, "--quiet", "--out", "bytes")
        self.refused("eval", "bytes", "--data", "texts:texts?tokenizer=t.json&length=8", code=1,
                     says="trained without a tokenizer")
        self.refused("train", "mlp", "--data", "texts:texts?tokenizer=t.json&length=8", "--from", "bytes", "--out",
                     "no", code=1, says="trained without a tokenizer")


class Sheets(Folder):
    def test_a_sheet_of_augmented_samples(self):
        told = self.glia("data", DATA, "--sheet", "sheet.png", "--samples", 3, "--augment", "rotate(20) mixup").stdout
        self.assertIn("3 samples written to sheet.png, each with 11 augmented forms", told)
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
