"""Names of a stay's problems for knowledge base queries. Pure."""

import re

from shared.contracts.context import Diagnosis, EncounterContext

_OF_THE_STAY = ("principal", "comorbidity")
# Site, severity, stage, state: the record has them at the end in parentheses, and so abbreviations of the name. With
# them a passage is as near to `mild` as to the disease.
_QUALIFIERS = re.compile(r"(?:\s*\([^()]*\))+$")
# What classifications say is not known, or not there: a passage on complications is near to `without complications`.
_UNHELPFUL = re.compile(
    r",\s*(?:unspecified|nicht näher bezeichnet|niet gespecificeerd)(?: \w+)?(?=,|$)|(?:^|\s)unspecified\b"
    r"|,?\s(?:without|ohne|zonder)\s.*$|,\s(?:initial|subsequent) encounter\b.*$|,\ssequela$",
    re.IGNORECASE,
)
# What the patient once had: it is of this record, not of this stay.
_PAST = re.compile(
    r"^(?:state after|status post|s/p|(?:personal )?history of|h/o|hx of|past|previous|prior|old|former|"
    r"zustand nach|z\. ?n\.|status na)\b|^(?:z\.n\.|h/o|s/p)"
    r"|\b(?:in (?:the )?past|in history|in anamnesis)\b|\([^()]*\b(?:inactive|in remission)\b[^()]*\)$",
    re.IGNORECASE,
)
_ONLY_A_CODE = re.compile(r"^code\b.*\(.+\)$")  # the text of an entry without a name


def problem_names(context: EncounterContext) -> list[str]:
    """Return the confirmed problems of this stay, each once: principal diagnosis, reasons, others.

    A reason counts where it refers to a confirmed diagnosis, as a complaint is none. Earlier entries of the problem
    list, and diagnoses that were only admission, suspected or ruled out, are left out.
    """
    confirmed = [item for item in context.diagnoses if _is_current(item)]
    reasons = {item.source for item in context.reasons}
    order = [
        *(item for item in confirmed if item.role == "principal"),
        *(item for item in confirmed if item.source in reasons and item.role != "admission"),
        *(item for item in confirmed if item.role in _OF_THE_STAY),
    ]
    found: dict[str, str] = {}
    for item in order:
        if name := knowledge_name(item.text):
            found.setdefault(name.lower(), name)
    return list(found.values())


def knowledge_name(text: str) -> str:
    """Return a name without qualifiers: `Heart failure, unspecified (NYHA III)` → `Heart failure`; empty for none."""
    if _ONLY_A_CODE.match(text):
        return ""
    return " ".join(_UNHELPFUL.sub("", _QUALIFIERS.sub("", text)).split()).strip(" ,;:")


def _is_current(item: Diagnosis) -> bool:
    return item.certainty == "confirmed" and not _PAST.search(item.text)
