"""The only rooms with an outside handle, one for each thing outside: files, database, processes, sockets."""
