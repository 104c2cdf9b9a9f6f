"""What people annotate: labels, links and rules, as one versioned document."""
