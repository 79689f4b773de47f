"""From the ledger to events: read pins, fetch and verify payloads, decide the order, write events."""
