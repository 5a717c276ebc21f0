"""An asyncio client for the ChargeOver billing API (REST v3), with a bulk engine.

Start with `ChargeOver`; the README shows the shortest true program.
"""

from __future__ import annotations

from ._ref import Ref
from ._transport import Timeouts
from .bulk import Bulk, BulkReport, BulkSettings, ServerAssumptions
from .client import ChargeOver
from .errors import (
    AlreadyExists,
    ApiError,
    AuthFailed,
    BadRequest,
    BulkError,
    ChargeOverError,
    ConnectFailed,
    DecodeError,
    DependencyFailed,
    JournalError,
    NotFound,
    NotSent,
    OutcomeUnknown,
    QueueFull,
    RateLimited,
    ServerError,
    TransportError,
    UsageError,
    WebhookError,
)
from .limits import LocalLimiter, NoLimit, QuotaSettings
from .models import Created, Customer, Invoice, Item, LineItem, Record, Revision, User
from .models._codec import DateFormat
from .observe import Stats
from .operation import Operation, Outcome
from .query import F
from .resources import ExternalKey, Token
from .retry import Repeat, RetryPolicy

__version__ = "0.1.0"

__all__ = (
    "AlreadyExists",
    "ApiError",
    "AuthFailed",
    "BadRequest",
    "Bulk",
    "BulkError",
    "BulkReport",
    "BulkSettings",
    "ChargeOver",
    "ChargeOverError",
    "ConnectFailed",
    "Created",
    "Customer",
    "DateFormat",
    "DecodeError",
    "DependencyFailed",
    "ExternalKey",
    "F",
    "Invoice",
    "Item",
    "JournalError",
    "LineItem",
    "LocalLimiter",
    "NoLimit",
    "NotFound",
    "NotSent",
    "Operation",
    "Outcome",
    "OutcomeUnknown",
    "QueueFull",
    "QuotaSettings",
    "RateLimited",
    "Record",
    "Ref",
    "Repeat",
    "RetryPolicy",
    "Revision",
    "ServerAssumptions",
    "ServerError",
    "Stats",
    "Timeouts",
    "Token",
    "TransportError",
    "UsageError",
    "User",
    "WebhookError",
    "__version__",
)
