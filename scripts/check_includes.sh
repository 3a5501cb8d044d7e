#!/bin/sh
# check_includes.sh [ROOT] - checks which folder includes which. Exit status 1 if an include is not allowed or there is
# a cycle of folders.
#
# A folder may include its own files and those that its row lists: folders with their subfolders, or single headers. The
# row of the longest matching folder applies. System headers are always allowed. docs/design.md shows the same table.
set -eu
cd "${1:-$(dirname "$0")/..}"

table='
src/base                   glia
src/core/tensor            base glia
src/core/graph             core/tensor base glia
src/core/ops               core/graph core/tensor base glia
src/core/autodiff          core/ops core/graph core/tensor base glia
src/core/launch            core/graph core/tensor base glia
src/core/passes            core/launch core/ops core/graph core/tensor base glia
src/core/program           core base glia
src/backend                core base glia
src/backend/ref            core base glia
src/backend/cpu/kernels    core base glia
src/backend/cpu/loops      backend/cpu/kernels core base glia
src/backend/cpu/lowering   backend/cpu backend/ref core base glia
src/nn                     core base glia
src/nn/layers              core base glia
src/nn/losses              core base glia
src/nn/optim               core base glia
src/nn/metrics             core base glia
src/data/formats           core base glia
src/data/text              data/formats core base glia
src/data/sources           data/graphs/readers.h data/text data/formats core base glia
src/data/augment           data/sources data/text data/formats core base glia
src/data/loader            data core base glia
src/data/replay            data/sources data/text data/formats core base glia
src/data/graphs            data/formats core base glia
src/data/environments      core base glia
src/train/model            nn data backend core base glia
src/train/events           core base glia
src/train/run              train/model nn data backend core base glia
src/train/fit              train/run train/model nn data backend core base glia
src/train/checkpoints      train/run train/model nn data backend core base glia
src/train/callbacks        train nn data backend core base glia
src/families               train nn data backend core base glia
src/families/classic       train nn data backend core base glia
src/families/recurrent     train nn data backend core base glia
src/families/transformers  train nn data backend core base glia
src/families/words         train nn data backend core base glia
src/families/reinforcement train nn data backend core base glia
src/families/projection    train nn data backend core base glia
src/families/evolution     train nn data backend core base glia
src/families/generative    train nn data backend core base glia
src/families/graphs        train nn data backend core base glia
src/families/spiking       train nn data backend core base glia
src/deploy                 train nn data backend core base glia
src/deploy/generate        train nn data backend core base glia
src/deploy/exchange        train nn data backend core base glia
src/deploy/explain         train nn data backend core base glia
models                     glia
tools                      base models glia
examples                   glia
'

# Prints each  #include "folder/..."  and  #include <glia/...>  that the row of the file does not list. A name without a
# folder is a file in the same folder.
find src models tools examples -name '*.[ch]' -o -name '*.def' | sort | xargs awk -v table="$table" '
    # The longest folder of `path` that has a row.
    function row_of(path) {
        while (sub(/\/[^\/]*$/, "", path)) if (path in allowed) return path
        return ""
    }
    # Is `path` in the folder `place`, or that header?
    function lies_in(path, place) { return path == place || index(path, place "/") == 1 }
    BEGIN {
        n = split(table, line, "\n")
        for (i = 1; i <= n; i++) {
            words = split(line[i], word, " ")
            if (!words) continue
            allowed[word[1]] = ""
            for (j = 2; j <= words; j++) allowed[word[1]] = allowed[word[1]] " " word[j]
        }
    }
    FNR == 1 {
        row = row_of(FILENAME)
        if (row == "") { print FILENAME ": the folder is not in the table of scripts/check_includes.sh"; bad = 1 }
        own = row
        sub(/^src\//, "", own)
    }
    /^[ \t]*#[ \t]*include[ \t]*["<]/ {
        path = $0
        sub(/^[^"<]*["<]/, "", path)
        sub(/[">].*/, "", path)
        if ($0 ~ /include[ \t]*</ && path !~ /^glia\//) next
        if (path ~ /\.\./) { print FILENAME ":" FNR ": .. is not allowed in an include: " path; bad = 1; next }
        if (path !~ /\// || lies_in(path, own) || (row == "tools" && path ~ /^(commands|runs|reports|terminal)\//)) next
        places = split(allowed[row], place, " ")
        for (i = 1; i <= places; i++) if (lies_in(path, place[i])) next
        print FILENAME ":" FNR ": " row " may not include " path
        bad = 1
    }
    END { exit bad }' || { echo "include directions: not allowed" >&2; exit 1; }
# Folders of src/ must not include each other in a cycle; tsort lists the cycles.
circle=$(find src -name '*.[ch]' -o -name '*.def' | sort | xargs awk '
    /^[ \t]*#[ \t]*include[ \t]*"[^"]*\// {
        to = $0
        sub(/^[^"]*"/, "", to)
        sub(/\/[^\/]*".*/, "", to)
        from = FILENAME
        sub(/^src\//, "", from)
        sub(/\/[^\/]*$/, "", from)
        if (from != to && to !~ /^glia/) print from, to
    }' | sort -u | tsort 2>&1 >/dev/null) || true
[ -z "$circle" ] || { echo "cycle of folders: $circle" >&2; exit 1; }
echo "include directions: correct"
