#!/bin/sh
# check_includes.sh [ROOT] - tells who includes what it may not. Exit status 1 if anybody does.
#
# The house: a room may include itself and what its row lists, rooms or single headers, nothing else. System headers are
# free.
set -eu
cd "${1:-$(dirname "$0")/..}"

table='
src/base      glia
src/tensor    base glia
src/graph     tensor base glia
src/ops       graph tensor base glia
src/autodiff  ops graph tensor base glia
src/metrics   tensor base glia
src/passes    backend/backend.h ops graph tensor base glia
src/layers    ops graph tensor base glia
src/optim     ops graph tensor base glia
src/events    graph tensor base glia
src/formats   graph tensor base glia
src/backend   ops graph tensor base glia
src/text      formats graph tensor base glia
src/data      text formats graph tensor base glia
src/words     backend formats tensor base glia
src/projection formats tensor base glia
src/train     metrics data backend autodiff passes layers optim formats ops graph tensor base glia
src/generate  train passes ops graph tensor base glia
src/callbacks train metrics data backend formats graph tensor base glia
models        glia
tools         models glia
examples      glia
'

# For each file and each  #include "room/..."  or  #include <glia/...>  print the ones that the file's row does not list.
# A name without a folder is a file beside the includer.
find src models tools examples -name '*.[ch]' -o -name '*.def' | sort | xargs awk -v table="$table" '
    BEGIN {
        n = split(table, line, "\n")
        for (i = 1; i <= n; i++) {
            words = split(line[i], word, " ")
            for (j = 2; j <= words; j++) allowed[word[1], word[j]] = 1
            if (words) known[word[1]] = 1
        }
    }
    FNR == 1 {
        split(FILENAME, part, "/")
        room = part[1] == "src" ? part[1] "/" part[2] : part[1]
        own = part[1] == "src" ? part[2] : part[1]
        if (!(room in known)) { print FILENAME ": " room " is not in the table of scripts/check_includes.sh"; bad = 1 }
    }
    /^[ \t]*#[ \t]*include[ \t]*["<]/ {
        path = $0
        sub(/^[^"<]*["<]/, "", path)
        sub(/[">].*/, "", path)
        angle = $0 ~ /include[ \t]*</
        if (angle && path !~ /^glia\//) next
        if (path ~ /\.\./) { print FILENAME ":" FNR ": includes upwards by path: " path; bad = 1; next }
        if (path !~ /\//) next
        to = path
        sub(/\/.*/, "", to)
        if (to == own || (room, to) in allowed || (room, path) in allowed) next
        print FILENAME ":" FNR ": " room " may not include " path
        bad = 1
    }
    END { exit bad }' || { echo "include directions: broken" >&2; exit 1; }
echo "include directions: right"
