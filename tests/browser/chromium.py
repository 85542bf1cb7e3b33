"""Debian's chromium, driven by its own driver; nothing is fetched, and no page reaches anything but itself."""

import base64
import json
import os
import subprocess
import tempfile
from pathlib import Path

from selenium import webdriver

from tests.packaging.files import ROOT

BINARY, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
PICTURES = ROOT / "build" / "browser"
"""Where pictures and printed pages are put, for people to look at."""

OVERFLOW = """
const room = document.documentElement.clientWidth;
const wide = Array.from(document.body.querySelectorAll("*")).filter(one => one.getBoundingClientRect().right > room + 1)
  .map(one => one.outerHTML.slice(0, 80));
return {width: document.scrollingElement.scrollWidth, room: room, wide: wide.slice(-3)};
"""

WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation",
  event => window.violations.push(event.effectiveDirective + " " + event.blockedURI + " " + event.sample));
"""


class Chromium:
    """A browser, as a context."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)  # of what chromium leaves behind
        environment = {**os.environ, "SE_OFFLINE": "true", "SE_AVOID_STATS": "true", "TMPDIR": self.folder.name}
        options = webdriver.ChromeOptions()
        options.binary_location = BINARY
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--lang=en",
                         "--no-first-run", "--disable-background-networking", "--disable-component-update",
                         "--host-resolver-rules=MAP * ~NOTFOUND"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER, env=environment))
        self.cdp("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        PICTURES.mkdir(parents=True, exist_ok=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.driver.quit()
        self.folder.cleanup()

    def cdp(self, command, **parameters):
        """A command of the browser's own protocol."""
        return self.driver.execute_cdp_cmd(command, parameters)

    def js(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def view(self, width, dark=False, media=""):
        """A window of that many pixels, on a phone if it is small."""
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 700)
        self.cdp("Emulation.setEmulatedMedia", media=media, features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def scripts(self, allowed):
        """Whether pages that are opened from now on may run their scripts."""
        self.cdp("Emulation.setScriptExecutionDisabled", value=not allowed)

    def open(self, path):
        """Show a file; what was logged before is forgotten."""
        for kind in ("browser", "performance"):
            self.driver.get_log(kind)
        self.driver.get(path.as_uri())

    def problems(self):
        """What the page did wrong: messages on the console, and what its security policy forbade."""
        return [entry["message"] for entry in self.driver.get_log("browser")] + self.js("return window.violations")

    def requests(self):
        """The addresses that were asked for, the page itself first."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]

    def overflow(self):
        """What is wider than the window: how wide, and the last elements that are; empty if nothing is."""
        found = self.js(OVERFLOW)
        return f"{found['width']} in {found['room']} px: {found['wide']}" if found["width"] > found["room"] else ""

    def picture(self, name):
        """The top of the page, as a picture for people."""
        (PICTURES / f"{name}.png").write_bytes(self.driver.get_screenshot_as_png())

    def printed(self, name):
        """The text of each page on paper (A4)."""
        path = Path(PICTURES, f"{name}.pdf")
        path.write_bytes(base64.b64decode(self.cdp("Page.printToPDF", paperWidth=8.27, paperHeight=11.69)["data"]))
        done = subprocess.run(["pdftotext", "-layout", path, "-"], capture_output=True, check=True, text=True)
        return done.stdout.removesuffix("\f").split("\f")
