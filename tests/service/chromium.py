"""Opens pages in headless Chromium and tells what a person would see.

Arguments: triples of address, width in pixels and the PNG to write. Prints one JSON line a page:
its address where it ended up, its width as laid out, its height, and what the browser complained
about. Speaks the DevTools protocol over a pipe: --window-size alone cannot go below 500 pixels.
"""
import base64, fcntl, json, os, shutil, subprocess, sys, tempfile

class Chromium:
    def __init__(self):
        program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        if not program:
            sys.exit("chromium is needed for the tests; tests/run installs it")
        read_theirs, self.write = os.pipe()
        self.read, write_theirs = os.pipe()
        # The browser reads from 3 and writes to 4, whatever numbers the pipes have here.
        theirs = [fcntl.fcntl(fd, fcntl.F_DUPFD, 100) for fd in (read_theirs, write_theirs)]
        def connect():
            os.dup2(theirs[0], 3)
            os.dup2(theirs[1], 4)
        self.folder = tempfile.mkdtemp()
        self.process = subprocess.Popen(
            [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync",
             "--disable-dev-shm-usage", "--remote-debugging-pipe", "--user-data-dir=" + self.folder, "about:blank"],
            preexec_fn=connect, pass_fds=(3, 4), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for fd in theirs + [read_theirs, write_theirs]:
            os.close(fd)
        self.number, self.rest, self.events = 0, b"", []

    def message(self):
        while b"\0" not in self.rest:
            more = os.read(self.read, 1 << 16)
            if not more:
                sys.exit("chromium ended early")
            self.rest += more
        text, self.rest = self.rest.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, session=None, **parameters):
        self.number += 1
        request = {"id": self.number, "method": method, "params": parameters}
        if session:
            request["sessionId"] = session
        data = json.dumps(request).encode() + b"\0"
        while data:
            data = data[os.write(self.write, data):]
        while True:
            message = self.message()
            if message.get("id") == self.number:
                if "error" in message:
                    sys.exit(f"{method}: {message['error']}")
                return message["result"]
            self.events.append(message)

    def wait_for(self, method, name=None):
        while True:
            while self.events[self.looked:]:
                event = self.events[self.looked]
                self.looked += 1
                if event.get("method") == method and name in (None, event["params"].get("name")):
                    return
            self.events.append(self.message())

    def see(self, url, width, png):
        self.events = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Log", "Runtime"):
            self.call(domain + ".enable", session)
        narrow = width < 600
        self.call("Emulation.setDeviceMetricsOverride", session, width=width, height=812 if narrow else 900,
                  deviceScaleFactor=1, mobile=narrow)
        self.call("Page.setLifecycleEventsEnabled", session, enabled=True)
        self.events, self.looked = [], 0
        self.call("Page.navigate", session, url=url)
        self.wait_for("Page.loadEventFired")
        frames = self.call("Runtime.evaluate", session, expression="document.querySelectorAll('iframe').length")
        if frames["result"]["value"]:
            # The load event does not wait for frames that load lazily.
            self.wait_for("Page.lifecycleEvent", "networkIdle")
        tell = "JSON.stringify([location.href, document.documentElement.scrollWidth, document.title])"
        value = self.call("Runtime.evaluate", session, expression=tell)["result"]["value"]
        size = self.call("Page.getLayoutMetrics", session)["cssContentSize"]
        height = min(int(size["height"]), 6000)
        shot = self.call("Page.captureScreenshot", session, format="png", captureBeyondViewport=True,
                         clip={"x": 0, "y": 0, "width": width, "height": height, "scale": 1})
        with open(png, "wb") as file:
            file.write(base64.b64decode(shot["data"]))
        complaints = [e["params"]["entry"]["text"] for e in self.events if e.get("method") == "Log.entryAdded"
                      and e["params"]["entry"]["level"] == "error"]
        complaints += [json.dumps(e["params"]) for e in self.events if e.get("method") == "Runtime.exceptionThrown"]
        self.call("Target.closeTarget", targetId=target)
        address, laid_out, title = json.loads(value)
        print(json.dumps({"address": address, "width": laid_out, "height": height, "title": title,
                          "complaints": complaints}), flush=True)

    def end(self):
        self.call("Browser.close")
        code = self.process.wait(timeout=20)
        shutil.rmtree(self.folder, ignore_errors=True)
        if code != 0:
            sys.exit(f"chromium ended with {code}")

browser = Chromium()
for at in range(1, len(sys.argv), 3):
    browser.see(sys.argv[at], int(sys.argv[at + 1]), sys.argv[at + 2])
browser.end()
