import { ago, byId, count, say } from "./dom.js";

const series = ["replicate", "delete", "fsck", "rebalance"];
const width = 720, height = 200, kept = 720;
const samples = [];

// add takes samples that are new, and draws all.
export function add(fresh, all) {
	if (all) samples.length = 0;
	samples.push(...fresh);
	samples.splice(0, Math.max(0, samples.length - kept));
	draw();
}

function draw() {
	const chart = byId("chart");
	const top = Math.max(1, ...samples.flatMap((s) => series.map((name) => s[name])));
	const from = samples[0].t, span = Math.max(1, samples.at(-1).t - from);
	const lines = series.map((name, i) => {
		const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
		const points = samples.map((s) => `${(((s.t - from) / span) * width).toFixed(1)},${(height - 4 - (s[name] / top) * (height - 12)).toFixed(1)}`);
		if (points.length === 1) points.push(`${width},${points[0].split(",")[1]}`);
		line.setAttribute("points", points.join(" "));
		line.setAttribute("class", `series-${i + 1}`);
		return line;
	});
	const title = byId("chart-title");
	chart.replaceChildren(title, ...lines);
	const last = samples.at(-1);
	say(title, `Length of the queues over time; now ${series.map((name) => `${name} ${count(last[name])}`).join(", ")}`);
	say(byId("chart-from"), ago(from));
	say(byId("chart-top"), `top of the chart: ${count(top)}`);
}
