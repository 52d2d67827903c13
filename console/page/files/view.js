import { ago, byId, cell, count, keep, make, say, size } from "./dom.js";
import { attempt, sure } from "./ask.js";
import { post } from "./api.js";

const words = { ok: "All is well", warning: "Warnings", critical: "Trouble", unknown: "Unknown" };

// show makes the page that of a state.
export function show(state) {
	const health = byId("health");
	health.dataset.health = state.health;
	say(health, words[state.health] ?? state.health);
	document.title = state.health === "ok" ? "MogileFS" : `${words[state.health]} · MogileFS`;
	glance(state);
	problems(state);
	if (state.topology) devices(state.topology);
	queues(state);
	fsck(state.fsck);
	rebalance(state.rebalance);
	about(state.process);
}

function glance({ cluster, queues }) {
	if (cluster) {
		say(byId("tile-hosts"), `${cluster.hosts.up} of ${cluster.hosts.all}`);
		say(byId("tile-devices"), `${cluster.devices.up} of ${cluster.devices.all}`);
		say(byId("tile-space"), cluster.mb_total ? `${Math.round((cluster.mb_used / cluster.mb_total) * 100)} %` : "–");
	}
	say(byId("tile-replicate"), queues ? count(queues.replicate.waiting) : "–");
}

function problems({ problems, past }) {
	byId("no-problems").hidden = problems.length > 0;
	keep(byId("problem-list"), problems, (p) => p.id, problem, tellProblem);
	byId("past").hidden = past.length === 0;
	keep(byId("past-list"), past, (p) => `${p.id} ${p.since}`, problem, tellProblem);
}

function problem() {
	return make("li", {}, make("p", {}, make("strong"), make("span")), make("p"), make("p", { class: "quiet" }));
}

function tellProblem(element, p) {
	element.dataset.severity = p.severity;
	const [head, remedy, when] = element.children;
	say(head.children[0], p.severity === "critical" ? "Trouble:" : "Warning:");
	say(head.children[1], p.what);
	say(remedy, p.until ? "" : p.remedy);
	say(when, p.until ? `from ${ago(p.since)} until ${ago(p.until)}` : `since ${ago(p.since)}`);
}

const states = ["alive", "readonly", "drain", "down", "dead"];

function devices(topology) {
	const rows = topology.hosts.flatMap((host) => host.devices.map((device) => ({ host, device })));
	keep(byId("device-rows"), rows, (r) => r.device.devid, deviceRow, tellDevice);
	const domains = byId("domain");
	keep(domains, topology.domains, (d) => d.domain, (d) => make("option", { value: d.domain }, d.domain), () => {});
}

function deviceRow({ host, device }) {
	const state = make("select", { "aria-label": `State of device ${device.devid}` }, ...states.map((s) => make("option", { value: s }, s)));
	state.addEventListener("change", () => setState(state, host.hostname, device.devid));
	return make("tr", {},
		cell("Host"), cell("Device"), cell("Seen as", {}, make("span")),
		cell("Fill", {}, make("span", { class: "fill" }, make("span", { "aria-hidden": "true" }, make("span")), make("span"))),
		cell("Free", { class: "number" }), cell("Busy", { class: "number" }), cell("State", {}, state));
}

async function setState(select, host, devid) {
	const status = select.value, before = select.dataset.now;
	const text = status === "dead"
		? `Device ${devid} of host ${host} is lost for good? Its copies are forgotten, and made anew elsewhere.`
		: `Set device ${devid} of host ${host} from ${before} to ${status}?`;
	if (await sure(text)) await attempt(select, `Device ${devid} to ${status}`, () => post("device", { host, devid, status }));
	select.blur();
	select.value = select.dataset.now;
	select.focus();
}

function tellDevice(row, { host, device }) {
	const [hostCell, devCell, seen, fill, free, busy, state] = row.children;
	say(hostCell, host.status === "alive" ? host.hostname : `${host.hostname} (${host.status})`);
	say(devCell, `dev${device.devid}`);
	const observed = device.observed_state || "not looked at";
	say(seen.firstChild, observed);
	seen.firstChild.className = `seen-${device.observed_state || "none"}`;
	const bar = fill.firstChild;
	bar.dataset.level = device.fill >= 0.98 ? "critical" : device.fill >= 0.9 ? "warning" : "ok";
	bar.firstChild.firstChild.style.width = `${(device.fill * 100).toFixed(1)}%`;
	say(bar.lastChild, device.mb_total ? `${(device.fill * 100).toFixed(0)} %` : "–");
	say(free, device.mb_total ? size(device.mb_free) : "–");
	say(busy, device.utilization === null ? "–" : `${device.utilization.toFixed(0)} %`);
	const select = state.firstChild;
	const untouched = select.value === select.dataset.now;
	select.dataset.now = device.status;
	if (untouched || document.activeElement !== select) select.value = device.status;
}

const queueNames = { replicate: "To be copied", delete: "To be deleted", fsck: "To be checked", rebalance: "To be moved" };

function queues({ queues, process }) {
	const note = byId("queues-note");
	note.hidden = Boolean(queues);
	byId("replicate-now").disabled = !queues;
	if (!queues) {
		say(note, process.tracker ? "The queues are not counted yet." : "This process has no tracker: only a process with one can count the queues.");
		return;
	}
	keep(byId("queue-rows"), Object.keys(queueNames), (name) => name, queueRow, (row, name) => {
		const q = queues[name];
		[q.waiting, q.due, q.failing, q.parked].forEach((n, i) => say(row.children[i + 1], count(n)));
	});
}

function queueRow(name) {
	const number = Object.keys(queueNames).indexOf(name) + 1;
	return make("tr", {},
		cell("Queue", {}, make("span", {}, make("span", { class: `key series-${number}`, "aria-hidden": "true" }), queueNames[name])),
		...["Waiting", "Due", "Failing", "Given up"].map((label) => cell(label, { class: "number" })));
}

const found = {
	NOPA: "without a recorded copy", POVI: "with copies in the wrong places or too few", MISS: "copies missing", BLEN: "copies of the wrong length",
	BCNT: "wrong counts", SRCH: "searched for", FOND: "copies found again", GONE: "without any good copy", REPL: "queued to be copied",
	BSUM: "wrong checksums", NSUM: "checksums added", MSUM: "copies that differ", BALG: "checksums of another kind",
};

function fsck(status) {
	for (const id of ["fsck-start", "fsck-stop", "fsck-reset"]) byId(id).disabled = !status;
	if (!status) return;
	const bar = byId("fsck-progress");
	const working = status.running || status.files_waiting > 0;
	bar.hidden = !working;
	let text = working ? `Running on ${status.host || "the trackers"}` : status.stop_time ? `Ended ${ago(status.stop_time)}` : "Not running";
	if (status.files_checked !== null) {
		text += `: ${count(status.files_checked)} files checked`;
		if (status.files_waiting) text += `, ${count(status.files_waiting)} wait`;
		if (working && status.files_per_second) text += `, ${status.files_per_second.toFixed(0)} in a second`;
	}
	bar.value = status.end_fid ? Math.min(1, status.max_fid_checked / status.end_fid) : 0;
	say(byId("fsck-state"), text);
	byId("fsck-start").disabled = status.running;
	byId("fsck-stop").disabled = !status.running;
	const codes = Object.entries(status.counts).filter(([, n]) => n > 0);
	say(byId("fsck-found"), codes.length ? `Found since the last reset: ${codes.map(([code, n]) => `${count(n)} ${found[code] ?? code}`).join(", ")}.` : "Nothing was found since the last reset.");
}

let policyTouched = false;
export const touchPolicy = (is) => { policyTouched = is; };

function rebalance(status) {
	for (const id of ["rebalance-start", "rebalance-stop", "rebalance-reset"]) byId(id).disabled = !status;
	if (!status) return;
	const bar = byId("rebalance-progress");
	bar.hidden = !status.running;
	const all = status.queued + status.done;
	bar.value = all ? status.done / all : 0;
	let text = status.running ? `Running on ${status.host}: ${count(status.done)} files moved, ${count(status.queued)} queued` : "Not running";
	if (status.rate) text += `, ${status.rate.toFixed(0)} in a second`;
	if (status.waits) text += `. It waits: ${status.waits}`;
	say(byId("rebalance-state"), text);
	byId("rebalance-start").disabled = status.running || !status.policy;
	byId("rebalance-stop").disabled = !status.running;
	byId("rebalance-reset").disabled = status.running;
	if (!policyTouched) byId("policy").value = status.policy;
}

function about(process) {
	const parts = [process.tracker ? "a tracker" : process.trackers.length ? `asks the trackers ${process.trackers.join(", ")}` : "no tracker"];
	if (process.storage.length) parts.push(`the storage node ${process.storage.join(", ")}`);
	if (process.edges) parts.push(`${process.edges} ${process.edges === 1 ? "site" : "sites"} with files`);
	say(byId("process"), `This process: ${parts.join(", ")}. Version ${process.version}.`);
}
