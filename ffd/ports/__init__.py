"""What ffd asks of the outside: one small Protocol a kind, with its promises. Plugins keep them; roles rely on them."""
