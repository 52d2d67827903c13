package node_test

import (
	"bufio"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/node"
)

const md5Type = mogile.HashMD5

func after(d time.Duration) <-chan time.Time { return time.After(d) }

func body(s string) io.ReadCloser { return io.NopCloser(strings.NewReader(s)) }

func md5Of(s string) mogile.Checksum {
	sum := md5.Sum([]byte(s))
	return mogile.Checksum{Type: md5Type, Sum: sum[:]}
}

func TestDigestAsksTheSideChannelFirst(t *testing.T) {
	port, heard := sideChannel(t, func(line string) string {
		word, uri, _ := strings.Cut(line, " ")
		if word == "size" {
			return uri + " 5\r\n"
		}
		return uri + " MD5=" + md5Of("hello").Hex() + "\r\n"
	})
	n, c := newNode(t), newClient(t, node.Config{Management: port})
	got, err := c.Digest(t.Context(), n.URL+path, md5Type)
	if err != nil || !got.Equal(md5Of("hello")) {
		t.Errorf("got %v, %v; want %v", got, err, md5Of("hello"))
	}
	if lines := heard(); fmt.Sprint(lines) != "[size "+path+" MD5 "+path+"]" {
		t.Errorf("side channel heard %q; want size and MD5 of %s", lines, path)
	}
	if got := n.hears(); len(got) != 0 {
		t.Errorf("node heard %v; want nothing", got)
	}
}

func TestDigestReadsTheFileWhenTheSideChannelFails(t *testing.T) {
	for _, answer := range []string{
		"ERROR: unknown command: size\r\n", "ERR read " + path + "\r\n", path + " -1\r\n", path + " MD5=-1\r\n", "\r\n", "/other 5\r\n",
		path + " 5\r\n" + path + " MD5=abc\r\n", path + " 5\r\n" + path + " SHA-1=" + md5Of("x").Hex() + "\r\n",
		path + " 99999999999999999999\r\n", path + " -9\r\n", strings.Repeat("x", 10_000), "",
	} {
		port, _ := sideChannel(t, func(string) string { return answer })
		n, c := newNode(t), newClient(t, node.Config{Management: port, NodeTimeout: 4 * soon})
		n.put(path, "hello")
		got, err := c.Digest(t.Context(), n.URL+path, md5Type)
		if err != nil || !got.Equal(md5Of("hello")) {
			t.Errorf("side channel says %q: got %v, %v; want %v by reading", answer, got, err, md5Of("hello"))
		}
	}
}

func TestDigestTellsMissingFromUnknown(t *testing.T) {
	n, c := newNode(t), newClient(t, node.Config{})
	if _, err := c.Digest(t.Context(), n.URL+path, md5Type); !errors.Is(err, node.ErrMissing) {
		t.Errorf("no file: got error %v; want %v", err, node.ErrMissing)
	}
	n.says("GET", 500)
	if _, err := c.Digest(t.Context(), n.URL+path, md5Type); err == nil || errors.Is(err, node.ErrMissing) {
		t.Errorf("node says 500: got error %v; want another than %v", err, node.ErrMissing)
	}
	if _, err := c.Digest(t.Context(), n.URL+path, mogile.HashNone); err == nil {
		t.Error("no algorithm: got no error")
	}
}

func TestDigestOfAFileThatIsCutOffIsAnError(t *testing.T) {
	n, c := newNode(t), newClient(t, node.Config{})
	n.answers(cutOff("GET", "hello", 100))
	if got, err := c.Digest(t.Context(), n.URL+path, md5Type); err == nil {
		t.Errorf("got %v; want an error", got)
	}
}

func FuzzSideChannelAnswer(f *testing.F) {
	f.Add(path+" 5", path+" MD5="+md5Of("x").Hex())
	f.Add("ERROR", "")
	f.Add(path+" 9223372036854775807", path+" MD5=zz")
	f.Fuzz(func(t *testing.T, size, digest string) {
		if _, err := node.ParseSize(size, path); err == nil && !strings.HasPrefix(size, path+" ") {
			t.Errorf("size answer %q was taken", size)
		}
		sum, err := node.ParseDigest(digest, path, md5Type)
		if err == nil && !strings.EqualFold(strings.TrimRight(digest, "\r\n"), path+" MD5="+sum.Hex()) {
			t.Errorf("digest answer %q was taken as %s", digest, sum)
		}
	})
}

func TestDigestsForFsckSayWhatTheyAreFor(t *testing.T) {
	port, heard := sideChannel(t, answersDigests)
	n, c := newNode(t), newClient(t, node.Config{Management: port})
	got, err := c.DigestForFsck(t.Context(), n.URL+path, md5Type)
	if err != nil || !got.Equal(md5Of("hello")) {
		t.Errorf("got %v, %v; want %v", got, err, md5Of("hello"))
	}
	if lines := heard(); fmt.Sprint(lines) != "[size "+path+" MD5 "+path+" fsck]" {
		t.Errorf("side channel heard %q; want the reason", lines)
	}
}

func answersDigests(line string) string {
	words := strings.Fields(line)
	if words[0] == "size" {
		return words[1] + " 5\r\n"
	}
	return words[1] + " MD5=" + md5Of("hello").Hex() + "\r\n"
}

func TestDigestsShareAConnection(t *testing.T) {
	port, conns := countedChannel(t, 0)
	n, c := newNode(t), newClient(t, node.Config{Management: port})
	for range 5 {
		if got, err := c.Digest(t.Context(), n.URL+path, md5Type); err != nil || !got.Equal(md5Of("hello")) {
			t.Fatalf("got %v, %v; want %v", got, err, md5Of("hello"))
		}
	}
	if got := conns(); got != 1 || len(n.hears()) != 0 {
		t.Errorf("got %d connections; want 1, and no file read", got)
	}
}

// A channel is another's as soon as it is kept: the race detector looks on.
func TestManyDigestsShareConnections(t *testing.T) {
	port, _ := countedChannel(t, 0)
	n, c := newNode(t), newClient(t, node.Config{Management: port})
	var many sync.WaitGroup
	for range 8 {
		many.Go(func() {
			for range 50 {
				if got, err := c.Digest(t.Context(), n.URL+path, md5Type); err != nil || !got.Equal(md5Of("hello")) {
					t.Errorf("got %v, %v; want %v", got, err, md5Of("hello"))
				}
			}
		})
	}
	many.Wait()
}

// A node that restarts hangs up on what we keep.
func TestADigestOutlivesTheConnectionThatWasKept(t *testing.T) {
	port, conns := countedChannel(t, 2)
	n, c := newNode(t), newClient(t, node.Config{Management: port})
	for range 5 {
		if got, err := c.Digest(t.Context(), n.URL+path, md5Type); err != nil || !got.Equal(md5Of("hello")) {
			t.Fatalf("got %v, %v; want %v", got, err, md5Of("hello"))
		}
	}
	if got := conns(); got != 5 || len(n.hears()) != 0 {
		t.Errorf("got %d connections; want one for each digest, and no file read", got)
	}
}

// countedChannel is a side channel that counts its connections, and hangs up after so
// many lines; 0 means never.
func countedChannel(t *testing.T, lines int) (port uint16, conns func() int64) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var n atomic.Int64
	serve := func(conn net.Conn) {
		defer conn.Close()
		in := bufio.NewScanner(conn)
		for i := 0; (lines == 0 || i < lines) && in.Scan(); i++ {
			_, _ = io.WriteString(conn, answersDigests(in.Text()))
		}
	}
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			n.Add(1)
			wg.Go(func() { serve(conn) })
		}
	})
	t.Cleanup(func() { _ = ln.Close(); wg.Wait() })
	return uint16(ln.Addr().(*net.TCPAddr).Port), n.Load
}
