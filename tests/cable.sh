#!/bin/sh
# Cables pulled: one client idle, one with a text under way, and one that fetches a file from a server
# whose stall timeout is longer than it takes. All have to be found within two minutes, with the cause
# told. Takes those two minutes, so it is not a part of `make test`; needs root.

# shellcheck source=tests/network/hosts.sh
. "$(dirname "$0")/network/hosts.sh"

# Starts a server on a port, with options.
serve() {
    port=$1
    shift
    start server env TMPDIR="$dir" "$built/multichatd" --listen "$port" "$@" \
        >"$dir/out-$port" 2>"$dir/log-$port" &
    holds "$dir/out-$port" 'listening on' 10 || fail "no server: $(cat "$dir/log-$port")"
}

# Says something in private to client UID, on a port.
ask() {
    on server "$built/multichat" --server "localhost:$1" --to "$2" send hi 2>&1
}

# Client UID of the server on PORT has to be found gone within two minutes of the pull.
expect_gone() {
    holds "$dir/log-$1" "client $2: left: the connection timed out" $((pulled + 120 - $(date +%s))) ||
        fail "$3 was not found in two minutes; the server says: $(tail -n 3 "$dir/log-$1")"
    echo "$3 was found after $(($(date +%s) - pulled)) s"
    told=$(ask "$1" "$2")
    case $told in
        *"client $2 has left: the connection timed out") ;;
        *) fail "of $3 it is told: $told" ;;
    esac
}

server
tie ann 1
tie_badly tom 2 10 0 1000
serve 8080
serve 8081 --stall-timeout 300
for client in 1 2; do
    start ann socat -u "TCP:$MULTICHAT_SERVER:8080" - >/dev/null 2>&1 &
    holds "$dir/log-8080" "client $client: joined" 10 || fail "client $client did not join"
done
head -c 5000000 /dev/zero >"$dir/file.bin"
id=$(on server "$built/multichat" --server localhost:8081 share "$dir/file.bin")
start tom "$built/multichat" --server "$MULTICHAT_SERVER:8081" --output - fetch "$id" >"$dir/fetched" &
until_true 20 test -s "$dir/fetched" || fail 'nothing was fetched'

for host in ann tom; do
    ip -n "$host-$$" link set cable down
done
pulled=$(date +%s)
ask 8080 2 || fail 'the second client was gone at once'
expect_gone 8080 2 'the one with a text under way'
expect_gone 8081 2 'the one that fetches a file'
expect_gone 8080 1 'the idle one'
