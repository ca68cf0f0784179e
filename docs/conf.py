"""Configuration of the documentation site (Sphinx, Markdown by MyST). `make docs` builds it with warnings as errors."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]

project = "Countersign"
copyright = "the Countersign authors, Apache-2.0"
release = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

extensions = ["myst_parser", "sphinx_copybutton"]
exclude_patterns = ["_generate", "_prose"]
myst_heading_anchors = 4  # headings are link targets, as on GitHub; a link to a missing one is a warning
myst_enable_extensions = ["colon_fence"]
nitpicky = True
highlight_language = "text"

html_theme = "pydata_sphinx_theme"
html_title = f"Countersign {release}"
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_theme_options = {
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
}
copybutton_exclude = ".linenos, .gp"
