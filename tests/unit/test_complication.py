"""A complication in a note is one that happened: not one that was explained, and not that there was none."""

import pytest

from services.drafter.record.complication import states_complication


@pytest.mark.parametrize(
    "sentence",
    [
        "Possible complications were explained.",
        "Risks and complications discussed with the patient.",
        "The risks, benefits and complications were explained and the patient consented.",
        "No complications",
        "There were no intraoperative or immediate complications.",
        "Complications: none",
        "Complications (intraoperative): None.",
        "Complications - nil",
        "Complications did not occur.",
        "Postoperative course without complications.",
        "Return if complications arise.",
        "Monitored for complications.",
        "Patient was informed of potential complications including bleeding.",
        "Komplikationsloser Verlauf.",
        "Keine Komplikationen.",
        "Über mögliche Komplikationen wurde aufgeklärt.",
        "Risiken und Komplikationen wurden besprochen.",
        "Komplikationen traten nicht auf.",
        "Komplikationen: keine",
        "Verlauf ohne Komplikationen.",
        "Mogelijke complicaties zijn uitgelegd.",
        "Risico's en complicaties besproken met patiënt.",
        "Geen complicaties.",
        "Complicaties: geen",
        "Les complications possibles ont été expliquées.",
        "Risques et complications discutés.",
        "Pas de complications.",
        "Aucune complication.",
        "Suites simples sans complication.",
        "Complications : aucune",
        "Il n'y a pas eu de complications.",
        "Benefits, alternatives and complications reviewed with the patient.",
        "Er is uitleg gegeven over de complicaties.",
    ],
)
def test_what_did_not_happen_is_no_complication(sentence: str) -> None:
    assert not states_complication(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "Complication: wound haematoma, no revision needed.",
        "Complications: postoperative ileus",
        "Delirium as a complication of surgery.",
        "As a possible complication of heparin she developed thrombocytopenia.",
        "Als Komplikation kam es zu einer Nachblutung.",
        "Komplikation: Wundinfekt",
        "Complicatie: nabloeding",
        "Complication : hématome de la paroi",
        "Complications managed on the ward: atrial fibrillation",
    ],
)
def test_what_happened_is_one(sentence: str) -> None:
    assert states_complication(sentence)
