"""What happens to a document after it was filed: a correction, an addendum, a retraction by two people.

`seen` is the digest of the document as it stood, see `standing` in case.py; `reason` the digest of somebody's words;
`signer` a FHIR reference, None when only the token's subject is known.
"""

from typing import Literal

from shared.contracts.model import Model
from shared.contracts.notice import NarrativeBy
from shared.contracts.values import Actor, Channel, Confirmed, DraftRef, Edits, Resolution, Stay


class Amended(Model):
    """A physician signed a corrected text: it takes the place of the document that stands in the chart."""

    event: Literal["amended"] = "amended"
    version: Literal[1] = 1
    stay: Stay
    draft: DraftRef  # that the first signed text was made of
    number: int  # of the case's documents; the first that replaces another is 2
    replaces: str  # id of the DocumentReference
    seen: str
    signed: str  # SHA-256 of the corrected text
    reason: str
    by: Actor
    signer: str | None = None
    edits: Edits | None = None  # against the draft
    resolutions: tuple[Resolution, ...] = ()
    written: tuple[Confirmed, ...] = ()
    narrative: NarrativeBy | None = None  # who wrote what was signed; None on older trails
    channel: Channel | None = None


class Addended(Model):
    """A physician signed an addendum; the document that it belongs to stays as it is."""

    event: Literal["addended"] = "addended"
    version: Literal[1] = 1
    stay: Stay
    draft: DraftRef  # that the first signed text was made of
    number: int  # of the case's addenda, from 1
    appends: str  # id of the DocumentReference
    seen: str
    signed: str  # SHA-256 of the addendum's text
    reason: str
    by: Actor
    signer: str | None = None
    resolutions: tuple[Resolution, ...] = ()  # sentences of the draft that the addendum has
    written: tuple[Confirmed, ...] = ()
    channel: Channel | None = None


class RetractionRequested(Model):
    """The first of two people says that no document of this case belongs into the chart."""

    event: Literal["retraction-requested"] = "retraction-requested"
    version: Literal[1] = 1
    seen: str
    reason: str
    by: Actor
    signer: str | None = None
    channel: Channel | None = None


class Retracted(Model):
    """The second of two people confirmed it: every document of the case is entered in error."""

    event: Literal["retracted"] = "retracted"
    version: Literal[1] = 1
    stay: Stay
    documents: tuple[str, ...]  # ids of the DocumentReferences, oldest first
    seen: str
    reason: str  # of the first
    requested_by: Actor
    requester: str | None = None  # FHIR reference of the first
    by: Actor
    signer: str | None = None  # of the second
    channel: Channel | None = None


class RetractionFiled(Model):
    """Every document of the case is marked as entered in error in the EHR; a Provenance says by whom."""

    event: Literal["retraction-filed"] = "retraction-filed"
    version: Literal[1] = 1
    provenance: str
