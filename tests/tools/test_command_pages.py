"""Reports and drawings (`glia plot`, `lr-find`), rendered in a browser."""
import html
import json
import re
import shutil
import subprocess
import xml.etree.ElementTree

from command import DATA, Folder, glia, main


class Pages(Folder):
    """The report and drawings, in a browser."""
    LOOK = """<pre id=seen></pre><script>
        const shown = [...document.querySelectorAll('svg')].flatMap(svg => {
            const boxes = [...svg.querySelectorAll('text')].map(t => [t.textContent, t.getBoundingClientRect()]);
            return boxes.flatMap(([a, p], i) => boxes.slice(i + 1).filter(([b, q]) => p.width && q.width &&
                p.left < q.right - 1 && q.left < p.right - 1 && p.top < q.bottom - 3 && q.top < p.bottom - 3)
                .map(([b, q]) => a + ' over ' + b));
        });
        const root = document.documentElement, style = getComputedStyle(document.body);
        const wide = [...document.querySelectorAll('main *')].filter(e => !e.closest('.scroll,pre') &&
            e.getBoundingClientRect().right > innerWidth + 1).map(e => e.tagName + '.' + e.className);
        document.getElementById('seen').textContent = JSON.stringify({ overlaps: shown, wide: wide,
            paper: style.backgroundColor, ink: style.color, charts: document.querySelectorAll('figure svg').length,
            pictures: [...document.images].filter(i => i.complete && i.naturalWidth > 0).length,
            images: document.images.length, boxes: document.querySelectorAll('.network .box').length,
            loaded: performance.getEntriesByType('resource').filter(r => !r.name.startsWith('data:')).length });
        </script>"""

    def setUp(self):
        super().setUp()
        self.browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

    def look(self, page, width, dark):
        """Renders the page in a browser; skips the test if there is none."""
        if not self.browser:
            self.skipTest("there is no chromium here")
        copy = self.folder / "look.html"
        copy.write_text(page + self.LOOK)
        scheme = ["--blink-settings=preferredColorScheme=%d" % (0 if dark else 1)]
        done = subprocess.run([self.browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                               "--user-data-dir=" + str(self.folder / "profile"), "--window-size=%d,4000" % width,
                               "--dump-dom", *scheme, copy.as_uri()], capture_output=True, text=True, timeout=300)
        found = re.search("<pre id=\"seen\">(.*?)</pre>", done.stdout, re.DOTALL)
        if not found:
            self.skipTest("chromium does not start here: " + done.stderr[-200:])
        return json.loads(html.unescape(found.group(1)))

    def test_a_report_reads_well(self):
        self.glia("train", "lenet5", "--data", "strokes?n=600", "--epochs", 3, "--metrics", "f1,top5", "--quiet",
                  "--out", "run")
        page = (self.folder / "run/report.html").read_text()
        self.assertNotRegex(page, r"https?://(?!www.w3.org)|<script|@import|url\(")
        for words in ["Learning rate", "f1", "Confusion", "Worst mistakes", "Network", "optimizer.lr", "machine"]:
            self.assertIn(words, page)
        for dark in False, True:
            for width in 500, 800, 1400:
                with self.subTest(width=width, dark=dark):
                    seen = self.look(page, width, dark)
                    self.assertEqual((seen["overlaps"], seen["wide"], seen["loaded"]), ([], [], 0))
                    self.assertEqual((seen["charts"], seen["boxes"]), (5, 9))
                    self.assertEqual(seen["pictures"], seen["images"])
                    paper, ink = (sum(map(int, re.findall(r"\d+", seen[name])[:3])) for name in ("paper", "ink"))
                    self.assertEqual(paper < ink, dark)

    def test_every_model_can_be_drawn(self):
        models = re.findall(r"^([\w-]+) +\d", self.glia("models").stdout, re.MULTILINE)
        self.assertGreater(len(models), 8)
        later = {"word2vec", "cbow", "node2vec"}  # built when words or nodes are known
        tables = {"bpr-mf"}  # its vectors belong to no layer
        for model in models:
            if model in later:
                self.refused("summary", model, code=1, says="is built when it is trained")
                continue
            with self.subTest(model):
                self.glia("plot", model, "-o", "net.svg")
                tree = xml.etree.ElementTree.parse(self.folder / "net.svg").getroot()
                self.assertEqual(tree.tag, "{http://www.w3.org/2000/svg}svg")
                words = " ".join(tree.itertext())
                listed = re.search(r"Parameters +([\d,]+)", self.glia("summary", model).stdout).group(1)
                drawn = sum(int(n.replace(",", "")) for n in re.findall(r"([\d,]+) parameters", words))
                self.assertEqual(drawn, 0 if model in tables else int(listed.replace(",", "")))
        self.glia("plot", "resnet20", "-o", "net.svg")
        self.assertIn("skip", (self.folder / "net.svg").read_text())
        seen = self.look("<style>body{background:#fff;color:#000}</style>" + (self.folder / "net.svg").read_text(), 800,
                         False)
        self.assertEqual(seen["overlaps"], [])
        self.glia("train", "perceptron", "--data", DATA, "--epochs", 1, "--quiet", "--out", "run")
        self.assertIn("7,850", self.glia("plot", "run").stdout)
        self.refused("plot", "lenet6", says="did you mean lenet5?")

    def test_spiking_nets_are_exported(self):
        quick = ("--data", "strokes?n=64", "--no-validation", "--epochs", 1, "--quiet")
        self.glia("train", "snn-mlp", *quick, "--out", "spikes")
        self.refused("export", "spikes", "-o", "net.onnx", says="-o FILE.nir")
        self.refused("export", "spikes", says="-o FILE.nir")
        done = glia("export", "spikes", "-o", "net.nir", "--dt", "0.001", folder=self.folder)
        if done.returncode and "no HDF5" in done.stderr:
            self.skipTest("built without HDF5")
        self.assertIn("saved net.nir", done.stdout)
        content = (self.folder / "net.nir").read_bytes()
        self.assertEqual(content[:8], b"\x89HDF\r\n\x1a\n")
        for words in (b"NIRGraph", b"hidden.units", b"output.affine"):
            self.assertIn(words, content)
        self.glia("train", "mlp", *quick, "--out", "plain")
        self.refused("export", "plain", "-o", "plain.nir", code=1, says="the output should be (N, T, F)")
        self.assertFalse((self.folder / "plain.nir").exists())

    def test_a_learning_rate_is_found(self):
        done = self.glia("lr-find", "mlp", "--data", "strokes?n=1000", "-o", "lr.svg")
        suggested = float(re.search("--lr ([0-9.e-]+);", done.stdout).group(1))
        told = json.loads(self.glia("lr-find", "mlp", "--data", "strokes?n=1000", "--json").stdout)
        self.assertAlmostEqual(told["suggested"] / suggested, 1, places=1)
        rates = [point["lr"] for point in told["points"]]
        self.assertEqual(rates, sorted(rates))
        self.assertAlmostEqual(rates[0], 1e-6)
        best = min(told["points"], key=lambda point: point["smooth"])
        self.assertTrue(rates[0] < told["suggested"] < best["lr"])
        xml.etree.ElementTree.parse(self.folder / "lr.svg")
        self.refused("lr-find", "mlp", "--from", 1, "--to", 0.1, says="not below")
        self.refused("lr-find", "mlp", "--epochs", 3, says="no option --epochs")
        self.refused("lr-find", says="needs a model name")


if __name__ == "__main__":
    main()
