"""SMART Backend Services: obtain access tokens for a FHIR server as a registered client.

https://hl7.org/fhir/smart-app-launch/backend-services.html
"""
