"""A ping-pong of one byte in processes of their own, whose round trips no test's thread delays.

`serve ADDRESS PORT` echoes; `ping ADDRESS PORT` goes on until stdin ends, then prints the round
trips in microseconds as JSON: {"count", "p50", "p99", "max"}.
"""

import json
import select
import socket
import sys
import time


def serve(address: tuple[str, int]) -> None:
    """Echoes one connection after the other, for ever."""
    with socket.create_server(address) as listener:
        while True:
            connection = listener.accept()[0]
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with connection:
                while data := connection.recv(4096):
                    connection.sendall(data)


def ping(address: tuple[str, int]) -> None:
    """Measures until stdin ends."""
    times = []
    with socket.create_connection(address, timeout=30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while not select.select([sys.stdin], [], [], 0)[0]:
            begin = time.perf_counter_ns()
            connection.sendall(b"x")
            assert connection.recv(1) == b"x", "the connection ended"
            times.append((time.perf_counter_ns() - begin) // 1000)
    times.sort()
    print(json.dumps({"count": len(times), "p50": times[len(times) // 2],
                      "p99": times[len(times) * 99 // 100], "max": times[-1]}))


if __name__ == "__main__":
    {"serve": serve, "ping": ping}[sys.argv[1]]((sys.argv[2], int(sys.argv[3])))
