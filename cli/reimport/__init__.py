"""`countersign cases reimport`: restore events that the chart proves and a restored event stream lacks."""
