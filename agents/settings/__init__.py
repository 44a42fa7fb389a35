"""Settings: fields, types and defaults; text, YAML and recipes."""
