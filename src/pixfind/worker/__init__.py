"""One process that embeds: prefetch, decode, model, save. Never sees the library or SQLite."""
