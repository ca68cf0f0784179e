"""The patient that the awkward records share."""

from tests.stays.build import Chart
from tests.stays.elements import MRN, identifier

START, END = "2026-03-16T10:30:00Z", "2026-03-23T14:00:00Z"


def awkward(name: str, about: str, *, start: str = START, end: str = END, disposition: str | None = "home") -> Chart:
    """A chart of one adult with a hospital number of its own."""
    chart = Chart(f"odd-{name}", "awkward", about, start=start, end=end, disposition=disposition)
    chart.patient |= {"gender": "male", "birthDate": "1970-10-22"}
    chart.patient["name"] = [{"use": "official", "family": "Tamm", "given": [name.capitalize()]}]
    chart.patient["identifier"] = [identifier(f"AW/{name}", MRN, "urn:oid:1.2.3.4.5")]
    return chart
