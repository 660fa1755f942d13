# SPDX-License-Identifier: MIT OR Apache-2.0
"""Job control as a person does it: an interactive shell on a terminal of its own."""

import os, pty, re, select, signal, sys, termios, time

PROMPT = b"ready> "
pid, master = pty.fork()
if pid == 0:
    env = {"PS1": PROMPT.decode(), "PATH": "/usr/bin:/bin", "TERM": "dumb", "HOME": "/"}
    os.execve("/bin/bash", ["bash", "--norc", "--noprofile", "--noediting", "-i"], env)


def until(what):
    seen, end = b"", time.monotonic() + 30
    while not seen.endswith(what):
        if not select.select([master], [], [], max(0, end - time.monotonic()))[0]:
            sys.exit(f"waited for {what!r}, saw {seen!r}")
        try:
            seen += os.read(master, 1)
        except OSError:
            break
    return seen


def tell(line, expected=PROMPT):
    """Types a line; what came until `expected`, with numbers of processes hidden."""
    os.write(master, line)
    text = until(expected).decode().replace("\r\n", "\n").removesuffix(PROMPT.decode())
    return re.sub(r" +", " ", re.sub(r"(\[\d\][+-]? *)\d{2,}", r"\1PID", text))


def say(line, expected=PROMPT):
    print(tell(line, expected), end="")


def notice(what, line=b"\n"):
    """Types `line`, then nothing until the shell, which tells before a prompt what it
    has heard of, says `what`: how soon it hears of it is not settled."""
    text, end = tell(line), time.monotonic() + 30
    while what not in text:
        if time.monotonic() > end:
            sys.exit(f"waited for {what!r}, saw {text!r}")
        time.sleep(0.05)
        text += tell(b"\n")
    print("".join(line + "\n" for line in text.split("\n") if line), end="")


def running(name):
    """Waits until the terminal's foreground process is `name`."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        group = os.tcgetpgrp(master)
        try:
            if open(f"/proc/{group}/comm").read().strip() == name:
                return
        except OSError:
            pass
        time.sleep(0.01)
    sys.exit(f"{name} never came to the foreground")


until(PROMPT)
say(b"echo $((20+22)); tty | cut -c1-9\n")
say(b"cat\n", b"cat\r\n")
running("cat")
say(b"typed\n", b"typed\r\ntyped\r\n")
say(b"\x04")
say(b"sleep 100\n", b"sleep 100\r\n")
running("sleep")
say(b"\x1a")
say(b"jobs\n")
say(b"bg %1\n")
say(b"jobs\n")
say(b"fg %1\n", b"sleep 100\r\n")
running("sleep")
say(b"\x03")
say(b"echo status $?\n")
say(b"stty -echo; echo quiet\n")
say(b"echo unseen\n")
say(b"stty echo; stty -a | grep -c icanon\n")
say(b"(sleep 50; echo never) &\n")
notice("Terminated", b"kill %1\n")
notice("Stopped", b"cat &\n")
say(b"fg %1\n", b"cat\r\n")
running("cat")
say(b"heard\n", b"heard\r\nheard\r\n")
say(b"\x03")
say(b"trap 'echo resized' WINCH\n")
termios.tcsetwinsize(master, (33, 77))
notice("resized")
say(b"stty size\n")
os.write(master, b"exit 9\n")
until(b"exit\r\n")
print("exit", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
