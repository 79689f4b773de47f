"""The commands, one noun a file; each module has an `app` that the root loads when it is wanted."""
