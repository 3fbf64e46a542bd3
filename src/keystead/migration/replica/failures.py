"""What can be wrong with a snapshot."""

from keystead.migration.source import FollowingRefused, SourceFailed


class DamagedSnapshot(SourceFailed):
    """The snapshot that a server sent ends too early, fails its checksum, or has what the format does not have."""


class UnknownSnapshot(FollowingRefused):
    """The snapshot is of a newer version, or has a type of value, that is not known here. Copying by SCAN and DUMP does
    not need to know it."""


class ValueTooLarge(SourceFailed):
    """A value is over the bound that one value may take in memory."""
