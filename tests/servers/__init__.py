"""The real servers of a test session: started by whoever needs them first, shared by all workers."""

from tests.servers.shared import Servers, shared_servers, stop_shared_servers

__all__ = ["Servers", "shared_servers", "stop_shared_servers"]
