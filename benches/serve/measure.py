"""Bản Tin beside nginx: the same bytes, the same machine, the same load, in turns.

Usage: measure.py PROGRAM [--quick]   (cargo bench --bench serve -- --quick; some 2 minutes instead of 20)
Needs nginx and wrk. BANTIN_BENCH_ROUNDS=5, BANTIN_BENCH_SECONDS=3, BANTIN_BENCH_CONNECTIONS=1,32,128,
BANTIN_BENCH_WRK_THREADS=1. BANTIN_BENCH_SHARE=0.3 holds each server to that share of a core (as root, by
cgroups), so that the server is the bound and not wrk.

The last columns say whose limit a rate is: the share of all cores that the server took and that other
programs took, and the share of its threads' time that wrk worked. "wrk" behind a line: wrk had no time
left, the rate is wrk's, and only CPU/req compares the servers. "busy": other programs took the cores.
"""

import argparse, gzip, json, os, random, re, shutil, signal, socket, statistics, subprocess, sys, tempfile, time
import urllib.error, urllib.request

ARGUMENTS = argparse.ArgumentParser()
ARGUMENTS.add_argument("program")
ARGUMENTS.add_argument("--quick", action="store_true")
# cargo bench says --bench to every benchmark.
ARGUMENTS.add_argument("--bench", action="store_true", help=argparse.SUPPRESS)
ARGUMENTS = ARGUMENTS.parse_args()
QUICK = ARGUMENTS.quick
PROGRAM = os.path.abspath(ARGUMENTS.program)
HERE = os.path.dirname(os.path.abspath(__file__))
ROUNDS = int(os.environ.get("BANTIN_BENCH_ROUNDS", 3 if QUICK else 5))
SECONDS = int(os.environ.get("BANTIN_BENCH_SECONDS", 1 if QUICK else 3))
CONNECTIONS = [int(c) for c in os.environ.get("BANTIN_BENCH_CONNECTIONS", "1,32" if QUICK else "1,32,128").split(",")]
CONTENDERS = os.environ.get("BANTIN_BENCH_CONTENDERS", "nginx,bantin").split(",")
KINDS = os.environ.get("BANTIN_BENCH_KINDS", "304,gzip,identity").split(",")
SIZES = os.environ.get("BANTIN_BENCH_SIZES", "large,small").split(",")
WRK_THREADS = int(os.environ.get("BANTIN_BENCH_WRK_THREADS", 1))
SHARE = float(os.environ.get("BANTIN_BENCH_SHARE", 0))
CORES = os.cpu_count()
# A share of its threads' time from which on wrk is the bound; it waits a little at each turn.
WRK_IS_FULL = 0.9
# A share of all cores from which on other programs are part of what is measured.
OTHERS_ARE_HEARD = 0.05
TICK = os.sysconf("SC_CLK_TCK")
# Body lengths that make 50 articles a document of some 330 KB and of some 61 KB.
LENGTHS = {"large": 5_600, "small": 450}


def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def articles():
    text = open(os.path.join(HERE, "../../tests/corpus/baosoctrang-article.txt"), encoding="utf-8").read()
    words, dice = text.split(), random.Random(1)
    weights = [1 / (rank + 1) ** 1.4 for rank in range(len(words))]
    for name, length in LENGTHS.items():
        for n in range(50):
            body = ""
            while len(body.encode()) < length:
                body += "<p>" + " ".join(dice.choices(words, weights, k=60)) + "</p>"
            body = body.encode()[: length - 4].decode(errors="ignore").rsplit(" ", 1)[0] + "</p>"
            yield {
                "external_id": f"{name}-{n}",
                "title": " ".join(dice.choices(words, k=10)),
                "summary": " ".join(dice.choices(words, k=30 if name == "large" else 12)),
                "content_html": body,
                "categories": [name],
                "authors": ["Thu Hà"],
                "published": f"2026-11-02T07:{n:02}:00+07:00",
            }


def fetch(address, path, **headers):
    request = urllib.request.Request(f"http://127.0.0.1:{address}{path}", headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read(), answer.headers


def wait_for(address, path):
    for _ in range(200):
        try:
            return fetch(address, path)
        except urllib.error.HTTPError:
            return None
        except OSError:
            time.sleep(0.05)
    sys.exit(f"nobody answers on port {address}")


def children(pid):
    listed = open(f"/proc/{pid}/task/{pid}/children").read().split()
    return [int(child) for child in listed]


def cpu(pids):
    """Seconds of CPU that these processes took, with all their threads."""
    total = 0
    for pid in pids:
        fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def machine():
    """Seconds of CPU that everything on this machine took, and what the host took from it."""
    user, nice, system, _, _, interrupts, soft, stolen = map(int, open("/proc/stat").readline().split()[1:9])
    return (user + nice + system + interrupts + soft + stolen) / TICK


def memory(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{pid}/status").read())[1])


def hold(pids):
    """Lets these processes have a share of one core, in periods of 20 ms."""
    group = "/sys/fs/cgroup/cpu/bantin-bench" if os.path.isdir("/sys/fs/cgroup/cpu") else "/sys/fs/cgroup/bantin-bench"
    os.makedirs(group, exist_ok=True)
    quota = int(SHARE * 20_000)
    # Version 1 of cgroups, and version 2.
    is_first = os.path.exists(f"{group}/cpu.cfs_quota_us")
    limits = {"cpu.cfs_period_us": 20_000, "cpu.cfs_quota_us": quota} if is_first else {"cpu.max": f"{quota} 20000"}
    for name, value in [*limits.items(), *(("cgroup.procs", pid) for pid in pids)]:
        with open(f"{group}/{name}", "w") as setting:
            setting.write(str(value))


def start_bantin(folder):
    address = port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BANTIN_")}
    environment |= {"BANTIN_SERVER__LISTEN": f"127.0.0.1:{address}", "BANTIN_LOG__LEVEL": "warn"}
    # So that X-Forwarded-For makes a client who can be refused: this machine never is.
    environment |= {"BANTIN_SERVER__TRUSTED_PROXIES": "127.0.0.1"}
    source = os.path.join(folder, "articles.jsonl")
    with open(source, "w", encoding="utf-8") as out:
        out.writelines(json.dumps(article) + "\n" for article in articles())
    subprocess.run([PROGRAM, "import", source], cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    process = subprocess.Popen([PROGRAM, "serve"], cwd=folder, env=environment)
    wait_for(address, "/readyz")
    return process, address


def start_nginx(folder, address_of_bantin):
    address, root = port(), os.path.join(folder, "root")
    os.makedirs(os.path.join(root, "feeds"))
    for name in SIZES:
        path = f"/feeds/{name}.rss"
        plain, headers = fetch(address_of_bantin, path)
        zipped, _ = fetch(address_of_bantin, path, **{"Accept-Encoding": "gzip"})
        assert gzip.decompress(zipped) == plain
        print(f"{path}: {len(plain)} bytes, {len(zipped)} with gzip")
        for ending, content in (("", plain), (".gz", zipped)):
            with open(root + path + ending, "wb") as out:
                out.write(content)
    template = open(os.path.join(HERE, "nginx.conf"), encoding="utf-8").read()
    configuration = os.path.join(folder, "nginx.conf")
    with open(configuration, "w", encoding="utf-8") as out:
        out.write(template.replace("PORT", str(address)).replace("ROOT", root).replace("FOLDER", folder))
    nginx = shutil.which("nginx") or "/usr/sbin/nginx"
    process = subprocess.Popen([nginx, "-c", configuration, "-e", "stderr", "-g", "daemon off;"])
    wait_for(address, "/feeds/")
    return process, address


def micros(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 1, "ms": 1_000, "s": 1_000_000}[unit]


def wrk(address, path, headers, connections, seconds):
    threads = min(WRK_THREADS, connections)
    command = ["wrk", f"-t{threads}", f"-c{connections}", f"-d{seconds}s", "--latency"]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    return subprocess.run([*command, f"http://127.0.0.1:{address}{path}"], capture_output=True, text=True, check=True).stdout


def warm_up(address, path, headers):
    """Makes the document and its coding, and fills what the server keeps; nothing is measured."""
    wrk(address, path, headers, 8, 1)


def load(address, path, headers, connections, pids, refused=False):
    before, began, all_before = cpu(pids), time.monotonic(), machine()
    own = os.times()
    told = wrk(address, path, headers, connections, SECONDS)
    took, used, ended = time.monotonic() - began, cpu(pids) - before, os.times()
    by_wrk = ended.children_user + ended.children_system - own.children_user - own.children_system
    others = max(machine() - all_before - used - by_wrk, 0)
    requests = int(re.search(r"(\d+) requests in", told)[1])
    # Another answer than the first, or none, is another race.
    others_than_2xx = int((re.search(r"Non-2xx or 3xx responses: (\d+)", told) or [0, 0])[1])
    is_sound = others_than_2xx >= requests * 0.999 if refused else others_than_2xx == 0
    if not is_sound or "Socket errors" in told:
        print("UNSOUND:", told, flush=True)
    return {
        "rate": float(re.search(r"Requests/sec:\s+([\d.]+)", told)[1]),
        "p50": micros(re.search(r"(?m)^ +50% +(\S+)", told)[1]),
        "p99": micros(re.search(r"(?m)^ +99% +(\S+)", told)[1]),
        "cpu": used / requests * 1_000_000,
        "wrk": by_wrk / took / min(WRK_THREADS, connections),
        "server": used / took / CORES,
        "others": others / took / CORES,
    }


def refuse(address, pids):
    """What it costs to refuse a client who fetches a whole feed again and again, beside a 304."""
    for size in SIZES:
        path = f"/feeds/{size}.rss"
        greedy = {"Accept-Encoding": "gzip", "X-Forwarded-For": "203.0.113.7"}
        tag = fetch(address, path, **{"Accept-Encoding": "gzip"})[1]["ETag"]
        for connections in CONNECTIONS:
            warm_up(address, path, greedy)
            runs = {"304": [], "429": []}
            for turn in range(ROUNDS):
                for kind in list(runs)[:: 1 if turn % 2 == 0 else -1]:
                    headers = {**greedy, "If-None-Match": tag} if kind == "304" else greedy
                    runs[kind].append(load(address, path, headers, connections, pids, refused=kind == "429"))
            of = {kind: {key: statistics.median(run[key] for run in measured) for key in measured[0]} for kind, measured in runs.items()}
            print(
                f"{size} c={connections}: a 429 takes {of['429']['cpu']:.2f} us of CPU, a 304 {of['304']['cpu']:.2f};"
                f" {of['429']['rate']:.0f} and {of['304']['rate']:.0f} a second, p99 {of['429']['p99']:.0f} and {of['304']['p99']:.0f} us",
                flush=True,
            )


def handovers(address):
    metrics = fetch(address, "/metrics")[0].decode()
    return int(re.search(r"(?m)^bantin_http_handovers_total (\d+)", metrics)[1])


def main():
    folder = tempfile.mkdtemp(prefix="bantin-bench-")
    os.chmod(folder, 0o755)
    bantin, bantin_port = start_bantin(folder)
    nginx = None
    try:
        empty = memory(bantin.pid)
        nginx, nginx_port = start_nginx(folder, bantin_port)
        contenders = {
            "nginx": (nginx_port, lambda: children(nginx.pid), {}),
            "bantin": (bantin_port, lambda: [bantin.pid], {}),
            # The same answers by way of hyper and the routes: the express lane takes no TE.
            "axum": (bantin_port, lambda: [bantin.pid], {"TE": "trailers"}),
        }
        contenders = {name: contenders[name] for name in CONTENDERS}
        if SHARE:
            hold([bantin.pid, nginx.pid, *children(nginx.pid)])
        print(f"{CORES} cores, load {os.getloadavg()[0]:.1f}, wrk -t{WRK_THREADS}, {ROUNDS} rounds of {SECONDS} s{f', {SHARE} of a core' if SHARE else ''}")
        print(
            f"{'':25}{'':8}{'req/s':>9} {'x nginx':>8} {'(spread)':>14} {'p50':>8} {'p99':>8} {'CPU/req':>8}"
            f" {'less':>6} {'server':>7} {'others':>7} {'wrk':>5}"
        )
        bound_by_wrk, busy, lines = 0, 0, 0
        for size in SIZES:
            path = f"/feeds/{size}.rss"
            for kind in KINDS:
                coding = {"304": "gzip"}.get(kind, kind)
                headers_of = {}
                for name, (address, _, more) in contenders.items():
                    headers_of[name] = {"Accept-Encoding": coding, **more}
                    warm_up(address, path, headers_of[name])
                    if kind == "304":
                        tag = fetch(address, path, **{"Accept-Encoding": coding})[1]["ETag"]
                        headers_of[name]["If-None-Match"] = tag
                        warm_up(address, path, headers_of[name])
                for connections in CONNECTIONS:
                    runs = {name: [] for name in contenders}
                    for turn in range(ROUNDS):
                        order = list(contenders.items())
                        for name, (address, pids, _) in order if turn % 2 == 0 else order[::-1]:
                            left = handovers(bantin_port)
                            runs[name].append(load(address, path, headers_of[name], connections, pids()))
                            # Each question is one; nothing else may leave the lane that is measured.
                            if name == "bantin" and handovers(bantin_port) != left + 1:
                                print("UNSOUND: connections left the express lane", flush=True)
                    base = [run["rate"] for run in runs.get("nginx", next(iter(runs.values())))]
                    base_cpu = statistics.median(run["cpu"] for run in runs.get("nginx", next(iter(runs.values()))))
                    for name, measured in runs.items():
                        middle = {key: statistics.median(run[key] for run in measured) for key in measured[0]}
                        ratios = sorted(run["rate"] / other for run, other in zip(measured, base))
                        ratio = statistics.median(ratios)
                        less = base_cpu / middle["cpu"] if middle["cpu"] else 0
                        is_bound = middle["wrk"] >= WRK_IS_FULL
                        is_busy = middle["others"] >= OTHERS_ARE_HEARD
                        bound_by_wrk, busy, lines = bound_by_wrk + is_bound, busy + is_busy, lines + 1
                        print(
                            f"{size + ' ' + kind + ' c=' + str(connections):25}{name:8}{middle['rate']:9.0f} {ratio:8.2f}"
                            f" {f'({ratios[0]:.2f}-{ratios[-1]:.2f})':>14} {middle['p50']:7.0f}u {middle['p99']:7.0f}u"
                            f" {middle['cpu']:7.2f}u {less:6.2f} {middle['server']:7.2f} {middle['others']:7.2f} {middle['wrk']:5.2f}{' wrk' * is_bound}{' busy' * is_busy}",
                            flush=True,
                        )
        if "bantin" in contenders:
            refuse(bantin_port, [bantin.pid])
        print(f"{bound_by_wrk} of {lines} rates are wrk's: its threads had no time left; there only CPU/req compares.")
        print(f"{busy} of {lines} rates were taken while other programs took {OTHERS_ARE_HEARD:.0%} of the cores or more.")
        print(f"memory of bantin: {empty} kB before the first feed, {memory(bantin.pid)} kB now")
    finally:
        for process in filter(None, (nginx, bantin)):
            process.send_signal(signal.SIGTERM)
            process.wait()
        shutil.rmtree(folder)


main()
