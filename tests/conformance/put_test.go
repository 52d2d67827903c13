package conformance

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// md5OfOther is the MD5 of another text than hello.
const md5OfOther = "eV8yArF8trw9S3cdjGyerw=="

// ways are the statuses of a PUT that was stored.
var ways = []int{201}

var putRows = []row{
	{
		section: "2.3", item: "new file, overwrite", held: "201 for both", differs: "mogstored: 200",
		ask: func(p *probe) {
			path := p.fid()
			for _, content := range []string{"first", "second, longer", "3rd"} {
				p.wants(p.do("PUT", path, content), ways...)
				p.holds(path, content)
			}
		},
	},
	{section: "2.3", item: "with matching Content-MD5", held: "201", tests: []string{"TestContentMD5IsChecked"}, ask: func(p *probe) {
		path := p.fid()
		p.wants(p.do("PUT", path, "hello", "Content-MD5: "+md5OfHello), ways...)
		p.holds(path, "hello")
	}},
	{
		section: "2.3", item: "wrong Content-MD5", held: "400, the connection goes on, the target is as it was", tests: []string{"TestContentMD5IsChecked"},
		ask: func(p *probe) {
			path := p.stored("old")
			w := dial(p.t, p.addr)
			w.say(request("PUT", path, "hello", "Content-MD5: "+md5OfOther) + request("GET", path, "", "Connection: close"))
			p.wants(w.read("PUT"), 400)
			if got := w.read("GET"); got.body != "old" {
				p.wrong("the target after it: got %s; want old", got)
			}
		},
	},
	{section: "2.3", item: "malformed Content-MD5", held: "400", tests: []string{"TestContentMD5IsChecked"}, ask: func(p *probe) {
		path := p.fid()
		p.wants(p.do("PUT", path, "hello", "Content-MD5: !"), 400)
		p.absent(path)
	}},
	{
		section: "2.3", item: "Content-MD5 as chunked **trailer** (`Trailer: Content-MD5`)", held: "checked", differs: "mogstored ignores it",
		tests: []string{"TestChunkedTrailerIsChecked"},
		ask: func(p *probe) {
			path := p.fid()
			put := head("PUT "+path+" HTTP/1.1", "Host: node", "Connection: close", "Transfer-Encoding: chunked", "Trailer: Content-MD5") +
				"5\r\nhello\r\n0\r\nContent-MD5: "
			p.wants(p.raw(put+md5OfOther+"\r\n\r\n"), 400)
			p.absent(path)
			p.wants(p.raw(put+md5OfHello+"\r\n\r\n"), ways...)
			p.holds(path, "hello")
		},
	},
	{section: "2.3", item: "missing parent directories below `dev<N>`", held: "made, as the umask has it", ask: func(p *probe) {
		p.stored("x")
		if p.foreign {
			return
		}
		path := p.onDev("a/b/c/d.e")
		p.put[path] = true
		p.wants(p.do("PUT", path, "x"), ways...)
		p.holds(path, "x")
		p.wantMode(p.onDev("a/b"), fs.ModeDir|0o777)
	}},
	{section: "2.3", item: "`dev<N>` missing", held: "404", tests: []string{"TestPutOfAllKindsOfPath", "TestDeviceDirectoryIsNeverMade"}, ask: func(p *probe) {
		p.refused("/dev9999999/0/000/000/0000000001.fid", "x", 404)
	}},
	{section: "2.3", item: "`/foo` (no device dir)", held: "400", ask: func(p *probe) { p.refused("/foo", "x", 400) }},
	{section: "2.3", item: "trailing slash, bad characters", held: "400", tests: []string{"TestPutOfAllKindsOfPath"}, ask: func(p *probe) {
		for _, name := range []string{"x/", "a~b", "a+b", "a,b"} {
			p.refused(p.onDev(name), "x", 400)
		}
	}},
	{section: "2.3", item: "`..`", held: "403", differs: "mogstored: 400; cmogstored: 500", ask: func(p *probe) { p.refused(p.onDev("../x"), "x", 403) }},
	{section: "2.3", item: "no Content-Length, not chunked", held: "201, an empty file", differs: "mogstored: 200", ask: func(p *probe) {
		p.frame("HTTP/1.1", "", "")
		p.frame("HTTP/1.0", "", "")
	}},
	{section: "2.3", item: "`Content-Length: abc`", held: "400, nothing is stored", differs: "mogstored: 200, an empty file", ask: func(p *probe) {
		p.notFramed("Content-Length: abc")
	}},
	{section: "2.3", item: "negative length", held: "400", ask: func(p *probe) { p.notFramed("Content-Length: -1") }},
	{section: "2.3", item: "overflowing length", held: "400", differs: "cmogstored: 507", ask: func(p *probe) {
		p.notFramed("Content-Length: 99999999999999999999")
	}},
	{section: "2.3", item: "two lengths", held: "400 when they differ", ask: func(p *probe) { p.notFramed("Content-Length: 1\r\nContent-Length: 2") }},
	{
		section: "2.3", item: "a length beyond the disk", held: "507 before the body", differs: "neither looks",
		tests: []string{"TestTroubleOfTheDiskIsToldAndStoresNothing", "TestSizeBeyondTheDiskIsNoSpaceBeforeAnyByte"},
		ask: func(p *probe) {
			if !p.foreign { // where it might be tried
				p.wants(p.raw(head("PUT "+p.fid()+" HTTP/1.1", "Host: node", "Content-Length: 9000000000000000000")), 507)
			}
		},
	},
	{section: "2.3", item: "Content-Length 0", held: "201", differs: "mogstored: 200", ask: func(p *probe) { p.frame("HTTP/1.1", "Content-Length: 0\r\n", "") }},
	{section: "2.3", item: "chunked (extensions ignored)", held: "201", differs: "mogstored: 200", ask: func(p *probe) {
		p.frame("HTTP/1.1", "Transfer-Encoding: chunked\r\n", "2;a=b\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n")
	}},
	{
		section: "2.3", item: "`Content-Range: bytes a-b/*`", differs: "mogstored ignores it, and the file is that part alone",
		held:  "the part is written in place, and on disk: nothing cut off, gaps are zeros; 400 when the length is another, a > b, or it is chunked",
		tests: []string{"TestPartsAreWrittenInPlace", "TestAPartThatIsCutShortOrWrongIsNotAcknowledged", "TestPartsThatWereCommittedSurviveACrashAtAnyMoment", "FuzzContentRange"},
		ask: func(p *probe) {
			path := p.fid()
			for _, c := range []struct {
				value, body string
				statuses    []int
				want        string
			}{
				{"bytes 3-4/*", "lo", ways, "\x00\x00\x00lo"},
				{"bytes 0-2/*", "hel", ways, "hello"},
				{"bytes 0-0/*", "H", ways, "Hello"},
				{"bytes 0-3/*", "x", []int{400}, "Hello"},
				{"bytes 2-1/*", "", []int{400}, "Hello"},
			} {
				p.wants(p.do("PUT", path, c.body, "Content-Range: "+c.value), c.statuses...)
				p.holds(path, c.want)
			}
			p.wants(p.raw(head("PUT "+path+" HTTP/1.1", "Host: node", "Connection: close", "Content-Range: bytes 0-0/*",
				"Transfer-Encoding: chunked")+"1\r\nx\r\n0\r\n\r\n"), 400)
		},
	},
	{section: "2.3", item: "Content-Range with a total (`5-5/6`)", held: "ignored: the body is the whole file", ask: func(p *probe) {
		path := p.stored("123456")
		p.do("PUT", path, "x", "Content-Range: bytes 5-5/6")
		p.holds(path, "x")
	}},
	{
		section: "2.3", item: "client disconnects early", held: "400 for those who still listen; nothing is left, the target is as it was",
		differs: "mogstored leaves the part under the final name", tests: []string{"TestEarlyDisconnectLeavesNothing"},
		ask: func(p *probe) {
			path := p.stored("old")
			for _, framing := range []string{"Content-Length: 1000\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"} {
				w := dial(p.t, p.addr)
				w.say("PUT " + path + " HTTP/1.1\r\nHost: node\r\n" + framing)
				_ = w.CloseWrite()
				if got := w.read("PUT"); got.status/100 == 2 {
					p.wrong("cut short: got %s; want it refused", got)
				}
				p.holds(path, "old")
			}
		},
	},
	{
		section: "2.3", item: "disk full", held: "507, nothing is left, the target is as it was", differs: "mogstored: 200, the file cut",
		tests: []string{"TestTroubleOfTheDiskIsToldAndStoresNothing", "TestFullFileSystemIs507AndKeepsWhatItHas", "TestErrorsOfAFullDiskAreNoSpace"},
	},
	{
		section: "2.3", item: "other I/O error", held: "500, and no file; whichever operation fails",
		tests: []string{"TestTroubleOfTheDiskIsToldAndStoresNothing", "TestEveryFailureOfAPutIsReportedAndLeavesTheOldFileOrTheNew"},
	},
	{section: "2.3", item: "file mode", held: "0666, as the umask has it", differs: "mogstored: 0644", ask: func(p *probe) {
		if path := p.stored("x"); !p.foreign {
			p.wantMode(path, 0o666)
		}
	}},
	{
		section: "2.3", item: "durability", held: "file and directories are synced before the answer, unless `durable off`", differs: "neither syncs",
		tests: []string{"TestWhatWasCommittedSurvivesACrashAtAnyMoment", "TestFastNodesDoNotSync"},
	},
	{
		section: "2.3", item: "atomicity", held: "a reader sees the old file or the new, whole, whether or not there is a Content-MD5",
		differs: "mogstored writes in place without it", tests: []string{"TestNothingIsSeenBeforeCommitNorAfterAbort"},
		ask: func(p *probe) {
			path := p.stored("old")
			w := dial(p.t, p.addr)
			w.say(head("PUT "+path+" HTTP/1.1", "Host: node", "Connection: close", "Content-Length: 8") + "new ")
			p.holds(path, "old")
			w.say("file")
			if got := w.read("PUT"); got.status/100 != 2 {
				p.wrong("PUT in two pieces: got %s; want 2xx", got)
			}
			p.holds(path, "new file")
		},
	},
	{section: "2.3", item: "a Perl client's PUT", held: "HTTP/1.0, `Content-length`, no Host: 2xx, and the end", ask: func(p *probe) {
		path := p.fid()
		w := dial(p.t, p.addr)
		w.say(head("PUT "+path+" HTTP/1.0", "Content-length: 2") + "hi")
		if got := w.read("PUT"); got.status/100 != 2 {
			p.wrong("got %s; want 2xx", got)
		}
		p.holds(path, "hi")
	}},
}

// frame puts hello, or nothing, with a framing.
func (p *probe) frame(proto, framing, body string) {
	p.t.Helper()
	path, want := p.fid(), ""
	if body != "" {
		want = "hello"
	}
	p.wants(p.raw("PUT "+path+" "+proto+"\r\nHost: node\r\nConnection: close\r\n"+framing+"\r\n"+body), ways...)
	p.holds(path, want)
}

// notFramed puts with a length that is none.
func (p *probe) notFramed(length string) {
	p.t.Helper()
	path := p.fid()
	p.wants(p.raw(head("PUT "+path+" HTTP/1.1", "Host: node", "Connection: close", length)), 400)
	p.absent(path)
}

// wantMode looks at what is on the disk; mode is before the umask.
func (p *probe) wantMode(path string, mode fs.FileMode) {
	p.t.Helper()
	made := filepath.Join(p.t.TempDir(), "made")
	f, err := os.OpenFile(made, os.O_CREATE|os.O_WRONLY, 0o777)
	if err != nil {
		p.t.Fatal(err)
	}
	defer f.Close()
	unmasked, err := f.Stat()
	if err != nil {
		p.t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(p.root, strings.TrimPrefix(path, "/")))
	if err != nil {
		p.t.Fatal(err)
	}
	if want := mode & (unmasked.Mode() | fs.ModeDir); info.Mode() != want {
		p.wrong("%s: got mode %v; want %v", path, info.Mode(), want)
	}
}
