"""The doors on the local socket: HTTP and WebSocket on one listener, routes by noun, refusals as answers."""
