"""What people do with one case, through each of the channels. Plans (plans.py) are made of these actions."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

import httpx

from tests.proof import edits
from tests.proof.case_states import CaseStates
from tests.proof.clients import AdtSender, Client, IntegrationEngine, by_page, sha256
from tests.proof.ehr_clerk import EhrClerk
from tests.proof.journal import Journal
from tests.support.physician import approval_body, unconfirmed_sentences

Draft = dict[str, Any]
Change = Callable[[Draft], str]
Report = Literal["discharge", "cancel", "pending", "pending-cancel"]
FACTS: dict[Report, str] = {
    "discharge": "discharged",
    "cancel": "discharge-cancelled",
    "pending": "discharge-pending",
    "pending-cancel": "discharge-pending-cancelled",
}
EVENTS: dict[Report, str] = {"discharge": "A03", "cancel": "A13", "pending": "A16", "pending-cancel": "A25"}  # of ADT
ALREADY_DECIDED = (404, 409)  # somebody else has decided, or the discharge was taken back


class UnexpectedAnswer(Exception):
    """A channel answered what no plan provides for."""


@dataclass
class Encounters:
    """Everybody, and where they look."""

    reporter: Client  # of discharges, at ingest
    engine: IntegrationEngine
    adt: Callable[[], AdtSender | None]  # none before an upgrade to a version that listens for ADT messages
    prepares: Callable[[], bool]  # not before an upgrade to a version that prepares drafts
    rates: Callable[[], bool]  # the same of ratings
    people: dict[str, Client]  # physician, colleague, supervisor, stranger, operator, at approval
    clerk: EhrClerk
    watch: CaseStates
    journal: Journal


@dataclass
class Encounter:
    """One stay of a patient and the case that comes of it."""

    ward: Encounters
    encounter: str
    department: str
    chance: Random
    mark: str  # a word that stands in whatever a physician writes here
    case: str = ""
    finished: dict[str, Any] | None = None  # the Encounter of a stay that goes on, as it is once that has ended

    async def prepare(self, *, once: bool = False) -> bool:
        """The stay goes on in the EHR, and its discharge is near: reported as a discharge is, with `once` by one
        channel. False where nothing is prepared yet.
        """
        if not self.ward.prepares():
            return False
        if self.finished is None:
            self.finished = await self.ward.clerk.admit(self.encounter)
        await self._report("pending", once=once)
        return True

    async def stay_goes_on(self) -> None:
        """Its discharge is not near any more."""
        channels = [self._by_rest, self._by_bus, self._by_adt]
        await self.chance.choice(channels)("pending-cancel", case=self.case)

    async def discharge(self) -> None:
        """Reported by HTTP, on the bus or by an ADT message, now and then by two of them."""
        if self.finished is not None:
            await self.ward.clerk.change(self.finished)
        await self._report("discharge")

    async def _report(self, kind: Report, *, once: bool = False) -> None:
        channels = [self._by_rest, self._by_bus, self._by_adt]
        self.chance.shuffle(channels)
        await channels[0](kind)
        if self.chance.random() < 0.15 and not once:
            await channels[1](kind)
        self.case = await self.ward.watch.opened(self.encounter)

    async def cancel(self) -> None:
        """The discharge is taken back."""
        channels = [self._by_rest, self._by_bus, self._by_adt]
        await self.chance.choice(channels)("cancel", case=self.case)

    async def _by_rest(self, kind: Report, **more: str) -> None:
        report = {"encounter_id": self.encounter, "department": self.department}
        facts = report | {"encounter": self.encounter, "channel": "rest"} | more
        path = f"/v1/encounters/{FACTS[kind]}"
        self._expect(await self.ward.reporter.send(kind, "POST", path, facts, json=report), 202)

    async def _by_bus(self, kind: Report, **more: str) -> None:
        await self.ward.engine.tell(kind, FACTS[kind], self.department, self.encounter, **more)

    async def _by_adt(self, kind: Report, **more: str) -> None:
        if (adt := self.ward.adt()) is None:
            await self._by_bus(kind, **more)
        else:
            await adt.tell(kind, EVENTS[kind], self.department, self.encounter, **more)

    async def reach(self, name: str, times: int = 1) -> None:
        await self.ward.watch.reach(self.case, name, times)

    async def draft(self, who: str) -> Draft:
        """As it is shown; the look is on the trail. `carried` is its text with what `who` typed into a prepared one."""
        answer = await self.ward.people[who].get(f"/v1/reviews/{self.case}")
        self._expect(answer, 200)
        found: Draft = answer.json()["draft"]
        before = answer.json().get("prepared") or {}
        if before:
            beside = [sha256(line) for item in before["unmerged"] for line in edits.lines_of(item["edited"])]
            self.ward.journal.note("beside", case=self.case, who=who, draft=found["digest"], lines=beside)
        return found | {"carried": before.get("edited_text") or found["text"]}

    async def edit(self, who: str) -> None:
        """Work on a prepared draft: change two of its lines, and add one."""
        draft = await self.draft(who)
        text = edits.edited(draft, self.mark, self.chance)
        own = [sha256(line) for line in edits.added_lines(str(draft["text"]), text)]
        facts = {"case": self.case, "draft": draft["digest"], "lines": own}
        form = {"digest": draft["digest"], "text": text.replace("\n", "\r\n")}
        answer = await self.ward.people[who].send(
            "edit", "POST", f"/reviews/{self.case}/look", facts, by_page, data=form
        )
        self._expect(answer, 303)

    async def sign_too_early(self, who: str) -> None:
        """Try to sign what is prepared."""
        draft = await self.draft(who)
        headers = {"If-Match": f'"{draft["digest"]}"'}
        facts = {"case": self.case, "draft": draft["digest"]}
        path = f"/v1/reviews/{self.case}/approve"
        await self.ward.people[who].send("too-early", "POST", path, facts, json=approval_body(draft), headers=headers)

    async def sign(self, who: str, channel: str = "api", change: Change | None = None) -> bool:
        """Countersign what is shown, or what `change` makes of it. False where somebody else was faster."""
        written: list[str] = []
        while True:
            draft = await self.draft(who)
            text = change(draft) if change else str(draft["text"])
            facts = self._facts("sign", channel) | {"draft": draft["digest"], "text": sha256(text)}
            sending = self._sign_on_page if channel == "page" else self._sign_by_api
            answer = await sending(who, draft, text if change else None, written, facts)
            if answer.status_code == 200 or by_page(answer):
                return True
            if more := unconfirmed_sentences(answer) if channel == "api" else []:
                written = [*written, *more]
            elif answer.status_code in ALREADY_DECIDED or "note=decided" in answer.headers.get("location", ""):
                return False
            elif answer.status_code != 412 and "note=stale" not in answer.headers.get("location", ""):
                raise UnexpectedAnswer(_in_words("sign", channel, answer))

    async def _sign_by_api(
        self, who: str, draft: Draft, text: str | None, written: list[str], facts: dict[str, Any]
    ) -> httpx.Response:
        body = approval_body(draft) | {"written": written} | ({"text": text} if text is not None else {})
        headers = {"If-Match": f'"{draft["digest"]}"'}
        path = f"/v1/reviews/{self.case}/approve"
        return await self.ward.people[who].send("decision", "POST", path, facts, json=body, headers=headers)

    async def _sign_on_page(
        self, who: str, draft: Draft, text: str | None, written: list[str], facts: dict[str, Any]
    ) -> httpx.Response:
        said = approval_body(draft)
        form = {
            "digest": draft["digest"],
            # As browsers send text areas.
            "text": (text if text is not None else str(draft["text"])).replace("\n", "\r\n"),
            "confirmed": [item["sentence"] for item in said["resolutions"]],
            "acknowledged": said["acknowledged"],
            "written": written,
        }
        path = f"/reviews/{self.case}/approve"
        return await self.ward.people[who].send("decision", "POST", path, facts, by_page, data=form)

    async def refuse(self, who: str, action: str, channel: str = "api") -> bool:
        draft = await self.draft(who)
        words = f"Not like this. {self.mark}"
        facts = self._facts("refuse", channel) | {"draft": draft["digest"], "words": sha256(words)}
        if channel == "page":
            form = {"digest": draft["digest"], "action": action, "reason": words}
            path = f"/reviews/{self.case}/reject"
            answer = await self.ward.people[who].send("decision", "POST", path, facts, by_page, data=form)
        else:
            headers, body = {"If-Match": f'"{draft["digest"]}"'}, {"action": action, "reason": words}
            path = f"/v1/reviews/{self.case}/reject"
            answer = await self.ward.people[who].send("decision", "POST", path, facts, json=body, headers=headers)
        if answer.status_code == 200 or by_page(answer):
            return True
        if answer.status_code in (*ALREADY_DECIDED, 412, 303):
            return False
        raise UnexpectedAnswer(_in_words("refuse", channel, answer))

    async def sign_in_ehr(self, who: str) -> None:
        """Open the draft, then complete the Task in the EHR's inbox."""
        draft = await self.draft(who)
        facts = self._facts("sign", "task") | {"draft": draft["digest"], "text": sha256(str(draft["text"]))}
        await self.ward.clerk.answer(self.task, "completed", "approved", facts)

    async def task_comes_back(self) -> None:
        """What could not be signed there waits again."""
        while (await self.ward.clerk.read(f"Task/{self.task}"))["status"] == "completed":  # noqa: ASYNC110 - another process
            await asyncio.sleep(1)

    async def refuse_in_ehr(self, who: str, action: str) -> None:
        draft = await self.draft(who)
        words = f"Not like this. {self.mark}"
        facts = self._facts("refuse", "task") | {"draft": draft["digest"], "words": sha256(words)}
        await self.ward.clerk.answer(self.task, "completed", f"rejected-{action}", facts, words)

    @property
    def task(self) -> str:
        return self.ward.watch.task_of[self.case]

    async def reassign(self, who: str, to: str) -> None:
        words = f"I go home. {self.mark}"
        facts = self._facts("reassign", "api") | {"words": sha256(words)}
        path, body = f"/v1/reviews/{self.case}/reassign", {"to": to, "reason": words}
        answer = await self.ward.people[who].send("decision", "POST", path, facts, json=body)
        self._expect(answer, 200, 409)

    async def rate(self, who: str, rating: str) -> None:
        """Rate the signed draft. The words name the rating: no two of a case are the same decision."""
        if not self.ward.rates():
            return
        words = f"It was {rating}. {self.mark}"
        facts = self._facts("rate", "api") | {"words": sha256(words)}
        path, body = f"/v1/reviews/{self.case}/rating", {"rating": rating, "words": words}
        answer = await self.ward.people[who].send("decision", "POST", path, facts, json=body)
        self._expect(answer, 200)

    async def correct(self, who: str, what: str) -> None:
        """Sign a corrected text (`amend`) or an addendum (`addend`) to the document as it stands."""
        written: list[str] = []
        route = {"amend": "amendments", "addend": "addenda"}[what]
        while True:
            seen = await self._document(who)
            words = f"Seen by the dietician, {self.mark}."
            text = f"{str(seen['text']).rstrip()}\n{words}\n" if what == "amend" else words
            told = {"text": sha256(text)} if what == "amend" else {"words": sha256(text)}
            body = {"text": text, "reason": f"It was missing. {self.mark}", "written": written}
            answer = await self._after_filing(who, route, what, seen["digest"], told, body)
            if answer.status_code == 200:
                return
            if more := unconfirmed_sentences(answer):
                written = [*written, *more]
            elif answer.status_code not in (409, 412):  # the one before is not filed yet
                raise UnexpectedAnswer(_in_words(what, "api", answer))

    async def retract(self, first: str, second: str) -> None:
        """By two people."""
        seen = await self._document(first)
        reason = {"reason": f"Another patient's. {self.mark}"}
        asked = await self._after_filing(first, "retraction", "ask-retraction", seen["digest"], {}, reason)
        self._expect(asked, 200, 409)
        seen = await self._document(second)
        done = await self._after_filing(second, "retraction/confirm", "retract", seen["digest"], {}, None)
        self._expect(done, 200, 409)

    async def _document(self, who: str) -> dict[str, Any]:
        answer = await self.ward.people[who].get(f"/v1/cases/{self.case}/document")
        self._expect(answer, 200)
        found: dict[str, Any] = answer.json()
        return found

    async def _after_filing(
        self, who: str, route: str, action: str, seen: str, told: dict[str, Any], body: dict[str, Any] | None
    ) -> httpx.Response:
        path, headers = f"/v1/cases/{self.case}/{route}", {"If-Match": f'"{seen}"'}
        facts = self._facts(action, "api") | told
        return await self.ward.people[who].send("decision", "POST", path, facts, json=body, headers=headers)

    async def probe_access(self) -> None:
        """Somebody of another department tries every channel of the case."""
        stranger, path = self.ward.people["stranger"], f"/v1/reviews/{self.case}"
        headers = {"If-Match": f'"{"0" * 64}"'}
        tries: list[tuple[str, str, dict[str, Any]]] = [
            ("GET", path, {}),
            ("GET", f"/v1/cases/{self.case}", {}),
            ("GET", f"/v1/cases/{self.case}/document", {}),
            ("GET", f"/reviews/{self.case}", {}),
            ("GET", f"{path}/escalations", {}),
            ("POST", f"{path}/approve", {"json": {}, "headers": headers}),
            ("POST", f"{path}/reject", {"json": {"action": "close", "reason": "x"}, "headers": headers}),
            ("POST", f"{path}/reassign", {"json": {"to": "Practitioner/DR-IM-005", "reason": "x"}}),
        ]
        for method, at, sent in self.chance.sample(tries, 2):
            await stranger.probe(method, at, self.case, f"{method} {at.replace(self.case, '{case}')}", **sent)

    def _facts(self, action: str, channel: str) -> dict[str, Any]:
        return {"case": self.case, "action": action, "channel": channel}

    def _expect(self, answer: httpx.Response, *statuses: int) -> None:
        if answer.status_code not in statuses:
            raise UnexpectedAnswer(_in_words("asked", str(answer.request.url.path), answer))


def _in_words(what: str, channel: str, answer: httpx.Response) -> str:
    return f"{what} at {channel}: {answer.status_code} {answer.headers.get('location', '')} {answer.text[:200]}"
