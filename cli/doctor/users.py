"""Check that every NATS user has its permissions and no others, on the server itself and without side effects.

A permission is tried with a message that the server accepts or refuses by its subject alone: a publish expects a stream
that does not exist, an API call has an invalid body. The server reports violations before it answers the next ping, so
one round trip is enough for all.
"""

import re
from collections.abc import Iterable

from nats import errors

from cli.doctor.target import DoctorTarget
from shared.contracts.subjects import fill_wildcards, subject_matches
from shared.messaging.connection import open_client
from shared.messaging.permissions import (
    Permissions,
    auditor_permissions,
    backup_permissions,
    inbox,
    operator_permissions,
    permissions,
)
from shared.messaging.topology import SERVICES
from shared.runtime.checks.findings import Finding, Group

NO_SUCH_STREAM = {"Nats-Expected-Stream": "DOCTOR"}  # the server stores nothing if it does not match
# Invalid JSON that starts as an object: the server refuses it. It takes any other text for a request without
# options, and a pause request without a time ends the pause.
INVALID_REQUEST = b"{"
PLACEHOLDER = "doctor"
ADMIN_CALLS = ("STREAM.CREATE", "STREAM.UPDATE", "STREAM.DELETE", "STREAM.PURGE", "CONSUMER.DELETE", "STREAM.RESTORE")
PERMISSION_VIOLATION = re.compile(r'permissions violation for (publish|subscription) to "([^"]+)"')
FIX = "configure the permissions of shared/messaging/permissions.py for the user, and reload the server"


def user_permissions() -> dict[str, Permissions]:
    """Return the permissions of every user except admin, which has all."""
    found = {service: permissions(service) for service in SERVICES}
    return found | {
        "operator": operator_permissions(),
        "auditor": auditor_permissions(),
        "backup": backup_permissions(),
    }


async def check(target: DoctorTarget) -> list[Finding]:
    group = Group("users")
    for user, owned in user_permissions().items():
        seed = target.seeds.get(user)
        if seed is None:
            continue
        may, must_not = publish_subjects(owned)
        listening = forbidden_subscriptions(user)
        try:
            refused = await _refused_subjects(target, user, seed, may + must_not, listening)
        except (errors.Error, OSError, TimeoutError) as error:
            message = f"it cannot connect ({type(error).__name__})"
            group.fault(f"user {user}", message, "check that the server's configuration has the public key of its seed")
            continue
        assess_user(group, user, may, must_not + listening, refused)
    if not group.found:
        group.warning(
            "users", "there are no seeds to check them with", "set COUNTERSIGN_SEEDS_FILE to a JSON file of seeds"
        )
    return group.found


def publish_subjects(owned: Permissions) -> tuple[list[str], list[str]]:
    """Return the subjects that the user must be allowed to publish to, and those that it must not. Pure."""
    may = list(dict.fromkeys(fill_wildcards(right, PLACEHOLDER) for right in owned.publish))
    others = (fill_wildcards(right, PLACEHOLDER) for found in user_permissions().values() for right in found.publish)
    perilous = (f"$JS.API.{call}.DOCTOR" for call in ADMIN_CALLS)
    wanted = dict.fromkeys([*others, *perilous])
    return may, [subject for subject in wanted if not any(subject_matches(right, subject) for right in owned.publish)]


def forbidden_subscriptions(user: str) -> list[str]:
    """Return the subjects that the user must not subscribe to: data and inboxes of others. Pure."""
    inboxes = [f"{inbox(other)}.>" for other in user_permissions() if other != user]
    return ["$KV.>", "discharge.>", "access.>", "deadletter.>", "_INBOX.>", *inboxes]


def assess_user(group: Group, user: str, may: Iterable[str], must_not: Iterable[str], refused: set[str]) -> None:
    """Compare the subjects that the server refused, in lower case, with the expected ones. Pure."""
    lacking = sorted(subject for subject in may if subject.lower() in refused)
    too_much = sorted(subject for subject in must_not if subject.lower() not in refused)
    if lacking:
        group.fault(f"user {user}", f"permissions are missing: {_shortened(lacking)}", FIX)
    if too_much:
        group.fault(f"user {user}", f"permissions are too broad: {_shortened(too_much)}", FIX)
    if not lacking and not too_much:
        group.ok(f"user {user}", f"{len(list(may))} permissions work, {len(list(must_not))} others are refused")


def _shortened(subjects: list[str]) -> str:
    shown = ", ".join(subject.replace(PLACEHOLDER, "*") for subject in subjects[:5])
    return shown if len(subjects) <= 5 else f"{shown} and {len(subjects) - 5} more"


async def _refused_subjects(
    target: DoctorTarget, user: str, seed: str, subjects: list[str], listening: list[str]
) -> set[str]:
    """Return which `subjects` the user may not publish to and which of `listening` not subscribe to, in lower case."""
    refused: set[str] = set()

    async def note(error: Exception) -> None:
        if (found := PERMISSION_VIOLATION.search(str(error).lower())) is not None:
            refused.add(found[2])

    client = await open_client(
        target.nats_url,
        seed,
        note,
        ca_file=target.nats_ca_file,
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
        for _ in range(2):  # at the second answer, the violations reported before the first have been read
            await client.flush()
    finally:
        await client.close()
    return refused
