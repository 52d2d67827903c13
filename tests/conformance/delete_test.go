package conformance

import "strings"

var deleteRows = []row{
	{section: "2.4", item: "file", held: "204, which rebalance asks for", tests: []string{"TestWhatWasRemovedStaysRemovedAfterACrash"}, ask: func(p *probe) {
		path := p.stored("x")
		p.wants(p.do("DELETE", path, ""), 204)
		p.absent(path)
	}},
	{section: "2.4", item: "missing", held: "404", ask: func(p *probe) { p.wants(p.do("DELETE", p.fid(), ""), 404) }},
	{section: "2.4", item: "directory", held: "403; it stays, also when it is empty", differs: "mogstored: 400", ask: func(p *probe) {
		path := p.stored("x")
		dir := path[:strings.LastIndexByte(path, '/')]
		p.wants(p.do("DELETE", dir, ""), 403)
		p.holds(path, "x")
		p.do("DELETE", path, "")
		p.wants(p.do("DELETE", dir, ""), 403)
	}},
	{section: "2.4", item: "`/`", held: "403", differs: "mogstored: 400", ask: func(p *probe) { p.wants(p.do("DELETE", "/", ""), 403) }},
	{section: "2.4", item: "`..`", held: "403", differs: "mogstored: 400", ask: func(p *probe) {
		p.wants(p.do("DELETE", p.onDev("../dev9999999/x"), ""), 403)
	}},
	{section: "2.4", item: "EACCES/EPERM", held: "403", differs: "mogstored: 400", tests: []string{"TestDeleteWithoutPermissionIs403"}},
}

var otherRows = []row{
	{section: "2.5", item: "MKCOL", held: "400 on purpose: trackers then stop sending it for the device; 403 with `..`", ask: func(p *probe) {
		p.wants(p.do("MKCOL", p.onDev("9/999/"), ""), 400)
		p.wants(p.do("MKCOL", p.onDev("../x/"), ""), 403)
	}},
	{
		section: "2.5", item: "POST, OPTIONS, MOVE, COPY, PROPFIND", held: "405 with `Allow`, as RFC 9110 has it; nothing changes", differs: "both: 400",
		ask: func(p *probe) {
			path := p.stored("x")
			for _, method := range []string{"POST", "OPTIONS", "MOVE", "COPY", "PROPFIND"} {
				got := p.do(method, path, "")
				if p.wants(got, 405); !strings.Contains(got.header.Get("Allow"), "PUT") {
					p.wrong("%s: got Allow %q", got.request, got.header.Get("Allow"))
				}
			}
			p.holds(path, "x")
		},
	},
	{
		section: "2.5", item: "a listener for GET only", held: "a site with `methods GET`: 405 for PUT, DELETE and MKCOL, and the end for who waits for word to send a body",
		differs: "mogstored has none", tests: []string{"TestASiteMayServeReadersOnly"},
	},
	{section: "2.6", item: "usage, every 2.5 s", held: "HTTP/1.0 with keep-alive", ask: func(p *probe) {
		w := dial(p.t, p.addr)
		for range 2 {
			w.say(head("GET "+p.onDev("usage")+" HTTP/1.0", "Connection: keep-alive"))
			if got := w.read("GET"); got.status != 200 || got.length <= 0 {
				p.wrong("GET usage: got %s, length %d; want 200 and a length", got, got.length)
			}
		}
	}},
	{section: "2.6", item: "test writes, every 15 s", held: "MKCOL, PUT, GET and a PUT with a wrong MD5 below test-write", ask: func(p *probe) {
		path, md5 := p.onDev("test-write/test-write-99"), p.onDev("test-write/test-md5")
		p.do("MKCOL", p.onDev("test-write"), "")
		p.owns(path)
		p.owns(md5)
		if got := p.do("PUT", path, "time=1 rand=2"); got.status/100 != 2 {
			p.wrong("PUT %s: got %s; want 2xx", path, got)
		}
		p.holds(path, "time=1 rand=2")
		p.wants(p.do("PUT", md5, "hello", "Content-MD5: "+md5OfOther), 400)
	}},
	{section: "2.6", item: "create_close, get_paths, fsck", held: "HEAD in HTTP/1.1", ask: func(p *probe) {
		if got := p.do("HEAD", p.stored("xyz"), ""); got.status != 200 || got.length != 3 {
			p.wrong("%s: got %s, length %d; want 200, 3", got.request, got, got.length)
		}
	}},
	{section: "2.6", item: "replication", held: "GET and PUT in HTTP/1.0 with keep-alive, with the MD5 when it is known", ask: func(p *probe) {
		from, to := p.stored("hello"), p.fid()
		w := dial(p.t, p.addr)
		w.say(head("GET "+from+" HTTP/1.0", "Connection: keep-alive"))
		p.wants(w.read("GET"), 200)
		w.say(head("PUT "+to+" HTTP/1.0", "Connection: keep-alive", "Content-length: 5", "Content-MD5: "+md5OfHello) + "hello")
		if got := w.read("PUT"); got.status/100 != 2 {
			p.wrong("PUT: got %s; want 2xx", got)
		}
		w.say(head("GET "+to+" HTTP/1.0", "Connection: keep-alive"))
		p.wants(w.read("GET"), 200)
	}},
	{section: "2.6", item: "delete", held: "DELETE in HTTP/1.1, keep-alive", ask: func(p *probe) {
		one, two := p.stored("x"), p.stored("x")
		w := dial(p.t, p.addr)
		for _, path := range []string{one, two} {
			w.say(request("DELETE", path, ""))
			p.wants(w.read("DELETE"), 204)
		}
	}},
}
