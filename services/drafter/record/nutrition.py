"""Diets, supplements and tube feeding that are ordered. Pure.

https://hl7.org/fhir/R4/nutritionorder.html
"""

from collections.abc import Iterator

from services.drafter.record.dose_units import format_dose, format_dose_ratio
from services.drafter.record.plans import CLOSED
from services.drafter.record.scope import StayScope
from services.drafter.record.timing import format_timing
from shared.clinical import elements
from shared.clinical.elements import Resource
from shared.contracts.context import ContextEntry


def ordered_diets(orders: list[Resource], scope: StayScope) -> Iterator[ContextEntry]:
    """Yield the diets that are ordered."""
    for item in orders:
        time = scope.first_time(item, "dateTime")
        components = [
            *_oral_diet(elements.child(item, "oralDiet")),
            *(_format_supplement(part) for part in elements.children(item, "supplement")),
            *_format_enteral_formula(elements.child(item, "enteralFormula")),
            *(f"prefers {name}" for name in _concept_names(item, "foodPreferenceModifier")),
            *(f"without {name}" for name in _concept_names(item, "excludeFoodModifier")),
        ]
        name = elements.join_distinct([*components, *elements.annotations(item)])
        status = str(item.get("status"))
        if status in CLOSED or status == "completed":
            if scope.is_of_stay(item, time):
                scope.leave_out(item, name or None, CLOSED.get(status, "ended in the stay"))
        elif scope.usable(item, name or None, time):
            yield scope.entry(item, name)


def _concept_names(item: Resource, field: str) -> list[str]:
    return [name for part in elements.children(item, field) if (name := elements.concept(part))]


def _format_schedule(item: Resource) -> str:
    """Return every schedule of a part; some systems write one that is no list."""
    return elements.join_distinct((format_timing(part) for part in elements.children(item, "schedule")), "; ")


def _oral_diet(diet: Resource) -> list[str | None]:
    """Return `Dysphagia diet, minced (meat), sodium 2 g, mildly thick`."""
    return [
        *_concept_names(diet, "type"),
        *(_format_texture(part) for part in elements.children(diet, "texture")),
        *(_format_nutrient(part) for part in elements.children(diet, "nutrient")),
        *_concept_names(diet, "fluidConsistencyType"),
        _format_schedule(diet),
        elements.string(diet, "instruction"),
    ]


def _format_texture(part: Resource) -> str | None:
    modifier, food = (elements.concept(part.get(name)) for name in ("modifier", "foodType"))
    return f"{modifier} ({food})" if modifier and food else modifier or food


def _format_nutrient(part: Resource) -> str | None:
    return (
        elements.join_distinct([elements.concept(part.get("modifier")), format_dose(part.get("amount"))], " ") or None
    )


def _format_supplement(part: Resource) -> str:
    """Return `Ensure Plus (High-protein drink), 1 bottle, twice daily`."""
    name = _product_name(elements.string(part, "productName"), elements.concept(part.get("type")))
    more = [format_dose(part.get("quantity")), _format_schedule(part), elements.string(part, "instruction")]
    return elements.join_distinct([name, *more])


def _format_enteral_formula(formula: Resource) -> list[str | None]:
    """Return `Enteral 1.2 kcal/mL, nasogastric, at 75 mL/h, at most 1800 mL`."""
    base, additive = (
        _product_name(elements.string(formula, f"{kind}ProductName"), elements.concept(formula.get(f"{kind}Type")))
        for kind in ("baseFormula", "additive")
    )
    density, volume = format_dose(formula.get("caloricDensity")), format_dose(formula.get("maxVolumeToDeliver"))
    route = formula.get("routeofAdministration") or formula.get("routeOfAdministration")
    return [
        base,
        f"with {additive}" if additive else None,
        density,
        elements.concept(route),
        *(_format_administration(part) for part in elements.children(formula, "administration")),
        f"at most {volume}" if volume else None,
        elements.string(formula, "administrationInstruction"),
    ]


def _format_administration(part: Resource) -> str:
    rate = format_dose(part.get("rateQuantity")) or format_dose_ratio(part.get("rateRatio"))
    return elements.join_distinct(
        [format_dose(part.get("quantity")), f"at {rate}" if rate else None, _format_schedule(part)], " "
    )


def _product_name(name: str | None, type: str | None) -> str | None:
    """Return the product with its type, where both are known and differ."""
    return f"{name} ({type})" if name and type and type.lower() not in name.lower() else name or type
