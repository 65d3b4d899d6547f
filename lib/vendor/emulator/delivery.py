"""How an answer reaches the wire: compressed, whole; or cut, stalled, reset, with a wrong length."""

import gzip
import socket
import struct
from asyncio import to_thread
from dataclasses import dataclass
from email.utils import format_datetime

from aiohttp import web
from aiohttp.web_request import BaseRequest

from lib.clock import Clock
from lib.vendor.emulator.faults import Fault
from lib.vendor.emulator.faults import FaultKind as Kind
from lib.vendor.emulator.wire import Answer

_COMPRESSION = 1
_SLOW_PARTS = 20
_BIG = 100_000
_BODILY = {Kind.SLOW_BODY, Kind.RESET_MID_BODY, Kind.LENGTH_TOO_LONG, Kind.LENGTH_TOO_SHORT}


@dataclass(frozen=True, slots=True)
class Parcel:
    """An answer as bytes: ready to be sent, any number of times."""

    status: int
    headers: dict[str, str]
    body: bytes


async def pack(answer: Answer, faults: list[Fault], *, compress: bool) -> Parcel:
    """Render *answer*, with the faults that lie in its bytes."""
    kinds = {fault.kind for fault in faults}
    body = answer.rendered()
    if Kind.TRUNCATED_JSON in kinds:
        body = body[: len(body) * 2 // 3]
    if Kind.BOM in kinds:
        body = b"\xef\xbb\xbf" + body
    headers = {
        "Content-Type": answer.content_type,
        "Vary": "Accept-Encoding",
        "X-Request-Id": answer.request_id,
        "Server": "nginx/1.19.2",
        **answer.headers,
    }
    if compress and body:
        body = await _compressed(body)
        headers["Content-Encoding"] = "gzip"
    if Kind.TRUNCATED_GZIP in kinds:
        body = body[: len(body) * 2 // 3]
    return Parcel(answer.status, headers, body)


async def _compressed(body: bytes) -> bytes:
    if len(body) < _BIG:
        return gzip.compress(body, _COMPRESSION)
    return await to_thread(gzip.compress, body, _COMPRESSION)


async def deliver(
    request: BaseRequest, parcel: Parcel, faults: list[Fault], clock: Clock
) -> web.StreamResponse:
    """Send *parcel*, with the faults that happen on the way."""
    by_kind = {fault.kind: fault for fault in faults}
    if Kind.STALL in by_kind:
        await clock.sleep(by_kind[Kind.STALL].seconds)
    if Kind.RESET in by_kind:
        _reset(request)
    headers = {**parcel.headers, "Date": format_datetime(clock.now(), usegmt=True)}
    bodily = by_kind.keys() & _BODILY
    if not bodily:
        return web.Response(status=parcel.status, headers=headers, body=parcel.body)
    response = web.StreamResponse(status=parcel.status, headers=headers)
    await _deliver_badly(request, response, parcel.body, by_kind[bodily.pop()], clock)
    return response


async def _deliver_badly(
    request: BaseRequest, response: web.StreamResponse, body: bytes, fault: Fault, clock: Clock
) -> None:
    response.content_length = _announced(fault.kind, len(body))
    await response.prepare(request)
    if fault.kind is Kind.SLOW_BODY:
        await _trickle(response, body, fault.seconds, clock)
    elif fault.kind is Kind.RESET_MID_BODY:
        await response.write(body[: len(body) // 2])
        _reset(request)
    else:
        await response.write(body)
        _close(request)


def _announced(kind: Kind, length: int) -> int:
    return {Kind.LENGTH_TOO_LONG: length + 1000, Kind.LENGTH_TOO_SHORT: length // 2}.get(kind, length)


async def _trickle(response: web.StreamResponse, body: bytes, seconds: float, clock: Clock) -> None:
    size = max(1, len(body) // _SLOW_PARTS)
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    for part in parts:
        await clock.sleep(seconds / len(parts))
        await response.write(part)


def _close(request: BaseRequest) -> None:
    if request.transport:
        request.transport.close()


def _reset(request: BaseRequest) -> None:
    """Break the connection so that the other side sees a reset, not an orderly end."""
    if request.transport:
        connection: socket.socket = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
