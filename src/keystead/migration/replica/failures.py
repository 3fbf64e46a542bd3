"""What can be wrong with a snapshot."""

from keystead.migration.source import SourceFailed


class DamagedSnapshot(SourceFailed):
    """The snapshot that a server sent ends too early, fails its checksum, or has what the format does not have."""


class UnknownSnapshot(SourceFailed):
    """The snapshot is of a newer version, or has a type of value, that cannot be told apart here. Copying by SCAN and
    DUMP does not need to understand it."""


class ValueTooLarge(SourceFailed):
    """A value is over the bound that one value may take in memory."""
