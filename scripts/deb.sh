#!/usr/bin/env bash
# Makes a Debian package of what `make all` has built, in target/: the programs, man pages, completions,
# the shell functions, and a service with a user of its own and its options in /etc/default/multichatd.
#
# VERSION is the package's; PROGRAMS (target/release) is where the programs lie, DEBEMAIL and DEBFULLNAME
# are the maintainer's. Needs dpkg-dev.
set -euo pipefail
cd "$(dirname "$0")/.."

version=${VERSION:-$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)}
programs=${PROGRAMS:-target/release}
maintainer="${DEBFULLNAME:-The multichat authors} <${DEBEMAIL:-multichat@users.noreply.github.com}>"
architecture=$(dpkg --print-architecture)
root=target/deb/multichat
package=target/multichat_${version}_$architecture.deb
# The same sources make the same package.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH
umask 022

rm -rf target/deb target/multichat_*.deb
mkdir -p "$root/DEBIAN" target/deb/debian
PROGRAMS=$programs PREFIX=/usr DESTDIR=$root USER_NAME=multichat scripts/install.sh
strip --strip-unneeded "$root"/usr/bin/*

# The places that Debian has for them.
mv "$root/usr/share/zsh/site-functions" "$root/usr/share/zsh/vendor-completions"
rm "$root/usr/share/doc/multichat/LICENSE"
gzip -9n "$root"/usr/share/man/man*/*

install -d "$root/etc/default"
cat >"$root/etc/default/multichatd" <<END
# Options of the server (multichatd --help lists them), such as
# MULTICHATD_OPTIONS="--listen 192.168.1.20 --max-per-host 8"
MULTICHATD_OPTIONS=""
END
echo /etc/default/multichatd >"$root/DEBIAN/conffiles"

cat >"$root/usr/share/doc/multichat/copyright" <<END
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: multichat

Files: *
Copyright: $(sed -n 's/^Copyright (c) //p' LICENSE)
License: Expat

License: Expat
$(sed '1,/^Copyright/d' LICENSE | sed '1d; s/^$/./; s/^/ /')
END
gzip -9n >"$root/usr/share/doc/multichat/changelog.gz" <<END
multichat ($version) unstable; urgency=low

  * Release $version.

 -- $maintainer  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
END

# What the programs need of the system. dpkg-shlibdeps wants to see the sources' control file.
printf 'Source: multichat\n\nPackage: multichat\nArchitecture: any\n' >target/deb/debian/control
needs=$(cd target/deb && dpkg-shlibdeps -O multichat/usr/bin/* | sed -n 's/^shlibs:Depends=//p')
cat >"$root/DEBIAN/control" <<END
Package: multichat
Version: $version
Architecture: $architecture
Maintainer: $maintainer
Installed-Size: $(du -k -s --apparent-size "$root" | cut -f 1)
Depends: adduser, init-system-helpers (>= 1.54), $needs
Suggests: netcat-openbsd
Section: net
Priority: optional
Description: chat room for a LAN, over TCP
 The reference implementation of the Multi-chat Messaging Protocol (MCMP):
 public and private messages, nicknames, and small files that the server
 stages and clients fetch.
 .
 The package has the server multichatd, which runs as a service on port 8080
 after the installation, the client multichat, and shell functions that need
 no more than a netcat.
END

cat >"$root/DEBIAN/postinst" <<'END'
#!/bin/sh
set -e
if [ "$1" = configure ]; then
    # Where it is there already, nothing changes.
    adduser --quiet --system --group --no-create-home --home /var/lib/multichat multichat
    deb-systemd-helper unmask multichatd.service >/dev/null || :
    if deb-systemd-helper --quiet was-enabled multichatd.service; then
        deb-systemd-helper enable multichatd.service >/dev/null || :
    else
        deb-systemd-helper update-state multichatd.service >/dev/null || :
    fi
    if [ -d /run/systemd/system ]; then
        systemctl --system daemon-reload >/dev/null || :
        # A first installation starts it, an update starts it anew.
        deb-systemd-invoke restart multichatd.service >/dev/null || :
    fi
fi
END
cat >"$root/DEBIAN/prerm" <<'END'
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
    deb-systemd-invoke stop multichatd.service >/dev/null || :
fi
END
cat >"$root/DEBIAN/postrm" <<'END'
#!/bin/sh
set -e
if [ "$1" = remove ] && command -v deb-systemd-helper >/dev/null; then
    deb-systemd-helper mask multichatd.service >/dev/null || :
fi
if [ "$1" = purge ]; then
    rm -rf /var/lib/multichat
    if command -v deb-systemd-helper >/dev/null; then
        deb-systemd-helper purge multichatd.service >/dev/null || :
        deb-systemd-helper unmask multichatd.service >/dev/null || :
    fi
fi
if [ -d /run/systemd/system ]; then
    systemctl --system daemon-reload >/dev/null || :
fi
END
chmod 755 "$root"/DEBIAN/post* "$root"/DEBIAN/pre*
(cd "$root" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
find "$root" -newermt "@$SOURCE_DATE_EPOCH" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group -Zxz --build "$root" "$package" >/dev/null
echo "$package"
