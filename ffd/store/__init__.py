"""State: the only room that knows SQL.

A unit of work is a plain function of a `Transaction`; `await store.write(unit)` runs it whole, with others in one
commit that is on disk when it returns. One noun a module: `messages.after`, `offsets.move`, `events.append`.
"""

from ffd.store.engine import Store, open_store
from ffd.store.transaction import Transaction

__all__ = ["Store", "Transaction", "open_store"]
