#!/usr/bin/env bash
# Checks what the programs are built from, without the network: licences, one version of each package,
# one source for all of them, few enough packages in the server that a person can look through them,
# and no unsafe code of our own.
set -euo pipefail
cd "$(dirname "$0")/.."

# The server with all that it is built from, itself included.
SERVER_LIMIT=33
LICENCES='MIT Apache-2.0 Zlib BSD-2-Clause BSD-3-Clause ISC Unlicense Unicode-3.0'

failed=0
fail() {
    echo "deps: $*" >&2
    failed=1
}

tree() {
    "${CARGO:-cargo}" tree --locked --offline --prefix none --no-dedupe "$@"
}

# Where there is a choice of licences, one that is allowed is enough.
refused=$(tree --all-features --format '{p}|{l}' | sort -u | awk -F '|' -v allowed="$LICENCES" '
    BEGIN { count = split(allowed, names, " "); for (i = 1; i <= count; i++) may[names[i]] = 1 }
    {
        choices = $2
        # The tables of Unicode, beside the code: as free as the others.
        if (sub(/^\(/, "", choices)) sub(/\) AND Unicode-3.0$/, "", choices)
        gsub("/", " OR ", choices)
        count = split(choices, choice, " OR ")
        for (i = 1; i <= count; i++) if (choice[i] in may) next
        print $1 ": " ($2 == "" ? "no licence" : $2)
    }')
[ -z "$refused" ] || fail "not under one of $LICENCES:
$refused"

twice=$(tree --all-features --duplicates --depth 0 2>/dev/null)
[ -z "$twice" ] || fail "in more than one version:
$twice"

# A package from a repository or a folder is not what its version says that it is.
sources=$(sed -n 's/^source = "\([a-z]*\)+.*/\1/p' Cargo.lock | sort -u)
[ "$sources" = registry ] || fail "from other sources than the registry: $sources"

server=$(tree --no-default-features --edges normal,build | sort -u | grep -c .)
[ "$server" -le "$SERVER_LIMIT" ] || fail "the server is built from $server packages, over $SERVER_LIMIT"

grep -q '^unsafe_code = "forbid"$' Cargo.toml || fail 'unsafe code is not forbidden'

[ "$failed" -eq 0 ]
echo "deps: the server is built from $server packages, itself included"
