"""HL7v2 over MLLP: ADT messages become facts about visits, and these become facts about encounters."""
