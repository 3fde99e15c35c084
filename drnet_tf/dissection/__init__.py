"""Dissection: methods that tell how much every channel matters to a class."""
