"""The log read: forwards for followers, backwards for a key's past, up to a moment for the whole keyspace."""
