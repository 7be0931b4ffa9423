"""The ERP as a bare ASGI application: one small router, because its own cost would show in every benchmark."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TypeAlias
from urllib.parse import parse_qs, parse_qsl

from app.sandbox.cloud.admin import Admin
from app.sandbox.cloud.api import Answer, Api, Call, kind_at
from app.sandbox.cloud.asgi import (
    Message,
    Receive,
    Send,
    drip_answer,
    hang,
    parsed,
    read_body,
    refusal,
    reset,
    send_answer,
)
from app.sandbox.cloud.billing import Billing, Habits
from app.sandbox.cloud.faults import Effect, Fault, Faults
from app.sandbox.cloud.ledger import Ledger, WriteRequest
from app.sandbox.cloud.problems import Problem
from app.sandbox.cloud.revenue import Revenue
from app.sandbox.cloud.routes import Route, call_of, shape_of, table
from app.sandbox.cloud.store import Store
from app.sandbox.cloud.tokens import Tokens
from sync_core.clock import Clock

Work: TypeAlias = Callable[[bool], Answer]  # does the request's work; False: and forgets it

RELEASE = "2026.3.1"  # that it says it runs
_DAY = timedelta(days=1)
_ADMIN = "sandbox.admin"  # never made to fail


@dataclass(frozen=True, slots=True)
class Job:
    """A request that found its operation."""

    operation: str
    write: bool
    work: Work
    noted: WriteRequest | None = None


class SandboxCloud:
    """The application, with its parts open to whoever runs it in their own process."""

    def __init__(
        self, clock: Clock, *, store: Store, billing: Billing, tokens: Tokens, api: Api, admin_token: str | None
    ) -> None:
        self.clock, self.store, self.billing, self.tokens = clock, store, billing, tokens
        self.faults, self.ledger = Faults(billing.seed), Ledger()
        self.api, self.admin_token = api, admin_token
        self._admin = Admin(store, billing, self.faults, self.ledger, tokens, api)
        self._routes = table(api)

    @property
    def _runs(self) -> dict[str, str]:
        """Each answer says which release made it."""
        return {"X-Release": self.api.release}

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError("sandbox-cloud speaks HTTP only; run it with lifespan and websockets off")
        body = await read_body(receive)
        job = self._job(scope, body)
        if job is None:
            await send_answer(send, refusal(Problem(404, "not_found", f"nothing is at {scope['path']}")))
            return
        fault = None if job.operation == _ADMIN else self.faults.take(job.operation, write=job.write)
        answer = job.work(True) if fault is None else await self._strike(fault, job, scope, receive)
        if answer is None:
            return
        if job.noted is not None:
            job.noted.status = answer.status
        if fault is not None and fault.effect is Effect.DRIP:
            await drip_answer(send, answer, self.clock, fault.seconds)
        else:
            await send_answer(send, answer)

    def close(self) -> None:
        self.store.close()

    def _job(self, scope: Message, body: bytes) -> Job | None:
        path: bytes = scope["raw_path"]
        if path == b"/oauth/token":
            return Job("token.issue", False, lambda _: self._answered(lambda: self._issue(body)))
        if path.startswith(b"/_sandbox/"):
            return Job(_ADMIN, False, lambda _: self._answered(lambda: self._administer(scope, body)))
        call = call_of(scope["method"], path, scope["query_string"])
        route = self._routes.get(shape_of(call)) if call else None
        if call is None or route is None:
            return None
        noted = None
        if route.write:
            noted = WriteRequest(route.operation, scope["path"], call.keys, self.clock.now())
            self.ledger.requests.append(noted)
        return Job(route.operation, route.write, lambda keep: self._work(route, call, scope, body, noted, keep), noted)

    def _work(
        self, route: Route, call: Call, scope: Message, body: bytes, noted: WriteRequest | None, keep: bool
    ) -> Answer:
        self.billing.advance(self.clock.now().date() - _DAY)

        def work() -> Answer:
            self.tokens.check(_header(scope, b"authorization"))
            kind, names = kind_at(call), self.api.names
            call.body = names.inward(kind, parsed(body))
            answer = route.handler(call)
            return Answer(answer.status, names.outward(kind, answer.body), {**answer.headers, **self._runs})

        try:
            answer = self._answered(work)
            if keep and answer.status < 400:
                self.ledger.book(self.store, self.store.commit(), noted)
            return answer
        finally:
            self.store.rollback()  # after a commit there is nothing left to undo

    async def _strike(self, fault: Fault, job: Job, scope: Message, receive: Receive) -> Answer | None:
        effect = fault.effect
        if job.noted is not None:
            job.noted.fault = effect
        if effect is Effect.LATENCY:
            await self.clock.sleep(fault.seconds)
        if effect in (Effect.LATENCY, Effect.DRIP, Effect.STORES_NOTHING):
            return job.work(effect is not Effect.STORES_NOTHING)
        if fault.after_commit:
            job.work(True)
        if effect in _FAULT_STATUS:
            headers = {"retry-after": fault.retry_after} if fault.retry_after is not None else {}
            status = _FAULT_STATUS[effect] or fault.status
            return refusal(Problem(status, "fault", f"{job.operation} was made to fail with {status}", headers))
        await (hang if effect is Effect.HANG else reset)(scope, receive)
        return None

    def _issue(self, body: bytes) -> Answer:
        return Answer(200, self.tokens.issue(dict(parse_qsl(body.decode("utf-8", "replace")))))

    def _administer(self, scope: Message, body: bytes) -> Answer:
        sent = _header(scope, b"x-sandbox-token").encode()
        if self.admin_token is None or not secrets.compare_digest(sent, self.admin_token.encode()):
            raise Problem(401, "invalid_token", "send the sandbox's admin token in X-Sandbox-Token")
        query = parse_qs(scope["query_string"].decode("ascii", "replace"))
        path = scope["path"].removeprefix("/_sandbox/")
        return self._admin.handle(scope["method"], path, query, parsed(body))

    def _answered(self, work: Callable[[], Answer]) -> Answer:
        try:
            return work()
        except Problem as problem:
            return refusal(problem)


_FAULT_STATUS: Mapping[Effect, int | None] = {
    Effect.UNAUTHORISED: 401,
    Effect.RATE_LIMIT: 429,
    Effect.STATUS: None,
}


def _header(scope: Message, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name), "")


def build(
    clock: Clock,
    *,
    seed: int = 0,
    client_id: str = "tieline",
    client_secret: str,
    admin_token: str | None = None,
    state: Path | None = None,
    unique_keys: bool = True,
    token_lasts: timedelta = timedelta(hours=1),
    habits: Habits | None = None,
    release: str = RELEASE,
) -> SandboxCloud:
    """The application; with `state` it keeps its records in that file. Without `admin_token`, no admin surface."""
    store = Store(state)

    def today() -> date:
        return clock.now().date()

    billing = Billing(store, seed=seed, today=today(), habits=habits, revenue=Revenue(store))
    return SandboxCloud(
        clock,
        store=store,
        billing=billing,
        tokens=Tokens(clock, client_id, client_secret, token_lasts),
        api=Api(store, billing, unique_keys, today, release),
        admin_token=admin_token,
    )
