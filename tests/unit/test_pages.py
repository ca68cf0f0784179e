"""A browser is answered with pages, whatever goes wrong behind them."""

import httpx
import lxml.html
import pytest
from fastapi import APIRouter, FastAPI, Form

from services.approval.web.render import PageRoute, templates
from shared.contracts.draft import CitedKnowledge, CitedPassage, Evidence, Fact, FactGroup, Sentence
from shared.contracts.errors import PermanentError, RateLimitedError, TransientError
from shared.runtime import problems
from shared.runtime.problems import ProblemError
from shared.web.render import SECURITY_HEADERS

FAILURES = {
    "away": (TransientError("read Patient: HTTP 500"), 503),
    "busy": (RateLimitedError("read Patient: HTTP 429", 30), 503),
    "refused": (PermanentError("read Patient: HTTP 400"), 502),
    "gone": (ProblemError(404, "There is no such review"), 404),
    "nobody": (ProblemError(401, "Sign in"), 401),
}


def http() -> httpx.AsyncClient:
    pages = APIRouter(route_class=PageRoute)

    @pages.get("/fail/{kind}")
    @pages.post("/fail/{kind}")
    async def fail(kind: str) -> None:
        raise FAILURES[kind][0]

    @pages.post("/count")
    async def count(number: int = Form()) -> int:
        return number

    app = FastAPI()
    problems.install_error_handlers(app)
    app.include_router(pages)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x")


@pytest.mark.parametrize("kind", sorted(FAILURES))
async def test_what_goes_wrong_is_a_page(kind: str) -> None:
    async with http() as browser:
        answer = await browser.post(f"/fail/{kind}")
    assert answer.status_code == FAILURES[kind][1]
    assert answer.headers["content-type"].startswith("text/html")
    assert all(answer.headers[name] == value for name, value in SECURITY_HEADERS.items())
    assert "Back to the start" in answer.text


async def test_a_page_that_may_come_back_says_when() -> None:
    async with http() as browser:
        assert (await browser.get("/fail/busy")).headers["retry-after"] == "30"


async def test_a_form_with_something_odd_in_it_is_a_page_that_names_the_field() -> None:
    async with http() as browser:
        answer = await browser.post("/count", data={"number": "<b>many</b>"})
    assert answer.status_code == 422
    assert "number" in answer.text
    assert "many" not in answer.text


async def test_who_is_not_signed_in_is_sent_to_the_sign_in_and_back() -> None:
    async with http() as browser:
        answer = await browser.get("/fail/nobody", params={"q": "a b"})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in?after=/fail/nobody%3Fq%3Da%2Bb"


def table(*facts: Fact) -> lxml.html.HtmlElement:
    """The part of a page that shows the facts as a table of two columns."""
    group = FactGroup(title="Medicines & more", columns=("Medicine", "Dose"), facts=facts)
    return lxml.html.fragment_fromstring(
        str(templates.environment.get_template("table.html").module.table(group, "medicines")), create_parent=True
    )


def test_a_group_with_columns_is_a_table_under_its_heading() -> None:
    found = table(Fact(text="Oxycodone/Acetaminophen, 5 mg", source="", cells=("Oxycodone/Acetaminophen", "<5 mg")))
    assert found.findtext("h3") == "Medicines & more"
    assert found.find(".//table").get("aria-labelledby") == found.find("h3").get("id")
    assert [(cell.get("scope"), cell.text_content()) for cell in found.iter("th")] == [
        ("col", "Medicine"),
        ("col", "Dose"),
        ("row", "Oxycodone/Acetaminophen"),
    ]
    assert [(cell.get("data-column"), cell.text_content()) for cell in found.iter("td")] == [("Dose", "<5 mg")]


@pytest.mark.parametrize("cells", [(), ("Aspirin",), ("Aspirin", "100 mg", "daily")])
def test_a_fact_whose_cells_do_not_fit_the_columns_is_a_row_of_its_text(cells: tuple[str, ...]) -> None:
    (cell,) = table(Fact(text="Aspirin, 100 mg daily", source="", cells=cells)).iter("td")
    assert (cell.get("colspan"), cell.text_content()) == ("2", "Aspirin, 100 mg daily")


CITED = "Progress note, Dr. Lee, 2026-06-02"
NOTE = Evidence(source="DocumentReference/n", text="Extubated.", kind="note", said_by=CITED)
ENTRY = Evidence(source="Condition/c", text="Respiratory failure")


@pytest.mark.parametrize(
    ("evidence", "by_note", "words"),
    [
        ((NOTE,), True, "supported by a note"),
        ((NOTE, ENTRY), True, "supported by the record and, in part, only by a note"),
        ((NOTE, ENTRY), False, "supported by the record"),
        ((ENTRY,), False, "supported by the record"),
    ],
)
def test_a_sentence_says_in_words_what_supports_it(evidence: tuple[Evidence, ...], by_note: bool, words: str) -> None:
    sentence = Sentence(
        narrative="hospital-course",
        text="Extubated.",
        evidence=evidence,
        label="supported",
        origin="note",
        by_note=by_note,
    )
    page = str(templates.environment.get_template("sentence.html").module.said(sentence, sentence.support))
    shown = lxml.html.fragment_fromstring(page, create_parent=True)
    assert shown.findtext(".//span[@class='flag']/span") == "✓"
    assert shown.find(".//span[@class='flag']").text_content() == f"✓ {words}"
    assert shown.findtext(".//summary/small") == "quoted from a note"
    items = [item.text_content() for item in shown.iter("li")]
    assert [item.startswith(f"Note, {CITED}:") for item in items] == [item.kind == "note" for item in evidence]


def advice(**changes: object) -> str:
    passage = CitedPassage(
        id="c",
        source="guidelines",
        document="hf.md",
        title="Heart failure",
        text="Weigh every morning.",
        url="https://example.org/hf",
        about=("Heart failure", "Oedema"),
        similarity=0.7,
    )
    known = CitedKnowledge(version=3, passages=(passage,), threshold=0.48, calibrated=True).model_copy(update=changes)
    page = templates.environment.get_template("general_advice.html").render(draft={"knowledge": known})
    return " ".join(lxml.html.fromstring(f"<div>{page}</div>").text_content().split())


def test_passages_are_general_advice_about_a_problem_with_their_source_and_link() -> None:
    said = advice(uncovered=("Gout", "Pulmonary embolism"), not_asked=("Myopia",))
    assert "Heart failure, Oedema: Heart failure General advice from guidelines/hf.md" in said
    assert "not about this patient: no fact of the record, and no part of the document" in said
    assert "https://example.org/hf" in said
    assert "No passage of the knowledge base is about: Gout; Pulmonary embolism." in said
    assert "Not asked about: Myopia." in said
    assert "similarity to the problem is 0.48 or more." in said


def test_a_default_threshold_and_a_stay_without_a_problem_are_said() -> None:
    assert "0.48 or more, a cautious default" in advice(calibrated=False)
    assert "names no confirmed problem of this stay" in advice(passages=())
    assert "names no confirmed problem" not in advice(passages=(), uncovered=("Gout",))


def test_a_link_that_is_no_web_address_is_only_text() -> None:
    passage = CitedPassage(id="c", source="s", document="d", title="t", text="x", url="javascript:alert(1)")
    page = templates.environment.get_template("general_advice.html").render(
        draft={"knowledge": CitedKnowledge(version=1, passages=(passage,))}
    )
    assert "href" not in page
    assert "javascript:alert(1)" in page
