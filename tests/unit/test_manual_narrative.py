"""A narrative by the physician: the facts stay, what is to be written is open, the document says who wrote it."""

import pytest

from services.approval import domain
from services.approval.filing import signed_resources
from services.approval.review import signing_rules
from services.approval.review.added_text import Statement
from services.approval.review.errors import DecisionRefusedError
from services.approval.review.manual_narrative import to_write
from services.approval.review.signing_rules import ResolvedItems
from services.drafter.compose import compose
from services.drafter.facts import render
from shared.contracts import authorship
from shared.contracts.case import fold
from shared.contracts.draft import TO_BE_WRITTEN, Draft, Sentence
from shared.contracts.events import Approved
from tests.support.examples import CASE, DIGEST, PHYSICIAN, PROMPT, T0
from tests.unit.test_added_text import CONTEXT
from tests.unit.test_approval import REVIEW, history

COURSE = "Admitted with pneumonia."
MORE = "The lungs were clear at discharge."
PLAIN = "Take Amlodipine once a day."
OWN = "She was treated as an inpatient and recovered."


def drafted(*sentences: Sentence) -> Draft:
    return compose(CONTEXT, render(CONTEXT), sentences, number=1, model="m", prompt=PROMPT, context_digest="c" * 64)


def sentence(text: str, of: str = "hospital-course", origin: str = "rules") -> Sentence:
    return Sentence(narrative=of, text=text, origin=origin, label="supported")  # type: ignore[arg-type]


DRAFT = drafted(
    sentence(COURSE), sentence(MORE, origin="model"), sentence(PLAIN, of="patient-instructions", origin="model")
)
STATEMENT = Statement(OWN, "not-in-record")
SETTLED = ResolvedItems(written=frozenset({STATEMENT.digest}))


def filled(draft: Draft = DRAFT, words: str = OWN) -> str:
    lines = to_write(draft).splitlines(keepends=True)
    return "".join(f"  {words}\n" if TO_BE_WRITTEN in line else line for line in lines)


def sign(text: str, written: tuple[Statement, ...] = (STATEMENT,), draft: Draft = DRAFT) -> Approved:
    case = fold(history(*REVIEW))
    return domain.approve(case, DIGEST, PHYSICIAN, draft=draft, text=text, resolved=SETTLED, written=written)


def test_the_facts_are_all_there_and_no_sentence_of_the_draft_is() -> None:
    text = to_write(DRAFT)
    assert DRAFT.sentences_in(text) == ()
    facts = [fact.text for part in DRAFT.parts for group in part.groups for fact in group.facts]
    assert all(f"  - {fact}\n" in text for fact in facts)
    assert [line for line in text.splitlines() if TO_BE_WRITTEN in line] == [
        "  [To be written by the physician: hospital course]",
        "  [To be written by the physician: in plain words]",
    ]
    assert signing_rules.incomplete(DRAFT, text)[0].detail == "A part that you are to write is still open."
    assert signing_rules.incomplete(DRAFT, filled()) == []


def test_a_draft_without_a_narrative_has_a_place_for_a_hospital_course() -> None:
    text = to_write(drafted())
    part = text.index("PROCEDURES AND TREATMENT")
    assert part < text.index("Hospital course:\n  [To be written") < text.index("CONDITION AT DISCHARGE")


def test_sentences_that_share_a_line_go_and_facts_that_read_like_one_stay() -> None:
    draft = drafted(sentence(COURSE), sentence("Pneumonia"))
    one_line = draft.model_copy(
        update={"text": draft.text.replace(f"  {COURSE}\n  Pneumonia\n", f"  {COURSE} Pneumonia\n")}
    )
    assert one_line.text != draft.text
    assert "  - Pneumonia\n" in to_write(one_line)
    assert COURSE not in to_write(one_line)


def test_what_is_signed_says_that_a_physician_wrote_it_and_so_does_the_trail() -> None:
    made = sign(filled())
    assert filled().splitlines()[-1] == authorship.authorship_line("physician")
    assert (made.narrative, made.edited, made.edits and made.edits.changed) == ("physician", True, (0, 1, 2))
    assert made.edits is not None
    assert made.edits.distance > len(OWN)


@pytest.mark.parametrize("by", ["model", "rules", "none"])
def test_no_line_gives_a_narrative_to_somebody_else(by: authorship.NarrativeAuthor) -> None:
    text = filled().replace(authorship.authorship_line("physician"), authorship.authorship_line(by))
    with pytest.raises(DecisionRefusedError) as refused:
        sign(text)
    assert refused.value.code == "misleading"
    assert authorship.authorship_line("physician") in refused.value.detail
    assert OWN not in str(refused.value.obstacles)
    assert authorship.with_correct_lines(DRAFT, text, own=True) == filled()


def test_a_sentence_of_a_model_is_not_passed_off_as_a_physicians() -> None:
    text = filled().replace(OWN, f"{OWN} {MORE}", 1)
    for wrong in ("physician", "rules", "none"):
        with pytest.raises(DecisionRefusedError, match="sentences of an AI model"):
            sign(text.replace(authorship.authorship_line("physician"), authorship.authorship_line(wrong)))  # type: ignore[arg-type]
    right = authorship.with_correct_lines(DRAFT, text, own=True)
    assert right.splitlines()[-1] == authorship.authorship_line("model", changed=True)
    assert sign(right).narrative == "model"


def test_an_unchanged_draft_and_an_edit_keep_the_drafts_own_line() -> None:
    assert sign(DRAFT.text, ()).narrative == "model"
    edited = DRAFT.text.replace(COURSE, OWN)
    assert sign(edited).narrative == "model", "the API asks no more of who changes a sentence"
    assert authorship.with_correct_lines(DRAFT, edited, own=True).splitlines()[-1] == authorship.authorship_line(
        "model", changed=True
    )
    assert authorship.with_correct_lines(DRAFT, DRAFT.text, own=False) == DRAFT.text


def test_the_chart_names_the_ai_as_an_author_only_of_what_it_drafted() -> None:
    for made, authors, labels in (
        (sign(DRAFT.text, ()), ["Device/dev-1", "Practitioner/dr-1"], ["AIAST", "CLINAST"]),
        (sign(filled()), ["Practitioner/dr-1"], ["CLINAST"]),
    ):
        document = signed_resources.document(CASE, made, [], "dev-1", T0)
        assert [item["reference"] for item in document["author"]] == authors
        assert [item["code"] for item in document["meta"]["security"]] == labels
        provenance = signed_resources.provenance(made, "doc-1", "dev-1", "h" * 64, T0, T0)
        agents = [(item["type"]["coding"][0]["code"], item["who"]["reference"]) for item in provenance["agent"]]
        assert agents[0] == ("author", authors[0])
        assert agents[-1] == ("verifier", "Practitioner/dr-1")
        assert ("assembler", "Device/dev-1") in agents or made.narrative == "model"
