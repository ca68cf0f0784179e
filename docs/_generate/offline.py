"""Check that the built site loads nothing from other hosts: `python -m docs._generate.offline SITE`."""

import re
import sys
from pathlib import Path

LOADED = re.compile(
    r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["'](?:https?:)?//[^"']+|"""
    r"""<link\b(?=[^>]*\brel=["'](?:stylesheet|preload|preconnect|icon)["'])[^>]*\bhref=["'](?:https?:)?//[^"']+"""
)
IMPORTED = re.compile(r"""(?:@import\s+|url\()\s*(?:url\()?["']?(?:https?:)?//[^"')]+""")


def external(site: Path) -> list[str]:
    """Return one line for each resource that a page or style sheet of `site` would fetch from another host."""
    found = []
    for pattern, kind in (("*.html", LOADED), ("*.css", IMPORTED)):
        for path in sorted(site.rglob(pattern)):
            found += [f"{path}: {match[0]}" for match in kind.finditer(path.read_text())]
    return found


def main() -> None:
    """Print what is external; the exit code is 1 if anything is."""
    found = external(Path(sys.argv[1]))
    print("\n".join(found), end="\n" if found else "")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
