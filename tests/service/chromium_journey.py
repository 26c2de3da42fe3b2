"""Walks through pages in headless Chromium as a reader on a phone does, and lets axe-core look at each.

Arguments: the path of chromium.py, the folder for pictures, the path of axe.min.js, and a JSON list of
steps: {"url": …} opens, {"fill": {selector: value}}, {"click": selector}, {"look": name}
looks, by the rules for pages or, with {"letter": true}, by those that hold for mail too. Prints a JSON
line for each look: what is there, what axe objects to, and what is too small for a finger.
"""
import base64, json, sys
exec(open(sys.argv[1]).read().split("\nbrowser = Chromium()")[0])

folder, axe = sys.argv[2], open(sys.argv[3]).read()
SMALL = """(() => [...document.querySelectorAll('main button, main select, main input:not([type=hidden]), main summary, main a.quiet, main .tick')]
  .filter(e => { const r = e.getBoundingClientRect(); return r.width && e.closest('.bait') === null && !e.closest('.tick > *') && r.height < 44
    && !(e.matches('input') && e.closest('.tick')) })
  .map(e => e.outerHTML.slice(0, 80) + ' ' + Math.round(e.getBoundingClientRect().height)))()"""

class Walk:
    def __init__(self, browser):
        self.browser = browser
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime"):
            browser.call(domain + ".enable", self.session)
        browser.call("Page.setBypassCSP", self.session, enabled=True)
        browser.call("Emulation.setDeviceMetricsOverride", self.session, width=375, height=812, deviceScaleFactor=1, mobile=True)

    def run(self, expression, wait=False):
        answer = self.browser.call("Runtime.evaluate", self.session, expression=expression, awaitPromise=wait, returnByValue=True)
        if "exceptionDetails" in answer:
            sys.exit(f"{expression[:200]}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def loaded(self, act):
        self.browser.events, self.browser.looked = [], 0
        act()
        self.browser.wait_for("Page.loadEventFired")

    def step(self, step):
        if "url" in step:
            self.loaded(lambda: self.browser.call("Page.navigate", self.session, url=step["url"]))
        for selector, value in step.get("fill", {}).items():
            self.run(f"""(() => {{ const e = document.querySelector({json.dumps(selector)});
                if (e.type === 'checkbox' || e.type === 'radio') e.checked = {json.dumps(value)} === 'on';
                else e.value = {json.dumps(value)}; }})()""")
        if "click" in step:
            press = f"document.querySelector({json.dumps(step['click'])}).click()"
            self.loaded(lambda: self.run(press))
        if "look" in step:
            self.look(step["look"], step.get("letter", False))

    def look(self, name, letter):
        for scheme in ("light", "dark"):
            self.browser.call("Emulation.setEmulatedMedia", self.session, features=[{"name": "prefers-color-scheme", "value": scheme}])
            self.run(axe)
            rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] + ([] if letter else ["best-practice"])
            found = self.run(f"axe.run({{ runOnly: {rules} }})"
                ".then(r => r.violations.map(v => v.id + ': ' + v.nodes.map(n => n.html.slice(0, 120) + ' ' + n.failureSummary.slice(0, 200)).join(' | ')))", True)
            size = self.browser.call("Page.getLayoutMetrics", self.session)["cssContentSize"]
            shot = self.browser.call("Page.captureScreenshot", self.session, format="png", captureBeyondViewport=True,
                clip={"x": 0, "y": 0, "width": 375, "height": min(int(size["height"]), 5000), "scale": 1})
            with open(f"{folder}/{name}-{scheme}.png", "wb") as file:
                file.write(base64.b64decode(shot["data"]))
            told = {"name": name, "scheme": scheme, "address": self.run("location.href"), "title": self.run("document.title"),
                    "width": self.run("document.documentElement.scrollWidth"), "text": self.run("document.querySelector('main, body').innerText"),
                    "violations": found, "small": self.run(SMALL)}
            print(json.dumps(told), flush=True)

browser = Chromium()
walk = Walk(browser)
for step in json.loads(sys.argv[4]):
    walk.step(step)
browser.end()
