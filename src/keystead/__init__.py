"""Keystead: a durable key-value store for Python teams."""

__version__ = "0.1.0"
