"""Find a stay's documents in an EHR that keeps no identifier of ours, and tell which of them may be ours."""

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

from services.approval.filing.renditions import chart
from services.approval.filing.renditions.in_chart import bytes_in_chart, digest_in_chart
from services.approval.filing.renditions.make import PDF, TEXT
from shared.clinical import references
from shared.clinical.elements import Resource, child, children
from shared.clinical.fhir_client import BadRequestError, FhirClient
from shared.contracts.authorship import find_lines
from shared.contracts.errors import PermanentError
from shared.contracts.events import StayReferences

DATE_TOLERANCE = timedelta(days=1)  # between the EHR's date of a document and our time of its signature
ADDENDUM = "ADDENDUM TO "  # what an addendum begins with: see corrections/rules.py


class StayDocuments:
    """The documents of a stay, by as many search parameters as the EHR takes together."""

    def __init__(self, ehr: FhirClient) -> None:
        self._ehr = ehr

    async def current(self, stay: StayReferences, type: str, since: datetime | None = None) -> list[Resource]:
        """Return the current documents of the stay, if the EHR can tell only those of a LOINC code and a time.

        Raises TransientError, PermanentError where the EHR does not search a patient's documents.
        """
        found = await self._search(stay, type, since)
        return [item for item in found if item.get("status") == "current" and self._is_of(item, stay.encounter)]

    async def with_content(
        self,
        stay: StayReferences,
        type: str,
        since: datetime,
        digests: Collection[str],
        known: Collection[str],
    ) -> list[Resource]:
        """Return those that have one of these contents, except those of the ids `known`."""
        found = [item for item in await self.current(stay, type, since) if item["id"] not in known]
        return [item for item in found if await self.digests(item) & set(digests)]

    async def digests(self, document: Resource) -> set[str]:
        """Return the SHA-256 of its contents, as far as the EHR shows them."""
        found = [await digest_in_chart(item, self._ehr) for item in chart.attachments(document).values()]
        return {digest for digest in found if digest is not None}

    async def text(self, document: Resource) -> str | None:
        """Return the plain text of a document; None where it has none, or the EHR does not show it."""
        attachment = chart.attachments(document).get(TEXT)
        data = await bytes_in_chart(attachment, self._ehr) if attachment is not None else None
        try:
            return data.decode() if data is not None else None
        except UnicodeDecodeError:
            return None

    async def may_be_ours(self, document: Resource) -> bool:
        """Return whether a document has our words, which is all that such an EHR keeps of us.

        A PDF shows no words, nor does a document without a content: it may be ours.
        """
        attachments = chart.attachments(document)
        if not attachments or PDF in attachments:
            return True
        for attachment in attachments.values():
            data = await bytes_in_chart(attachment, self._ehr)
            if data is None or is_marked(data.decode(errors="replace")):
                return True
        return False

    async def _search(self, stay: StayReferences, type: str, since: datetime | None) -> list[Resource]:
        for query in _queries(stay, type, since):
            try:
                return await self._ehr.search("DocumentReference", query, fresh=True)
            except BadRequestError:
                continue
        raise PermanentError("the EHR does not search a patient's documents: what was filed cannot be found again")

    def _is_of(self, document: Resource, encounter: str) -> bool:
        named = [
            references.relative(item, self._ehr.bases) for item in children(child(document, "context"), "encounter")
        ]
        return not named or encounter in named


def is_marked(text: str) -> bool:
    """Return whether a text says itself that it is ours: who wrote its narrative, or that it is an addendum. Pure."""
    return text.startswith(ADDENDUM) or any(find_lines(text)) or _in_markup(text)


def _in_markup(text: str) -> bool:
    """Return whether XHTML of ours has such a line between its tags."""
    return "<" in text and any(find_lines(text.replace("<", "\n<").replace(">", ">\n")))


def _queries(stay: StayReferences, type: str, since: datetime | None) -> Iterator[dict[str, str]]:
    patient, encounter = stay.patient.rpartition("/")[2], stay.encounter.rpartition("/")[2]
    base = {"patient": patient}
    of_stay = base | {"encounter": encounter}
    typed = of_stay | {"type": f"http://loinc.org|{type}"}
    if since is not None:
        yield typed | {"date": f"ge{(since - DATE_TOLERANCE).date().isoformat()}"}
    yield from (typed, of_stay, base)
