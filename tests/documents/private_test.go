package documents

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/tests/database"
	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

// object is a value of JSON that has names.
type object = map[string]any

// private makes a configuration one that can be run here: everything it listens on, keeps and
// talks to is replaced.
type private struct {
	t   *testing.T
	dir string
	// ports are the new ports by the old address.
	ports map[string]int
	// tracker is a tracker, and app an HTTP server, that stand for those of other machines.
	tracker, app string
	// connect are addresses that must take connections.
	connect []string
	// ask are URLs that must be answered.
	ask []string
}

// config changes the configuration in place.
func (p *private) config(config object) {
	delete(config, "admin") // the environment has it
	apps := sub(config, "apps")
	p.files(config)
	if app, ok := apps["mogilefs"].(object); ok {
		p.mogilefs(app)
	}
	if app, ok := apps["http"].(object); ok {
		p.servers(app)
		if _, ok := apps["mogilefs"]; !ok || sub(apps, "mogilefs")["tracker"] == nil {
			if p.wantsTracker(app) {
				p.mogilefs(p.withTracker(apps))
			}
		}
	}
	p.certificates(apps)
}

// withTracker adds what a part of a Caddyfile takes for granted.
func (p *private) withTracker(apps object) object {
	app := sub(apps, "mogilefs")
	apps["mogilefs"] = app
	app["tracker"] = object{}
	return app
}

// sub is an object in another, which it becomes part of when it is not there.
func sub(o object, name string) object {
	if found, ok := o[name].(object); ok {
		return found
	}
	made := object{}
	o[name] = made
	return made
}

// port gives an address a port of its own; the same address has the same.
func (p *private) port(host, port string) string {
	if ip := net.ParseIP(host); host == "" || host == "localhost" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	key := host + ":" + port
	if p.ports[key] == 0 {
		p.ports[key] = process.FreePorts(p.t, 1)[0]
	}
	return strconv.Itoa(p.ports[key])
}

func (p *private) moved(addr, defaultPort string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		host, port = strings.Trim(addr, "[]"), defaultPort
	}
	return "127.0.0.1:" + p.port(host, port)
}

// listener moves an address to listen on. Sockets that are handed over are replaced by a port.
func (p *private) listener(addr, defaultPort string) string {
	scheme, rest, found := strings.Cut(addr, "://")
	if !found {
		scheme, rest = "", addr
	} else {
		scheme += "://"
	}
	network, rest2, other := strings.Cut(rest, "/")
	if other && (network == "fd" || network == "unix") {
		return scheme + "127.0.0.1:" + p.port(network, strings.ReplaceAll(rest2, "/", "_"))
	}
	return scheme + p.moved(rest, defaultPort)
}

func (p *private) mogilefs(app object) {
	if tracker, ok := app["tracker"].(object); ok {
		p.localTracker(tracker)
	}
	nodes, _ := app["storage"].(object)
	for name, value := range nodes {
		node := value.(object)
		node["root"] = filepath.Join(p.dir, "storage", name)
		if err := os.MkdirAll(node["root"].(string), 0o755); err != nil {
			p.t.Fatal(err)
		}
		host, _, _ := net.SplitHostPort(text(node, "address", "127.0.0.1:7500"))
		if port, ok := node["get_port"].(float64); ok {
			moved, err := strconv.Atoi(p.port(host, strconv.Itoa(int(port))))
			if err != nil {
				p.t.Fatal(err)
			}
			node["get_port"] = moved
		}
		node["address"] = p.moved(text(node, "address", "127.0.0.1:7500"), "7500")
		if side := text(node, "management", "127.0.0.1:7501"); side != "off" {
			node["management"] = p.listener(side, "7501")
			p.connect = append(p.connect, node["management"].(string))
		}
		if remote, ok := node["register_at"].(object); ok {
			p.remote(remote)
		}
	}
}

func text(o object, name, otherwise string) string {
	if s, ok := o[name].(string); ok && s != "" {
		return s
	}
	return otherwise
}

func (p *private) localTracker(tracker object) {
	listen, _ := tracker["listen"].([]any)
	if len(listen) == 0 {
		listen = []any{"127.0.0.1:7001"}
	}
	for i, addr := range listen {
		listen[i] = p.listener(addr.(string), "7001")
		_, plain, tls := strings.Cut(listen[i].(string), "tls://")
		if !tls {
			plain = listen[i].(string)
		}
		p.connect = append(p.connect, plain)
	}
	tracker["listen"] = listen
	db, ok := tracker["database"].(object)
	if !ok {
		db = object{"engine": "sqlite"}
	}
	switch db["engine"] {
	case "sqlite":
		db["path"] = filepath.Join(p.dir, "mogilefs.db")
	case "mysql":
		db["dsn"] = database.MariaDB(p.t).MustCreate(p.t, "")
	case "postgres":
		db["dsn"] = database.Postgres(p.t).MustCreate(p.t, "")
	}
	delete(db, "user")
	delete(db, "password")
	tracker["database"] = db
}

// remote replaces trackers of other machines. Those behind TLS lead to one that knows none:
// it is only tried.
func (p *private) remote(remote object) {
	var addresses []any
	for i, addr := range remote["addresses"].([]any) {
		if strings.HasPrefix(addr.(string), "tls://") {
			_, port, err := net.SplitHostPort(p.moved("tls"+strconv.Itoa(i), "7001"))
			if err != nil {
				p.t.Fatal(err)
			}
			addresses = append(addresses, "tls://localhost:"+port)
		} else if len(addresses) == 0 || addresses[0] != p.tracker {
			addresses = append([]any{p.tracker}, addresses...)
		}
	}
	remote["addresses"] = addresses
}

func (p *private) servers(http object) {
	servers, _ := http["servers"].(object)
	for _, value := range servers {
		server := value.(object)
		policies, _ := server["tls_connection_policies"].([]any)
		asksClients := strings.Contains(toJSON(p.t, policies), "client_authentication")
		listen := server["listen"].([]any)
		scheme := "http"
		for i, addr := range listen {
			if strings.HasSuffix(addr.(string), ":443") || policies != nil {
				scheme = "https"
			}
			listen[i] = p.listener(addr.(string), "80")
			p.connect = append(p.connect, listen[i].(string))
		}
		sub(server, "automatic_https")["disable_redirects"] = true
		p.handlers(server["routes"])
		if !asksClients {
			p.ask = append(p.ask, scheme+"://"+firstHost(server)+"@"+listen[0].(string)+"/images/none.jpg")
		}
	}
}

// firstHost is a name that the server answers to.
func firstHost(server object) string {
	routes, _ := server["routes"].([]any)
	for _, route := range routes {
		sets, _ := route.(object)["match"].([]any)
		for _, set := range sets {
			if hosts, _ := set.(object)["host"].([]any); len(hosts) > 0 {
				return strings.Replace(hosts[0].(string), "*", "any", 1)
			}
		}
	}
	return "localhost"
}

// handlers replaces what handlers talk to.
func (p *private) handlers(value any) {
	switch v := value.(type) {
	case []any:
		for _, one := range v {
			p.handlers(one)
		}
	case object:
		if v["handler"] == "mogilefs" {
			if remote, ok := v["tracker"].(object); ok {
				p.remote(remote)
			}
		}
		if upstreams, ok := v["upstreams"].([]any); ok {
			for _, upstream := range upstreams {
				upstream.(object)["dial"] = p.app
			}
			if v["handler"] == "reverse_proxy" {
				if transport, ok := v["transport"].(object); ok {
					delete(transport, "tls") // it stands for one behind TLS
				}
			}
		}
		for _, one := range v {
			p.handlers(one)
		}
	}
}

// wantsTracker reports whether an edge asks the tracker of its own process.
func (p *private) wantsTracker(value any) bool {
	switch v := value.(type) {
	case []any:
		for _, one := range v {
			if p.wantsTracker(one) {
				return true
			}
		}
	case object:
		if v["handler"] == "mogilefs" {
			return v["tracker"] == nil
		}
		for _, one := range v {
			if p.wantsTracker(one) {
				return true
			}
		}
	}
	return false
}

// certificates has all of them made here, and none trusted by the machine.
func (p *private) certificates(apps object) {
	tls := sub(apps, "tls")
	automation := sub(tls, "automation")
	policies, _ := automation["policies"].([]any)
	issuers := []any{object{"module": "internal"}}
	for _, policy := range policies {
		policy.(object)["issuers"] = issuers
	}
	automation["policies"] = append(policies, object{"issuers": issuers})
	sub(sub(sub(apps, "pki"), "certificate_authorities"), "local")["install_trust"] = false
	if app, ok := apps["mogilefs"].(object); ok {
		if tracker, ok := app["tracker"].(object); ok {
			if t, ok := tracker["tls"].(object); ok && t["issuers"] != nil {
				t["issuers"] = issuers
			}
		}
	}
}

// path is one outside of the test, in a text or in a placeholder.
var path = regexp.MustCompile(`(^|\{file\.)(/(?:etc|run|var|srv|mnt|data|opt)/[\w./-]+)`)

// environment is a placeholder of a variable.
var environment = regexp.MustCompile(`\{env\.(\w+)\}`)

// secret is long enough for everything.
const secret = "0123456789abcdef0123456789abcdef"

// files replaces paths in all texts, and makes what is read there.
func (p *private) files(value any) any {
	switch v := value.(type) {
	case string:
		for _, m := range environment.FindAllStringSubmatch(v, -1) {
			p.t.Setenv(m[1], secret)
		}
		return path.ReplaceAllStringFunc(v, func(m string) string {
			parts := path.FindStringSubmatch(m)
			return parts[1] + p.file(parts[2])
		})
	case []any:
		for i := range v {
			v[i] = p.files(v[i])
		}
	case object:
		for name := range v {
			v[name] = p.files(v[name])
		}
	}
	return value
}

func (p *private) file(name string) string {
	moved := filepath.Join(p.dir, name)
	if err := os.MkdirAll(filepath.Dir(moved), 0o755); err != nil {
		p.t.Fatal(err)
	}
	content := secret + "\n"
	switch filepath.Ext(name) {
	case ".pem", ".crt", ".key":
		content = p.pem(strings.Contains(filepath.Base(name), "key"))
	}
	if err := os.WriteFile(moved, []byte(content), 0o600); err != nil {
		p.t.Fatal(err)
	}
	return moved
}

// pem is a certificate of this test's, or its key.
func (p *private) pem(wantKey bool) string {
	certFile, keyFile := filepath.Join(p.dir, "a.crt"), filepath.Join(p.dir, "a.key")
	if _, err := os.Stat(certFile); err != nil {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			p.t.Fatal(err)
		}
		template := &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: []string{"localhost"},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			p.t.Fatal(err)
		}
		keyDER, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			p.t.Fatal(err)
		}
		for file, block := range map[string]*pem.Block{
			certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: keyDER},
		} {
			if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
				p.t.Fatal(err)
			}
		}
	}
	file := certFile
	if wantKey {
		file = keyFile
	}
	text, err := os.ReadFile(file)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

func toJSON(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
