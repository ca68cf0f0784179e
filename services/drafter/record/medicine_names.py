"""Names of medicines: by text, code, ingredient or identifier, in a Medication, a concept or contained. Pure."""

import re

from services.drafter.record import combinations, quantities
from shared.clinical import elements, references
from shared.clinical.elements import Resource
from shared.grounding.vocabulary import drug_names, find_words

_STRENGTH = re.compile(r"\d ?(mg|g|mcg|ug|µg|ml|iu|ie|units?|%|mmol|meq)\b", re.IGNORECASE)
# Where German and Dutch names join an ingredient and its salt.
_SALT_OF = re.compile(
    r"(?<=[^\W\d_]{5})(?=(?:hemi)?(?:succin|tartr|male|besil|besyl|fumar|mesil|sulf|phosph|fosf|acet|citr)a?at\b)"
    r"|(?<=[^\W\d_]{5})(?=(?:di)?hydro(?:chlorid|bromid)e?\b)|(?<=[^\W\d_]{5})(?=natrium\b|kalium\b|calcium\b)"
)
# What the list of names calls by a British short name, whose substances are known here.
_SHORT_NAMES = frozenset(
    {"co-amoxiclav", "co-codamol", "co-trimoxazole", "co-dydramol", "co-careldopa", "co-beneldopa"}
)
_RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
# Catalogues of products: NDC, PZN, and the Dutch G-Standaard's articles, trade and prescription products.
_CATALOGUES = frozenset(
    {
        "http://hl7.org/fhir/sid/ndc",
        "http://fhir.de/CodeSystem/ifa/pzn",
        "urn:oid:2.16.840.1.113883.2.4.4.8",
        "urn:oid:2.16.840.1.113883.2.4.4.7",
        "urn:oid:2.16.840.1.113883.2.4.4.10",
    }
)


class MedicineNames:
    """Name the medicines of one record. `medications` are Medication and Substance resources by reference."""

    def __init__(self, medications: dict[str, Resource], bases: frozenset[str]) -> None:
        self._medications = medications
        self._bases = bases

    def name(self, item: Resource) -> str | None:
        """Return the text or display, with the strength where only another coding has it."""
        concept = self.medication_of(item)
        name = _with_strength(concept.get("code")) or elements.join_distinct(self.substances(item, concept)) or None
        display = elements.string(elements.child(item, "medicationReference"), "display")
        identifiers = [elements.string(part, "value") for part in elements.children(concept, "identifier")]
        spoken = next(
            (text for text in identifiers if text and re.search(r"[^\W\d]{4}", text) and " " not in text), None
        )
        named = name or display or spoken or elements.concept_or_code(concept.get("code"))
        brands = [
            elements.string(part, "valueString") for part in elements.extensions(concept, "medication-brand-name")
        ]
        new = [brand for brand in brands if brand and named and brand.lower() not in named.lower()]
        return f"{named} ({elements.join_distinct(new)})" if new else named

    def medication_of(self, item: Resource) -> Resource:
        """Return a Medication, or the concept in its place as one."""
        if "medicationCodeableConcept" in item:
            return {"code": elements.child(item, "medicationCodeableConcept")}
        element = elements.child(item, "medicationReference")
        reference = elements.string(element, "reference") or ""
        if reference.startswith("#"):
            return next((part for part in elements.children(item, "contained") if part.get("id") == reference[1:]), {})
        return self._medications.get(references.relative(element, self._bases) or "", {})

    def substances(self, item: Resource, medication: Resource) -> list[str]:
        """Return the substances of a Medication with their strength, also from referenced Substances."""
        names = []
        contained = [*elements.children(item, "contained"), *elements.children(medication, "contained")]
        for part in elements.children(medication, "ingredient"):
            element = elements.child(part, "itemReference")
            reference = elements.string(element, "reference") or ""
            inner = next((one for one in contained if reference == f"#{one.get('id')}"), None)
            inner = inner or self._medications.get(references.relative(element, self._bases) or "", {})
            name = (
                elements.concept(part.get("itemCodeableConcept"))
                or elements.concept(inner.get("code"))
                or elements.string(element, "display")
            )
            strength = quantities.format_ratio(part.get("strength"), trailing_zeros=False)
            names += [f"{name} {strength}" if strength and not _STRENGTH.search(name) else name] if name else []
        return names


def _with_strength(concept: object) -> str | None:
    """Return the name, with the first display that has a strength in brackets where the name has none."""
    name = elements.concept(concept)
    if name is None or re.search(r"\d", name):
        return name
    strong = next(
        (text for text in elements.displays(concept) if _STRENGTH.search(text)),
        None,
    )
    return f"{name} ({strong})" if strong else name


def ingredients(name: str, substances: list[str]) -> tuple[str, ...]:
    """Return the generic names of a name: `Norvasc 5 mg` and `amlodipine` are one medicine."""
    text = " ".join([name, *substances]).lower()
    brands = combinations.combination_substances(text)
    names = _names_in_text(split_salts(text))
    for parts in combinations.joined_substances(text):
        each = [_names_in_text(part) | combinations.combination_substances(part) for part in parts]
        if all(each):  # a part that nothing knows may be a salt, or a substance that makes it another medicine
            names = names.union(*each)
    return tuple(sorted((names - _SHORT_NAMES if brands else names) | brands))


def _names_in_text(text: str) -> set[str]:
    return {
        part
        for mention in drug_names().find(text, find_words(text))
        for part in combinations.split_substances(mention.canonical)
    }


def split_salts(text: str) -> str:
    """Return `metoprololsuccinat` → `metoprolol succinat`."""
    return _SALT_OF.sub(" ", text)


def product_codes(concept: object, name: str) -> tuple[str, ...]:
    """Return codes of one product: of a product catalogue, or with a strength in their display.

    RxNorm, SNOMED CT and others also have codes of ingredients: without a display the name must have a strength.
    """
    return tuple(
        sorted(
            f"{system}|{code}"
            for coding in elements.codings(concept)
            if (code := elements.string(coding, "code")) and (system := elements.string(coding, "system"))
            if system in _CATALOGUES or _has_strength(coding, system, name)
        )
    )


def _has_strength(coding: Resource, system: str, name: str) -> bool:
    display = elements.string(coding, "display")
    return _STRENGTH.search(display or (name if system == _RXNORM else "")) is not None
