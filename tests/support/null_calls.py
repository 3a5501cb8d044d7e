"""Generates a call of every public function for tests/base/test_null.c. Usage: null_calls.py INCLUDE-FOLDER OUTPUT

Each function becomes a row with a call in which one argument, or all of them, can be replaced by zero. New functions
in a header get a row automatically; a new argument type needs a value in GOOD, otherwise this script fails.
"""
import pathlib
import re
import sys

# Valid argument values by type, as expressions on test_null.c's `world`. Structs are zero.
GOOD = {
    "const char *": '"x"', "const char **": "buffer", "const char *const *": "words", "char *": "buffer",
    "int": "1", "int64_t": "1", "size_t": "1", "uint64_t": "1", "int32_t": "1", "double": "0.5", "bool": "true",
    "int *": "buffer", "const int *": "buffer", "int64_t *": "buffer", "const int64_t *": "buffer",
    "int32_t *": "buffer", "const int32_t *": "buffer", "size_t *": "buffer", "bool *": "buffer",
    "const bool *": "buffer", "double *": "buffer", "const double *": "buffer", "float *": "buffer",
    "const float *": "buffer", "const float **": "buffer", "void *": "buffer", "const void *": "buffer",
    "uint8_t *": "buffer", "const uint8_t *": "buffer", "int8_t *": "buffer", "const int8_t *": "buffer",
    "glia_tensor": "world.tensor", "const glia_tensor *": "tensors", "glia_tensor *": "buffer",
    "glia_shape": "GLIA_SHAPE(2, 3)", "glia_dtype": "GLIA_F32", "glia_lr_fn": "rate", "glia_next_scores": "scores",
    "const glia_string *": "strings", "glia_encoding *": "&world.encoding", "const glia_encoding *": "&world.encoding",
    "glia_camera_event **": "buffer", "glia_dataset **": "buffer",
    "const glia_array *": "buffer", "const glia_hparam *": "buffer",
    "const glia_data_names *": "buffer", "glia_arrays": "world.arrays",
    "glia_perceptron *": "&world.perceptron", "const glia_perceptron *": "&world.perceptron",
    "const glia_lr_schedule *": "&world.schedule", "glia_lr_schedule *": "&world.schedule",
    "glia_bleu *": "&world.bleu", "const glia_bleu *": "&world.bleu",
    "glia_mp_unit": "glia_mp_and(2)", "glia_text_source": "world.source",
}
# Handle types: the members of test_null.c's world that are named like their type.
WORLD = (pathlib.Path(__file__).parent / "../base/test_null.c").read_text()
HANDLES = re.findall(r"^    glia_(\w+) \*\1;", WORLD, flags=re.MULTILINE)
# Handles that may be NULL according to their headers. A NULL graph means that its allocation failed, and is reported
# as out of memory; a program without parameters needs no store. The world has no agent, so it is what is missing.
OPTIONAL = {"glia_predict.backend", "glia_predict_ids.backend", "glia_train.data", "glia_compile.backend",
            "glia_events_close.events", "glia_agent_play.env", "glia_model_features.backend",
            "glia_segmentation_confusion.backend",
            "glia_graph_check.graph", "glia_store_create.graph", "glia_store_add.graph", "glia_compile.graph",
            "glia_session_create.store"}


def split(parameter):
    match = re.fullmatch(r"(.*?)(\w+)(\[\w*\])?", parameter)
    kind = match[1].strip() + (" *" if match[3] else "")
    return re.sub(r"\s*\*", " *", kind).replace("* *", "**"), match[2]


def good(kind, name, function):
    handle = re.fullmatch(r"(?:const )?glia_(\w+) \*", kind)
    if handle and handle[1] in HANDLES:
        return "h", "world." + handle[1]
    if kind == "const char *" and "address" in name:
        return "s", '"strokes?n=20"'
    if kind in GOOD:
        return "s" if kind == "const char *" else "p" if "*" in kind else "v", GOOD[kind]
    if re.fullmatch(r"glia_\w+", kind):
        return "v", "(%s){ 0 }" % kind
    if re.fullmatch(r"(const )?(float|glia_\w+) \*\*?", kind):
        return "p", "buffer"  # a zeroed struct, or one that the function fills
    sys.exit(f"null_calls.py: {function}: give the type \"{kind}\" of {name} a value")


def prototypes(folder):
    for header in sorted(pathlib.Path(folder).glob("glia/*.h")):
        text = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.DOTALL)
        text = re.sub(r"^#.*?[^\\]$", "", text, flags=re.DOTALL | re.MULTILINE)
        found = re.findall(r"\bGLIA_API\s+([^;(]*?)\b(glia_\w+)\s*\(([^;]*)\)[^;()]*;", text, flags=re.DOTALL)
        if len(found) != len(re.findall(r"\bGLIA_API\b", text)):
            sys.exit(f"null_calls.py: {header}: a declaration that is not understood")
        for returns, name, parameters in found:
            parameters = [" ".join(p.split()) for p in parameters.split(",")]
            yield " ".join(returns.split()), name, [split(p) for p in parameters if p != "void"]


def row(returns, name, parameters):
    values, kinds, names, has_error = [], "", [], False
    for kind, parameter in parameters:
        if kind == "glia_error *":
            has_error = True
            values.append("error")
            continue
        letter, value = good(kind, parameter, name)
        optional = letter == "h" and f"{name}.{parameter}" in OPTIONAL
        kinds += "o" if optional else letter
        values.append(f"{'TEXT' if letter == 's' else 'ARGUMENT'}({len(names)}, {kind}, {value})")
        names.append(parameter)
    call = f"{name}({', '.join(values)})"
    if returns == "glia_status":
        body, what = f"r->status = {call};", "s"
    elif returns.endswith("*") and has_error:
        body, what = f"r->null = !{call};", "p"
    else:
        body, what = f"(void){call};" if returns != "void" else f"{call};", "e" if has_error else " "
    used = "(void)zero, (void)error, (void)r;"
    function = f"static void call_{name}(int zero, glia_error *error, result *r) {{\n    {used}\n    {body}\n}}\n"
    listed = ", ".join(f'"{n}"' for n in names) or "0"
    return function, f'    {{ "{name}", call_{name}, \'{what}\', "{kinds}", {{ {listed} }} }},\n'


rows = [row(*p) for p in prototypes(sys.argv[1])]
with open(sys.argv[2], "w") as out:
    out.write("/* Written by tests/support/null_calls.py. */\n" + "".join(r[0] for r in rows))
    out.write("static const call calls[] = {\n" + "".join(r[1] for r in rows) + "};\n")
