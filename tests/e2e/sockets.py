"""WebSocket sessions of a capsule."""

import base64
import json

import websocket

WAIT_SECONDS = 30


class Session:
    def __init__(self, capsule, route, header_key=True):
        header = [f"X-API-Key: {capsule.platform.key}"] if header_key else []
        self.socket = websocket.create_connection(capsule.websocket_url(route), header=header, timeout=WAIT_SECONDS)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, **message):
        self.socket.send(json.dumps(message))

    def receive(self):
        """The next message, or None once the server has closed."""
        try:
            text = self.socket.recv()
        except websocket.WebSocketConnectionClosedException:
            return None
        return json.loads(text) if text else None

    def until(self, *types):
        """All messages up to the first of these types, that one included."""
        seen = []
        while True:
            message = self.receive()
            assert message is not None, f"closed before {types}; seen {seen[-5:]}"
            seen.append(message)
            if message["type"] in types:
                return seen


def output(messages, kind="output"):
    return b"".join(base64.b64decode(m["data"]) for m in messages if m["type"] == kind)
