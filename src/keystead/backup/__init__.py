"""Backups: copies of what never changes, kept elsewhere, and stores made from them again. Follows docs/backup.md.

Owns: repositories, the places they are in, taking, shipping, restoring, verifying. Must not know: the server, which is
never asked and never told; commands; how progress is shown.
"""
