#!/bin/sh
# Every command in README.md, as printed: blocks marked `sh`, each in a directory and a room of its own
# that Tom listens to, and the recipes in the table of netcats. A block marked `text` is what the one
# before it prints. Blocks marked `sh by-hand` need root, another machine or minutes: they are listed,
# and of these only the targets of make and the scripts are looked up. In a line that says `until
# interrupted` the command has to go on until it is interrupted.
#
# It runs in a network namespace, where port 8080 is free and 192.168.1.20 is this machine. Where there
# can be none, another port and address stand in.

set -u
here=$(cd "$(dirname "$0")" && pwd)
if [ -z "${README_PLACE-}" ]; then
    README_PLACE=own
    export README_PLACE
    # shellcheck disable=SC2016 # the shell in the namespace is to expand it
    alone='ip link set lo up && ip address add 192.168.1.20/32 dev lo && exec "$0"'
    for how in 'unshare --net' 'unshare --net --map-root-user'; do
        if $how ip link set lo up 2>/dev/null; then
            # shellcheck disable=SC2086 # words
            exec $how sh -c "$alone" "$0"
        fi
    done
    README_PLACE=shared
fi
# shellcheck source=tests/common.sh
. "$here/common.sh"
root=$here/..
programs=${multichatd%/*}
programs=$(cd "$programs" && pwd)
# Long enough for a busy machine; nothing is waited for in vain.
limit=60

cp "$root/README.md" "$dir/README.md"
if [ "$README_PLACE" = own ]; then
    host=localhost port=8080
else
    start
    stop >/dev/null
    sed -i "s/8080/$port/g; s/192\\.168\\.1\\.20/$host/g" "$dir/README.md"
fi
listen=8080
[ "$README_PLACE" = own ] || listen=$host:$port
mkdir "$dir/bin" "$dir/blocks"
ln -s "$programs/multichat" "$programs/multichatd" "$dir/bin"
PATH=$dir/bin:$PATH
export PATH
# The netcat of the blocks.
for netcat in nc.openbsd nc.traditional ncat; do
    ! command -v "$netcat" >/dev/null 2>&1 || ln -sf "$(command -v "$netcat")" "$dir/bin/nc"
done

# The blocks, a file each: NUMBER.KIND, in their order. A block in a list is indented.
awk -v to="$dir/blocks" '
    /^ *```/ && !inside {
        inside = 1
        indent = index($0, "`") - 1
        kind = substr($0, indent + 4)
        gsub(/ /, "-", kind)
        file = sprintf("%s/%02d.%s", to, ++number, kind == "" ? "none" : kind)
        printf "" >file
        next
    }
    /^ *```/ { inside = 0; close(file); next }
    inside { print substr($0, indent + 1) >file }
' "$dir/README.md"

# said TEXT FILE
said() {
    grep -q -F -e "$1" "$2"
}

# A room on README's port, and Tom, who is client 1 and listens.
open_room() {
    rm -f "$dir/started" "$dir/tom"
    mkfifo "$dir/started"
    multichatd --verbose --listen "$listen" >"$dir/started" 2>"$dir/log" &
    server=$!
    read -r _ _ address <"$dir/started"
    MCMP_SERVER=$host:$port
    multichat -s "$MCMP_SERVER" -n Tom listen >"$dir/tom" 2>/dev/null &
    tom=$!
    wait_for "$1" 'Tom is here' said 'client 1: is now "Tom"' "$dir/log"
}

close_room() {
    kill "$server"
    wait "$server"
    server=''
    wait "$tom" 2>/dev/null
}

# A directory with what the commands are about.
make_work() {
    rm -rf "$dir/work"
    mkdir -p "$dir/work/target"
    ln -s "$root/scripts" "$dir/work/scripts"
    ln -s "$programs" "$dir/work/target/release"
    head -c 34816 /dev/urandom >"$dir/work/cat.jpg"
    echo 'a line of the build' >"$dir/work/build.log"
    echo 'some notes' >"$dir/work/notes"
    tar -C "$dir/work" -czf "$dir/work/notes.tar.gz" notes
    rm "$dir/work/notes"
}

# The script of a block. What goes on is in the background, and still there at the end.
script_of() {
    echo 'set -e'
    # shellcheck disable=SC2016 # the script is to expand it
    sed 's/^\(.*[^ ]\)  *# .*until interrupted.*$/{ \1; } \&\nendless="${endless-} $!"/' "$1"
    # shellcheck disable=SC2016 # the script is to expand it
    echo 'sleep 0.5
        for process in ${endless-}; do
            kill -0 "$process" || exit
        done
        echo done >../ended'
}

# Says something again and again, since those who listen do not say when they have begun.
heard_by() {
    multichat -s "$MCMP_SERVER" send 'Who took the beamer?' && said 'took the beamer?' "$1"
}

# run BLOCK: as printed, in a room of its own.
run() {
    name="README, ${1##*/}"
    make_work
    open_room "$name"
    script_of "$1" >"$dir/script"
    rm -f "$dir/ended"
    (cd "$dir/work" && exec setsid timeout "$limit" sh "$dir/script") </dev/null >"$dir/out" 2>"$dir/err" &
    script=$!
    wait_for "$name" 'its end' [ -e "$dir/ended" ]
    if grep -q 'listen.*until interrupted' "$1"; then
        wait_for "$name" 'what it hears' heard_by "$dir/out"
    fi
    if grep -q 'tail -F build.log' "$1"; then
        wait_for "$name" 'the line of the log' said 'a line of the build' "$dir/tom"
    fi
    check "$name: no complaint" '' "$(cat "$dir/err")"
    if [ -e "$dir/work/cat2.jpg" ]; then
        cmp "$dir/work/cat.jpg" "$dir/work/cat2.jpg"
        check "$name: the file" 0 $?
    fi
    next=$(echo "$dir/blocks/$(printf %02d $((${number#0} + 1)))".*)
    case $next in
        *.text) check "$name: prints what is printed" "$(cat "$next")" "$(tr -d '\r' <"$dir/out")" ;;
    esac
    kill -- "-$script" 2>/dev/null
    wait "$script" 2>/dev/null
    check "$name: Tom is still here" 'yes' "$(kill -0 "$tom" && echo yes)"
    close_room
}

# What needs root, another machine or minutes.
look_up() {
    sed 's/^/by hand: /' "$1"
    grep -o 'make [a-z][a-zA-Z =1]*[a-z1]' "$1" | while read -r command; do
        # shellcheck disable=SC2086 # words
        (cd "$root" && make -n ${command#make } >/dev/null) || echo "$command"
    done >"$dir/missing"
    check "README, ${1##*/}: make has the targets" '' "$(cat "$dir/missing")"
    grep -o 'scripts/[a-z.-]*' "$1" | while read -r script; do
        [ -x "$root/$script" ] || echo "$script"
    done >"$dir/missing"
    check "README, ${1##*/}: the scripts are there" '' "$(cat "$dir/missing")"
}

for block in "$dir"/blocks/*; do
    number=${block##*/}
    number=${number%%.*}
    case $block in
        *.sh) run "$block" ;;
        *.sh-by-hand) look_up "$block" ;;
        *.text | *.console) ;;
        *) check "README, ${block##*/}: marked as sh, sh by-hand, text or console" yes no ;;
    esac
done

# cell NETCAT COLUMN: a recipe of the table.
cell() {
    # shellcheck disable=SC2016 # marks of code
    sed -n "s/^| $1 |/|/p" "$dir/README.md" | cut -d '|' -f "$2" | sed 's/^ *`//; s/` *$//'
}

gone() {
    ! kill -0 "$1" 2>/dev/null
}

# recipes NETCAT PROGRAM: sends and ends; listens, and ends when the server does.
recipes() {
    have "README, $1" "$2" || return
    case $1 in
        openbsd | traditional) ln -sf "$(command -v "$2")" "$dir/bin/nc" ;;
    esac
    make_work
    # shellcheck disable=SC2016 # marks of code
    (cd "$dir/work" && sh -c "$(sed -n 's/.*`\(printf .*>message\)`.*/\1/p' "$dir/README.md")")
    open_room "README, $1"
    check "README, $1: sends and ends" 'Status Ok' \
        "$(cd "$dir/work" && timeout "$limit" sh -c "$(cell "$1" 3)" 2>&1 | tr -d '\r' | head -n 1)"
    (cd "$dir/work" && exec setsid sh -c "$(cell "$1" 4)") </dev/null >"$dir/heard" 2>/dev/null &
    listener=$!
    wait_for "README, $1" 'what it hears' heard_by "$dir/heard"
    close_room
    wait_for "README, $1: the listener ends with the server" 'its end' gone "$listener" &&
        check "README, $1: listens, and ends with the server" yes yes
    kill -- "-$listener" 2>/dev/null
}
recipes openbsd nc.openbsd
recipes traditional nc.traditional
recipes ncat ncat
recipes busybox busybox
recipes socat socat

# What is shown to a class: it goes to its end by itself, and nothing in it fails, whichever netcat
# there is.
demo() {
    have "README: make demo, $1" "${1%% *}" || return
    MULTICHATD=$multichatd MCMP_NETCAT=$1 timeout "$((limit * 3))" \
        "$root/scripts/demo.sh" >"$dir/demo" 2>"$dir/demo.err"
    check "README: make demo ends, $1" 0 $?
    check "README: make demo, $1: a kick" 1 \
        "$(grep -c 'the operator has removed you: You flood' "$dir/demo")"
    check "README: make demo, $1: no complaint" '' "$(cat "$dir/demo.err")"
}
for netcat in nc.openbsd nc.traditional ncat 'busybox nc' socat bash; do
    demo "$netcat"
done

finish
