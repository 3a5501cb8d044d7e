"""The table of `make figures`, bench/figures.def, and the page docs/figures.md. Usage: test_figures.py SOURCE GLIA

The table is correct: the pages still make the claims, the programs and models exist, the readings find the number in a
sample of the output. The page is what bench/figures.py writes from the table and the stored results. A small table is
measured with the command.
"""
import json
import math
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

SOURCE, GLIA = (pathlib.Path(sys.argv.pop(1)).resolve() for _ in range(2))
SCRIPT = SOURCE / "bench/figures.py"
sys.dont_write_bytecode = True
sys.path.insert(0, str(SCRIPT.parent))
import figures  # noqa: E402

TABLE = figures.read_table((SOURCE / "bench/figures.def").read_text())
TOOLS = {"zcat", "tr", "sed", "test"}
SMALL = r'''
SECTION("Small")
FIGURE("digits", "a perceptron learns a little", NULL,
       "glia train perceptron --data 'strokes?n=400' --epochs 2 --seed $SEED --log json --out run", NULL, 0.1)
VALUE("accuracy", "%", "json test.accuracy * 100", ">= 0", "{\"test\": {\"accuracy\": 0.5}}")
VALUE("loss", "", "json test.loss", "< [accuracy]", "{\"test\": {\"loss\": 0.5}}")
FIGURE("echo", "one is more than two", NULL, "echo one 1\necho one 1.5", NULL, 0.1)
VALUE("one", "", "^one ([0-9.]+)$", "> 2", "one 1.5")
VALUE("lines", "", "count ^one", ">= 2", "one")
FIGURE("broken", "a program that fails", NULL, "echo 7 && exit 3", NULL, 5)
VALUE("number", "", "([0-9]+)", NULL, "7")
FIGURE("far", "data that nobody has", NULL, "echo 7", "no-such-data", 0.1)
VALUE("number", "", "([0-9]+)", ">= 7", "7")
'''


def words(text):
    """The text without differences of blanks and line breaks, and of stars at the beginning of a comment's lines."""
    return " ".join(re.sub(r"^ \*(?= )", "", text, flags=re.MULTILINE).split())


class Table(unittest.TestCase):
    def test_pages_make_the_claims(self):
        for figure in TABLE:
            if figure.place:
                page, _, text = figure.place.partition(": ")
                with self.subTest(figure.name):
                    self.assertIn(words(text), words((SOURCE / page).read_text()), f"{page} no longer says so")

    def test_programs_and_models_exist(self):
        table = (SOURCE / "models/models.def").read_text()
        models = set(re.findall(r'^[A-Z]+\("([^"]+)"', table, re.MULTILINE))
        commands = set(re.findall(r"^COMMAND\((\w+),", (SOURCE / "tools/commands/commands.def").read_text(),
                                  re.MULTILINE))
        for figure in TABLE:
            plain = re.sub(r"""'[^']*'|"[^"]*\"""", "QUOTED", figure.command)
            for part in re.split(r"&&|\|\||[|;\n]", plain):
                program, *arguments = part.split()
                with self.subTest(figure.name, part=part):
                    if program == "glia":
                        self.assertIn(arguments[0].replace("-", "_"), commands)
                        if arguments[0] == "train":
                            self.assertIn(arguments[1], models)
                            self.assertIn("--seed $SEED", part)
                    elif program not in TOOLS:
                        self.assertTrue((SOURCE / "examples" / f"{program}.c").is_file(), f"no example {program}")

    def test_readings_match_the_samples(self):
        for figure in TABLE:
            for value in figure.values:
                with self.subTest(figure.name, value=value.what):
                    number = figures.read_number(value.reading, value.sample)
                    self.assertIsNotNone(number)
                    self.assertTrue(math.isfinite(number))
                    self.assertNotEqual(number, 0)

    def test_page_is_what_the_script_writes(self):
        stored = SOURCE / "bench/figures.json"
        page = figures.page_text(TABLE, figures.load_results(stored, TABLE))
        self.assertTrue((SOURCE / "docs/figures.md").read_text() == page,
                        "docs/figures.md differs; `python3 bench/figures.py --render` writes it")
        self.assertEqual(set(json.loads(stored.read_text())) - {figure.name for figure in TABLE}, set())


class Reading(unittest.TestCase):
    def test_numbers(self):
        output = ('{"epoch": 1, "val_loss": 2}\nloss 3.5 now\n{"epoch": 2, "val_loss": 1.5}\n'
                  '{"test": {"accuracy": 0.25}}\n')
        for reading, number in (("json val_loss", 1.5), ("json test.accuracy * 100", 25), ("json test.loss", None),
                                (r"loss ([0-9.]+)", 3.5), (r"^now ([0-9]+)", None), ("count ^.\"epoch", 2),
                                ("count never", 0)):
            self.assertEqual(figures.read_number(reading, output), number, reading)

    def test_targets(self):
        for target, number, met in ((">= 99", 99, True), ("> 99", 99, False), ("< 0.01", 0.0099, True),
                                    ("<= [a]", 5, True), ("< [a]", 5, False), ("< [b]", 5, None), (None, 5, None)):
            self.assertEqual(figures.meets(target, number, {"a": 5.0}), met, target)

    def test_wrong_files_of_a_table_are_named(self):
        with tempfile.TemporaryDirectory() as folder:
            for text, says in (("FIGURE", "part.def, line 1: .*does not end"),
                               ('\nVALUE("a", "", "(x)", NULL, "x")', "part.def, line 2: .*before any")):
                pathlib.Path(folder, "part.def").write_text(text)
                with self.assertRaisesRegex(figures.Wrong, says):
                    figures.read_table('FILE("part.def")', pathlib.Path(folder))

    def test_wrong_tables_name_the_line(self):
        figure = 'FIGURE("a", "claim", NULL, "echo", NULL, 1)\n'
        for text, says in (("FIGURE", "does not end"), ("FIGUR(1)", "'FIGUR' instead"), ('VALUE("a")', "1 arguments"),
                           ('VALUE("a", "", "(x)", NULL, "x")', "before any"), ("FIGURE(,)", "unexpected ','"),
                           (figure, "no VALUE"), (figure + 'VALUE("a", "", "x", NULL, "x")', "line 2.*0 groups"),
                           (figure + 'VALUE("a", "", "(x)", "= 1", "x")', "line 2.*not a target"),
                           (figure + 'VALUE("a", "", "(x)", "< [b]", "x")', "line 2.*no value 'b'"),
                           (figure + 'VALUE("a", "", "(x)", NULL, "x")\n' + figure, "line 3.*twice"), ("?", "line 1"),
                           ('FILE("no-such.def")', "line 1: .*no-such.def")):
            with self.assertRaisesRegex(figures.Wrong, says):
                figures.read_table(text)


class Measuring(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)
        (self.folder / "small.def").write_text(SMALL)
        os.symlink(GLIA, self.folder / "glia")

    def measure(self, *arguments, code):
        done = subprocess.run([sys.executable, "-B", str(SCRIPT), "--build", self.folder, "--table",
                               self.folder / "small.def", "--results", self.folder / "small.json", "--page",
                               self.folder / "small.md", *arguments], capture_output=True, text=True, timeout=200,
                              env={**os.environ, "GLIA_DATA": str(self.folder)})
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def page(self):
        return (self.folder / "small.md").read_text()

    def test_measured_beside_target(self):
        self.assertIn("2 of 2 figures measured; missed or failed: echo",
                      self.measure("--only", "digits,ec*", code=1))
        self.assertIn("| one | > 2 | 1.5 | **missed** |", self.page())
        self.assertIn("| lines | >= 2 | 2 | met |", self.page())
        self.assertIn("Not measured yet: `broken`, `far`.", self.page())

        first = json.loads((self.folder / "small.json").read_text())["digits"]["runs"]["0"]
        self.measure("--only", "digits", "--seed", "1", code=0)
        runs = json.loads((self.folder / "small.json").read_text())["digits"]["runs"]
        self.assertEqual(runs["0"], first)
        accuracies = sorted(run["values"]["accuracy"] for run in runs.values())
        low, high = map(figures.number_text, accuracies)
        self.assertIn(f"({low} to {high}) % | met | 0, 1 |", self.page())
        self.assertIn("| one | > 2 | 1.5 | **missed** |", self.page())  # kept from the first run

    def test_failures_are_told(self):
        self.assertIn("broken: exit status 3", self.measure("--only", "broken", code=1))
        self.assertIn("Failed: `broken`.", self.page())
        self.assertIn("needs no-such-data in $GLIA_DATA", self.measure("--only", "far", code=1))
        self.assertIn("did you mean digits?", self.measure("--only", "digit", code=2))
        self.measure("--minutes", "0.01", code=1)

    def test_changed_commands_lose_their_results(self):
        self.measure("--only", "echo", code=1)
        (self.folder / "small.def").write_text(SMALL.replace("echo one 1.5", "echo one 3"))
        self.measure("--render", code=0)
        self.assertIn("| one | > 2 | not measured |", self.page())


if __name__ == "__main__":
    unittest.main()
