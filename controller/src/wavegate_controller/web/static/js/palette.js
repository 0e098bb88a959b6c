// Finds flags and pages by keyboard: `/` or Ctrl-K, type, arrows, Enter.

const palette = document.querySelector("#palette");
const input = palette?.querySelector("input[type=search]");
const links = () => [...palette.querySelectorAll("#palette-found a")];

const isTyping = (element) => element.matches("input, textarea, select, [contenteditable]");

function open() {
  if (!palette.open) {
    palette.showModal();
    input.select();
    htmx.trigger(input, "opened");
  }
}

function move(step) {
  const all = links();
  const at = all.indexOf(document.activeElement);
  const next = at + step;
  (next < 0 ? input : all[Math.min(next, all.length - 1)])?.focus();
}

if (palette) {
  document.addEventListener("keydown", (event) => {
    const isFind = event.key === "k" && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey;
    const isSlash = event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey && !isTyping(event.target);
    if (isFind || isSlash) {
      event.preventDefault();
      open();
    } else if (palette.open && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      move(event.key === "ArrowDown" ? 1 : -1);
    }
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest?.("[data-opens=palette]") && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      open();
    } else if (event.target === palette) {
      palette.close();
    }
  });
  palette.querySelector("form").addEventListener("submit", (event) => {
    const [first] = links();
    if (first) {
      event.preventDefault();
      location.assign(first.href);
    }
  });
}
