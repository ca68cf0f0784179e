"""Medical stays with notes."""

from tests.stays.build import Chart
from tests.stays.model import Stay
from tests.stays.notes.writing import composition, course, note, pdf
from tests.stays.words import item

_HP = """GENERAL HOSPITAL - MEDICINE ADMISSION H&P
Patient Name: Robin Example   MRN: 00881234   DOB: 3/14/1948   CSN: 991000212
PCP: Doe, Jane, MD

Chief Complaint: shortness of breath

HPI: Robin Example is a 78 y.o. female with PMHx of HFrEF (EF 30%), CKD 3, T2DM who presents with 5 days of worsening
dyspnea on exertion and leg swelling. Pt ran out of furosemide two weeks ago. Denies chest pain, fever, cough.

Past Medical History:
Diagnosis Date
- CHF (congestive heart failure) (HCC)
- Breast cancer (HCC) 2009

Family History: Mother with MI at 60. Father with colon cancer.

No current facility-administered medications on file prior to encounter.
Current Outpatient Medications:
furosemide (LASIX) 40 MG tablet Take 1 tablet by mouth daily
metoprolol succinate 50 mg 24 hr tablet

ROS: 10 point ROS negative except as noted in HPI.

Objective:
BP 158/92 (BP Location: Left arm) | Pulse 104 | Temp 36.8 °C | Resp 24 | SpO2 88% on RA

Assessment and Plan:
# Acute on chronic systolic heart failure
Volume overloaded on exam with BNP 2,340. Likely triggered by medication nonadherence.
- IV furosemide 80 mg BID
- strict I/Os, daily weights
- TTE in AM
# AKI on CKD 3
Cr 1.9 from baseline 1.3, favor cardiorenal.
- hold losartan
# DVT ppx: heparin SQ
Code Status: Full Code
Dispo: pending clinical improvement

Electronically signed by Jordan Lee, MD on 3/2/2026 at 11:42 PM
"""
_DAY = """Hospital Medicine Progress Note
Patient Name: Robin Example  MRN: 00881234
Hospital Day: {day}

Subjective: {subjective}

Objective:
Vitals: BP 12{day}/70 | HR 8{day} | SpO2 94%
I/O last 3 completed shifts: In: 1200 [P.O.:1200] Out: 34{day}0
Lab Results
Component Value Date
NA 138 3/{day}/2026
CREATININE 1.{day} (H)

Assessment and Plan:
# Acute on chronic systolic heart failure
Volume overloaded on exam with BNP 2,340. Likely triggered by medication nonadherence.
{heart}
- IV furosemide 80 mg BID
- strict I/Os, daily weights
# AKI on CKD 3
Cr 1.9 from baseline 1.3, favor cardiorenal.
- hold losartan
# DVT ppx: heparin SQ
Code Status: Full Code
Dispo: pending clinical improvement

I spent 35 minutes on the care of this patient. I personally saw and examined the patient and agree with the above.
***
"""


def heart_failure() -> Stay:
    """Epic: HTML in Binary resources, assessments copied forward day after day."""
    chart = Chart(
        "notes-heart-failure", "notes", "copied-forward A&P", start="2026-03-02T20:00:00Z", end="2026-03-07T15:00:00Z"
    )
    chart.diagnosis(chart.condition("Acute on chronic systolic heart failure"), rank=1)
    note(chart, "admission", _HP, "2026-03-02T23:42:00Z", form="html", binary=True)
    days = (
        ("No acute events overnight.", "Diuresed 2.1 L with improvement in dyspnea."),
        ("Feels better, slept well.", "Developed a 14-beat run of nonsustained ventricular tachycardia overnight."),
        ("Denies chest pain or SOB.", "TTE showed LVEF 25% with severe mitral regurgitation."),
        ("Doing well.", "Transitioned to oral torsemide after reaching dry weight of 71 kg."),
    )
    for number, (subjective, heart) in enumerate(days, 3):
        text = _DAY.format(day=number, subjective=subjective, heart=heart)
        at = f"2026-03-0{number}T14:10:00Z"
        note(chart, "progress", text, at, author="Patel, Asha, DO", form="html", binary=True)
    told = (
        ("diuresis", r"diuresed 2\.1 L with improvement"),
        ("ventricular tachycardia", r"14-beat run of nonsustained ventricular tachycardia"),
        ("echo", r"LVEF 25% with severe mitral regurgitation"),
        ("change to oral diuretic", r"transitioned to oral torsemide"),
    )
    for what, pattern in told:
        chart.says(
            "high",
            "course",
            f"{what}, as the progress note says",
            course(r"progress notes, asha patel|patel, asha", pattern),
        )
    chart.says(
        "high",
        "course",
        "what is copied forward is told once, with its first author",
        item(r"H&P.*lee.*volume overloaded.*said again in 4 later notes"),
    )
    chart.never(
        "critical", "course", "the copied sentence under a later date", item(r"progress notes.*volume overloaded")
    )
    chart.never(
        "critical",
        "course",
        "a plan as done",
        course(r"“[^”]*hold losartan"),
        course(r"daily weights"),
    )
    chart.never("critical", "identity", "the number of the chart from a note", "00881234", "991000212")
    chart.never("high", "family history", "the mother's infarction as the patient's", course("MI at 60"))
    chart.never("high", "course", "breast cancer of 2009 as an event of the stay", course("breast cancer"))
    chart.never("high", "course", "templates and signatures", r"\*\*\*", "electronically signed", "35 minutes")
    chart.never("high", "course", "a row of vital signs", course(r"BP 158/92"))
    return chart.stay()


def copd() -> Stay:
    """HAPI: plain text inline, wrapped lines, notes of the emergency department and of the transfer from the ICU."""
    chart = Chart(
        "notes-copd", "notes", "plain text, wrapped", start="2026-04-10T06:00:00Z", end="2026-04-15T12:00:00Z"
    )
    chart.diagnosis(chart.condition("Chronic obstructive pulmonary disease with acute exacerbation"), rank=1)
    note(
        chart,
        "emergency",
        "ED COURSE AND MDM\n"
        "Pt arrived by EMS in moderate respiratory distress. Given duonebs x3, methylprednisolone 125 mg IV and\n"
        "azithromycin with partial improvement. ABG 7.24/78/60 and pt was started on BiPAP 12/6 at 0710. CXR without\n"
        "infiltrate per my read. If worsening would intubate. Dispo: admit ICU.\n"
        "ED Course as of 04/10/26 0915\nFri Apr 10 0820: Repeat ABG 7.31/64 [KD]\n",
        "2026-04-10T09:15:00Z",
        author="Kim Doran, MD",
    )
    note(
        chart,
        "transfer",
        "ICU TO FLOOR TRANSFER NOTE\nBrief ICU course:\n"
        "61F with severe COPD admitted to the MICU for acute hypercapnic respiratory failure. BiPAP was weaned off on\n"
        "4/12 and she has been on 2 L nasal cannula since. Course c/b delirium on 4/11, resolved with treatment of\n"
        "hypercapnia; no antipsychotics were required.\n\n"
        "To do:\n- PFTs as outpatient\n- [ ] wean O2\n- prednisone 40 mg PO daily x 5 days\n- "
        "consider palliative consult\n",
        "2026-04-12T16:00:00Z",
        author="ICU Resident",
    )
    note(
        chart,
        "progress",
        "S: No acute events overnight. Feels well.\nO: 128/76 82 18 94% 2L\nGen: NAD Lungs: scattered wheezes\n"
        "A/P: 61 yo F with COPD exacerbation, improving.\n1. COPD exacerbation - ambulated 60 m with SpO2 90% on 2 L\n"
        "2. Tobacco: counseled, nicotine patch started 4/13\n3. Dispo - home O2 eval, likely d/c tomorrow\n",
        "2026-04-14T10:00:00Z",
        author="H. Okoye, NP",
        docStatus="preliminary",
    )
    chart.says(
        "high",
        "course",
        "started on BiPAP, as the ED note says",
        course(r"ED provider notes.*doran.*started on bipap 12/6"),
    )
    chart.says(
        "high",
        "course",
        "weaned off on 12 April",
        course(r"transfer summary.*bipap was weaned off on 4/12.*2 L nasal cannula"),
    )
    chart.says("high", "course", "delirium", course(r"delirium on 4/11, resolved"))
    chart.says(
        "medium",
        "course",
        "nicotine patch, from a note that nobody has signed",
        course(r"not signed.*nicotine patch started"),
    )
    chart.never("critical", "course", "a condition as an event", course("would intubate"))
    chart.never(
        "critical",
        "course",
        "plans",
        course("PFTs"),
        course("palliative"),
        course("likely d/c"),
    )
    chart.never("high", "medicine", "a line of orders", course(r"prednisone 40 mg PO daily x 5"))
    return chart.stay()


_CONSULT = """Gastroenterology Consultation

Reason for consult: hematemesis
Requesting physician: Dr. Okafor

Assessment:
Upper GI bleed in the setting of decompensated alcohol-related cirrhosis, most likely variceal. Hemodynamically
responded to 2 units of packed red cells.

Recommendations:
- Octreotide infusion for 72 hours
- Ceftriaxone 1 g IV daily for 7 days
- If rebleeds, call IR for TIPS

Thank you for involving us. GI will follow.
"""


def cirrhosis() -> Stay:
    """A consult as PDF behind an absolute URL, a procedure note as RTF."""
    chart = Chart(
        "notes-cirrhosis", "notes", "consult as PDF", start="2026-05-01T02:00:00Z", end="2026-05-06T12:00:00Z"
    )
    chart.diagnosis(chart.condition("Esophageal varices with bleeding"), rank=1)
    note(
        chart,
        "consult",
        _CONSULT,
        "2026-05-01T08:30:00Z",
        author="Dr. Sam Ortiz",
        form="pdf",
        binary=True,
        title="Gastroenterology Consult",
    )
    note(
        chart,
        "procedure",
        "PROCEDURE NOTE\nProcedure: Esophagogastroduodenoscopy with band ligation\nIndication: hematemesis\n"
        "Findings: Three columns of large esophageal varices with red wale signs; 5 bands placed with hemostasis.\n"
        "Portal hypertensive gastropathy, “mosaic” pattern.\nComplications: None immediate\nEBL: minimal\n"
        "Plan: repeat EGD in 4 weeks, continue octreotide\n",
        "2026-05-01T14:00:00Z",
        author="Dr. Sam Ortiz",
        form="rtf",
        title="EGD Procedure Note",
    )
    note(
        chart,
        "progress",
        "Interval history: One episode of melena overnight, Hgb stable. Transferred out of ICU.\n"
        "A/P:\n#UGIB: s/p EGD with banding x5. No further hematemesis since 5/1.\n- continue octreotide until 5/4\n"
        "#Hepatic encephalopathy: grade 1 on 5/2, cleared on lactulose and rifaximin.\n#Alcohol "
        "use: CIWA discontinued 5/3 after scores <8 for 24 h.\n",
        "2026-05-03T11:00:00Z",
    )
    chart.says(
        "high",
        "course",
        "what the consultant found",
        course(r"gastroenterology consult, .*sam ortiz.*upper GI bleed.*most likely variceal"),
    )
    chart.says("high", "course", "transfusion", course(r"responded to 2 units of packed red cells"))
    chart.says(
        "high",
        "course",
        "a recommendation as one",
        course(r"\(recommendation\).*octreotide infusion for 72 hours"),
    )
    chart.says("high", "procedure", "bands and haemostasis", item(r"5 bands placed with hemostasis"))
    chart.says("high", "procedure", "no complication, in the note's words", item(r"complications: none immediate"))
    chart.says("medium", "course", "encephalopathy", course(r"hepatic encephalopathy.*cleared on lactulose"))
    chart.never("critical", "course", "a conditional recommendation as one", course("TIPS"))
    chart.never(
        "high",
        "course",
        "a plan",
        course("repeat EGD in 4 weeks"),
        course("continue octreotide"),
    )
    return chart.stay()


def german() -> Stay:
    """ISiK: Compositions in German, authors by reference only."""
    chart = Chart(
        "notes-german",
        "notes",
        "German Compositions",
        start="2026-06-01T08:00:00+02:00",
        end="2026-06-08T11:00:00+02:00",
    )
    chart.diagnosis(chart.condition("Ambulant erworbene Pneumonie"), rank=1)
    composition(
        chart,
        "11506-3",
        "Verlaufsnotiz",
        "2026-06-03T09:10:00+02:00",
        "Dr. med. Anke Brandt",
        {
            "Verlauf": "Am 02.06. hypotensive Episode, Verlegung auf die Intensivstation, dort "
            "Noradrenalin bis 03.06.\nEntfieberung seit dem 03.06. unter Piperacillin/Tazobactam.",
            "Procedere": "Sonographie geplant, Entlassung voraussichtlich Montag.",
            "Familienanamnese": "Vater mit Lungenkarzinom.",
        },
    )
    composition(
        chart,
        "11488-4",
        "Konsil Infektiologie",
        "2026-06-04T15:00:00+02:00",
        "Prof. Dr. Ute Lang",
        {
            "Beurteilung": "Pneumokokkenpneumonie mit parapneumonischem Erguss links, klinisch gebessert.",
            "Empfehlung": "Deeskalation auf Ampicillin i.v. für 5 Tage.",
        },
    )
    chart.says(
        "high",
        "course",
        "Verlegung auf die Intensivstation",
        course(r"verlaufsnotiz, .*brandt.*hypotensive episode"),
    )
    chart.says(
        "high",
        "course",
        "Beurteilung des Konsils",
        course(r"konsil infektiologie, .*lang.*parapneumonischem erguss links"),
    )
    chart.says(
        "medium",
        "course",
        "Empfehlung als solche",
        course(r"\(recommendation\).*deeskalation auf ampicillin"),
    )
    chart.never(
        "critical",
        "course",
        "ein Plan als Ereignis",
        course("sonographie geplant"),
        course("voraussichtlich"),
    )
    chart.never("critical", "family history", "das Karzinom des Vaters", course("lungenkarzinom"))
    return chart.stay(time_zone="Europe/Berlin")


def broken() -> Stay:
    """Notes that cannot be read, or are not the stay's: each is named with its reason, none of them stops the draft."""
    chart = Chart("notes-broken", "notes", "unreadable notes", start="2026-07-01T08:00:00Z", end="2026-07-04T12:00:00Z")
    chart.diagnosis(chart.condition("Cellulitis of left lower limb"), rank=1)
    at = "2026-07-02T09:00:00Z"
    note(chart, "progress", "", at, form="pdf", data=pdf(""), title="Scanned progress note")
    note(chart, "progress", "", at, form="pdf", data=b"%PDF-1.7\n garbage", title="Damaged progress note")
    note(
        chart,
        "consult",
        "",
        at,
        data=b"GIF89a" + bytes(40),
        title="Wound photo consult",
        content=[{"attachment": {"contentType": "image/gif", "data": "R0lGODlh"}}],
    )
    note(
        chart,
        "consult",
        "",
        at,
        title="Foreign consult",
        content=[{"attachment": {"contentType": "text/plain", "url": "https://elsewhere.example/Binary/1"}}],
    )
    note(
        chart,
        "consult",
        "",
        at,
        title="Missing consult",
        content=[{"attachment": {"contentType": "text/plain", "url": "Binary/not-there"}}],
    )
    note(
        chart,
        "progress",
        "A/P: Patient developed a large pulmonary embolism overnight.",
        at,
        title="Wrong chart note",
        docStatus="entered-in-error",
    )
    note(
        chart,
        "progress",
        "Hospital course: Readmitted with a stroke on the left side.",
        "2026-07-09T09:00:00Z",
        title="Later note",
    )
    note(
        chart,
        "progress",
        "Assessment: Erythema receded by 3 cm within 24 hours of IV cefazolin.",
        "2026-07-03T09:00:00Z",
        form="rtf",
    )
    old = note(
        chart,
        "progress",
        "Assessment: Erythema spread to the groin by the second day.",
        "2026-07-02T10:00:00Z",
        title="First version",
    )
    note(
        chart,
        "progress",
        "Assessment: Erythema remained below the knee throughout.",
        "2026-07-02T11:00:00Z",
        relatesTo=[{"code": "replaces", "target": chart.ref(old)}],
    )
    chart.says("high", "course", "the one that can be read", course(r"erythema receded by 3 cm"))
    chart.says("high", "course", "the newer version", course(r"erythema remained below the knee"))
    for title, reason in (
        ("scanned progress note", "scan"),
        ("damaged progress note", "damaged"),
        ("wound photo consult", "image/gif"),
        ("foreign consult", "not a binary of the ehr"),
        ("missing consult", "does not have its text"),
        ("wrong chart note", "entered in error"),
    ):
        chart.says("critical", "course", f"{title} is named", item(rf"{title}.*{reason}"), anywhere=True)
    chart.never("critical", "course", "what was entered in error", course("pulmonary embolism"))
    chart.never("critical", "course", "what was written after the stay", item("readmitted with a stroke"))
    chart.never("critical", "course", "a version that was replaced", course("spread to the groin"))
    return chart.stay()
