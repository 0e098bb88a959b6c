"""Wavegate."""
