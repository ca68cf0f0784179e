"""BM25 sparse vectors by Qdrant's tokenizer and stemmer, the same for both adapters."""

import qdrant_edge as edge

# Chunks are short: term frequencies are normalized by their usual length.
BM25 = edge.Bm25(edge.Bm25Config(language="english", avg_len=100))
