package caddymodule

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/storage"
)

// countingListener counts the bytes that connections are handed as a file under one limit at most,
// which is what the standard library has the system send.
type countingListener struct {
	net.Listener
	bySystem atomic.Int64
}

type countingConn struct {
	*net.TCPConn
	l *countingListener
}

func (l *countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return countingConn{c.(*net.TCPConn), l}, nil
}

func (c countingConn) ReadFrom(r io.Reader) (int64, error) {
	inner := r
	if lr, ok := r.(*io.LimitedReader); ok {
		inner = lr.R
	}
	n, err := c.TCPConn.ReadFrom(r)
	if _, ok := inner.(syscall.Conn); ok {
		c.l.bySystem.Add(n)
	}
	return n, err
}

// idleWriter is w as Caddy's server hands it on.
func idleWriter(w http.ResponseWriter, d caddyhttp.IdleDeadline) *caddyhttp.IdleTimeoutWriter {
	return &caddyhttp.IdleTimeoutWriter{
		ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w},
		Ctrl:                  http.NewResponseController(w), Deadline: d, Logger: zap.NewNop(),
	}
}

func TestPartsOfFilesAreSentByTheSystem(t *testing.T) {
	const length = 3_000_000
	content := make([]byte, length)
	for i := range content {
		content[i] = byte(i * i >> 7)
	}
	name := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(name, content, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ from, n int64 }{{0, length}, {1000, length - 1000}, {1000, 2_000_000}, {5, 70_000}, {7, 10}} {
		t.Run(fmt.Sprintf("%d bytes from %d", c.n, c.from), func(t *testing.T) {
			srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				f, err := os.Open(name)
				if err == nil {
					defer f.Close()
					_, err = f.Seek(c.from, io.SeekStart)
				}
				if err != nil {
					t.Error(err)
					return
				}
				w.Header().Set("Content-Length", fmt.Sprint(c.n))
				idle := idleWriter(w, caddyhttp.IdleDeadline{Timeout: time.Minute})
				sent, err := newFileSender(idle, r).(storage.FileSender).SendFile(f, c.n)
				if sent != c.n || err != nil {
					t.Errorf("got %d bytes sent, %v; want %d", sent, err, c.n)
				}
			}))
			l := &countingListener{Listener: srv.Listener}
			srv.Listener = l
			srv.Start()
			defer srv.Close()
			resp, err := srv.Client().Get(srv.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil || !bytes.Equal(body, content[c.from:c.from+c.n]) {
				t.Errorf("got %d bytes, %v; want %d, or their content differs", len(body), err, c.n)
			}
			srv.Close() // waits for the handler, whose count is wanted
			// net/http itself copies the first bytes, to see that there are some.
			if got, want := l.bySystem.Load(), c.n-1024; got < want {
				t.Errorf("got %d bytes sent by the system; want at least %d", got, want)
			}
		})
	}
}

func TestFileThatEndsEarlyIsSentAsFarAsItGoes(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(name, make([]byte, 200_000), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := newFileSender(idleWriter(w, caddyhttp.IdleDeadline{Timeout: time.Minute}), r).(storage.FileSender)
		if sent, err := s.SendFile(f, 300_000); sent != 200_000 || err != nil {
			t.Errorf("got %d bytes sent, %v; want 200000", sent, err)
		}
	}))
	defer srv.Close()
	resp, err := srv.Client().Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Error(err)
	}
}

func TestOtherWritersAreLeftAlone(t *testing.T) {
	plain := idleWriter(httptest.NewRecorder(), caddyhttp.IdleDeadline{Timeout: time.Minute})
	http2, secure := httptest.NewRequest("GET", "/", nil), httptest.NewRequest("GET", "/", nil)
	http2.ProtoMajor = 2
	secure.TLS = new(tls.ConnectionState)
	for _, c := range []struct {
		name string
		w    http.ResponseWriter
		r    *http.Request
	}{
		{"a recorder above", caddyhttp.NewResponseRecorder(plain, nil, nil), httptest.NewRequest("GET", "/", nil)},
		{"HTTP/2", plain, http2},
		{"TLS", plain, secure},
		{"a minimum rate", idleWriter(httptest.NewRecorder(), caddyhttp.IdleDeadline{Timeout: time.Minute, MinRate: 1}), httptest.NewRequest("GET", "/", nil)},
	} {
		if got := newFileSender(c.w, c.r); got != c.w {
			t.Errorf("%s: got %T; want the writer itself", c.name, got)
		}
	}
	if _, ok := newFileSender(plain, httptest.NewRequest("GET", "/", nil)).(storage.FileSender); !ok {
		t.Error("Caddy's own writer on plain HTTP/1.1: got no storage.FileSender")
	}
}

// scriptedWriter takes as much as its script says at a time, and nothing after that.
type scriptedWriter struct {
	http.ResponseWriter
	script []taken
}

type taken struct {
	n   int64
	err error
}

func (w *scriptedWriter) SetWriteDeadline(time.Time) error { return nil }

func (w *scriptedWriter) ReadFrom(r io.Reader) (int64, error) {
	if len(w.script) == 0 {
		return 0, io.ErrClosedPipe
	}
	next := w.script[0]
	w.script = w.script[1:]
	return min(next.n, r.(*io.LimitedReader).N), next.err
}

func TestSlowClientsAreToldFromThoseThatAreGone(t *testing.T) {
	late := fmt.Errorf("sendfile: %w", os.ErrDeadlineExceeded)
	soon := time.Now().Add(time.Millisecond)
	for _, c := range []struct {
		name   string
		script []taken
		hard   time.Time
		sent   int64
		err    error
	}{
		{"fast", []taken{{sendLen, nil}, {sendLen, nil}}, time.Time{}, sendLen + 1000, nil},
		{"slow", []taken{{70_000, late}, {600, late}, {sendLen, nil}}, time.Time{}, sendLen + 1000, nil},
		{"takes nothing", []taken{{70_000, late}, {0, late}}, time.Time{}, 70_000, os.ErrDeadlineExceeded},
		{"took no header", []taken{{sniffLen, late}}, time.Time{}, sniffLen, os.ErrDeadlineExceeded},
		{"slow beyond the hard deadline", []taken{{70_000, late}}, soon, 70_000, os.ErrDeadlineExceeded},
		{"gone", []taken{{70_000, syscall.EPIPE}}, time.Time{}, 70_000, syscall.EPIPE},
	} {
		w := &scriptedWriter{httptest.NewRecorder(), c.script}
		s := &fileSender{IdleTimeoutWriter: idleWriter(w, caddyhttp.IdleDeadline{Timeout: time.Minute, HardDeadline: c.hard})}
		sent, err := s.SendFile(nil, sendLen+1000)
		if sent != c.sent || !errors.Is(err, c.err) || len(w.script) > 0 {
			t.Errorf("%s: got %d bytes, %v, %d calls left; want %d, %v, none left", c.name, sent, err, len(w.script), c.sent, c.err)
		}
	}
}

func TestSendingNeverOutlastsTheHardDeadline(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		hard time.Time
		want time.Time
	}{
		{time.Time{}, now.Add(time.Minute)},
		{now.Add(time.Second), now.Add(time.Second)},
		{now.Add(time.Hour), now.Add(time.Minute)},
	} {
		s := &fileSender{IdleTimeoutWriter: idleWriter(nil, caddyhttp.IdleDeadline{Timeout: time.Minute, HardDeadline: c.hard})}
		if got := s.deadline(now); !got.Equal(c.want) {
			t.Errorf("hard deadline %v: got %v; want %v", c.hard, got, c.want)
		}
	}
}
