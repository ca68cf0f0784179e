"""Clinical notes: text from any format, sections and sentences, and the sentences that the hospital course quotes."""
