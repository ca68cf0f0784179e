"""Print each place where the prose breaks a rule; exit code 1 if there is one. `--docstrings` checks the code, too."""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
RULES = Path(__file__).with_name("rules.yaml")
SKIPPED = ("docs/reference/generated",)
PACKAGES = ("services", "shared", "cli", "sandbox_ehr", "tools")
FENCE = re.compile(r"^\s*(```|~~~)")
# Left out of a line, but not of its length: what is code, and what quotes a message of the program.
NOT_PROSE = re.compile(r"`[^`]*`|\]\([^)]*\)|<https?://[^>]*>|(?<!\*)\*\"[^\"]*\"\*|\"[^\"]{0,160}\"|https?://\S+")
SENTENCE_END = re.compile(r"[.!?:](?:\s|$)|\|")


@dataclass(frozen=True)
class Rule:
    """One pattern that prose must not contain, and what to write instead."""

    match: re.Pattern[str]
    unless: re.Pattern[str] | None
    use: str
    excepted: tuple[str, ...]


@dataclass(frozen=True)
class Rules:
    """The content of `rules.yaml`."""

    longest_sentence: int
    paths: tuple[str, ...]
    rules: tuple[Rule, ...]


def read_rules(path: Path = RULES) -> Rules:
    """Raises KeyError, re.error for a file that is not as it must be."""
    data = yaml.safe_load(path.read_text())
    return Rules(data["longest_sentence"], tuple(data["paths"]), tuple(_rule(item) for item in data["rules"]))


def _rule(item: dict[str, Any]) -> Rule:
    unless = re.compile(item["unless"], re.IGNORECASE) if item.get("unless") else None
    return Rule(re.compile(item["match"], re.IGNORECASE), unless, item["use"], tuple(item.get("except", ())))


def check(text: str, rules: Rules, path: str = "") -> Iterator[tuple[int, str]]:
    """Yield line number and complaint for each place of a Markdown text that breaks a rule."""
    paragraph: list[tuple[int, str]] = []
    for number, line in [*prose(text), (0, "")]:
        for rule in rules.rules:
            if not path.startswith(rule.excepted or ("\0",)):
                yield from ((number, f'"{found}": write {rule.use}') for found in _found(rule, line))
        if line.strip() and not line.lstrip().startswith(("|", "- ", "#")):
            paragraph.append((number, line))
            continue
        yield from _too_long(paragraph, rules.longest_sentence)
        paragraph = [(number, line)] if line.strip() else []


def _found(rule: Rule, line: str) -> Iterator[str]:
    allowed = [match.span() for match in rule.unless.finditer(line)] if rule.unless else []
    for match in rule.match.finditer(line):
        if not any(start <= match.start() and match.end() <= end for start, end in allowed):
            yield match[0]


def _too_long(paragraph: Sequence[tuple[int, str]], longest: int) -> Iterator[tuple[int, str]]:
    text = " ".join(line for _, line in paragraph)
    for sentence in SENTENCE_END.split(text):
        if (words := len(sentence.split())) > longest:
            yield paragraph[0][0], f"a sentence of {words} words: {' '.join(sentence.split()[:6])} …"


def prose(text: str) -> Iterator[tuple[int, str]]:
    """Yield number and text of each line, without code blocks, inline code, link targets and quotations."""
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        if FENCE.match(line):
            fenced = not fenced
            yield number, ""
        elif not fenced:
            yield number, NOT_PROSE.sub(" x ", line)


def files(rules: Rules) -> Iterator[Path]:
    """Yield every Markdown file that is checked."""
    for name in rules.paths:
        path = ROOT / name
        found = sorted(path.rglob("*.md")) if path.is_dir() else [path]
        ours = (item for item in found if "node_modules" not in item.parts)
        yield from (item for item in ours if not str(item.relative_to(ROOT)).startswith(SKIPPED))


def docstrings(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of each docstring of a module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield getattr(node, "lineno", 1), text


def comments(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of each comment of a module."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string.lstrip("#! ")


def modules() -> Iterator[Path]:
    """Yield every module whose docstrings and comments are checked."""
    for package in PACKAGES:
        yield from sorted((ROOT / package).rglob("*.py"))


def check_code(source: str, rules: Rules) -> Iterator[tuple[int, str]]:
    """Yield line number and complaint for each docstring and comment of a module that breaks a rule.

    The line of a docstring is that of its class or function; 1 for the module.
    """
    for number, text in [*docstrings(source), *comments(source)]:
        yield from ((number, complaint) for _, complaint in check(text, rules))


def main(arguments: Sequence[str]) -> int:
    """Check the documentation; with `--docstrings` also the docstrings and comments of the packages."""
    rules, complaints = read_rules(), 0
    checked = [(path, check(path.read_text(), rules, str(path.relative_to(ROOT)))) for path in files(rules)]
    if "--docstrings" in arguments:
        checked += [(path, check_code(path.read_text(), rules)) for path in modules()]
    for path, found in checked:
        for number, complaint in found:
            complaints += 1
            print(f"{path.relative_to(ROOT)}:{number}: {complaint}")
    return int(complaints > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
