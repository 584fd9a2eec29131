#!/bin/sh
# The Debian package in a clean Debian: it installs, the service's program runs from there as the
# service's user, a message goes through it, and the package goes again, with all that it made.
#
#     tests/deb.sh PACKAGE      # as root, with the internet; it takes a minute or two
#
# DEBIAN_ROOT names a clean root that is copied in place of a new one, made by
# `debootstrap --variant=minbase --include=adduser SUITE DIRECTORY`.

set -u
here=$(cd "$(dirname "$0")" && pwd)
if [ $# -ne 1 ] || ! [ -f "$1" ]; then
    echo 'usage: tests/deb.sh PACKAGE' >&2
    exit 2
fi
[ "$(id -u)" -eq 0 ] || { echo 'tests/deb.sh: it needs root, for chroot' >&2; exit 1; }
# shellcheck source=tests/common.sh
. "$here/common.sh"

root=$dir/root
if [ -n "${DEBIAN_ROOT-}" ]; then
    cp -a "$DEBIAN_ROOT" "$root"
else
    suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
    debootstrap --variant=minbase --include=adduser "$suite" "$root" >"$dir/debootstrap" 2>&1 ||
        { tail "$dir/debootstrap" >&2; exit 1; }
fi
cp "$1" "$root/package.deb"

inside() {
    LC_ALL=C chroot "$root" "$@"
}

# is NAME COMMAND…: whether it succeeds in the root; what it says is shown where it does not.
is() {
    is_name=$1
    shift
    said=$(inside "$@" 2>&1) && said=yes
    check "$is_name" yes "$said"
}

is 'it installs' dpkg -i /package.deb
is 'the service has a user' id multichat
is 'the service begins with the machine' \
    test -e /etc/systemd/system/multi-user.target.wants/multichatd.service
is 'the man page is there' test -s /usr/share/man/man8/multichatd.8.gz
check 'all of it is whole' '' "$(inside dpkg --verify multichat)"

# The service's command, as systemd would run it.
echo 'MULTICHATD_OPTIONS="--listen 127.0.0.1:0 --quiet"' >"$root/etc/default/multichatd"
command=$(sed -n 's/^ExecStart=//p' "$root/lib/systemd/system/multichatd.service")
user=$(sed -n 's/^User=//p' "$root/lib/systemd/system/multichatd.service")
check 'the user of the unit' multichat "$user"
state=$(sed -n 's/^StateDirectory=//p' "$root/lib/systemd/system/multichatd.service")
inside install -d -o "$user" -m 750 "/var/lib/$state"
runtime=$(sed -n 's/^RuntimeDirectory=//p' "$root/lib/systemd/system/multichatd.service")
inside install -d -o "$user" -m 750 "/run/$runtime"
mkfifo "$dir/started"
# shellcheck disable=SC2016 # the shell inside is to expand it
LC_ALL=C chroot --userspec="$user" "$root" env \
    STATE_DIRECTORY="/var/lib/$state" RUNTIME_DIRECTORY="/run/$runtime" \
    sh -c '. /etc/default/multichatd; eval "exec $1"' sh "$command" >"$dir/started" &
server=$!
read -r _ _ address <"$dir/started"
check 'the server is the user of the service' "$(inside id -u "$user")" \
    "$(stat -c %u "/proc/$server")"
inside env MULTICHAT_SERVER="$address" multichat listen --count 1 >"$dir/heard" &
listening=$!
# shellcheck disable=SC2016
is 'a listener is there' env MULTICHAT_SERVER="$address" \
    sh -c 'for _ in $(seq 200); do [ "$(multichat who | wc -l)" -lt 2 ] || exit 0; done; exit 1'
# The root has no netcat.
is 'a message' env MULTICHAT_SERVER="$address" \
    sh -c '. /usr/share/multichat/mcmp.sh && mcmp_send "How are you?"'
wait "$listening"
check 'it arrives' 'How are you?' "$(sed 's/^[0-9]*: //' "$dir/heard")"
is 'a file' env MULTICHAT_SERVER="$address" multichat share /usr/share/multichat/mcmp.sh
check 'the file is staged' 1 "$(inside find "/var/lib/$state" -name '1 mcmp.sh' | wc -l)"
stop

is 'it updates' dpkg -i /package.deb
is 'an update keeps the options' grep -q -- --listen /etc/default/multichatd
is 'it goes' dpkg -r multichat
is 'the options stay until it is purged' test -e /etc/default/multichatd
is 'it is purged' dpkg -P multichat
check 'nothing is left' '' "$(cd "$root" && find etc usr lib var/lib/multichat -name '*multichat*' 2>/dev/null)"
finish
