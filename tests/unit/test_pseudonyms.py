"""Pseudonyms: what leaves has no identifier, and what comes back is restored, or is not used."""

import re
import subprocess
import sys
import unicodedata
from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.drafter.pseudonyms.date_forms import find_dates
from services.drafter.pseudonyms.errors import NotReplaceableError, NotRestorableError
from services.drafter.pseudonyms.generator import PseudonymousGenerator, StreamRestorer
from services.drafter.pseudonyms.pseudonyms import Pseudonyms
from services.drafter.pseudonyms.surrogates import FAMILY_NAMES, GIVEN_NAMES
from services.drafter.pseudonyms.word_lists import words_of
from shared.contracts.context import Identifier
from shared.inference.generation import Sampling
from tests.support.generator import ScriptedGenerator

KEY, END = b"k" * 32, date(2026, 3, 6)
PEOPLE = (
    "John Quincy Smith",
    "Müller, Anna-Maria, MD",
    "Grace Long",
    "Li Ng",
    "Willem van der Berg",
    "Siobhan O'Brien",
    "王小明",
)
IDENTIFIERS = (
    *(Identifier(kind="person", text=name) for name in PEOPLE),
    Identifier(kind="number", text="00881234"),
    Identifier(kind="contact", text="(312) 555-0143"),
    Identifier(kind="contact", text="john.smith@example.com"),
    Identifier(kind="address", text="12 Oak Street, Apt 4"),
    Identifier(kind="address", text="Springfield"),
    Identifier(kind="organization", text="Oakview Skilled Nursing Facility"),
)


def pseudonyms(case: str = "c1", key: bytes = KEY, identifiers: tuple[Identifier, ...] = IDENTIFIERS) -> Pseudonyms:
    return Pseudonyms(key, case, END, identifiers)


def sent(text: str, case: str = "c1") -> str:
    """What is sent for `text`, which is restored word for word."""
    found = pseudonyms(case)
    replaced = found.replace(text)
    assert found.restore(replaced) == unicodedata.normalize("NFC", text)
    return replaced


@pytest.mark.parametrize(
    "spelling",
    [
        "John Smith",
        "JOHN SMITH",
        "john smith",
        "Smith, John",
        "Smith John",
        "John\nSmith",
        "John-Smith",
        "John  Smith",
        "J. Smith",
        "J.Q. Smith",
        "J. Q. Smith",
        "Smith, J.",
        "Smith JQ",
        "Mr. Smith",
        "Mr Smith's",
        "Smith’s",
        "the Smiths",
        "Smi-\nth",
        "SMITH_JOHN",
        "(Smith)",
        "Smith/Mueller",
        "Mueller",
        "MÜLLER",
        "Muller",
        "Müller",
        "Anna Maria Müller",
        "Anna-\nMaria",
        "Dr. Long",
        "Long, Grace",
        "LONG, GRACE",
        "Ms. Ng",
        "Ng, Li",
        "Li Ng",
        "van der Berg",
        "Berg, W.",
        "O'Brien",
        "O’Brien",
        "OBrien",
        "OBRIEN",
        "Mu\u0308ller",
        "患者王小明入院",
    ],
)
def test_a_name_of_the_record_is_found_in_any_spelling(spelling: str) -> None:
    found = sent(f"Seen with {spelling} at noon, stable.")
    for word in (
        "smi",
        "smith",
        "john",
        "quincy",
        "mueller",
        "müller",
        "muller",
        "anna",
        "maria",
        "brien",
        "berg",
        "grace",
    ):
        assert not re.search(rf"(?<![^\W_]){word}s?(?![^\W_])", found.casefold()), found
    assert not re.search(r"\b(Long|LONG|Ng)\b|王小明", found), found
    assert found.startswith("Seen with ")
    assert found.endswith(" at noon, stable.")


@pytest.mark.parametrize(
    ("kind", "text", "kept", "gone"),
    [
        ("person", "Ramona Colon", "colon cancer, stage 2", "seen with Ms. Colon"),
        ("person", "Ramona Colon", "the colon was normal", "COLON, RAMONA called"),
        ("person", "Peter White", "white blood cells 9.1", "told by White"),
        ("person", "Peter White", "WHITE BLOOD CELLS 9.1", "WHITE, PETER called"),
        ("person", "Peter White", "a white count", "seen by WHITE today"),
        ("person", "Lou Foley", "Foley catheter removed", "Dr. Foley agreed"),
        ("person", "Ann He", "He was well, he ate", "Ms. He agreed"),
        ("organization", "Ward Maple", "maple syrup urine disease", "moved to Maple"),
        ("address", "Normal", "Normal sinus rhythm, normal gait", "lives in Normal"),
        ("address", "Mobile", "Mobile with a walker", "from Mobile, AL"),
    ],
)
def test_a_name_that_is_a_word_is_one_only_where_it_stands_as_a_name(
    kind: str, text: str, kept: str, gone: str
) -> None:
    found = pseudonyms(identifiers=(Identifier.model_validate({"kind": kind, "text": text}),))
    sent_text = found.replace(f"{kept}. Then {gone}.")
    assert sent_text.startswith(f"{kept}. Then ")
    assert text.split()[-1].casefold() not in re.findall(r"\w+", sent_text.removeprefix(kept).casefold())
    assert found.restore(sent_text) == f"{kept}. Then {gone}."


def test_parts_of_a_name_stay_parts_of_one_name() -> None:
    text = (
        "John Smith was admitted. Mr. Smith improved. J. Smith signed, SMITH agreed; John went home with Dr. Mueller."
    )
    words = re.findall(r"[A-Za-z]+", sent(text))
    given_name, family = words[0], words[1]
    assert words[5] == words[8] == family
    assert words[7] == given_name[0]
    assert words[10] == family.upper()
    assert words[12] == given_name


def test_a_case_has_its_own_surrogates_and_without_the_key_they_are_others() -> None:
    text = "John Smith, MRN 881234, was seen on 2026-03-02 and 2026-03-05."
    assert sent(text) == sent(text), "the same for each request of a case"
    assert len({sent(text, case) for case in ("c1", "c2", "c3")}) == 3
    assert pseudonyms(key=b"x" * 32).replace(text) != sent(text)
    before, after = ([item.date for item in find_dates(words, day_first=False)] for words in (text, sent(text)))
    moved = {one - other for one, other in zip(before, after, strict=True) if one and other}
    (shift,) = moved
    assert shift >= timedelta(weeks=5), "into the past"
    assert shift.days % 7 == 0, "the days of the week stay"


WORDS = (
    "BP 120/80 HR 88 SpO2 94% on 2 L; K 4.5 mmol/L, Cr 1.25 (H), WBC 11.2, platelets 250000, INR 2.5, pH 7.35.",
    "Motor strength 4/5 from 3/5, pain 8/10 to 3/10, GCS 15, EF 30%, NIHSS 4, 1/2 tab, 24/7, 5-10 mg, 1-0-1, q6h.",
    "Metoprolol 25 mg BID, insulin 10 units, penicillin 18000000 units IV, vancomycin 1250 mg q12h, D5 1/2 NS 75 mL/h.",
    "Parkinson's disease, Crohn disease, Foley catheter, Graves' disease, Hodgkin lymphoma, Swan-Ganz catheter.",
    "Long-term anticoagulation; white blood cells rose; grace period; short of breath; may go home; NG tube.",
    "Lewy body dementia, Bell's palsy, Smith fracture of the wrist, Wilson disease, Baker cyst, Whipple procedure.",
    "ICD-10 I50.23, LOINC 18842-5, SNOMED 84114007, T2DM since 2009, COVID-19, CT of L4-L5, 3x per week, day 5 of 7.",
)


@pytest.mark.parametrize("text", WORDS)
def test_clinical_words_and_figures_stay_as_they_are(text: str) -> None:
    assert sent(text) == text


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("seen 2026-03-02", "2026-03-02"),
        ("seen 3/2/2026", "3/2/2026"),
        ("seen 03/02/26", "03/02/26"),
        ("seen 2.3.2026", "2.3.2026"),
        ("seen 02.03.26", "02.03.26"),
        ("seen March 2, 2026", "March 2"),
        ("seen 2 March 2026", "2 March"),
        ("seen Mar 2", "Mar 2"),
        ("seen MARCH 2ND", "MARCH 2ND"),
        ("seen 2. März 2026", "März"),
        ("seen 2 maart 2026", "maart"),
        ("seen 02-Mar-2026", "02-Mar"),
        ("seen 20260302", "20260302"),
        ("since June 2025", "June 2025"),
        ("since 06/2025", "06/2025"),
        ("since 2025-06", "2025-06"),
        ("seen on 3/2", "3/2"),
        ("seen 25/03/2026", "25/03"),
        ("seen 2026-03-02T10:15:00Z", "2026-03-02"),
        ("seen 02MAR26", "02MAR26"),
        ("DOB 3/14/1948", "1948"),
        ("a 92-year-old man", "92"),
        ("aged 101 years", "101"),
        ("Age: 94", "94"),
        ("a ninety-two-year-old man", "ninety-two"),
        ("seen 3/2/2026-3/5/2026", "3/5/2026"),
        ("seen 2026-03-02/2026-03-05", "2026-03-05"),
        ("seen March 2-5, 2026", "March 2"),
        ("seen 2.-5. März 2026", "März"),
        ("seen March 30 to 31", "March 30"),
        ("seen on 3/2 and 3/4", "3/4"),
        ("seen on 3/2-3/5", "3/5"),
        ("seen March 2, 2026-March 5, 2026", "March 5"),
        ("known as MRN00881234", "881234"),
        ("called MRN77123904", "77123904"),
        ("born in 1931", "1931"),
        ("DOB 4/1/1930", "1930"),
        ("MRN 00881234", "881234"),
        ("MRN: 88-12-34", "88-12-34"),
        ("case 881 234", "881 234"),
        ("SSN 123-45-6789", "6789"),
        ("call 217.555.0188", "0188"),
        ("at +49 30 901820", "901820"),
        ("ext. 4471", "4471"),
        ("mail a.b@c.org now", "a.b@c"),
        ("see https://portal.example/u/77", "portal"),
        ("at 12 Oak Street, Apt. 4", "Oak"),
        ("lives in SPRINGFIELD", "SPRINGFIELD"),
        ("to Oakview SNF", "Oakview"),
        ("at 410 N. Elm Ave.", "Elm"),
        ("Hauptstraße 12", "Haupt"),
        ("Account # A1234567", "A1234567"),
        ("P.O. Box 77", "77"),
    ],
)
def test_each_kind_of_identifier_is_replaced(text: str, gone: str) -> None:
    found = sent(f"She was {text}, and improved.")
    assert gone.casefold() not in found.casefold()
    assert found.endswith(", and improved.")


def test_an_age_over_89_is_told_by_no_date_either() -> None:
    found = sent("A 97-year-old woman, DOB 1929-01-20, married 1950-06-01, admitted 2026-03-02.")
    assert found.startswith("A 90-year-old woman")
    born, admitted = (item for index, item in enumerate(find_dates(found, day_first=False)) if index in (0, 2))
    assert born.date is not None
    assert admitted.date is not None
    assert 90 <= (admitted.date - born.date).days / 365.25 < 92


ANSWERS = (
    ("in another form", "{family} was admitted on {long}.", "Smith was admitted on March 2, 2026."),
    ("without the year", "{given} came on {day}.", "John came on March 2."),
    ("the month alone", "{title} came in {month}.", "Mr. Smith came in March 2026."),
    ("in capitals", "{FAMILY} came.", "SMITH came."),
    ("an initial", "{initial}. {family} came.", "J. Smith came."),
    ("a possessive", "{family}’s son came.", "Smith’s son came."),
    ("no separators", "MRN {plain} came.", "MRN 00881234 came."),
)


def _parts(found: Pseudonyms) -> dict[str, str]:
    text = found.replace("John Smith, MRN 0088-1234, came on 2026-03-02.")
    given_name, family, number = (
        re.findall(r"[\w-]+", text)[0],
        text.split()[1].strip(","),
        re.findall(r"\d{4}-\d{4}", text)[0],
    )
    (day,) = (item.date for item in find_dates(text, day_first=False))
    assert day is not None
    return {
        "given": given_name,
        "family": family,
        "FAMILY": family.upper(),
        "initial": given_name[0],
        "title": f"Mr. {family}",
        "plain": number.replace("-", ""),
        "long": f"{day:%B} {day.day}, {day.year}",
        "day": f"{day:%B} {day.day}",
        "month": f"{day:%B %Y}",
        "year": str(day.year),
        "name": f"{day:%B}",
        "later": f"{day + timedelta(days=3)}",
    }


@pytest.mark.parametrize(("answer", "restored"), [item[1:] for item in ANSWERS], ids=[item[0] for item in ANSWERS])
def test_what_the_model_writes_in_another_form_is_restored(answer: str, restored: str) -> None:
    found = pseudonyms()
    assert found.restore(answer.format(**_parts(found))) == restored


@pytest.mark.parametrize(
    "answer",
    [
        "He came on {later}.",
        "He came in {year}.",
        "He came in {name}, and left.",
        "The {family}x came.",
        "{family}s" + "on came.",
        "He came on January 1, 2020.",
        "MRN 123456789 came.",
        "Call 312-555-0199.",
        "He is 93 years old.",
        "mail x@example.org",
    ],
)
def test_an_answer_that_cannot_be_restored_for_certain_is_not_used(answer: str) -> None:
    found = pseudonyms()
    with pytest.raises(NotRestorableError) as failed:
        found.restore(answer.format(**_parts(found)))
    assert "Smith" not in failed.value.reason


def test_a_surrogate_of_an_age_without_its_unit_is_not_taken_for_the_age() -> None:
    found = pseudonyms()
    assert found.replace("A 97-year-old woman took 5 mg.") == "A 90-year-old woman took 5 mg."
    assert found.restore("At 90 years of age she took 5 mg.") == "At 97 years of age she took 5 mg."
    with pytest.raises(NotRestorableError):
        found.restore("A woman of 90 took 5 mg.")


def test_a_text_that_has_the_surrogates_itself_gets_others() -> None:
    first = sent("John Smith came.").split()[1]
    assert first in FAMILY_NAMES
    assert first not in sent(f"John Smith came with the ointment {first}.").split()[1]


def test_more_names_than_surrogates_are_not_sent() -> None:
    names = [f"{chr(97 + one)}{chr(97 + two)}quvx".capitalize() for one in range(26) for two in range(16)]
    known = tuple(Identifier(kind="person", text=name) for name in names)
    found = pseudonyms(identifiers=known)
    for _ in range(2):  # a second try is no way around it
        with pytest.raises(NotReplaceableError) as failed:
            found.replace(" ".join(names))
        assert "quvx" not in failed.value.reason


def test_a_text_that_is_not_restored_as_it_was_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pseudonyms, "restore", lambda _, text: text)
    found = pseudonyms()
    for _ in range(2):
        with pytest.raises(NotReplaceableError, match="could not be restored"):
            found.replace("John Smith came.")


def test_surrogates_are_no_words_of_medicine_and_no_common_words() -> None:
    surrogates = {item.casefold() for item in (*FAMILY_NAMES, *GIVEN_NAMES)}
    assert len(surrogates) == len(FAMILY_NAMES) + len(GIVEN_NAMES)
    for name in ("eponyms", "eponym_terms", "common", "not_names"):
        assert not surrogates & words_of(name), name


names = st.sampled_from(
    [word for person in PEOPLE for word in re.findall(r"[^\W\d]{3,}(?:'\w+)?", person) if word != "der"]
)
dates = st.dates(date(1935, 1, 1), date(2027, 12, 31))
pieces = st.one_of(
    names,
    names.map(str.upper),
    st.tuples(st.sampled_from(["Dr. ", "Mr. ", "J. ", "daughter ", "and "]), names).map("".join),
    st.tuples(names, st.sampled_from([", ", " ", "-", "\n", "/"]), names).map("".join),
    dates.map(lambda day: f"{day:%m/%d/%Y}"),
    dates.map(lambda day: f"{day:%B} {day.day}, {day.year}"),
    dates.map(lambda day: f"on {day.month}/{day.day}"),
    dates.map(lambda day: f"{day.day}.{day.month}.{day.year}"),
    dates.map(date.isoformat),
    st.integers(90, 109).map("{}-year-old".format),
    st.from_regex(r"\(?[2-9][0-9]{2}\)? [2-9][0-9]{2}-[0-9]{4}", fullmatch=True),
    st.from_regex(r"MRN:? [A-Z]?[0-9]{5,9}", fullmatch=True),
    st.sampled_from(
        ["00881234", "john.smith@example.com", "12 Oak Street, Apt 4", "springfield", "Oakview SNF", *WORDS[:5]]
    ),
    st.from_regex(r"[a-z]{2,9}", fullmatch=True),
    st.text(max_size=12),
)
texts = st.lists(st.tuples(pieces, st.sampled_from([" ", ", ", ". ", "\n", "; ", " - "])), max_size=14).map(
    lambda parts: "".join(f"{one}{other}" for one, other in parts)
)


@settings(max_examples=40, deadline=None)
@given(texts)
def test_any_text_is_restored_word_for_word_or_is_not_sent(text: str) -> None:
    found = pseudonyms()
    try:
        replaced = found.replace(text)
    except NotReplaceableError:
        return
    assert found.restore(replaced) == unicodedata.normalize("NFC", text)
    for word in ("Smith", "Müller", "Siobhan", "Willem", "Quincy", "881234", "john.smith", "Oakview"):
        assert word.casefold() not in replaced.casefold()


@settings(max_examples=25, deadline=None)
@given(texts, st.lists(st.integers(0, 2000), max_size=12))
def test_a_stream_is_restored_however_it_is_cut(text: str, cuts: list[int]) -> None:
    found, parts = pseudonyms(), list[str]()
    text = f"{text} {text} {text}"
    try:
        replaced = found.replace(text)
    except NotReplaceableError:
        return
    restorer = StreamRestorer(found, parts.append)
    for start, end in pairwise([0, *sorted(min(cut, len(replaced)) for cut in cuts), len(replaced)]):
        restorer.feed(replaced[start:end])
    restorer.end()
    assert "".join(parts) == unicodedata.normalize("NFC", text)


def test_a_stream_that_comes_character_by_character_is_restored_early_and_in_full() -> None:
    text = " ".join(
        f"On March {day}, 2026 and 2026-02-{day:02} John Smith, MRN 00881234, saw Dr. Mueller since June 2025."
        for day in range(10, 28)
    )
    found, parts = pseudonyms(), list[str]()
    restorer = StreamRestorer(found, parts.append)
    for character in (replaced := found.replace(text)):
        restorer.feed(character)
    assert len(parts) > 3, "before the end"
    assert len("".join(parts)) > len(text) - 400
    restorer.end()
    assert "".join(parts) == text
    assert replaced != text


def test_a_stream_with_a_date_that_is_not_of_the_prompt_ends_with_an_error() -> None:
    found = pseudonyms()
    found.replace("John Smith.")
    restorer = StreamRestorer(found, lambda _: None)
    restorer.feed("He came on January 1, 2020. " * 20)
    with pytest.raises(NotRestorableError):
        restorer.end()


async def test_the_generator_sends_pseudonyms_and_returns_the_names() -> None:
    scripted, parts = ScriptedGenerator(), list[str]()
    generator = PseudonymousGenerator(scripted, pseudonyms())
    prompt = "John Smith, seen by Dr. Mueller on 2026-03-02, was given ceftriaxone."
    scripted.text = pseudonyms().replace(prompt)
    found = await generator.generate(prompt, Sampling(max_tokens=9), deadline=5, on_text=parts.append)
    assert scripted.prompts == [scripted.text]
    assert "Smith" not in scripted.text
    assert found.text == "".join(parts) == prompt


async def test_an_answer_that_is_not_used_says_what_it_cost() -> None:
    scripted = ScriptedGenerator()
    scripted.text = "He was admitted on January 1, 2020."
    with pytest.raises(NotRestorableError) as failed:
        await PseudonymousGenerator(scripted, pseudonyms()).generate("John Smith.", Sampling(max_tokens=9), deadline=5)
    assert failed.value.usage == (await scripted.generate("x", Sampling(max_tokens=9), deadline=5)).usage


def test_nothing_of_it_is_loaded_where_no_endpoint_asks_for_it() -> None:
    names = "[name for name in sys.modules if 'phonenumbers' in name or 'pseudonyms.' in name]"
    code = f"import sys, services.drafter.main; print({names})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "['services.drafter.pseudonyms.errors']"
