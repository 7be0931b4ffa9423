"""The ERP as a bare ASGI application.

GET /files            what lies in the inbox and not answered, the answers of the last fortnight, the last dump
GET /files/<name>     one of these
PUT /inbox/<name>     a batch, in the window
GET /me               who we are
GET /layout           which field of a record stands where
/_sandbox/...         see admin.py

HTTP Basic. Faults (app/sandbox/cloud/faults.py) know the operations files.list, file.read, layout.read, batch.send
and me.read.
"""

import base64
import binascii
import secrets
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import unquote

from app.sandbox.cloud.api import Answer
from app.sandbox.cloud.asgi import Message, Receive, Send, hang, parsed, read_body, refusal, reset, send_answer
from app.sandbox.cloud.billing import Billing, Habits
from app.sandbox.cloud.faults import Effect, Fault, Faults
from app.sandbox.cloud.problems import Problem
from app.sandbox.cloud.store import Store
from app.sandbox.legacy.admin import Admin
from app.sandbox.legacy.nights import Nights
from sync_core.clock import Clock
from sync_core.connectors.erp.sandbox_legacy.layout import CODE_PAGE
from sync_core.lanes.batches import BatchWindow

RELEASE = "4.7"
_OPERATIONS = {("GET", "files"): "files.list", ("PUT", "inbox"): "batch.send", ("GET", "me"): "me.read",
               ("GET", "layout"): "layout.read"}  # fmt: skip
_STATUS: dict[Effect, int | None] = {Effect.UNAUTHORISED: 401, Effect.RATE_LIMIT: 429, Effect.STATUS: None}


class SandboxLegacy:
    """The application, with its parts open to whoever runs it in their own process."""

    def __init__(
        self, clock: Clock, *, store: Store, nights: Nights, user: str, password: str, admin_token: str | None
    ) -> None:
        self.clock, self.store, self.nights, self.faults = clock, store, nights, Faults(nights.billing.seed)
        self.user, self.password, self.admin_token = user, password, admin_token
        self.shift = timedelta()  # of its clock, against the machine's
        self.seen: Counter[str] = Counter()  # requests by operation, answered or not
        self._admin = Admin(self)

    def now(self) -> datetime:
        return self.clock.now() + self.shift

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError("sandbox-legacy speaks HTTP only; run it with lifespan and websockets off")
        body = await read_body(receive)
        steps = [unquote(step) for step in scope["path"].strip("/").split("/")]
        if steps[0] == "_sandbox":
            await send_answer(send, self._answered(lambda: self._administer(scope, steps, body)))
            return
        operation = _OPERATIONS.get((scope["method"], steps[0]), "nothing")
        operation = "file.read" if operation == "files.list" and len(steps) > 1 else operation
        self.seen[operation] += 1
        fault = self.faults.take(operation, write=operation == "batch.send")

        def work() -> Answer:
            return self._answered(lambda: self._work(scope, operation, steps, body))

        answer = work() if fault is None else await self._strike(fault, operation, work, scope, receive)
        if answer is None:
            return
        if isinstance(answer.body, bytes):
            await _send_file(send, answer.body)
        else:
            await send_answer(send, answer)

    def close(self) -> None:
        self.store.close()

    def _work(self, scope: Message, operation: str, steps: list[str], body: bytes) -> Answer:
        self._authorise(_header(scope, b"authorization"))
        self.nights.advance(self.now())
        if operation == "me.read":
            return Answer(200, {"product": "sandbox-legacy", "version": RELEASE})
        if operation == "layout.read":
            return Answer(200, self.nights.layout())
        if operation == "files.list":
            return Answer(200, self.nights.listing())
        if operation == "batch.send" and len(steps) > 1:
            told = self.nights.accept(steps[1], body.decode(CODE_PAGE, "replace"), self.now())
            if self.nights.at_once:
                self.nights.night(self.now())
            return Answer(202, told)
        content = self.nights.file(steps[1]) if operation == "file.read" else None
        if content is None:
            raise Problem(404, "not_found", f"nothing is at {scope['path']}")
        return Answer(200, content)

    async def _strike(
        self, fault: Fault, operation: str, work: Callable[[], Answer], scope: Message, receive: Receive
    ) -> Answer | None:
        if fault.effect in (Effect.LATENCY, Effect.DRIP):
            await self.clock.sleep(fault.seconds)
            return work()
        if fault.after_commit:
            work()
        if fault.effect in _STATUS:
            status = _STATUS[fault.effect] or fault.status
            return refusal(Problem(status, "fault", f"{operation} was made to fail with {status}"))
        if fault.effect is Effect.STORES_NOTHING:
            return Answer(202, {})
        await (hang if fault.effect is Effect.HANG else reset)(scope, receive)
        return None

    def _authorise(self, header: str) -> None:
        scheme, _, sent = header.partition(" ")
        try:
            given = base64.b64decode(sent, validate=True) if scheme.lower() == "basic" else b""
        except binascii.Error:
            given = b""
        if not secrets.compare_digest(given, f"{self.user}:{self.password}".encode()):
            raise Problem(401, "unauthorised", "user or password is wrong")

    def _administer(self, scope: Message, steps: list[str], body: bytes) -> Answer:
        sent = _header(scope, b"x-sandbox-token").encode()
        if self.admin_token is None or not secrets.compare_digest(sent, self.admin_token.encode()):
            raise Problem(401, "invalid_token", "send the sandbox's admin token in X-Sandbox-Token")
        self.nights.advance(self.now())
        return self._admin.handle(scope["method"], "/".join(steps[1:]), parsed(body))

    @staticmethod
    def _answered(work: Callable[[], Answer]) -> Answer:
        try:
            return work()
        except Problem as problem:
            return refusal(problem)


async def _send_file(send: Send, content: bytes) -> None:
    kind = f"text/plain; charset={CODE_PAGE}".encode()
    headers = [(b"content-type", kind), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def _header(scope: Message, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name), "")


def build(
    clock: Clock,
    *,
    window: BatchWindow,
    seed: int = 0,
    user: str = "tieline",
    password: str,
    admin_token: str | None = None,
    state: Path | None = None,
    at_once: bool = False,
    habits: Habits | None = None,
) -> SandboxLegacy:
    """The application; with `state` it keeps its records in that file. `at_once`: as its test system, a night after
    each batch and the window always open. Without `admin_token`, no admin surface.
    """
    store = Store(state)
    billing = Billing(store, seed=seed, today=clock.now().date(), habits=habits)
    nights = Nights(store, billing, window, at_once)
    return SandboxLegacy(clock, store=store, nights=nights, user=user, password=password, admin_token=admin_token)
