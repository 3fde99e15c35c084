"""Bundles: one full network, out of which any sub-task is cut on the device.

NumPy is all that reading and cutting needs; `docs/bundle_format.md` has the
format.
"""
