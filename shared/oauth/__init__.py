"""OAuth 2.0 as a client: authentication at token endpoints, token requests, keys of issuers.

It knows neither FHIR nor people.
"""
