// How a page becomes the same page, newer: what is opened, typed, focused or drawn stays.

/** For both ways in which it changes: following the controller, and the answer to a form. */
export function morphs() {
  const { callbacks } = Idiomorph.defaults;
  callbacks.beforeAttributeUpdated = (name, element) => {
    if (name === "open" && element instanceof HTMLDetailsElement) {
      return false;
    }
    return !(name === "value" && element instanceof HTMLInputElement && element.type !== "hidden");
  };
  callbacks.beforeNodeMorphed = (stale, fresh) => {
    if (!(stale instanceof Element) || !(fresh instanceof Element)) {
      return true;
    }
    if (stale.matches("[data-chart]") && fresh.matches("[data-chart]")) {
      stale.dataset.chart = fresh.dataset.chart;
      return false;
    }
    return !isBeingRead(stale);
  };
  callbacks.beforeNodeRemoved = (node) => !(node instanceof Element && node.matches("button.copy"));
  Idiomorph.defaults.ignoreActiveValue = true;
}

export function morph(stale, fresh) {
  Idiomorph.morph(stale, fresh, { morphStyle: "outerHTML" });
}

/** Somebody is marking text in there, to copy it: leave it alone until they are done. */
function isBeingRead(block) {
  const selection = document.getSelection();
  return selection !== null && !selection.isCollapsed && block.childElementCount === 0 && selection.containsNode(block, true);
}
