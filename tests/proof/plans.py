"""What becomes of each case: which channels it takes, and how it has to end."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random

from shared.contracts.draft import TO_BE_WRITTEN
from tests.proof.encounters import Draft, Encounter
from tests.proof.stack import COLLEAGUE, QUICK, WARD


@dataclass(frozen=True, slots=True)
class Plan:
    """`share` of a hundred cases; `ends`: states in which the case may be at the end."""

    name: str
    share: int
    ends: tuple[str, ...]
    act: Callable[[Encounter], Awaitable[None]]
    department: str = WARD


def edited(stay: Encounter) -> Callable[[Draft], str]:
    return lambda draft: f"{str(draft['text']).rstrip()}\nSeen by the dietician, {stay.mark}.\n"


def by_hand(stay: Encounter) -> Callable[[Draft], str]:
    """The facts, and a narrative of one's own in each place that is left open."""

    def write(draft: Draft) -> str:
        own = f"The patient was cared for on the ward. {stay.mark}"
        lines = [f"  {own}" if TO_BE_WRITTEN in line else line for line in str(draft["to_write"]).splitlines()]
        return "\n".join(lines) + "\n"

    return write


def carried(draft: Draft) -> str:
    """The draft with what was typed into the one that was prepared."""
    return str(draft["carried"])


async def _asked(stay: Encounter) -> None:
    await stay.discharge()
    await stay.reach("review-requested")
    if stay.chance.random() < 0.1:
        await stay.probe_access()


async def _by_api(stay: Encounter) -> None:
    await _asked(stay)
    await stay.sign("physician")


async def _on_page(stay: Encounter) -> None:
    await _asked(stay)
    await stay.sign("physician", "page")


async def _in_ehr(stay: Encounter) -> None:
    """Where something is to be settled, the Task comes back, and the page is what is left."""
    await _asked(stay)
    draft = await stay.draft("physician")
    await stay.sign_in_ehr("physician")
    if draft["open_points"] or any(not item["supported"] for item in draft["sentences"]):
        await stay.task_comes_back()
        await stay.sign("physician", "page")
    else:
        await stay.reach("approved")


async def _edited(stay: Encounter) -> None:
    await _asked(stay)
    await stay.sign("physician", change=edited(stay))


async def _by_hand(stay: Encounter) -> None:
    await _asked(stay)
    await stay.sign("physician", change=by_hand(stay))


async def _redrafted(stay: Encounter) -> None:
    await _asked(stay)
    await stay.refuse("physician", "redraft", stay.chance.choice(("api", "page")))
    await stay.reach("review-requested", 2)
    await stay.sign("physician")


async def _refused(stay: Encounter) -> None:
    await _asked(stay)
    await stay.refuse("physician", stay.chance.choice(("close", "withdraw")), stay.chance.choice(("api", "page")))


async def _refused_in_ehr(stay: Encounter) -> None:
    await _asked(stay)
    await stay.refuse_in_ehr("physician", "close")
    await stay.reach("rejected")


async def _handed_on(stay: Encounter) -> None:
    await _asked(stay)
    await stay.reassign("physician", COLLEAGUE)
    await stay.sign("colleague")


async def _raced(stay: Encounter) -> None:
    """Two people decide at once, one says yes and one says no."""
    await _asked(stay)
    await asyncio.gather(stay.sign("physician"), stay.refuse("supervisor", "close"))


async def _left(stay: Encounter) -> None:
    await _asked(stay)


async def _put_off(stay: Encounter) -> None:
    """Given to somebody else, whose clock starts, and left."""
    await _asked(stay)
    await stay.reassign("physician", COLLEAGUE)


async def _late(stay: Encounter) -> None:
    await _asked(stay)
    await stay.reach("escalated")
    await stay.sign("physician")


async def _taken_over(stay: Encounter) -> None:
    await _asked(stay)
    await stay.reach("escalated", 3)
    await stay.sign("supervisor", stay.chance.choice(("api", "page")))


async def _taken_back(stay: Encounter) -> None:
    await stay.discharge()
    if stay.chance.random() < 0.5:
        await stay.reach("review-requested")
    await stay.cancel()


async def _discharged_again(stay: Encounter) -> None:
    await _taken_back(stay)
    await stay.reach("withdrawn")
    await stay.discharge()
    await stay.ward.watch.until(stay.case, lambda names: "review-requested" in names[names.index("withdrawn") :])
    await stay.sign("physician")


async def _taken_back_late(stay: Encounter) -> None:
    await _by_api(stay)
    await stay.reach("filed")
    await stay.cancel()


async def _corrected(stay: Encounter) -> None:
    await _by_api(stay)
    await stay.reach("filed")
    await stay.correct("physician", "amend")


async def _added_to(stay: Encounter) -> None:
    await _by_api(stay)
    await stay.reach("filed")
    await stay.correct("physician", "addend")
    if stay.chance.random() < 0.5:
        await stay.reach("filed", 2)
        await stay.correct("physician", "amend")


async def _rated(stay: Encounter) -> None:
    """While the document is on its way or in the chart; another rating takes the place of the first."""
    await _by_api(stay)
    if stay.chance.random() < 0.5:
        await stay.reach("filed")
    await stay.rate("physician", "useful")
    if stay.chance.random() < 0.5:
        await stay.rate("physician", "useless")


async def _retracted(stay: Encounter) -> None:
    await _by_api(stay)
    await stay.reach("filed")
    await stay.retract("physician", "supervisor")


async def _prepared(stay: Encounter) -> None:
    """Discharged while its draft is being prepared, or after that."""
    if await stay.prepare() and stay.chance.random() < 0.5:
        await stay.reach("prepared")
    await _asked(stay)
    await stay.sign("physician", stay.chance.choice(("api", "page")), carried)


async def _prepared_and_edited(stay: Encounter) -> None:
    if await stay.prepare():
        await stay.reach("prepared")
        if stay.chance.random() < 0.3:
            await stay.sign_too_early("physician")
        await stay.edit("physician")
        if stay.chance.random() < 0.3:
            await stay.prepare()  # again, from the record as it is then
    await _asked(stay)
    await stay.sign("physician", change=carried)


async def _prepared_and_goes_on(stay: Encounter) -> None:
    if not await stay.prepare(once=True):
        await _taken_back(stay)
        return
    if stay.chance.random() < 0.7:
        await stay.reach("prepared")
        await stay.edit("physician")
        await stay.sign_too_early("physician")
    await stay.stay_goes_on()
    await stay.reach("preparation-ended")


FILED = ("filed",)
PLANS = (
    Plan("by-api", 14, FILED, _by_api),
    Plan("rated", 2, FILED, _rated),
    Plan("on-page", 12, FILED, _on_page),
    Plan("in-ehr", 10, FILED, _in_ehr),
    Plan("edited", 8, FILED, _edited),
    Plan("prepared", 3, FILED, _prepared),
    Plan("prepared-and-edited", 3, FILED, _prepared_and_edited),
    Plan("prepared-and-goes-on", 2, ("withdrawn",), _prepared_and_goes_on),
    Plan("by-hand", 5, FILED, _by_hand),
    Plan("redrafted", 5, FILED, _redrafted),
    Plan("refused", 4, ("closed",), _refused),
    Plan("refused-in-ehr", 3, ("closed",), _refused_in_ehr),
    Plan("handed-on", 4, FILED, _handed_on),
    Plan("raced", 3, ("filed", "closed"), _raced),
    Plan("left", 3, ("awaiting-review",), _left, QUICK),
    Plan("put-off", 2, ("awaiting-review",), _put_off, QUICK),
    Plan("late", 2, FILED, _late, QUICK),
    Plan("taken-over", 2, FILED, _taken_over, QUICK),
    Plan("taken-back", 2, ("withdrawn",), _taken_back),
    Plan("discharged-again", 2, FILED, _discharged_again),
    Plan("taken-back-late", 1, FILED, _taken_back_late),
    Plan("corrected", 3, FILED, _corrected),
    Plan("added-to", 3, FILED, _added_to),
    Plan("retracted", 2, ("retracted",), _retracted),
)


def choose(number: int, seed: int) -> list[Plan]:
    """A plan for each of `number` cases: every plan as often as its share says, at least once where there is room."""
    chance = Random(f"plans/{seed}")
    total = sum(plan.share for plan in PLANS)
    more = [plan for plan in PLANS for _ in range(plan.share * number // total - 1)]
    chosen = [*PLANS, *more][:number]
    chosen += chance.choices(PLANS, [plan.share for plan in PLANS], k=number - len(chosen))
    chance.shuffle(chosen)
    return chosen
