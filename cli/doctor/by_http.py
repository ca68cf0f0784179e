"""The checks of an installation by HTTP: approval's, and the live knowledge base, which the evaluator knows."""

from pydantic import ValidationError

from cli.client import Api, open_context
from cli.contexts import ApiContext
from cli.errors import CommandError
from shared.knowledge.live import LivePointer
from shared.runtime.checks.findings import Finding, Findings, Group, Level, ProgressCallback
from shared.runtime.checks.knowledge import assess_knowledge

CHECKS, KNOWLEDGE = "/v1/health/checks", "/v1/knowledge"
LEVELS: dict[str, Level] = {"ok": "ok", "warning": "warning", "failed": "fault"}


async def run_checks(context: ApiContext, report_progress: ProgressCallback) -> Findings:
    """Yield the findings. Raises CommandError where approval does not answer, or refuses the token."""
    async with open_context(context) as call:
        report_progress("what approval can see")
        for item in (await call("GET", CHECKS))["items"]:
            if item["name"] != "knowledge":
                yield _finding(item)
                continue
            report_progress("the knowledge base")
            for finding in await _knowledge(call, item):
                yield finding


def _finding(item: dict[str, str]) -> Finding:
    """Return the finding of a check; one of a state that this version does not know is not known."""
    return Finding(item["group"], item["name"], LEVELS.get(item["state"], "unknown"), item["detail"], item["action"])


async def _knowledge(call: Api, item: dict[str, str]) -> list[Finding]:
    group = Group(item["group"])
    try:
        found = await call("GET", KNOWLEDGE)
        live = LivePointer.model_validate(found["live"]) if found["live"] is not None else None
        assess_knowledge(group, live, found["passages"])
    except (CommandError, ValidationError, KeyError, TypeError) as error:
        reason = str(error) if isinstance(error, CommandError) else "its answer is not that of an evaluator"
        group.unknown("knowledge", reason, "countersign context add --evaluator-url, where the evaluator has its own")
    return group.found
