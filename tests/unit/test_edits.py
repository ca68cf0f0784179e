"""What a physician changed: figures and open ends."""

import pytest

from services.approval.review import edits
from shared.contracts.draft import Claim, DocumentPart, Draft, OpenPoint, Prompt, Sentence

COURSE = "She came with a stroke."
INVENTED = "She was given Ibuprofen 400 mg."
TEXT = f"DISCHARGE SUMMARY\n\nHospital course:\n  {COURSE} {INVENTED}\n"


@pytest.fixture
def draft() -> Draft:
    sentences = (
        Sentence(narrative="hospital-course", text=COURSE),
        Sentence(narrative="hospital-course", text=INVENTED, unsupported=(Claim(kind="drug", text="Ibuprofen"),)),
    )
    return Draft(
        kind="discharge-summary",
        number=1,
        parts=(DocumentPart(code="procedures-and-treatment", title="Procedures", narrative=sentences),),
        text=TEXT,
        model="m",
        prompt=Prompt(name="p", version=1, digest="0"),
        context_digest="0",
    )


@pytest.mark.parametrize(
    ("text", "confirmed", "waiting"),
    [
        (TEXT, (), (1,)),
        (TEXT, (0,), (1,)),
        (TEXT, (1,), ()),
        (TEXT.replace(INVENTED, ""), (), ()),
        (TEXT.replace("400", "200"), (), ()),
    ],
)
def test_what_still_waits_for_a_word(draft: Draft, text: str, confirmed: tuple[int, ...], waiting: tuple[int]) -> None:
    assert edits.unresolved(draft, text, confirmed) == waiting


def test_figures_tell_how_far_and_which_and_no_text(draft: Draft) -> None:
    as_it_was = edits.edit_metrics(draft, TEXT)
    assert (as_it_was.distance, as_it_was.changed, as_it_was.confirmed) == (0, (), (1,))
    changed = edits.edit_metrics(draft, TEXT.replace(f" {INVENTED}", ""))
    assert (changed.distance, changed.changed, changed.confirmed) == (len(INVENTED) + 1, (1,), ())
    assert "Ibuprofen" not in changed.model_dump_json()


def test_open_points_wait_until_somebody_says_to_have_seen_them(draft: Draft) -> None:
    opened = draft.model_copy(update={"open_points": (OpenPoint(text="one"), OpenPoint(text="two"))})
    assert edits.unacknowledged(opened, ()) == (0, 1)
    assert edits.unacknowledged(opened, (1, 7)) == (0,)
    assert edits.unacknowledged(draft, ()) == ()
