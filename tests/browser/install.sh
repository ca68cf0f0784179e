#!/usr/bin/env bash
# A Chromium for the browser tests: the system's, else the distribution's, else Playwright's own.
set -euo pipefail
command -v chromium >/dev/null || command -v google-chrome >/dev/null && exit 0
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
  echo "installing Chromium for the browser tests (apt-get)"
  (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium) >/dev/null && exit 0
fi
echo "installing Chromium for the browser tests (playwright)"
.venv/bin/playwright install chromium
