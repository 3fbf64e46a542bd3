"""Moving all keys from one store to another while the first one goes on serving: copy, follow, verify, cut over.

Everything that is moved is an absolute fact (this key is this, until then), so whatever is interrupted is done again
from an earlier place with the same end. Must not know: the command line, the server, what commands mean.
"""
