"""ffd: an ordered, durable, verifiable event bus in one local daemon, compatible with Hyperledger FireFly."""

__version__ = "0.1.0"
