"""Discharges that Appointments of the EHR plan."""
