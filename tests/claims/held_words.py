"""Synonyms and unsupported sentences of the held-out split: not to be read by whoever tunes the check."""

FREQUENCY = {
    "daily": ("every day", "q.d.", "every 24 hours", "q24h"),
    "bid": ("two times a day", "every 12 hours", "q12h"),
    "tid": ("three times per day", "t.i.d.", "every 8 hours"),
    "qid": ("four times a day", "q.i.d.", "every six hours"),
    "weekly": ("once a week", "every week"),
    "bedtime": ("nightly at bedtime", "before bed"),
}
ROUTE = {
    "oral": ("orally", "p.o.", "via the oral route"),
    "iv": ("intravenously", "i.v."),
    "sc": ("subcut", "by subcutaneous injection", "SQ"),
    "im": ("by intramuscular injection", "intramuscularly"),
    "inhaled": ("via inhaler", "inhaled"),
    "nebulized": ("via nebulizer", "by nebulization"),
}
TESTS = {
    "wbc": ("leukocyte count", "white cell count"),
    "hgb": ("Hb", "haemoglobin"),
    "plt": ("Plt", "platelet level"),
    "na": ("Na", "sodium level"),
    "k": ("K", "potassium level"),
    "crea": ("Cr", "creatinine level"),
    "bun": ("urea nitrogen", "blood urea nitrogen"),
    "glc": ("blood sugar", "blood glucose"),
    "crp": ("C-reactive protein",),
    "alb": ("serum albumin", "albumin level"),
    "ast": ("aspartate aminotransferase", "AST level"),
    "alt": ("alanine aminotransferase", "ALT level"),
    "ca": ("serum calcium", "calcium level"),
    "inr": ("INR value",),
    "a1c": ("hemoglobin A1c", "glycated hemoglobin"),
    "bnp": ("B-type natriuretic peptide",),
    "hr": ("HR", "pulse rate"),
    "temp": ("body temperature", "temp"),
    "spo2": ("O2 saturation", "SaO2 by oximetry", "sats"),
    "rr": ("RR", "breathing rate"),
    "weight": ("body weight",),
}
FINDINGS = {
    "leukocytosis": ("an elevated white count", "leucocytosis"),
    "leukopenia": ("a low white count", "leucopenia"),
    "anemia": ("anaemia", "a low hemoglobin"),
    "thrombocytopenia": ("a low platelet count",),
    "hyponatremia": ("hyponatraemia", "low sodium"),
    "hypernatremia": ("hypernatraemia", "high sodium"),
    "hypokalemia": ("hypokalaemia", "low potassium"),
    "hyperkalemia": ("hyperkalaemia", "high potassium"),
    "hyperglycemia": ("hyperglycaemia", "high glucose"),
    "hypoalbuminemia": ("low albumin", "hypoalbuminaemia"),
    "fever": ("pyrexia", "a raised temperature"),
    "hypocalcemia": ("hypocalcaemia", "low calcium"),
}
# A sentence, then words that the record must not have.
WHOLE: dict[str, tuple[tuple[str, ...], ...]] = {
    "vague": (
        ("{He} made a full recovery.", "full recovery"),
        ("{He} responded nicely to therapy.", "respon"),
        ("There were no complications.", "complication"),
        ("{His} condition got better day by day.", "day by day"),
        ("{He} was comfortable and in good spirits.", "comfortable"),
        ("{He} was clinically well when seen on the ward.", "clinically well"),
    ),
    "guideline as fact": (
        ("{He} received teaching on foot care.", "foot care"),
        ("Fall precautions were reviewed with {his} family.", "fall precaution"),
        ("{He} was vaccinated against influenza before leaving.", "influenza vacc"),
        ("Weight loss was recommended to {him}.", "weight loss", "weight reduction"),
        ("A written action plan was handed over.", "action plan"),
        ("{He} was advised to limit fluids to 1.5 liters.", "fluid restriction", "limit fluid"),
    ),
    "follow-up invented": (
        ("{He} is to see an endocrinologist within a month.", "endocrin"),
        ("A gastroenterology visit was booked.", "gastroenter"),
        ("{He} will return for a colonoscopy in six weeks.", "colonoscop"),
        ("An outpatient dermatology review is planned.", "dermat"),
        ("{He} has been referred to physiotherapy.", "physiother", "physical therap"),
    ),
    "procedure never done": (
        ("A biopsy specimen went for histology.", "biops", "histolog", "patholog"),
        ("{He} was placed on a ventilator.", "ventilat", "intubat"),
        ("A drain was inserted.", "drain"),
        ("An arterial line was placed.", "arterial line"),
        ("{He} was given two units of red cells.", "transfus", "red cell"),
    ),
    "social history invented": (
        ("{He} lives with a son.", "son "),
        ("{He} is a retired engineer.", "engineer", "retired"),
        ("{He} uses a wheelchair.", "wheelchair"),
        ("{He} never smoked.", "smok"),
    ),
}
