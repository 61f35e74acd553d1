#!/bin/sh
# The layer rule: an include may only point to a lower number, neighbours do not see each
# other, and a third-party header belongs to one folder. Prints file:line for each breach.
#   usage: layers.sh SRC
set -eu
cd "${1:-src}"
find . -name '*.[ch]' | sed 's|^\./||' | sort | xargs awk '
BEGIN {
    split("base:0 core:1 table:1 entity:2 store:3 work:3 domain:4 http:4 api:5 top:6", rows, " ")
    for (i in rows) { split(rows[i], p, ":"); level[p[1]] = p[2] }
    sees["http"] = "base"                             # only base
    sees["work"] = "base"
    sees["core"] = "base"
    sees["api"] = "base core table entity domain http" # not store, not work
    third["sodium"] = "base"; third["cblas"] = "core"; third["openblas_config"] = "core"
    third["zlib"] = "table"; third["zstd"] = "table"; third["sqlite3"] = "store"
    third["microhttpd"] = "http"; third["jansson"] = "api"
    third["pthread"] = "base store work domain http"
}
function folder(path) { return index(path, "/") ? substr(path, 1, index(path, "/") - 1) : "top" }
function breach(what) { printf "src/%s:%d: %s\n", FILENAME, FNR, what; bad = 1 }
/^[ \t]*#[ \t]*include[ \t]*"/ {
    split($0, quoted, "\""); from = folder(FILENAME); to = folder(quoted[2])
    if (quoted[2] ~ /\.\./) breach("include from src/, not " quoted[2])
    if (from == to || from == "top") next
    if (!(to in level)) breach("no such folder: " quoted[2])
    else if (level[to] >= level[from] || (from in sees && !index(" " sees[from] " ", " " to " ")))
        breach(from " must not see " to)
}
/^[ \t]*#[ \t]*include[ \t]*</ {
    split($0, angled, "[<>.]"); name = angled[2]; sub("/.*", "", name); from = folder(FILENAME)
    if (name in third && !index(" " third[name] " ", " " from " "))
        breach("<" name ".h> belongs to " third[name])
}
END { exit bad }'
