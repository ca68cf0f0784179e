"""Templates of the evaluator's pages."""

from pathlib import Path

from shared.web.render import PageRoute, Templates

templates = Templates(Path(__file__).parent / "templates")
page = templates.page

__all__ = ["PageRoute", "page", "templates"]
