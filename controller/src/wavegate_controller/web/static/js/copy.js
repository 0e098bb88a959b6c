// A button beside what is there to be copied; only where the browser lets a page write to the clipboard: https, or this machine.

const COPY = "copy";

export function addCopyButtons(root) {
  if (!navigator.clipboard) {
    return;
  }
  for (const code of root.querySelectorAll("code.command")) {
    const label = `Copy: ${code.textContent}`;
    if (code.nextElementSibling?.matches("button.copy")) {
      code.nextElementSibling.setAttribute("aria-label", label);
      continue;
    }
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = COPY;
    button.setAttribute("aria-label", label);
    code.after(button);
  }
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("button.copy");
  if (button) {
    await navigator.clipboard.writeText(button.previousElementSibling.textContent);
    button.textContent = "copied";
    setTimeout(() => { button.textContent = COPY; }, 1500);
  }
});
