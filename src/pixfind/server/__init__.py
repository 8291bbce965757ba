"""
The library opened to a browser and to programs: an HTTP API, a page, and a server for agents.

`server` listens, `access` decides who may ask, `app` says which question goes where; `search`, `images`, `embed_control` and `openai_api`
answer. Must not know the terminal: `cli` starts it.
"""
