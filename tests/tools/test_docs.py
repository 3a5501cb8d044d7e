"""The programs in the documentation compile and run. Usage: test_docs.py COMPILER SOURCE BUILD

The pages in PAGES: each ```c block is the body of a main(), run in one folder in the order of the page.
docs/data.md and docs/word2vec.md: the ```sh blocks also run, line by line; a line must print the text in the comment at
its end.
docs/add-an-op.md: each ```c page block is a file of src/ops; compiled only.
README.md: its program is examples/forty_lines.c.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

COMPILER, SOURCE, BUILD = None, None, None
FLAGS = ["-std=gnu17", "-Wall", "-Wextra", "-Werror"]
BEGIN = "#include <glia/glia.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n\nint main(void) {\n"
END = "\n    return 0;\n}\n"


def blocks(page, kind):
    return re.findall(r"^```%s\n(.*?)^```$" % kind, (SOURCE / page).read_text(), re.MULTILINE | re.DOTALL)


def run(*arguments, folder=None):
    done = subprocess.run(list(map(str, arguments)), cwd=folder, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


PAGES = ["api", "data", "augmentation", "text", "sequences", "word2vec", "generative", "methods", "explaining",
         "reinforcement", "vision", "graphs", "spiking", "evolution"]


class Docs(unittest.TestCase):
    def test_api(self):
        snippets = [snippet for page in PAGES for snippet in blocks(f"docs/{page}.md", "c")]
        self.assertGreater(len(snippets), 6)
        with tempfile.TemporaryDirectory() as folder:
            for i, snippet in enumerate(snippets):
                with self.subTest(snippet.splitlines()[0]):
                    source, program = pathlib.Path(folder, "snippet%d.c" % i), pathlib.Path(folder, "snippet%d" % i)
                    include = re.compile(r"^#include .*\n", re.MULTILINE)
                    source.write_text("".join(include.findall(snippet)) + BEGIN + include.sub("", snippet) + END)
                    run(COMPILER, *FLAGS, "-I", SOURCE / "include", source, "-o", program, "-L", BUILD, "-lglia",
                        "-Wl,-rpath," + str(BUILD), "-lm")
                    told = run(program, folder=folder)
                    for promised in re.findall(r'printf\(.*/\* (.*?) \*/$', snippet, re.MULTILINE):
                        self.assertIn(promised, told)

    def test_data(self):
        lines = "".join(blocks("docs/data.md", "sh") + blocks("docs/word2vec.md", "sh") +
                        blocks("docs/text.md", "sh")).splitlines()
        self.assertGreater(len(lines), 16)
        path = {**os.environ, "PATH": "%s:%s" % (BUILD, os.environ["PATH"])}
        with tempfile.TemporaryDirectory() as folder:
            for line in lines:
                with self.subTest(line):
                    done = subprocess.run(["sh", "-c", line], cwd=folder, capture_output=True, text=True, env=path)
                    self.assertEqual(done.returncode, 0, done.stderr)
                    if line.startswith(("glia data", "glia word2vec", "glia tokenize")):
                        self.assertIn(line.split("  # ")[1], done.stdout)

    def test_add_an_op(self):
        pages = blocks("docs/add-an-op.md", "c page")
        self.assertEqual(len(pages), 2)
        with tempfile.TemporaryDirectory() as folder:
            for i, page in enumerate(pages):
                name = re.search(r"glia_tensor (glia_\w+)\(glia_tensor x\)", page).group(1)
                op = name.replace("glia_", "glia_op_")
                declared = "\nextern const glia_op %s;\nglia_tensor %s(glia_tensor x);\n" % (op, name)
                source = pathlib.Path(folder, "page%d.c" % i)
                source.write_text(page.replace('#include "core/ops/ops.h"\n', '#include "core/ops/ops.h"\n' + declared))
                run(COMPILER, *FLAGS, "-fsyntax-only", "-I", SOURCE / "include", "-I", SOURCE / "src", source)

    def test_readme(self):
        self.assertIn((SOURCE / "examples/forty_lines.c").read_text(), blocks("README.md", "c"))


if __name__ == "__main__":
    COMPILER = sys.argv.pop(1)
    SOURCE, BUILD = (pathlib.Path(sys.argv.pop(1)).resolve() for _ in range(2))
    unittest.main()
