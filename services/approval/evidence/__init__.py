"""Evidence packs: everything that a third party needs to check one case offline."""
