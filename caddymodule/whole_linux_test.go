package caddymodule

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"golang.org/x/sys/unix"
)

// answersEach is how often a file is read.
const answersEach = 50

// wantTogether reads a file over and over on one connection, and wants one packet for each answer.
func wantTogether(t *testing.T, addr, path, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	from := bufio.NewReader(conn)
	for range answersEach {
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, addr)
		resp, err := http.ReadResponse(from, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK || string(body) != want {
			t.Fatalf("got %d, %d bytes, %v; want %d", resp.StatusCode, len(body), err, len(want))
		}
	}
	// Some more, as the system sends after 0.2 s whatever happens.
	if got, most := received(t, conn), answersEach*3/2; got > most {
		t.Errorf("got %d packets for %d answers of %d bytes; want at most %d", got, answersEach, len(want), most)
	}
}

// received is how many packets with bytes came.
func received(t *testing.T, conn net.Conn) int {
	t.Helper()
	var info *unix.TCPInfo
	askSystem(t, conn, func(fd int) (err error) {
		info, err = unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		return err
	})
	return int(info.Data_segs_in)
}

// TestSmallFilesComeWithTheirHeader: on the loopback device, whose packets may have 64 KiB, an answer is one.
func TestSmallFilesComeWithTheirHeader(t *testing.T) {
	picture := strings.Repeat("0123456789", 3<<10)
	for name, site := range map[string]string{
		"from memory":        telling,
		"from a disk":        base,
		"with an access log": strings.Replace(telling, "http://PUBLIC {", "http://PUBLIC {\n log {\n  output discard\n }", 1),
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.run(site)
			r.want(http.StatusCreated, http.MethodPut, "/images/a.jpg", picture)
			if strings.Contains(site, "content_cache") {
				r.awaitInMemory("/images/a.jpg")
			}
			wantTogether(t, r.public, "/images/a.jpg", picture)
		})
	}
}

func TestSmallFilesComeWithTheirHeaderFromANode(t *testing.T) {
	logged := changed("bind 127.0.0.1", "bind 127.0.0.1\n log {\n  output discard\n }")
	for _, c := range []struct {
		name   string
		site   string
		length int
	}{
		{"that fit into what net/http collects", base, 3 << 10},
		{"of 4 KiB", base, 4 << 10},
		{"of 7 KiB", base, 7 << 10},
		{"of 30 KiB", base, 30 << 10},
		{"with an access log", logged, 30 << 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.run(c.site)
			const path = "/dev1/0/000/000/0000000009.fid"
			name, content := r.path("storage"+path), strings.Repeat("x", c.length)
			if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(content), 0o644)); err != nil {
				t.Fatal(err)
			}
			wantTogether(t, r.node, path, content)
		})
	}
}

// watchedWriter notes whether the connection is held back while it is written to, or flushed.
type watchedWriter struct {
	http.ResponseWriter
	t    *testing.T
	conn net.Conn
	held []bool
}

func (w *watchedWriter) Write(p []byte) (int, error) {
	w.Flush()
	return len(p), nil
}

func (w *watchedWriter) Flush() { w.held = append(w.held, isHeld(w.t, w.conn)) }

// isHeld reports whether the system waits for more.
func isHeld(t *testing.T, conn net.Conn) bool {
	t.Helper()
	var held int
	askSystem(t, conn, func(fd int) (err error) {
		held, err = unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_CORK)
		return err
	})
	return held != 0
}

// askSystem asks the system about a connection.
func askSystem(t *testing.T, conn net.Conn, question func(fd int) error) {
	t.Helper()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var answer error
	err = raw.Control(func(fd uintptr) { answer = question(int(fd)) })
	if err := errors.Join(err, answer); err != nil {
		t.Fatal(err)
	}
}

func TestOnlyTheFirstPartIsHeldBackAndOnlyWhileItIsWritten(t *testing.T) {
	for _, c := range []struct {
		direct  bool // nothing is between Caddy's own writer and ours
		lengths []int
		want    []bool // a flush counts as well
	}{
		{true, []int{10}, []bool{false}},
		{true, []int{minHeld - 1, minHeld}, []bool{false, false}},
		{true, []int{minHeld}, []bool{true, true}},
		{true, []int{minPassed - 1, minPassed}, []bool{true, true, false}},
		{true, []int{minPassed}, []bool{true}},
		{true, []int{64 << 10, 64 << 10}, []bool{true, false}},
		{false, []int{minPassed - 1, minPassed}, []bool{false, false}},
		{false, []int{minPassed}, []bool{true}},
		{false, []int{64 << 10, 64 << 10}, []bool{true, false}},
	} {
		conn := dialLoopback(t)
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r = r.WithContext(withSocket(r.Context(), conn))
		watched := &watchedWriter{t: t, conn: conn}
		var w http.ResponseWriter = watched
		if c.direct {
			w = idleWriter(watched, caddyhttp.IdleDeadline{Timeout: time.Minute})
		}
		to := newWholeWriter(new(wholeWriter), w, r)
		for _, n := range c.lengths {
			if got, err := to.Write(make([]byte, n)); got != n || err != nil {
				t.Errorf("%v: got %d, %v; want %d", c.lengths, got, err, n)
			}
			if isHeld(t, conn) {
				t.Errorf("%v: got the connection held back after it was written to", c.lengths)
			}
		}
		if !slices.Equal(watched.held, c.want) {
			t.Errorf("%v, direct %t: got %v held back; want %v", c.lengths, c.direct, watched.held, c.want)
		}
	}
}

// dialLoopback is a connection to somebody who does not accept it.
func dialLoopback(t *testing.T) net.Conn {
	t.Helper()
	ln := listenLoopback(t)
	t.Cleanup(func() { ln.Close() })
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestOnlyPlainConnectionsAreHeldBack(t *testing.T) {
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	if got := newWholeWriter(new(wholeWriter), w, r.WithContext(withSocket(r.Context(), server))); got != w {
		t.Errorf("another kind of connection: got %T; want the writer itself", got)
	}
	conn := dialLoopback(t)
	ctx := withSocket(r.Context(), conn)
	if again := withSocket(ctx, conn); again != ctx {
		t.Error("two handlers of one server: got two sockets; want one")
	}
	r = r.WithContext(ctx)
	if got := newWholeWriter(new(wholeWriter), w, r); got == w {
		t.Error("a plain connection: got the writer itself; want one that holds back")
	}
	r.ProtoMajor = 2
	if got := newWholeWriter(new(wholeWriter), w, r); got != w {
		t.Errorf("HTTP/2: got %T; want the writer itself", got)
	}
}
