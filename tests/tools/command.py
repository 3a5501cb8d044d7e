"""Shared by the tests of the `glia` command. Each test_command_*.py is a program: test_command_x.py PATH-TO-GLIA
[NAME...]; with NAMEs (`Usage.test_hints`) it runs only those tests."""
import fcntl
import json
import os
import pathlib
import pty
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import unittest
import zlib

GLIA = os.path.abspath(sys.argv.pop(1))
DATA = "strokes?n=400"
TRAIN = ["train", "perceptron", "--data", DATA, "--epochs", "2"]


def glia(*arguments, folder=None, environment=None):
    return subprocess.run([GLIA, *map(str, arguments)], cwd=folder, env=environment, capture_output=True, text=True,
                          timeout=600)


def tensors(path):
    """The bytes of each tensor of a safetensors file."""
    content = path.read_bytes()
    length, = struct.unpack("<Q", content[:8])
    header = json.loads(content[8:8 + length])
    header.pop("__metadata__", None)
    return {name: content[8 + length:][slice(*about["data_offsets"])] for name, about in header.items()}


def png(width, height, rows):
    """A grey PNG image; rows: a 0 byte (filter type) before the pixels of each row."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


class Folder(unittest.TestCase):
    """A test that runs the command in a temporary folder."""

    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self.temporary.cleanup)
        self.folder = pathlib.Path(self.temporary.name)

    def glia(self, *arguments, code=0):
        done = glia(*arguments, folder=self.folder)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def refused(self, *arguments, code=2, says=""):
        """Expects one line on stderr that begins with "glia: " and contains `says`, and nothing on stdout."""
        done = self.glia(*arguments, code=code)
        self.assertTrue(done.stderr.startswith("glia: "), done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertIn(says, done.stderr)
        return done

    def on_terminal(self, arguments, columns, until=None):
        """Runs the command on a pseudo-terminal of this width; interrupts it after `until` was printed three times.
        Returns (exit status, bytes)."""
        try:
            leader, follower = pty.openpty()
        except OSError as error:  # a container without /dev/pts
            self.skipTest(f"no pseudo-terminal here: {error}")
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        environment = dict(os.environ, TERM="xterm", LC_ALL="C.UTF-8")
        environment.pop("NO_COLOR", None)
        process = subprocess.Popen([GLIA, *map(str, arguments)], cwd=self.folder, stdout=follower, stderr=follower,
                                   stdin=follower, env=environment)
        os.close(follower)
        seen = b""
        try:
            while select.select([leader], [], [], 300)[0]:
                more = os.read(leader, 4096)
                seen += more
                if until and seen.count(until) >= 3:
                    process.send_signal(signal.SIGINT)
                    until = None
                if not more:
                    break
        except OSError:  # the other end was closed
            pass
        os.close(leader)
        return process.wait(timeout=300), seen


main = unittest.main
