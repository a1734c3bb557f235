// The strip grows as things happen, and what is pressed is answered in its card. Without this they are pages.
const strip = document.getElementById("events");
if (strip) {
  const inspector = document.getElementById("script").dataset.inspector;
  const toTheEnd = () => { strip.scrollLeft = strip.scrollWidth; };
  toTheEnd();
  const last = strip.lastElementChild?.dataset.number ?? 0;
  const events = new EventSource(`${inspector}/events?after=${last}`);
  events.onmessage = ({ data }) => {
    strip.insertAdjacentHTML("beforeend", data);
    strip.lastElementChild.className += " new";
    while (strip.children.length > 24) strip.firstElementChild.remove();
    toTheEnd();
  };
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.dataset.into) return;
    event.preventDefault();
    const output = document.getElementById(form.dataset.into);
    try {
      const response = await fetch(form.action, { method: form.method, credentials: "include" });
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const result = page.querySelector(".result");
      const title = document.createElement("strong");
      title.className = "outcome";
      title.textContent = result.querySelector("h1").textContent;
      result.querySelector("h1").replaceWith(title);
      output.replaceChildren(...result.childNodes);
    } catch {
      output.textContent = "The inspector does not respond: is the demo still running?";
    }
  });
}
