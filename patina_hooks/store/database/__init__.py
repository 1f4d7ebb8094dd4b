"""The SQLite file: connections, the schema, and whether a file has it."""
