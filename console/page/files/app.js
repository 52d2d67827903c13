import { byId, say } from "./dom.js";
import { attempt, sure } from "./ask.js";
import { post } from "./api.js";
import { add } from "./chart.js";
import { show, touchPolicy } from "./view.js";
import { begin } from "./lookup.js";

// silence is after how many milliseconds without a word from the server something is wrong:
// it says something every five seconds.
const silence = 15000;

let waiting;

function heard() {
	say(byId("link"), "live");
	clearTimeout(waiting);
	waiting = setTimeout(() => say(byId("link"), "no news: what you see may be old"), silence);
}

function watch() {
	const events = new EventSource("events");
	let first = true;
	events.addEventListener("open", () => { first = true; heard(); });
	events.addEventListener("beat", heard);
	events.addEventListener("state", (event) => { heard(); show(JSON.parse(event.data)); });
	events.addEventListener("samples", (event) => { heard(); add(JSON.parse(event.data), first); first = false; });
	events.addEventListener("error", () => {
		say(byId("link"), "no connection: what you see may be old");
		// A refusal ends the stream for good; the server may be about to start.
		if (events.readyState === EventSource.CLOSED) setTimeout(watch, 2000);
	});
}

// press has a button do something.
function press(id, what, path, body, question) {
	byId(id).addEventListener("click", async () => {
		if (question && !(await sure(question))) return;
		attempt(byId(id), what, () => post(path, body));
	});
}

press("fsck-start", "Start of fsck", "fsck/start");
press("fsck-stop", "Stop of fsck", "fsck/stop");
press("fsck-reset", "Reset of fsck", "fsck/reset", {}, "Have the next check begin with the first file, and forget the counts of the last?");
press("rebalance-start", "Start of the rebalance", "rebalance/start");
press("rebalance-stop", "Stop of the rebalance", "rebalance/stop");
press("rebalance-reset", "Reset of the rebalance", "rebalance/reset", {}, "Have the next rebalance begin anew?");
press("replicate-now", "Copies", "replicate/now");

byId("policy").addEventListener("input", () => touchPolicy(true));
byId("policy-form").addEventListener("submit", (event) => {
	event.preventDefault();
	attempt(event.submitter ?? event.target, "Policy", async () => {
		await post("rebalance/policy", { policy: byId("policy").value });
		touchPolicy(false);
	});
});

begin();
watch();
