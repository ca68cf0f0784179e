"""Facts of illnesses and what was found and done: diagnoses, family, procedures, reports, cultures, scores."""

import re
from collections.abc import Iterable, Iterator
from random import Random

from shared.contracts.context import Diagnosis, EncounterContext
from tests.claims.lists import ABBREVIATIONS, DIAGNOSES, DRUGS, RELATED, absent, text_of
from tests.claims.medicines import names
from tests.claims.model import Fact, Plant, Wording
from tests.claims.stay import day_of, first_sentence, spelled

CHRONIC = re.compile(
    r"chronic|hypertens|diabet|asthma|copd|ckd|gerd|bph|obes|osteopor|lipid|atrial fib|heart failure|depress", re.I
)
SIDE = re.compile(r"\b(left|right)\b", re.IGNORECASE)
SCALES = (("Barthel", "Barthel index"), ("Glasgow", "Glasgow coma scale score"), ("Braden", "Braden score"))
# `Ceftriaxone susceptible`, and in brackets with a concentration: `Ciprofloxacin ≥4 µg/mL resistant, …`
_CULTURE = re.compile(r"([A-Z][A-Za-z+/]+)(?: [≤≥<>]?[\d.]+ \S+)? (susceptible|resistant)(?=[,)]|$)")


def facts(context: EncounterContext, pool: Iterable[str], wording: Wording, random: Random) -> Iterator[Fact]:
    """`pool`: diagnoses of the other stays of this split."""
    yield from _diagnoses(context, list(pool), wording, random)
    yield from _family(context)
    yield from _procedures(context, random)
    yield from _reports(context)
    yield from _scores(context)
    yield from _cultures(context)
    yield from _causes(context, wording, random)


def named(item: Diagnosis) -> str:
    """A diagnosis without what stands in brackets and after a comma: `hypertension`. Empty for what is none."""
    text = re.split(r" \(|,", item.text)[0].strip()
    if re.search(r" (?:with|of|in|to|and|for)$|delivery|^Pregnancy", text):
        return ""
    if (
        not text.isascii()
        or ":" in text
        or not 3 <= len(text) <= 60
        or text.startswith(("Complications", "code ", "("))
    ):
        return ""
    return text if text[:2].isupper() else text[0].lower() + text[1:]


def ways(name: str, half: int) -> tuple[str, ...]:
    """The name and, where there is one, the other name that this split uses of it."""
    for key, others in ABBREVIATIONS.items():
        if name.casefold() == key or (key == "type 2 diabetes" and name.casefold().startswith(key)):
            return name, others[half]
    return (name,)


def _diagnoses(context: EncounterContext, pool: list[str], wording: Wording, random: Random) -> Iterator[Fact]:
    said = text_of(context)
    foreign = sorted(name for name in set(pool) if _foreign(name, said))
    invented = absent(DIAGNOSES, said, wording.number)
    seen: set[str] = set()
    for item in context.diagnoses:
        name = named(item)
        if not name or name in seen or _disputed(name, item, context):
            continue
        seen.add(name)
        slots = {"dx": random.choice(ways(name, wording.number))}
        plants = []
        if foreign:
            plants.append(Plant("diagnosis of another patient", "not-in-record", {"dx": random.choice(foreign)}))
        if invented:
            plants.append(Plant("diagnosis invented", "not-in-record", {"dx": random.choice(invented)}))
        yield _with_certainty(item, slots, plants)
    for name in invented[:1]:
        yield Fact("", {}, (Plant("diagnosis invented", "not-in-record", {"dx": name}, type="diagnosis"),))


def _with_certainty(item: Diagnosis, slots: dict[str, str], plants: list[Plant]) -> Fact:
    denied = Plant("negation", "contradicted", type="ruled out")
    if item.certainty == "suspected":
        return Fact("suspected", slots, (Plant("certainty", "contradicted", type="confirmed"), denied, *plants))
    if item.certainty == "ruled-out":
        return Fact("ruled out", slots, (Plant("negation", "contradicted", type="confirmed"),))
    plants = [*plants, *_sides(slots["dx"], "dx")]
    doubted = Plant("certainty", "contradicted", type="suspected")
    kind = "principal" if item.role == "principal" else "history" if CHRONIC.search(item.text) else "diagnosis"
    # A chronic illness is not what the patient came for: its own templates fit both.
    return Fact(
        "history" if kind == "principal" and "chronic" in slots["dx"] else kind, slots, (denied, doubted, *plants)
    )


def _disputed(name: str, item: Diagnosis, context: EncounterContext) -> bool:
    """Whether the record has the illness with another certainty, too, or says that it is over or contradicted."""
    word = max(re.findall(r"\w+", name), key=len).casefold()
    others = [one for one in context.diagnoses if word in one.text.casefold()]
    told = [*context.contradictions, *context.doubts]
    return len({one.certainty for one in others}) > 1 or any(word in one.text.casefold() for one in told)


def _foreign(name: str, said: str) -> bool:
    """Whether no telling word of the name, and no other name of it, stands in the record."""
    words = [
        word for word in re.findall(r"[a-z]{5,}", name.casefold()) if word not in ("acute", "chronic", "unspecified")
    ]
    synonyms = {
        other.casefold() for key, others in ABBREVIATIONS.items() if key in name.casefold() for other in (key, *others)
    }
    related = [word for group in RELATED if any(word in name.casefold() for word in group) for word in group]
    return (
        bool(words)
        and not any(word in said for word in related)
        and not any(word[:6] in said for word in words)
        and not any(re.search(rf"\b{re.escape(word)}\b", said) for word in synonyms)
    )


def _family(context: EncounterContext) -> Iterator[Fact]:
    notes = tuple(
        note.model_copy(update={"sentences": tuple(item for item in note.sentences if item.section != "family")})
        for note in context.clinical_notes
    )
    own = text_of(context.model_copy(update={"family_history": (), "clinical_notes": notes}))
    for item in context.family_history:
        relation, _, illnesses = item.text.partition(": ")
        for illness in illnesses.split(", "):
            name = re.split(r" \(| at \d", illness)[0]
            if not name or not name.isascii() or name.startswith("unspecified"):
                continue
            name = name[0].lower() + name[1:] if name[1:2].islower() else name
            slots = {"relation": relation.lower().removeprefix("natural "), "dx": name}
            plants = (Plant("family history as own", "not-in-record", type="history"),) if _foreign(name, own) else ()
            yield Fact("family", slots, plants)


def _procedures(context: EncounterContext, random: Random) -> Iterator[Fact]:
    start, end = day_of(context.start_on), day_of(context.end_on)
    for item in context.procedures:
        name = item.text.partition(" (")[0]
        if ":" in name or not name.isascii() or "nebulizer" in name or "broken off" in item.text or len(name) > 70:
            continue
        name = name[0].lower() + name[1:] if name[1:2].islower() else name
        slots = {"procedure": name}
        plants = [Plant("procedure denied", "contradicted", type="not done")]
        same = [one for one in context.procedures if one.text.casefold().startswith(name.casefold()[:12])]
        if (day := day_of(item.on)) and len(same) == 1:
            slots["date"] = spelled(day, random)
            plants += [
                Plant("date of another event", "contradicted", {"date": spelled(other, random)})
                for other in (start, end)
                if other and other != day and "until" not in item.text
            ][:1]
        plants += _sides(name, "procedure")
        yield Fact("procedure", slots, tuple(plants))
    for item in context.devices:
        if item.text.isascii():
            name = _placed(item.text)
            slots = {"device": name[0].lower() + name[1:] if name[1:2].islower() else name}
            yield Fact("device", slots, tuple(_sides(slots["device"], "device")))


def _placed(device: str) -> str:
    """A device without its size, but with its side: `PICC (right arm)`."""
    name, *places = device.split(", ")
    place = next((text for text in places if SIDE.search(text)), "")
    return f"{name} ({place})" if place and not SIDE.search(name) else name


def _sides(text: str, slot: str) -> list[Plant]:
    """The other side, where there is one side in the text."""
    found = SIDE.findall(text)
    if len({side.casefold() for side in found}) != 1:
        return []
    other = {"left": "right", "right": "left"}[found[0].casefold()]
    return [Plant("laterality", "contradicted", {slot: SIDE.sub(other, text)})]


def _reports(context: EncounterContext) -> Iterator[Fact]:
    titles = [item.text.partition(": ")[0] for item in context.reports]
    for item, title in zip(context.reports, titles, strict=True):
        finding = first_sentence(item).partition(": ")[2]
        if (
            "panel" in title
            or not finding.isascii()
            or "amended" in item.text
            or titles.count(title) > 1
            or not finding
        ):
            continue
        if re.match(r"\d|LVEF|Findings|Passed|Gas", finding) or "Metabolic" in title or len(finding) < 8:
            continue
        finding = finding[0].lower() + finding[1:] if finding[1:2].islower() else finding
        plants = _sides(finding, "finding")
        if finding.lower().startswith("no "):
            if "acute abnormal findings" not in finding:
                plants.append(Plant("negation", "contradicted", {"finding": finding[3:]}))
        else:
            plants.append(Plant("negation", "contradicted", {"finding": f"no {finding}"}))
            plants.append(Plant("certainty", "contradicted", {"finding": f"possible {finding}"}))
        yield Fact("report", {"report": title.replace("_", " "), "finding": finding}, tuple(plants))


def _scores(context: EncounterContext) -> Iterator[Fact]:
    for begins, name in SCALES:
        found = [item for item in context.function if begins in item.text]
        scores = [item.text.rpartition(": ")[2] for item in found]
        if scores and all(score.isdigit() for score in scores):
            wrong = next(str(n) for n in (35, 9, 21, 45, 8) if str(n) not in scores and (n < 24 or begins == "Barthel"))
            yield Fact(
                "score", {"scale": name, "score": scores[0]}, (Plant("number", "contradicted", {"score": wrong}),)
            )


def _cultures(context: EncounterContext) -> Iterator[Fact]:
    found: dict[str, set[str]] = {}
    for item in context.microbiology:
        for drug, answer in _CULTURE.findall(item.text):
            found.setdefault(drug, set()).add(answer)
    # Two isolates may differ: a sentence that names none of them is then neither true nor false.
    for drug, answer in ((drug, answers.pop()) for drug, answers in found.items() if len(answers) == 1):
        other = "resistant" if answer == "susceptible" else "susceptible"
        yield Fact(
            "culture", {"drug": drug, "answer": answer}, (Plant("susceptibility", "contradicted", {"answer": other}),)
        )


def _causes(context: EncounterContext, wording: Wording, random: Random) -> Iterator[Fact]:
    """A medicine said to have caused an abnormal value, which no entry of the record says."""
    abnormal = [
        key
        for test, key in (
            ("Hemoglobin [", "anemia"),
            ("Sodium [", "hyponatremia"),
            ("Potassium [", "hyperkalemia"),
            ("Aspartate", "elevated AST"),
            ("Creatinine [", "elevated creatinine"),
            ("Leukocytes [", "leukocytosis"),
        )
        for series in context.labs
        if series.name.startswith(test)
        and series.worst
        and series.worst.flag
        and (series.worst.flag.endswith("low") == (key in ("anemia", "hyponatremia")))
    ]
    abnormal += [
        key
        for test, key in (("Hemoglobin [", "anemia"), ("Leukocytes [", "leukocytosis"), ("Aspartate", "elevated AST"))
        for series in context.labs
        if series.name.startswith(test) and series.first.flag == ("low" if key == "anemia" else "high")
    ]
    drugs = sorted({names(item)[0] for item in (*context.hospital_medicines, *context.home_medicines) if names(item)})
    said = [item.text for note in context.clinical_notes for item in note.sentences]
    told = " ".join([*said, *(item.text for item in (*context.notes, *context.reports))]).casefold()
    for finding in sorted(set(abnormal))[:3]:
        for drug in random.sample(drugs, min(2, len(drugs))):
            if not re.search(r"due to|caused|induced|attribut|secondary", told):
                yield Fact(
                    "", {}, (Plant("causal", "not-in-record", {"finding": finding, "drug": drug}, type="cause"),)
                )
    unknown = absent(DRUGS, text_of(context), wording.number)
    for drug in random.sample(unknown, min(2, len(unknown))):
        yield Fact("", {}, (Plant("drug invented", "not-in-record", {"drug": drug}, type="invented drug"),))
