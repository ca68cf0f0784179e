"""Claims of the outcome of the stay: died or alive, and the discharge destination."""

import re
from collections.abc import Iterator

from shared.grounding.evidence_index import EvidenceIndex
from shared.grounding.parsed_sentence import ParsedSentence
from shared.grounding.verdict import CheckedClaim, Span, label_for

_DIED = re.compile(
    r"\b(?:died|dies|death|deceased|expired|passed away|passed(?= (?:in|on|at|during|peacefully|here|while)\b)|"
    r"succumbed|demise|"
    r"(?:pronounced|declared|found)? ?dead|fatal|did not survive|non-?survivor|was (?:found )?dead|time of "
    r"death|perished|lost (?:his|her) life|"
    r"exitus(?: letalis)?|could not be (?:saved|resuscitated|revived)|rip)\b",
    re.IGNORECASE,
)
_ALIVE = re.compile(
    r"\b(?:survived|survives|survivor|discharged alive|left the hospital alive|alive|(?:was|been|being|be) "
    r"(?:\w+ly )?discharged|"
    r"discharged?(?: back)? (?:to|home|in|from)|(?:we|could be|and was) discharged?|(?:went|gone|goes|going|"
    r"sent|allowed|return(?:ed|s)?|released|let|headed|walked) "
    r"(?:back )?home|left (?:the )?hospital|leaves (?:the )?hospital|released|self-discharged|home environment|"
    r"did not die|recovered and)\b",
    re.IGNORECASE,
)
_NO_DEATH = re.compile(
    r"\b(?:cause of death|risk of death|fear of death|brain death|family history|father|mother|brother|sister)\b",
    re.IGNORECASE,
)

# Place → words of a sentence, words of the record (other languages and codes too: NUBC, v2-0112).
PLACES: dict[str, tuple[str, str]] = {
    "home": (
        r"(?:own |back )?home(?: environment)?(?! (?:med|dose|oxygen|regimen|health|care|o2|blood|list|insulin))"
        r"|own residence|house",
        r"\bhome\b|naar huis|thuis|hause|residence|regul|alta\b|domicil",
    ),
    "home with care": (
        r"hhc|hhs|package of care|home (?:care package|health|care|nursing|with (?:a )?(?:package|carers?))(?: "
        r"services?| "
        r"aides?)?|with (?:carers|home care|care at home)|visiting nurses?|home with (?:home )?(?:care|"
        r"services|nursing|health)",
        r"home (?:health|with home|care)|thuiszorg|transitional",
    ),
    "hospice": (r"hospice(?: care)?|palliative (?:care )?(?:unit|facility)", r"hospice"),
    "nursing": (
        r"skilled nursing(?: facility)?|skilled (?:facility|care|unit)|snf|ecf|ltac|(?<!home )nursing (?:home|"
        r"facility|care facility|care|unit)|aged care(?: facility)?|long[- ]term care(?: facility)?|assisted "
        r"living|care "
        r"home|residential care",
        r"nursing|snf|verpleeghuis|pflege|long-term|aged care",
    ),
    "rehabilitation": (
        r"(?:inpatient |acute )?rehab(?:ilitation)?(?: facility| unit| center| centre| hospital)?",
        r"rehab|revalidatie",
    ),
    "hospital": (
        r"(?:another|other|outside|different|tertiary|acute care|referring|community|psychiatric) (?:hospital|"
        r"facility|center|centre)|transferred to (?:a|another|the) [\w ]*(?:hospital|facility|center)",
        r"hospital\b|other health|other-hcf|transfer|verlegung",
    ),
    "against advice": (
        r"against (?:(?:our|the) )?(?:medical )?advice|ama|lama|dama|self-discharged|discharge at own risk|"
        r"(?:his|her|their) own discharge|self[- ]discharge",
        r"advice|ärztlichen rat|aadvice|own risk",
    ),
    "shelter": (
        r"(?:a )?shelter|jail|prison|correctional facility|the streets?|court",
        r"shelter|jail|prison|law enforcement",
    ),
}
_DISCHARGED_TO = re.compile(
    r"\b(?:discharged?|discharge(?:d)? (?:disposition|destination)|disposition|destination|transferr?(?:ed)?|"
    r"transitioned|shifted|went|gone|going|"
    r"sent|returned?|released|moved|placed|return(?:s|ing)?|left|leaves|leave|leaving|goes|go|headed|accepted|"
    r"enrolled|allowed|admitted|signed out|self-discharged|took)\b(?P<rest>[^.;]*)",
    re.IGNORECASE,
)
_TO = re.compile(
    r"\b(?:to|home|against|into|at|with|on|in|for|disposition|destination|ama|was|own|self)\b|:", re.IGNORECASE
)
_WORDS = {name: re.compile(rf"\b(?:{said})\b", re.IGNORECASE) for name, (said, _) in PLACES.items()}
_RECORD_PATTERNS = {name: re.compile(has, re.IGNORECASE) for name, (_, has) in PLACES.items()}
_NUBC = {
    "01": "home",
    "02": "hospital",
    "03": "nursing",
    "06": "home with care",
    "07": "against advice",
    "62": "rehabilitation",
    "50": "hospice",
    "51": "hospice",
}


def claims(parsed: ParsedSentence, record: EvidenceIndex) -> Iterator[CheckedClaim]:
    """Yield claims of death or survival, and of the destination."""
    context = record.context
    detail = f"record: {'died' if context.died else 'alive at discharge'}"
    death = _DIED.search(parsed.text)
    kin = _NO_DEATH.search(parsed.text)
    if death is not None and kin is None:
        denied = "denied" in parsed.properties(death.span()) or (
            "did not survive" not in death.group().lower()
            and re.search(r"\bnot\b", parsed.lower_text[max(0, death.start() - 5) : death.start()])
        )
        right = context.died != bool(denied)
        yield CheckedClaim("outcome", death.group(), label_for(right), context.encounter, detail, (death.span(),))
    alive = _ALIVE.search(parsed.text)
    if alive is not None and context.died and death is None:
        yield CheckedClaim("outcome", alive.group(), "contradicted", context.encounter, detail, (alive.span(),))
    elif alive is not None and not context.died:
        yield CheckedClaim("outcome", alive.group(), "supported", context.encounter, detail, (alive.span(),))
    if not context.died:
        yield from _disposition_claims(parsed, record)


def recorded_places(record: EvidenceIndex) -> frozenset[str]:
    """Return where the record says the patient went; the more specific place where it names two."""
    text = record.context.disposition or ""
    code = re.match(r"code (\d\d)\b", text)
    found = {name for name, pattern in _RECORD_PATTERNS.items() if pattern.search(text)} | (
        {_NUBC[code[1]]} if code and code[1] in _NUBC else set()
    )
    special = found - {"home"}
    return frozenset(found if "home with care" in found or not special else special)


def _disposition_claims(parsed: ParsedSentence, record: EvidenceIndex) -> Iterator[CheckedClaim]:
    for sent in _DISCHARGED_TO.finditer(parsed.text):
        rest = sent.group("rest")
        places = {
            name: match
            for name, pattern in _WORDS.items()
            if (match := pattern.search(rest)) and match.start() < 60 and _TO.search(rest[: match.end()])
        }
        if "home with care" in places:
            places.pop("home", None)
        if "hospice" in places or "nursing" in places:
            places.pop("home", None)
        if sent.group().lower().startswith(("admitted", "took")) and "against advice" not in places:
            continue
        if sent.group().lower().startswith("left") and not {"against advice", "home", "nursing", "hospice"} & set(
            places
        ):
            continue
        for name, match in places.items():
            start = sent.start("rest") + match.start()
            verb = (sent.start(), sent.start("rest"))
            yield _place_claim(name, match.group(), ((start, start + len(match.group())), verb), record)
        if places:
            return


def _place_claim(name: str, text: str, spans: tuple[Span, ...], record: EvidenceIndex) -> CheckedClaim:
    has, context = recorded_places(record), record.context
    if not context.disposition or not has:
        return CheckedClaim("disposition", text, "not-in-record", context.encounter, "", spans)
    if name == "home with care":
        service = [
            line
            for line in record.entries_of("services", "care_plans")
            if _RECORD_PATTERNS["home with care"].search(line.text)
        ]
        label = label_for(name in has or service) if name in has or service or "home" not in has else "not-in-record"
    else:
        label = label_for(name in has)
    return CheckedClaim(
        "disposition", text, label, context.encounter, f"record: discharged to {context.disposition}", spans
    )
