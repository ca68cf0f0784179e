"""`countersign cases reimport`: what the chart has and a restored trail does not."""
