"""Executor two: the data is in a Redis or Valkey Cluster.

No command has code here but the few whose way is their own: where the others go is read from their declarations
(`routes`). Requests and replies are bytes that are handed on as they came. Callbacks only; the cluster itself, its
nodes, redirections and what an acknowledgement promises are `keystead.cluster`'s business.
"""
