#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""genl.py [--nobody] CMD ...: the netlink family, without a library in between.

  get|set|dump [ATTR=TYPE:VALUE]...   one request; prints the answers, a line
                                      each, or "errno NAME: extack text"
  listen COUNT|EVENT                  prints "ready", then so many events, or
                                      until this one
ATTR is a name or a number; TYPE: str (with NUL), raw (no NUL), u8 u16 u32 u64.
"""
import errno
import os
import socket
import struct
import sys

ATTRS = ("unspec name uuid incarnation id first last durable log_bytes flags "
         "guarantee sync_ms replica open_intents dirty readers recovered "
         "redirtied pad log_keep log_min log_keep_age").split()
CMDS = "unspec get set up down advanced dead".split()
TEXT = {"name", "guarantee"}
NLMSG_ERROR, NLMSG_DONE, CTRL = 2, 3, 16
SOL_NETLINK, ADD_MEMBERSHIP, CAP_ACK, EXT_ACK = 270, 1, 10, 11


def attr(kind, data):
    raw = struct.pack("HH", 4 + len(data), kind) + data
    return raw + bytes(-len(raw) % 4)


def attrs(data):
    while len(data) >= 4:
        length, kind = struct.unpack_from("HH", data)
        yield kind & 0x3fff, data[4:length]
        data = data[(length + 3) & ~3:]


class Genl:
    def __init__(self):
        self.sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16)
        self.sock.setsockopt(SOL_NETLINK, EXT_ACK, 1)
        self.sock.bind((0, 0))
        reply = self.ask(CTRL, 3, attr(2, b"intermezzo\0"))[0]
        fields = dict(attrs(reply[4:]))
        self.family = struct.unpack("H", fields[1])[0]
        group = dict(attrs(next(attrs(fields[7]))[1]))
        assert group[1] == b"events\0", group
        self.group = struct.unpack("I", group[2])[0]

    def ask(self, family, cmd, payload, dump=False):
        flags = 1 | 4 | (0x300 if dump else 0)
        body = struct.pack("BBH", cmd, 1, 0) + payload
        self.sock.send(struct.pack("IHHII", 16 + len(body), family, flags,
                                   1, 0) + body)
        answers = []
        while True:
            data = self.sock.recv(65536)
            while data:
                length, kind, flags = struct.unpack_from("IHH", data)
                body, data = data[16:length], data[(length + 3) & ~3:]
                if kind in (NLMSG_ERROR, NLMSG_DONE):
                    code = -struct.unpack_from("i", body)[0]
                    if not code:
                        return answers
                    skip = 4
                    if kind == NLMSG_ERROR:
                        skip += 16 if flags & 0x100 else \
                            struct.unpack_from("I", body, 4)[0]
                    text = dict(attrs(body[skip:])).get(1, b"")
                    raise OSError(code, text.rstrip(b"\0").decode())
                answers.append(body)


def show(body):
    words = [CMDS[body[0]]]
    for kind, data in attrs(body[4:]):
        name = ATTRS[kind]
        if name == "pad":
            continue
        if name in TEXT:
            value = data.rstrip(b"\0").decode()
        elif name == "uuid":
            value = data.hex()
        else:
            value = int.from_bytes(data, "little")
        words.append("%s=%s" % (name, value))
    print(*words, flush=True)


def encode(word):
    name, value = word.split("=", 1)
    kind, value = value.split(":", 1)
    data = value.encode()
    if kind == "str":
        data += b"\0"
    elif kind != "raw":
        data = int(value).to_bytes(int(kind[1:]) // 8, "little")
    return attr(int(name) if name.isdigit() else ATTRS.index(name), data)


def main():
    args = sys.argv[1:]
    genl = Genl()
    if args[0] == "--nobody":
        args.pop(0)
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        genl = Genl()
    try:
        if args[0] == "listen":
            genl.sock.setsockopt(SOL_NETLINK, ADD_MEMBERSHIP, genl.group)
            print("ready", flush=True)
            seen = 0
            while str(seen) != args[1]:
                body = genl.sock.recv(65536)[16:]
                show(body)
                if CMDS[body[0]] == args[1]:
                    return
                seen += 1
            return
        payload = b"".join(encode(w) for w in args[1:])
        dump = args[0] == "dump"
        cmd = 1 if dump else int(args[0]) if args[0].isdigit() else \
            CMDS.index(args[0])
        for body in genl.ask(genl.family, cmd, payload, dump):
            show(body)
    except OSError as e:
        print("errno %s: %s" % (errno.errorcode[e.errno], e.strerror))
        sys.exit(1)


main()
