#!/bin/sh
# Every netcat, end to end, through the built server: the README's own commands, and the functions of
# scripts/mcmp.sh in every shell. Says which cases it skipped for want of a netcat; in CI none may be.

set -u
here=$(cd "$(dirname "$0")" && pwd)
multichatd=${MULTICHATD:-${CARGO_TARGET_DIR:-$here/../target}/debug/multichatd}
[ -x "$multichatd" ] || { echo "$multichatd is not there: run make test" >&2; exit 1; }
dir=$(mktemp -d)
server=''
trap '[ -z "$server" ] || kill "$server"; rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM

passed=0 failed=0 skipped=0

# check NAME EXPECTED GOT
check() {
    if [ "$2" = "$3" ]; then
        passed=$((passed + 1))
        echo "ok $1"
    else
        failed=$((failed + 1))
        printf 'FAILED %s\n  expected: %s\n  got:      %s\n' "$1" "$2" "$3"
    fi
}

start() {
    mkfifo "$dir/started"
    "$multichatd" --quiet --listen 127.0.0.1:0 >"$dir/started" &
    server=$!
    read -r _ _ address <"$dir/started"
    host=${address%:*} port=${address##*:}
}

query='Message-Type query\nMessage-ID 1\n\n'
bye='Message-Type bye\nMessage-ID 2\n\n'

# The first line of the response to a query, sent with a netcat that is to end by itself.
status_of() {
    timeout 10 "$@" 2>&1 | tr -d '\r' | head -n 1
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
    # Whoever asks is one of the two; the other is the listener.
    wait_for "$case_name, listening" 'clients' two_clients && mcmp_send "for $case_name" &&
        wait_for "$case_name, listening" 'relay' grep -q -F "for $case_name" "$dir/heard" &&
        check "$case_name, listening" "for $case_name" "$(grep -F -o "for $case_name" "$dir/heard")"
    exec 3>&-
    kill "$listener" 2>/dev/null
    wait "$listener" 2>/dev/null
    wait_for "$case_name, gone" 'clients' one_client
    rm "$dir/hold"
}

two_clients() {
    [ "$(mcmp_who | wc -l)" -eq 2 ]
}

one_client() {
    [ "$(mcmp_who | wc -l)" -eq 1 ]
}

# wait_for NAME WHAT COMMAND…: until the command succeeds; not for ever.
wait_for() {
    wait_name=$1 wait_what=$2
    shift 2
    until=$(($(date +%s) + 10))
    until "$@"; do
        if [ "$(date +%s)" -ge "$until" ]; then
            check "$wait_name" "$wait_what" 'nothing within 10 seconds'
            return 1
        fi
    done
}

# have NAME COMMAND: whether the cases of a netcat can be run.
have() {
    if command -v "$2" >/dev/null 2>&1; then
        return 0
    fi
    skipped=$((skipped + 1))
    echo "skipped $1: $2 is not installed"
    return 1
}

# What the functions of scripts/mcmp.sh are to print, whatever shell and netcat.
cat >"$dir/functions" <<'EOF'
. "$1/../scripts/mcmp.sh"
set -e
dir=$2
cd "$dir"
mcmp_nick 'Zoë B'
mcmp_send '-n %s \n "quoted" $HOME
second line
'
mcmp_who | grep -c 'Zoë B'
mcmp_send_to 4294967295 x || echo "status $?"
id=$(mcmp_share data.tar.gz)
mcmp_files | grep "^$id " | cut -d ' ' -f 2,3
mcmp_fetch "$id" | cmp - data.tar.gz && echo same
id=$(mcmp_share empty)
mcmp_fetch "$id" | wc -c | tr -d ' '
mcmp_fetch 0 || echo "status $?"
mcmp_nick "$(printf 'two\nlines')" || echo "status $?"
echo "$MCMP_NICK"
mcmp_send || echo "status $?"
MCMP_SERVER=127.0.0.1:1
mcmp_send x 2>/dev/null || echo "status $?"
EOF
cat >"$dir/expected" <<'EOF'
1
mcmp: no client 4294967295 has connected; query lists the active UIDs
status 1
tar.gz 100000
same
0
mcmp: no file 0 is staged for you; query with the body files lists yours
status 1
mcmp: U+000A may not stand in a nickname: one line, no control characters, nothing that turns the direction of text
status 1
Zoë B
usage: mcmp_send TEXT
status 2
status 1
EOF
cat >"$dir/listen" <<'EOF'
. "$1/../scripts/mcmp.sh"
mcmp_listen
EOF
head -c 100000 /dev/urandom >"$dir/data.tar.gz"
: >"$dir/empty"

# functions SHELL NETCAT: sends, shares and fetches, and listens to it.
functions() {
    : >"$dir/listened"
    # shellcheck disable=SC2086 # a shell can be two words
    MCMP_NETCAT=$2 timeout 30 $1 "$dir/listen" "$here" >"$dir/listened" 2>&1 &
    listener=$!
    wait_for "mcmp.sh in $1 with $2" 'clients' two_clients || return
    # shellcheck disable=SC2086
    got=$(MCMP_NETCAT=$2 timeout 30 $1 "$dir/functions" "$here" "$dir" 2>&1)
    check "mcmp.sh in $1 with $2" "$(cat "$dir/expected")" "$got"
    wait_for "mcmp_listen in $1 with $2" 'file' grep -q '(bin, 0 bytes)' "$dir/listened"
    # shellcheck disable=SC2016 # as it was sent
    expected='UID Zoë B: -n %s \n "quoted" $HOME
    second line
UID Zoë B shared file ID (tar.gz, 100000 bytes)
UID Zoë B shared file ID (bin, 0 bytes)'
    check "mcmp_listen in $1 with $2" "$expected" \
        "$(sed 's/^[0-9][0-9]* /UID /; s/file [0-9]* /file ID /' "$dir/listened")"
    kill "$listener" 2>/dev/null
    wait "$listener" 2>/dev/null
    wait_for "mcmp_listen in $1 with $2, ended" 'no netcat left' one_client
}

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
for shell in dash bash 'busybox sh'; do
    have "$shell" "${shell%% *}" || continue
    for netcat in nc.openbsd nc.traditional ncat 'busybox nc' socat bash; do
        have "$netcat in $shell" "${netcat%% *}" && functions "$shell" "$netcat"
    done
done

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
        } | timeout 10 "$@" | tr -d '\r' | sed -n 's/^File-ID //p'
    )
    printf 'Message-Type fetch\nMessage-ID 1\nContent-Length %d\n\n%sMessage-Type bye\nMessage-ID 2\n\n' \
        "${#shared}" "$shared" | timeout 10 "$@" | sed '1,/^\r$/d' >"$dir/fetched"
    cmp "$dir/data.tar.gz" "$dir/fetched"
    check "$case_name, share and fetch" 0 $?
}
for netcat in nc.openbsd nc.traditional ncat; do
    have "$netcat, share and fetch" "$netcat" && files "$netcat" "$netcat" "$host" "$port"
done
have 'busybox, share and fetch' busybox && files busybox busybox nc "$host" "$port"

kill -TERM "$server"
wait "$server"
check 'the server ends with status 0' 0 $?
server=''

echo "$passed passed, $failed failed, $skipped skipped"
if [ "${CI-}" = true ] && [ "$skipped" -gt 0 ]; then
    echo 'in CI no case may be skipped' >&2
    exit 1
fi
[ "$failed" -eq 0 ]
