"""The prose rules refuse the sentences that readers complained about, and the documentation keeps them."""

import pytest

from docs._prose.__main__ import ROOT, check, check_code, files, modules, read_rules

RULES = read_rules()
COMPLAINED_ABOUT = [
    "Who speaks plain, or shakes hands only after the server's first line, gets no byte.",
    "Nothing said: everything stays where it is.",
    "Anything said: it is the whole of it, for every stream.",
    "Somebody of another department knocks at eight doors.",
    "200 s after something was hurt",
    "Look after the letter that nobody writes here.",
    "A letter that nobody will put back.",
    "Told nobody: the alert names the message.",
    "Those go back to where they stood before it, and do again what they did meanwhile.",
    "What no retry mended is kept whole.",
    "Cases through every door while everything is killed.",
    "The dollars say which part is large.",
    "The account's room: the servers refuse what would go beyond it.",
    "2 sentences want a word from you.",
    "A signature wants to know that it is you, now.",
    "Every look at a draft is in the stream.",
    "Each sentence is held against the record.",
    "Who tells of a discharge in these seconds may get a 503 and says it again.",
    "A machine that is out of reach of who rules over NATS.",
    "The trail cannot be purged.",
    "written by nobody",
]


def complaints(text: str, path: str = "docs/page.md") -> list[str]:
    return [complaint for _, complaint in check(text, RULES, path)]


@pytest.mark.parametrize("sentence", COMPLAINED_ABOUT)
def test_a_sentence_that_readers_complained_about_is_refused(sentence: str) -> None:
    assert complaints(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "Services communicate by events on NATS JetStream.",
        "Resolve the dead letter, then verify the audit trail.",
        "You want to connect an EHR.",
        "The emergency room uses another department.",
        "Run `countersign cases mend door trail`.",
        "See [the page](door/trail.md).",
        'The message says *"This opens no door."* to operators.',
    ],
)
def test_plain_english_code_and_quotations_pass(sentence: str) -> None:
    assert complaints(sentence) == []


def test_code_blocks_are_not_prose_and_lines_keep_their_numbers() -> None:
    text = "Fine.\n\n```\nmend the door\n```\n\nMend it.\n"
    assert [number for number, _ in check(text, RULES)] == [7]


def test_a_sentence_that_is_too_long_is_refused_also_over_several_lines() -> None:
    words = " ".join(["word"] * (RULES.longest_sentence + 1))
    assert "a sentence of" in complaints(words.replace(" ", "\n") + ".")[0]
    assert complaints(words[: len(words) // 2] + ". " + words[len(words) // 2 :] + ".") == []


def test_decision_records_may_keep_the_word_for_the_event_stream_and_no_other() -> None:
    assert complaints("It is on the trail.", "docs/adr/0001.md") == []
    assert complaints("It is mended.", "docs/adr/0001.md")


def test_the_documentation_keeps_the_rules() -> None:
    pages = list(files(RULES))
    assert {"README.md", "CHANGELOG.md", "index.md"} <= {page.name for page in pages}
    found = [
        f"{page.relative_to(ROOT)}:{number}: {complaint}"
        for page in pages
        for number, complaint in check(page.read_text(), RULES, str(page.relative_to(ROOT)))
    ]
    assert found == []


def test_docstrings_and_comments_are_checked() -> None:
    source = '"""Mend it."""\nDOOR = "door"\n\ndef door() -> None:\n    """Open the door."""\n    # nobody is told\n'
    assert [number for number, _ in check_code(source, RULES)] == [1, 4, 6]


def test_every_module_of_the_packages_is_checked() -> None:
    assert {"services", "shared", "cli", "sandbox_ehr", "tools"} == {
        path.relative_to(ROOT).parts[0] for path in modules()
    }
