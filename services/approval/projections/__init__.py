"""Read models that follow the event stream and are kept in memory."""
