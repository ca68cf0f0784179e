#!/usr/bin/env bash
# A Chromium for the browser tests. The headless shell takes a third less processor time than the whole browser.
set -euo pipefail
command -v chromium-headless-shell >/dev/null && exit 0
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
  echo "installing Chromium for the browser tests (apt-get)"
  for package in chromium-headless-shell chromium; do
    (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$package") >/dev/null 2>&1 && exit 0
  done
fi
command -v chromium >/dev/null || command -v google-chrome >/dev/null && exit 0
echo "installing Chromium for the browser tests (playwright)"
.venv/bin/playwright install chromium
