import { byId, say } from "./dom.js";

let hiding;

// toast tells what became of something.
export function toast(text) {
	const element = byId("toast");
	element.hidden = false;
	say(element, text);
	clearTimeout(hiding);
	hiding = setTimeout(() => { element.hidden = true; }, 8000);
}

// sure asks whether something is really meant.
export function sure(text) {
	const dialog = byId("confirm");
	say(byId("confirm-text"), text);
	dialog.returnValue = "no";
	dialog.showModal();
	return new Promise((resolve) => {
		dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
	});
}

// attempt does something and tells how it went. The button can't be pressed meanwhile.
export async function attempt(button, what, run) {
	button.setAttribute("aria-busy", "true");
	try {
		await run();
		toast(`${what}: done.`);
	} catch (err) {
		toast(`${what}: ${err.message}`);
	} finally {
		button.removeAttribute("aria-busy");
	}
}
