"""Properties here are cheap, and the machine may be busy: no deadline for one example."""

from hypothesis import settings

settings.register_profile("model", deadline=None)
settings.load_profile("model")
