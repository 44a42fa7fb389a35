"""A report on runs to send to somebody: a single HTML file that works offline."""
