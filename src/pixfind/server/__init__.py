"""
The library for browsers and programs: an HTTP API, a web page, and an MCP server for agents.

`server` listens, `access` checks each request, `app` routes it; `search`, `images`, `embed_control` and `openai_api` compute the response.
Must not know the terminal: `cli` starts it.
"""
