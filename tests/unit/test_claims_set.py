"""The development set for the sentence check: its size, that it is the same at each run, that its plants are false."""

import re
from collections import Counter

import pytest

from shared.contracts.context import EncounterContext
from tests.claims.authors import authors
from tests.claims.build import sentences, split_of
from tests.claims.checks import checker
from tests.claims.contexts import contexts
from tests.claims.dev import WORDING as DEV
from tests.claims.held import WORDING as HELD
from tests.claims.lists import ALLERGIES, DIAGNOSES, DRUGS, text_of
from tests.claims.model import Result, Sentence
from tests.claims.score import judged, rows, table

pytestmark = [pytest.mark.xdist_group("stays"), pytest.mark.slow]  # one worker reads them all, and each once
Records = dict[str, EncounterContext]


@pytest.fixture(scope="module")
def records() -> Records:
    return contexts(lambda _: None, shared=False)


@pytest.fixture(scope="module")
def found(records: Records) -> list[Sentence]:
    return sentences(records)


def test_the_set_is_large_enough(found: list[Sentence]) -> None:
    dev = Counter(one.kind for one in found if one.split == "dev" and one.kind)
    assert len(found) >= 1500
    assert sum(count >= 20 for count in dev.values()) >= 31, dev
    assert sum(not one.kind for one in found) >= 500


def test_every_kind_is_in_both_splits(found: list[Sentence]) -> None:
    dev, held = ({one.kind for one in found if one.split == split} for split in ("dev", "held"))
    assert dev == held


def test_the_planted_words_of_a_wrong_side_are_the_side(found: list[Sentence]) -> None:
    sides = [one for one in found if one.kind == "laterality"]
    assert sides
    for one in sides:
        assert one.wrong.casefold() in ("left", "right")
        assert one.true


def test_the_set_is_the_same_at_each_run(records: Records, found: list[Sentence]) -> None:
    assert sentences(records) == found


def test_the_splits_share_neither_a_stay_nor_a_wording(found: list[Sentence]) -> None:
    stays = {split: {one.stay for one in found if one.split == split} for split in ("dev", "held")}
    assert stays["dev"]
    assert stays["held"]
    assert not stays["dev"] & stays["held"]
    assert all(split_of(one.stay) == one.split for one in found)
    for kind in DEV.templates.keys() - {"whole"}:
        assert not set(DEV.templates[kind]) & set(HELD.templates[kind]), kind


def test_no_author_shares_a_template_with_the_held_out_wording() -> None:
    # Only how many: the held-out wording is not to be seen by whoever tunes the check.
    shared = {
        one.author: sum(
            len(set(one.templates[kind]) & set(HELD.templates[kind])) for kind in DEV.templates.keys() - {"whole"}
        )
        for one in authors()
    }
    assert len(shared) >= 9
    assert not sum(shared.values()), shared


def test_every_author_words_every_type() -> None:
    for one in authors():
        assert one.templates.keys() == DEV.templates.keys(), one.author
        assert all(one.templates.values()), one.author
        assert one.tests.keys() == DEV.tests.keys(), one.author
        assert one.findings.keys() == DEV.findings.keys(), one.author
        assert one.frequency.keys() == DEV.frequency.keys(), one.author
        assert one.route.keys() == DEV.route.keys(), one.author


def test_both_wordings_have_the_same_types() -> None:
    assert DEV.templates.keys() == HELD.templates.keys()
    assert DEV.tests.keys() == HELD.tests.keys()
    assert DEV.findings.keys() == HELD.findings.keys()
    assert DEV.frequency.keys() == HELD.frequency.keys()
    assert DEV.route.keys() == HELD.route.keys()


def test_a_false_sentence_is_no_true_one_and_shows_its_error(found: list[Sentence]) -> None:
    true = {(one.stay, one.text) for one in found if not one.kind}
    for one in found:
        if one.kind:
            assert (one.stay, one.text) not in true
            assert one.text != one.true
            assert all(part.casefold() in one.text.casefold() for part in one.wrong.split(" … ")), one
            assert one.wrong
            assert one.label != "supported"
        else:
            assert one.label == "supported"
            assert not one.wrong


def test_what_was_invented_is_not_in_the_record(records: Records, found: list[Sentence]) -> None:
    names = {name.casefold(): item for items in (DRUGS, DIAGNOSES, ALLERGIES) for item in items for name in item[:1]}
    kinds = {"drug swapped", "drug invented", "diagnosis invented", "allergy invented"}
    for one in found:
        if one.kind in kinds and one.wrong.casefold() in names:
            said = text_of(records[one.stay])
            assert not any(name.casefold() in said for name in names[one.wrong.casefold()]), one


def test_a_wrong_number_is_no_value_of_its_test(records: Records, found: list[Sentence]) -> None:
    for one in found:
        if one.kind == "number" and one.type in ("first", "last", "peak", "vital first", "vital last"):
            number = re.match(r"[\d.]+", one.wrong)
            assert number
            assert one.true
            assert not re.search(rf"(?<![\d.]){re.escape(number.group())}(?![\d.])", one.true)


def test_a_check_that_marks_nothing_finds_nothing(records: Records, found: list[Sentence]) -> None:
    some = found[::40]
    outcomes = judged(some, records, lambda _: lambda _: Result("supported"))
    assert not any(item.marked or item.reason for item in outcomes)
    assert "0.0%" in table(outcomes)


def test_a_check_that_marks_all_finds_only_whole_sentences(records: Records, found: list[Sentence]) -> None:
    outcomes = judged(found[::40], records, lambda _: lambda _: Result("not-in-record"))
    assert all(item.marked for item in outcomes)
    assert not any(item.reason for item in outcomes if item.sentence.true or not item.sentence.kind)


def test_the_check_can_be_tried(records: Records, found: list[Sentence]) -> None:
    some = [one for one in found if one.kind == "dose"][:30]
    doses = [row for row in rows(judged(some, records, checker)) if row.name == "dose" and row.split == "dev"]
    assert doses
    assert doses[0].reason >= 0.9
