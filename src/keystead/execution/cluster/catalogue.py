"""Imports every module that has a way of its own, so that `WAYS` has them all, and the declarations they are for."""

from keystead.commands.catalogue import REGISTRY
from keystead.execution.cluster import databases, information, key_scans, replication, transactions
from keystead.execution.cluster.ways import WAYS

__all__ = ["REGISTRY", "WAYS", "databases", "information", "key_scans", "replication", "transactions"]
