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
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// answersEach is how often a file is read.
const answersEach = 50

// packetsOf reads a file over and over on one connection, and returns how many packets with bytes came.
func (r *rig) packetsOf(path, want string) int {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), soon)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", r.public)
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close()
	from := bufio.NewReader(conn)
	for range answersEach {
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, r.public)
		resp, err := http.ReadResponse(from, nil)
		if err != nil {
			r.t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK || string(body) != want {
			r.t.Fatalf("got %d, %d bytes, %v; want %d", resp.StatusCode, len(body), err, len(want))
		}
	}
	return received(r.t, conn)
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
			// Some more, as the system sends after 0.2 s whatever happens.
			if got, most := r.packetsOf("/images/a.jpg", picture), answersEach*3/2; got > most {
				t.Errorf("got %d packets for %d answers; want at most %d", got, answersEach, most)
			}
		})
	}
}

// watchedWriter notes whether the connection is held back while it is written to.
type watchedWriter struct {
	http.ResponseWriter
	t    *testing.T
	conn net.Conn
	held []bool
}

func (w *watchedWriter) Write(p []byte) (int, error) {
	w.held = append(w.held, isHeld(w.t, w.conn))
	return len(p), nil
}

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
		lengths []int
		want    []bool
	}{
		{[]int{10}, []bool{false}},
		{[]int{minHeld - 1, minHeld}, []bool{false, false}},
		{[]int{minHeld}, []bool{true}},
		{[]int{64 << 10, 64 << 10}, []bool{true, false}},
	} {
		conn := dialLoopback(t)
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r = r.WithContext(withSocket(r.Context(), conn))
		w := &watchedWriter{t: t, conn: conn}
		to := newWholeWriter(new(wholeWriter), w, r)
		for _, n := range c.lengths {
			if got, err := to.Write(make([]byte, n)); got != n || err != nil {
				t.Errorf("%v: got %d, %v; want %d", c.lengths, got, err, n)
			}
			if isHeld(t, conn) {
				t.Errorf("%v: got the connection held back after it was written to", c.lengths)
			}
		}
		if !slices.Equal(w.held, c.want) {
			t.Errorf("%v: got %v held back; want %v", c.lengths, w.held, c.want)
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
