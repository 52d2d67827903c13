import { byId, cell, count, make, say } from "./dom.js";
import { attempt } from "./ask.js";
import { get, post } from "./api.js";

let current; // the file that is shown
let asked = 0; // so that a late answer does not replace a newer one

// lookUp shows the file of a key, or keys that begin so.
export async function lookUp(domain, key) {
	const turn = ++asked;
	const error = byId("lookup-error");
	error.hidden = true;
	byId("key-matches").hidden = true;
	byId("file").hidden = true;
	try {
		// Of all keys that begin so, the shortest comes first.
		const { keys } = await get("keys", { domain, prefix: key });
		const file = key && keys[0] === key ? await get("file", { domain, key }) : null;
		if (turn !== asked) return;
		if (file) showFile(file);
		else showKeys(domain, key, keys);
	} catch (err) {
		if (turn !== asked) return;
		error.hidden = false;
		say(error, err.message);
	}
}

function showKeys(domain, prefix, keys) {
	byId("key-matches").hidden = false;
	say(byId("matches-title"), keys.length ? (prefix ? "No file has this key. These begin so:" : "The first keys of the domain:") : "No file has this key, and no key begins so.");
	byId("match-list").replaceChildren(...keys.map((key) => {
		const button = make("button", { type: "button" }, key);
		button.addEventListener("click", () => {
			byId("key").value = key;
			lookUp(domain, key);
		});
		return make("li", {}, button);
	}));
}

function showFile(file) {
	current = file;
	byId("file").hidden = false;
	say(byId("file-key"), file.key || `fid ${file.fid}`);
	byId("file-troubles").replaceChildren(...file.troubles.map((t) => make("li", { "data-severity": "warning" }, make("p", {}, make("strong", {}, "Warning:"), t))));
	const facts = [
		["Domain", file.domain], ["Class", file.class], ["Fid", file.fid], ["Bytes", count(file.length)],
		["Copies wanted", file.mindevcount], ["Copies recorded", file.devcount], ["Checksum", file.checksum || "none"],
		...Object.entries(file.rows).map(([table, row]) => [table, Object.entries(row).map(([k, v]) => `${k} ${v}`).join(", ")]),
	];
	byId("file-facts").replaceChildren(...facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
	byId("copy-rows").replaceChildren(...file.copies.map(copyRow));
	preview(file);
	byId("file-key").focus();
}

function copyRow(copy) {
	return make("tr", {},
		cell("Host", {}, copy.hostname || "?"), cell("Device", {}, `dev${copy.devid} (${copy.status})`),
		cell("Copy", {}, make("span", { class: copy.ok ? "seen-ok" : "seen-bad" }, copy.ok ? "is there" : copy.trouble)),
		cell("Bytes", { class: "number" }, copy.length === null ? "–" : count(copy.length)), cell("Address", {}, make("span", {}, copy.url)));
}

function preview(file) {
	const image = byId("preview"), note = byId("preview-note");
	image.hidden = true;
	say(note, "");
	if (!file.copies.some((c) => c.ok)) return;
	image.onload = () => {
		image.hidden = false;
		image.alt = `Preview of ${file.key}`;
		say(note, `${image.naturalWidth} × ${image.naturalHeight} pixels`);
	};
	image.onerror = () => say(note, "No preview: the file is not an image that browsers show, or it is too large.");
	image.src = `preview?${new URLSearchParams({ fid: file.fid })}`;
}

export function begin() {
	byId("lookup-form").addEventListener("submit", (event) => {
		event.preventDefault();
		lookUp(byId("domain").value, byId("key").value);
	});
	byId("purge").addEventListener("click", (event) => {
		const { domain, key } = current;
		attempt(event.target, "Forget", () => post("purge", { domain, key }));
	});
}
