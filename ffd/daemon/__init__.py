"""The wiring: configuration, the command line, signals and the node as a whole; nothing imports this package."""
