"""Words of a text, their stems, and the words that say nothing about a patient."""

import re
from functools import lru_cache

WORD = re.compile(r"[^\W_](?:[\w'’-]*[^\W_])?")
_SUFFIXES = tuple(
    """
    izations ization ational ations ation ements ement ments ment ingly edly ities ings ing ions ion ical ally ness ies
    ied ous ive ity als al ic ed es ly er y e s
    """.split()  # noqa: SIM905 - a list of words
)
_NEUTRAL = frozenset(
    """
    a an the this that these those and or nor but so then also both either as at by for from in into of on
    onto off out over to toward up upon via with within without is are was were be been being am do does did
    done has have had having will would can could may might shall must it its he him his she her hers they
    them their theirs we our you your i my who whom whose which what when where while there here than too very
    more most less least much many some any each every all no not only own same such other another further
    again once per about around approximately nearly roughly just still already however although though
    because if until unless since during after before between through throughout among amongst along including
    include includes included patient patients pt subject person individual admit admitted admission
    admissions hospital hospitalized hospitalised hospitalization hospitalisation inpatient stay stayed course
    encounter visit presented presents presenting presentation present came brought arrived arrival discharge
    discharged discharges discharging home underwent undergo undergone received receive receives
    receiving given give gave got administered administration treated treat treating treatment treatments
    managed management care therapy therapies therapeutic regimen performed perform done carried made make
    taken take takes taking use used using started start starts starting begun began begin initiated initiate
    continued continue continues continuing stopped stop stops discontinued prescribed prescription
    prescriptions ordered order orders medication medications medicine medicines drug drugs dose doses dosage
    dosed daily show showed shows shown showing reveal revealed reveals demonstrate demonstrated demonstrates
    find found finds finding findings note noted notes notable report reported reports reporting record
    recorded records recording document documented documentation measured measurement measurements measure
    value values level levels result results test tests testing tested lab labs laboratory study studies
    imaging image images examination exam evaluation evaluated evaluate assessment assessed workup work
    diagnosed diagnosis diagnoses diagnostic known history past medical problem problems condition conditions
    comorbidity comorbidities background list lists listed significant remarkable consistent indicate
    indicated indicates confirmed confirm identified complained complaint complaints complaining chief reason
    reasons time times day days week weeks month months year years old aged age hour hours date first last
    initial initially final finally later subsequent subsequently previous previously prior earlier then next
    rest result resulting became become came went go going goes return returned was remained remain remains
    stands stood obtained carries carried came due regarding concerning related relation respect additionally
    addition moreover furthermore namely respectively follow following followed follows service unit
    department team ward clinician physician doctor staff under case summary section one two three male female
    sex gender man woman boy girl gentleman lady mr mrs ms dr mg mcg ml unit units tablet tablets capsule
    capsules by mouth form strength total amount set up line well-known currently current active ongoing
    recent recently new newly here's own kept keep place placed put number rate type kind type level reading
    readings part side sided lives living principal main primary secondary chart charted entry entries carry
    carries exist exists existing noteworthy besides along alongside together came underlying concurrent
    concomitant associated features feature described described describe state states stated alive deceased
    expired ended end ends lasted lasting spent kept over-all overall grew grow grown developed develops
    develop development arranged disposition destination appointment appointments evidence
    should needs needed need required require requires apply applied applicable
    available per-protocol plan plans planned
    """.split()  # noqa: SIM905 - a list of words

)  # fmt: skip
_IRREGULAR = {
    "children": "child",
    "women": "woman",
    "men": "man",
    "feet": "foot",
    "pelves": "pelvis",
    "vertebrae": "vertebra",
}


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """What forms of one word share: `dilated`, `dilation` → `dilat`. Rough; for comparison only."""
    text = word.lower().replace("’", "'").removesuffix("'s").strip("'-")
    text = _IRREGULAR.get(text, text).replace("haem", "hem").replace("oedema", "edema").replace("paed", "ped")
    for suffix in _SUFFIXES:
        if text.endswith(suffix) and len(text) - len(suffix) >= 4:
            text = text[: -len(suffix)]
            break
    if len(text) > 4 and text[-1] == text[-2] and text[-1] not in "lsz":
        text = text[:-1]
    return text


_NEUTRAL_STEMS = frozenset(stem(word) for word in _NEUTRAL)


@lru_cache(maxsize=65536)
def neutral(word: str) -> bool:
    """Whether a word says nothing that could be right or wrong of a patient."""
    low = word.lower()
    return low in _NEUTRAL or len(low) < 2 or (len(low) > 4 and stem(low) in _NEUTRAL_STEMS)


def words(text: str) -> list[tuple[str, int, int]]:
    """The words of `text` in lower case with their places; parts of a compound with a hyphen are words of their own."""
    found = []
    for match in WORD.finditer(text):
        start = match.start()
        for part in match.group().split("-"):
            if part:
                found.append((part.lower(), start, start + len(part)))
            start += len(part) + 1
    return found


def stems(text: str) -> frozenset[str]:
    """The stems of the words of `text` that say something; numbers are left out."""
    return frozenset(stem(word) for word, _, _ in words(text) if not neutral(word) and not word[0].isdigit())
