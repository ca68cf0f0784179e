"""Each remedy of the runbook is carried out by a test in tests/remedies, or is listed here with the reason.

A remedy test names its alerts in its docstring: `Alerts: CasesStopped, DeadLetters.`
"""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from cli.main import app
from tests.unit.test_documented_commands import code, commands

ROOT = Path(__file__).parents[2]
REMEDIES = sorted((ROOT / "tests/remedies").glob("test_*.py"))
RUNBOOK = (ROOT / "docs/alerts.md").read_text()
# Nothing of Countersign is a remedy: another server is started, or somebody else's configuration is put right.
OUTSIDE = {
    "NatsCertificateEnds": "a certificate is renewed and the server reads it: tests/connected/test_tls.py",
    "TritonNotReady": "the model server is restarted; work continues by itself: tests/chaos/test_proof.py",
    "EhrNotAnswering": "the EHR, or its token in a file, which is read again: tests/connected/test_quirks.py",
    "EhrRefusesClient": "our registration at the EHR, or settings: tests/connected/test_smart_cases.py",
}
# Commands of the guides that need NATS, the EHR or files of the machine, or are no remedies, and who carries them out.
ELSEWHERE = {
    "absences add": "tests/connected/test_department.py",
    "absences list": "tests/connected/test_department.py",
    "absences remove": "tests/connected/test_department.py",
    "audit check-proof": "tests/connected/test_checkpoints.py",
    "audit checkpoint": "tests/connected/test_checkpoints.py",
    "audit proof": "tests/connected/test_checkpoints.py",
    "backup": "tests/connected/test_backup.py",
    "cases reimport": "tests/connected/test_reimport.py",
    "context add": "tests/unit/test_contexts.py",
    "context list": "tests/unit/test_contexts.py",
    "context use": "tests/unit/test_contexts.py",
    "doctor": "tests/connected/test_doctor.py",
    "drafters trial": "tests/connected/test_trials.py",
    "drafters edits": "tests/connected/test_feedback.py",
    "drafters sets make": "tests/connected/test_evaluations.py",
    "events": "tests/remedies/test_webhook_guide.py",
    "hl7 explain": "tests/unit/test_hl7_command.py",
    "hl7 listen": "tests/unit/test_hl7_command.py",
    "document-kinds classify": "tests/unit/test_contexts.py",
    "knowledge golden add": "tests/unit/test_knowledge_golden_commands.py",
    "knowledge golden export": "tests/unit/test_knowledge_golden_commands.py",
    "knowledge golden list": "tests/e2e/test_knowledge_command.py",
    "knowledge search": "tests/e2e/test_knowledge_command.py",
    "knowledge sources validate": "tests/e2e/test_knowledge_command.py",
    "knowledge version": "tests/connected/test_explain_draft.py",
    "login": "tests/connected/test_login.py",
    "logout": "tests/connected/test_login.py",
    "provision": "tests/connected/test_deployment.py",
    "restore": "tests/connected/test_backup.py",
    "secrets init": "tests/connected/test_deployment.py",
    "up": "tests/e2e/test_command.py",
    "webhooks add": "tests/remedies/test_webhook_guide.py",
    "webhooks deliveries": "tests/remedies/test_webhook_guide.py",
    "webhooks enable": "tests/remedies/test_webhook_guide.py",
    "webhooks redeliver": "tests/remedies/test_webhook_guide.py",
    "webhooks rotate": "tests/remedies/test_webhook_guide.py",
    "webhooks test": "tests/remedies/test_webhook_guide.py",
}


def rules() -> list[str]:
    groups = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())["groups"]
    return [rule["alert"] for group in groups for rule in group["rules"]]


def sections() -> dict[str, str]:
    parts = re.split(r"^## (\w+)\n", RUNBOOK, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def leaves(group: Any = None, before: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield every command, such as `cases retry`."""
    group = group or typer.main.get_command(app)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from leaves(command, (*before, name))
        else:
            yield " ".join((*before, name))


LEAVES = frozenset(leaves())


def named(text: str) -> set[str]:
    """The commands that a text names."""
    found = set()
    for line in commands(text):
        words = line.split()
        found |= {name for length in (1, 2, 3) if (name := " ".join(words[:length])) in LEAVES}
    return found


class Module:
    """A module of remedy tests: what each test carries out, with the functions of the module that it calls."""

    def __init__(self, path: Path) -> None:
        body = ast.parse(path.read_text()).body
        self.functions = {item.name: item for item in body if isinstance(item, ast.FunctionDef)}

    @property
    def tests(self) -> Iterator[tuple[set[str], set[str]]]:
        """Alerts and commands of each test."""
        for name, function in self.functions.items():
            if name.startswith("test_"):
                match = re.search(r"^Alerts: ([\w, ]+)\.$", ast.get_docstring(function) or "", re.MULTILINE)
                yield set(match[1].split(", ")) if match else set(), self._commands(name, set())

    def _commands(self, name: str, seen: set[str]) -> set[str]:
        seen.add(name)
        found: set[str] = set()
        for node in ast.walk(self.functions[name]):
            if isinstance(node, ast.Call | ast.Tuple):
                found |= _carried(node.args if isinstance(node, ast.Call) else node.elts)
            if isinstance(node, ast.Name) and node.id in self.functions and node.id not in seen:
                found |= self._commands(node.id, seen)
        return found


def _carried(arguments: list[ast.expr]) -> set[str]:
    words = [item.value for item in arguments if isinstance(item, ast.Constant) and isinstance(item.value, str)]
    return LEAVES & {*words, *(" ".join(pair) for pair in pairwise(words))}


def carried_out() -> dict[str, set[str]]:
    """By alert, the commands of the tests that name it; under an empty name, those of all tests."""
    found: dict[str, set[str]] = {"": set()}
    for module in map(Module, REMEDIES):
        for alerts, done in module.tests:
            for alert in ("", *alerts):
                found.setdefault(alert, set()).update(done)
    return found


CARRIED_OUT = carried_out()


def test_every_alert_has_a_section_and_a_remedy_test_or_a_reason_why_it_has_none() -> None:
    assert list(sections()) == rules()
    assert sorted({*CARRIED_OUT, *OUTSIDE} - {""}) == sorted(rules())
    assert set(CARRIED_OUT) & set(OUTSIDE) == set()


@pytest.mark.parametrize("alert", rules())
def test_every_command_of_a_section_is_carried_out_for_its_alert(alert: str) -> None:
    missing = named(sections()[alert]) - CARRIED_OUT.get(alert, set()) - ELSEWHERE.keys()
    assert not missing, f"no test that names {alert} carries out: {sorted(missing)}"


@pytest.mark.parametrize("alert", rules())
def test_every_section_says_what_to_do_by_a_command_a_page_or_a_setting(alert: str) -> None:
    fix = sections()[alert].partition("Fix.**")[2] or sections()[alert].partition("Check and fix.**")[2]
    acts = [part for part in code(fix) if re.match(r"countersign |docker compose |kubectl |COUNTERSIGN_", part)]
    assert acts or re.search(r"\[\w+\]\(#\w+\)|As for \*|Inform", fix), fix


def test_every_command_of_the_guides_is_carried_out_by_a_test() -> None:
    guides = "\n".join(page.read_text() for page in (ROOT / "docs/how-to").glob("*.md"))
    assert named(guides + RUNBOOK) - CARRIED_OUT[""] - ELSEWHERE.keys() == set()


def test_reasons_name_tests_that_are_there() -> None:
    for reason in OUTSIDE.values():
        assert all((ROOT / file).is_file() for file in re.findall(r"tests/\S+\.py", reason) or [""]), reason
    for command, file in ELSEWHERE.items():
        assert command.split()[-1].replace("-", "_") in (ROOT / file).read_text().replace("-", "_"), (command, file)


def test_what_is_restarted_exists_in_compose_and_in_kubernetes() -> None:
    services = set(yaml.safe_load((ROOT / "compose.yaml").read_text())["services"])
    of_compose = re.findall(r"docker compose (?:restart|exec|logs(?: --since \w+)?) (\w[\w-]*)", RUNBOOK)
    of_compose += re.findall(r"docker compose up -d (?:--no-recreate --scale \w+=\d )?(\w[\w-]*)", RUNBOOK)
    assert {"approval", "nats", "triton"} <= set(of_compose)
    assert set(of_compose) <= services
    objects = set()
    for file in (ROOT / "deploy/k8s").rglob("*.yaml"):
        for item in yaml.safe_load_all(file.read_text()):
            if isinstance(item, dict) and item.get("kind") in ("Deployment", "StatefulSet"):
                objects.add(f"{item['kind'].lower()}/{item['metadata']['name']}")
    of_kubernetes = set(re.findall(r"\b((?:deployment|statefulset)/[\w-]+)", RUNBOOK))
    assert {"deployment/approval", "statefulset/nats"} <= of_kubernetes <= objects


def test_a_command_that_no_test_carries_out_is_found() -> None:
    assert named("`countersign cases retry CASE` and `countersign doctor`") == {"cases retry", "doctor"}
    assert _carried(ast.parse('said("--context", "x", "audit", "verify", case)', mode="eval").body.args) == {  # type: ignore[attr-defined]
        "audit verify"
    }
