"""What of a sentence stands in the resources that it cites: read from the record's JSON, with no code of the drafter.

For a reader, who looks at what is named first. Words that the composed sentences bring of their own are no finding, but
a name, a finding or a number that no cited resource has is one, or a day in another time zone, or a code in words.
"""

import json
import re
from collections.abc import Iterable, Iterator

from tests.stays.model import Resource, Stay

WORDS = re.compile(r"[^\W\d_]{4,}")
NUMBERS = re.compile(r"\d+(?:[.,]\d+)*")
REFERENCE = re.compile(r'"reference": "([^"]+)"')
# What an order, a report or a device is about may stand in another resource.
FOLLOWED = ("Medication/", "Device/", "Organization/", "Practitioner/", "PractitionerRole/", "Condition/", "Location/")
AGE = re.compile(r"\d+-(?:year|month|day)-old")
OWN = frozenset(
    WORDS.findall(
        """
    abnormal above activity admission admitted after alerts another appointments back before begun cannot changed clear
    code compare complication complications confirmed continued contradict critical critically current daily days
    devices diagnoses diagnosis died directives discharge disposition doctor does each ended evening every follow for
    from function further given gives high home hospital imaging immunizations inhaled into laboratory later less lines
    list listed management meant medicines microbiology micrograms minutes more morning most mouth muscle named night
    noon note noted often once ongoing only operation order ordered other over pending plan preliminary principal
    problem problems procedure procedures puffs reason record recorded reported reports result results ruled scores
    skin social circumstances started stay still stopped susceptibility suspected take taken that then this three time
    times twice unchanged under until ward ways week weeks whether which with without words year your patient woman man
    girl boy newborn month unclear where there hours much differ same study done were main
    """
    )
)


class Beside:
    """The resources of a stay by reference."""

    def __init__(self, stay: Stay) -> None:
        self._resources: dict[str, Resource] = {f"{one['resourceType']}/{one['id']}": one for one in stay.resources}

    def missing(self, text: str, cited: Iterable[str]) -> tuple[str, ...]:
        """Words of four letters and numbers of a sentence that no cited resource has, in order."""
        said, text = self._text(cited), AGE.sub("", text)
        low = said.lower()
        words = (word for word in WORDS.findall(text) if word.lower() not in low and word.lower() not in OWN)
        numbers = (part for part in NUMBERS.findall(text) if part not in said and part.replace(",", "") not in said)
        return tuple(dict.fromkeys((*words, *numbers)))

    def _text(self, cited: Iterable[str]) -> str:
        """The cited resources and what they refer to, as JSON."""
        found: dict[str, str] = {}
        waiting = list(cited)
        while waiting:
            name = waiting.pop()
            if name in self._resources and name not in found:
                found[name] = json.dumps(self._resources[name], ensure_ascii=False)
                waiting += self._referred(name, found[name])
        return " ".join(found.values())

    def _referred(self, name: str, text: str) -> Iterator[str]:
        if not name.startswith(("Patient/", "Condition/", "Organization/", "Practitioner")):
            for reference in REFERENCE.findall(text):
                last = "/".join(reference.partition("/_history")[0].split("/")[-2:])
                if last.startswith(FOLLOWED):
                    yield last
