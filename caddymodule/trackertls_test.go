package caddymodule

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority issues certificates into files.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// newAuthority has its own certificate in <name>.pem.
func newAuthority(t *testing.T, dir, name string) *authority {
	t.Helper()
	a := &authority{t: t, dir: dir}
	a.cert, a.key = a.issue(name, &x509.Certificate{
		SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	return a
}

// forName issues a certificate for a machine, into <file>.pem and <file>.key.
func (a *authority) forName(file, name string, serial int64) {
	a.issue(file, &x509.Certificate{
		SerialNumber: big.NewInt(serial), DNSNames: []string{name}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
}

func (a *authority) issue(file string, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template.Subject = pkix.Name{CommonName: file}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(file+".pem", "CERTIFICATE", der)
	a.write(file+".key", "PRIVATE KEY", keyDER)
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

func (a *authority) write(file, kind string, der []byte) {
	a.t.Helper()
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(filepath.Join(a.dir, file), text, 0o600); err != nil {
		a.t.Fatal(err)
	}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// certificate is what forName has written.
func (a *authority) certificate(file string) []tls.Certificate {
	a.t.Helper()
	pair, err := tls.LoadX509KeyPair(filepath.Join(a.dir, file+".pem"), filepath.Join(a.dir, file+".key"))
	if err != nil {
		a.t.Fatal(err)
	}
	return []tls.Certificate{pair}
}

// line is a connection to the tracker.
type line struct {
	t *testing.T
	net.Conn
	in *bufio.Reader
}

func newLine(t *testing.T, conn net.Conn) *line {
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(soon))
	return &line{t, conn, bufio.NewReader(conn)}
}

func (l *line) want(request, answer string) {
	l.t.Helper()
	got, err := l.ask(request)
	if err != nil || !strings.HasPrefix(got, answer) {
		l.t.Errorf("%q: got %q (%v); want %q", request, got, err, answer)
	}
}

func (l *line) ask(request string) (string, error) {
	if _, err := io.WriteString(l, request+"\r\n"); err != nil {
		return "", err
	}
	return l.in.ReadString('\n')
}

// withTLS is the base with a second port for the tracker, and more in its block.
func (r *rig) withTLS(more string) (config, addr string) {
	ln := listenLoopback(r.t)
	ln.Close()
	addr = ln.Addr().String()
	return changed("admin off", "admin off\n skip_install_trust", "listen TRACKER", "listen TRACKER tls://"+addr+"\n"+more), addr
}

func TestTheTrackerSpeaksTLSWithClientsThatShowACertificate(t *testing.T) {
	r := newRig(t)
	ca, others := newAuthority(t, r.dir, "ca"), newAuthority(t, r.dir, "others")
	ca.forName("server", "tracker.example", 100)
	ca.forName("client", "client.example", 200)
	others.forName("stranger", "client.example", 300)
	config, addr := r.withTLS("tls DIR/server.pem DIR/server.key {\n client_auth {\n trust_pool file DIR/ca.pem\n }\n }")
	r.run(config)

	known := &tls.Config{RootCAs: ca.pool(), ServerName: "tracker.example", Certificates: ca.certificate("client")}
	conn, err := tls.Dial("tcp", addr, known)
	if err != nil {
		t.Fatal(err)
	}
	good := newLine(t, conn)
	good.want("noop", "OK ")
	good.want("create_domain domain=over_tls", "OK ")
	if name := conn.ConnectionState().NegotiatedProtocol; name != "" {
		t.Errorf("got the protocol %q negotiated; want none", name)
	}

	for name, config := range map[string]*tls.Config{
		"no certificate":       {RootCAs: ca.pool(), ServerName: "tracker.example"},
		"another's":            {RootCAs: ca.pool(), ServerName: "tracker.example", Certificates: others.certificate("stranger")},
		"an old version":       {RootCAs: ca.pool(), ServerName: "tracker.example", Certificates: known.Certificates, MaxVersion: tls.VersionTLS11},
		"another server's ca":  {RootCAs: others.pool(), ServerName: "tracker.example", Certificates: known.Certificates},
		"another server's key": {RootCAs: ca.pool(), ServerName: "other.example", Certificates: known.Certificates},
	} {
		conn, err := tls.Dial("tcp", addr, config)
		if err != nil {
			continue
		}
		if got, err := newLine(t, conn).ask("noop"); err == nil {
			t.Errorf("%s: got the answer %q; want none", name, got)
		}
	}
	plain, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := newLine(t, plain).ask("noop"); strings.HasPrefix(got, "OK") {
		t.Errorf("without TLS: got %q; want no answer", got)
	}
	good.want("noop", "OK ") // none of that has disturbed it
	if got := r.say("noop"); got != "OK \r\n" {
		t.Errorf("the plain port: got %q; want OK", got)
	}
}

func TestCaddyGetsTheTrackersCertificate(t *testing.T) {
	r := newRig(t)
	config, addr := r.withTLS("tls tracker1.internal")
	r.run(config)
	// Caddy's own authority is made with the first certificate.
	var roots *x509.CertPool
	dial := func(name string) (*tls.Conn, error) {
		return tls.Dial("tcp", addr, &tls.Config{RootCAs: roots, ServerName: name})
	}
	eventually(t, "certificate for tracker1.internal", func() bool {
		text, err := os.ReadFile(r.path("caddy/pki/authorities/local/root.crt"))
		if err != nil {
			return false
		}
		roots = x509.NewCertPool()
		roots.AppendCertsFromPEM(text)
		conn, err := dial("tracker1.internal")
		if err != nil {
			return false
		}
		newLine(t, conn).want("noop", "OK ")
		return true
	})
	nameless, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true}) // as an address has no name
	if err != nil {
		t.Fatalf("a client that asks for no name: %v", err)
	}
	if err := nameless.ConnectionState().PeerCertificates[0].VerifyHostname("tracker1.internal"); err != nil {
		t.Errorf("a client that asks for no name: %v", err)
	}
	newLine(t, nameless).want("noop", "OK ")
}

func TestAReloadWithAnotherCertificateKeepsConnections(t *testing.T) {
	r := newRig(t)
	ca := newAuthority(t, r.dir, "ca")
	ca.forName("server", "tracker.example", 100)
	config, addr := r.withTLS("tls DIR/server.pem DIR/server.key")
	r.run(config)
	dial := func() (*line, int64) {
		conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: ca.pool(), ServerName: "tracker.example"})
		if err != nil {
			t.Fatal(err)
		}
		return newLine(t, conn), conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	encrypted, serial := dial()
	conn, err := net.Dial("tcp", r.tracker)
	if err != nil {
		t.Fatal(err)
	}
	plain := newLine(t, conn)
	both := func() {
		t.Helper()
		encrypted.want("noop", "OK ")
		plain.want("noop", "OK ")
	}
	both()
	if serial != 100 {
		t.Errorf("got certificate %d; want 100", serial)
	}
	ca.forName("server", "tracker.example", 101)
	r.run(config)
	both()
	if _, serial := dial(); serial != 101 {
		t.Errorf("after the reload: got certificate %d; want 101", serial)
	}
	if err := r.load(strings.Replace(config, "tls DIR/server.pem DIR/server.key", "tls DIR/nothing.pem DIR/nothing.key", 1)); err == nil ||
		!strings.Contains(err.Error(), "nothing.pem") {
		t.Errorf("without files: got %v; want an error that names them", err)
	}
	ca.forName("server", "tracker.example", 102)
	r.cantRun(config)
	both()
	if _, serial := dial(); serial != 101 {
		t.Errorf("after configs that did not start: got certificate %d; want 101", serial)
	}
	r.run(base) // no TLS any more
	plain.want("noop", "OK ")
	listenOnAddr(t, addr).Close()
}

func TestAccessChangesWithAReloadAndKeepsConnections(t *testing.T) {
	r := newRig(t)
	r.run(base)
	conn, err := net.Dial("tcp", r.tracker)
	if err != nil {
		t.Fatal(err)
	}
	l := newLine(t, conn)
	l.want("set_server_setting key=skip_mkcol&value=0", "OK ")
	r.run(changed("listen TRACKER", "listen TRACKER\n admin_allow 10.0.0.0/8\n max_connections 20"))
	l.want("set_server_setting key=skip_mkcol&value=0", "ERR not_allowed ")
	l.want("noop", "OK ")
	r.cantRun(base)
	l.want("set_server_setting key=skip_mkcol&value=0", "ERR not_allowed ") // as the config that runs has it
	r.run(base)
	l.want("set_server_setting key=skip_mkcol&value=0", "OK ")
	if err := r.load(changed("listen TRACKER", "listen TRACKER\n max_connections 1")); err != nil {
		t.Fatal(err)
	}
	if got := r.saying("noop"); got != "" {
		t.Errorf("one client too many: got %q; want nothing", got)
	}
	l.want("noop", "OK ")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "connection when the first has gone", func() bool { return r.saying("noop") == "OK \r\n" })
}

// cantRun loads a config with one more port for the tracker, after its own, that
// somebody else has.
func (r *rig) cantRun(config string) {
	r.t.Helper()
	taken := listenLoopback(r.t)
	defer taken.Close()
	if err := r.load(strings.Replace(config, "listen TRACKER", "listen TRACKER "+taken.Addr().String(), 1)); err == nil {
		r.t.Fatal("a config whose port is taken: got no error")
	}
}

// saying is what comes back to a line, which may be nothing.
func (r *rig) saying(request string) string {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.tracker)
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(soon))
	_, _ = fmt.Fprintf(conn, "%s\r\n", request)
	answer, _ := bufio.NewReader(conn).ReadString('\n')
	return answer
}
