"""A real browser for the tests of pages, where one is installed."""

import base64
import fcntl
import io
import json
import os
import select
import shutil
import subprocess
import time

from matplotlib.image import imread

PROGRAM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)

#: Where an element can be clicked, or null as long as it moves or something lies above it.
MIDDLE = """(async () => {
  const it = %s, frame = () => new Promise(requestAnimationFrame);
  it.scrollIntoView({block: "center"});
  const before = it.getBoundingClientRect();
  await frame(); await frame();
  const box = it.getBoundingClientRect();
  const x = box.x + box.width / 2, y = box.y + box.height / 2;
  const still = before.x === box.x && before.y === box.y;
  return still && it.contains(document.elementFromPoint(x, y)) ? [x, y] : null;
})()"""


class Browser:
    """Chromium driven through two pipes by its own protocol, which needs no package."""

    def __init__(self, folder):
        ours_out, theirs_out = os.pipe()
        theirs_in, ours_in = os.pipe()
        # Chromium reads at 3 and writes at 4, so the numbers in between must not be these.
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (theirs_in, theirs_out)]
        command = [
            "bash", "-c", f'exec "$@" 3<&{high[0]} 4>&{high[1]}', "bash", PROGRAM, "--headless",
            "--remote-debugging-pipe", f"--user-data-dir={folder}", "--disable-gpu",
            "--no-first-run", *(["--no-sandbox"] if os.geteuid() == 0 else []),
        ]  # fmt: skip
        self.process = subprocess.Popen(
            command, pass_fds=high, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for fd in (theirs_in, theirs_out, *high):
            os.close(fd)
        self.inlet, self.outlet = ours_in, ours_out
        self.received, self.number, self.session, self.events = b"", 0, {}, []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = {"sessionId": session["sessionId"]}
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters} | self.session
        os.write(self.inlet, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.number:
                assert "error" not in answer, (method, answer)
                return answer["result"]
            self.events.append(answer)

    def receive(self):
        while b"\0" not in self.received:
            assert select.select([self.outlet], [], [], 60)[0], "the browser does not answer"
            part = os.read(self.outlet, 1 << 20)
            assert part, "the browser has ended"
            self.received += part
        message, _, self.received = self.received.partition(b"\0")
        return json.loads(message)

    def ask(self, expression):
        """The value of an expression of the page's language."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def until(self, expression, seconds=20):
        deadline = time.monotonic() + seconds
        while not self.ask(expression):
            assert time.monotonic() < deadline, f"never true: {expression}"
            time.sleep(0.02)

    def open(self, path, seconds=20):
        self.call("Page.navigate", url=path.as_uri())
        self.until("location.protocol === 'file:' && document.readyState === 'complete'", seconds)

    def click(self, selector, seconds=20):
        """Click at an element until the click arrives: a page may still scroll meanwhile."""
        element = f"document.querySelector({json.dumps(selector)})"
        self.ask(
            f"window.arrived = false; {element}.addEventListener("
            "'click', () => { window.arrived = true; }, {once: true, capture: true})"
        )
        deadline = time.monotonic() + seconds
        while not self.ask("window.arrived"):
            assert time.monotonic() < deadline, f"no click arrives at {selector}"
            if middle := self.ask(MIDDLE % element):
                at = {"x": middle[0], "y": middle[1], "button": "left", "clickCount": 1}
                for kind in ("mousePressed", "mouseReleased"):
                    self.call("Input.dispatchMouseEvent", type=kind, **at)

    def press(self, key, code, text=""):
        which = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **which)
        self.call("Input.dispatchKeyEvent", type="keyUp", **which)

    def resize(self, width, height):
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip

    def photograph(self, selector):
        """The pixels of an element that is in view, (height, width, channels)."""
        clip = self.ask(
            f"(() => {{ const box = document.querySelector({json.dumps(selector)})"
            ".getBoundingClientRect(); return {x: Math.ceil(box.x) + scrollX,"
            "y: Math.ceil(box.y) + scrollY, width: Math.floor(box.width) - 2,"
            "height: Math.floor(box.height) - 2, scale: 1}; })()"
        )
        picture = self.call("Page.captureScreenshot", format="png", clip=clip)["data"]
        return imread(io.BytesIO(base64.b64decode(picture)))

    def complaints(self):
        """What a reader would find in the console: exceptions, errors, refused resources."""
        return [
            event["params"]
            for event in self.events
            if event.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded")
            or event.get("params", {}).get("type") in ("error", "warning", "assert")
        ]

    def requests(self):
        return [
            event["params"]["request"]["url"]
            for event in self.events
            if event.get("method") == "Network.requestWillBeSent"
        ]

    def close(self):
        self.session = {}
        self.call("Browser.close")
        self.process.wait(30)
        os.close(self.inlet)
        os.close(self.outlet)
