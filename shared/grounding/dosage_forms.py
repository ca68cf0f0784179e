"""Claims of the dosage form, such as a solution where the orders are for tablets."""

import re
from collections.abc import Iterator

from shared.grounding.evidence_index import EvidenceIndex
from shared.grounding.medicines import orders_of
from shared.grounding.parsed_sentence import ParsedSentence
from shared.grounding.verdict import CheckedClaim

# Forms that one may be called by are one group: a syrup is a liquid, a caplet a tablet.
_FORMS = {
    "tablet": r"tab(?:let)?s?|caplets?|pills?|(?:film)?tablett?en?|comprim\w+",
    "capsule": r"cap(?:sule)?s?|[ck]apseln?",
    "liquid": r"(?:oral )?(?:solutions?|liquids?|suspensions?)|syrups?|elixirs?|mixtures?|drops?|tropfen|druppels|saft",
    "injection": r"injection|injectable|syringes?|vials?|ampoules?|infusions?|pens?|fertigspritzen?|pre-?filled",
    "patch": r"patch(?:es)?|plasters?|pflaster",
    "inhaled": r"inhal\w+|puffs?|nebuli[sz]\w+|aerosols?|turbu?haler|diskus|hfa",
    "topical": r"creams?|ointments?|gels?|lotions?|salbe",
    "suppository": r"suppositor(?:y|ies)|enemas?|z[äa]pfchen",
}
_PATTERNS = {name: re.compile(rf"\b(?:{words})\b", re.IGNORECASE) for name, words in _FORMS.items()}
_ORAL_FORMS = frozenset({"tablet", "capsule", "liquid"})
# The form stands behind the name and its strength: "metformin hydrochloride 500 mg oral solution".
_AFTER_NAME = re.compile(
    r"(?:\s*\(?[\d.,/]+\s*(?:mg|mcg|µg|g|ml|mL|units?|iu|%|mmol|meq)(?:/[\d.,]*\s*\w+)?\)?)?(?:\s+(?:oral|delayed|extended|release"
    r"|film-coated|chewable|sublingual|modified|er|xr|sr|dr))*\s+(?P<form>[\w-]+)",
    re.IGNORECASE,
)


def claims(parsed: ParsedSentence, record: EvidenceIndex) -> Iterator[CheckedClaim]:
    """Yield each form after a medicine, compared with those of its orders; an order without a form decides nothing."""
    for mention in parsed.named.drugs:
        behind = _AFTER_NAME.match(parsed.text, mention.end)
        if behind is None:
            continue
        form = next((name for name, pattern in _PATTERNS.items() if pattern.fullmatch(behind["form"])), None)
        if form is None:
            continue
        orders = orders_of(mention, parsed, record)
        stated = {name for order in orders for name, pattern in _PATTERNS.items() if pattern.search(order.text)}
        oral = orders and all(order.routes == {"oral"} for order in orders)
        known = stated or (_ORAL_FORMS if oral else frozenset())
        if known and form not in known:
            order = orders[0]
            span = behind.span("form")
            text = f"{mention.text} {behind['form']}"
            yield CheckedClaim("route", text, "contradicted", order.source, f"record: {order.text[:160]}", (span,))
