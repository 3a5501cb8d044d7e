#!/usr/bin/env python3
"""Measures the claims of figures.def; prints measured beside target; writes docs/figures.md.

    make figures                        all of them, hours; needs the data sets in $GLIA_DATA
    make figures ONLY=lenet5,adding*    some; SEED=3: with this seed (0); MINUTES=2: those of at most two minutes
    python3 bench/figures.py --build build/release [--only NAME,...] [--seed N] [--minutes X]
    python3 bench/figures.py --render   only writes the page, after a change of figures.def

Method
    Each command runs in an empty folder, BUILD/figures/NAME; what it prints stays in BUILD/figures/NAME.out and .err.
    Results are kept in figures.json, one for each seed, with date, machine and load. The page is made from it and from
    figures.def: a figure that a run does not measure keeps its earlier results, unless its command has changed; one
    without results is "not measured". A target counts as met if the mean of the seeds meets it. Figures whose data are
    missing are skipped.

Exit status: 0; 1 if a target was missed, a command failed, or nothing was measured; 2 for a wrong table or option.
"""
import argparse
import collections
import datetime
import difflib
import fnmatch
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

from peers import machine

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent

Figure = collections.namedtuple("Figure", "section name claim place command data minutes values")
Value = collections.namedtuple("Value", "what unit reading target sample")
ROWS = {"FILE": 1, "SECTION": 1, "FIGURE": 6, "VALUE": 5}
TOKEN = re.compile(r'\s+|/\*.*?\*/|(?P<text>"(?:[^"\\\n]|\\.)*")|(?P<number>\d+(?:\.\d+)?)|(?P<word>\w+)|'
                   r'(?P<mark>[(),])', re.DOTALL)
TARGET = re.compile(r"(<=|>=|<|>) (?:(-?\d+(?:\.\d+)?(?:e[-+]?\d+)?)|\[(.+)\])")


class Wrong(Exception):
    """A table or an option that is not as it should be."""


# ---- the table ------------------------------------------------------------------------------------------------------


def tokens(text):
    """(kind, token, line) for each token of a table."""
    at = 0
    while at < len(text):
        match = TOKEN.match(text, at)
        line = text.count("\n", 0, at) + 1
        if not match:
            raise Wrong(f"line {line}: unexpected {text[at:at + 12]!r}")
        if match.lastgroup:
            yield match.lastgroup, match.group(), line
        at = match.end()


def rows(text):
    """(macro, arguments, line) for each row; strings that stand beside each other are one."""
    row, comma = None, False
    for kind, token, line in tokens(text):
        if row is None:
            if token not in ROWS:
                raise Wrong(f"line {line}: {token!r} instead of one of {', '.join(ROWS)}")
            row = (token, None, line)
        elif row[1] is None:
            if token != "(":
                raise Wrong(f"line {line}: {token!r} after {row[0]}, not (")
            row, comma = (row[0], [], line), True
        elif token == ")":
            if len(row[1]) != ROWS[row[0]]:
                raise Wrong(f"line {row[2]}: {row[0]} has {len(row[1])} arguments, not {ROWS[row[0]]}")
            yield row
            row = None
        elif kind == "text" and not comma and isinstance(row[1][-1], str):
            row[1][-1] += json.loads(token)
        elif token == "," and not comma:
            comma = True
        elif comma and (kind in ("text", "number") or token == "NULL"):
            row[1].append(None if token == "NULL" else json.loads(token))
            comma = False
        else:
            raise Wrong(f"line {line}: unexpected {token!r}")
    if row:
        raise Wrong(f"line {row[2]}: {row[0]} does not end")


def check_value(value, figure, where):
    whats = [v.what for v in figure.values]
    if not value.what or value.what in whats:
        raise Wrong(f"{where}: {figure.name} has the value {value.what!r} twice, or it has no name")
    if value.target is not None:
        match = TARGET.fullmatch(value.target)
        if not match:
            raise Wrong(f"{where}: {value.target!r} is not a target such as \">= 99\" or \"< [other value]\"")
        if match[3] and match[3] not in whats:
            raise Wrong(f"{where}: {figure.name} has no value {match[3]!r} above {value.what!r}")
    if not value.reading.startswith("json "):
        count = value.reading.startswith("count ")
        groups = re.compile(value.reading[6 * count:], re.MULTILINE).groups
        if groups != (0 if count else 1):
            raise Wrong(f"{where}: the reading {value.reading!r} has {groups} groups")


def rows_of_all(text, folder):
    """(macro, arguments, place) of a table and of the files that its FILE rows name, which lie in `folder`."""
    for macro, arguments, line in rows(text):
        if macro != "FILE":
            yield macro, arguments, f"line {line}"
            continue
        try:
            for inner, inner_arguments, place in rows_of_all((folder / arguments[0]).read_text(), folder):
                yield inner, inner_arguments, f"{arguments[0]}, {place}"
        except OSError as problem:
            raise Wrong(f"line {line}: {problem}") from problem
        except Wrong as problem:
            raise Wrong(f"{arguments[0]}, {problem}") from problem


def read_table(text, folder=HERE):
    """The figures of a table, in its order."""
    figures, section = [], ""
    for macro, arguments, where in rows_of_all(text, folder):
        if macro == "SECTION":
            section = arguments[0]
        elif macro == "FIGURE":
            name, claim, place, command, data, minutes = arguments
            if not re.fullmatch(r"[a-z0-9-]+", name or "") or name in [f.name for f in figures]:
                raise Wrong(f"{where}: the name {name!r} is there twice, or has other characters than a-z, 0-9, -")
            if not claim or not command or not isinstance(minutes, (int, float)) or minutes <= 0:
                raise Wrong(f"{where}: {name} needs a claim, a command and minutes")
            figures.append(Figure(section, name, claim, place, command, (data or "").split(), minutes, []))
        elif not figures:
            raise Wrong(f"{where}: a VALUE before any FIGURE")
        else:
            value = Value(*arguments)
            check_value(value, figures[-1], where)
            figures[-1].values.append(value)
    for figure in figures:
        if not figure.values:
            raise Wrong(f"{figure.name} has no VALUE")
    return figures


# ---- reading numbers, comparing with targets ------------------------------------------------------------------------


def json_value(keys, output):
    """The number under these keys in the last line that is a JSON object with them, or None."""
    for line in reversed(output.splitlines()):
        try:
            found = json.loads(line) if line.startswith("{") else None
        except ValueError:
            continue
        for key in keys.split("."):
            found = found.get(key) if isinstance(found, dict) else None
        if isinstance(found, (int, float)) and not isinstance(found, bool):
            return float(found)
    return None


def read_number(reading, output):
    """The number that a reading finds in what a program printed, or None."""
    if reading.startswith("json "):
        keys, _, factor = reading[5:].partition(" * ")
        number = json_value(keys, output)
        return number if number is None or not factor else number * float(factor)
    if reading.startswith("count "):
        return float(len(re.findall(reading[6:], output, re.MULTILINE)))
    found = re.findall(reading, output, re.MULTILINE)
    return float(found[-1]) if found else None


def meets(target, number, numbers):
    """Whether a number meets its target; numbers: those of the same run by name. None: no target, or nothing known."""
    match = TARGET.fullmatch(target or "")
    limit = None if not match else float(match[2]) if match[2] else numbers.get(match[3])
    if number is None or limit is None:
        return None
    number, limit = round(number, 9), round(limit, 9)
    return {"<": number < limit, "<=": number <= limit, ">": number > limit, ">=": number >= limit}[match[1]]


def number_text(number):
    return f"{number:.6g}"


# ---- results --------------------------------------------------------------------------------------------------------


def load_results(path, figures):
    """The stored runs of each figure by seed, without those of figures and commands that are no longer in the table."""
    try:
        stored = json.loads(pathlib.Path(path).read_text())
    except FileNotFoundError:
        stored = {}
    return {figure.name: stored[figure.name]["runs"] if stored.get(figure.name, {}).get("command") == figure.command
            else {} for figure in figures}


def replace_file(path, text):
    """Writes a file at once or not at all."""
    path = pathlib.Path(path)
    beside = path.with_name(path.name + ".new")
    beside.write_text(text)
    os.replace(beside, path)


def save_results(path, figures, results):
    kept = {figure.name: {"command": figure.command, "runs": results[figure.name]}
            for figure in figures if results[figure.name]}
    replace_file(path, json.dumps(kept, indent=1, ensure_ascii=False) + "\n")


def verdict(figure, value, runs):
    """(text of what was measured, "met", "missed", "failed", "" without a target, or "not measured")."""
    good = [run["values"] for run in runs.values() if value.what in run["values"]]
    bad = [run for run in runs.values() if run["failed"] or value.what not in run["values"]]
    numbers = [values[value.what] for values in good]
    text = "not measured" if not runs else "–"
    if numbers:
        text = number_text(sum(numbers) / len(numbers))
    if len(set(numbers)) > 1:
        text += f" ({number_text(min(numbers))} to {number_text(max(numbers))})"
    if not runs:
        return text, "not measured"
    if bad:
        return text, "failed"
    means = {name: sum(values[name] for values in good) / len(good)
             for name in good[0] if all(name in values for values in good)}
    met = meets(value.target, means[value.what], means)
    return text, "" if met is None else "met" if met else "missed"


def figure_verdict(figure, runs):
    """The worst of its values."""
    verdicts = {verdict(figure, value, runs)[1] for value in figure.values}
    return next((v for v in ("not measured", "failed", "missed") if v in verdicts), "met")


# ---- the page -------------------------------------------------------------------------------------------------------

HEAD = """# Figures

This page is written by `make figures`; do not edit it. Each figure is a claim of accuracy or quality, with the command
that measures it; [bench/figures.def](../bench/figures.def) is the list. `make figures ONLY=NAME SEED=N` measures one
again; a figure that a run does not measure keeps its earlier results. Where several seeds were measured, the table has
the mean and the range, and a target is met if the mean meets it. A target in parentheses is another value of the same
run. Speed has a page of its own, [performance.md](performance.md).
"""


def place_link(place):
    if not place:
        return "this page"
    page = place.split(": ")[0]
    name = page[5:] if page.startswith("docs/") else page
    return f"[{name}]({name if page.startswith('docs/') else '../' + page})"


def cells(figure, runs):
    """The rows of the page's table for one figure."""
    several = list(runs.values())
    seeds = ", ".join(sorted(runs, key=lambda s: int(s or 0))) or "–"
    dates = sorted({run["date"] for run in several})
    minutes = sum(run["minutes"] for run in several) / len(several) if several else None
    minutes = f"about {figure.minutes:g}" if minutes is None else f"{minutes:.1f}" if minutes >= 0.05 else "< 0.1"
    for at, value in enumerate(figure.values):
        text, is_met = verdict(figure, value, runs)
        unit = f" {value.unit}" if value.unit else ""
        target = (value.target or "–").replace("[", "(").replace("]", ")")
        target += unit if value.target and "[" not in value.target else ""
        shown = [value.what, target, text + (unit if text[0].isdigit() or text[0] == "-" else ""),
                 "" if is_met == "not measured" else f"**{is_met}**" if is_met in ("missed", "failed") else is_met]
        first = [f"`{figure.name}`", figure.claim, place_link(figure.place)]
        last = [seeds, minutes, " to ".join(dict.fromkeys([*dates[:1], *dates[-1:]])) or "–"]
        yield [*first, *shown, *last] if at == 0 else ["", "", "", *shown, "", "", ""]


def summary(figures, results):
    by = collections.defaultdict(list)
    for figure in figures:
        by[figure_verdict(figure, results[figure.name])].append(f"`{figure.name}`")
    lines = [f"{len(figures)} figures, {len(by['met'])} of them measured with no target missed."]
    for kind, words in (("missed", "Miss a target"), ("failed", "Failed"), ("not measured", "Not measured yet")):
        if by[kind]:
            lines.append(f"{words}: {', '.join(by[kind])}.")
    return "\n\n".join(lines)


def was_busy(run):
    """Whether others used more than half of the cores before it."""
    return run["load"] > int(re.search(r"(\d+) cores", run["machine"])[1]) / 2


def machines(figures, results):
    """A list of machines and versions with their figures, and of the figures measured beside other programs."""
    where, busy = collections.defaultdict(list), []
    for figure in figures:
        several = results[figure.name].values()
        for about in dict.fromkeys(f"{run['machine']}; {run['version']}" for run in several):
            where[about].append(f"`{figure.name}`")
        if any(map(was_busy, several)):
            busy.append(f"`{figure.name}`")
    lines = [f"- {about}: {', '.join(names)}." for about, names in where.items()]
    if busy:
        lines.append(f"- Other programs used the machine when these began, which lengthens times: {', '.join(busy)}.")
    return "\n".join(lines) or "Nothing was measured yet."


def page_text(figures, results):
    parts = [HEAD, summary(figures, results) + "\n"]
    for section in dict.fromkeys(figure.section for figure in figures):
        table = [["figure", "claim", "made in", "value", "target", "measured", "", "seeds", "minutes", "date"]]
        table.append(["---"] * 5 + ["---:"] + ["---"] * 2 + ["---:", "---"])
        for figure in figures:
            if figure.section == section:
                table += cells(figure, results[figure.name])
        parts.append(f"## {section}\n\n" + "\n".join("| " + " | ".join(row) + " |" for row in table) + "\n")
    parts.append("## Machines\n\n" + machines(figures, results) + "\n")
    lines = [line for figure in figures for line in (f"    # {figure.name}", *(
        "    " + line for line in figure.command.splitlines()))]
    parts.append("## Commands\n\n`$SEED` is the seed; a command without it has seeds of its own or none.\n\n"
                 + "\n".join(lines) + "\n")
    return "\n".join(parts)


# ---- running --------------------------------------------------------------------------------------------------------


def run_command(figure, seed, build, data):
    """Runs a figure's command; returns what it printed, its exit status and the minutes."""
    folder = build / "figures" / figure.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    path = os.pathsep.join([str(build), str(build / "examples"), os.environ.get("PATH", os.defpath)])
    environment = {**os.environ, "PATH": path, "SEED": str(seed), "GLIA_DATA": str(data)}
    out, err = (folder.with_name(f"{figure.name}.{end}") for end in ("out", "err"))
    begin = time.monotonic()
    with open(out, "w") as stdout, open(err, "w") as stderr:
        status = subprocess.run(["sh", "-euc", figure.command], cwd=folder, env=environment, stdout=stdout,
                                stderr=stderr).returncode
    return out.read_text(errors="replace"), err.read_text(errors="replace"), status, (time.monotonic() - begin) / 60


def measure(figure, seed, build, data, version):
    """Runs a figure; returns its record for figures.json."""
    load = os.getloadavg()[0]
    out, err, status, minutes = run_command(figure, seed, build, data)
    numbers = {value.what: read_number(value.reading, out) for value in figure.values}
    unread = [what for what, number in numbers.items() if number is None]
    failed = f"exit status {status}" if status else f"it printed no {', no '.join(unread)}" if unread else None
    if failed:
        print(f"{figure.name}: {failed}", *err.strip().splitlines()[-3:], sep="\n    ", file=sys.stderr)
    return {"date": datetime.date.today().isoformat(), "machine": machine(), "version": version,
            "load": round(load, 1), "minutes": round(minutes, 2), "failed": failed,
            "values": {what: round(number, 6) for what, number in numbers.items() if number is not None}}


def show(figure, run):
    for value in figure.values:
        number = run["values"].get(value.what)
        is_met = meets(value.target, number, run["values"])
        measured = "no result" if number is None else f"{number_text(number)} {value.unit}"
        told = "FAILED" if number is None or run["failed"] else {True: "met", False: "MISSED", None: ""}[is_met]
        line = f"{figure.name:18} {value.what:28} measured {measured:12} target {value.target or 'none':14} {told}"
        print(line.rstrip(), flush=True)


def choose(figures, only, minutes):
    """The figures of these names or patterns, and of at most so many minutes."""
    chosen = {f.name for f in figures}
    if only:
        chosen = set()
        for name in filter(None, only.replace(" ", ",").split(",")):
            found = fnmatch.filter([f.name for f in figures], name)
            if not found:
                near = difflib.get_close_matches(name, [f.name for f in figures], 1, 0.3)
                raise Wrong(f"no figure {name!r}" + (f"; did you mean {near[0]}?" if near else ""))
            chosen.update(found)
    return [f for f in figures if f.name in chosen and (minutes is None or f.minutes <= minutes)]


def run_all(options, figures):
    """Measures the chosen figures, and stores each result and the page at once; returns the exit status."""
    build = pathlib.Path(options.build).resolve()
    data = pathlib.Path(os.environ.get("GLIA_DATA") or ROOT / "data").resolve()
    if not os.access(build / "glia", os.X_OK):
        raise Wrong(f"{options.build} has no program glia; `make build` builds it")
    version = subprocess.run([build / "glia", "version"], capture_output=True, text=True).stdout.splitlines()[0]
    chosen, measured, bad = choose(figures, options.only, options.minutes), [], []
    for figure in chosen:
        missing = [name for name in figure.data if not (data / name).is_dir()]
        if missing:
            print(f"{figure.name:18} skipped: needs {', '.join(missing)} in $GLIA_DATA", flush=True)
            continue
        seed = str(options.seed) if "$SEED" in figure.command else ""
        if not seed and options.seed:
            print(f"{figure.name:18} has no seed to choose", flush=True)
        run = measure(figure, options.seed, build, data, version)
        results = load_results(options.results, figures)  # another run may have added some
        results[figure.name][seed] = run
        show(figure, run)
        save_results(options.results, figures, results)
        replace_file(options.page, page_text(figures, results))
        measured.append(figure.name)
        if run["failed"] or any(meets(v.target, run["values"][v.what], run["values"]) is False for v in figure.values):
            bad.append(figure.name)
    print(f"{len(measured)} of {len(chosen)} figures measured"
          + (f"; missed or failed: {', '.join(bad)}" if bad else ""))
    return 1 if bad or not measured else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=str(ROOT / "build/release"), help="folder of the programs")
    parser.add_argument("--only", help="names or patterns, separated by commas")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, help="only figures that take at most so long")
    parser.add_argument("--render", action="store_true", help="measure nothing, write the page")
    parser.add_argument("--table", default=str(HERE / "figures.def"))
    parser.add_argument("--results", default=str(HERE / "figures.json"))
    parser.add_argument("--page", default=str(ROOT / "docs/figures.md"))
    options = parser.parse_args()
    try:
        figures = read_table(pathlib.Path(options.table).read_text(), pathlib.Path(options.table).parent)
        if not options.render:
            return run_all(options, figures)
        results = load_results(options.results, figures)
        save_results(options.results, figures, results)
        replace_file(options.page, page_text(figures, results))
        return 0
    except Wrong as problem:
        print(f"figures: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
