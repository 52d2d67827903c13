package cli_test

import (
	"crypto/tls"
	"encoding/pem"
	"io"
	"net"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/cli"
)

// startTLS starts what stands before a tracker and speaks TLS. It returns its address and the
// certificate that vouches for it.
func startTLS(t *testing.T, tracker string) (address, ca string) {
	t.Helper()
	lender := httptest.NewTLSServer(nil) // of a certificate for 127.0.0.1
	lender.Close()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: lender.TLS.Certificates})
	if err != nil {
		t.Fatal(err)
	}
	var talking sync.WaitGroup
	talking.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			talking.Go(func() { join(conn, tracker) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		talking.Wait()
	})
	ca = filepath.Join(t.TempDir(), "ca.pem")
	writeFile(t, ca, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: lender.Certificate().Raw})))
	return ln.Addr().String(), ca
}

// join passes bytes both ways until one side ends.
func join(conn net.Conn, tracker string) {
	defer conn.Close()
	to, err := net.Dial("tcp", tracker)
	if err != nil {
		return
	}
	var back sync.WaitGroup
	back.Go(func() {
		defer conn.Close()
		_, _ = io.Copy(conn, to) // the test sees what is missing
	})
	_, _ = io.Copy(to, conn)
	to.Close()
	back.Wait()
}

func TestATrackerBehindTLSIsAsked(t *testing.T) {
	in := twoHosts(t)
	address, ca := startTLS(t, in.Tracker)
	for _, command := range []string{"host list", "check", "top --once"} {
		words := append(strings.Fields(command), "--trackers=tls://"+address)
		stdout, stderr, code := run(t, cli.Env{}, append(words, "--tls-ca="+ca)...)
		if code != 0 || stderr != "" || !strings.Contains(stdout, "hostB") {
			t.Errorf("%s: got %d, %q, %q; want 0 and the hosts", command, code, stdout, stderr)
		}
		if stdout, stderr, code = run(t, cli.Env{}, words...); code != 1 || !strings.Contains(stdout+stderr, "tls://"+address) {
			t.Errorf("%s, nobody vouches for it: got %d, %q, %q; want 1 and its address", command, code, stdout, stderr)
		}
	}
	for option, want := range map[string]string{
		"--tls-ca=" + filepath.Join(t.TempDir(), "none"): "no such file",
		"--tls-cert=" + ca: "tls-cert and tls-key belong together: name both",
	} {
		if _, stderr, code := run(t, cli.Env{}, "host", "list", "--trackers=tls://"+address, option); code != 1 || !strings.Contains(stderr, want) {
			t.Errorf("%s: got %d, %q; want 1 and %s", option, code, stderr, want)
		}
	}
	// Config files name them, too.
	conf := filepath.Join(t.TempDir(), "mogilefs.conf")
	writeFile(t, conf, "trackers = tls://"+address+" # here\ntls_ca = "+ca+"\n")
	if stdout, stderr, code := run(t, cli.Env{SystemConfig: conf}, "device", "next"); code != 0 || stdout != "3\n" {
		t.Errorf("config file: got %d, %q, %q; want 3", code, stdout, stderr)
	}
}

func TestTopLooksOnceWithoutATerminal(t *testing.T) {
	in := twoHosts(t)
	stdout, stderr, code := run(t, cli.Env{}, "top", "--trackers=127.0.0.1:1,"+in.Tracker)
	for _, want := range []string{"2 hosts, 2 devices", in.Tracker + "  OK", "connection refused", "dev1    alive   writeable", "18.4%"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("got %d,\n%s\n%s\nwant %s", code, stdout, stderr, want)
		}
	}
	if strings.Contains(stdout, "\x1b") || code != 0 {
		t.Errorf("got %d and\n%q\nwant 0 and no sequences", code, stdout)
	}
	if _, stderr, code := run(t, cli.Env{}, "top", "--trackers=127.0.0.1:1"); code != 1 || !strings.Contains(stderr, "asked 127.0.0.1:1: ") {
		t.Errorf("no tracker: got %d, %q; want 1 and what to do", code, stderr)
	}
	if _, stderr, code := run(t, cli.Env{}, "top", "--interval=never", "--trackers="+in.Tracker); code != 1 || !strings.Contains(stderr, `interval "never"`) {
		t.Errorf("no interval: got %d, %q; want 1", code, stderr)
	}
}
