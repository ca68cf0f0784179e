"""Absences of attending physicians: who covers for whom in a department, from when until when."""
