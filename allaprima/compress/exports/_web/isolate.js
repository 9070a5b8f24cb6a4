// WebAssembly threads need a page that is isolated from other origins, which two headers say. Where the host does not send them,
// this file, as a service worker, adds them. Opened from a disk there is no service worker, and one thread has to do.
"use strict";
if (typeof window === "undefined") {
  self.addEventListener("install", () => self.skipWaiting());
  self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
  self.addEventListener("fetch", (event) => {
    if (new URL(event.request.url).origin !== self.location.origin) return;
    event.respondWith(fetch(event.request).then((answer) => {
      if (answer.status === 0) return answer;
      const headers = new Headers(answer.headers);
      headers.set("Cross-Origin-Opener-Policy", "same-origin");
      headers.set("Cross-Origin-Embedder-Policy", "require-corp");
      return new Response(answer.body, { status: answer.status, statusText: answer.statusText, headers });
    }));
  });
} else if (!window.crossOriginIsolated && location.protocol.startsWith("http") && "serviceWorker" in navigator) {
  navigator.serviceWorker.register("isolate.js").then(async () => {
    await navigator.serviceWorker.ready;
    // once: where it does not help, one thread has to do
    if (sessionStorage.getItem("isolated")) return;
    sessionStorage.setItem("isolated", "tried");
    location.reload();
  }).catch(() => {});
}
