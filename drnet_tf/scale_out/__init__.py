"""Dissection spread over many machines, with the bytes of the local run."""
