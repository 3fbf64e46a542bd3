"""The command cases: what Redis does, written once, to be asked of every door of Keystead and of a real redis-server.

One module a family; each fills a `Family`. `case` is the vocabulary; `play` runs a case against a peer and compares.
"""

from cases import acl, bits, connection, expiry, keys, protocol, server, strings, transactions
from cases.case import Case, Family

FAMILIES: list[Family] = [
    module.family for module in (strings, bits, keys, expiry, transactions, connection, acl, server, protocol)
]
ALL_CASES: list[Case] = [case for family in FAMILIES for case in family.cases]
