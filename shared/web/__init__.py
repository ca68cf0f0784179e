"""Pages that services render: their layout, headers, navigation and style sheet."""
