"""Words for plants and synonyms: common names that any clinician knows, written down for this set (no copied list)."""

import re
from collections.abc import Iterator

from shared.contracts.context import EncounterContext

# (name, further names by which a record may already have it)
DRUGS = (
    ("warfarin", "coumadin"),
    ("digoxin", "lanoxin"),
    ("amiodarone", "cordarone"),
    ("methotrexate", "trexall"),
    ("lithium", "lithobid"),
    ("phenytoin", "dilantin"),
    ("clozapine", "clozaril"),
    ("tacrolimus", "prograf"),
    ("allopurinol", "zyloprim"),
    ("spironolactone", "aldactone"),
    ("gabapentin", "neurontin"),
    ("sertraline", "zoloft"),
    ("hydralazine", "apresoline"),
    ("ranolazine", "ranexa"),
    ("doxycycline", "vibramycin"),
    ("finasteride", "proscar"),
)
# Generic name of the record -> brand.
BRANDS = {
    "amlodipine": "Norvasc",
    "atorvastatin": "Lipitor",
    "carvedilol": "Coreg",
    "candesartan": "Atacand",
    "enoxaparin": "Lovenox",
    "acetaminophen": "Tylenol",
    "ciprofloxacin": "Cipro",
    "clopidogrel": "Plavix",
    "furosemide": "Lasix",
    "pantoprazole": "Protonix",
    "metformin": "Glucophage",
    "apixaban": "Eliquis",
    "rivaroxaban": "Xarelto",
}
DIAGNOSES = (
    ("cirrhosis", "liver disease", "hepat"),
    ("multiple sclerosis", "sclerosis"),
    ("rheumatoid arthritis", "arthritis"),
    ("gout", "gouty"),
    ("hypothyroidism", "thyroid"),
    ("Parkinson's disease", "parkinson"),
    ("sarcoidosis", "sarcoid"),
    ("ulcerative colitis", "colitis"),
    ("psoriasis", "psoria"),
    ("lupus nephritis", "lupus"),
    ("endocarditis", "endocard"),
    ("acute pancreatitis", "pancrea"),
    ("tuberculosis", "tubercul"),
    ("meningitis", "mening"),
)
# A record with one of these does not lack the others.
RELATED = (
    ("overweight", "obesity", "obese"),
    ("alcohol", "ethanol"),
    ("pneumonia", "influenza", "respiratory tract infection"),
    ("pyelonephritis", "urinary tract infection", "nephritis"),
    ("kidney", "renal"),
    ("hyperlipidemia", "hypercholesterolemia", "dyslipidemia", "lipid"),
    ("fracture", "broken"),
    ("anemia", "anaemia"),
    ("hemiparesis", "infarction", "stroke"),
    ("coronary", "ischemic heart", "myocardial", "nstemi"),
)
# What the record calls it (lower case, as a part of the text) -> another name of the same.
ABBREVIATIONS = {
    "ckd": ("CKD", "chronic kidney disease"),
    "copd": ("COPD", "chronic obstructive pulmonary disease"),
    "chronic obstructive pulmonary disease": ("COPD", "chronic obstructive pulmonary disease"),
    "type 2 diabetes": ("T2DM", "type 2 diabetes mellitus"),
    "atrial fibrillation": ("AF", "atrial fibrillation"),
    "hypertension": ("HTN", "high blood pressure"),
    "urinary tract infection": ("UTI", "urinary tract infection"),
    "pulmonary embolism": ("PE", "pulmonary embolism"),
    "myocardial infarction": ("MI", "myocardial infarction"),
    "heart failure": ("CHF", "heart failure"),
    "dyslipidemia": ("hyperlipidemia", "dyslipidemia"),
    "ischemic heart disease": ("ischaemic heart disease", "ischemic heart disease"),
    "stroke": ("CVA", "stroke"),
}
PROCEDURES = (
    ("hemodialysis", "dialysis", "haemodialysis"),
    ("a colonoscopy", "colonoscop"),
    ("a lumbar puncture", "lumbar"),
    ("an appendectomy", "append"),
    ("a coronary angiogram", "angiogra", "coronary"),
    ("a blood transfusion", "transfus"),
    ("a thoracentesis", "thoracentesis", "pleural"),
    ("a tracheostomy", "tracheo"),
    ("a bronchoscopy", "bronchosc"),
    ("a liver biopsy", "biopsy"),
    ("pacemaker implantation", "pacemaker"),
    ("a cholecystectomy", "cholecyst"),
)
IMAGING = (
    ("An MRI of the brain", "mri", "magnetic"),
    ("A renal ultrasound", "ultraso", "sonogra"),
    ("A CT of the abdomen", "ct ", "tomograph"),
    ("An echocardiogram", "echo"),
    ("A PET scan", "pet "),
    ("A chest CT", "ct ", "tomograph"),
    ("A lower-extremity duplex", "duplex", "doppler", "ultraso"),
    ("A bone scan", "bone scan", "scintigra"),
)
ALLERGIES = (
    ("sulfa drugs", "sulf"),
    ("penicillin", "cillin"),
    ("latex", "latex"),
    ("iodinated contrast", "contrast", "iod"),
    ("shellfish", "shellfish", "seafood"),
    ("codeine", "codein", "opiate", "opioid"),
    ("NSAIDs", "nsaid", "ibuprofen", "aspirin", "diclofenac"),
    ("cephalosporins", "cef", "ceph"),
)


def text_of(context: EncounterContext) -> str:
    """All words of a record, in lower case, without the names of its fields and its references."""
    return " \n ".join(_texts(context.model_dump(exclude={"open_points"}))).casefold()


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            if key not in ("source", "codes", "products", "normal"):
                yield from _texts(item)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _texts(item)


def absent(items: tuple[tuple[str, ...], ...], said: str, half: int) -> list[str]:
    """Of this split's half of the list, the names of which the record has none of the names."""
    return [item[0] for item in items[half::2] if not any(_bare(name).casefold() in said for name in item)]


def _bare(name: str) -> str:
    return re.sub(r"^(?:an?|the) ", "", name, flags=re.IGNORECASE)


# Substance of an allergy, in lower case -> medicines that it forbids (the same substance or its class).
MEETS = {
    "sulfonamide": ("trimethoprim-sulfamethoxazole", "sulfamethoxazole", "bactrim", "septra"),
    "sulfa": ("trimethoprim-sulfamethoxazole", "sulfamethoxazole"),
    "penicillin": ("amoxicillin", "piperacillin-tazobactam", "ampicillin", "penicillin v"),
    "penicillin g": ("amoxicillin", "piperacillin-tazobactam", "ampicillin"),
    "amoxicillin": ("ampicillin", "augmentin"),
    "aspirin": ("aspirin", "acetylsalicylic acid"),
    "sulfonamide antibiotics": ("trimethoprim-sulfamethoxazole", "sulfamethoxazole"),
    "penicillins": ("amoxicillin", "piperacillin-tazobactam", "ampicillin"),
    "morphine": ("morphine", "ms contin"),
    "ondansetron": ("ondansetron", "zofran"),
    "metronidazole": ("metronidazole", "flagyl"),
    "cefazolin": ("cefazolin", "cephalexin"),
    "carbamazepine": ("carbamazepine", "tegretol"),
    "lamotrigine": ("lamotrigine", "lamictal"),
    "vancomycin": ("vancomycin", "vancocin"),
    "codeine": ("codeine", "co-codamol"),
    "ibuprofen": ("ibuprofen", "advil"),
    "nsaids": ("ibuprofen", "naproxen", "diclofenac", "ketorolac"),
    "nsaid": ("ibuprofen", "naproxen", "diclofenac", "ketorolac"),
}
