"""Synthetic notes with planted identifiers, in the styles of hospital notes: `[[kind|text]]`. All people are invented.

Kinds: `titled` (a name with a title, degree or role), `relative` (a name after a relation), `bare` (a name alone),
`date`, `age` (over 89), `phone`, `number` (of identity), `contact` (e-mail and web addresses), `address`, `place` (a place
of care). What a rule without a record cannot know is planted as well.
"""

NOTES = (
    "Patient Name: [[bare|Harold Finch]]   MRN: [[number|00419077]]   DOB: [[date|3/14/1948]]   CSN: [[number|991000212]]",
    "PCP: [[titled|Okafor, Ngozi, MD]]. Admitted on [[date|03/02/2026]] by [[titled|Dr. Patel]] from [[place|Lakeside Manor]].",
    "HPI: Ms. [[titled|Delacroix]] is a [[age|93]]-year-old woman brought in by her daughter [[relative|Yvonne]] on [[date|2 March 2026]].",
    "Her son [[relative|Marcus Webb]] ([[phone|312-555-0143]]) is health care proxy. Wife [[relative|Ingrid]] was at the bedside.",
    "Discussed with [[titled|Dr. Sanjay Mehta]] and [[titled|Dr. O'Malley]] of cardiology; [[bare|Mehta]] will see him in clinic.",
    "Electronically signed by [[titled|Jordan Lee, MD]] on [[date|3/2/2026]] at 11:42 PM. Pager [[phone|4471]].",
    "Seen with [[titled|Nurse Abernathy]]. Spoke to husband, [[relative|Tom Abara]], by phone at [[phone|(217) 555-0188]].",
    "SW: lives at [[address|410 North Elm Street, Apt 3B]], [[address|Rockford]], IL [[number|61103]] with her sister [[relative|Bernadette]].",
    "E-mail [[contact|h.finch48@mail.example]]; portal [[contact|https://portal.example/p/419077]]. SSN [[number|123-45-6789]].",
    "Attending: [[titled|Krishnamurthy]]. Resident: [[titled|Amy Zhao]]. Social work: [[bare|Denise Harrow]] called back.",
    "Transferred from [[place|St. Brigid Medical Center]] on [[date|Feb 27]]; last seen there [[date|12/2025]] by [[titled|Prof. Lindqvist]].",
    "Policy number [[number|XJH-2291-887]], member ID [[number|W998877661]], accession [[number|MG-26-004417]].",
    "Emergency contact: [[relative|Rosa Delgado]], niece, [[phone|+1 815 555 0122]]. POA: [[relative|Luis Delgado]].",
    "Interval: [[bare|Finch]] slept well. [[bare|Harold]] asked for his glasses. Plan discussed with family on [[date|3/4]].",
    "Operation on [[date|March 3rd, 2026]]: surgeon [[titled|Weatherby]], assistant [[titled|K. Osei, PA-C]], anesthesia [[titled|Dr. Novák]].",
    "Device: pacemaker, serial no. [[number|PJN4471902]], implanted [[date|2019-07-15]]. Next check [[date|14 April 2026]].",
    "Patient of [[titled|Hausarzt Dr. Brandstätter]], Tochter [[relative|Annegret]], wohnhaft [[address|Lindenstraße 14]], Tel. [[phone|030 901820]].",
    "Opgenomen op [[date|2 maart 2026]]; echtgenote [[relative|Marijke de Vries]] gebeld op [[phone|+31 20 624 1111]].",
    "Pt's neighbor [[relative|Mr. Kowalczyk]] found him on [[date|3/1]]. His boss at the [[place|Halvorsen mill]] was told.",
    "Mother [[relative|Agnes]] died at [[age|96]] years of age; father [[relative|Walter]] had a stroke in 1987.",
    "Follow-up: [[titled|Dr. Imani Bakare]], [[phone|312.555.0170]], on [[date|Tuesday 3/17/2026]]; fax [[phone|312-555-0171]].",
    "Per [[bare|Gonzalez]] (RN), the [[bare|Whitcombs]] were unsure. Case manager [[titled|T. Yazzie]] notified.",
    "Cc: [[titled|Theodora Papadakis, MD]]; [[titled|Rahim Siddiqui, DO]]. Dictated [[date|20260303]], ref [[number|7719920041]].",
    "SMITH-ROWE, [[bare|CHARLOTTE]] was called; she goes by [[bare|Lottie]]. Interpreter: [[titled|Mr. Nguyen]].",
    "She is [[age|ninety-one]] years old, born in [[date|1934]], and was a teacher at [[place|Harrow Academy]].",
)  # fmt: skip

CLINICAL = (
    "BP 120/80, HR 88, RR 18, T 37.2, SpO2 94% on 2 L. I/O 1200/3400. Wt 81.5 kg. Pain 8/10 to 3/10, strength 4/5.",
    "Parkinson's disease, Crohn's disease, Hodgkin lymphoma, Bell's palsy, Wernicke encephalopathy, Lewy body dementia.",
    "Foley catheter removed, Swan-Ganz placed, Jackson-Pratt drain 40 mL, Hickman line, Yankauer suction, Holter normal.",
    "Metoprolol succinate 50 mg daily, vancomycin 1250 mg q12h, penicillin G 18000000 units, D5 1/2 NS at 75 mL/h, 1-0-1.",
    "Na 138, K 4.5, Cr 1.25 (H), BNP 2,340, platelets 250000, WBC 11.2, INR 2.5, pH 7.35, lactate 4.1, troponin <0.01.",
    "Apgar 8/9, GCS 15, NIHSS 4, EF 30%, MELD 22, Child-Pugh B, Wells 4.5, Glasgow 14, Karnofsky 70, Braden 18.",
    "Will follow up. May shower. Long-acting insulin. White count rose. Short of breath. Grade 3 murmur. Stage IV.",
    "Mother: Breast cancer. Father: Hypertension. Sister Diabetes type 2. Family History: Colon cancer at 60.",
    "Discussed with Cardiology, Nephrology and Infectious Disease. Per Pharmacy, hold Lasix. Social Work and PT consulted.",
    "CT Chest with Contrast: No PE. MRI Brain: Left MCA stroke. Chest X-Ray: Right Lower Lobe pneumonia. Echo: AS, mild.",
    "Escherichia coli, Klebsiella pneumoniae, Staphylococcus aureus; Clostridioides difficile negative. Candida albicans.",
    "T2DM since 2009, CABG 2015, 40 pack-years, 3 drinks daily, day 5 of 7 of Zosyn, postoperative day 2, week 24+3.",
    "General Hospital Medicine Progress Note. Assessment and Plan: Acute on Chronic Systolic Heart Failure. Code Status: Full Code.",
    "Plavix, Coumadin, Tylenol, Lovenox, Synthroid, Januvia, Humira, Keppra, Ativan given. Allergies: Penicillin, Sulfa.",
    "Colles fracture, Smith fracture, Whipple procedure, Roux-en-Y bypass, Billroth II, Nissen fundoplication, Mohs surgery.",
)  # fmt: skip
