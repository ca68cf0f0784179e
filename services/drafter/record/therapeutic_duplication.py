"""Ask about medicines of one effect that are rarely taken together. Pure."""

import re
from collections.abc import Iterator, Sequence

from shared.contracts.context import Medicine

_EFFECT_PATTERNS = {
    "anticoagulants": re.compile(
        r"warfarin|coumadin|jantoven|marcumar|falithrom|marcoumar|procoumon|fenprocoumon|acenocoumarol|sintrom|apixaban"
        r"|eliquis|rivaroxaban|xarelto|dabigatran|pradaxa|edoxaban|lixiana|savaysa|\w+parine?\b|lovenox|clexane|fragmin"
        r"|fraxiparin|innohep|fondaparinux|arixtra"
    ),
    "long-acting insulins": re.compile(
        r"glargin|lantus|toujeo|basaglar|abasaglar|semglee|rezvoglar|detemir|levemir|degludec|tresiba"
    ),
    "NSAIDs": re.compile(
        r"ibuprof|dexibuprofen|ketoprofen|flurbiprofen|diclofenac|aceclofenac|naprox|\w+oxicam|\w+coxib|ketorolac"
        r"|indomet|etodolac|nabumeton|advil|motrin|nurofen|aleve|naprosyn|voltaren|toradol|mobic|celebrex|arcoxia"
    ),
}
_NOT_SYSTEMIC = re.compile(r"flush|\block\b|\bgel\b|cream|ointment|topical|eye|ophthalm|salbe|patch|pflaster")


def duplication_questions(taken: Sequence[Medicine]) -> Iterator[tuple[str, list[Medicine]]]:
    """Yield each effect with its medicines, where they are of more than one substance."""
    for effect, names in _EFFECT_PATTERNS.items():
        taken_by_text = {
            item.text: item
            for item in taken
            if names.search(_searchable_text(item)) and not _NOT_SYSTEMIC.search(_searchable_text(item))
        }
        orders = list(taken_by_text.values())
        if len(orders) > 1 and not _of_one_substance(orders):
            yield effect, orders


def _searchable_text(item: Medicine) -> str:
    return " ".join([item.name, item.route, item.dose, *item.ingredients]).lower()


def _of_one_substance(orders: Sequence[Medicine]) -> bool:
    """Return whether another question covers them already; insulin is a class of many."""
    substances = {item.ingredients or (item.name.lower(),) for item in orders}
    return len(substances) == 1 and not any("insulin" in part for item in orders for part in item.ingredients)
