"""From the app to the ledger: accept a message, put it in a batch, bring the payload out, pin it."""
