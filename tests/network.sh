#!/bin/sh
# Bad networks: a room whose hosts lose 1 % of all packets and are 200 ms away, and one with a reader
# behind slow Wi-Fi. Takes a minute, so it is not a part of `make test`; needs root.

# shellcheck source=tests/network/hosts.sh
. "$(dirname "$0")/network/hosts.sh"

TEXTS=1000
FILE_BYTES=500000
AFTERWARDS=100

milliseconds() {
    echo $(($(date +%s%N) / 1000000))
}

# A client on host NAME; not for ever.
client() {
    name=$1
    shift
    on "$name" timeout 90 "$built/multichat" "$@"
}

# Host NAME notes what it hears, until that are COUNT messages.
listen() {
    joined=$(grep -c ': joined' "$dir/log")
    client "$1" listen --count "$2" >"$dir/$1.heard" &
    listener=$!
    until_true 10 has_joined || fail "$1 did not join"
}

has_joined() {
    [ "$(grep -c ': joined' "$dir/log")" -gt "$joined" ]
}

# Waits for processes, all of which have to succeed.
expect_success() {
    for process; do
        wait "$process" || fail "a client has failed; the server says: $(tail -n 3 "$dir/log")"
    done
}

# NAME's texts, COUNT of them, with PADDING or without.
texts() {
    seq -f "$1 %g${3:+ $3}" "$2"
}

# What HOST has heard from NAME, as it was said.
heard() {
    sed -n "s/^[0-9]* $2: //p" "$dir/$1.heard"
}

# How many segments the server's kernel had to send again: the 12th number of the line.
sent_again() {
    on server sed -n 's/^Tcp: \([0-9-]* \)\{11\}\([0-9]*\) .*/\2/p' /proc/net/snmp
}

server
start server env TMPDIR="$dir" "$built/multichatd" --listen 8080 >"$dir/out" 2>"$dir/log" &
holds "$dir/out" 'listening on' 10 || fail "the server does not listen: $(cat "$dir/log")"

echo '1 % loss and 200 ms, each way: three hosts talk, share and listen'
cable=0
for name in ann tom sue; do
    cable=$((cable + 1))
    tie_badly "$name" "$cable" 200 1 100000
done
began=$(milliseconds)
[ "$(client ann who)" = 1 ] || fail 'Ann is not in the room'
took=$(($(milliseconds) - began))
[ "$took" -ge 800 ] || fail "a connection and a query took $took ms: this proves nothing"

began=$(milliseconds)
# Ann hears all the public texts and the file, and what Tom says to her alone.
listen ann $((4 * TEXTS + 1))
to_ann=$((joined + 1))
processes=$listener
for name in tom sue; do
    listen "$name" $((3 * TEXTS + 1))
    processes="$processes $listener"
done
for name in ann tom sue; do
    texts "$name" "$TEXTS" "$(printf %080d 0)" >"$dir/$name.says"
    client "$name" --nick "$name" <"$dir/$name.says" >/dev/null &
    processes="$processes $!"
done
texts whisper "$TEXTS" >"$dir/whispers"
client tom --to "$to_ann" --nick tom <"$dir/whispers" >/dev/null &
processes="$processes $!"
head -c $FILE_BYTES /dev/urandom >"$dir/file.bin"
id=$(client sue --nick sue share "$dir/file.bin") || fail 'the file was not shared'
for name in ann tom; do
    client "$name" --output "$dir/$name.bin" fetch "$id" >/dev/null &
    processes="$processes $!"
done
# shellcheck disable=SC2086 # Process IDs.
expect_success $processes
took=$(($(milliseconds) - began))
for name in ann tom; do
    cmp -s "$dir/file.bin" "$dir/$name.bin" || fail "$name's copy of the file differs"
done
sed -n 's/.*(to you): //p' "$dir/ann.heard" | cmp -s - "$dir/whispers" ||
    fail 'what Tom said to Ann alone is not complete or not in order'
grep -v -F '(to you): ' "$dir/ann.heard" >"$dir/public"
for name in tom sue; do
    cmp -s "$dir/public" "$dir/$name.heard" || fail "ann and $name have not heard the same"
done
for name in ann tom sue; do
    heard tom "$name" | cmp -s - "$dir/$name.says" ||
        fail "what $name said is not complete or not in order"
done
again=$(sent_again)
[ "$again" -gt 0 ] || fail 'nothing had to be sent again: this proves nothing'
echo "  all heard the same, complete and in order, in $took ms; $again segments were sent again"

echo 'slow Wi-Fi: one of two readers has 200 kbit/s'
tie bob 4
tie eve 5
tie_badly max 6 5 0 200
# Below the queue limit of 1 MiB, and 17 seconds for the slow reader.
texts bob 600 "$(printf %0700d 0)" >"$dir/bob.says"

# Bob says it all; sets how long it took until he had his last response and Eve had heard it.
speak() {
    listen eve 600
    began=$(milliseconds)
    client bob --nick bob <"$dir/bob.says" >/dev/null || fail 'Bob was refused'
    expect_success "$listener"
    took=$(($(milliseconds) - began))
    heard eve bob | cmp -s - "$dir/bob.says" || fail 'Eve has heard something else'
}

speak
alone=$took
listen max $((600 + AFTERWARDS))
slow=$listener
speak
echo "  without the slow one: $alone ms; beside it: $took ms"
[ "$took" -lt $((alone + 1000)) ] || fail 'the slow reader has slowed the others down'

# Meanwhile the others go on, one text after the other.
listen eve "$AFTERWARDS"
longest=0
texts bob "$AFTERWARDS" >"$dir/afterwards"
while read -r text; do
    sent=$(milliseconds)
    client bob --nick bob send "$text" </dev/null || fail 'Bob was refused'
    took=$(($(milliseconds) - sent))
    [ "$took" -le "$longest" ] || longest=$took
done <"$dir/afterwards"
expect_success "$listener"
count=$(grep -c . "$dir/max.heard")
heard eve bob | cmp -s - "$dir/afterwards" || fail 'Eve has heard something else'
echo "  $AFTERWARDS more: $longest ms at the most; the slow one had heard $count of 600 then"
[ "$longest" -lt 1000 ] || fail 'the slow reader has slowed the others down'
[ "$count" -lt 600 ] || fail 'the slow reader was not slow: this proves nothing'
expect_success "$slow"
took=$(($(milliseconds) - began))
cat "$dir/bob.says" "$dir/afterwards" >"$dir/all"
heard max bob | cmp -s - "$dir/all" || fail 'the slow reader has heard something else'
echo "  the slow one had heard all, in order, after $took ms"
if grep -e WARN -e ERROR "$dir/log"; then
    fail 'the server has complained'
fi
