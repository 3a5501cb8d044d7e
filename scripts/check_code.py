#!/usr/bin/env python3
"""check_code.py [ROOT] - checks code rules that compilers do not check. Exit status 1 if one is broken.

- A file has at most 800 lines, a function at most 60 lines, a line at most 120 columns (rows of Markdown tables in
  strings may be longer).
- No function, type or macro of src/, include/, models/ and tools/ is defined in two files. Two files may define a
  static function, or a type or macro of a .c file, with the same name if it has no prefix `glia_` or `GLIA_`; exported
  names and names that headers define must be unique.

C is read by lines, formatted by clang-format: a definition begins in the first column and ends with a line `}`.
"""
import collections
import pathlib
import re
import sys

LINES, FUNCTION_LINES, COLUMNS = 800, 60, 120
FUNCTION = re.compile(r"^(?!typedef|struct|enum|union|#|/|\*|else|extern)[A-Za-z_][\w\s\*]*?[\s\*](\w+)\((?!\*)")
FOLDERS = ("src", "include", "models", "tools", "examples", "tests", "bench", "fuzz", "scripts")


def sources(root):
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in (".c", ".h", ".def", ".py", ".sh") and "golden" not in path.relative_to(root).parts[:2]:
                yield path


def functions(lines):
    """(name, first line, last line) of each function defined in a C file."""
    at = 0
    while at < len(lines):
        match = FUNCTION.match(lines[at])
        head = at
        if match:
            while head < len(lines) and not re.search(r"[;{]\s*(/\*.*\*/)?$|\}\s*$", lines[head]):
                head += 1
            text = lines[head] if head < len(lines) else ";"
            if re.search(r"\{.*\}\s*$", text):
                yield match[1], at, head
            elif re.search(r"\{\s*(/\*.*\*/)?$", text):
                end = head + 1
                while end < len(lines) and not lines[end].startswith("}"):
                    end += 1
                yield match[1], at, end
                at = end
        at += 1


def shared_names(lines, header):
    """The names that must be unique: those with the prefix glia_ or GLIA_, and those that a header defines."""
    static = re.compile(r"^static\b")
    for name, first, _ in functions(lines):
        if not name.startswith("GLIA_") and (name.startswith("glia_") or (header and not static.match(lines[first]))):
            yield name
    for line in lines:
        match = re.match(r"\} (\w+);$", line) or re.match(r"typedef .*?(\w+);$", line)
        if match and match[1].startswith("glia_") and not re.match(r"typedef (struct|union|enum) (\w+) \*?\2;", line):
            yield match[1]
        match = re.match(r"#define (GLIA_\w+)", line)
        if match:
            yield match[1]


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[1])
    problems, defined = [], collections.defaultdict(list)
    for path in sources(root):
        place = path.relative_to(root)
        lines = path.read_text(encoding="utf-8").split("\n")
        if len(lines) - 1 > LINES:
            problems.append(f"{place}: {len(lines) - 1} lines, more than {LINES}")
        for number, line in enumerate(lines, 1):
            if len(line) > COLUMNS and not line.startswith("|"):
                problems.append(f"{place}:{number}: {len(line)} columns, more than {COLUMNS}")
        if path.suffix not in (".c", ".h"):
            continue
        for name, first, last in functions(lines):
            if last - first + 1 > FUNCTION_LINES:
                problems.append(f"{place}:{first + 1}: {name} has {last - first + 1} lines, more than {FUNCTION_LINES}")
        if place.parts[0] in ("src", "include", "models", "tools"):
            for name in set(shared_names(lines, path.suffix == ".h")):
                defined[name].append(str(place))
    for name, places in sorted(defined.items()):
        if len(places) > 1 and not re.fullmatch(r"GLIA_\w+_ROW", name):
            problems.append(f"{name} is defined more than once: {', '.join(places)}")
    print("\n".join(problems) or "no rule is broken")
    return bool(problems)


sys.exit(main())
