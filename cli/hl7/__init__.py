"""Look at HL7v2 messages, send them and listen for them."""
