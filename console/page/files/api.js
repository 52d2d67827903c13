// What the page asks its server for, and has it do.

async function answer(response) {
	const text = await response.text();
	let body;
	try {
		body = JSON.parse(text);
	} catch {
		body = { error: text || response.statusText };
	}
	if (!response.ok) throw new Error(body.error ?? `the server answers ${response.status}`);
	return body;
}

export async function get(path, args = {}) {
	const query = new URLSearchParams(args).toString();
	return answer(await fetch(`api/${path}${query ? `?${query}` : ""}`));
}

export async function post(path, body = {}) {
	return answer(
		await fetch(`api/${path}`, {
			method: "POST",
			headers: { "Content-Type": "application/json", "X-Mogilefs-Dashboard": "1" },
			body: JSON.stringify(body),
		}),
	);
}
