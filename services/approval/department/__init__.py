"""What the supervisor of a department works with: its open reviews by attending, reminders, names and figures."""
