#!/bin/sh
# What is installed beside the programs: the man pages say what the programs' own --help says, the
# completions load and complete, and what the install script installs runs and can be removed.

set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/common.sh
. "$here/common.sh"
root=$here/..
# The tests below have directories of their own.
tarball=${TARBALL:+$(realpath "$TARBALL")}
tab=$(printf '\t')

# --- Man pages ----------------------------------------------------------------------------------------

# The options that --help lists: `-s, --server HOST[:PORT]`, or `--json`.
help_options() {
    "$1" --help | sed -n 's/^    \(-., \|    \)\(--[a-z][a-z-]*\)\( [][A-Z0-9:.-]*\)\{0,1\}\( .*\)\{0,1\}$/\1\2\3/p' |
        sed 's/^ *//; s/ *$//' | sort
}

# The same of a man page, which has the value behind the short option too.
man_options() {
    mandoc -T ascii -O width=200 "$1" | col -b | sed -n 's/^     \(--\{0,1\}[a-zA-Z].*\)/\1/p' |
        sed 's/   *.*//; s/^\(-.\) [^,]*,/\1,/' | sort
}

help_commands() {
    "$1" --help | sed -n '/^Commands:/,/^$/s/^    \([a-z][a-z]*\)\( .*\)\{0,1\}$/\1/p' | grep -v '^none$' | sort -u
}

man_commands() {
    sed -n 's/^\.It Cm \([a-z]*\).*/\1/p' "$1" | sort -u
}

# help_defaults PROGRAM: `--option 64k` a line, of those whose default is a number.
help_defaults() {
    "$1" --help | tr -s '\n ' ' ' | sed 's/ \(-., \)\{0,1\}\(--[a-z]\)/\n\2/g' |
        sed -n 's/^\(--[a-z-]*\) .*default:\{0,1\} \(port \)\{0,1\}\([0-9][0-9.]*[kMG]\{0,1\}\).*/\1 \3/p'
}

# Those of them that a man page does not tell where it tells of the option.
defaults_missing() {
    mandoc -T ascii -O width=200 "$2" | col -b >"$dir/page"
    help_defaults "$1" | while read -r option default; do
        sed -n "/^     .*$option /,/^     -/p" "$dir/page" | sed '/^     -/d' | grep -q -w -F -e "$default" ||
            echo "$option $default"
    done
}

if have 'man pages' mandoc && have 'man pages' col; then
    for page in multichat.1 multichatd.8; do
        program=${multichatd%/*}/${page%.*}
        check "$page has the options of --help" "$(help_options "$program")" "$(man_options "$root/src/man/$page")"
        check "$page has the commands of --help" "$(help_commands "$program")" "$(man_commands "$root/src/man/$page")"
    done
    check 'the defaults that --help has' many \
        "$([ "$(help_defaults "$multichatd" | wc -l)" -ge 8 ] && echo many)"
    for page in multichat.1 multichatd.8; do
        check "$page has the defaults of --help" '' "$(defaults_missing "${multichatd%/*}/${page%.*}" "$root/src/man/$page")"
    done
    for page in "$root"/src/man/*; do
        check "${page##*/} has no mistakes" '' "$(mandoc -T lint -W warning "$page" 2>&1)"
    done
fi

# The commands in mcmp(7), as a reader types them.
examples() {
    start
    printf 'Message-Type chat\nMessage-ID 1\nContent-Type jpg\nContent-Length 3\n\nabcMessage-Type bye\nMessage-ID 2\n\n' |
        nc.openbsd "$host" "$port" >/dev/null
    sed -n '/^printf/,/^\.Ed/p' "$root/src/man/mcmp.7" |
        sed "/^\\.Ed/s/.*/echo/; s/\\\\e/\\\\/g; s/nc localhost 8080/nc.openbsd $host $port/; s/[>]10.jpg//; s/-Length 2/-Length 1/; s/^10Message/1Message/" \
            >"$dir/examples"
    check 'the examples of mcmp(7)' 'Status Ok
Status Ok
3
abc' "$(cd "$dir" && sh "$dir/examples" 2>&1 | tr -d '\r' |
        sed -n '/^Status/p; /^Content-Length/{n;p;n;p;}; /^abc/p' | grep .)"
    stop
}

# --- Completions --------------------------------------------------------------------------------------

# completes SHELL PROGRAM LINE EXPECTED: what the shell offers for the word that LINE ends with.
completes() {
    case $1 in
        bash) offers=$(complete_in_bash "$2" "$3") ;;
        fish) offers=$(complete_in_fish "$2" "$3") ;;
        zsh) offers=$(complete_in_zsh "$2" "$3" "$4") ;;
    esac
    check "$1 completes '$3'" "$4" "$offers"
}

complete_in_bash() {
    # shellcheck disable=SC2016,SC2086 # bash is to expand it; words
    bash -c '. "$1" || exit
        shift
        compopt() { :; }
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        "_$1"
        printf "%s\n" "${COMPREPLY[@]}"' bash "$dir/$1.bash" $2 2>&1 | sort | tr '\n' ' ' | sed 's/ $//'
}

complete_in_fish() {
    # shellcheck disable=SC2016
    HOME=$dir fish --no-config -c 'source $argv[1]; complete -C $argv[2]' "$dir/$1.fish" "$2" 2>&1 |
        cut -d "$tab" -f 1 | tr '\n' ' ' | sed 's/ $//'
}

# zsh completes on a terminal alone; what it puts behind the word says what it has found.
complete_in_zsh() {
    mkdir -p "$dir/zsh"
    cp "$dir/$1.zsh" "$dir/zsh/_$1"
    # shellcheck disable=SC2016
    timeout 60 zsh -f -c '
        zmodload zsh/zpty
        zpty z "HOME=$1 TERM=dumb zsh -f -i"
        zpty -w z "PS1=; unsetopt zle_bracketed_paste 2>/dev/null; fpath=($1/zsh \$fpath); autoload -U compinit; compinit -u -D; echo REA\"\"DY"
        zpty -r -m z heard "*READY*" || exit
        zpty -w -n z "$2"$'"'\\t'"'
        zpty -r -m z heard "*$4*" && print -r -- "$3"
        zpty -d z' zsh "$dir" "$2" "$3" "${3#"${2##*[!\\] }"}" 2>&1
}

for program in multichat multichatd; do
    for shell in bash zsh fish; do
        "$root/scripts/completions.sh" "$shell" "${multichatd%/*}/$program" >"$dir/$program.$shell"
    done
done
cd "$dir" || exit
mkdir 'a directory'
: >'a file'
if have 'completion for bash' bash; then
    completes bash multichat 'multichat --ser' '--server'
    completes bash multichat 'multichat -n Tom s' 'send share'
    completes bash multichat 'multichat share a' 'a directory a file'
    completes bash multichat 'multichat send a' ''
    completes bash multichat 'multichat -o a' 'a directory a file'
    completes bash multichat 'multichat -n s' ''
    completes bash multichatd 'multichatd --max-' '--max-clients --max-file --max-per-host --max-text'
    completes bash multichatd 'multichatd --stage a' 'a directory'
fi
if have 'completion for fish' fish; then
    completes fish multichat 'multichat --ser' '--server'
    completes fish multichat 'multichat -n Tom sen' 'send'
    completes fish multichat 'multichat share a' 'a directory/ a file'
    completes fish multichat 'multichat send a' ''
    completes fish multichatd 'multichatd --max-c' '--max-clients'
    completes fish multichatd 'multichatd --stage a' 'a directory/'
fi
if have 'completion for zsh' zsh; then
    completes zsh multichat 'multichat --ser' '--server='
    completes zsh multichat 'multichat -n Tom sen' 'send '
    completes zsh multichat 'multichat share a\ f' 'a\ file'
    completes zsh multichatd 'multichatd --max-c' '--max-clients='
    completes zsh multichatd 'multichatd --stage a\ d' 'a\ directory/'
fi

# --- Installing ---------------------------------------------------------------------------------------

# installs NAME SCRIPT: into a directory, from where the server runs; and removes it again.
installs() {
    DESTDIR=$dir/installed PREFIX=/opt/room "$2"
    check "$1: installs" 0 $?
    to=$dir/installed/opt/room
    # shellcheck disable=SC2016 # systemd is to expand it
    check "$1: the unit" '/opt/room/bin/multichatd --stage ${STATE_DIRECTORY} --control ${RUNTIME_DIRECTORY}/control $MULTICHATD_OPTIONS' \
        "$(sed -n 's/^ExecStart=//p' "$to/lib/systemd/system/multichatd.service")"
    check "$1: nothing is left to fill in" '' "$(grep -r -l '@PREFIX@' "$to/lib" "$to/share")"
    if command -v systemd-analyze >/dev/null 2>&1; then
        sed "s|/opt/room/bin|$to/bin|; /^Documentation/d" "$to/lib/systemd/system/multichatd.service" >"$dir/multichatd.service"
        check "$1: systemd takes the unit" '' "$(systemd-analyze verify --man=no "$dir/multichatd.service" 2>&1 | grep multichatd)"
    fi
    built=$multichatd
    multichatd=$to/bin/multichatd
    start
    # shellcheck disable=SC2016
    check "$1: a message" 1 "$(
        MCMP_SERVER=$address sh -c '. "$1" && mcmp_send "How are you?" && mcmp_who | wc -l' \
            sh "$to/share/multichat/mcmp.sh"
    )"
    stop
    multichatd=$built
    DESTDIR=$dir/installed PREFIX=/opt/room "$2" --remove
    check "$1: removes it all" '' "$(find "$dir/installed" -type f)"
    rm -r "$dir/installed"
}

have 'the examples of mcmp(7)' nc.openbsd && examples
PROGRAMS=${multichatd%/*}
export PROGRAMS
installs 'scripts/install.sh' "$root/scripts/install.sh"
# A tarball of `make dist`, where one is named.
if [ -n "$tarball" ]; then
    unset PROGRAMS
    mkdir "$dir/unpacked"
    tar -C "$dir/unpacked" -xf "$tarball"
    installs 'the tarball' "$(echo "$dir"/unpacked/*/install.sh)"
fi
finish
