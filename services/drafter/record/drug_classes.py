"""Classes of medicines in which allergies are recorded: the names and codes of their members. Pure.

Members are known by the stems of their international nonproprietary names (WHO, The use of stems in the selection of
INN, 2018: -cillin, cef-, -penem, sulfa-, -profen, -fenac, -oxicam, -coxib, -pril, -sartan, -vastatin, -oxacin,
-cycline, -thromycin, -olol, -prazole, -conazole, -parin), by a few names without a stem, and by ATC (WHO Collaborating
Centre for Drug Statistics Methodology).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_ATC = ("http://www.whocc.no/atc", "http://fhir.de/CodeSystem/bfarm/atc", "urn:oid:2.16.840.1.113883.6.73")


@dataclass(frozen=True, slots=True)
class DrugClass:
    """A class of medicines: patterns of its name in allergies and of its members' names, and its ATC codes.

    `cross_reactive`: who is allergic to one member is taken to be allergic to all.
    """

    name: str
    allergy_pattern: str
    members: str
    atc: tuple[str, ...]
    cross_reactive: bool = True


CLASSES = (
    DrugClass(
        "penicillins",
        r"peni[cz]ill?in\w*|beta-?lactam\w*|\bpcn\b",
        r"\w+[cz]ill?in(?:e|um|a|s)?\b|augmentin|zosyn|tazocin|tazobac|unasyn|unacid|co-amoxiclav|pip-?/?tazo",
        ("J01C",),
    ),
    DrugClass(
        "cephalosporins",
        r"[ck]e(?:ph|f)alospori\w*|beta-?lactam\w*",
        r"\bce(?:f|ph)(?!alospor|al(?:gia|ic)\b)[a-z]{4,}|keflex|rocephin|zinnat",
        ("J01DB", "J01DC", "J01DD", "J01DE", "J01DI"),
    ),
    DrugClass("carbapenems", r"carbapenem\w*|beta-?lactam\w*", r"(?!carba)\w+penem(?:e|um)?\b", ("J01DH",)),
    DrugClass(
        "sulfonamides",
        r"\bsul(?:f|ph)as?\b|sul(?:f|ph)onamid\w*|sul(?:f|ph)a[ -](?:drugs?|antibiotics?)",
        r"sul(?:f|ph)a(?:meth|diaz|sal|cet|dox|mer|pyr|thia)\w*|sulfisox\w*|co-?trim\w*|bactrim"
        r"|septr(?:a|in)\b|eusaprim",
        ("J01EB", "J01EC", "J01ED", "J01EE", "A07EC01", "D06BA"),
    ),
    DrugClass(
        "NSAIDs",
        r"nsaids?\b|nsar\b|nsaid's|non-?steroidal\w*|nicht-?steroidal\w*|niet-?steroid\w*"
        r"|anti-?inflammator\w* \(nsaid",
        r"\w*(?:profen|fenac|oxicam|coxib)(?:e|um)?\b|naproxen\w*|ketorolac|indomet(?:h)?acin\w*"
        r"|etodolac|nabumeton\w*"
        r"|mefenam\w*|sulindac|diflunisal|aspirin\w*|acetylsalicyl\w*|\bass\b|\basa\b|salicylat\w*|carbasalaat\w*",
        ("M01A", "N02BA", "B01AC06", "B01AC08"),
    ),
    DrugClass(
        "ACE inhibitors",
        r"\bace[- ]?(?:inhibitor|hemmer|remmer)\w*|\baceis?\b|angiotensin[- ]converting\w*",
        r"\b(?!prep)\w{3,}pril(?:at|e)?\b",
        ("C09A", "C09B"),
    ),
    DrugClass(
        "sartans", r"\bsartan[es]?\b|\barbs?\b|angiotensin.{0,5}receptor\w*", r"\w+sartan\b", ("C09C", "C09D"), False
    ),
    DrugClass("statins", r"\bstatin(?:e|en|s)?\b|hmg-?coa\w*", r"\w+vastatine?\b", ("C10AA", "C10BA", "C10BX"), False),
    DrugClass(
        "opioids",
        r"opioid\w*|opiat\w*|narcotics?\b",
        r"\w*morph(?:one|ine|in)\b(?<!apomorphine)|\w*codein\w*|\w+codon(?:e)?\b|\w*fentan[iy]le?\b"
        r"|tramadol|tapentadol|methadon\w*"
        r"|pethidin\w*|meperidin\w*|bupreno?rphin\w*|piritramid\w*|tilidin\w*|co-codamol|percocet|vicodin|norco\b",
        ("N02A",),
        cross_reactive=False,
    ),
    DrugClass("fluoroquinolones", r"(?:fluoro)?quinolon\w*|(?:fluor)?chinolon\w*", r"\w+oxacine?\b", ("J01M",)),
    DrugClass("tetracyclines", r"tetra[cz]y[ck]lin(?:es|e)\b", r"\w+[cz]y[ck]line?\b", ("J01AA",)),
    DrugClass("macrolides", r"ma[ck]rolid\w*", r"\w+thromy[cz]ine?\b", ("J01FA",)),
    DrugClass("heparins", r"heparin\w*|\bhit\b", r"\bheparine?\b|\w+parine?\b(?<!heparin)", ("B01AB",)),
    DrugClass("beta blockers", r"beta[- ]?(?:adrenergic )?(?:block|bloqu)\w*", r"\w+olol\b", ("C07",), False),
    DrugClass(
        "proton pump inhibitors",
        r"proton[- ]pump\w*|\bppis?\b|protonenpump\w*",
        r"\w+(?<!pi)prazole?\b",
        ("A02BC",),
        False,
    ),
    DrugClass("azole antifungals", r"azole antifungal\w*|azoles\b", r"\w+[ck]ona[zs]ole?\b", ("J02AB", "J02AC"), False),
)


def shared_class(
    allergy: Iterable[str], allergy_codes: Iterable[str], medicine: Iterable[str], codes: Iterable[str]
) -> str:
    """Return the class by which a medicine belongs to an allergy, by names or ATC codes; empty without one."""
    allergy_text, medicine_text = " | ".join(allergy).lower(), " | ".join(medicine).lower()
    atc_of_allergy, atc_of_medicine = _atc_codes(allergy_codes), _atc_codes(codes)
    for item in CLASSES:
        is_member = re.search(item.members, medicine_text) or _has_code_of(atc_of_medicine, item)
        # A code of less than seven characters is that of a class or a part of it, no single substance.
        is_class = re.search(item.allergy_pattern, allergy_text) or _has_code_of(
            [code for code in atc_of_allergy if len(code) < 7], item
        )
        by_member = item.cross_reactive and (
            re.search(item.members, allergy_text) or _has_code_of(atc_of_allergy, item)
        )
        if is_member and (is_class or by_member):
            return item.name
    return ""


def _has_code_of(codes: list[str], item: DrugClass) -> bool:
    return any(code.startswith(item.atc) for code in codes)


def _atc_codes(codes: Iterable[str]) -> list[str]:
    return [code for system, _, code in (text.partition("|") for text in codes) if system in _ATC]
