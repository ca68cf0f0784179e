"""Clinical notes: their text from any format, their sections and sentences, and what of them the course quotes."""
