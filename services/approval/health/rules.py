"""Judge the installation's work, and the settings of approval. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from services.approval.ehr_tasks.hold import DecisionHold
from services.approval.ehr_tasks.reconciler import ALERT_AFTER_FAILURES
from services.approval.ehr_tasks.watermark import Watermark
from services.approval.filing.profile_choice import Setting, choose, unsuitable
from services.approval.system.schedules import Schedule
from shared.clinical.capabilities import Capabilities
from shared.contracts.errors import CountersignError
from shared.runtime.checks.findings import Group
from shared.runtime.mdm_settings import MdmSettings
from shared.runtime.preflight import SecretFile, is_open_to_others

PRODUCTION = "see docs/reference/production-checks.md"
ON_ITS_WAY = timedelta(minutes=2)  # in which a document is not listed: filing takes seconds


def assess_dead_letters(group: Group, consumers: Sequence[str], *, complete: bool = True) -> None:
    """Assess the unresolved dead letters; `consumers` are theirs, one for each of them.

    `complete`: there are no more than these. Pure.
    """
    if not consumers:
        group.ok("dead letters", "none")
        return
    names = ", ".join(sorted(set(consumers)))
    do = "countersign dead-letters list; fix the cause; then redrive or discard"
    group.warning("dead letters", f"{len(consumers)}{'' if complete else ' or more'} unresolved, of {names}", do)


def assess_hold(group: Group, hold: DecisionHold | None, mark: Watermark) -> None:
    """Assess whether decisions in the EHR's own inbox are allowed, and how far they are read. Pure."""
    if hold is None or not hold.held:
        group.ok("decisions in the EHR", "allowed")
        assess_watermark(group, mark)
        return
    do = "countersign cases reimport; countersign audit verify; then countersign ehr-decisions allow"
    group.warning("decisions in the EHR", f"held since {hold.at:%Y-%m-%d %H:%M} UTC: {hold.why}", do)


def assess_watermark(group: Group, mark: Watermark) -> None:
    """Assess how far the ended Tasks of the EHR have been read. Pure."""
    until = f"read up to {mark.seen:%Y-%m-%d %H:%M} UTC" if mark.seen else "none read yet"
    if mark.failed >= ALERT_AFTER_FAILURES:
        do = "see the alerts `reconcile-failing`: decisions in the EHR are delayed"
        group.warning("Tasks in the EHR", f"the EHR could not be read {mark.failed} times; {until}", do)
    elif mark.behind:
        group.warning("Tasks in the EHR", f"{until}, more remain", "wait: each run reads some of them")
    elif mark.seen:
        group.ok("Tasks in the EHR", until)


def assess_write_back(group: Group, setting: Setting, server: Capabilities, mdm: MdmSettings) -> None:
    """Report by which profile documents reach the chart, and why. Pure."""
    try:
        choice = choose(setting, server, mdm=mdm.configured)
    except CountersignError as failure:
        group.fault("write-back", failure.reason, "set COUNTERSIGN_WRITE_BACK to fhir, fhir-basic, mdm or none")
        return
    says = f"{choice.profile}: {choice.why}"
    if choice.profile == "mdm" and not mdm.configured:
        group.fault("write-back", f"{says}, and there is no receiver", "set COUNTERSIGN_MDM_HOST")
    elif (why := unsuitable(choice.profile, server)) is not None:
        do = "set COUNTERSIGN_WRITE_BACK=auto, or see docs/how-to/file-into-the-chart.md"
        group.warning("write-back", f"{says}; {why}", do)
    elif choice.profile == "none":
        do = "set COUNTERSIGN_MDM_HOST if the hospital takes documents by HL7v2"
        group.warning("write-back", f"{says}; a person transfers each document", do)
    else:
        group.ok("write-back", says)


def assess_unfiled(group: Group, count: int) -> None:
    """Assess the signed documents that have not reached the chart in time. Pure."""
    if count:
        says = f"{count} signed document{'s' if count != 1 else ''} not in the chart yet"
        group.warning("documents", says, "countersign cases unfiled")
    else:
        group.ok("documents", "all that are signed are in the chart")


def assess_schedules(group: Group, schedules: Iterable[Schedule], now: datetime) -> None:
    """Assess the recurring jobs: each that is late, else how many are set. Pure."""
    found = [(item, item.state(now)) for item in schedules]
    late = [item for item, state in found if state == "late"]
    for item in late:
        says = f"it was due at {item.next_at:%Y-%m-%d %H:%M} UTC and has not run"
        do = f"check that {item.service} runs and what it needs answers: countersign schedules"
        group.warning(f"schedule {item.title}{f': {item.name}' if item.name else ''}", says, do)
    if not late:
        group.ok("schedules", f"{sum(state != 'off' for _, state in found)} set, none late")


def assess_settings(group: Group, sentences: Sequence[str], *, production: bool) -> None:
    """Assess what the checks of production say of these settings. Pure."""
    if production and sentences:
        for sentence in sentences:
            group.fault("production checks", f"approval would not start again: {sentence}", PRODUCTION)
    elif sentences:
        group.ok("production checks", f"demo mode; production would refuse: {'; '.join(sentences)}")
    else:
        group.ok("production checks", "these settings are those of production")


def assess_secret_files(group: Group, files: Sequence[SecretFile], master_keys: int) -> None:
    """Assess the files with secrets that are set. `master_keys`: how many keys encrypt those of the cases. Pure."""
    for file in files:
        if (sentence := is_open_to_others(file)) is not None:
            group.warning(f"file of {file.setting}", sentence, f"chmod o= {file.path}")
    if not any(map(is_open_to_others, files)):
        group.ok("files with secrets", f"{len(files)} set, none open to other users of the machine")
    says = f"{master_keys} read" if master_keys else "none set: NATS's encryption at rest is the only one"
    group.ok("master keys", says)
