"""Bản Tin beside nginx: the same bytes, the same machine, the same load, in turns.

Usage: measure.py PROGRAM   (cargo bench --bench serve calls it with the release program)
Needs nginx and wrk. BANTIN_BENCH_ROUNDS=5, BANTIN_BENCH_SECONDS=3, BANTIN_BENCH_CONNECTIONS=1,32,128
"""

import gzip, json, os, random, re, shutil, signal, socket, statistics, subprocess, sys, tempfile, time
import urllib.error, urllib.request

PROGRAM = os.path.abspath(sys.argv[1])
HERE = os.path.dirname(os.path.abspath(__file__))
ROUNDS = int(os.environ.get("BANTIN_BENCH_ROUNDS", 5))
SECONDS = int(os.environ.get("BANTIN_BENCH_SECONDS", 3))
CONNECTIONS = [int(c) for c in os.environ.get("BANTIN_BENCH_CONNECTIONS", "1,32,128").split(",")]
CONTENDERS = os.environ.get("BANTIN_BENCH_CONTENDERS", "nginx,bantin").split(",")
KINDS = os.environ.get("BANTIN_BENCH_KINDS", "304,gzip,identity").split(",")
SIZES = os.environ.get("BANTIN_BENCH_SIZES", "large,small").split(",")
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


def memory(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{pid}/status").read())[1])


def start_bantin(folder):
    address = port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BANTIN_")}
    environment |= {"BANTIN_SERVER__LISTEN": f"127.0.0.1:{address}", "BANTIN_LOG__LEVEL": "warn"}
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


def load(address, path, headers, connections, pids):
    command = ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "--latency"]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    before = cpu(pids)
    told = subprocess.run([*command, f"http://127.0.0.1:{address}{path}"], capture_output=True, text=True, check=True).stdout
    used = cpu(pids) - before
    requests = int(re.search(r"(\d+) requests in", told)[1])
    if "Non-2xx" in told or "Socket errors" in told:
        print("UNSOUND:", told, flush=True)
    return {
        "rate": float(re.search(r"Requests/sec:\s+([\d.]+)", told)[1]),
        "p50": micros(re.search(r"(?m)^ +50% +(\S+)", told)[1]),
        "p99": micros(re.search(r"(?m)^ +99% +(\S+)", told)[1]),
        "cpu": used / requests * 1_000_000,
    }


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
        print(f"{'':34}{'':10}{'req/s':>9} {'x nginx':>8} {'(spread)':>14} {'p50':>8} {'p99':>8} {'CPU/req':>8}")
        for size in SIZES:
            path = f"/feeds/{size}.rss"
            for kind in KINDS:
                coding = {"304": "gzip"}.get(kind, kind)
                for connections in CONNECTIONS:
                    runs = {name: [] for name in contenders}
                    for turn in range(ROUNDS):
                        order = list(contenders.items())
                        for name, (address, pids, more) in order if turn % 2 == 0 else order[::-1]:
                            headers = {"Accept-Encoding": coding, **more}
                            if kind == "304":
                                tag = fetch(address, path, **{"Accept-Encoding": coding})[1]["ETag"]
                                headers["If-None-Match"] = tag
                            runs[name].append(load(address, path, headers, connections, pids()))
                    base = [run["rate"] for run in runs.get("nginx", next(iter(runs.values())))]
                    for name, measured in runs.items():
                        middle = {key: statistics.median(run[key] for run in measured) for key in measured[0]}
                        ratios = sorted(run["rate"] / other for run, other in zip(measured, base))
                        ratio = statistics.median(ratios)
                        print(
                            f"{size + ' ' + kind + ' c=' + str(connections):34}{name:10}{middle['rate']:9.0f} {ratio:8.2f}"
                            f" {f'({ratios[0]:.2f}-{ratios[-1]:.2f})':>14} {middle['p50']:7.0f}u {middle['p99']:7.0f}u {middle['cpu']:7.2f}u",
                            flush=True,
                        )
        print(f"memory of bantin: {empty} kB before the first feed, {memory(bantin.pid)} kB now")
    finally:
        for process in filter(None, (nginx, bantin)):
            process.send_signal(signal.SIGTERM)
            process.wait()
        shutil.rmtree(folder)


main()
