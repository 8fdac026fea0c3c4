// DOM helpers: typed look-up of the elements in index.html, and making new ones. No state, no framework.

/** The element of that id. Throws at start rather than failing quietly later: index.html and the code must agree. */
export function part<T extends Element>(id: string, type: abstract new () => T): T {
  const found = document.getElementById(id);
  if (found instanceof type) return found;
  throw new Error(`index.html has no ${type.name} with the id '${id}'.`);
}

type Child = Node | string;
type Props = Record<string, string | number | boolean | undefined>;

/** Makes an element. Props become attributes; `--name` props become custom properties; false and undefined are left out. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === false) continue;
    // Through the CSSOM, not a style attribute: a content security policy may forbid the latter.
    if (name.startsWith('--') || name === 'width') node.style.setProperty(name, String(value));
    else node.setAttribute(name, value === true ? '' : String(value));
  }
  node.append(...children);
  return node;
}

/** A button that does one thing. */
export function button(text: string, act: () => void, props: Props = {}): HTMLButtonElement {
  const node = el('button', { type: 'button', class: 'button small', ...props }, text);
  node.addEventListener('click', act);
  return node;
}

/** Fills a select and chooses `value`, or the first option when there is no such. */
export function fill(
  select: HTMLSelectElement,
  options: readonly (readonly [string, string])[],
  value: string,
) {
  select.replaceChildren(...options.map(([v, text]) => el('option', { value: v }, text)));
  select.value = value;
  if (select.selectedIndex < 0) select.selectedIndex = 0;
}
