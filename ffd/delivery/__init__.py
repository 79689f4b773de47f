"""From events to the app: filter, page, hand over, and record the offset that was acknowledged."""
