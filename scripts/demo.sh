#!/bin/sh
# A room for a class to watch: starts a server on a free port, lets three shells chat, share and
# fetch through it, prints what goes over the wire in both directions, and ends by itself.
#
# Each step waits for what it needs: a response, or a message that has arrived. With STEP=1 each waits
# for Enter as well. Status 0 if all came as expected.

set -eu
here=$(cd "$(dirname "$0")" && pwd)
multichatd=${MULTICHATD:-$here/../target/release/multichatd}
dir=$(mktemp -d)
server='' anns='' toms=''
cleanup() {
    for process in $anns $toms $server; do
        kill "$process" 2>/dev/null || :
    done
    rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

bold='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR-}" ]; then
    bold=$(printf '\033[1m') plain=$(printf '\033[0m')
fi

fail() {
    printf 'demo: %s\n' "$1" >&2
    exit 1
}

# Says what comes next; a step behind the first waits until it is wanted.
steps=0
say() {
    if [ -n "${STEP-}" ] && [ "$steps" -gt 0 ]; then
        printf '%s[Enter]%s ' "$bold" "$plain"
        # At the end of input nobody is left to wait for.
        read -r _ || STEP=''
    fi
    steps=$((steps + 1))
    printf '\n%s%s%s\n' "$bold" "$1" "$plain"
}

# The operator types standard input into the server's socket, and gets an answer to each line.
operator() {
    cat >"$dir/sent"
    show operator '->' "$dir/sent"
    unix_socket "$dir/control" <"$dir/sent" >"$dir/got" || fail "the operator's netcat has failed"
    show operator '<-' "$dir/got"
    if grep -q '^error' "$dir/got"; then fail 'the operator was refused'; fi
}

# A netcat for Unix sockets: not every one is.
unix_socket() {
    if nc -h 2>&1 | grep -q -e '-[0-9A-Za-z]*U'; then
        nc -N -U "$1"
    elif command -v ncat >/dev/null; then
        ncat -U "$1"
    elif command -v socat >/dev/null; then
        socat -t 10 - "UNIX-CONNECT:$1"
    else
        return 127
    fi
}

# Prints a file as what NAME sent (->) or got (<-), a line each.
show() {
    sed "s/$(printf '\r')\$//; s/^/$1 $2 /" <"$3"
    printf '\n'
}

# Waits until FILE holds PATTERN: the listener has got it. Not for ever.
arrived() {
    until=$(($(date +%s) + 60))
    until grep -q -e "$2" "$1"; do
        [ "$(date +%s)" -lt "$until" ] || return 1
    done
}

# NAME's shell sends what is on standard input, as it is typed into netcat, and gets an answer.
talk() {
    cat >"$dir/sent"
    show "$1" '->' "$dir/sent"
    netcat <"$dir/sent" >"$dir/got" || fail "$1's netcat has failed"
    show "$1" '<-' "$dir/got"
    grep -q '^Status Ok' "$dir/got" || fail "$1 was refused"
}

[ -x "$multichatd" ] || fail "$multichatd is not there: run make demo"
mkfifo "$dir/started"
"$multichatd" --quiet --listen 127.0.0.1:0 --control "$dir/control" >"$dir/started" &
server=$!
read -r _ _ address <"$dir/started" || fail 'the server did not start'

# shellcheck source=scripts/mcmp.sh
. "$here/mcmp.sh"
MCMP_SERVER=$address
netcat() {
    _mcmp_resolve && _mcmp_connect
}

# A listener asks for its own UID and says nothing more. The FIFO holds its input open: the end of it
# would be the end of the client.
_mcmp_dir=$dir
_mcmp_header query 1 'Content-Length 4' >"$dir/greeting"
printf self >>"$dir/greeting"
listen() {
    # Not every netcat takes the `-h` that it is asked for.
    set +e
    _mcmp_resolve && _mcmp_receive <"$dir/$1.in" >>"$dir/$1"
}
# A netcat that reads the question from its file has left the FIFO, maybe before it is written there.
ask() {
    cat "$dir/greeting" 2>/dev/null || :
}
# Waits for the answer, a line of digits alone.
uid_of() {
    arrived "$dir/$1" '^[0-9]\{1,\}$' || fail "$1 got no answer"
    grep '^[0-9]\{1,\}$' "$dir/$1"
}
: >"$dir/ann"
: >"$dir/tom"
mkfifo "$dir/ann.in" "$dir/tom.in"
_mcmp_resolve || fail 'a netcat is needed'
listen ann &
anns=$!
exec 3>"$dir/ann.in"
ask >&3
listen tom &
toms=$!
exec 4>"$dir/tom.in"
ask >&4
# Nothing is to be said before they listen.
ann=$(uid_of ann)
tom=$(uid_of tom)
say "A server listens on $address. Ann and Tom listen, each with a netcat, and have asked for their own UID:
Ann is client $ann, Tom is client $tom.
A browser on this machine joins them at http://$address/ (with STEP=1 there is time for it)."
show ann '->' "$dir/greeting"
show ann '<-' "$dir/ann"
: >"$dir/ann"
: >"$dir/tom"

say 'A third shell, Eve, sets a nickname and says something to all. Bye lets the server close.'
talk eve <<'EOF'
Message-Type nickname
Message-ID 1
Content-Length 3

EveMessage-Type chat
Message-ID 2
Content-Type text
Content-Length 12

How are you?
Message-Type bye
Message-ID 3

EOF
for who in ann tom; do
    arrived "$dir/$who" 'How are you?' || fail "$who did not get it"
    show "$who" '<-' "$dir/$who"
done

say "Now to Ann alone, who is client $ann. Tom gets nothing."
: >"$dir/ann"
: >"$dir/tom"
talk eve <<EOF
Message-Type chat
Message-ID 1
To $ann
Content-Length 5

psst!
Message-Type bye
Message-ID 2

EOF
arrived "$dir/ann" 'psst!' || fail 'ann did not get it'
show ann '<-' "$dir/ann"

say 'Eve shares a file. The server stages it, and the others get its header alone.'
: >"$dir/ann"
talk eve <<'EOF'
Message-Type chat
Message-ID 1
Content-Type txt
Content-Length 19

The file, 19 bytes.
Message-Type bye
Message-ID 2

EOF
for who in ann tom; do
    arrived "$dir/$who" 'Content-Length 19' || fail "$who did not get it"
    show "$who" '<-' "$dir/$who"
done
if grep -q psst "$dir/tom"; then fail 'tom got what was private'; fi

say 'Another shell fetches it by the File-ID.'
talk sam <<'EOF'
Message-Type fetch
Message-ID 1
Content-Length 1

1
Message-Type bye
Message-ID 2

EOF
[ "$(mcmp_fetch 1)" = 'The file, 19 bytes.' ] || fail 'the file has changed on its way'

say "A mistake gets an answer that helps: client $tom is there, client 999 is not."
printf 'Message-Type chat\nMessage-ID 1\nTo 999\nContent-Length 2\n\nhi\nMessage-Type bye\nMessage-ID 2\n\n' >"$dir/sent"
show eve '->' "$dir/sent"
netcat <"$dir/sent" >"$dir/got"
show eve '<-' "$dir/got"
grep -q '^Status Error' "$dir/got" || fail 'client 999 does not exist'

if unix_socket "$dir/control" </dev/null 2>/dev/null; then
    say "The one who runs the server is the operator, and has a socket of its own: it tells who is here and from where. The
operator speaks to all, and removes Tom, who can read why."
    : >"$dir/ann"
    : >"$dir/tom"
    operator <<EOF
who
say Five more minutes, please.
kick $tom You flood. Come back later.
EOF
    arrived "$dir/ann" 'Five more minutes' || fail 'ann did not hear the operator'
    show ann '<-' "$dir/ann"
    arrived "$dir/tom" 'the operator has removed you: You flood.' || fail 'tom was not told why'
    show tom '<-' "$dir/tom"
    if mcmp_who | grep -q "^$tom\$"; then fail 'tom is still here'; fi
else
    say "No netcat here takes Unix sockets: what the operator can do is left out."
fi

say 'The server is told to stop: it says good-bye to nobody, and ends with status 0.'
kill -TERM "$server"
wait "$server" || fail 'the server did not end well'
server=''
