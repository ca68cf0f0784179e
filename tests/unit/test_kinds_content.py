"""What a document of a kind has to say, and that no kind loses a group of facts."""

from datetime import UTC, datetime, timedelta

from services.drafter import facts
from services.drafter.kinds import load_shipped_kinds, required_elements
from services.drafter.kinds.fact_groups import NAMES, TITLES, group_name
from shared.contracts.context import ContextEntry, Diagnosis, EncounterContext, Measurement, ObservationSeries, Patient
from shared.contracts.draft import REQUIRED_PARTS

END = datetime(2026, 3, 6, 15, tzinfo=UTC)


def entry(text: str, source: str = "Observation/o1") -> ContextEntry:
    return ContextEntry(text=text, source=source)


def context(**more: object) -> EncounterContext:
    given: dict[str, object] = {
        "encounter": "Encounter/e1",
        "encounter_status": "finished",
        "kind": "transfer-summary",
        "patient": Patient(source="Patient/p1", name="Robin Example"),
        "start": END - timedelta(days=4),
        "end": END,
    }
    return EncounterContext.model_validate(given | more)


def weight(hours: float = 1) -> ObservationSeries:
    taken = Measurement(value="3120 g", time=END - timedelta(hours=hours), source="Observation/w1")
    return ObservationSeries(name="Weight", code="8339-4", first=taken, last=taken, count=1)


def asked(kind: str, of: EncounterContext) -> list[str]:
    return [
        point.text.partition(":")[0]
        for point in required_elements.missing_element_points([load_shipped_kinds().all[kind]], of)
    ]


def test_what_the_record_lacks_is_asked_and_what_it_has_is_not() -> None:
    assert asked("transfer-summary", context()) == [
        "Reason for the transfer",
        "Receiving facility",
        "Condition at the transfer",
        "Pending results",
        "Code status",
    ]
    full = context(
        destination="Northgate University Hospital",
        services=(entry("Transfer to Northgate for coronary bypass surgery"),),
        vitals=(weight(),),
        pending=(entry("Blood culture"),),
        directives=(entry("Do not resuscitate"),),
    )
    assert asked("transfer-summary", full) == []


def test_an_old_vital_sign_is_no_condition_at_the_transfer() -> None:
    assert "Condition at the transfer" in asked("transfer-summary", context(vitals=(weight(hours=30),)))
    assert "Condition at the transfer" not in asked("transfer-summary", context(vitals=(weight(hours=23),)))


def test_the_name_of_a_kind_of_hospital_is_no_hospital() -> None:
    for words in ("Transferred to another hospital", "Short-term general hospital", "Anderes Krankenhaus"):
        assert "Receiving facility" in asked("transfer-summary", context(disposition=words)), words
    assert "Receiving facility" not in asked("transfer-summary", context(disposition="To Mercy Hospital, Elmtown"))


def test_who_left_against_advice_is_never_said_to_have_been_informed() -> None:
    """A note is quoted to the physician, also one that says the opposite; the document says nothing of it."""
    said = "The risks of leaving could not be explained."
    kind = load_shipped_kinds().all["against-advice-summary"]
    stay = context(kind="against-advice-summary", notes=(entry(said, "DocumentReference/n1"),))
    (first, *others) = required_elements.missing_element_points([kind], stay)
    assert first.text.startswith(f"Risks of leaving: only a note speaks of it (“{said}”)")
    assert first.source == "DocumentReference/n1"
    assert [point.text.partition(":")[0] for point in others] == ["Capacity to decide", "Who was informed"]
    text = " ".join(fact.text for part in facts.render(stay, kind) for group in part.groups for fact in group.facts)
    assert not any(word in text.lower() for word in ("risk", "capacity", "informed", "explained"))


def test_what_a_newborn_needs_is_found_by_code_and_by_words() -> None:
    stay = context(
        kind="newborn-summary",
        vitals=(weight(),),
        diagnoses=(
            Diagnosis(text="Neugeborenes, 38+2 SSW", source="Condition/1", role="principal"),
            Diagnosis(text="Neonatal jaundice, bilirubin", source="Condition/2", role="problem", certainty="ruled-out"),
        ),
        family_history=(entry("Mutter: Gestationsdiabetes"),),
        reports=(entry("Hörscreening: beidseits unauffällig"),),
        pending=(entry("Neugeborenen-Screening"),),
        diet=(entry("Voll gestillt"),),
    )
    assert asked("newborn-summary", stay) == ["Hepatitis B immunization", "Bilirubin"]
    found = [fact.text for fact in required_elements.element_facts(load_shipped_kinds().all["newborn-summary"], stay)]
    assert "Weight 3120 g, 2026-03-06" in found
    assert not any("jaundice" in text and "ruled-out" not in text for text in found)


# Parts and groups


def test_every_group_that_is_rendered_is_known_by_its_name() -> None:
    rich = context(
        diagnoses=(
            Diagnosis(text="P", source="Condition/1", role="principal"),
            Diagnosis(text="O", source="Condition/1", role="problem"),
            Diagnosis(text="A", source="Condition/1", role="problem", acquired=True),
            Diagnosis(text="S", source="Condition/1", role="problem", certainty="suspected"),
            Diagnosis(text="R", source="Condition/1", role="problem", certainty="ruled-out"),
        ),
        labs=(weight().model_copy(update={"judged": False}),),
        **{
            name: (entry(name),)
            for name in (
                "family_history", "microbiology", "contradictions", "devices", "immunizations", "function",
                "directives", "observed", "services", "care_plans", "diet", "goals", "team",
            )
        },
    )  # fmt: skip
    for stay in (rich, context(deceased=True, kind="death-summary")):
        named = {group_name(group.title) for part in facts.default_parts(stay) for group in part.groups}
        assert named <= NAMES
        titles = {part.code: part.title for part in facts.default_parts(stay)}
        assert all(title in TITLES[code] for code, title in titles.items())
        assert tuple(part.code for part in facts.default_parts(stay)) == REQUIRED_PARTS


def test_no_kind_loses_a_group() -> None:
    stay = context(**{name: (entry(name),) for name in ("family_history", "goals", "team", "services", "devices")})
    told = {fact.text for part in facts.default_parts(stay) for group in part.groups for fact in group.facts}
    for kind in load_shipped_kinds().all.values():
        shown = {fact.text for part in facts.render(stay, kind) for group in part.groups for fact in group.facts}
        omitted = {"family_history", "goals", "team"} if kind.declared.omit else set()
        assert told - shown == omitted, kind.name
