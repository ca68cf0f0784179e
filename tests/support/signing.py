"""Physicians on every channel of a case, as a state machine.

They read, edit, tick, reload, ask for another draft, sign by the page, the API and the EHR's Task, and correct what is
filed, in any order. `check_signature` states what must hold.
"""

import asyncio
import base64
import hashlib
from typing import Any

import lxml.html
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from rapidfuzz.distance import Levenshtein

from services.drafter.compose import compose
from services.drafter.facts import render
from shared.contracts.case import Case
from shared.contracts.context import Allergy, ContextEntry, EncounterContext, Medicine, Patient
from shared.contracts.draft import Draft, Label, Sentence
from shared.contracts.envelope import RecordedEvent
from shared.contracts.events import Drafted
from tests.support.approving import Approving
from tests.support.clinician import answer
from tests.support.examples import CASE, PROMPT, T0

LABELS: dict[str, Label] = {  # of sentences as the check finds them in the record below
    "Admitted with pneumonia.": "supported",
    "She takes amlodipine 5 mg once daily.": "supported",
    "She takes amlodipine 10 mg once daily.": "contradicted",
    "She has no allergy to penicillin.": "contradicted",
    "She was given warfarin 5 mg.": "not-in-record",
    "She walked home without any help.": "not-in-record",
}
POOL = tuple(LABELS)
AMLODIPINE = Medicine(
    text="Amlodipine, 5 mg, oral, once daily",
    source="MedicationRequest/m1",
    name="Amlodipine",
    dose="5 mg, oral, once daily",
    amount="5 mg",
    route="oral",
    frequency="once daily",
    ingredients=("amlodipine",),
)


def record(name: str, mrn: str) -> EncounterContext:
    return EncounterContext(
        encounter="Encounter/e1",
        encounter_status="finished",
        kind="discharge-summary",
        patient=Patient(source="Patient/p1", name=name, mrn=mrn, sex="female"),
        end=T0,
        reasons=(ContextEntry(text="Pneumonia", source="Encounter/e1"),),
        allergies=(Allergy(text="Penicillin", source="AllergyIntolerance/a1", names=("Penicillin",)),),
        discharge_medicines=(AMLODIPINE,),
    )


def text_of(context: EncounterContext) -> str:
    rendered = render(context)
    return compose(context, rendered, (), number=1, model="m", prompt=PROMPT, context_digest="c" * 64).text


CONTEXT = record("Jane Roe", "17")
PATIENT = next(line for line in text_of(CONTEXT).splitlines() if line.startswith("Patient:"))
FOREIGN = text_of(record("John Doe", "18"))
PAGE, API = f"/reviews/{CASE.id}", f"/v1/reviews/{CASE.id}"
SENTENCES = st.sampled_from(POOL)
WHICH = st.integers(0, 5)
DRAFTS = st.one_of(
    st.lists(SENTENCES, min_size=1, max_size=4, unique=True),
    st.lists(st.sampled_from([text for text in POOL if LABELS[text] == "supported"]), min_size=1, unique=True),
)
NUMBERS = [str(number) for number in range(6)]  # more than a draft has sentences or points
# What a request states about a text: everything, or everything except one thing.
_LESS = [(), (), (), *[("confirmed",)] * 4, *[("written",)] * 3, *[("acknowledged",)] * 2]
SAID = st.sampled_from([*_LESS, ("confirmed", "written"), *((text,) for text in POOL)]).map(frozenset)
SPOILED = st.sampled_from([""] * 21 + ["nothing", "space", "foreign", "cut", "other patient", "no patient", "half"])
PLACES = ("Hospital course:", "Procedures:", "In plain words:", "PROCEDURES AND TREATMENT", PATIENT)
NOTHING: dict[str, set[str]] = {"confirmed": set(), "acknowledged": set(), "written": set()}


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def plain(text: str) -> str:
    return " ".join(text.split())


def all_except(lacks: frozenset[str]) -> dict[str, set[str]]:
    """Return every possible resolution of a text, without what `lacks` names: a kind, or one sentence."""
    own = {sha(text) for text in POOL if text not in lacks}
    stated = {"confirmed": set(NUMBERS), "acknowledged": set(NUMBERS), "written": own}
    return {name: set() if name in lacks else found for name, found in stated.items()}


def corrupt(text: str, how: str) -> str:
    """Return a text that must not be signed: empty, another patient's, or a part of it."""
    corrupted = {
        "nothing": "",
        "space": " \n",
        "foreign": FOREIGN,
        "cut": text.replace("SIGNIFICANT FINDINGS\n", ""),
        "other patient": text.replace("Jane Roe", "John Doe"),
        "no patient": text.replace(f"{PATIENT}\n", ""),
        "half": text[: len(text) // 2],
    }
    return corrupted.get(how, text)


class Signing(RuleBasedStateMachine):
    """`form` is what a browser has open, perhaps since long; `words` what was said in the request that is under way."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.at = Approving(CONTEXT)
        self.run(self.at.start())
        self.form: dict[str, Any] = {}
        self.judged = 0
        self._read_at, self._case = -1, Case()
        self.signed: dict[str, int] = {}  # by which channel how often

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    # What may happen.

    @initialize(sentences=DRAFTS, points=st.integers(0, 1))
    def discharged(self, sentences: list[str], points: int) -> None:
        self.drafter_writes(sentences, points)
        self.run(self.at.discharge())
        self.form = self.read("review")

    def drafter_writes(self, sentences: list[str], points: int) -> None:
        self.at.next_draft = [
            Sentence(
                narrative="patient-instructions" if number == 3 else "hospital-course",
                text=text,
                label=LABELS[text],
                origin="model" if number % 2 else "rules",
            )
            for number, text in enumerate(sentences)
        ]
        self.at.points = [f"Point {number}" for number in range(points)]

    def read(self, mode: str) -> dict[str, Any]:
        """The form of the page as a browser has it after loading: kept text, kept ticks, what is asked."""
        found = self.run(self.at.call("GET", PAGE if mode == "review" else f"{PAGE}/write"))
        if found.status_code != 200:
            return self.form
        page = lxml.html.fromstring(found.text)
        if not page.xpath('//form[@id="sign"]'):
            return self.form
        form: dict[str, Any] = {"mode": mode, "digest": page.xpath('//input[@name="digest"]/@value')[0]}
        form["text"] = page.xpath('//textarea[@id="text"]')[0].text_content()
        for name in NOTHING:
            form[name] = set(page.xpath(f'//input[@name="{name}"][@checked]/@value'))
        return form

    @property
    def fields(self) -> dict[str, Any]:
        sent = {name: self.form[name] for name in ("mode", "digest", "text")}
        return sent | {name: sorted(self.form[name]) for name in NOTHING}

    @rule(mode=st.sampled_from(["review", "review", "write"]))
    def reload(self, mode: str) -> None:
        self.form = self.read(mode)

    @precondition(lambda self: self.open)
    @rule(sentence=SENTENCES, place=st.sampled_from(PLACES), breaks=st.booleans())
    def write(self, sentence: str, place: str, breaks: bool) -> None:
        """Write below a heading, in one line or over two."""
        words = sentence.replace(" ", "\n  ", 1) if breaks else sentence
        self.change(f"{place}\n", f"{place}\n  {words}\n")

    @precondition(lambda self: self.open)
    @rule(which=WHICH, other=SENTENCES)
    def write_over(self, which: int, other: str) -> None:
        self.change(self.present(which), other)

    @precondition(lambda self: self.open)
    @rule(which=WHICH, other=SENTENCES)
    def write_behind(self, which: int, other: str) -> None:
        self.change(self.present(which), f"{self.present(which)} {other}")

    @precondition(lambda self: self.open)
    @rule(which=WHICH)
    def remove_sentence(self, which: int) -> None:
        self.change(self.present(which), "")

    @precondition(lambda self: self.open)
    @rule(which=WHICH, space=st.sampled_from(["  ", "\n  ", "\u00a0", "\r\n"]), at=st.integers(1, 4))
    def change_spacing(self, which: int, space: str, at: int) -> None:
        """Space or wrap the same words in another way."""
        words = self.present(which).split(" ")
        self.change(self.present(which), " ".join(words[:at]) + space + " ".join(words[at:]))

    @precondition(lambda self: self.open)
    @rule(which=WHICH, at=st.integers(1, 4), lacks=SAID)
    def change_spacing_and_sign(self, which: int, at: int, lacks: frozenset[str]) -> None:
        self.change_spacing(which, "  ", at)
        self.sign_by_api(as_it_is=False, lacks=lacks, corrupted="")

    @precondition(lambda self: self.open)
    @rule(lacks=st.sampled_from(["confirmed", "acknowledged", "written"]), by_page=st.booleans())
    def sign_the_draft_without(self, lacks: str, by_page: bool) -> None:
        """Sign the current draft with one kind of resolution missing."""
        self.form = self.read("review") | all_except(frozenset({lacks}))
        if by_page:
            self.sign_the_page_as_it_stands()
        else:
            self.sign_by_api(as_it_is=True, lacks=frozenset({lacks}), corrupted="")

    @precondition(lambda self: self.open)
    @rule(sentences=DRAFTS, as_it_is=st.booleans())
    def sign_an_earlier_draft(self, sentences: list[str], as_it_is: bool) -> None:
        self.form = self.read("review")
        self.ask_for_another_draft(sentences, 0)
        self.sign_by_api(as_it_is=as_it_is, lacks=frozenset(), corrupted="")

    def present(self, which: int) -> str:
        """Return a sentence of the text."""
        found = [text for text in POOL if text in self.form["text"]] or [" "]
        return found[which % len(found)]

    def change(self, words: str, others: str) -> None:
        """Save what is typed, as the page does."""
        if words.strip():
            self.form["text"] = self.form["text"].replace(words, others)
            self.save()

    @precondition(lambda self: self.open)
    @rule(sentence=SENTENCES)
    def fill_in(self, sentence: str) -> None:
        """Fill in the placeholders of a narrative that is written by hand."""
        lines = self.form["text"].split("\n")
        self.form["text"] = "\n".join(f"  {sentence}" if "[To be written" in line else line for line in lines)

    @precondition(lambda self: self.open)
    @rule(lacks=SAID)
    def tick(self, lacks: frozenset[str]) -> None:
        self.form |= all_except(lacks)

    @precondition(lambda self: self.open)
    @rule()
    def save(self) -> None:
        self.run(self.at.call("POST", f"{PAGE}/working", data=self.fields))

    @rule()
    def sign_the_page_as_it_stands(self) -> None:
        self.request("page", "POST", f"{PAGE}/approve", data=self.fields)

    @precondition(lambda self: self.open)
    @rule(mode=st.sampled_from(["review", "write"]), sentence=SENTENCES, lacks=SAID, corrupted=SPOILED)
    def sign_by_page(self, mode: str, sentence: str, lacks: frozenset[str], corrupted: str) -> None:
        """What was kept is read again, filled in, ticked, and signed; twice, as at first a line may be put right."""
        for _ in range(2):
            self.form = self.read(mode)
            self.fill_in(sentence)
            before = self.form
            self.form = before | all_except(lacks) | {"text": corrupt(before["text"], corrupted)}
            self.sign_the_page_as_it_stands()
            if corrupted:  # a copy of it was kept
                self.form = before
                self.save()

    @precondition(lambda self: self.open)
    @rule(as_it_is=st.booleans(), lacks=SAID, corrupted=SPOILED)
    def sign_by_api(self, as_it_is: bool, lacks: frozenset[str], corrupted: str) -> None:
        """Sign the draft of the form, which may have changed since."""
        stated = all_except(lacks)
        body: dict[str, Any] = {
            "resolutions": [{"sentence": int(number), "how": "confirmed"} for number in sorted(stated["confirmed"])],
            "acknowledged": sorted(int(number) for number in stated["acknowledged"]),
            "written": sorted(stated["written"]),
        }
        body |= {} if as_it_is else {"text": corrupt(self.form["text"], corrupted)}
        headers = {"If-Match": f'"{self.form["digest"]}"'}
        self.request("api", "POST", f"{API}/approve", stated, headers=headers, json=body)

    @precondition(lambda self: self.open)
    @rule(everything=st.booleans())
    def sign_by_task(self, everything: bool) -> None:
        """In the EHR's inbox nothing can be confirmed. `everything`: the draft is opened first."""
        if everything:
            self.read("review")
        tasks = self.at.ehr.store.candidates("Task", None, None)
        for task in [item for item in tasks if item["status"] in ("requested", "in-progress")]:
            self.run(answer(self.at.ehr, task["id"], "completed"))
            self.watch("task", NOTHING, self.at.notify_task_change(task["id"]))

    @precondition(lambda self: self.open)
    @rule(sentences=DRAFTS, points=st.integers(0, 1))
    def ask_for_another_draft(self, sentences: list[str], points: int) -> None:
        self.drafter_writes(sentences, points)
        sent = {"action": "redraft", "reason": "Another one."}
        self.run(self.at.call("POST", f"{API}/reject", json=sent))

    @precondition(lambda self: self.state == "filed")
    @rule(sentence=SENTENCES, which=WHICH, takes_out=st.booleans(), lacks=SAID, corrupted=SPOILED)
    def correct(self, sentence: str, which: int, takes_out: bool, lacks: frozenset[str], corrupted: str) -> None:
        self.correct_text(sentence, which, takes_out, lacks, corrupted)

    @property
    def standing(self) -> dict[str, Any]:
        """Return the current document."""
        return dict(self.run(self.at.call("GET", f"/v1/cases/{CASE.id}/document")).json())

    def correct_text(self, sentence: str, which: int, takes_out: bool, lacks: frozenset[str], corrupted: str) -> None:
        standing = self.standing
        text, place = standing["text"], "Procedures:\n"
        found = [item for item in POOL if item in text] or [place]
        changed = (found[which % len(found)], "") if takes_out else (place, f"{place}  {sentence}\n")
        text = text.replace(*changed)
        stated = all_except(lacks)
        fields = {"seen": standing["digest"], "text": corrupt(text, corrupted), "reason": "wrong"}
        sent = {name: sorted(stated[name]) for name in ("confirmed", "written")}
        self.request("correction", "POST", f"{PAGE}/amendments", stated, data=fields | sent)

    @precondition(lambda self: self.state == "filed")
    @rule(sentence=SENTENCES, lacks=SAID)
    def append(self, sentence: str, lacks: frozenset[str]) -> None:
        standing, stated = self.standing, all_except(lacks)
        resolutions = [{"sentence": int(number), "how": "confirmed"} for number in sorted(stated["confirmed"])]
        body = {"text": sentence, "reason": "later", "written": sorted(stated["written"]), "resolutions": resolutions}
        headers = {"If-Match": f'"{standing["digest"]}"'}
        self.request("addendum", "POST", f"/v1/cases/{CASE.id}/addenda", stated, headers=headers, json=body)

    @property
    def state(self) -> str:
        return self.case.state

    @property
    def case(self) -> Case:
        """Return the case; read again only if something was stored since."""
        if self._read_at != len(self.at.bus.kept):
            self._read_at, self._case = len(self.at.bus.kept), self.run(self.at.case())
        return self._case

    @property
    def open(self) -> bool:
        return self.state == "awaiting-review"

    # What must hold.

    def request(
        self, channel: str, method: str, path: str, stated: dict[str, set[str]] | None = None, **sent: Any
    ) -> None:
        stated = stated or {name: set(self.form[name]) for name in NOTHING}
        self.watch(channel, stated | {"digest": {self.form["digest"]}}, self.at.call(method, path, **sent))

    def watch(self, channel: str, stated: dict[str, set[str]], work: Any) -> None:
        """Check whatever is signed by `work` against what this request stated."""
        self.run(work)
        history = self.run(self.at.history())
        for number in range(self.judged, len(history)):
            if history[number].name in ("approved", "amended", "addended"):
                self.signed[channel] = self.signed.get(channel, 0) + 1
                self.check_signature(history[: number + 1], stated, channel)
        self.judged = len(history)

    def check_signature(self, history: list[RecordedEvent], stated: dict[str, set[str]], channel: str) -> None:
        event = history[-1]
        body: Any = event.body
        draft = self.run(self.at.draft(body.draft.digest))
        text = self.run(self.at.review.cases.signed_text(CASE.id, body))
        assert sha(text) == body.signed
        assert event.actor
        if event.name == "approved":
            current = [item.body.draft.digest for item in history if isinstance(item.body, Drafted)][-1]
            assert body.draft.digest == current, "a draft that nobody sees any more was signed"
            assert stated.get("digest", {current}) == {current}
            points = {str(number) for number in range(len(draft.open_points))}
            assert points <= stated["acknowledged"], "an open point was passed over"
        self.whole(event.name, text, draft)
        before = _standing(history[:-1], draft)
        for sentence in POOL:
            if LABELS[sentence] == "supported" or plain(sentence) not in plain(text):
                continue
            index = next((n for n, item in enumerate(draft.sentences) if item.text == sentence), None)
            now = str(index) in stated["confirmed"] or sha(sentence) in stated["written"]
            carried = event.name != "approved" and sha(sentence) in before
            assert now or carried, f"{channel}: signed with nobody's word: {sentence}"
            assert sha(sentence) in _confirmed(body, draft), "and it is on the trail"
        if getattr(body, "edits", None) is not None:
            assert body.edits.distance == Levenshtein.distance(draft.text, text)
            kept = {n for n, item in enumerate(draft.sentences) if plain(item.text) in plain(text)}
            assert set(body.edits.changed) == set(range(len(draft.sentences))) - kept
            if body.narrative == "physician":
                assert not kept

    def whole(self, name: str, text: str, draft: Draft) -> None:
        """Of this patient, and no other; a document has all of its parts."""
        patients = [plain(line) for line in text.splitlines() if plain(line).startswith("Patient:")]
        assert set(patients) == {PATIENT}
        assert "[To be written" not in text
        if name != "addended":
            assert all(part.title.upper() in text for part in draft.parts)
            wrong = draft.sentences_in(text) == () and "composed" in text.splitlines()[-1]
            assert not wrong, "a physician's narrative is labelled as a model's"

    @invariant()
    def what_is_filed_is_what_was_signed(self) -> None:
        for entry in self.case.entries:
            if entry.filed is None:
                continue
            found = self.at.ehr.store.get("DocumentReference", entry.filed.document_reference)
            assert found is not None
            data = base64.b64decode(found["content"][0]["attachment"]["data"])
            body: Any = entry.signature.body
            assert hashlib.sha256(data).hexdigest() == body.signed

    def teardown(self) -> None:
        self.run(self.at.http.aclose())
        self.loop.close()


class AfterFiling(Signing):
    """The same from a document on that stands in the chart, with whatever was confirmed for it."""

    @initialize(sentences=DRAFTS, points=st.integers(0, 1))
    def discharged(self, sentences: list[str], points: int) -> None:
        Signing.discharged(self, sentences, points)
        self.form |= all_except(frozenset())
        self.sign_the_page_as_it_stands()
        assert self.state == "filed"

    @precondition(lambda self: self.state == "filed")
    @rule(sentence=SENTENCES, lacks=SAID)
    def confirm_remove_and_restore(self, sentence: str, lacks: frozenset[str]) -> None:
        """What was confirmed for one text, and is not in the next, comes back in a third."""
        for takes_out, missing in ((False, frozenset[str]()), (True, frozenset[str]()), (False, lacks)):
            present = [text for text in POOL if text in self.standing["text"]]
            which = present.index(sentence) if sentence in present else 0
            if takes_out == (sentence in present):
                self.correct_text(sentence, which, takes_out, missing, "")


def _confirmed(body: Any, draft: Draft) -> set[str]:
    """Digests of the sentences that a signature says to have been confirmed."""
    of_draft = {sha(draft.sentences[item.sentence].text) for item in body.resolutions if item.how == "confirmed"}
    return of_draft | {item.digest for item in body.written}


def _standing(history: list[RecordedEvent], draft: Draft) -> set[str]:
    """What was confirmed for the texts that stand: the last whole document's and its addenda's."""
    whole, added = set[str](), set[str]()
    for item in history:
        body: Any = item.body
        if item.name in ("approved", "amended"):
            whole = _confirmed(body, draft)
        if item.name == "addended":
            added |= _confirmed(body, draft)
    return whole | added
