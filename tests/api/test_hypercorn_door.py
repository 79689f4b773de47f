"""What is used of Hypercorn's inside is still there, and still needs what is done about it."""

import inspect

import hypercorn.app_wrappers
import hypercorn.config
import hypercorn.protocol.h11
import hypercorn.trio.tcp_server
import hypercorn.trio.worker_context


def parameters(function: object) -> list[str]:
    assert callable(function)
    return list(inspect.signature(function).parameters)


def test_one_connection_is_made_of_what_we_give() -> None:
    server = hypercorn.trio.tcp_server.TCPServer
    assert parameters(server) == ["app", "config", "context", "state", "stream"]
    assert inspect.iscoroutinefunction(server.run) and inspect.iscoroutinefunction(server._read_data)
    source = inspect.getsource(server)
    assert "self.idle_task = TrioSingleTask()" in source
    # The gate has no do_handshake, so it is taken for a plain stream, whose family tells that it has no addresses.
    assert "except AttributeError:  # Not SSL" in source and "self.stream.socket" in source


def test_the_app_is_called_as_we_take_it() -> None:
    wrapper = hypercorn.app_wrappers.ASGIWrapper
    assert parameters(wrapper) == ["app"]
    assert parameters(wrapper.__call__) == ["self", "scope", "receive", "send", "sync_spawn", "call_soon"]


def test_a_worker_stops_by_its_event() -> None:
    assert parameters(hypercorn.trio.worker_context.WorkerContext) == ["max_requests"]
    assert inspect.iscoroutinefunction(hypercorn.trio.worker_context.WorkerContext(None).terminated.set)


def test_each_answer_of_http_1_asks_the_configuration_for_headers() -> None:
    assert parameters(hypercorn.config.Config.response_headers) == ["self", "protocol"]
    source = inspect.getsource(hypercorn.protocol.h11.H11Protocol)
    assert source.count("self.config.response_headers(") == 5
    config = hypercorn.config.Config()
    for name in ("include_server_header", "accesslog", "errorlog", "keep_alive_timeout", "keep_alive_max_requests"):
        assert hasattr(config, name)
    assert hasattr(config, "h11_max_incomplete_size")
