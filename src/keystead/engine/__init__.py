"""The durable keyspace: synchronous, and ignorant of protocols and command names."""
