"""Stores. Each is imported from its own path, so that no driver is imported for another."""
