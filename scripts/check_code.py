#!/usr/bin/env python3
"""check_code.py [ROOT] - the house rules that a compiler does not know. Exit status 1 if one is broken.

- A file has at most 800 lines, a function at most 60.
- A name means one thing: no function, type or macro is defined in two files of src/, models/ and tools/ together. A static
  function, and a type or macro of a .c file, may share its name with another file's only if the name has no prefix
  `glia_` or `GLIA_`; exported names and what headers define must differ from all others.

C is read by lines, as clang-format leaves it: a definition begins in the first column and ends with a line `}`.
"""
import collections
import pathlib
import re
import sys

LINES, FUNCTION_LINES = 800, 60
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
    """Names that the whole house sees: what begins with glia_ or GLIA_, and what a header defines."""
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
    print("\n".join(problems) or "the house rules hold")
    return bool(problems)


sys.exit(main())
