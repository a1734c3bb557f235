// The page works without this; it adds the countdown and the buttons that ask as a script does.
const by = (id) => document.getElementById(id);
const show = (id, html) => { by(id).innerHTML = html; };
const text = (value) => String(value).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

// The token's life. When a refresh is due we ask like any other request would; the handler does the rest.
const life = by("life");
if (life) {
  const DUE = 15;
  const lifetime = Number(life.dataset.lifetime);
  let ends = performance.now() + Number(life.dataset.left) * 1000;
  let count = Number(by("refreshed").dataset.count);
  let asking = false;
  let over = false;

  const tellCount = () => {
    const times = ["", "once", "twice"][count] ?? `${count} times`;
    by("refreshed").textContent = count
      ? `Refreshed ${times} since you signed in. No refresh changes your cookie.`
      : `The handler refreshes it when ${DUE} seconds are left (the mark), while you read on.`;
  };
  const ask = async () => {
    const answer = await fetch("/identity");
    const body = await answer.json();
    if (answer.status === 401) {
      over = true;
      by("refreshed").innerHTML = `You are signed out. <a href="${text(body.login_url)}">Sign in again</a>`;
    } else if (answer.ok && body.refreshed !== count) {
      count = body.refreshed;
      ends = performance.now() + body.seconds_left * 1000;
      for (const cell of life.querySelectorAll("[data-claim]")) cell.textContent = body.token_claims[cell.dataset.claim];
      tellCount();
    }
  };
  const tick = () => {
    const left = Math.max(0, (ends - performance.now()) / 1000);
    by("left").textContent = over ? "–" : Math.ceil(left);
    by("bar").style.width = over ? 0 : `${Math.min(100, (left / lifetime) * 100)}%`;
    if (left < DUE - 1 && !asking && !over && !document.hidden) {
      asking = true;
      ask().catch(() => {}).finally(() => setTimeout(() => { asking = false; }, 1500));
    }
  };
  tellCount();
  tick();
  setInterval(tick, 250);

  by("refresh").addEventListener("click", async () => {
    const response = await fetch("/oauth/refresh", { method: "POST", headers: { "X-CSRF": "1" } });
    await ask();
    if (response.status >= 500) by("refreshed").textContent = `No new token now (${response.status}): the session lives on with the one it has.`;
  });
}

by("ask").addEventListener("click", async () => {
  const answer = await fetch("/identity");
  const body = await answer.json();
  const again = answer.status === 401 ? ` <a href="${text(body.login_url)}">Sign in again</a>` : "";
  const type = answer.headers.get("content-type");
  show("ask-answer", `<strong>${answer.status}</strong> ${text(type)}${again}<pre>${text(JSON.stringify(body, null, 2))}</pre>`);
});

// The upload: any file, or noise that nobody has to look for first.
const hex = (bytes) => [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const send = async (blob) => {
  show("upload-answer", "Sending…");
  const ours = hex(await crypto.subtle.digest("SHA-256", await blob.arrayBuffer()));
  const started = performance.now();
  const answer = await fetch("/upload", { method: "POST", body: blob });
  if (!answer.ok) return show("upload-answer", `<strong>${answer.status}</strong>`);
  const seconds = ((performance.now() - started) / 1000).toFixed(2);
  const theirs = await answer.json();
  const verdict = theirs.sha256 === ours ? "the same on both ends ✓" : "different: something changed it on the way";
  show("upload-answer", `<strong>${theirs.bytes.toLocaleString("en")} bytes</strong> in ${seconds} s, in ${theirs.pieces} pieces. SHA-256 ${verdict}<pre>${text(theirs.sha256)}</pre>`);
};
by("upload").addEventListener("submit", (event) => {
  event.preventDefault();
  const [file] = by("file").files;
  if (file) send(file);
});
by("noise").addEventListener("click", () => {
  const pieces = Array.from({ length: 160 }, () => crypto.getRandomValues(new Uint8Array(65536)));
  send(new Blob(pieces));
});

by("listen").addEventListener("click", () => {
  const started = performance.now();
  show("listen-answer", `<div class="ticks">${"<i></i>".repeat(10)}</div><span></span>`);
  by("listen").disabled = true;
  const events = new EventSource("/stream");
  const end = () => { events.close(); by("listen").disabled = false; };
  events.onmessage = (event) => {
    const { number, of } = JSON.parse(event.data);
    by("listen-answer").querySelectorAll("i")[number - 1].className = "on";
    by("listen-answer").lastChild.textContent = `event ${number} of ${of}, ${((performance.now() - started) / 1000).toFixed(1)} s after you pressed`;
    if (number === of) end();
  };
  events.onerror = () => { by("listen-answer").lastChild.textContent = "The stream ended early."; end(); };
});
