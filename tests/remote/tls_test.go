package remote

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/tracker/client"
)

// identity is a self-signed certificate and its files.
type identity struct {
	cert      tls.Certificate
	pool      *x509.CertPool
	file, key string
}

func newIdentity(t *testing.T, name string) identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	id := identity{
		cert: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool: x509.NewCertPool(),
		file: filepath.Join(dir, name+".pem"), key: filepath.Join(dir, name+".key"),
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	id.pool.AddCert(leaf)
	for file, block := range map[string]*pem.Block{
		id.file: {Type: "CERTIFICATE", Bytes: der}, id.key: {Type: "PRIVATE KEY", Bytes: secret},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return id
}

func TestTrackersAreReachedOverTLSWithClientCertificates(t *testing.T) {
	tracker, edge := newIdentity(t, "tracker"), newIdentity(t, "edge")
	c := start(t, options{
		scheme: "tls://",
		tracker: "tls " + tracker.file + " " + tracker.key + " {\n client_auth {\n mode require_and_verify\n trust_pool file {\n pem_file " +
			edge.file + "\n }\n }\n }",
		asked: "{\n tls_trust_pool file " + tracker.file + "\n tls_client_auth " + edge.file + " " + edge.key + "\n }",
	})
	c.connect(client.Config{
		Addresses: []string{"tls://" + c.live},
		TLS:       &tls.Config{RootCAs: tracker.pool, Certificates: []tls.Certificate{edge.cert}},
	})
	c.awaitWriteable() // so the node has entered itself
	for _, content := range []string{"content", "other content"} {
		c.want(http.StatusCreated, http.MethodPut, "/images/key", content)
		c.wantBody("/images/key", content)
		c.wantBody("/second/key", content)
	}
	c.want(http.StatusNoContent, http.MethodDelete, "/images/key", "")

	for name, config := range map[string]client.Config{
		"without a certificate": {Addresses: []string{"tls://" + c.live}, TLS: &tls.Config{RootCAs: tracker.pool}},
		"without TLS":           {Addresses: []string{c.live}},
	} {
		stranger, err := client.New(config)
		if err != nil {
			t.Fatal(err)
		}
		defer stranger.Close()
		if domains, err := stranger.Domains(t.Context()); !errors.Is(err, client.ErrUnreachable) || strings.Contains(err.Error(), "images") {
			t.Errorf("%s: got %v, %v; want no answer", name, domains, err)
		}
	}
}
