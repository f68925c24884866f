"""The store's WAN line: a TCP proxy between routerd and fleetd that counts every byte and can be cut. Shell."""

import asyncio
import socket
import struct

CHUNK_BYTES = 64 << 10
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset and drop what is unsent, as a dead line does


class Wan:
    """`up_bytes` and `down_bytes` are what routerd sent and was sent: TCP payload, TLS included."""

    def __init__(self, port: int, target_port: int = 0) -> None:
        self.port, self.target_port = port, target_port
        self.connections = self.resets = 0
        self._bytes = {"up": 0, "down": 0}
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def is_up(self) -> bool:
        return self._server is not None

    @property
    def up_bytes(self) -> int:
        return self._bytes["up"]

    @property
    def down_bytes(self) -> int:
        return self._bytes["down"]

    async def restore(self) -> None:
        if not self._server:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    def cut(self) -> None:
        """From now on new connections are refused; those that stand are reset, both ways."""
        if self._server:
            self._server.close()
            self._server = None
        for writer in self._writers:
            self.resets += _reset(writer)

    async def _serve(self, store_reader: asyncio.StreamReader, store_writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            cloud_reader, cloud_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            store_writer.transport.abort()
            return
        ends = {store_writer, cloud_writer}
        self._writers |= ends
        try:
            if self.is_up:  # or the line was cut while we were dialling
                up = self._carry("up", store_reader, cloud_writer)
                await asyncio.gather(up, self._carry("down", cloud_reader, store_writer))
        except OSError:
            for writer in ends:  # a reset at one end is one at the other
                _reset(writer)
        finally:
            self._writers -= ends
            for writer in ends:
                writer.close()

    async def _carry(self, direction: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One direction of a connection, until its sender ends. Raises OSError when either end breaks."""
        while chunk := await reader.read(CHUNK_BYTES):
            self._bytes[direction] += len(chunk)
            writer.write(chunk)
            await writer.drain()
        if writer.can_write_eof() and not writer.is_closing():
            writer.write_eof()


def _reset(writer: asyncio.StreamWriter) -> bool:
    """Break it off; False for what has ended already."""
    if writer.is_closing():
        return False
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
    return True
