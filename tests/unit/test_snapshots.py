"""A restore that the server breaks off says what to change."""

import pytest

from shared.contracts.errors import TransientError
from shared.messaging import snapshots
from shared.messaging.snapshots import SnapshotRefusedError, StreamSnapshot

STALLED = "restore failed: io: read/write on closed pipe"  # as nats-server 2.15 answers


@pytest.mark.parametrize(
    ("description", "error", "words"),
    [(STALLED, TransientError, "sync_interval: 2m"), ("restore failed: bad file", SnapshotRefusedError, "10062")],
)
async def test_a_restore_that_the_server_breaks_off(
    description: str, error: type[Exception], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def call(_: object, subject: str, body: object) -> dict[str, str]:
        if subject == "restore.here":
            raise SnapshotRefusedError("restore ehr", 10062, description)
        return {"deliver_subject": "restore.here"}

    monkeypatch.setattr(snapshots, "call", call)
    with pytest.raises(error, match=words):
        await snapshots.restore(None, StreamSnapshot({"name": "EHR"}, {}), [b"archive"])  # type: ignore[arg-type]
