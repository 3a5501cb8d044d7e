"""Arguments and files that must not crash the command. Usage: test_command_faults.py PATH-TO-GLIA"""
import os
import pathlib
import re
import resource
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib

GLIA = None
MEMORY = 400 << 20  # bytes of address space
BOMB = 96 << 20
SANITIZED = False  # sanitizers reserve terabytes of address space: no limit then


def npy(shape, values, descr="<i4", code="i"):
    header = repr({"descr": descr, "fortran_order": False, "shape": shape})
    header += " " * (-(len(header) + 11) % 64) + "\n"
    return (b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header.encode() +
            struct.pack(f"<{len(values)}{code}", *values))


def zipped(members):
    """A zip file of (name, claimed size, deflated bytes), each with the checksum of that many zeros."""
    out, contents = b"", b""
    for name, size, packed in members:
        crc = 0
        for _ in range(size >> 20):
            crc = zlib.crc32(bytes(1 << 20), crc)
        crc = zlib.crc32(bytes(size & (1 << 20) - 1), crc)
        head = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 0, crc, len(packed), size, len(name), 0)
        contents += (b"PK\1\2" + struct.pack("<H", 20) + head + struct.pack("<HHHII", 0, 0, 0, 0, len(out)) +
                     name.encode())
        out += b"PK\3\4" + head + name.encode() + packed
    end = struct.pack("<HHHHIIH", 0, 0, len(members), len(members), len(contents), len(out), 0)
    return out + contents + b"PK\5\6" + end


def deflated_zeros(size):
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(size >> 20)) + packer.flush()


class Faults(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self.temporary.cleanup)
        self.folder = pathlib.Path(self.temporary.name)

    def glia(self, *arguments, memory=None, stdin=subprocess.DEVNULL):
        """Runs the command, which must exit without a signal and never print a null pointer."""
        def limit():
            if memory and not SANITIZED:
                resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        done = subprocess.run([GLIA, *map(str, arguments)], cwd=self.folder, capture_output=True, stdin=stdin,
                              preexec_fn=limit)
        done.text = (done.stdout + done.stderr).decode(errors="replace")
        self.assertIn(done.returncode, (0, 1, 2), f"{arguments}: {done.returncode} {done.text}")
        self.assertNotIn("(null)", done.text)
        self.assertNotRegex(done.text, r"\bGLIA_(?!DATA|ISA)|\bglia_\w")  # names of the C API
        return done

    def refused(self, *arguments, says, **how):
        done = self.glia(*arguments, **how)
        self.assertNotEqual(done.returncode, 0, done.text)
        self.assertIn(says, done.text)
        return done

    def save(self, name, content):
        (self.folder / name).write_bytes(content)
        return name

    def test_empty_options(self):
        commands = re.findall(r"^  ([\w-]+) +\w", self.glia("help").text.split("`glia help")[0], re.MULTILINE)
        self.assertGreaterEqual(len(commands), 9)
        tried = 0
        for command in commands:
            if command == "demo":
                continue  # has no names except --out, and trains without them
            for option in re.findall(r"^ +(?:-o, )?--([\w-]+) [A-Z]", self.glia("help", command).text, re.MULTILINE):
                with self.subTest(command=command, option=option):
                    self.glia(command, "--" + option, "")
                    self.glia(command, "", "--" + option, "")
                    self.glia(command, "--" + option + "=")
                    tried += 1
            for n in 1, 2, 3:
                with self.subTest(command=command, arguments=n):
                    self.glia(command, *[""] * n)
        self.assertGreater(tried, 60)

    def test_empty_names_are_refused(self):
        self.refused("train", "mlp", "--data", "", says="--data needs a value")
        self.refused("train", "mlp", "--data", "strokes?n=100", "--out", "", says="--out needs a value")
        self.refused("train", "--resume", "", says="--resume needs a value")
        self.refused("train", "--config", "", says="--config needs a value")
        self.refused("demo", "--out", "", says="--out needs a value")

    def test_messages_have_the_names_of_the_command(self):
        self.save("one.csv", b"1,2,a\n" * 50)
        self.refused("train", "mlp", "--data", "csv:one.csv", "--quiet", says="binary-cross-entropy takes one score")

    def test_targets_that_are_many_integers(self):
        """A sample's class is one int32; targets of other shapes must not be read into it."""
        for shape in (2, 300000), (2, 3, 1000), (2, 2), (4, 1):
            count = shape[0] * (shape[1] if len(shape) == 2 else shape[1] * shape[2])
            name = self.save("t.npy", npy(shape, [i % 7 for i in range(count)]))
            with self.subTest(shape=shape):
                done = self.glia("data", f"npy:{name},{name}")
                self.assertEqual(done.returncode, 0, done.text)
        x = self.save("x.npy", npy((2, 1, 28, 28), [0] * 2 * 784, "<f4", "f"))
        y = self.save("y.npy", npy((2, 300000), [1] * 600000))
        done = self.glia("data", f"npy:{x},{y}")
        self.assertIn("targets: 300000 i32", done.text)
        self.assertIn("sample 0\n", done.text)
        self.assertEqual(self.glia("train", "perceptron", "--data", "strokes?n=100", "--epochs", "1", "--quiet",
                                   "--out", "run").returncode, 0)
        done = self.glia("predict", "run", f"npy:{x},{y}#1")
        self.assertEqual(done.returncode, 0, done.text)
        self.assertNotIn("truth", done.text)

    def test_devices_and_pipes(self):
        for address in "csv:/dev/zero", "npy:/dev/zero", "lines:/dev/zero", "images:/dev/zero", "libsvm:/dev/urandom":
            self.refused("data", address, says="/dev/", memory=MEMORY)
        self.refused("train", "--config", "/dev/zero", says="File too large", memory=MEMORY)
        self.refused("word2vec", "train", "/dev/zero", says="a device", memory=MEMORY)
        read, write = os.pipe()
        os.write(write, b"a,b,kind\n1,2,x\n3,4,y\n")
        os.close(write)
        with os.fdopen(read) as stdin:
            self.assertIn("2 samples of 2", self.glia("data", "csv:/dev/stdin", stdin=stdin).text)

    def test_small_files_that_ask_for_much_memory(self):
        """Above 64 MiB, expansion by more than 256 to 1 is refused."""
        zeros = deflated_zeros(BOMB)
        self.save("zeros.zip", zipped([("a/x.txt", BOMB, zeros)]))
        some = deflated_zeros(BOMB >> 3)
        self.save("many.zip", zipped([(f"a/{i}.txt", BOMB >> 3, some) for i in range(40)]))
        self.save("few.zip", zipped([("a/x.txt", 1 << 20, deflated_zeros(1 << 20)),
                                     ("b/x.txt", 1 << 20, deflated_zeros(1 << 20))]))
        for name in "zeros.zip", "many.zip":
            self.refused("data", f"texts:{name}", says="bytes, the limit for a zip", memory=MEMORY)
        self.assertIn("2 samples", self.glia("data", "texts:few.zip?length=16", memory=MEMORY).text)
        head = b"\x93NUMPY\2\0" + struct.pack("<I", 65)
        head += b"{'descr': '<f4', 'fortran_order': False, 'shape': (1024, 24576)}\n"
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        body = (packer.compress(head) + b"".join(packer.compress(bytes(1 << 20)) for _ in range(BOMB >> 20)) +
                packer.flush())
        self.save("x.npz", zipped([("x.npy", len(head) + BOMB, body)]))
        self.refused("data", "npz:x.npz", says="bytes, the limit for a zip", memory=MEMORY)
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        body = packer.compress(b"\0\0\x08\2" + struct.pack(">II", BOMB >> 20, 1 << 20))
        body += b"".join(packer.compress(bytes(1 << 20)) for _ in range(BOMB >> 20)) + packer.flush()
        self.save("idx.gz", body)
        self.refused("data", "idx:idx.gz", says="bytes of IDX data, in a gzip file", memory=MEMORY)
        self.save("t.csv.gz", body)
        self.refused("data", "csv:t.csv.gz", says="more than", memory=MEMORY)
        self.save("tar.gz", body)
        self.refused("data", "images:tar.gz", says="more than", memory=MEMORY)

    def test_long_sparse_rows(self):
        self.save("s.svm", b"1 2000000000:1\n0 1:1\n")
        self.refused("data", "libsvm:s.svm", says="features=2000000000", memory=MEMORY)
        self.save("s.svm", b"1 3000000:1\n0 1:1\n")
        self.assertIn("2 samples of 3000000", self.glia("data", "libsvm:s.svm", memory=MEMORY).text)
        self.save("s.svm", b"1 20000000:1\n0 1:1\n")
        self.refused("data", "libsvm:s.svm", says="features=20000000", memory=MEMORY)
        self.assertIn("samples of 20000000", self.glia("data", "libsvm:s.svm?features=20000000").text)

    def test_pictures_that_ask_for_much_memory(self):
        def chunk(kind, data):
            return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        (self.folder / "p" / "a").mkdir(parents=True)
        png = b"\x89PNG\r\n\x1a\n"
        wide = chunk(b"IHDR", struct.pack(">IIBBBBB", 30000, 30000, 1, 0, 0, 0, 0))
        packer = zlib.compressobj(9)
        rows = packer.compress(bytes(3751 * 30000)) + packer.flush()
        self.save("p/a/1.png", png + wide + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
        self.refused("data", "images:p", says="too many pixels for the size of the file", memory=MEMORY)
        small = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 0))
        text = chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(7 << 20), 9))
        self.save("p/a/1.png", png + small + text * 200 + chunk(b"IDAT", zlib.compress(b"\0\1\2\0\3\4")) +
                  chunk(b"IEND", b""))
        self.assertIn("1 samples of 1x2x2", self.glia("data", "images:p", memory=MEMORY).text)
        (self.folder / "p/a/1.png").unlink()
        frame = b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, 60000, 60000, 3) + b"\1\x11\0\2\x11\0\3\x11\0"
        scan = b"\xff\xda" + struct.pack(">HB", 12, 3) + b"\1\0\2\0\3\0\0\x3f\0"
        self.save("p/a/1.jpg", b"\xff\xd8" + frame + scan + bytes(1000) + b"\xff\xd9")
        self.refused("data", "images:p", says="too many pixels for a file of", memory=MEMORY)


if __name__ == "__main__":
    GLIA = os.path.abspath(sys.argv.pop(1))
    SANITIZED = b"__asan_init" in pathlib.Path(GLIA).read_bytes() or b"__tsan_init" in pathlib.Path(GLIA).read_bytes()
    unittest.main()
