"""Signed documents as HL7v2 MDM messages, over MLLP."""
