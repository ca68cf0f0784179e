"""HL7v2: messages, MLLP frames, and a client that sends one message at a time."""
