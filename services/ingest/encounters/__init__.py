"""Encounters that a notification or the poll named: read in the EHR, and reported as discharged or cancelled."""
