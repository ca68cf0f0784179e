"""How texts come to their end: erasure, legal hold, retention."""
