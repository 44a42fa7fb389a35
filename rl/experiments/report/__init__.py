"""A report on runs that one can send to somebody: one HTML file, without network."""
