"""
The library opened to a browser and to programs: an HTTP API, a page, and a server for agents.

`server` listens, `guard` decides who may ask, `app` says which question goes where; `finding`, `pictures`, `running` and `embeddings`
answer. Must not know the terminal: `cli` starts it.
"""
