"""Convert documents into chunks: formats.py parses each format into blocks, chunking.py cuts blocks into chunks."""
