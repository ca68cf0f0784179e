"""SMART App Launch: the EHR opens Countersign for its user, with the stay that is open there.

https://hl7.org/fhir/smart-app-launch/app-launch.html
"""
