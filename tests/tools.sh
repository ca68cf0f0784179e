#!/usr/bin/env bash
# Programs that tests of what is deployed look through: Prometheus (with promtool), VictoriaMetrics (it takes OTLP, as
# the collector does), Docker Compose. Unpacked into .tools, so that nothing is started or changed elsewhere.
set -euo pipefail
cd "$(dirname "$0")/.."
TOOLS=$PWD/.tools
COMPOSE=$TOOLS/usr/libexec/docker/cli-plugins/docker-compose
[ -x "$TOOLS/usr/bin/promtool" ] && [ -x "$TOOLS/usr/bin/victoria-metrics" ] && [ -x "$COMPOSE" ] && exit 0
skip() { echo "$1: the tests that need it are skipped"; exit 0; }
command -v apt-get >/dev/null && command -v dpkg >/dev/null || skip "no apt-get"
echo "fetching Prometheus, VictoriaMetrics and Docker Compose for the tests (apt-get)"
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
mkdir -p "$TOOLS"

fetch() { # SUITE PACKAGE: from this machine's own mirrors, with lists of their own
  local own=$WORK/$1
  mkdir -p "$own/lists/partial" "$own/cache/archives/partial" "$own/parts"
  cat /etc/apt/sources.list 2>/dev/null | sed "s/bookworm/$1/g" >"$own/sources.list" || true
  for file in /etc/apt/sources.list.d/*; do
    [ -e "$file" ] && sed "s/bookworm/$1/g" "$file" >"$own/parts/$(basename "$file")"
  done
  local options=(-qq -o "Dir::Etc::sourcelist=$own/sources.list" -o "Dir::Etc::sourceparts=$own/parts"
    -o "Dir::State::lists=$own/lists" -o "Dir::Cache=$own/cache" -o APT::Sandbox::User=root)
  apt-get "${options[@]}" update || true # a suite may lack one of the parts
  (cd "$own" && apt-get "${options[@]}" download "$2") || skip "$2 is not to be had"
  dpkg -x "$own/$2"_*.deb "$TOOLS"
}

fetch bookworm prometheus # later ones come without promtool
fetch trixie victoria-metrics
fetch trixie docker-compose
