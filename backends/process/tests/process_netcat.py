"""As much of netcat as ranks need to meet: ``-l -p PORT`` prints what one caller sends, ``HOST PORT`` sends its input."""

import socket
import sys


def listen(port: int) -> None:
    with socket.create_server(("127.0.0.1", port)) as server:
        caller, _ = server.accept()
        with caller, caller.makefile("rb") as stream:
            sys.stdout.buffer.write(stream.read())


def call(host: str, port: int) -> None:
    with socket.create_connection((host, port), timeout=5) as connection:
        connection.sendall(sys.stdin.buffer.read())


def main(*arguments: str) -> None:
    if arguments[0] == "-l":
        listen(int(arguments[2]))
    else:
        try:
            call(arguments[0], int(arguments[1]))
        except OSError:
            sys.exit(1)


main(*sys.argv[1:])
