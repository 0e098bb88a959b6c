// The one act that a link in a message leads to: sent as JSON, which no form on somebody else's page can do.

const form = document.querySelector("form[data-act]");
const alarm = form?.querySelector("[role=alert]");

form?.addEventListener("submit", async (submitted) => {
  submitted.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  alarm.hidden = true;
  const said = Object.fromEntries([...new FormData(form)].filter(([, value]) => value.trim() !== ""));
  try {
    const answer = await fetch(form.dataset.act, {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        Accept: "application/json",
        "Wavegate-CSRF": document.querySelector("meta[name=wavegate-csrf]")?.content ?? "",
      },
      body: JSON.stringify(said),
    });
    if (answer.ok) {
      location.assign(form.dataset.after);
      return;
    }
    const problem = await answer.json().catch(() => ({}));
    alarm.textContent = problem.detail || problem.title || `The controller answered ${answer.status}.`;
  } catch {
    alarm.textContent = "The controller does not answer. Nothing is known to have happened; try again.";
  }
  alarm.hidden = false;
  button.disabled = false;
});
