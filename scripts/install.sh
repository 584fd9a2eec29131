#!/bin/sh
# Installs multichat on a systemd machine, or removes it again:
#
#     ./install.sh              # as root, under /usr/local
#     ./install.sh --remove     # all but /etc/default/multichatd and the staged files
#
# PREFIX (/usr/local) says where to, DESTDIR puts a directory before it, and PROGRAMS is the directory
# of the two programs, where they do not lie beside this script. USER_NAME is the service's user,
# where it is not to have one of its own that exists only while it runs.

set -eu
PREFIX=${PREFIX:-/usr/local}
DESTDIR=${DESTDIR:-}
here=$(cd "$(dirname "$0")" && pwd)
# In the sources this script is in scripts/, in the tarball beside it.
[ -d "$here/scripts" ] || here=$(dirname "$here")
man=$here/man
[ -d "$man" ] || man=$here/src/man
programs=${PROGRAMS:-$here}
to=$DESTDIR$PREFIX

fail() {
    echo "install.sh: $1" >&2
    exit 1
}

# Where the system itself looks for units.
unit_dir() {
    case $PREFIX in
        /usr) echo "$DESTDIR/lib/systemd/system" ;;
        *) echo "$to/lib/systemd/system" ;;
    esac
}

completion() {
    case $1 in
        bash) echo "$to/share/bash-completion/completions/$2" ;;
        zsh) echo "$to/share/zsh/${ZSH_DIR:-site-functions}/_$2" ;;
        fish) echo "$to/share/fish/vendor_completions.d/$2.fish" ;;
    esac
}

# What else than programs there is to install: SOURCE and where to, a line each.
files() {
    echo "$man/multichat.1 $to/share/man/man1/multichat.1"
    echo "$man/multichatd.8 $to/share/man/man8/multichatd.8"
    echo "$man/mcmp.7 $to/share/man/man7/mcmp.7"
    echo "$here/scripts/mcmp.sh $to/share/multichat/mcmp.sh"
    echo "$here/README.md $to/share/doc/multichat/README.md"
    echo "$here/LICENSE $to/share/doc/multichat/LICENSE"
}

# Installs standard input as a file.
write() {
    install -d "$(dirname "$1")"
    rm -f "$1"
    cat >"$1"
    chmod 644 "$1"
}

if [ "${1-}" = --remove ]; then
    files | while read -r _ file; do
        rm -f "$file"
    done
    if [ -z "$DESTDIR" ] && [ -d /run/systemd/system ]; then
        systemctl disable --now multichatd 2>/dev/null || :
    fi
    for program in multichat multichatd; do
        rm -f "$to/bin/$program"
        for shell in bash zsh fish; do
            rm -f "$(completion "$shell" "$program")"
        done
    done
    rm -f "$(unit_dir)/multichatd.service"
    rmdir "$to/share/multichat" "$to/share/doc/multichat" 2>/dev/null || :
    exit
fi
[ $# -eq 0 ] || fail "$1: unknown argument; without one it installs, --remove removes"
for program in multichat multichatd; do
    [ -x "$programs/$program" ] || fail "$programs/$program is not there: build it (make all), or set PROGRAMS"
done
umask 022
install -d "$to/bin" 2>/dev/null || fail "cannot write to $to: run it as root, or set PREFIX to a directory of yours"
for program in multichat multichatd; do
    install -m 755 "$programs/$program" "$to/bin"
    for shell in bash zsh fish; do
        "$here/scripts/completions.sh" "$shell" "$programs/$program" | write "$(completion "$shell" "$program")"
    done
done
files | while read -r source file; do
    write "$file" <"$source"
done
sed "s|@PREFIX@|$PREFIX|g; ${USER_NAME:+s|^DynamicUser=yes|User=$USER_NAME|}" \
    "$here/scripts/multichatd.service" | write "$(unit_dir)/multichatd.service"
if [ -z "$DESTDIR" ] && [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    echo 'as a service: systemctl enable --now multichatd'
fi
