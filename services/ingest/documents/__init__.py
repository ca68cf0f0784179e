"""From a document's bytes to chunks: formats.py reads each format into blocks, chunking.py cuts blocks into chunks."""
