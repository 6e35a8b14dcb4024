"""Sessions for Flask that are safe by default."""
