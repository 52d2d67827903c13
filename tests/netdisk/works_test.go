package netdisk

import (
	"bufio"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/tests/process"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

// testName is a path on a device that is no fid's.
const testName = "test-write/netdisk"

// channel is a conversation with the side channel.
type channel struct {
	s    *site
	conn net.Conn
	in   *bufio.Reader
}

func (s *site) dialChannel() channel {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.management)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		s.t.Fatal(err)
	}
	return channel{s, conn, bufio.NewReader(conn)}
}

func (c channel) say(lines ...string) {
	c.s.t.Helper()
	if _, err := fmt.Fprint(c.conn, strings.Join(lines, "\n")+"\n"); err != nil {
		c.s.t.Fatal(err)
	}
}

func (c channel) line() string {
	c.s.t.Helper()
	text, err := c.in.ReadString('\n')
	if err != nil {
		c.s.t.Fatalf("side channel: %v", err)
	}
	return strings.TrimRight(text, "\r\n")
}

// TestADeviceOfTheNetworkWorksAsADiskDoes needs root.
func TestADeviceOfTheNetworkWorksAsADiskDoes(t *testing.T) {
	t.Parallel()
	s, ok := newSite(t)
	if !ok {
		return
	}
	for _, dev := range []int{1, 2} {
		t.Run(fmt.Sprintf("device %d", dev), func(t *testing.T) { s.asADisk(t, dev) })
	}
	s.fill("file")
	s.mustPut("file0", content("overwritten", 5000))
	if a := s.do(http.MethodDelete, s.url("file1"), nil); a.status != http.StatusNoContent {
		t.Errorf("DELETE: got %d; want 204", a.status)
	}
	delete(s.stored, "file1")
	whole := s.stored["file2"]
	if a := s.do(http.MethodGet, s.url("file2"), nil, "Range: bytes=70000-70009"); a.status != 206 || string(a.body) != string(whole[70000:70010]) {
		t.Errorf("range through the edge: got %d with %d bytes; want 206 with 10", a.status, len(a.body))
	}
	s.wantAll()
	s.fsck()
	s.usage()
	s.watch()
	s.sweeps()
	s.unmounted()
}

// asADisk is what a node does with one file.
func (s *site) asADisk(t *testing.T, dev int) {
	url := s.node(dev, testName)
	want := func(what string, a answer, status int, body string) {
		t.Helper()
		if a.status != status || string(a.body) != body {
			t.Errorf("%s: got %d %.40q (%d bytes); want %d and %d bytes", what, a.status, a.body, len(a.body), status, len(body))
		}
	}
	sum := func(b []byte) string {
		m := md5.Sum(b)
		return "Content-MD5: " + base64.StdEncoding.EncodeToString(m[:])
	}
	small, large := content("small", 60<<10), content("large", 1<<20)
	want("MKCOL", s.do("MKCOL", s.node(dev, "test-write"), nil), 400, "Directories are made by PUT\n")
	want("PUT", s.do("PUT", url, small, sum(small)), 201, "")
	want("GET", s.do("GET", url, nil), 200, string(small))
	want("GET", s.do("GET", url, nil), 200, string(small))
	want("overwrite", s.do("PUT", url, large), 201, "")
	want("GET at once", s.do("GET", url, nil), 200, string(large))
	want("wrong MD5", s.do("PUT", url, small, sum(large)), 400, string(s.do("PUT", url, small, sum(large)).body))
	want("GET after that", s.do("GET", url, nil), 200, string(large))
	want("range", s.do("GET", url, nil, "Range: bytes=100000-400000"), 206, string(large[100000:400001]))
	want("last bytes", s.do("GET", url, nil, "Range: bytes=-7"), 206, string(large[len(large)-7:]))
	if a := s.do("GET", url, nil, "Range: bytes=0-1,500000-500001"); a.status != 206 || !strings.Contains(string(a.body), string(large[500000:500002])) {
		t.Errorf("two ranges: got %d, %d bytes; want both", a.status, len(a.body))
	}
	if a := s.do("GET", url, nil, "Want-Repr-Digest: md5=1"); "Content-MD5: "+a.header.Get("Content-Md5") != sum(large) {
		t.Errorf("digest: got %q; want %q", a.header.Get("Content-Md5"), sum(large))
	}
	want("part", s.do("PUT", url, small[:10], "Content-Range: bytes 5-14/*"), 201, "")
	changed := string(large[:5]) + string(small[:10]) + string(large[15:])
	want("GET of the part", s.do("GET", url, nil), 200, changed)
	c, hash := s.dialChannel(), md5.Sum([]byte(changed))
	path := fmt.Sprintf("/dev%d/%s", dev, testName)
	c.say("size "+path, "MD5 "+path, "MD5 "+path+" fsck")
	for _, answer := range []string{path + " 1048576", path + " MD5=" + hex.EncodeToString(hash[:]), path + " MD5=" + hex.EncodeToString(hash[:])} {
		if got := c.line(); got != answer {
			t.Errorf("side channel: got %q; want %q", got, answer)
		}
	}
	want("DELETE", s.do("DELETE", url, nil), 204, "")
	want("DELETE again", s.do("DELETE", url, nil), 404, "Not found\n")
	want("GET of what is gone", s.do("GET", url, nil), 404, "Not found\n")
	if left, err := filepath.Glob(filepath.Join(s.dir(dev), "test-write", "*netdisk*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v; want nothing", left, err)
	}
}

// fsck has the tracker look at every file.
func (s *site) fsck() {
	s.t.Helper()
	for _, command := range []string{"fsck_reset", "fsck_clearlog", "fsck_start"} {
		if _, err := s.tracker.Do(s.t.Context(), command, protocol.Pairs{}); err != nil {
			s.t.Fatalf("%s: %v", command, err)
		}
	}
	s.eventually("end of fsck", func() bool {
		v, err := s.tracker.Do(s.t.Context(), "fsck_status", protocol.Pairs{})
		return err == nil && v["running"] == "0"
	})
	v, err := s.tracker.Do(s.t.Context(), "fsck_getlog", protocol.Pairs{})
	if err != nil || v["row_count"] != "0" {
		s.t.Errorf("fsck: got %v, %v; want nothing to say", v, err)
	}
}

func (s *site) usage() {
	s.t.Helper()
	got := string(s.do("GET", s.node(2, "usage"), nil).body)
	for _, want := range []string{"device: 127.0.0.1:/", "disk: " + s.dir(2) + "\n"} {
		if !strings.Contains(got, want) {
			s.t.Errorf("usage: got %s; want %q in it", got, want)
		}
	}
}

// watch says that nobody counts what the disk of another machine does.
func (s *site) watch() {
	s.t.Helper()
	c := s.dialChannel()
	c.say("watch")
	for {
		if line := c.line(); line == "2\t-" {
			return
		} else if strings.HasPrefix(line, "2\t") {
			s.t.Fatalf("watch: got %q; want 2 and a dash", line)
		}
	}
}

// sweeps shows that what a crash left is removed.
func (s *site) sweeps() {
	s.t.Helper()
	left := filepath.Join(s.dir(2), "0/000/000/0000009999.fid.c0123456789abcdef.tmp")
	if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.Kill()
	s.Restart()
	s.eventually("sweep", func() bool { _, err := os.Stat(left); return os.IsNotExist(err) })
	s.wantAll()
}

// unmounted shows that the bare directory is not taken for the device.
func (s *site) unmounted() {
	s.t.Helper()
	s.eventually("record of the mount", func() bool {
		_, err := os.Stat(filepath.Join(s.root, ".dev2.mounted"))
		return err == nil
	})
	s.remote[2].Unmount()
	for _, method := range []string{"PUT", "GET", "DELETE"} {
		if a := s.do(method, s.node(2, testName), nil); a.status != 503 {
			s.t.Errorf("%s without the mount: got %d %s; want 503", method, a.status, a.body)
		}
	}
	for key := range s.stored {
		if _, err := s.get(key); err != nil {
			s.t.Error(err)
		}
	}
	if list, err := os.ReadDir(s.dir(2)); err != nil || len(list) != 0 {
		s.t.Errorf("the bare directory: got %v, %v; want nothing in it", list, err)
	}
	s.remote[2].Mount()
	process.Eventually(s.t, patience, "device that takes uploads", func() bool { return s.do("PUT", s.node(2, testName), nil).status == 201 })
	s.wantAll()
}
