#!/usr/bin/env bash
# Programs that PyPI does not have, from Debian's mirrors: unpacked into .tools, so that nothing is installed or started
# elsewhere. `tools/fetch.sh PACKAGE …` fetches what is missing of: Prometheus (with promtool), VictoriaMetrics (it takes
# OTLP, as the collector does), dygraphs (draws lines over time in a browser), Docker Compose, nginx (ends TLS in tests),
# libfaketime (moves the clock of a process in tests).
set -euo pipefail
cd "$(dirname "$0")/.."
TOOLS=$PWD/.tools
# PACKAGE: SUITE and one file of it. Later Prometheus packages come without promtool; earlier VictoriaMetrics takes no OTLP.
declare -A SUITE=([prometheus]=bookworm [libjs-dygraphs]=bookworm [nginx]=bookworm [libfaketime]=bookworm [victoria-metrics]=trixie [docker-compose]=trixie)
declare -A HAS=([prometheus]=usr/bin/promtool [libjs-dygraphs]=usr/share/javascript/dygraphs/dygraph.min.js
  [nginx]=usr/sbin/nginx [libfaketime]=usr/share/doc/libfaketime/copyright [victoria-metrics]=usr/bin/victoria-metrics [docker-compose]=usr/libexec/docker/cli-plugins/docker-compose)

missing=()
for package in "$@"; do [ -e "$TOOLS/${HAS[$package]}" ] || missing+=("$package"); done
[ ${#missing[@]} -gt 0 ] || exit 0
stop() { echo "$1: ${missing[*]} cannot be unpacked. They come from Debian's mirrors: use a Debian with apt-get" >&2; exit 2; }
command -v apt-get >/dev/null && command -v dpkg >/dev/null || stop "no apt-get"
echo "unpacking ${missing[*]} into .tools (apt-get download; nothing is installed)"
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
mkdir -p "$TOOLS"
HOST=$(. /etc/os-release && echo "${VERSION_CODENAME:-bookworm}")

apt() { # SUITE WORDS …: this machine's own mirrors, with lists of their own
  local own=$WORK/$1
  apt-get -qq -o "Dir::Etc::sourcelist=$own/sources.list" -o "Dir::Etc::sourceparts=$own/parts" \
    -o "Dir::State::lists=$own/lists" -o "Dir::Cache=$own/cache" -o APT::Sandbox::User=root "${@:2}"
}

lists() { # SUITE: of which packages it has
  local own=$WORK/$1
  [ ! -d "$own" ] || return 0
  mkdir -p "$own/lists/partial" "$own/cache/archives/partial" "$own/parts"
  cat /etc/apt/sources.list 2>/dev/null | sed "s/\b$HOST\b/$1/g" >"$own/sources.list" || true
  for file in /etc/apt/sources.list.d/*; do
    [ -e "$file" ] && sed "s/\b$HOST\b/$1/g" "$file" >"$own/parts/$(basename "$file")"
  done
  apt "$1" update || true # a suite may lack one of the parts
}

for package in "${missing[@]}"; do
  suite=${SUITE[$package]}
  lists "$suite"
  (cd "$WORK/$suite" && apt "$suite" download "$package") || stop "$package is not in $suite here"
  dpkg -x "$WORK/$suite/$package"_*.deb "$TOOLS"
done
