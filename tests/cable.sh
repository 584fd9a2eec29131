#!/bin/sh
# A cable pulled: hosts of their own (network namespaces), one client idle and one with data under
# way. Both have to be found within two minutes, with the cause told. Takes those two minutes, so it
# is not a part of `make test`; needs root.

set -u
here=$(cd "$(dirname "$0")" && pwd)
multichatd=${MULTICHATD:-$here/../target/release/multichatd}
server_host=mcmp-server-$$ client_host=mcmp-client-$$
dir=$(mktemp -d)
processes=''
cleanup() {
    for process in $processes; do
        kill "$process" 2>/dev/null
    done
    ip netns del "$server_host" 2>/dev/null
    ip netns del "$client_host" 2>/dev/null
    rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

if ! ip netns add "$server_host" 2>/dev/null; then
    echo 'skipped: this user may not make network namespaces'
    exit 0
fi
ip netns add "$client_host"
ip link add near netns "$server_host" type veth peer name far netns "$client_host"
ip -n "$server_host" addr add 192.0.2.1/24 dev near
ip -n "$client_host" addr add 192.0.2.2/24 dev far
for host in "$server_host" "$client_host"; do
    ip -n "$host" link set lo up
done
ip -n "$server_host" link set near up
ip -n "$client_host" link set far up

mkfifo "$dir/log"
ip netns exec "$server_host" "$multichatd" -l 192.0.2.1:8080 -l 127.0.0.1:8080 \
    >/dev/null 2>"$dir/log" &
processes="$processes $!"
exec 3<"$dir/log"

# Reads the log until a line holds TEXT, and prints that line.
logged() {
    while IFS= read -r line <&3; do
        case $line in *"$1"*) printf '%s\n' "$line"; return ;; esac
    done
    return 1
}

for client in 1 2; do
    ip netns exec "$client_host" socat -u TCP:192.0.2.1:8080,retry=50,interval=0.1 - >/dev/null 2>&1 &
    processes="$processes $!"
    logged "client $client: joined" || exit 1
done

ip -n "$client_host" link set far down
pulled=$(date +%s)
ask() {
    printf 'Message-Type chat\nMessage-ID 1\nTo %d\nContent-Length 2\n\nhiMessage-Type bye\nMessage-ID 2\n\n' "$1" |
        ip netns exec "$server_host" socat -t 5 - TCP:127.0.0.1:8080 | tr -d '\r'
}
# Under way to client 2; client 1 is idle.
ask 2 | grep -q '^Status Ok' || { echo 'FAILED: client 2 was gone at once'; exit 1; }
failed=0
for count in 1 2; do
    logged 'left: the connection timed out' || { echo 'FAILED: the log has ended'; exit 1; }
    took=$(($(date +%s) - pulled))
    [ "$took" -le 120 ] || { echo "FAILED: number $count was found after $took s"; failed=1; }
    echo "number $count found after $took s"
done
for client in 1 2; do
    told=$(ask "$client" | tail -n 1)
    [ "$told" = "client $client has left: the connection timed out" ] || {
        echo "FAILED: of client $client it is told: $told"
        failed=1
    }
done
[ "$failed" -eq 0 ]
