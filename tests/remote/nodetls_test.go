package remote

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/tests/process"
	"github.com/mogilefs/caddy-mogilefs/tracker/client"
)

// secretNodeFile is a node that is reached over TLS only, by those with a certificate.
const secretNodeFile = `{
	skip_install_trust
	mogilefs {
		storage node1 {
			root data/storage
			devices 1 2
			address TUNNEL
			management off
			register TRACKER
		}
	}
}

https://NAMED {
	bind 127.0.0.1
	log {
		output file access.log
	}
	tls {
		issuer internal
		client_auth {
			mode require_and_verify
			trust_pool file {
				pem_file CERTIFICATE
			}
		}
	}
	mogilefs_storage
}
`

// tunnelFile is what stands beside a tracker, an edge or another node: the address that
// the node has in the tracker, on this machine, and the way from there.
const tunnelFile = `
http://:TUNNELPORT {
	bind 127.0.0.1
	reverse_proxy https://NAMED {
		transport http {
			tls_trust_pool file ROOT
			tls_client_auth CERTIFICATE KEY
		}
	}
}
`

func TestANodeIsReachedOverMutualTLS(t *testing.T) {
	us := newIdentity(t, "client")
	var addrs []string
	for _, port := range process.FreePorts(t, 4) {
		addrs = append(addrs, fmt.Sprintf("127.0.0.1:%d", port))
	}
	c := &cluster{t: t, live: addrs[0], nodeAddr: addrs[1], site: addrs[2], http: &http.Client{Transport: new(http.Transport), Timeout: within}}
	t.Cleanup(c.http.CloseIdleConnections)
	tunnel, nodeDir := addrs[3], t.TempDir()
	// By name, as Caddy wants to see the name in the TLS handshake of whom it asks for a
	// certificate.
	named := "localhost" + c.nodeAddr[strings.IndexByte(c.nodeAddr, ':'):]
	root := filepath.Join(nodeDir, "share", "caddy", "pki", "authorities", "local", "root.crt")
	fill := strings.NewReplacer(
		"LISTEN", c.live, "TRACKER", c.live, " DEAD", "", " ASKED", "", "TUNNELPORT", tunnel[strings.IndexByte(tunnel, ':')+1:], "TUNNEL", tunnel,
		"NAMED", named, "SITE", c.site, "MORE", "", "ROOT", root, "CERTIFICATE", us.file, "KEY", us.key,
	).Replace
	c.node = process.Start(t, process.Options{Dir: nodeDir, Caddyfile: fill(secretNodeFile), Ready: []string{c.nodeAddr}})
	c.tracker = process.Start(t, process.Options{Caddyfile: fill(trackerFile + tunnelFile), Ready: []string{c.live, tunnel}})
	c.edge = process.Start(t, process.Options{Caddyfile: fill(edgeFile), Ready: []string{c.site}})
	c.connect(client.Config{Addresses: []string{c.live}})
	c.awaitWriteable()
	for _, content := range []string{"content", strings.Repeat("longer ", 1<<20)} {
		c.want(http.StatusCreated, http.MethodPut, "/images/key", content)
		c.wantBody("/second/key", content)
	}
	c.want(http.StatusNoContent, http.MethodDelete, "/images/key", "")

	trusted := x509.NewCertPool()
	pem, err := os.ReadFile(root)
	if err != nil || !trusted.AppendCertsFromPEM(pem) {
		t.Fatalf("root certificate: %v", err)
	}
	for name, test := range map[string]struct {
		url  string
		tls  *tls.Config
		want int // 0 for no answer
	}{
		"with the certificate": {"https://", &tls.Config{RootCAs: trusted, Certificates: []tls.Certificate{us.cert}}, http.StatusOK},
		"without":              {"https://", &tls.Config{RootCAs: trusted}, 0},
		"with another":         {"https://", &tls.Config{RootCAs: trusted, Certificates: []tls.Certificate{newIdentity(t, "other").cert}}, 0},
		"without TLS":          {"http://", nil, http.StatusBadRequest},
	} {
		transport := &http.Transport{TLSClientConfig: test.tls, DisableKeepAlives: true}
		stranger := &http.Client{Transport: transport, Timeout: within}
		got := 0
		if resp, err := stranger.Get(test.url + named + "/dev1/usage"); err == nil {
			resp.Body.Close()
			got = resp.StatusCode
		}
		if got != test.want {
			t.Errorf("%s: got %d; want %d", name, got, test.want)
		}
	}
	process.Eventually(t, within, "access log with the upload", func() bool {
		log, err := os.ReadFile(filepath.Join(nodeDir, "access.log"))
		return err == nil && strings.Contains(string(log), `"method":"PUT"`) && strings.Contains(string(log), `"status":201`)
	})
}
