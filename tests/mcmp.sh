#!/bin/sh
# The functions of scripts/mcmp.sh, through the built server: in every shell, with every netcat, under
# whatever settings a caller's shell has. Says which cases it skipped for want of a program; in CI none
# may be.
#
#     tests/mcmp.sh [SHELL…]      # 'busybox sh' is one; all without

set -u
here=$(cd "$(dirname "$0")" && pwd)

# The shells at once, each with a server of its own.
if [ -z "${MCMP_TEST_SHELL-}" ]; then
    [ $# -gt 0 ] || set -- dash bash 'busybox sh' 'zsh --emulate sh'
    logs=$(mktemp -d)
    trap 'rm -rf "$logs"' EXIT
    number=0 failed=0
    for shell in "$@"; do
        number=$((number + 1))
        MCMP_TEST_SHELL=$shell "$0" >"$logs/$number" 2>&1 &
        eval "running_$number=\$!"
    done
    number=0
    for shell in "$@"; do
        number=$((number + 1))
        eval "wait \$running_$number" || failed=1
        sed "s/^/$shell: /" "$logs/$number"
    done
    exit "$failed"
fi

shell=$MCMP_TEST_SHELL
unset MCMP_TEST_SHELL
# shellcheck source=tests/common.sh
. "$here/common.sh"
script=$here/../scripts/mcmp.sh
multichat=${multichatd%d}
# shellcheck source=scripts/mcmp.sh
. "$script"

# For the temporary files of what is tested, and of nothing else.
temporary=$dir/temporary
mkdir "$temporary" "$dir/work" "$dir/bin"

# script_of SETTINGS FILE: makes $dir/script: the settings, the functions, and FILE.
script_of() {
    printf '%s\n. "%s"\n. "%s"\n' "$1" "$script" "$2" >"$dir/script"
}

# run: runs $dir/script in the shell that is tested. Not for ever.
run() {
    # shellcheck disable=SC2086 # a shell can be several words
    (cd "$dir/work" && TMPDIR=$temporary exec timeout 60 $shell "$dir/script")
}

# Starts mcmp_listen under the settings in a shell of its own, and waits until it is there.
start_listening() {
    script_of "$2" "$dir/listen"
    cp "$dir/script" "$dir/listening"
    # shellcheck disable=SC2086
    (cd "$dir/work" && TMPDIR=$temporary exec $shell "$dir/listening") >"$dir/heard" 2>&1 &
    listener=$!
    wait_for "$1, listening" 'clients' two_clients
}

# Ends it by a signal to its shell alone, which is to leave nothing behind.
stop_listening() {
    kill "$listener"
    wait "$listener" 2>/dev/null
    nothing_left "$1"
}

# Neither a connection, nor a process, nor a file.
nothing_left() {
    wait_for "$1" 'no client left' one_client && wait_for "$1" 'no process left' no_process &&
        wait_for "$1" 'no file left' no_file
}

# Those that listen have files in the directory open.
no_process() {
    # shellcheck disable=SC2010 # what is looked for has no other name
    ! ls -l /proc/[0-9]*/fd 2>/dev/null | grep -q -F -e "-> $temporary/"
}

no_file() {
    [ -z "$(ls "$temporary")" ]
}

# --- What each function is to do, whatever shell, netcat and settings -------------------------------

cat >"$dir/functions" <<'END'
mcmp_nick 'Zoë B'
mcmp_send '-n %s \n "quoted" $HOME
second line
'
printf 'from\tstandard input' | mcmp_send -
mcmp_who | grep -c 'Zoë B'
mcmp_history 1 | cut -d ' ' -f 2-
mcmp_history Tom || echo "status $?"
mcmp_history 0 || echo "status $?"
mcmp_send_to 4294967295 x || echo "status $?"
mcmp_send_to Tom x || echo "status $?"
id=$(mcmp_share data.tar.gz)
mcmp_files | grep "^$id " | cut -d ' ' -f 2,3
mcmp_fetch "$id" | cmp - data.tar.gz && echo same
id=$(mcmp_share ./-empty)
mcmp_fetch "$id" | wc -c | tr -d ' '
mcmp_fetch 0 || echo "status $?"
mcmp_fetch x || echo "status $?"
mcmp_nick "$(printf 'two\nlines')" || echo "status $?"
echo "$MCMP_NICK"
mcmp_send || echo "status $?"
mcmp_listen -y || echo "status $?"
mcmp_share . || echo "status $?"
mcmp_share nosuch || echo "status $?"
{ mcmp_send loop; cat; } <<'EOF'
standard input is the caller's
EOF
MCMP_SERVER=127.0.0.1:1
mcmp_send x || echo "status $?"
mcmp_listen || echo "status $?"
END
cat >"$dir/expected" <<'END'
1
Zoë B: from    standard input
mcmp: Tom: not a number of messages (decimal digits)
status 2
mcmp: query "history 0" does not say which part of the history: expected history N or history N after K, decimal digits for both, N at least 1
status 1
mcmp: no client 4294967295 has connected; query lists the active UIDs
status 1
mcmp: Tom: not a UID; mcmp_who lists them (decimal digits)
status 2
tar.gz 100000
same
0
mcmp: no file 0 is staged for you; query with the body files lists yours
status 1
mcmp: x: not a File-ID; mcmp_files lists them (decimal digits)
status 2
mcmp: U+000A may not stand in a nickname: one line, no control characters, nothing that turns the direction of text
status 1
Zoë B
usage: mcmp_send TEXT
status 2
usage: mcmp_listen [-x]
status 2
mcmp: .: a directory: share an archive of it, made with tar
status 1
mcmp: nosuch: not a file that can be read
status 1
standard input is the caller's
mcmp: cannot connect to 127.0.0.1:1: connection refused: no server listens there
status 1
mcmp: cannot connect to 127.0.0.1:1: connection refused: no server listens there
status 1
END
# shellcheck disable=SC2016 # as it was sent
heard='UID Zoë B: -n %s \n "quoted" $HOME
    second line
UID Zoë B: from    standard input
UID Zoë B shared file ID (tar.gz, 100000 bytes)
UID Zoë B shared file ID (bin, 0 bytes)
UID Zoë B: loop'
head -c 100000 /dev/urandom >"$dir/work/data.tar.gz"
: >"$dir/work/-empty"
: >"$dir/work/*"
echo mcmp_listen >"$dir/listen"

# functions NAME SETTINGS: sends, shares and fetches, and listens to it, both with the settings.
functions() {
    start_listening "$1" "$2" || return
    script_of "$2" "$dir/functions"
    check "$1" "$(cat "$dir/expected")" "$(run 2>&1)"
    wait_for "$1, listening" 'the last message' grep -q loop "$dir/heard"
    check "$1, listening" "$heard" "$(sed 's/^[0-9][0-9]* /UID /; s/file [0-9]* /file ID /' "$dir/heard")"
    stop_listening "$1, listening"
}

# --- Listening ----------------------------------------------------------------------------------------

# A reader that has enough: nothing arrives that would tell.
reader_gone() {
    echo '{ mcmp_listen; echo "status $?" >status; } | head -n 1 >first' >"$dir/head"
    script_of "${2-}" "$dir/head"
    run &
    reading=$!
    wait_for "$1" clients two_clients && mcmp_send 'the first' || return
    wait_for "$1" 'the end' gone "$reading"
    wait "$reading"
    nothing_left "$1"
    check "$1" 'UID: the first, status 0' \
        "$(sed 's/^[0-9]*:/UID:/' "$dir/work/first"), $(cat "$dir/work/status")"
}

# Whether a process of ours has ended.
gone() {
    ! grep -q '^State:.[^Z]' "/proc/$1/status" 2>/dev/null
}

# A private message has its mark first, where no nickname can imitate it.
private() {
    start_listening "$1" '' || return
    uid=$(mcmp_who | head -n 1)
    (
        MCMP_NICK='(to you) Tom'
        mcmp_send_to "$uid" 'And
you?'
        mcmp_share "$dir/work/-empty" "$uid" >/dev/null
    )
    mcmp_send_to "$uid" 'the last'
    wait_for "$1" 'the last message' grep -q 'the last' "$dir/heard"
    check "$1" '(to you) UID (to you) Tom: And
    you?
(to you) UID (to you) Tom shared file ID (bin, 0 bytes)
(to you) UID: the last' \
        "$(sed 's/^(to you) [0-9][0-9]*/(to you) UID/; s/file [0-9]* /file ID /' "$dir/heard")"
    stop_listening "$1"
}

# What `mcmp_listen -x` prints of those who come and go, and of a file with a name.
notices() {
    echo 'mcmp_listen -x' >"$dir/listen-x"
    script_of '' "$dir/listen-x"
    cp "$dir/script" "$dir/listening"
    # shellcheck disable=SC2086
    (cd "$dir/work" && TMPDIR=$temporary exec $shell "$dir/listening") >"$dir/heard" 2>&1 &
    listener=$!
    wait_for "$1" 'the first notice' probed || return
    (
        MCMP_NICK=Tom
        mcmp_send hi
        MCMP_NICK=''
        renamed
        cp "$dir/work/-empty" "$dir/work/holiday plan.pdf"
        mcmp_share "$dir/work/holiday plan.pdf" >/dev/null
        mcmp_send 'the last'
    )
    wait_for "$1" 'the last message' grep -q 'the last' "$dir/heard"
    check "$1" '* UID Tom joined
UID Tom: hi
* UID Tom left: it said bye
* UID Tom joined
* UID Tom is now Thomas
* UID Thomas left: it said bye
UID shared file ID holiday plan.pdf (pdf, 0 bytes)
UID: the last' "$(sed '/probe/d; s/[0-9][0-9]* /UID /; s/^[0-9][0-9]*:/UID:/; s/file [0-9]* /file ID /' "$dir/heard")"
    stop_listening "$1"
}

# Whether who comes is told by now.
probed() {
    (MCMP_NICK=probe && mcmp_send probe)
    grep -q '^\* [0-9]* probe joined$' "$dir/heard"
}

# One connection with two nicknames, one after the other.
renamed() {
    (
        _mcmp_settle
        _mcmp_resolve
        {
            _mcmp_header nickname 1 'Content-Length 3'
            printf Tom
            _mcmp_header nickname 2 'Content-Length 6'
            printf Thomas
            _mcmp_header bye 3
        } | _mcmp_connect >/dev/null 2>&1
    )
}

# The server goes: that is said, and is no success.
server_gone() {
    echo "mcmp_listen ${2-} || echo \"status \$?\"" >"$dir/gone"
    script_of '' "$dir/gone"
    run >"$dir/heard" 2>&1 &
    reading=$!
    wait_for "$1" clients two_clients || return
    was=$address
    stop
    wait_for "$1" 'the end' gone "$reading"
    wait "$reading"
    check "$1" "mcmp: the server $was has closed the connection
status 1" "$(cat "$dir/heard")"
    start
    MCMP_SERVER=$address
}

# --- The name of a file -------------------------------------------------------------------------------

# Names that no server takes, that this one does not, and that a shell or a terminal might obey: each file
# is shared, with its name where it can be said.
names() {
    mkdir "$dir/names.d"
    # shellcheck disable=SC2016 # nothing is to be expanded
    set -- 'holiday plan.pdf' 'Zoë.txt' '-n' '$(touch PWNED)' '`x`' '"q" '"'s'" '%s%n' 'a;b|c&d' '*' '~' '.hidden' \
        'File-ID 7' ' ' '  lead' "$(printf 'two\nFrom 7')" "$(printf 'esc\033[2J')" "$(printf 'tab\there')" \
        "$(printf 'turn\342\200\256fdp')" "$(printf 'caf\351')" "$(printf '\343\200\200')" 'back\slash' \
        "$(printf '%0200d' 0)" "$(printf '%0201d' 0)"
    for name in "$@"; do
        echo x >"$dir/names.d/$name"
        printf '%s\0' "$dir/names.d/$name" >>"$dir/paths"
    done
    # The arguments behind the script's name; the options of xargs are GNU's and busybox's.
    # shellcheck disable=SC2016
    echo 'for file in "$@"; do mcmp_share "$file" >/dev/null; done; mcmp_history 23' >"$dir/share"
    script_of '' "$dir/share"
    # shellcheck disable=SC2086
    (cd "$dir/work" && TMPDIR=$temporary exec timeout 60 xargs -0 $shell "$dir/script" <"$dir/paths") |
        sed 's/^[0-9]* shared file [0-9]*//; s/ (bin, 2 bytes)$//; s/^$/ (none)/' >"$dir/shared"
    check 'mcmp_share: the name of each file' \
        " holiday plan.pdf (pdf, 2 bytes)
 Zoë.txt (txt, 2 bytes)
 -n
 \$(touch PWNED)
 \`x\`
 \"q\" 's'
 %s%n
 a;b|c&d
 *
 ~
 .hidden
 File-ID 7
 (none)
 lead
 (none)
 (none)
 (none)
 (none)
 (none)
 (none)
 (none)
 $(printf '%0200d' 0)
 (none)" "$(cat "$dir/shared")"
    check 'mcmp_share: the name of each file, nothing run' '' "$(find "$dir" -name PWNED ! -path '*names.d*')"
}

# --- The type of a file -------------------------------------------------------------------------------

# Each name, and what it is shared as.
cat >"$dir/types" <<'END'
cat.jpg jpg
a.b.pdf pdf
x.tar.gz tar.gz
x.TAR.gz gz
.tar.gz gz
tar.gz gz
a..tar.gz tar.gz
x.tar.gz.b b
notes.text txt
notes.Text txt
x.tar.text tar.text
README bin
.profile bin
.a.b b
x. bin
x.tar. bin
x.mp3~ bin
a.b c bin
x.ä bin
v1.2(final) bin
x.a:b bin
a.c++ c++
x.7z 7z
x.a_b-c a_b-c
x.* bin
-x.jpg jpg
x.-e -e
x.12345678901234567890123456789012 12345678901234567890123456789012
x.123456789012345678901234567890123 bin
x.tar.1234567890123456789012345678 tar.1234567890123456789012345678
x.tar.12345678901234567890123456789 bin
END

# Both programs have the rule of the script's head.
types() {
    mkdir -p "$dir/types.d/a.b"
    sed 's/ [^ ]*$//' "$dir/types" >"$dir/names"
    set --
    while IFS= read -r file; do
        : >"$dir/types.d/a.b/$file"
        set -- "$@" "$dir/types.d/a.b/$file"
    done <"$dir/names"
    # shellcheck disable=SC2016
    printf 'while IFS= read -r file; do mcmp_share "%s/$file"; done <"%s"\n' "$dir/types.d/a.b" "$dir/names" \
        >"$dir/share"
    script_of '' "$dir/share"
    run >"$dir/ids"
    mcmp_files | shared_types "$dir/ids" >"$dir/shared"
    check 'mcmp_share: the type of each name' "$(cat "$dir/types")" "$(cat "$dir/shared")"
    if [ -x "$multichat" ]; then
        MULTICHAT_SERVER=$address "$multichat" share -- "$@" >"$dir/ids"
        mcmp_files | shared_types "$dir/ids" >"$dir/shared"
        check 'multichat share: the type of each name' "$(cat "$dir/types")" "$(cat "$dir/shared")"
    fi
}

# Standard input, which lists files, as lines of a name and a type: those with the File-IDs of FILE.
shared_types() {
    awk 'NR == FNR { type[$1] = $2; next } { print type[$1] }' - "$1" | paste -d ' ' "$dir/names" -
}

# --- A server that is none ----------------------------------------------------------------------------

# hostile NAME ANSWER EXPECTED COMMAND…: what a function makes of an answer, of which nothing is run.
hostile() {
    # shellcheck disable=SC2059 # the escapes are to be expanded
    printf "$2" >"$dir/answer"
    echo "$4" >"$dir/ask"
    script_of '' "$dir/ask"
    check "$1" "$3" "$(MCMP_NETCAT=answer MCMP_SERVER=evil run 2>&1)"
    check "$1, nothing run" '' "$(find "$dir" -name PWNED)"
}

hostiles() {
    cat >"$dir/bin/answer" <<END
#!/bin/sh
case \$1 in
    -h) ;;
    *) cat "$dir/answer" ;;
esac
END
    chmod +x "$dir/bin/answer"
    # shellcheck disable=SC2016
    hostile 'a Content-Length that a shell would run' \
        'Status Ok\r\nMessage-ID 3\r\nContent-Length a[$(touch PWNED)]\r\n\r\nx' \
        'mcmp: the connection to evil ended before the response: what was sent may have arrived' \
        'mcmp_send x'
    # shellcheck disable=SC2016
    hostile 'a Message-ID that a shell would run' \
        'Status $(touch PWNED)\r\nMessage-ID $(touch PWNED)\r\nFile-ID $(touch PWNED)\r\n\r\n' \
        'mcmp: the connection to evil ended before the response: what was sent may have arrived' \
        'mcmp_share data.tar.gz'
    hostile 'an answer that a terminal would obey' \
        'Status Ok\nMessage-ID 3\nContent-Length 22\n\n1 \033[2J\302\2332J\342\200\256a\rb\177 c\303\251\n' \
        '1 \u{1b}[2J\u{9b}2J\u{202e}a\rb\u{7f} cé' mcmp_who
    hostile 'a reason that a terminal would obey' \
        'Status Error\nMessage-ID 3\nContent-Length 6\n\nno\033[2J' \
        'mcmp: no\u{1b}[2J' 'mcmp_send x'
    hostile 'numbers with leading zeros' \
        'Status Ok\nMessage-ID 003\nFile-ID 010\nContent-Length 08\n\n12345678' 10 'mcmp_share data.tar.gz'
    hostile 'an answer that is cut off' 'Status Ok\nMessage-ID 3\nContent-Length 10\n\nx' \
        'mcmp: the connection was lost inside the response' 'mcmp_send x'
    hostile 'no answer' '' 'mcmp: no response from evil: is it a multichat server?' 'mcmp_send x'
    hostile 'a web server' 'HTTP/1.1 400 Bad Request\r\n\r\n' \
        'mcmp: the connection to evil ended before the response: what was sent may have arrived' 'mcmp_send x'
    # The message behind it was sent, so the function has not failed.
    hostile 'a nickname that is refused' \
        'Status Error\nMessage-ID 2\nContent-Length 4\n\nwhy\nStatus Ok\nMessage-ID 3\nContent-Length 0\n\n' \
        'mcmp: without the nickname Tom: why
status 0' 'MCMP_NICK=Tom; mcmp_send x; echo "status $?"'
    hostile 'listening to a notice that a terminal would obey' \
        'Message-Type notice\nFrom 7\nSender-Nickname T\033[m\nContent-Length 12\n\nnickname a\033\n' \
        '* 7 T\u{1b}[m is now a\u{1b}' 'mcmp_listen 2>/dev/null'
    # shellcheck disable=SC2016
    hostile 'listening to what a shell would run' \
        'From 7\nContent-Length $(touch PWNED)\n\n' \
        'mcmp: $(touch PWNED): not a Content-Length (decimal digits)
status 1' 'mcmp_listen; echo "status $?"'
    hostile 'listening to what a terminal would obey' \
        'From 7\nSender-Nickname T\033[m\nContent-Length 8\n\na\tb\r\nc\007' \
        '7 T\u{1b}[m: a    b
    c\u{7}' 'mcmp_listen 2>/dev/null'
}

# A server of the draft is asked for nothing that the draft does not have but what it offers.
of_the_draft() {
    cat >"$dir/bin/draft" <<END
#!/bin/sh
case \$1 in
    -h) exit ;;
esac
timeout 1 cat >>"$dir/said"
cat "$dir/answer"
END
    chmod +x "$dir/bin/draft"
    printf 'Status Error\nMessage-ID 3\nContent-Length 3\n\nno\nFrom 7\nContent-Length 2\n\nhi' >"$dir/answer"
    echo 'mcmp_listen -x 2>/dev/null' >"$dir/ask"
    script_of '' "$dir/ask"
    check 'mcmp_listen -x at a server of the draft' '7: hi' "$(MCMP_NETCAT=draft MCMP_SERVER=draft run 2>&1)"
    check 'mcmp_listen -x, what it has asked' 'features' "$(tr -d '\r' <"$dir/said" | grep -o 'features\|extended')"
}

# --- All of it ----------------------------------------------------------------------------------------

have "$shell" "${shell%% *}" || { finish; exit; }
start
MCMP_SERVER=$address
export MCMP_SERVER MCMP_NETCAT
PATH=$dir/bin:$PATH

for netcat in nc.openbsd nc.traditional ncat 'busybox nc' socat bash; do
    have "$netcat" "${netcat%% *}" || continue
    MCMP_NETCAT=$netcat
    functions "with $netcat" ''
    reader_gone "mcmp_listen | head with $netcat"
    server_gone "mcmp_listen with $netcat, the server gone"
    notices "mcmp_listen -x with $netcat"
    server_gone "mcmp_listen -x with $netcat, the server gone" -x
done
private 'private messages'

# A netcat that is found by itself has a status of its own, and says things.
cat >"$dir/bin/nc" <<'END'
#!/bin/sh
echo 'nc: I connect' >&2
"${REAL_NETCAT:-nc.traditional}" "$@"
exit 7
END
chmod +x "$dir/bin/nc"
MCMP_NETCAT=''
functions 'a netcat with a status of its own' 'set -e; set -u'

MCMP_NETCAT='busybox nc'
# Several settings at once, as far as none makes another one harmless.
# shellcheck disable=SC2016
for settings in \
    'IFS=,; set -e' \
    'IFS=; set -u; trap "" PIPE; trap "echo caller" USR1 EXIT; trap - EXIT' \
    'IFS=0123456789.mp-; CDPATH=/:/usr; set -f; umask 777; LC_ALL=C.UTF-8; export LC_ALL' \
    'set -euaC; if (set -o pipefail) 2>/dev/null; then set -o pipefail; fi; exec 3>/dev/null 4>/dev/null 5</dev/null; \
POSIXLY_CORRECT=1 GREP_OPTIONS=-v BASH_ENV=/dev/null/x ENV=/dev/null/x; export POSIXLY_CORRECT GREP_OPTIONS BASH_ENV ENV' \
    'alias read="echo alias" awk="false;" rm=: sed="sed -n" head=tail tail=head kill=false mktemp=false dd="dd x"' \
    'awk() { echo function; }; tail() { false; }; rm() { false; }; mktemp() { false; }; dd() { false; }'; do
    # An alias is one in a script where the shell is told so.
    functions "$settings" "shopt -s expand_aliases 2>/dev/null; $settings"
done
case $shell in
    bash)
        MCMP_NETCAT=bash
        functions 'traps and options of bash' 'trap "echo failed" ERR; trap : DEBUG; set -ETe; shopt -s nullglob nocasematch xpg_echo'
        functions 'options that bash inherits' 'set -C; export SHELLOPTS; cat() { false; }; export -f cat; unset -f cat'
        ;;
    zsh*)
        functions 'zsh as itself' 'emulate zsh; setopt extended_glob nomatch err_return'
        ;;
esac
MCMP_NETCAT='busybox nc'
reader_gone 'mcmp_listen | head, SIGPIPE ignored' 'trap "" PIPE; set -e'
case $shell in
    'busybox sh')
        # A system without GNU's tail.
        mkdir "$dir/busybox"
        for applet in awk cat dd grep head kill ls mkfifo mktemp rm sed sleep tail wc; do
            ln -s "$(command -v busybox)" "$dir/busybox/$applet"
        done
        ln -s "$(command -v busybox)" "$dir/busybox/nc"
        MCMP_NETCAT=nc
        functions 'nothing but busybox' "PATH=$dir/busybox:\$PATH"
        reader_gone 'mcmp_listen | head, nothing but busybox' "PATH=$dir/busybox:\$PATH"
        ;;
esac
MCMP_NETCAT=''
notices 'mcmp_listen -x with a netcat with a status of its own'
types
names
hostiles
of_the_draft
stop
finish
