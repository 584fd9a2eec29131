#!/bin/sh
# Draws what README shows: Ann's terminal, in a room with Tom, from a real session of the built programs.
# Writes scripts/picture-light.svg and scripts/picture-dark.svg. Needs tmux, in which both type.

set -eu
here=$(cd "$(dirname "$0")" && pwd)
programs=${PROGRAMS:-$here/../target/release}
programs=$(cd "$programs" && pwd)
columns=76 rows=15
dir=$(mktemp -d)
server=''
tmux() {
    command tmux -S "$dir/tmux" -f /dev/null "$@"
}
cleanup() {
    tmux kill-server 2>/dev/null || :
    [ -z "$server" ] || kill "$server" 2>/dev/null || :
    rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

fail() {
    echo "picture.sh: $1" >&2
    exit 1
}

# sees WHO TEXT: waits until WHO's screen shows it. Not for ever.
sees() {
    until=$(($(date +%s) + 20))
    until tmux capture-pane -p -t "$1" | grep -q -F -e "$2"; do
        [ "$(date +%s)" -lt "$until" ] || fail "$1's terminal does not show \"$2\""
        # For the sake of those who are waited for.
        sleep 0.05
    done
}

# types WHO LINE
types() {
    tmux send-keys -t "$1" -l -- "$2"
    tmux send-keys -t "$1" Enter
}

# joins WHO, with a home of her own and nothing of the caller's settings.
joins() {
    tmux new-session -d -s "$1" -x "$columns" -y "$rows" -c "$dir" \
        env -i PATH="$PATH" HOME="$dir" TERM=tmux-256color LC_ALL=C.UTF-8 TZ=UTC MULTICHAT_SERVER="$address" \
        "$programs/multichat" -n "$1"
    sees "$1" "joined"
}

mkfifo "$dir/started"
"$programs/multichatd" --quiet --listen "localhost:${PORT:-8080}" >"$dir/started" &
server=$!
read -r _ _ address <"$dir/started" || fail 'the server did not start: PORT=… is another port'
address=localhost:${address##*:}
head -c 34816 /dev/zero >"$dir/cat.jpg"

joins Tom
joins Ann
types Tom 'Who took the beamer?'
sees Ann 'beamer?'
types Ann 'I did, sorry. It is in room 12'
sees Tom 'room 12'
types Ann '/share cat.jpg'
sees Ann 'is shared'
sees Tom 'shared file 1'
types Tom '/msg Ann Thanks! Is that your cat?'
sees Ann 'your cat?'
types Ann '/msg Tom It is. He is called Byte'
sees Tom 'called Byte'
types Ann '/who'
sees Ann '* 2 Ann'
tmux send-keys -t Ann -l -- 'half a li'
sees Ann '> half a li'
types Tom 'Ann: I will fetch it at ten'
sees Ann 'at ten'
tmux capture-pane -p -e -t Ann | sed 's/^[0-9][0-9]:[0-9][0-9] /17:11 /' >"$dir/screen"

# draw INK PAPER FRAME ACCENTS: the screen as SVG. The grid is kept whatever font there is, since each
# run of characters says how wide it is.
draw() {
    LC_ALL=C awk -v ink="$1" -v paper="$2" -v frame="$3" -v accent="$4" -v columns="$columns" '
        function escape(text) {
            gsub(/&/, "\\&amp;", text)
            gsub(/</, "\\&lt;", text)
            gsub(/>/, "\\&gt;", text)
            return text
        }
        # How many characters there are, of bytes in UTF-8.
        function width(text) {
            gsub(/[\200-\277]/, "", text)
            return length(text)
        }
        function put(text, cells, x) {
            cells = width(text)
            x = left + column * cell
            if (reverse)
                boxes = boxes sprintf("<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n", \
                    x, y - 13, cells * cell, line, ink)
            if (text ~ /[^ ]/)
                words = words sprintf("<text x=\"%.1f\" y=\"%d\" textLength=\"%.1f\" fill=\"%s\"%s%s>%s</text>\n", \
                    x, y, cells * cell, reverse ? paper : colour ? accent : ink, \
                    bold ? " font-weight=\"bold\"" : "", dim ? " opacity=\"0.6\"" : "", escape(text))
            column += cells
        }
        function style(codes, n, i, list) {
            n = split(codes, list, ";")
            if (n == 0) plain()
            for (i = 1; i <= n; i++) {
                if (list[i] == "" || list[i] == 0) plain()
                else if (list[i] == 1) bold = 1
                else if (list[i] == 2) dim = 1
                else if (list[i] == 22) bold = dim = 0
                else if (list[i] == 7) reverse = 1
                else if (list[i] == 27) reverse = 0
                else if (list[i] == 38) { colour = 1; i += list[i + 1] == 5 ? 2 : 4 }
                else if (list[i] == 39) colour = 0
                else if (list[i] >= 30 && list[i] <= 37 || list[i] >= 90 && list[i] <= 97) colour = 1
            }
        }
        function plain() {
            bold = dim = reverse = colour = 0
        }
        BEGIN {
            cell = 8.4; line = 19; left = 16; top = 44
            plain()
        }
        {
            y = top + NR * line
            column = 0
            rest = $0
            while (match(rest, /\033\[[0-9;]*m/)) {
                if (RSTART > 1) put(substr(rest, 1, RSTART - 1))
                style(substr(rest, RSTART + 2, RLENGTH - 3))
                rest = substr(rest, RSTART + RLENGTH)
            }
            if (rest != "") put(rest)
            if (column > 0) { last = y; end = left + column * cell }
        }
        END {
            w = columns * cell + 2 * left
            h = last + 18
            printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.1f %d\" width=\"%.0f\" height=\"%d\"", w, h, w, h
            print " font-family=\"ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace\" font-size=\"14\" xml:space=\"preserve\">"
            print "<title>A terminal with the client of multichat: Ann talks with Tom</title>"
            printf "<rect x=\"0.5\" y=\"0.5\" width=\"%.1f\" height=\"%d\" rx=\"8\" fill=\"%s\" stroke=\"%s\"/>\n", w - 1, h - 1, paper, frame
            for (i = 0; i < 3; i++) printf "<circle cx=\"%d\" cy=\"20\" r=\"6\" fill=\"%s\"/>\n", 22 + 20 * i, frame
            printf "<text x=\"%.1f\" y=\"25\" text-anchor=\"middle\" fill=\"%s\" opacity=\"0.6\">multichat -n Ann</text>\n", w / 2, ink
            printf "%s%s", boxes, words
            printf "<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\" opacity=\"0.5\"/>\n</svg>\n", end, last - 13, cell, line, ink
        }' "$dir/screen"
}
draw '#24292f' '#ffffff' '#d0d7de' '#af5f00' >"$here/picture-light.svg"
draw '#e6edf3' '#0d1117' '#30363d' '#d7875f' >"$here/picture-dark.svg"
types Ann '/quit'
types Tom '/quit'
