"""How quick the exported page is, in Chromium, without a server's help: pictures a second at 256 px.

Run: ``python benchmarks/web.py --runtime onnxruntime-web-1.30.0.tgz`` (needs playwright and Chromium; ``--chromium PATH``). From
a plain web host on loopback (threads, by the page's own service worker) and from ``file://`` (one thread). The last line is JSON.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import json
import tempfile
import threading
import time
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from allaprima.bundle.untrained import save, untrained
from allaprima.compress.export import export, web_runtime

SIZE, SECONDS = 256, 8


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def rate(browser: Browser, address: str, isolated: bool) -> dict[str, float]:
    """Drift for some seconds: pictures a second, and the threads that painted them."""
    page = browser.new_page(viewport={"width": 1200, "height": 760})
    page.goto(address)
    if isolated:
        page.wait_for_function("self.crossOriginIsolated", timeout=60_000)
    page.wait_for_selector("canvas.painted", timeout=120_000)
    page.click("#drift")
    time.sleep(1)
    began, first = time.perf_counter(), page.evaluate("PAINTED")
    time.sleep(SECONDS)
    found = (page.evaluate("PAINTED") - first) / (time.perf_counter() - began)
    threads = page.evaluate("ort.env.wasm.numThreads")
    page.close()
    return {"pictures_per_second": round(found, 1), "threads": threads}


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--runtime", type=Path)
    options.add_argument("--chromium", default="/usr/bin/chromium")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        save(untrained(SIZE, generator="live"), Path(folder) / "live")
        out = Path(folder) / "page"
        export(Path(folder) / "live", "web", out, runtime=web_runtime(given.runtime, download=False))
        handler = functools.partial(Quiet, directory=str(out))
        host = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=host.serve_forever, daemon=True).start()
        browser = playwright.chromium.launch(executable_path=given.chromium, args=["--no-sandbox", "--disable-gpu"])
        hosted = rate(browser, f"http://127.0.0.1:{host.server_port}/", isolated=True)
        from_disk = rate(browser, f"{out.as_uri()}/index.html", isolated=False)
        browser.close()
        host.shutdown()
    print(json.dumps({"benchmark": "web", "size": SIZE, "hosted": hosted, "from_disk": from_disk}))


if __name__ == "__main__":
    main()
