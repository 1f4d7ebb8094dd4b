"""Where the queries of an evaluation come from."""
