"""Building the small network."""
