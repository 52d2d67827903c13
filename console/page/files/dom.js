// Texts only ever go into the page as texts: keys are chosen by strangers.

export const byId = (id) => document.getElementById(id);

// make returns an element with attributes and children, which are texts or elements.
export function make(name, attributes = {}, ...children) {
	const element = document.createElement(name);
	for (const [key, value] of Object.entries(attributes)) {
		if (value !== undefined && value !== null) element.setAttribute(key, value);
	}
	element.append(...children.map((c) => (c instanceof Node ? c : String(c))));
	return element;
}

// say changes a text only when it is another one, so that nothing is announced twice.
export function say(element, text) {
	if (element.textContent !== text) element.textContent = text;
}

// keep makes the children of parent those of items, by key: what is there stays, with its
// focus; create makes what is new, and update changes what is there.
export function keep(parent, items, keyOf, create, update) {
	const there = new Map([...parent.children].map((c) => [c.dataset.key, c]));
	items.forEach((item, i) => {
		const key = String(keyOf(item));
		let element = there.get(key);
		there.delete(key);
		if (!element) {
			element = create(item);
			element.dataset.key = key;
		}
		update(element, item);
		if (parent.children[i] !== element) parent.insertBefore(element, parent.children[i] ?? null);
	});
	for (const gone of there.values()) gone.remove();
}

// cell is a cell of a table that names its column on narrow screens.
export function cell(label, attributes = {}, ...children) {
	return make("td", { "data-label": label, ...attributes }, ...children);
}

const numbers = new Intl.NumberFormat("en");
export const count = (n) => numbers.format(n);

// size shows MiB.
export function size(mb) {
	const units = ["MiB", "GiB", "TiB", "PiB"];
	let unit = 0;
	while (mb >= 1024 && unit < units.length - 1) {
		mb /= 1024;
		unit++;
	}
	return `${mb.toFixed(mb < 10 && unit > 0 ? 1 : 0)} ${units[unit]}`;
}

export function ago(unix) {
	const seconds = Math.max(0, Date.now() / 1000 - unix);
	if (seconds < 60) return "just now";
	if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
	if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
	return `${Math.floor(seconds / 86400)} d ago`;
}
