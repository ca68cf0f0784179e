"""`audit verify`: verify the event stream as the auditor of NATS."""

from pathlib import Path

from cli.connections import open_bus, open_ehr
from services.approval.verification.report import VerificationReport
from services.approval.verification.verifier import EventStreamVerifier, ProgressCallback, no_progress
from shared.messaging.checkpoints import Folder, public_key


async def verify(
    data_dir: Path | None,
    case: str | None,
    report_progress: ProgressCallback = no_progress,
    checkpoints: Path | None = None,
    key: Path | None = None,
) -> VerificationReport:
    """Verify one case or every case, also against the checkpoints in the folder `checkpoints`.

    `key` is the file with the public key of their signatures.

    Raises CommandError when no stack runs, PermanentError when there is no such case.
    """
    stored = (Folder(checkpoints), public_key(key)) if checkpoints is not None and key is not None else None
    ehr = open_ehr(data_dir)
    try:
        async with open_bus(data_dir, "auditor") as connection:
            audit = EventStreamVerifier(connection, ehr, stored)
            return await (audit.all(report_progress) if case is None else audit.one(case))
    finally:
        await ehr.close()
