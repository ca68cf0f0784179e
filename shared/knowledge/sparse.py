"""BM25 sparse vectors by Qdrant's tokenizer and stemmer, the same for both adapters."""

import qdrant_edge as edge

# Chunks are short: their usual length is what term frequencies are weighed against.
BM25 = edge.Bm25(edge.Bm25Config(language="english", avg_len=100))
