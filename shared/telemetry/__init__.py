"""What the services say of themselves: names, spans, metrics, logs. It imports no other room."""
