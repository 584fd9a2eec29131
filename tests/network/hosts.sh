# shellcheck shell=sh
# Hosts of their own, for tests of the network: network namespaces, each tied to the server's by a
# cable of its own. To be sourced; needs root, and says so where it has to skip. Whatever ends the
# test, its hosts are removed, with all that runs on them.
#
# The server is 192.0.2.254. Host NAME's end of its cable is called `cable` there, and `to-NAME` at
# the server.

set -u
built=$(cd "$(dirname "$0")/.." && pwd)/target/release
dir=$(mktemp -d)
hosts=''
export MULTICHAT_SERVER=192.0.2.254
cleanup() {
    trap '' HUP INT TERM
    for host in $hosts; do
        ip netns pids "$host-$$" | while read -r process; do
            kill "$process" 2>/dev/null
        done
        ip netns del "$host-$$"
    done
    rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' HUP INT TERM

fail() {
    printf 'FAILED: %s\n' "$1"
    exit 1
}

# Makes host NAME.
host() {
    ip netns add "$1-$$" 2>/dev/null || {
        echo 'skipped: this user may not make network namespaces'
        exit 0
    }
    hosts="$hosts $1"
    ip -n "$1-$$" link set lo up
}

# Runs a command on host NAME.
on() {
    name=$1
    shift
    ip netns exec "$name-$$" "$@"
}

# The same, as a process of its own: to be started in the background.
start() {
    name=$1
    shift
    exec ip netns exec "$name-$$" "$@"
}

# Makes the server's host.
server() {
    host server
    ip -n "server-$$" addr add 192.0.2.254/32 dev lo
}

# Makes host NAME, and ties it to the server by cable N.
tie() {
    host "$1"
    ip link add "to-$1" netns "server-$$" type veth peer name cable netns "$1-$$"
    ip -n "server-$$" addr add "192.0.2.$((4 * $2 + 1))/30" dev "to-$1"
    ip -n "$1-$$" addr add "192.0.2.$((4 * $2 + 2))/30" dev cable
    ip -n "server-$$" link set "to-$1" up
    ip -n "$1-$$" link set cable up
    ip -n "$1-$$" route add default dev cable
}

# Makes host NAME, and ties it to the server by cable N, a bad one of DELAY ms each way, LOSS percent
# and KBIT/s.
tie_badly() {
    host "$1"
    mkdir "$dir/$1"
    start "$1" "$built/examples/air" "$dir/$1" "$3" "$4" "$5" &
    exists "$dir/$1/from-far" || fail 'there is no bad cable'
    tunnel server "to-$1" "$((4 * $2 + 1))" "$dir/$1/near" "$dir/$1/from-near"
    tunnel "$1" cable "$((4 * $2 + 2))" "$dir/$1/far" "$dir/$1/from-far"
    until_true 10 ip -n "$1-$$" route add default dev cable 2>/dev/null || fail "host $1 has no cable"
}

# An interface INTERFACE of HOST, 192.0.2.N, whose packets go to socket TO and come to FROM.
tunnel() {
    start "$1" socat "TUN:192.0.2.$3/30,tun-name=$2,iff-no-pi,up" "UNIX-SENDTO:$5,bind=$4" 2>"$dir/socat" &
    exists "$4" || fail "host $1 has no cable"
}

# Waits until something is there; not for ever.
exists() {
    until_true 10 test -e "$1"
}

# Waits until FILE holds TEXT, SECONDS at the most.
holds() {
    until_true "$3" grep -q -F -e "$2" "$1"
}

# Waits until a command succeeds, SECONDS at the most.
until_true() {
    until=$(($(date +%s) + $1))
    shift
    until "$@"; do
        [ "$(date +%s)" -lt "$until" ] || return 1
        sleep 0.1
    done
}
