"""Archives and downloads: `glia data` reads files written by Python's tarfile and zipfile, and `glia data fetch`
downloads from a local server, which can send ranges, wrong data, or close the connection."""
import hashlib
import http.server
import io
import os
import pathlib
import re
import tarfile
import threading
import zipfile

from command import Folder, glia, main

WITHOUT = "this build of Glia has no"


class Server(http.server.BaseHTTPRequestHandler):
    """Serves files from memory. `ranges`: supports range requests; `stop_after`: bytes sent before it hangs up."""
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        here = self.server
        here.asked.append((self.path, self.headers.get("Range")))
        content = here.files.get(self.path.lstrip("/"))
        if content is None:
            self.send_error(404)
            return
        begin, wanted = 0, re.match(r"bytes=(\d+)-$", self.headers.get("Range") or "")
        if wanted and here.ranges:
            begin = int(wanted.group(1))
            if begin >= len(content):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", "bytes %d-%d/%d" % (begin, len(content) - 1, len(content)))
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content) - begin))
        self.end_headers()
        if here.stop_after is not None:
            self.wfile.write(content[begin:begin + here.stop_after])
            self.close_connection = True
        else:
            self.wfile.write(content[begin:])

    def log_message(self, *arguments):
        pass


class Network(Folder):
    """A folder with its own cache; the command has no proxy and no other data."""

    def glia(self, *arguments, code=0):
        environment = dict(os.environ, XDG_CACHE_HOME=str(self.folder / "cache"), no_proxy="*", NO_PROXY="*")
        environment.pop("GLIA_DATA", None)
        done = glia(*arguments, folder=self.folder, environment=environment)
        if WITHOUT in done.stderr:
            self.skipTest(done.stderr)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr


class Archives(Network):
    def pictures(self):
        """Grey images of three classes, two splits."""
        for split, count in ("train", 6), ("test", 2):
            for kind in "cat", "dog", "owl é":
                for i in range(count):
                    pixels = bytes((i * 40 + k) % 256 for k in range(12))
                    yield "%s/%s/%d.pgm" % (split, kind, i), b"P5 4 3 255\n" + pixels

    def test_all_formats_give_the_same_data(self):
        for name, content in self.pictures():
            path = self.folder / "pets" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        for ending, mode in (".tar", "w"), (".tar.gz", "w:gz"), (".tar.bz2", "w:bz2"), (".tar.xz", "w:xz"):
            for style in tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT:
                with tarfile.open(self.folder / ("pets%d%s" % (style, ending)), mode, format=style) as archive:
                    archive.add(self.folder / "pets", "some/where/far/" + "n" * 60 + "/away")
        for ending, method in ("stored.zip", zipfile.ZIP_STORED), ("deflated.zip", zipfile.ZIP_DEFLATED):
            with zipfile.ZipFile(self.folder / ending, "w", method) as archive:
                for name, content in self.pictures():
                    archive.writestr("pets/" + name, content)
                archive.writestr("__MACOSX/pets/train/cat/._0.pgm", b"no picture")
        wanted = {split: self.glia("data", "images:pets", "--split", split) for split in ("train", "test")}
        self.assertIn("18 samples of 1x3x4", wanted["train"])
        self.assertIn("6 samples of 1x3x4", wanted["test"])
        self.assertIn("owl é", wanted["train"])
        archives = [path.name for path in self.folder.iterdir() if path.is_file()]
        self.assertEqual(len(archives), 14)
        for name in archives:
            for split in wanted:
                with self.subTest(name, split=split):
                    told = self.glia("data", "images:" + name, "--split", split)
                    self.assertEqual(told.replace(name, "pets"), wanted[split])

    def test_a_cut_archive(self):
        for name, content in self.pictures():
            pass
        with tarfile.open(self.folder / "whole.tar.xz", "w:xz") as archive:
            info = tarfile.TarInfo("cat/1.pgm")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        whole = (self.folder / "whole.tar.xz").read_bytes()
        (self.folder / "cut.tar.xz").write_bytes(whole[:-20])
        self.assertIn("cut.tar.xz: offset", self.glia("data", "images:cut.tar.xz", code=1))


class Fetching(Network):
    def setUp(self):
        super().setUp()
        self.content = bytes(i * i % 251 for i in range(300000))
        self.sha256 = hashlib.sha256(self.content).hexdigest()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
        self.server.files, self.server.asked = {"some/data.bin": self.content}, []
        self.server.ranges, self.server.stop_after = True, None
        thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.base = "http://127.0.0.1:%d/" % self.server.server_port
        self.target, self.part = self.folder / "to/data.bin", self.folder / "to/data.bin.part"

    def fetch(self, *arguments, code=0):
        return self.glia("data", "fetch", self.base + "some/data.bin", "--to", "to", *arguments, code=code)

    def test_whole(self):
        self.assertIn("checksum correct", self.fetch("--sha256", self.sha256))
        self.assertEqual(self.target.read_bytes(), self.content)
        self.assertFalse(self.part.exists())
        self.assertEqual(len(self.server.asked), 1)
        self.assertIn("already downloaded", self.fetch("--sha256", self.sha256))  # no new request
        self.assertEqual(len(self.server.asked), 1)
        self.target.write_bytes(b"mine")
        self.assertIn("move it away", self.fetch("--sha256", self.sha256, code=1))
        self.assertEqual(self.target.read_bytes(), b"mine")

    def test_unknown_checksum(self):
        self.assertIn("sha256 %s (no checksum to compare with)" % self.sha256, self.fetch())
        self.assertEqual(self.target.read_bytes(), self.content)

    def test_interrupted_and_resumed(self):
        self.server.stop_after = 100000
        self.assertIn("glia: ", self.fetch("--sha256", self.sha256, code=1))
        self.assertFalse(self.target.exists())
        self.assertEqual(self.part.read_bytes(), self.content[:100000])
        self.fetch("--sha256", self.sha256, code=1)
        self.assertEqual(self.part.stat().st_size, 200000)
        self.server.stop_after = None
        self.assertIn("checksum correct", self.fetch("--sha256", self.sha256))
        self.assertEqual([wanted for _, wanted in self.server.asked], [None, "bytes=100000-", "bytes=200000-"])
        self.assertEqual(self.target.read_bytes(), self.content)
        self.assertFalse(self.part.exists())

    def test_a_server_without_ranges(self):
        (self.folder / "to").mkdir()
        self.part.write_bytes(self.content[:1000])
        self.server.ranges = False
        self.assertIn("checksum correct", self.fetch("--sha256", self.sha256))
        self.assertEqual(self.target.read_bytes(), self.content)

    def test_complete_or_wrong_part_file(self):
        (self.folder / "to").mkdir()
        self.part.write_bytes(self.content)  # complete: the server answers 416
        self.assertIn("checksum correct", self.fetch("--sha256", self.sha256))
        self.assertEqual(self.target.read_bytes(), self.content)
        self.target.unlink()
        self.part.write_bytes(b"x" * 1000)  # from another file: downloaded again from the start
        self.assertIn("checksum correct", self.fetch("--sha256", self.sha256))
        self.assertEqual(self.target.read_bytes(), self.content)

    def test_corrupt(self):
        changed = bytearray(self.content)
        changed[777] ^= 1
        self.server.files["some/data.bin"] = bytes(changed)
        told = self.fetch("--sha256", self.sha256, code=1)
        self.assertIn("wrong checksum", told)
        self.assertIn(hashlib.sha256(changed).hexdigest(), told)
        self.assertFalse(self.target.exists() or self.part.exists())

    def test_names(self):
        self.server.files["ett/ETTh1.csv"] = b"date,OT\n1,2\n"
        self.assertIn("no checksum to compare with", self.glia("data", "fetch", "ett", "--mirror", self.base))
        self.assertEqual((self.folder / "cache/glia/ett/ETTh1.csv").read_bytes(), b"date,OT\n1,2\n")
        self.server.files["mnist/train-images-idx3-ubyte.gz"] = b"not MNIST"
        told = self.glia("data", "fetch", "mnist", "--mirror", self.base, "--to", "to", code=1)
        self.assertIn("wrong checksum", told)
        self.assertEqual(list((self.folder / "to/mnist").iterdir()), [])
        real = pathlib.Path(os.environ.get("GLIA_DATA", ""), "shakespeare/input.txt")
        if os.environ.get("GLIA_DATA") and real.is_file():
            self.server.files["shakespeare/input.txt"] = real.read_bytes()
            told = self.glia("data", "fetch", "shakespeare", "--mirror", self.base.rstrip("/"))
            self.assertIn("checksum correct", told)

    def test_invalid_arguments(self):
        self.assertIn("404", self.glia("data", "fetch", self.base + "none.bin", "--to", "to", code=1))
        self.assertIn("did you mean mnist?", self.glia("data", "fetch", "mnits", code=2))
        self.assertIn("shakespeare", self.glia("data", "fetch", "nonsense words", code=2))
        self.assertIn("fetch needs a name", self.glia("data", "fetch", code=2))
        self.assertIn("has no file name", self.glia("data", "fetch", self.base, code=2))
        self.assertIn("for `data fetch`", self.glia("data", "strokes", "--to", "x", code=2))
        (self.folder / "file").write_text("")
        self.assertIn("file", self.glia("data", "fetch", self.base + "some/data.bin", "--to", "file/x", code=1))

    def test_unreachable_server(self):
        self.server.shutdown()
        self.server.server_close()
        told = self.fetch(code=1)
        self.assertIn("does not answer: is there a network?", told)
        told = self.glia("data", "fetch", "http://no-such-host.invalid/x.bin", "--to", "to", code=1)
        self.assertIn("is there a network?", told)
        self.assertEqual(list((self.folder / "to").iterdir()), [])


if __name__ == "__main__":
    main()
