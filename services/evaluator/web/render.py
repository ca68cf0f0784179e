"""Templates of the evaluator's pages."""

from pathlib import Path

from shared.web.render import PageRoute, Templates, span

templates = Templates(Path(__file__).parent / "templates")
templates.environment.globals["span"] = span
page = templates.page

__all__ = ["PageRoute", "page", "templates"]
