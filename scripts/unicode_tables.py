#!/usr/bin/env python3
"""Writes src/data/text/properties.def from the Unicode Character Database.

Usage: unicode_tables.py FOLDER > properties.def. FOLDER holds Scripts.txt, PropList.txt, PropertyAliases.txt and
PropertyValueAliases.txt, from https://www.unicode.org/Public/15.0.0/ucd/ or Debian's package unicode-data.
"""
import pathlib
import sys

PROPERTIES = ["White_Space", "ASCII_Hex_Digit", "Other_Alphabetic", "Other_Lowercase", "Other_Uppercase"]


def rows(path):
    for line in path.read_text("utf-8").splitlines():
        fields = [f.strip() for f in line.split("#")[0].split(";")]
        if len(fields) > 1:
            yield fields


def ranges(path):
    """{value: [(first, last), ...]}, sorted, with adjacent ranges merged."""
    found = {}
    for span, value in sorted((tuple(int(x, 16) for x in f[0].split("..")), f[1]) for f in rows(path)):
        have = found.setdefault(value, [])
        if have and have[-1][1] + 1 == span[0]:
            have[-1] = (have[-1][0], span[-1])
        else:
            have.append((span[0], span[-1]))
    return found


def plain(names):
    """The names in the form used for comparison, without duplicates, the long name first."""
    return " ".join(dict.fromkeys(n.replace("_", "").lower() for n in names))


def write(names, spans):
    line = 'PROPERTY("%s"' % names
    for span in spans:
        item = ", {0x%X, 0x%X}" % span
        if len(line + item) > 118:
            print(line + ",")
            line = "    " + item[2:]
        else:
            line += item
    print(line + ")")


def main(folder):
    folder = pathlib.Path(folder)
    first = folder.joinpath("Scripts.txt").read_text("utf-8").splitlines()[0]  # "# Scripts-15.0.0.txt"
    version = first[len("# Scripts-"):-len(".txt")]
    print("/* properties.def - characters of each script, and of some properties: names and ranges.")
    print(" *")
    print(" * Written by scripts/unicode_tables.py from Scripts.txt and PropList.txt of the Unicode Character")
    print(" * Database %s, (c) Unicode, Inc., under https://www.unicode.org/terms_of_use.html. clang-format off. */"
          % version)
    scripts, others = ranges(folder / "Scripts.txt"), ranges(folder / "PropList.txt")
    for f in rows(folder / "PropertyValueAliases.txt"):
        if f[0] == "sc" and f[2] in scripts:
            write(plain([f[2], f[1]] + f[3:]), scripts[f[2]])
    for f in rows(folder / "PropertyAliases.txt"):
        if f[1] in PROPERTIES:
            write(plain([f[1], f[0]] + f[2:]), others[f[1]])


if __name__ == "__main__":
    main(sys.argv[1])
