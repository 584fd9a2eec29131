#!/bin/sh
# Every netcat, end to end, through the built server. Says which cases it
# skipped for want of a netcat; in CI none may be.

set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/common.sh
. "$here/common.sh"

query='Message-Type query\nMessage-ID 1\n\n'
bye='Message-Type bye\nMessage-ID 2\n\n'

# The first line of the response to a query, sent with a netcat that is to end by itself.
status_of() {
    timeout 60 "$@" 2>&1 | tr -d '\r' | head -n 1
}

# readme NAME SENDER…: one message, its response, and the end; as the README shows it.
readme() {
    case_name=$1
    shift
    # shellcheck disable=SC2059 # the escapes are to be expanded
    check "$case_name" 'Status Ok' "$(printf "$query" | status_of "$@")"
}

# with_bye NAME SENDER…: the recipe that every netcat takes without options.
with_bye() {
    case_name=$1
    shift
    # shellcheck disable=SC2059
    check "$case_name, with bye" 'Status Ok' "$(printf "$query$bye" | status_of "$@")"
}

# listens NAME RECEIVER…: what another says arrives while the netcat's input is held open.
listens() {
    case_name=$1
    shift
    mkfifo "$dir/hold"
    timeout 20 "$@" <"$dir/hold" >"$dir/heard" 2>/dev/null &
    listener=$!
    exec 3>"$dir/hold"
    # The client that asks is one of the two; the other is the listener.
    wait_for "$case_name, listening" 'clients' two_clients && mcmp_send "for $case_name" &&
        wait_for "$case_name, listening" 'relay' grep -q -F "for $case_name" "$dir/heard" &&
        check "$case_name, listening" "for $case_name" "$(grep -F -o "for $case_name" "$dir/heard")"
    exec 3>&-
    kill "$listener" 2>/dev/null
    wait "$listener" 2>/dev/null
    wait_for "$case_name, gone" 'clients' one_client
    rm "$dir/hold"
}

head -c 100000 /dev/urandom >"$dir/data.tar.gz"
start
MCMP_SERVER=$address
export MCMP_SERVER
# shellcheck source=scripts/mcmp.sh
. "$here/../scripts/mcmp.sh"

if have openbsd nc.openbsd; then
    readme 'openbsd -N' nc.openbsd -N "$host" "$port"
    with_bye openbsd nc.openbsd "$host" "$port"
    listens openbsd nc.openbsd "$host" "$port"
    listens 'openbsd -d' nc.openbsd -d "$host" "$port"
fi
if have traditional nc.traditional; then
    readme 'traditional -q 1' nc.traditional -q 1 "$host" "$port"
    with_bye traditional nc.traditional "$host" "$port"
    listens traditional nc.traditional "$host" "$port"
    # shellcheck disable=SC2016 # the inner shell is to expand it
    listens 'traditional </dev/null' sh -c 'exec nc.traditional "$1" "$2" </dev/null' sh "$host" "$port"
fi
if have ncat ncat; then
    readme ncat ncat "$host" "$port"
    with_bye ncat ncat "$host" "$port"
    listens ncat ncat "$host" "$port"
    listens 'ncat --recv-only' ncat --recv-only "$host" "$port"
fi
if have busybox busybox; then
    readme busybox busybox nc "$host" "$port"
    with_bye busybox busybox nc "$host" "$port"
    listens busybox busybox nc "$host" "$port"
fi
if have socat socat; then
    readme 'socat -t 5' socat -t 5 - "TCP:$address"
    with_bye socat socat - "TCP:$address"
    listens socat socat - "TCP:$address"
    listens 'socat -u' socat -u "TCP:$address" -
fi
if have bash bash; then
    # shellcheck disable=SC2016 # bash is to expand it
    with_bye bash bash -c 'exec 3<>"/dev/tcp/$1/$2"; cat >&3; cat <&3' bash "$host" "$port"
fi
# files NAME SENDER…: shares and fetches as the README shows it.
files() {
    case_name=$1
    shift
    shared=$(
        {
            printf 'Message-Type chat\nMessage-ID 1\nContent-Type jpg\nContent-Length %d\n\n' \
                "$(wc -c <"$dir/data.tar.gz")"
            cat "$dir/data.tar.gz"
            printf 'Message-Type bye\nMessage-ID 2\n\n'
        } | timeout 60 "$@" | tr -d '\r' | sed -n 's/^File-ID //p'
    )
    printf 'Message-Type fetch\nMessage-ID 1\nContent-Length %d\n\n%sMessage-Type bye\nMessage-ID 2\n\n' \
        "${#shared}" "$shared" | timeout 60 "$@" | sed '1,/^\r$/d' >"$dir/fetched"
    cmp "$dir/data.tar.gz" "$dir/fetched"
    check "$case_name, share and fetch" 0 $?
}
for netcat in nc.openbsd nc.traditional ncat; do
    have "$netcat, share and fetch" "$netcat" && files "$netcat" "$netcat" "$host" "$port"
done
have 'busybox, share and fetch' busybox && files busybox busybox nc "$host" "$port"

stop
finish
