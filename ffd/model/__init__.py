"""What things are: values, the rules on them, and the one way from each to bytes and to a hash. No I/O."""
