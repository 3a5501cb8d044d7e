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
SANITIZED = False  # a sanitizer reserves terabytes of addresses: no limit on them then


def npy(shape, values, descr="<i4", code="i"):
    header = repr({"descr": descr, "fortran_order": False, "shape": shape})
    header += " " * (-(len(header) + 11) % 64) + "\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header.encode() + struct.pack(f"<{len(values)}{code}", *values)


def zipped(members):
    """A zip file of (name, bytes claimed, deflated bytes), each with a right checksum of zeros."""
    out, contents = b"", b""
    for name, size, packed in members:
        crc = 0
        for _ in range(size >> 20):
            crc = zlib.crc32(bytes(1 << 20), crc)
        crc = zlib.crc32(bytes(size & (1 << 20) - 1), crc)
        head = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 0, crc, len(packed), size, len(name), 0)
        contents += b"PK\1\2" + struct.pack("<H", 20) + head + struct.pack("<HHHII", 0, 0, 0, 0, len(out)) + name.encode()
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
        """Ends by itself, without a signal, and never prints a null pointer."""
        def limit():
            if memory and not SANITIZED:
                resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        done = subprocess.run([GLIA, *map(str, arguments)], cwd=self.folder, capture_output=True, stdin=stdin,
                              preexec_fn=limit)
        done.text = (done.stdout + done.stderr).decode(errors="replace")
        self.assertIn(done.returncode, (0, 1, 2), f"{arguments}: {done.returncode} {done.text}")
        self.assertNotIn("(null)", done.text)
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
                continue  # takes no names but --out, and trains without them
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
        self.refused("train", "mlp", "--data", "", says="--data wants a value")
        self.refused("train", "mlp", "--data", "strokes?n=100", "--out", "", says="--out wants a value")
        self.refused("train", "--resume", "", says="--resume wants a value")
        self.refused("train", "--config", "", says="--config wants a value")
        self.refused("demo", "--out", "", says="--out wants a value")

    def test_targets_that_are_many_integers(self):
        """The class of a sample is one int32; targets of other shapes are not read into it."""
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


if __name__ == "__main__":
    GLIA = os.path.abspath(sys.argv.pop(1))
    SANITIZED = b"__asan_init" in pathlib.Path(GLIA).read_bytes() or b"__tsan_init" in pathlib.Path(GLIA).read_bytes()
    unittest.main()
