# SPDX-License-Identifier: MIT OR Apache-2.0
"""What Python's library asks of a kernel."""

import array, asyncio, concurrent.futures, ctypes, fcntl, hashlib, json, mmap, multiprocessing
import os, select, selectors, shutil, signal, socket, sqlite3, struct, subprocess, sys
import tempfile, threading, time
from multiprocessing import shared_memory


def data():
    print(json.dumps({"a": [1, 2.5, None], "b": "\u00e9"}, sort_keys=True))
    base = sqlite3.connect("/tmp/base.db")
    base.execute("create table t(a, b)")
    base.executemany("insert into t values(?, ?)", ((i, i * i) for i in range(1000)))
    base.commit()
    print(base.execute("select sum(a), sum(b) from t").fetchone())
    print(hashlib.sha256(b"x" * 1_000_000).hexdigest()[:16], struct.pack(">id", 1, 2.5).hex())
    print(ctypes.CDLL(None).strlen(b"seven!!"))


def processes():
    done = subprocess.run(["sh", "-c", "cat; echo err >&2; exit 3"], input=b"in", capture_output=True)
    print(done.returncode, done.stdout, done.stderr)
    try:
        subprocess.run(["sleep", "9"], timeout=0.3)
    except subprocess.TimeoutExpired:
        print("timed out")
    first = subprocess.Popen(["seq", "100"], stdout=subprocess.PIPE)
    print(subprocess.check_output(["tail", "-n", "2"], stdin=first.stdout).split(), first.wait())
    print(subprocess.run(["sh", "-c", "kill -9 $$"]).returncode)
    try:
        subprocess.run(["/no/such"])
    except FileNotFoundError as error:
        print(error)
    pid = os.fork()
    if pid == 0:
        os._exit(5)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    descriptor = os.pidfd_open(os.posix_spawn("/bin/true", ["true"], {}))
    print(select.select([descriptor], [], [], 20)[0] == [descriptor], os.wait()[1])


def threads():
    lock, total = threading.Lock(), [0]

    def add():
        for _ in range(500):
            with lock:
                total[0] += 1

    crowd = [threading.Thread(target=add) for _ in range(8)]
    [one.start() for one in crowd], [one.join() for one in crowd]
    barrier, event = threading.Barrier(3), threading.Event()
    [threading.Thread(target=barrier.wait).start() for _ in range(2)]
    barrier.wait()
    threading.Timer(0.05, event.set).start()
    print(total, event.wait(20), event.wait(0))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        print(sum(pool.map(lambda n: n * n, range(100))))


def square(n):
    return n * n


def several():
    with multiprocessing.Pool(3) as pool:
        print(pool.map(square, range(10)))
    queue, value = multiprocessing.Queue(), multiprocessing.Value("i", 0)

    def work():
        for _ in range(100):
            with value.get_lock():
                value.value += 1
        queue.put(os.getpid() != os.getppid())

    crowd = [multiprocessing.Process(target=work) for _ in range(3)]
    [one.start() for one in crowd]
    print([queue.get() for _ in crowd], [one.join() for one in crowd], value.value)
    block = shared_memory.SharedMemory(create=True, size=4096)
    block.buf[:5] = b"share"
    other = shared_memory.SharedMemory(block.name)
    print(bytes(other.buf[:5]))
    other.close(), block.close(), block.unlink()


def events():
    signal.signal(signal.SIGALRM, lambda number, _: print("signal", number))
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    time.sleep(0.3)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    os.kill(os.getpid(), signal.SIGUSR1)
    print(signal.sigwait([signal.SIGUSR1]), signal.sigpending())
    left, right = socket.socketpair()
    chooser = selectors.DefaultSelector()
    chooser.register(right, selectors.EVENT_READ)
    left.sendall(b"ping")
    print(len(chooser.select(20)), right.recv(9))
    socket.send_fds(left, [b"fd"], [os.open("/etc/hosts", os.O_RDONLY)])
    _, passed, _, _ = socket.recv_fds(right, 9, 1)
    print(os.read(passed[0], 9))
    server = socket.socket(socket.AF_UNIX)
    server.bind("/tmp/socket"), server.listen()
    client = socket.socket(socket.AF_UNIX)
    client.connect("/tmp/socket")
    client.sendall(b"hello"), print(server.accept()[0].recv(9))

    async def main():
        child = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
        print((await child.communicate(b"async"))[0], await asyncio.wait_for(asyncio.sleep(0, "slept"), 9))
        done = await asyncio.gather(*(asyncio.sleep(0.01 * n, n) for n in range(5)))
        print(done, await asyncio.to_thread(square, 7))

    asyncio.run(main())


def files():
    with tempfile.TemporaryDirectory() as where:
        os.chdir(where)
        with open("f", "w+b") as file:
            file.write(b"0" * 10000)
            file.flush()
            with mmap.mmap(file.fileno(), 0) as view:
                view[5000:5003] = b"map"
                view.resize(20000)
            file.seek(5000)
            print(file.read(3), os.fstat(file.fileno()).st_size)
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            pid = os.fork()
            if pid == 0:
                try:
                    fcntl.lockf(open("f", "r+b"), fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError as error:
                    os._exit(error.errno)
                os._exit(0)
            print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        os.makedirs("a/b"), os.symlink("f", "a/link"), os.setxattr("f", "user.k", b"v")
        print(sorted(os.scandir("a"), key=lambda e: e.name), os.getxattr("f", "user.k"))
        shutil.copytree("a", "c", symlinks=True), os.rename("c", "d")
        print([(r, sorted(d), sorted(f)) for r, d, f in sorted(os.walk("."))])
        print(os.sendfile(os.open("copy", os.O_CREAT | os.O_RDWR), os.open("f", 0), 0, 500))
        os.chdir("/")
    anonymous = mmap.mmap(-1, 8192)
    if os.fork() == 0:
        anonymous[:4] = b"kept"
        os._exit(0)
    os.wait(), print(anonymous[:4], os.cpu_count() > 0, sys.platform, os.uname().machine)


for part in sys.argv[1:] or ["data", "processes", "threads", "several", "events", "files"]:
    globals()[part]()
    sys.stdout.flush()
