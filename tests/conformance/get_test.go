package conformance

import (
	"net/http"
	"strings"
	"time"
)

var getRows = []row{
	{section: "2.2", item: "file", held: "200", ask: func(p *probe) { p.holds(p.stored("content"), "content") }},
	{section: "2.2", item: "missing", held: "404", ask: func(p *probe) {
		path := p.fid()
		p.absent(path)
		p.wants(p.do("HEAD", path, ""), 404)
	}},
	{section: "2.2", item: "`/`", held: "200, for `mogadm check`", ask: func(p *probe) { p.wants(p.do("GET", "/", ""), 200) }},
	{
		section: "2.2", item: "directory", held: "403, and no listing", differs: "mogstored: 200",
		ask: func(p *probe) {
			path := p.stored("x")
			for _, dir := range []string{p.onDev(""), path[:strings.LastIndexByte(path, '/')], path[:strings.LastIndexByte(path, '/')+1]} {
				got := p.do("GET", dir, "")
				if p.wants(got, 403); strings.Contains(got.body, ".fid") {
					p.wrong("GET %s: got a listing %q", dir, got.body)
				}
			}
		},
	},
	{
		section: "2.2", item: "`..` in path", held: "403, whether or not it leads out",
		tests: []string{"TestGetAndHeadOfAllKindsOfPath", "FuzzPath"},
		ask: func(p *probe) {
			for _, path := range []string{"/dev1/../etc/passwd", "/..", "/../../etc/passwd", "/dev1/x..y"} {
				p.wants(p.do("GET", path, ""), 403)
			}
		},
	},
	{
		section: "2.2", item: "unreadable", held: "403; 500 when the disk is in trouble, and an end of the connection when it comes in the middle of the body",
		differs: "mogstored hangs up", tests: []string{"TestGetAndHeadOfAllKindsOfPath", "TestBodyThatFallsShortIsAborted"},
	},
	{
		section: "2.2", item: "If-Modified-Since **equal** to Last-Modified string", held: "304", differs: "cmogstored ignores the header",
		tests: []string{"TestConditions"},
		ask: func(p *probe) {
			path := p.stored("x")
			at := p.do("HEAD", path, "").header.Get("Last-Modified")
			p.wants(p.do("GET", path, "", "If-Modified-Since: "+at), 304)
		},
	},
	{
		section: "2.2", item: "If-Modified-Since later date", held: "304: dates are compared, not texts", differs: "both: 200",
		tests: []string{"TestConditions"},
		ask: func(p *probe) {
			later := time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
			path := p.stored("x")
			p.wants(p.do("GET", path, "", "If-Modified-Since: "+later), 304)
			p.wants(p.do("GET", path, "", "If-Modified-Since: Sun, 02 Feb 2020 03:04:05 GMT"), 200)
		},
	},
	{
		section: "2.2", item: "ETag / If-None-Match / If-Range", held: "as RFC 9110 has them", differs: "neither knows them",
		tests: []string{"TestConditions", "TestAnotherContentHasAnotherETag"},
		ask: func(p *probe) {
			path := p.stored("xyz")
			tag := p.do("HEAD", path, "").header.Get("Etag")
			p.wants(p.do("GET", path, "", "If-None-Match: "+tag), 304)
			p.wants(p.do("GET", path, "", `If-None-Match: "other"`), 200)
			p.wants(p.do("GET", path, "", "Range: bytes=0-0", "If-Range: "+tag), 206)
			p.wants(p.do("GET", path, "", "Range: bytes=0-0", `If-Range: "other"`), 200)
		},
	},
	{section: "2.2", item: "HEAD", held: "the headers of GET, no body; also of what is missing", ask: func(p *probe) {
		for _, path := range []string{p.stored("xyz"), p.fid()} {
			get, head := p.do("GET", path, ""), p.do("HEAD", path, "")
			if head.status != get.status || head.body != "" || head.length != get.length {
				p.wrong("HEAD %s: got %s, length %d; want %d, %d", path, head, head.length, get.status, get.length)
			}
		}
	}},
	{section: "2.2", item: "zero-length file", held: "`Content-Length: 0`, which trackers rely on", ask: func(p *probe) {
		path := p.stored("")
		for _, method := range []string{"GET", "HEAD"} {
			if got := p.do(method, path, ""); got.status != 200 || got.header.Get("Content-Length") != "0" {
				p.wrong("%s: got %s, %v; want 200 and a length of 0", got.request, got, got.header)
			}
		}
	}},
	{
		section: "2.2", item: "digests on request", held: "`Repr-Digest`, and `Content-MD5` of whole files, for `Want-Repr-Digest`",
		differs: "neither knows them", tests: []string{"TestADigestComesWhenItIsWanted", "FuzzWantReprDigest"},
		ask: func(p *probe) {
			got := p.do("GET", p.stored("hello"), "", "Want-Repr-Digest: md5=1")
			if got.header.Get("Repr-Digest") != "md5=:"+md5OfHello+":" || got.header.Get("Content-Md5") != md5OfHello {
				p.wrong("got %v; want the MD5", got.header)
			}
		},
	},
}

// md5OfHello is what hello digests to, in base64.
const md5OfHello = "XUFAKrxLKna5cZ2REBfFkg=="

// ranged is a row for a Range of a file with the bytes xyz.
func ranged(item, differs string, harmful bool, cases ...rangeCase) row {
	held := make([]string, len(cases))
	for i, c := range cases {
		held[i] = c.held
	}
	return row{
		section: "2.2", item: item, held: strings.Join(held, "; "), differs: differs, harmful: harmful, tests: []string{"TestRangesOfThreeBytes"},
		ask: func(p *probe) {
			path := p.stored("xyz")
			for _, c := range cases {
				got := p.do("GET", path, "", "Range: bytes="+c.value)
				if got.status != c.status || got.header.Get("Content-Range") != c.is || c.status != 416 && got.body != c.body {
					p.wrong("%s: got %s, Content-Range %q; want %d %q, %q", got.request, got, got.header.Get("Content-Range"), c.status, c.body, c.is)
				}
				if c.status == 416 && got.header.Get("Content-Length") != "0" {
					p.wrong("%s: got %v; want a length of 0", got.request, got.header)
				}
			}
		},
	}
}

type rangeCase struct {
	value, held string
	status      int
	body, is    string
}

var rangeRows = []row{
	ranged("0-1", "", false, rangeCase{"0-1", "206, the first two", 206, "xy", "bytes 0-1/3"}),
	ranged("1-", "", false, rangeCase{"1-", "206, the last two", 206, "yz", "bytes 1-2/3"}),
	ranged("-2", "mogstored: the first three", false, rangeCase{"-2", "206, the last two", 206, "yz", "bytes 1-2/3"}),
	ranged("-99", "cmogstored: 200", false, rangeCase{"-99", "206, all three", 206, "xyz", "bytes 0-2/3"}),
	ranged("-0", "cmogstored: the daemon aborts", true, rangeCase{"-0", "416", 416, "", "bytes */3"}),
	ranged("2-1", "both: 416", false, rangeCase{"2-1", "ignored", 200, "xyz", ""}),
	ranged("3- , 5-9", "", false, rangeCase{"3-", "416", 416, "", "bytes */3"}, rangeCase{"5-9", "416", 416, "", "bytes */3"}),
	ranged("0-99", "", false, rangeCase{"0-99", "206, all three", 206, "xyz", "bytes 0-2/3"}),
	ranged("abc", "cmogstored: 400", false, rangeCase{"abc", "ignored", 200, "xyz", ""}),
	{
		section: "2.2", item: "0-0,2-2 (multi)", held: "206 in parts", differs: "mogstored: the whole file; cmogstored: 400",
		tests: []string{"TestSeveralRangesComeInParts"},
		ask: func(p *probe) {
			got := p.do("GET", p.stored("xyz"), "", "Range: bytes=0-0,2-2")
			if got.status != 206 || !strings.HasPrefix(got.header.Get("Content-Type"), "multipart/byteranges") ||
				!strings.Contains(got.body, "Content-Range: bytes 2-2/3\r\n") {
				p.wrong("%s: got %s, %v; want two parts", got.request, got, got.header)
			}
		},
	},
	ranged("-", "cmogstored: 416", false, rangeCase{"-", "ignored", 200, "xyz", ""}),
}
