"""May every user do what it must, and nothing else. Tried on the server itself, and nothing of it is stored or done.

Every right is tried by a message that the server takes or refuses by its subject alone: a publish says that it expects
a stream that does not exist, an API call carries a body that is no request. The server's complaint about a subject
comes before the answer to the next ping, so that one round trip tells of all.
"""

import re
from collections.abc import Iterable

from nats import errors

from cli.doctor.findings import Finding, Group
from cli.doctor.target import DoctorTarget
from shared.messaging.connection import open_client
from shared.messaging.rights import (
    Permissions,
    auditor_permissions,
    backup_permissions,
    inbox,
    operator_permissions,
    permissions,
)
from shared.messaging.topology import SERVICES

NO_SUCH_STREAM = {"Nats-Expected-Stream": "DOCTOR"}  # the server stores nothing for whom it does not match
# Begins as an object and is none: the server refuses it. What is no object at all it takes for a request without
# options, and a pause without a time ends the pause.
INVALID_REQUEST = b"{"
PLACEHOLDER = "doctor"
ADMIN_CALLS = ("STREAM.CREATE", "STREAM.UPDATE", "STREAM.DELETE", "STREAM.PURGE", "CONSUMER.DELETE", "STREAM.RESTORE")
PERMISSION_VIOLATION = re.compile(r'permissions violation for (publish|subscription) to "([^"]+)"')
FIX = "give the user the rights of shared/messaging/rights.py in the server's configuration, and reload it"


def user_permissions() -> dict[str, Permissions]:
    """Of every user but the administrator, who may do anything."""
    found = {service: permissions(service) for service in SERVICES}
    return found | {
        "operator": operator_permissions(),
        "auditor": auditor_permissions(),
        "backup": backup_permissions(),
    }


async def check(place: DoctorTarget) -> list[Finding]:
    group = Group("users")
    for user, owned in user_permissions().items():
        seed = place.seeds.get(user)
        if seed is None:
            continue
        may, must_not = publish_subjects(owned)
        listening = forbidden_subscriptions(user)
        try:
            refused = await _refused_subjects(place, user, seed, may + must_not, listening)
        except (errors.Error, OSError, TimeoutError) as error:
            says = f"it cannot connect ({type(error).__name__})"
            group.fault(f"user {user}", says, "is its key in the server's configuration the one of its seed?")
            continue
        assess_user(group, user, may, must_not + listening, refused)
    if not group.found:
        group.warning("users", "no keys to try them with", "name a JSON file of seeds: COUNTERSIGN_SEEDS_FILE")
    return group.found


def publish_subjects(owned: Permissions) -> tuple[list[str], list[str]]:
    """Subjects that the user must be able to publish to, and those that it must not. Pure."""
    may = list(dict.fromkeys(map(example_subject, owned.publish)))
    others = (example_subject(right) for found in user_permissions().values() for right in found.publish)
    perilous = (f"$JS.API.{call}.DOCTOR" for call in ADMIN_CALLS)
    wanted = dict.fromkeys([*others, *perilous])
    return may, [subject for subject in wanted if not any(covers(right, subject) for right in owned.publish)]


def forbidden_subscriptions(user: str) -> list[str]:
    """What the user must not listen to: what others write, and what they are answered. Pure."""
    inboxes = [f"{inbox(other)}.>" for other in user_permissions() if other != user]
    return ["$KV.>", "discharge.>", "access.>", "deadletter.>", "_INBOX.>", *inboxes]


def example_subject(right: str) -> str:
    """A subject that the right covers: `discharge.*.*.filed` → `discharge.doctor.doctor.filed`."""
    return ".".join(PLACEHOLDER if token in ("*", ">") else token for token in right.split("."))


def covers(right: str, subject: str) -> bool:
    """Whether the subject, which has no wildcards, is within the right."""
    wanted, given = right.split("."), subject.split(".")
    if wanted[-1] == ">":
        return len(given) >= len(wanted) and all(a in ("*", b) for a, b in zip(wanted[:-1], given, strict=False))
    return len(wanted) == len(given) and all(a in ("*", b) for a, b in zip(wanted, given, strict=True))


def assess_user(group: Group, user: str, may: Iterable[str], must_not: Iterable[str], refused: set[str]) -> None:
    """What the server refused (in lower case, as the client hands it on), against what it should. Pure."""
    lacking = sorted(subject for subject in may if subject.lower() in refused)
    too_much = sorted(subject for subject in must_not if subject.lower() not in refused)
    if lacking:
        group.fault(f"user {user}", f"it may not, and must: {_shortened(lacking)}", FIX)
    if too_much:
        group.fault(f"user {user}", f"it may, and must not: {_shortened(too_much)}", FIX)
    if not lacking and not too_much:
        group.ok(f"user {user}", f"{len(list(may))} rights work, {len(list(must_not))} others are refused")


def _shortened(subjects: list[str]) -> str:
    shown = ", ".join(subject.replace(PLACEHOLDER, "*") for subject in subjects[:5])
    return shown if len(subjects) <= 5 else f"{shown} and {len(subjects) - 5} more"


async def _refused_subjects(
    place: DoctorTarget, user: str, seed: str, subjects: list[str], listening: list[str]
) -> set[str]:
    """Which of `subjects` the server does not let the user publish to, and of `listening` listen to; in lower case."""
    refused: set[str] = set()

    async def note(error: Exception) -> None:
        if (found := PERMISSION_VIOLATION.search(str(error).lower())) is not None:
            refused.add(found[2])

    client = await open_client(
        place.nats_url,
        seed,
        note,
        ca_file=place.nats_ca_file,
        name=f"countersign-doctor-{user}",
        inbox_prefix=inbox(user),
        max_reconnect_attempts=1,
    )
    try:
        for subject in subjects:
            if subject.startswith("$JS."):
                await client.publish(subject, INVALID_REQUEST)
            else:
                await client.publish(subject, b"", headers=NO_SUCH_STREAM)
        for subject in listening:
            await client.subscribe(subject)
        for _ in range(2):  # the second answer comes when the complaints before the first have been read
            await client.flush()
    finally:
        await client.close()
    return refused
