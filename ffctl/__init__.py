"""ffctl: the command line of ffd. It talks to the daemon's socket only, and imports nothing heavy until it must."""
