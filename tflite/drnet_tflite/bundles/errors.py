"""The one error of bundles."""

from __future__ import annotations


class BundleError(ValueError):
    """A bundle is damaged or too new, or a request does not fit it."""
