"""The development set for the sentence check: true sentences and planted errors over the stays of the corpus."""
