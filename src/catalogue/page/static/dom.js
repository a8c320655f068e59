/** Elements. Every text of others is set as text, never as markup. */

export const find = (selector) => document.querySelector(selector);

/** An element with attributes and children; text becomes text nodes, and what is undefined is left out. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== undefined) made.setAttribute(key, value);
  made.append(...children.flat().filter((child) => child !== undefined));
  return made;
}

/** Text of others may run from right to left: it must not turn what stands beside it. It breaks after `/`, `.`, `,` … */
export function foreign(text, kind) {
  const parts = text.split(/(?<=[/.,;:=&?@_-])(?=[^/.,;:=&?@_-])/);
  return element('bdi', { class: kind }, ...parts.flatMap((part, i) => (i === 0 ? [part] : [element('wbr'), part])));
}

/** Sets a text that is read out, only where it is another. */
export function say(selector, text) {
  const at = find(selector);
  if (at.textContent !== text) at.textContent = text;
}

/** A button that copies a text. @param what it is, for who hears the button */
export function copyButton(text, what) {
  const button = element('button', {
    type: 'button',
    class: 'copy',
    'aria-label': `Copy ${what}`,
    title: `Copy ${what}`,
  });
  button.addEventListener('click', async () => {
    const copied = await copy(text);
    button.dataset.copied = copied;
    say('#news', copied ? 'Copied' : 'Could not copy');
    setTimeout(() => delete button.dataset.copied, 1500);
  });
  return button;
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Over plain HTTP from another machine browsers have no clipboard but this.
    const area = element('textarea', { class: 'unseen', readonly: '' });
    area.value = text;
    const focused = document.activeElement;
    document.body.append(area);
    area.select();
    const copied = document.execCommand('copy');
    area.remove();
    focused?.focus();
    return copied;
  }
}
