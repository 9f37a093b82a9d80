"""Requests that come one after the other: a queue, a service that survives kills, and a record without ids."""

from rec_unlearn.service.queue import Outcome, Queued, RequestQueue
from rec_unlearn.service.record import RemovalRecord, SaltDestroyedError, Verification
from rec_unlearn.service.service import Served, UnlearningService
from rec_unlearn.service.status import Status, read_status, verify_record

__all__ = [
    "Outcome",
    "Queued",
    "RemovalRecord",
    "RequestQueue",
    "SaltDestroyedError",
    "Served",
    "Status",
    "UnlearningService",
    "Verification",
    "read_status",
    "verify_record",
]
