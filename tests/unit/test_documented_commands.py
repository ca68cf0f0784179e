"""Commands, targets, settings and links of the documentation exist."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from cli.contexts import VARIABLES
from cli.main import app
from docs._generate.examples import EXAMPLES
from docs._generate.settings import collect

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PAGES = [
    *(
        path
        for path in sorted((ROOT / "docs").rglob("*.md"))
        if "generated" not in path.parts and "adr" not in path.parts
    ),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
]
# Read by Compose, by the tests or by the log configuration, and not by a settings class.
NOT_SETTINGS = {
    "COUNTERSIGN_TOKENS",  # compose.yaml: which tokens file is mounted
    "COUNTERSIGN_SECRETS",  # and from which directory
    "COUNTERSIGN_KNOWLEDGE_DIR",
    "COUNTERSIGN_PROXY_PORT",  # compose.yaml: ports on loopback
    "COUNTERSIGN_INGEST_PORT",
    "COUNTERSIGN_SANDBOX_PORT",
    "COUNTERSIGN_FIRST_PROJECT",  # compose.hospital.yaml
    "COUNTERSIGN_INGEST_CLIENT_ID",  # deploy/docker/compose.fhir.yaml
    "COUNTERSIGN_VLLM_MODELS",  # compose.vllm.yaml
    "COUNTERSIGN_VLLM_MAX_MODEL_LEN",
    "COUNTERSIGN_VLLM_MEMORY",
    "COUNTERSIGN_ENDPOINTS_FILE",
    "COUNTERSIGN_TRITON_SCALE",
    "COUNTERSIGN_NATS_SCALE",
    "COUNTERSIGN_LOG_FORMAT",
    "COUNTERSIGN_CHECKPOINT_PUBLIC_KEY_FILE",  # option of `countersign audit`
    *VARIABLES,  # of contexts: read by the command
    "COUNTERSIGN_ADVISORIES",
    "COUNTERSIGN_CHAOS_SEED",
    "COUNTERSIGN_THOROUGH",
}

# What a command or a reader of the page makes.
MADE = {
    "bench/results/hostile.json",
    "deploy/triton/models-gpu/drafter-mine",
    "deploy/triton/models/drafter-mine",
}


def code(text: str) -> Iterator[str]:
    """Yield each line of a code block, with continuations joined, and each inline code."""
    for block in re.findall(r"^```(?:\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        yield from block.replace("\\\n", " ").splitlines()
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))


def commands(text: str) -> Iterator[str]:
    """Yield each `countersign …` command, from the word on, up to a comment, a pipe or the next command."""
    for line in code(text):
        for part in re.split(r"\s+#\s|&&|\||;", line):
            if match := re.search(r"(?:^|[\s/])countersign ([a-z].*)", part.strip()):
                yield match[1]


def problem(command: str) -> str | None:
    """Return what the command line would refuse: an unknown command or option."""
    found: Any = typer.main.get_command(app)
    words = shlex.split(command.replace("…", " "))
    while words and (children := getattr(found, "commands", None)):
        if words[0] not in children:
            return f"no command {words[0]!r}"
        found = children[words.pop(0)]
    known = {name for parameter in found.params for name in parameter.opts} if not hasattr(found, "commands") else set()
    unknown = [word for word in words if word.startswith("--") and word.strip("[]") not in {*known, "--help"}]
    return f"no option {unknown}" if unknown else None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_exists_with_its_options(page: Path) -> None:
    text = page.read_text()
    assert [
        (command, wrong) for command in commands(text) if (wrong := problem(command.replace("[", "").replace("]", "")))
    ] == []


def test_an_unknown_command_and_an_unknown_option_are_found() -> None:
    assert problem("case list") == "no command 'case'"
    assert problem("cases list --nobody x") == "no option ['--nobody']"
    assert problem("cases list --json") is None
    assert list(commands("```\n.venv/bin/countersign cases list   # all\n```\n`countersign doctor`")) == [
        "cases list",
        "doctor",
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_make_target_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = [
        word for line in code(page.read_text()) for word in re.findall(r"(?:^|&& )make ([a-z0-9-]+)", line.strip())
    ]
    assert [name for name in named if name not in targets] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_setting_exists(page: Path) -> None:
    settings = collect()
    known = {*settings, *(alias for item in settings.values() for alias in item.aliases), *NOT_SETTINGS}
    named = set(re.findall(r"\b(COUNTERSIGN_[A-Z0-9_]+[A-Z0-9])\b(?![_*])", page.read_text()))
    assert sorted(named - known) == []


def test_every_setting_is_described_and_has_an_example_and_no_example_is_left_over() -> None:
    settings = collect()
    assert [name for name, item in settings.items() if not item.description] == []
    names = {name for item in settings.values() for name in (item.name, *item.aliases)}
    assert sorted(set(EXAMPLES) - names) == []
    assert all(item.example for item in settings.values())


@pytest.mark.parametrize(
    "page", [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]
)
def test_every_link_of_the_pages_outside_the_site_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_of_the_repository_that_is_named_exists(page: Path) -> None:
    named = re.findall(r"`((?:services|shared|cli|deploy|tools|sandbox_ehr|tests|bench)/[\w./-]+)`", page.read_text())
    missing = [path for path in named if not (ROOT / path).exists() and not (ROOT / "tests" / path).exists()]
    assert [path for path in missing if path not in MADE] == []


@pytest.mark.parametrize(
    "page", [path for path in PAGES if "docs" in path.parts], ids=lambda page: str(page.relative_to(ROOT))
)
def test_every_page_says_for_whom_it_is(page: Path) -> None:
    title, audience = [line for line in page.read_text().splitlines() if line.strip()][:2]
    assert title.startswith("# ")
    assert audience.startswith("*For ")
