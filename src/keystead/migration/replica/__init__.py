"""Reading a Redis or Valkey server, or all primaries of a cluster, as a replica does: its keys at a moment, then its
changes.

Everything here blocks: the one who reads pulls, and a thread a connection receives meanwhile (see receiving). A command
line tool has nothing else to do, and bytes pulled are the simplest thing to parse. Must not know: where keys go.
"""
