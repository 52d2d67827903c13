package client_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/tracker/client"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

// certificate makes a self-signed one for a name or an address.
func certificate(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func poolOf(t *testing.T, cert tls.Certificate) *x509.CertPool {
	t.Helper()
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return pool
}

// secureFake is a fake behind TLS.
func secureFake(t *testing.T, config *tls.Config) *fake {
	f := newFake(t)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tls = config
	return f
}

func TestTrackersAreAskedOverTLS(t *testing.T) {
	theirs, ours := certificate(t, "127.0.0.1"), certificate(t, "edge")
	f := secureFake(t, &tls.Config{Certificates: []tls.Certificate{theirs}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: poolOf(t, ours)})
	c := newClient(t, []string{"tls://" + f.addr}, func(c *client.Config) {
		c.TLS = &tls.Config{RootCAs: poolOf(t, theirs), Certificates: []tls.Certificate{ours}}
	})
	for range 20 {
		if _, err := c.Do(t.Context(), "delete", protocol.Pairs{}); err != nil {
			t.Fatal(err)
		}
	}
	if got := f.connected(); got != 1 {
		t.Errorf("got %d connections; want one that is used again", got)
	}
	f.dropAll()
	eventually(t, "end of the connection", func() bool { return f.open() == 0 })
	if _, err := c.Do(t.Context(), "delete", protocol.Pairs{}); err != nil {
		t.Errorf("after the tracker hung up: got %v; want another connection", err)
	}
}

func TestTheServerNameMayBeAnother(t *testing.T) {
	cert := certificate(t, "tracker.example.com")
	f := secureFake(t, &tls.Config{Certificates: []tls.Certificate{cert}})
	c := newClient(t, []string{"tls://" + f.addr}, func(c *client.Config) {
		c.TLS = &tls.Config{RootCAs: poolOf(t, cert), ServerName: "tracker.example.com"}
	})
	if _, err := c.Do(t.Context(), "noop", protocol.Pairs{}); err != nil {
		t.Error(err)
	}
}

func TestATrackerThatCantBeTrustedIsNotAsked(t *testing.T) {
	right, wrong := certificate(t, "127.0.0.1"), certificate(t, "tracker.example.com")
	for name, tc := range map[string]struct {
		cert  tls.Certificate
		roots *x509.CertPool
		plain bool
		want  string
	}{
		"unknown authority":    {right, poolOf(t, wrong), false, "unknown authority"},
		"the system's roots":   {right, nil, false, "unknown authority"},
		"another name":         {wrong, poolOf(t, wrong), false, "127.0.0.1"},
		"a tracker of old":     {right, poolOf(t, right), true, "tls"},
		"a client without TLS": {right, nil, false, ""},
	} {
		f := secureFake(t, &tls.Config{Certificates: []tls.Certificate{tc.cert}})
		if tc.plain {
			f.mu.Lock()
			f.tls = nil
			f.mu.Unlock()
			f.welcome(func(conn net.Conn) bool { _, _ = conn.Write([]byte("ERR unknown_command x\r\n")); return true })
		}
		addr := "tls://" + f.addr
		if tc.want == "" {
			addr = f.addr
		}
		c := newClient(t, []string{addr}, func(c *client.Config) { c.TLS = &tls.Config{RootCAs: tc.roots} })
		_, err := c.Do(t.Context(), "delete", protocol.Pairs{})
		if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), addr) {
			t.Errorf("%s: got %v; want an error with %q and the address", name, err, tc.want)
		}
		if tc.want != "" && !errors.Is(err, client.ErrUnreachable) {
			t.Errorf("%s: got %v; want %v", name, err, client.ErrUnreachable)
		}
		if heard := f.lines("delete"); len(heard) > 0 {
			t.Errorf("%s: the tracker heard %q; want nothing", name, heard)
		}
	}
}

func TestAHandshakeThatHangsIsGivenUp(t *testing.T) {
	hung, good := newFake(t), newFake(t)
	hung.welcome(func(net.Conn) bool { <-hung.end; return false })
	c := newClient(t, []string{"tls://" + hung.addr, good.addr}, func(c *client.Config) { c.ConnectTimeout = 50 * time.Millisecond })
	if _, err := c.Do(t.Context(), "delete", protocol.Pairs{}); err != nil {
		t.Errorf("got %v; want the other tracker's answer", err)
	}
}
