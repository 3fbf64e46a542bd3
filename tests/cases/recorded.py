"""Stub to be filled."""
RECORDED_CASES = []
