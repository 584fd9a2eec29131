#!/bin/sh
# Installs the servers that `make bench PEERS=1` measures beside multichatd, from Debian's packages
# and without starting them. What cannot be installed is left out of the benchmark, which says so.
set -u

missing=''
need() {
    command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] || missing="$missing $2"
}
need ngircd ngircd
need inspircd inspircd
need mosquitto mosquitto
need nats-server nats-server
need nginx nginx-light
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "not installed, and skipped:$missing (apt-get and root would install them)" >&2
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
apt-get update -q
for package in $missing; do
    apt-get install -y -q --no-install-recommends "$package" || echo "skipped: $package" >&2
done
