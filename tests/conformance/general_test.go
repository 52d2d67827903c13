package conformance

import (
	"io"
	"strings"
)

var generalRows = []row{
	{
		section: "2.1", item: "status line", held: "HTTP/1.1 to those who ask in it",
		differs: "mogstored says HTTP/1.0 always",
		ask: func(p *probe) {
			if got := p.do("GET", p.stored("x"), ""); got.proto != "HTTP/1.1" {
				p.wrong("%s: got %s; want HTTP/1.1", got.request, got.proto)
			}
		},
	},
	{
		section: "2.1", item: "keep-alive", held: "in HTTP/1.1, in 1.0 on request only", tests: []string{"TestKeepAliveOfHTTP10AndPipelining"},
		ask: func(p *probe) {
			path := p.stored("x")
			w := dial(p.t, p.addr)
			for range 3 {
				w.say(head("GET "+path+" HTTP/1.0", "Connection: keep-alive"))
				got := w.read("GET")
				if got.status != 200 || got.body != "x" || !strings.EqualFold(got.header.Get("Connection"), "keep-alive") && got.proto == "HTTP/1.0" {
					p.wrong("GET in HTTP/1.0 with keep-alive: got %s, %v", got, got.header)
				}
			}
			w.say(head("GET " + path + " HTTP/1.0"))
			p.wants(w.read("GET"), 200)
			if _, err := w.in.ReadByte(); err != io.EOF {
				p.wrong("after HTTP/1.0 without keep-alive: got %v; want the end", err)
			}
		},
	},
	{
		section: "2.1", item: "pipelining", held: "also of PUT; answers come in order", tests: []string{"TestKeepAliveOfHTTP10AndPipelining"},
		ask: func(p *probe) {
			one, two := p.fid(), p.fid()
			w := dial(p.t, p.addr)
			w.say(request("PUT", one, "one") + request("PUT", two, "two") + request("GET", one, "") + request("GET", two, "", "Connection: close"))
			for _, want := range []string{"", "", "one", "two"} {
				got := w.read("GET")
				if got.status/100 != 2 || want != "" && got.body != want {
					p.wrong("pipelined: got %s; want 2xx and %q", got, want)
				}
			}
		},
	},
	{
		section: "2.1", item: "content type", held: "application/octet-stream",
		differs: "mogstored goes by the extension, and says text/plain for a fid",
		tests:   []string{"TestHeadersOfAFile"},
		ask: func(p *probe) {
			if got := p.do("GET", p.stored("x"), "").header.Get("Content-Type"); got != "application/octet-stream" {
				p.wrong("Content-Type: got %q", got)
			}
		},
	},
	{
		section: "2.1", item: "headers on GET", held: "Date, Last-Modified, Content-Length, Accept-Ranges, and ETag besides", tests: []string{"TestHeadersOfAFile"},
		ask: func(p *probe) {
			got := p.do("GET", p.stored("xyz"), "")
			for _, name := range []string{"Date", "Last-Modified", "Accept-Ranges"} {
				if got.header.Get(name) == "" {
					p.wrong("got %v; want %s", got.header, name)
				}
			}
			if got.length != 3 {
				p.wrong("Content-Length: got %d; want 3", got.length)
			}
		},
	},
	{
		section: "2.1", item: "`//dev1/..`", held: "slashes at the beginning count as one",
		ask: func(p *probe) { p.holds("/"+p.stored("x"), "x") },
	},
	{
		section: "2.1", item: "query string on GET", held: "ignored", differs: "cmogstored: 400",
		ask: func(p *probe) { p.holds(p.stored("x")+"?a=b", "x") },
	},
	{
		section: "2.1", item: "absolute URI", held: "taken", differs: "mogstored: 403",
		ask: func(p *probe) {
			path := p.fid()
			p.wants(p.do("PUT", "http://node"+path, "x"), 200, 201, 204)
			p.holds("http://node"+path, "x")
			p.holds(path, "x")
		},
	},
	{
		section: "2.1", item: "percent escapes in path", held: "decoded, then held to the same characters",
		differs: "cmogstored: 400; mogstored refuses them in PUT and DELETE",
		tests:   []string{"TestPutOfAllKindsOfPath", "FuzzPath"},
		ask: func(p *probe) {
			path := p.stored("x")
			p.holds(strings.Replace(path, "dev", "%64ev", 1), "x")
			for _, bad := range []string{"a%20b", "a%00b", "%2e%2e/x", "%C3%A9"} {
				p.refused(p.onDev(bad), "x")
			}
		},
	},
	{
		section: "2.1", item: "garbage request", held: "400, and the end", differs: "mogstored waits",
		ask: func(p *probe) {
			w := dial(p.t, p.addr)
			w.say("GARBAGE\r\n\r\n")
			_ = w.CloseWrite()
			p.wants(w.read("GET"), 400)
		},
	},
	{
		section: "2.1", item: "header block > 64 KiB", held: "limited: beyond 1 MiB 431, and the end",
		differs: "mogstored takes 72 kB, its limit is not known; cmogstored: 400",
		ask: func(p *probe) {
			got := p.do("GET", p.stored("x"), "", "X-Long: "+strings.Repeat("x", 2<<20))
			if got.err == nil && got.status/100 != 4 {
				p.wrong("2 MiB of headers: got %s; want 4xx", got)
			}
		},
	},
	{
		section: "2.1", item: "Expect: 100-continue", held: "answered always: 100, or at once what is wrong",
		differs: "mogstored answers chunked requests only, cmogstored none",
		tests:   []string{"TestExpectIsAnsweredBeforeTheBody"},
		ask: func(p *probe) {
			for _, c := range []struct{ framing, body string }{
				{"Content-Length: 2", "hi"}, {"Transfer-Encoding: chunked", "2\r\nhi\r\n0\r\n\r\n"},
			} {
				path := p.fid()
				w := dial(p.t, p.addr)
				w.say(head("PUT "+path+" HTTP/1.1", "Host: node", "Expect: 100-continue", c.framing))
				if p.foreign {
					w.say(c.body) // it may wait for it
				}
				p.wants(w.read("PUT"), 100)
				w.say(c.body)
				if !p.foreign {
					p.wants(w.read("PUT"), 201)
					p.holds(path, "hi")
				}
			}
			if !p.foreign {
				got := p.raw(head("PUT /dev9999999/x HTTP/1.1", "Host: node", "Expect: 100-continue", "Content-Length: 2"))
				if p.wants(got, 404); !got.close {
					p.wrong("refused before the body: got no end of the connection; want it")
				}
			}
		},
	},
}
