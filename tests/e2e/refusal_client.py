"""A client that is told off: what connect(), an established connection and UDP say while a fault is in force.

usage: refusal_client.py ADDRESS…   (IPv4 or IPv6, all with a TCP server that echoes or answers HTTP on port 8080; on
loopback addresses it starts one itself)
Connects to each address, prints "connected", waits for a line on standard input, and prints a line for each try:
ADDRESS new|established|udp OUTCOME, where OUTCOME is ok, timeout or the name of an errno.
"""

import errno
import ipaddress
import socket
import sys
import threading

PORT = 8080
PATIENCE = 5  # seconds


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def serve(address):
    listener = socket.socket(family_of(address), socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, PORT))
    listener.listen()

    def echo(connection):
        try:
            while data := connection.recv(4096):
                connection.sendall(data)
        except ConnectionError:
            pass  # as is to be expected

    def accept():
        while True:
            threading.Thread(target=echo, args=listener.accept()[:1], daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def outcome(attempt):
    try:
        attempt()
        return "ok"
    except TimeoutError:
        return "timeout"
    except OSError as error:
        return errno.errorcode[error.errno]


def connect(address, kind=socket.SOCK_STREAM):
    connection = socket.socket(family_of(address), kind)
    connection.settimeout(PATIENCE)
    connection.connect((address, PORT))
    return connection


def talk(connection):
    connection.sendall(b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")
    if not connection.recv(4096):
        raise ConnectionResetError(errno.ECONNRESET, "closed")


addresses = sys.argv[1:]
for address in addresses:
    if ipaddress.ip_address(address).is_loopback:
        serve(address)
established = {address: connect(address) for address in addresses}
for connection in established.values():
    talk(connection)
print("connected", flush=True)
sys.stdin.readline()
for address in addresses:
    print(address, "new", outcome(lambda: talk(connect(address))), flush=True)
    print(address, "established", outcome(lambda: talk(established[address])), flush=True)
    print(address, "udp", outcome(lambda: talk(connect(address, socket.SOCK_DGRAM))), flush=True)
