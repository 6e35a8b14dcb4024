"""What takes the place of other session libraries, under their names."""
