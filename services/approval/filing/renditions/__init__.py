"""The signed text in the other forms that are filed beside it: XHTML, PDF, FHIR document."""
