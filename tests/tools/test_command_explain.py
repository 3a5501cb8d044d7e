"""`glia explain`: methods, what it prints and writes, mistakes."""
import json
import re
import struct
import zipfile

from command import Folder, main


class Explaining(Folder):
    def setUp(self):
        super().setUp()
        lines = ["length,width,kind"]
        for i in range(60):
            lines.append(f"{i % 7},{(i * 5) % 11},{'long' if i % 7 > 3 else 'short'}")
        (self.folder / "t.csv").write_text("\n".join(lines) + "\n")
        self.glia("train", "dnn", "--data", "csv:t.csv", "--epochs", 15, "--threads", 1, "--quiet", "--out", "run")

    def explain(self, *arguments):
        return self.glia("explain", "run", *arguments, "--threads", 1).stdout

    def test_methods_are_listed(self):
        page = self.glia("explain", "methods").stdout
        for name in ("grad-cam++", "kernel-shap", "lime", "attention-rollout", "deep-shap"):
            self.assertIn(name, page)
        self.assertRegex(self.glia("explain", "kernel-shap").stdout, r"tolerance +largest standard error")

    def test_values_add_up(self):
        for method in ("exact-shap", "deep-shap", "permutation-shap", "integrated-gradients"):
            said = json.loads(self.explain("csv:t.csv#3", "--method", method, "--json"))
            total = sum(said["values"][0]) + said["base_values"][0]
            self.assertAlmostEqual(total, said["samples"][0]["output_value"], delta=2e-2, msg=method)
            self.assertEqual(said["feature_names"], ["length", "width"])
            self.assertIn(said["samples"][0]["output_name"], ("long", "short"))
            self.assertEqual(len(said["data"][0]), 2)

    def test_the_same_seed_gives_the_same_bytes(self):
        def once(seed):
            return self.explain("csv:t.csv#3", "--method", "lime", "--seed", seed, "--json")
        self.assertEqual(once(1), once(1))
        self.assertNotEqual(once(1), once(2))

    def test_what_it_writes(self):
        said = self.explain("csv:t.csv#0:10", "--method", "exact-shap", "--class", "long", "--top", 1, "-o", "x.html",
                            "-o", "x.npz", "-o", "x.svg", "-o", "x.json")
        self.assertEqual(len(re.findall(r"score of long", said)), 10)
        page = (self.folder / "x.html").read_text()
        self.assertNotIn("<script", page)
        self.assertNotRegex(page, r"https?:(?!//www.w3.org)")
        self.assertGreaterEqual(page.count("<svg"), 4)
        with zipfile.ZipFile(self.folder / "x.npz") as z:
            self.assertIsNone(z.testzip())
            values = z.read("values.npy")
        self.assertRegex(values[:128], rb"'shape': \(10, 2,?\)")
        first = struct.unpack("<2d", values[-160:-144])
        for a, b in zip(first, json.loads((self.folder / "x.json").read_text())["values"][0]):
            self.assertAlmostEqual(a, b, delta=1e-6 * abs(a))
        for plot in ("bar", "waterfall", "force", "beeswarm", "dependence"):
            self.explain("csv:t.csv#0:10", "--method", "exact-shap", "--plot", plot, "--feature", "width", "-o",
                         "p.svg")
            self.assertIn("xmlns", (self.folder / "p.svg").read_text())

    def test_pictures(self):
        self.glia("train", "lenet5", "--data", "strokes?n=200", "--epochs", 1, "--threads", 1, "--quiet", "--out",
                  "digits")
        said = self.glia("explain", "digits", "strokes?n=20#0", "--method", "grad-cam", "--check", "-o", "x.png", "-o",
                         "x.html", "--threads", 1).stdout
        self.assertEqual((self.folder / "x.png").read_bytes()[:4], b"\x89PNG")
        self.assertRegex(said, r"random down to c1 +rank correlation")
        self.assertIn("data:image/png;base64,", (self.folder / "x.html").read_text())
        said = self.glia("explain", "digits", "strokes?n=20#0", "--method", "integrated-gradients", "--curves",
                         "--score", "probability", "-o", "x.json", "-o", "x.html", "--threads", 1).stdout
        self.assertRegex(said, r"area of deletion 0\.\d+, of insertion 0\.\d+")
        sample = json.loads((self.folder / "x.json").read_text())["samples"][0]
        gone, come = sample["deletion"], sample["insertion"]
        self.assertEqual([len(gone), len(come)], [21, 21])
        self.assertAlmostEqual(gone[0], come[-1], delta=1e-5)  # the sample itself
        self.assertAlmostEqual(gone[-1], come[0], delta=1e-5)  # zeros
        area = sum((a + b) / 40 for a, b in zip(gone, gone[1:]))
        self.assertAlmostEqual(sample["deletion_area"], area, delta=1e-7)
        self.assertIn("Deletion and insertion", (self.folder / "x.html").read_text())

    def test_text(self):
        lines = [f"{'good' if i % 2 else 'bad'} film number {i}\t{'yes' if i % 2 else 'no'}\n" for i in range(40)]
        (self.folder / "t.txt").write_text("".join(lines))
        self.glia("train", "text-cnn", "--data", "lines:t.txt?label=last&length=20", "--epochs", 1, "--threads", 1,
                  "--quiet", "--out", "words")
        page = self.glia("explain", "words", "lines:t.txt?label=last&length=20#1", "--method", "lime", "--set",
                         "samples=200 most=200", "-o", "x.html", "--threads", 1)
        self.assertIn("class='card words'", (self.folder / "x.html").read_text())
        self.assertRegex(page.stdout, r"(?s)\bgood +[+-]0.*R2")
        self.refused("explain", "words", "lines:t.txt?label=last&length=20#0:3", "--method", "lime",
                     says="one at a time")

    def test_mistakes(self):
        self.refused("explain", "run", "csv:t.csv#0", says="--method NAME is missing")
        self.refused("explain", "run", "--method", "lime", says="needs inputs")
        self.refused("explain", "run", "csv:t.csv#0", "--method", "lim", says="did you mean lime")
        self.refused("explain", "run", "csv:t.csv#0", "--method", "lime", "--class", "lon", says="did you mean long")
        self.refused("explain", "run", "csv:t.csv#0", "--method", "lime", "--set", "sample=3", says="samples")
        self.refused("explain", "run", "csv:t.csv#0", "--method", "lime", "--plot", "pie", says="waterfall")
        self.refused("explain", "run", "csv:t.csv#0", "--method", "saliency", "-o", "x.gif", says="the ending says")
        self.refused("explain", "run", "csv:t.csv#0", "--method", "saliency", "-o", "x.png", says="no pictures")
        self.refused("explain", "run", "csv:t.csv#0", "--method", "grad-cam", says="maps", code=1)
        self.refused("explain", "run", "csv:t.csv#99", "--method", "saliency", says="99", code=1)


main()
