"""Write the generated reference pages into `docs/reference/generated`, which is not committed."""

from pathlib import Path

from docs._generate import commands, http_api, messages, metrics, settings

OUT = Path(__file__).parents[1] / "reference/generated"


def main() -> None:
    """Write every page; a page whose text has not changed is left alone, so that builds stay incremental."""
    OUT.mkdir(parents=True, exist_ok=True)
    pages = {
        "settings": settings.render(),
        "cli": commands.render(),
        "metrics": metrics.render(),
        "events": messages.render(),
    }
    pages |= {f"http-{name}": http_api.render(name, OUT / f"openapi-{name}.json") for name in http_api.SERVICES}
    for name, text in pages.items():
        path = OUT / f"{name}.md"
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


if __name__ == "__main__":
    main()
