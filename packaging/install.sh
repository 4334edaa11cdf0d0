#!/bin/sh
# Installs this bundle beside those that are there, and makes it the current one. Needs no network.
#
#   ./install.sh                      into /opt/chartkeep, with a system user and a systemd unit
#   ./install.sh --prefix DIRECTORY   into another place, without user and unit: to try it, or without root
#   ./install.sh --roll-back          back to the one before (also: /opt/chartkeep/current/install.sh --roll-back)
#
#   PREFIX/releases/VERSION-DIGEST    each bundle, never changed
#   PREFIX/current, PREFIX/previous   links to two of them: an upgrade is one rename, and so is going back
#
# The repository and /etc/chartkeep are not touched by either.
set -eu
umask 022

prefix=/opt/chartkeep
system=yes
action=install
while [ $# -gt 0 ]; do
  case $1 in
    --prefix) prefix=$2; system=no; shift 2 ;;
    --roll-back) action=roll-back; shift ;;
    -h|--help) sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "install.sh: unknown option $1; see --help" >&2; exit 2 ;;
  esac
done

# A link that is replaced in one step: nobody ever finds none.
point() {
  ln -s "$2" "$1.new.$$"
  mv -T "$1.new.$$" "$1"
}

restart() {
  [ "$system" = yes ] && [ -d /run/systemd/system ] || return 0
  systemctl daemon-reload
  # Only where it runs: a first installation is configured before it is started.
  systemctl try-restart chartkeep.service
}

roll_back() {
  [ -L "$prefix/previous" ] || { echo "install.sh: $prefix has no previous version" >&2; exit 1; }
  was=$(readlink "$prefix/current")
  point "$prefix/current" "$(readlink "$prefix/previous")"
  point "$prefix/previous" "$was"
  restart
  echo "current  $(cat "$prefix/current/VERSION")"
}

if [ "$action" = roll-back ]; then
  roll_back
  exit 0
fi

here=$(dirname -- "$(readlink -f -- "$0")")
cd "$here"
sha256sum --check --strict --quiet SHA256SUMS || { echo "install.sh: the bundle is not whole: nothing was installed" >&2; exit 1; }
"$here/bin/chartkeep" --version >/dev/null || { echo "install.sh: its Node does not run on this machine: nothing was installed" >&2; exit 1; }

release="releases/$(cat VERSION)-$(sha256sum SHA256SUMS | cut -c1-8)"
mkdir -p "$prefix/releases"
if [ ! -d "$prefix/$release" ]; then
  rm -rf "$prefix/$release.partial"
  cp -R "$here" "$prefix/$release.partial"
  sync
  mv -T "$prefix/$release.partial" "$prefix/$release"
fi
if [ -L "$prefix/current" ] && [ "$(readlink "$prefix/current")" != "$release" ]; then
  point "$prefix/previous" "$(readlink "$prefix/current")"
fi
point "$prefix/current" "$release"

if [ "$system" = yes ]; then
  if ! getent passwd chartkeep >/dev/null; then
    useradd --system --user-group --home-dir /var/lib/chartkeep --no-create-home --shell /usr/sbin/nologin chartkeep
  fi
  install -d -o root -g chartkeep -m 0750 /etc/chartkeep
  install -d -o chartkeep -g chartkeep -m 0700 /var/lib/chartkeep
  if [ ! -e /etc/chartkeep/chartkeep.yaml ]; then
    install -o root -g chartkeep -m 0640 examples/chartkeep.yaml /etc/chartkeep/chartkeep.yaml
  fi
  ln -sfn "$prefix/current/bin/chartkeep" /usr/local/bin/chartkeep
  if [ -d /etc/systemd/system ]; then install -m 0644 systemd/chartkeep.service /etc/systemd/system/chartkeep.service; fi
  restart
fi
echo "current  $(cat "$prefix/current/VERSION") in $prefix/$release"
echo "next     $prefix/current/docs/install.md"
