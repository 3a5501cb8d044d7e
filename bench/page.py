"""Formats the results of the benchmark: the table, its notes, and the page docs/performance.md."""
import datetime
import statistics

from peers import machine

HEAD = ["workload", "Glia", "PyTorch as installed", "best peer", "Glia / best", "target", "GFLOP/s", "% of peak",
        "memory", "PyTorch's", "agrees"]
MIB = 2**20
KANN_TARGET = 1.5


# ---- figures of a row -----------------------------------------------------------------------------------------------


def seconds_of(row, side):
    """Seconds of one step or one run."""
    return row["workload"].batch / row[side]["rate"]


def gflops_of(row):
    return row["glia"]["ready"]["flops"] / seconds_of(row, "glia") * 1e-9


def ratio_of(row, side="best"):
    return row["glia"]["rate"] / row[side]["rate"] if side in row else None


def torch_memory(row):
    """Memory of the PyTorch, installed or best, that uses less."""
    sizes = [row[side]["memory"] for side in ("installed", "best") if side in row and row[side]["memory"]]
    return min(sizes) if sizes else None


def peers_agree(row):
    return all(row[side]["agrees"] for side in ("installed", "best", "kann", *row["workload"].isas) if side in row)


def all_agree(results):
    return all(peers_agree(row) for row in results["rows"])


# ---- the table ------------------------------------------------------------------------------------------------------


def speed(row, side):
    if side not in row:
        return "–"
    if row["workload"].kind != "infer":
        return f"{row[side]['rate']:,.0f} /s" if row[side]["rate"] >= 100 else f"{row[side]['rate']:.1f} /s"
    micros = 1e6 * seconds_of(row, side)
    return f"{micros:,.0f} µs" if micros >= 100 else f"{micros:.1f} µs"


def mebibytes(size):
    return f"{size / MIB:,.0f} MiB" if size else "–"


def ratio_text(ratio, digits=2):
    return f"{ratio:.{digits}f}" if ratio is not None else "–"


def model_cells(row, name=None, peer="best", target=None):
    gflops = gflops_of(row)
    return [name or row["workload"].name, speed(row, "glia"), speed(row, "installed"), speed(row, peer),
            ratio_text(ratio_of(row, peer)), f"{target:g}" if target else "", f"{gflops:.0f}",
            f"{100 * gflops / row['peak']:.0f}", mebibytes(row["glia"]["memory"]), mebibytes(torch_memory(row)),
            "yes" if peers_agree(row) else "NO"]


def product_cells(row):
    target = "1" + (f", {100 * row['share']:.0f} %" if row["share"] else "")
    ratio = row["glia"] / row["onednn"] if "onednn" in row else None
    return ["gemm " + ", ".join(map(str, row["shape"])), f"{row['glia']:.0f}", "–",
            f"{row['onednn']:.0f}" if "onednn" in row else "–", ratio_text(ratio), target, f"{row['glia']:.0f}",
            f"{100 * row['glia'] / row['peak']:.0f}", "–", "–", "yes"]


def table_of(results):
    lines = [HEAD]
    for row in results["rows"]:
        lines.append(model_cells(row, target=row["workload"].target))
        if "kann" in row:
            lines.append(model_cells(row, row["workload"].name + ", against kann", "kann", KANN_TARGET))
    lines += [model_cells(row, f"{row['workload'].name}, GLIA_ISA={row['isa']}") for row in results["isas"]]
    lines += [product_cells(row) for row in results["products"]]
    head, *body = ["| " + " | ".join(cells) + " |" for cells in lines]
    return "\n".join([head, "|---" + "|---:" * (len(HEAD) - 2) + "|---|", *body])


# ---- what limits the rows that miss their targets -------------------------------------------------------------------


def short(x):
    return f"{x:,.0f}" if x >= 100 else f"{x:.3g}"


def roofline(name, flops, moved, seconds, peak, bandwidth):
    """Operations and bytes, the achieved rates, and the time of each alone at the measured limits."""
    return (f"- {name}: {short(flops * 1e-9)} GFLOP and {short(moved * 1e-6)} MB in {short(seconds * 1e3)} ms. "
            f"{flops / seconds * 1e-9:,.0f} of {peak:,.0f} GFLOP/s; {moved / seconds * 1e-9:,.1f} of "
            f"{bandwidth['cache']:,.0f} (cache) and {bandwidth['memory']:,.0f} GB/s (memory). At these limits "
            f"the operations take {short(flops / peak * 1e-6)} ms, the bytes "
            f"{short(moved / bandwidth['cache'] * 1e-6)} to {short(moved / bandwidth['memory'] * 1e-6)} ms.")


def missed_models(results):
    for row in results["rows"]:
        ready, what = row["glia"]["ready"], []
        ratio, memory = ratio_of(row), torch_memory(row)
        if ratio is not None and ratio < row["workload"].target:
            what.append(f"{ratio:.2f} of {row['workload'].target:g}")
        if "kann" in row and ratio_of(row, "kann") < KANN_TARGET:
            what.append(f"against kann {ratio_of(row, 'kann'):.2f} of {KANN_TARGET:g}")
        if memory and row["glia"]["memory"] > memory / 3:
            what.append(f"memory {row['glia']['memory'] / memory:.2f} of PyTorch's, target a third; the program's "
                        f"memory plan is {ready['planned'] / MIB:,.0f} MiB")
        if what:
            line = roofline(f"{row['workload'].name} ({'; '.join(what)})", ready["flops"], ready["bytes"],
                            seconds_of(row, "glia"), row["peak"], results["bandwidth"])
            yield f"{line} {ready['launches']} kernels."


def missed_products(results):
    for row in results["products"]:
        what = []
        if "onednn" in row and row["glia"] < row["onednn"]:
            what.append(f"{row['glia'] / row['onednn']:.2f} of oneDNN's")
        if row["glia"] < row["share"] * row["peak"]:
            what.append(f"{100 * row['glia'] / row['peak']:.0f} of {100 * row['share']:.0f} % of the peak")
        if what:
            m, n, k = row["shape"]
            flops = 2 * m * n * k
            yield roofline(f"gemm {m}, {n}, {k} ({'; '.join(what)})", flops, 4 * (m * k + k * n + m * n),
                           flops / row["glia"] * 1e-9, row["peak"], results["bandwidth"])


# ---- notes ----------------------------------------------------------------------------------------------------------


def value_text(values, kind):
    return f"{values[-1]:.5f}" if kind == "train" else ", ".join(f"{v:.4f}" for v in values[:3])


def note_of(row):
    kind, shown = row["workload"].kind, []
    for side, name in (("glia", "Glia"), ("installed", "as installed"), ("best", "best"), ("kann", "kann")):
        if side in row:
            shown.append(f"{name} {value_text(row[side]['ready']['values'], kind)}")
    text = f"- {row['workload'].name}: {row['data']}. "
    if "best" in row:
        text += f"Best: {row['best']['ready']['description']}; {row['setting']}. "
    text += ("Loss of step 5: " if kind == "train" else "First outputs: ") + "; ".join(shown) + ". "
    spreads = [f"{name} {100 * row[side]['spread']:.0f} %" for side, name in (("glia", "Glia"), ("best", "best"))
               if side in row]
    if "kann" in row:
        text += f"kann: {row['kann']['ready']['description']}. "
    return text + f"Spread of the blocks: {', '.join(spreads)}."


def extras_of(results):
    first, lines = results["first"], []
    if first:
        beside = f"; PyTorch as installed {first['installed']:,.0f} ms" if "installed" in first else ""
        lines.append(f"- From process start to the end of keras-cnn's first training step: "
                     f"{first['glia']:.1f} ms (target 50){beside}.")
    if results["size"]:
        lines.append(f"- Size of the stripped command: {results['size'] / 1e6:.2f} MB (target 5).")
    return lines


# ---- sections -------------------------------------------------------------------------------------------------------

NETS, TORCHVISION, SEQUENCES, PRODUCTS = SECTIONS = (
    "Dense and convolutional nets", "Inference with torchvision's nets", "Sequences", "Products")


def section_of(workload):
    return SEQUENCES if workload.sequences else TORCHVISION if workload.torchvision else NETS


def part_of(results, section):
    """The results that belong to one section."""
    of = {key: results[key] if section == NETS else [] for key in ("isas", "first", "size")}
    rows = [row for row in results["rows"] if section_of(row["workload"]) == section]
    return {**results, **of, "rows": rows, "products": results["products"] if section == PRODUCTS else []}


def section_text(results):
    rows, options, bandwidth = results["rows"] + results["products"], results["options"], results["bandwidth"]
    about = next((row["glia"]["ready"]["description"] for row in results["rows"]),
                 next((row["about"]["glia"] for row in results["products"]), "Glia"))
    peak = f"; peak {statistics.median(row['peak'] for row in rows):.0f} GFLOP/s" if rows else ""
    blocks = sorted({row["workload"].block for row in results["rows"]} | ({0.25} if results["products"] else set()))
    seconds = ", ".join(f"{block * options.seconds:g}" for block in blocks)
    parts = [f"{machine()}{peak}, triad {bandwidth['cache']:.0f} GB/s in 12 MiB and {bandwidth['memory']:.0f} in "
             f"1 GiB. {about}. {datetime.date.today().isoformat()}. Medians of {options.rounds} interleaved blocks of "
             f"{seconds} s. Command: `{results['command']}`.", table_of(results)]
    if results["products"]:
        about = results["products"][0]["about"]
        parts.append(f"Compared with {about['onednn']}." if "onednn" in about else "")
    parts.append("\n".join(extras_of(results) + [note_of(row) for row in results["rows"]]
                           + [f"- {problem}" for problem in results["problems"]]))
    missed = [*missed_models(results), *missed_products(results)]
    if missed:
        parts.append(LIMITS + "\n".join(missed))
    return "\n\n".join(part for part in parts if part)


def sections_of(results):
    """The text of each measured section."""
    parts = {section: part_of(results, section) for section in SECTIONS}
    return {name: section_text(part) for name, part in parts.items()
            if part["rows"] or part["products"] or part["first"]}


def text_of(sections):
    return "\n\n".join(f"## {name}\n\n{text}" for name, text in sections.items())


def page_of(sections, before):
    """The page; sections that were not measured are copied from the old page."""
    old = {name: text.strip() for name, _, text in (part.partition("\n") for part in before.split("\n## ")[1:])}
    joined = {name: sections.get(name) or old.get(name) for name in SECTIONS}
    return PAGE.format(text=text_of({name: text for name, text in joined.items() if text}))


LIMITS = """### What limits the rows that miss their targets

GFLOP counts the operations of matrix products and convolutions by their definitions (Winograd's algorithm for 3 x 3
kernels needs fewer). MB counts the bytes that the kernels of a step read and write, each operand of a kernel once.

"""

PAGE = """# Performance

This page is written by `make bench`. A section that a run does not measure keeps its earlier figures and date. The
method is described in [bench/bench.py](../bench/bench.py), the peers in [bench/peers.py](../bench/peers.py).

- "PyTorch as installed" is the distribution's PyTorch with default settings. "Best peer" is the fastest of all settings
  tried for that row, including the newest PyTorch, eager and compiled; for matrix products it is oneDNN.
- kann is a C library, here with OpenBLAS. It has no Adam, so its timed steps use its RMSprop; the steps whose losses
  are compared use an Adam of the benchmark.
- Training is in samples per second, generation in tokens per second, reading of prompts in prompts per second,
  inference in microseconds per sample, matrix products (M, N, K) in GFLOP/s.
- Memory is the peak of the whole process; for PyTorch, the smaller one of the two.
- All numbers are f32, unless the name of the row says bf16.

{text}

## The workloads

The networks are models of [models.def](../models/models.def), run through the public API. Training is a compiled
program of the loss with `glia_minimize`, inference a frozen program. The same networks in PyTorch start with the same
weights and read the same data.

| name | model | optimizer | batch |
|---|---|---|---:|
| train-keras-cnn | keras-cnn: 28×28×1; conv 32, 64, 64 (3×3, relu), two max pools; dense 64, 10 | Adam | 64 |
| train-lenet-b4, -b128 | cifar-net: 32×32×3; conv 6, 16 (5×5, relu), max pools; dense 120, 84, 10 | SGD, momentum 0.9 | 4, 128 |
| train-mlp | mlp-512: 784; dense 512, 512 (relu), 10 | Adam | 128 |
| train-resnet20 | resnet20: 32×32×3, batch norm, shortcuts without parameters | SGD, momentum 0.9 | 128 |
| train-resnet18 | resnet18: 224×224×3, batch norm, projections, 1000 classes | SGD, momentum 0.9 | 8 |
| train-lstm28, -lstm128 | lstm-rows: two LSTM layers of 128 over 28 steps of 28 numbers, or 128 of 64; dense 10 | Adam | 64 |
| train-gpt-tiny | gpt-tiny: 4 layers, 4 heads, 128; context 64, vocabulary 65 | Adam | 12 |
| train-gpt-mini | gpt-mini: 6 layers, 6 heads, 384; context 256, vocabulary 65 | Adam | 16 |
| train-enc-dec | enc-dec: Transformer of 3+3 layers, 4 heads, width 256, hidden 1024; 32 steps, vocabulary 1000 | Adam | 64 |
| generate-gpt-mini | gpt-mini, greedy, one token at a time with cached keys and values; restarts when the context is full | – | 1 |
| prompt-gpt-mini | gpt-mini, reads 200 tokens into empty keys and values; the scores of the next token | – | 1 |
| infer-keras-cnn, -lenet, -mlp, -resnet18 | the same models | – | 1 |
| infer-resnet50, -vgg16, -vit-b16, -mobilenet-v2 | torchvision's nets of these names, 224×224×3, 1000 classes | – | 1, with -b8 8 |
"""
