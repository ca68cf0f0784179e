"""A surgical stay with notes of surgeons, nurses and therapists."""

from tests.stays.build import Chart
from tests.stays.model import Stay
from tests.stays.notes.writing import course, note
from tests.stays.words import item

_OP = """OPERATIVE REPORT

PATIENT NAME: EXAMPLE, ROBIN
MEDICAL RECORD NUMBER: 4471
DATE OF SURGERY: 02/11/2026
SURGEON: T. Alvarez, MD
ASSISTANT: R. Singh, PA-C
PREOPERATIVE DIAGNOSIS: Right displaced femoral neck fracture
POSTOPERATIVE DIAGNOSIS: Same
PROCEDURE PERFORMED: Right hip hemiarthroplasty, cemented
ANESTHESIA: Spinal
ESTIMATED BLOOD LOSS: 250 mL
IMPLANTS: Cemented stem size 4, bipolar head 46 mm
COMPLICATIONS: Intraoperative calcar crack, treated with one cerclage cable.

DESCRIPTION OF PROCEDURE: After informed consent the patient was brought to the operating room. A time-out was
performed. The hip was approached through a posterior incision. All counts were correct x2.
"""


def hip() -> Stay:
    """Oracle Health: RTF in Binary, a nurse's fall note, therapy, orthopaedic progress notes."""
    chart = Chart(
        "notes-hip",
        "notes",
        "operation and nursing",
        start="2026-02-10T18:00:00Z",
        end="2026-02-17T12:00:00Z",
        disposition="snf",
    )
    chart.diagnosis(chart.condition("Displaced fracture of neck of right femur"), rank=1)
    chart.procedure("Hemiarthroplasty of right hip", "2026-02-11")
    note(
        chart,
        "operation",
        _OP,
        "2026-02-11T13:00:00Z",
        author="Alvarez, Tomas, MD",
        form="rtf",
        binary=True,
        title="Operative Report",
    )
    note(
        chart,
        "nursing",
        "Shift Note 1900-0700\nPt A&Ox2, pulling at lines. Bed low, call light within reach, hourly rounding done.\n"
        "At 0245 pt found on floor beside bed; no head strike reported, MD notified, CT head ordered.\n"
        "Braden 14. Fall precautions in place. Pain 3/10. Voiding via Foley.\n"
        "Skin: stage 2 pressure injury to sacrum found on turn, mepilex applied.\n",
        "2026-02-13T06:50:00Z",
        author="Marta Nunez, RN",
        form="rtf",
    )
    note(
        chart,
        "progress",
        "ORTHOPAEDIC SURGERY PROGRESS NOTE\nPOD #2\n\nS: pain controlled, no CP/SOB\nO: AFVSS. "
        "RLE: dressing c/d/i, SILT, 2+ DP\n"
        "A/P: 84F POD2 s/p R hip hemi\n- WBAT RLE\n- CT head after fall negative for acute "
        "bleed\n- Hgb dropped to 7.1, transfused 1 u pRBC with appropriate response\n"
        "- Lovenox 40 mg SQ daily x 28 d\n- f/u clinic 2 wks for staples\n- plan SNF\n",
        "2026-02-13T08:20:00Z",
        author="Singh, R, PA-C",
        form="rtf",
        binary=True,
    )
    chart.says(
        "critical",
        "procedure",
        "the implant that only the note names",
        item(r"cemented stem size 4, bipolar head 46 mm"),
    )
    chart.says(
        "critical",
        "procedure",
        "the complication of the operation",
        item(r"calcar crack, treated with one cerclage cable"),
    )
    chart.says(
        "high",
        "course",
        "the operation note is named as the source",
        course(r"operative report, .*alvarez.*right hip hemiarthroplasty, cemented"),
    )
    chart.says("critical", "course", "the fall", course(r"nursing note, .*nunez.*found on floor beside bed"))
    chart.says("high", "course", "the pressure injury", course(r"stage 2 pressure injury to sacrum"))
    chart.says("high", "course", "the transfusion", course(r"transfused 1 u prbc"))
    chart.never("high", "course", "routine care of the shift", course("call light"), course("braden 14"))
    chart.never(
        "critical",
        "course",
        "orders as done",
        course("f/u clinic"),
        course("lovenox 40 mg sq daily"),
        course("plan snf"),
    )
    chart.never("high", "identity", "the header of the report", "4471", course("EXAMPLE, ROBIN"))
    chart.never("high", "course", "consent and counts", item("informed consent"), item("counts were correct"))
    return chart.stay()
