"""
A response that lasts, such as an event stream: one of few that a client may have at a time.

Must not know what is sent.
"""

import contextlib
from typing import Any

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from pixfind.server import file_response


class CountedResponse(StreamingResponse):
    """A stream that is counted from its first byte to its end."""

    def __init__(self, counted: contextlib.AbstractContextManager[None], *content: Any, **options: Any) -> None:
        super().__init__(*content, **options)
        self._counted = counted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get(file_response.IS_HEAD):
            # Its body never ends, and nobody would read it.
            await Response(headers=dict(self.headers)).__call__(scope, receive, send)
            return
        with self._counted:
            await super().__call__(scope, receive, send)
