"""The HTTP routes of a server that stands in front of a cluster, where they are others than those of a store."""
