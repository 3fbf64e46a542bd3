"""The same store over HTTP: connections, guards, routes. In the server's process and loop, before its executor."""
