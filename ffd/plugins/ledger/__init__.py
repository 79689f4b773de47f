"""Ledgers: `file` is the embedded default, `memory` serves several nodes in one run of a test."""
