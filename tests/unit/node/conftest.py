"""Which event loops the node's tests run on: the HTTP edges on uvloop, their plain cases also on asyncio's."""

import asyncio

import uvloop


def pytest_asyncio_loop_factories(config, item):
    """The data plane runs on uvloop; its protocols must not depend on it."""
    if item.path.name not in {"test_node_http_server.py", "test_node_http_client.py"}:
        return {"asyncio": asyncio.new_event_loop}
    if "TestWhole" in item.nodeid:
        return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}
    return {"uvloop": uvloop.new_event_loop}
