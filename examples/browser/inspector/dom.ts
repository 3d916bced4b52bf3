/**
 * Elements, made and kept. What it keeps true: what is shown again under the same key is the same element, so that focus, an open
 * branch and the place that one has scrolled to outlive every refresh.
 */
type Child = Node | string;

export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: { readonly [name: string]: string } = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

export function svg(
  tag: string,
  attributes: { readonly [name: string]: string | number },
  ...children: Child[]
): SVGElement {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}

/** Sets a text, if it is another one: a screen reader would say the same one again. */
export function say(target: Element, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}

/** Makes `parent` have one child for each item, in their order; those that are there under its key are kept. */
export function keyed<T, E extends HTMLElement>(
  parent: Element,
  items: readonly T[],
  keyOf: (item: T) => string,
  make: (item: T) => E,
  update: (element: E, item: T) => void = () => {},
): void {
  const there = new Map([...parent.children].map((child) => [(child as HTMLElement).dataset["key"], child as E]));
  let next: Element | null = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    let element = there.get(key);
    there.delete(key);
    if (element === undefined) {
      element = make(item);
      element.dataset["key"] = key;
    }
    update(element, item);
    if (element === next) next = next.nextElementSibling;
    else parent.insertBefore(element, next);
  }
  for (const left of there.values()) left.remove();
}
