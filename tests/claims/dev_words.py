"""Synonyms of the development split, and sentences that no record of the corpus supports."""

FREQUENCY = {
    "daily": ("daily", "once daily", "once a day", "QD"),
    "bid": ("twice daily", "BID", "b.i.d."),
    "tid": ("three times daily", "TID", "three times a day"),
    "qid": ("four times daily", "QID", "q6h", "every 6 hours"),
    "weekly": ("once weekly", "weekly"),
    "bedtime": ("at bedtime", "QHS"),
}
ROUTE = {
    "oral": ("PO", "by mouth", "orally"),
    "iv": ("IV", "intravenously"),
    "sc": ("SC", "subcutaneously"),
    "im": ("IM", "intramuscularly"),
    "inhaled": ("inhaled", "by inhalation"),
    "nebulized": ("by nebulizer", "nebulized"),
}
TESTS = {
    "wbc": ("WBC", "white blood cell count"),
    "hgb": ("Hgb", "hemoglobin"),
    "plt": ("platelet count", "platelets"),
    "na": ("sodium", "serum sodium"),
    "k": ("potassium", "serum potassium"),
    "crea": ("creatinine", "serum creatinine"),
    "bun": ("BUN",),
    "glc": ("glucose", "serum glucose"),
    "crp": ("CRP",),
    "alb": ("albumin",),
    "ast": ("AST",),
    "alt": ("ALT",),
    "ca": ("calcium",),
    "inr": ("INR",),
    "a1c": ("HbA1c", "A1c"),
    "bnp": ("BNP",),
    "hr": ("heart rate", "pulse"),
    "temp": ("temperature",),
    "spo2": ("oxygen saturation", "SpO2"),
    "rr": ("respiratory rate",),
    "weight": ("weight",),
}
FINDINGS = {
    "leukocytosis": ("leukocytosis",),
    "leukopenia": ("leukopenia",),
    "anemia": ("anemia",),
    "thrombocytopenia": ("thrombocytopenia",),
    "hyponatremia": ("hyponatremia",),
    "hypernatremia": ("hypernatremia",),
    "hypokalemia": ("hypokalemia",),
    "hyperkalemia": ("hyperkalemia",),
    "hyperglycemia": ("hyperglycemia",),
    "hypoalbuminemia": ("hypoalbuminemia",),
    "fever": ("fever",),
    "hypocalcemia": ("hypocalcemia",),
}
# A sentence, then words that the record must not have.
WHOLE: dict[str, tuple[tuple[str, ...], ...]] = {
    "vague": (
        ("{His} symptoms resolved completely.", "symptoms resolved", "symptom-free"),
        ("{He} tolerated treatment well.", "tolerat"),
        ("{He} improved steadily over the stay.", "improv"),
        ("The hospital course was uncomplicated.", "uncomplicated", "uneventful"),
        ("{He} felt much better.", "better"),
        ("{He} remained stable throughout.", "stable"),
    ),
    "guideline as fact": (
        ("{He} was taught sick-day rules.", "sick-day", "sick day"),
        ("{He} was counselled on smoking cessation.", "smok"),
        ("A low-sodium diet was explained to {him}.", "low-salt", "sodium diet", "salt diet"),
        ("Pneumococcal vaccination was given before discharge.", "pneumococ"),
        ("{He} was enrolled in pulmonary rehabilitation.", "pulmonary rehab"),
        ("Inhaler technique was checked before discharge.", "technique"),
    ),
    "follow-up invented": (
        ("Follow-up with cardiology was arranged in two weeks.", "cardiolog"),
        ("{He} has an appointment with nephrology next month.", "nephrolog", "renal unit"),
        ("Neurology follow-up is scheduled in 10 days.", "neurolog"),
        ("{He} will be seen in the wound clinic.", "wound clinic"),
        ("A home visit by a dietitian was arranged.", "dietit", "dietic"),
    ),
    "procedure never done": (
        ("Tissue was sent to pathology.", "patholog", "histolog"),
        ("{He} was intubated.", "intubat", "ventilat"),
        ("A chest tube was placed.", "chest tube", "thoracost"),
        ("A central line was placed.", "central line", "central venous", "picc", "centrally", "venous port"),
        ("{He} required vasopressors.", "vasopress", "noradren", "norepin"),
    ),
    "social history invented": (
        ("{He} lives with a daughter.", "daughter"),
        ("{He} works as a teacher.", "teacher"),
        ("{He} drinks alcohol daily.", "alcohol"),
        ("{He} has smoked for many years.", "smok"),
    ),
}
