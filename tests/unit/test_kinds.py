"""Which kind of document a stay gets, and what declares one."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.drafter.kinds import StayFeatures, classify, load_kinds, load_shipped_kinds
from services.drafter.kinds.classify import clarifying_question
from services.drafter.kinds.dispositions import PlaceMatch, place_names
from shared.contracts.draft import REQUIRED_PARTS
from shared.contracts.errors import PermanentError
from tests.support.kinds import REHABILITATION, write_kind


def left(*places: str) -> PlaceMatch:
    return PlaceMatch(frozenset(places), "disposition 02")


TABLE: list[tuple[str, StayFeatures, str, tuple[str, ...]]] = [
    ("nothing is known", StayFeatures(), "discharge-summary", ()),
    ("home", StayFeatures(left=left("home")), "discharge-summary", ()),
    ("rehabilitation", StayFeatures(left=left("rehabilitation")), "discharge-summary", ()),
    ("some facility", StayFeatures(left=left("other-facility")), "discharge-summary", ()),
    ("own hospital", StayFeatures(left=left("same-hospital")), "discharge-summary", ()),
    ("another hospital", StayFeatures(left=left("acute-hospital")), "transfer-summary", ()),
    ("against advice", StayFeatures(left=left("against-advice")), "against-advice-summary", ()),
    (
        "against advice, to another hospital",
        StayFeatures(left=left("against-advice", "acute-hospital")),
        "against-advice-summary",
        ("transfer-summary",),
    ),
    ("died", StayFeatures(died=True), "death-summary", ()),
    ("died, as a newborn", StayFeatures(died=True, age_days=0, began=frozenset({"born"})), "death-summary", ()),
    ("died, of all the places", StayFeatures(died=True, left=left("acute-hospital")), "death-summary", ()),
    ("observation", StayFeatures(encounter_class=frozenset({"OBSENC"}), hours=22), "short-stay-summary", ()),
    ("short stay", StayFeatures(encounter_class=frozenset({"SS"}), hours=9), "short-stay-summary", ()),
    (
        "observation of four days",
        StayFeatures(encounter_class=frozenset({"OBSENC"}), hours=96),
        "discharge-summary",
        (),
    ),
    ("observation without times", StayFeatures(encounter_class=frozenset({"OBSENC"})), "discharge-summary", ()),
    ("a night, admitted", StayFeatures(encounter_class=frozenset({"IMP"}), hours=14), "discharge-summary", ()),
    ("observation in words", StayFeatures(named=("Observation stay",), hours=22), "short-stay-summary", ()),
    ("a study", StayFeatures(named=("Observational cohort",), hours=22), "discharge-summary", ()),
    ("born here", StayFeatures(age_days=0, hours=50), "newborn-summary", ()),
    ("born here, by the source", StayFeatures(age_days=1, began=frozenset({"born"})), "newborn-summary", ()),
    ("the mother", StayFeatures(age_days=11000, began=frozenset({"born"})), "discharge-summary", ()),
    ("neonatal care", StayFeatures(age_days=9, named=("Neonatology",)), "newborn-summary", ()),
    ("Neonatologie", StayFeatures(age_days=9, named=("Neonatologie",)), "newborn-summary", ()),
    ("a child of three weeks", StayFeatures(age_days=21, named=("Pediatrics",)), "discharge-summary", ()),
    ("of six weeks", StayFeatures(age_days=42, named=("Neonatology",)), "discharge-summary", ()),
    ("no birth date", StayFeatures(began=frozenset({"born"}), named=("NICU",)), "discharge-summary", ()),
    (
        "a newborn to another hospital",
        StayFeatures(age_days=0, left=left("acute-hospital")),
        "transfer-summary",
        ("newborn-summary",),
    ),
    (
        "observed, then against advice",
        StayFeatures(encounter_class=frozenset({"OBSENC"}), hours=6, left=left("against-advice")),
        "against-advice-summary",
        ("short-stay-summary",),
    ),
]


@pytest.mark.parametrize(("signals", "kind", "also"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_the_kind_of_a_stay(signals: StayFeatures, kind: str, also: tuple[str, ...]) -> None:
    choice = classify(load_shipped_kinds(), signals)
    assert (choice.kind.name, tuple(other.name for other in choice.also)) == (kind, also)
    assert choice.why


@given(
    st.builds(
        StayFeatures,
        died=st.booleans(),
        left=st.frozensets(st.sampled_from(sorted(place_names()))).map(lambda found: PlaceMatch(found, "so")),
        encounter_class=st.frozensets(st.sampled_from(["IMP", "OBSENC", "SS"])),
        named=st.lists(st.text(max_size=20)).map(tuple),
        age_days=st.none() | st.integers(0, 40000),
        hours=st.none() | st.floats(0, 10000),
    )
)
def test_every_stay_has_one_kind_and_only_who_died_has_a_death_summary(signals: StayFeatures) -> None:
    choice = classify(load_shipped_kinds(), signals)
    assert (choice.kind.name == "death-summary") is signals.died


def test_kinds_that_fit_alike_are_left_to_the_general_one(tmp_path: Path) -> None:
    text = REHABILITATION.replace('["rehabilitation"]', '["acute-hospital"]').replace("priority = 70", "priority = 60")
    choice = classify(load_kinds(write_kind(tmp_path, text=text)), StayFeatures(left=left("acute-hospital")))
    assert choice.kind.name == "discharge-summary"
    assert "fit alike" in choice.why
    assert {kind.name for kind in choice.also} == {"transfer-summary", "rehabilitation-handover"}
    (asked,) = clarifying_question(choice)
    assert "“Rehabilitation handover” or “Transfer summary”" in asked.text


@pytest.mark.parametrize(
    ("places", "titles"),
    [
        (
            PlaceMatch(why="disposition other-hcf", unclear=frozenset({"acute-hospital", "hospice"})),
            ["Transfer summary"],
        ),
        (
            PlaceMatch(why="x", unclear=frozenset({"against-advice", "home"})),
            ["Against medical advice discharge summary"],
        ),
        (PlaceMatch(why="x", unclear=frozenset({"home", "nursing-facility"})), []),
        (PlaceMatch(frozenset({"home"}), "x"), []),
    ],
)
def test_what_is_not_clear_is_asked_of_the_physician(places: PlaceMatch, titles: list[str]) -> None:
    asked = clarifying_question(classify(load_shipped_kinds(), StayFeatures(left=places)))
    assert len(asked) == len(titles)
    assert all(title in point.text for title, point in zip(titles, asked, strict=True))
    assert clarifying_question(classify(load_shipped_kinds(), StayFeatures(died=True, left=places))) == ()


def test_a_hospital_adds_a_kind_and_replaces_one(tmp_path: Path) -> None:
    write_kind(tmp_path)
    write_kind(tmp_path, "transfer-summary", 'extends = "transfer-summary"\ntitle = "Verlegungsbrief"\n')
    kinds = load_kinds(tmp_path)
    assert kinds.all.keys() == {*load_shipped_kinds().all, "rehabilitation-handover"}
    own = kinds.all["transfer-summary"].declared
    assert (own.title, own.code, own.when) == (
        "Verlegungsbrief",
        "18761-7",
        load_shipped_kinds().all["transfer-summary"].declared.when,
    )
    assert kinds.all["transfer-summary"].digest != load_shipped_kinds().all["transfer-summary"].digest
    assert kinds.all["rehabilitation-handover"].prompt.stamp.name == "handover"


def test_what_extends_another_kind_does_not_take_its_stays(tmp_path: Path) -> None:
    write_kind(tmp_path, "night-summary", 'extends = "short-stay-summary"\ntitle = "Night summary"\n')
    choice = classify(load_kinds(tmp_path), StayFeatures(encounter_class=frozenset({"SS"}), hours=9))
    assert (choice.kind.name, choice.also) == ("short-stay-summary", ())


def test_codes_of_a_table_of_ones_own_choose_a_kind(tmp_path: Path) -> None:
    rule = 'disposition_codes = ["urn:x|K7"]\ndepartments = ["surgery"]'
    kinds = load_kinds(write_kind(tmp_path, text=REHABILITATION.replace('disposition = ["rehabilitation"]', rule)))
    here = StayFeatures(codes=frozenset({"urn:x|K7"}), department="surgery")
    assert classify(kinds, here).kind.name == "rehabilitation-handover"
    assert classify(kinds, StayFeatures(codes=frozenset({"urn:x|K7"}))).kind.name == "discharge-summary"


WRONG: list[tuple[str, str, str]] = [
    ('title = "Rehabilitation handover"\n', "", "title: is missing"),
    ('code = "34745-0"', 'code = "LOINC"', "code:"),
    ('disposition = ["rehabilitation"]', 'disposition = ["rehab"]', "is not one of"),
    ('disposition = ["rehabilitation"]', "", "has no condition"),
    ('disposition = ["rehabilitation"]', "named = '('", "is not a regular expression"),
    ('"required-elements"]', '"required-elements", "vitals"]', "'vitals' is not a group"),
    ('"required-elements"]', '"required-elements", "procedures", "procedures"]', "stands twice"),
    ('title = "Plan"', 'title = "Significant findings"', "heading 'significant-findings' stands twice"),
    ('title = "Plan"', 'title = "Immunizations"', "heading 'immunizations' stands twice"),
    ('title = "Plan"', 'title = "Hospital course"', "heading 'hospital-course' stands twice"),
    ('= "Weight bearing"\n\n', '= "Goals"\n\n', "heading 'goals' stands twice"),
    ('omit = ["family-history"]', 'omit = ["allergies-and-intolerances"]', "cannot be left out"),
    ('[[parts]]\ncode = "condition-at-discharge"\nrequired = false\n', "", "no part for the groups"),
    ('[[parts]]\ncode = "procedures-and-treatment"\n', "", "hospital-course needs one part"),
    ('title = "Mobility and function"\n', "", "part mobility needs a title"),
    ('title = "Plan"', 'title = "Plan:"', "parts.5.title"),
    ('extends = "discharge-summary"', 'extends = "letter"', "no such kind: 'letter'"),
    ('extends = "discharge-summary"', 'extends = "rehabilitation-handover"', "no such kind"),
    ('prompt = "handover"', 'prompt = "letter"', "there is no letter.prompt"),
    ('policy = "marked"', 'policy = "loose"', "policy:"),
    ('policy = "marked"', 'colour = "red"', "colour: is not known here"),
    ("[titles]", "[titles", "is not TOML"),
]


@pytest.mark.parametrize(("before", "after", "complaint"), WRONG, ids=[row[2] for row in WRONG])
def test_what_is_declared_wrongly_stops_the_service_and_is_named(
    tmp_path: Path, before: str, after: str, complaint: str
) -> None:
    assert before in REHABILITATION
    with pytest.raises(PermanentError) as refused:
        load_kinds(write_kind(tmp_path, text=REHABILITATION.replace(before, after)))
    assert complaint in refused.value.reason
    assert "rehabilitation-handover/kind.toml" in refused.value.reason


def test_a_folder_that_is_none_and_a_prompt_without_facts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="is not a folder"):
        load_kinds(tmp_path / "absent")
    folder = write_kind(tmp_path)
    prompt = folder / "rehabilitation-handover" / "handover.prompt"
    prompt.write_text(prompt.read_text().replace("{facts}", ""))
    with pytest.raises(PermanentError, match="has no placeholder"):
        load_kinds(folder)


def test_the_kind_that_the_documentation_shows_can_be_declared(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs/how-to/document-kinds.md").read_text()
    shown = text.split("```toml")[1].split("```")[0]
    others = "\n".join(f'[[parts]]\ncode = "{code}"' for code in REQUIRED_PARTS[1:])
    kinds = load_kinds(write_kind(tmp_path, text=shown.replace("# … the other five", others)))
    declared = kinds.all["rehabilitation-handover"].declared
    assert (declared.title, len(declared.when), len(declared.parts)) == ("Rehabilitation handover", 2, 7)


def test_the_general_kinds_take_what_is_left(tmp_path: Path) -> None:
    text = 'extends = "discharge-summary"\ntitle = "Letter"\n[[when]]\nlongest_hours = 5\n'
    with pytest.raises(PermanentError, match="cannot have rules"):
        load_kinds(write_kind(tmp_path, "discharge-summary", text))
