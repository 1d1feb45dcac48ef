"""The only rooms with an outside handle, one for each outside thing: files, database, directories, processes, sockets."""
