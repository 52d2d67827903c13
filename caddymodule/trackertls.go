package caddymodule

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
	"github.com/caddyserver/certmagic"
)

// TrackerTLS is how the tracker encrypts: with a certificate from files, with one that
// Caddy gets and renews, or, if neither is named, with whichever Caddy has under the name
// that a client asks for.
type TrackerTLS struct {
	// The file of a certificate, followed by those of its issuers, in PEM.
	// Placeholders are allowed here and in `key`. The files are read when the config
	// is loaded: to have renewed ones read, `caddy reload --force`.
	Certificate string `json:"certificate,omitempty"`

	// The file of the certificate's private key.
	Key string `json:"key,omitempty"`

	// Names, or addresses, that clients know the tracker by: Caddy gets a certificate
	// for each and renews it. Clients that ask for no name get the first.
	Names []string `json:"names,omitempty"`

	// Who issues the certificates for `names`. Default: what Caddy uses for such names
	// elsewhere, a public authority or, for names that none knows, its own.
	IssuersRaw []json.RawMessage `json:"issuers,omitempty" caddy:"namespace=tls.issuance inline_key=module"`

	// How to shake hands, as for Caddy's servers: the first policy that matches
	// counts. `client_authentication` has clients show certificates. Default: one
	// that matches always.
	ConnectionPolicies caddytls.ConnectionPolicies `json:"connection_policies,omitempty"`

	app    *caddytls.TLS
	config *tls.Config
}

// provisionTLS checks that encryption is configured where it is used, and only there.
func (t *Tracker) provisionTLS(ctx caddy.Context) error {
	encrypted := slices.ContainsFunc(t.Listen, func(addr string) bool { return strings.HasPrefix(addr, tlsPrefix) })
	switch {
	case t.TLS == nil && encrypted:
		return errors.New("an address begins with " + tlsPrefix + ", but there is no certificate: add tls with a name, or with the files of a certificate and its key")
	case t.TLS == nil:
		return nil
	case !encrypted:
		return errors.New("it is configured, but no address uses it: put " + tlsPrefix + " before one that the tracker listens on")
	}
	return t.TLS.provision(ctx)
}

func (t *TrackerTLS) provision(ctx caddy.Context) error {
	if (t.Certificate == "") != (t.Key == "") || t.Certificate != "" && len(t.Names) > 0 {
		return errors.New("want either both files, of a certificate and its key, or names")
	}
	app, err := ctx.App("tls")
	if err != nil {
		return err
	}
	t.app = app.(*caddytls.TLS)
	if err := t.addIssuers(); err != nil {
		return err
	}
	if err := t.provisionPolicies(ctx); err != nil {
		return err
	}
	t.config = t.ConnectionPolicies.TLSConfig(ctx)
	return nil
}

func (t *TrackerTLS) provisionPolicies(ctx caddy.Context) error {
	if len(t.ConnectionPolicies) == 0 {
		t.ConnectionPolicies = caddytls.ConnectionPolicies{new(caddytls.ConnectionPolicy)}
	}
	for _, p := range t.ConnectionPolicies {
		if p.ALPN == nil {
			p.ALPN = []string{} // the protocol has no name; nil would offer HTTP
		}
		if p.DefaultSNI == "" && len(t.Names) > 0 {
			p.DefaultSNI = t.Names[0]
		}
	}
	if err := t.ConnectionPolicies.Provision(ctx); err != nil {
		return err
	}
	if t.Certificate == "" {
		return nil
	}
	pair, err := t.load()
	if err != nil {
		return err
	}
	for _, p := range t.ConnectionPolicies {
		p.TLSConfig.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair, nil }
	}
	return nil
}

func (t *TrackerTLS) load() (*tls.Certificate, error) {
	repl := caddy.NewReplacer()
	cert, err := repl.ReplaceOrErr(t.Certificate, true, true)
	if err != nil {
		return nil, err
	}
	key, err := repl.ReplaceOrErr(t.Key, true, true)
	if err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("certificate and key (several names stand in the block, as names): %w", err)
	}
	return &pair, nil
}

// addIssuers says who issues for names that no public authority knows, unless the config
// says so already; for all names if the tracker's block does.
func (t *TrackerTLS) addIssuers() error {
	repl := caddy.NewReplacer()
	var ours []string
	for i, name := range t.Names {
		filled, err := repl.ReplaceOrErr(name, true, true)
		if err != nil {
			return err
		}
		t.Names[i] = filled
		if t.IssuersRaw != nil || isPrivate(filled) && !t.hasIssuer(filled) {
			ours = append(ours, filled)
		}
	}
	if len(ours) == 0 {
		return nil
	}
	issuers := t.IssuersRaw
	if issuers == nil {
		issuers = []json.RawMessage{json.RawMessage(`{"module":"internal"}`)}
	}
	return t.app.AddAutomationPolicy(&caddytls.AutomationPolicy{SubjectsRaw: ours, IssuersRaw: issuers})
}

// isPrivate reports whether no public authority knows a name, which those without any
// domain are not expected to.
func isPrivate(name string) bool {
	return !certmagic.SubjectQualifiesForPublicCert(name) || !strings.ContainsAny(name, ".:")
}

func (t *TrackerTLS) hasIssuer(name string) bool {
	return t.app.Automation != nil && slices.ContainsFunc(t.app.Automation.Policies, func(p *caddytls.AutomationPolicy) bool {
		return slices.ContainsFunc(p.Subjects(), func(subject string) bool { return certmagic.MatchWildcard(name, subject) })
	})
}

// manage begins to get certificates, in the background.
func (t *TrackerTLS) manage() error {
	names := make(map[string]struct{}, len(t.Names))
	for _, name := range t.Names {
		names[name] = struct{}{}
	}
	return t.app.Manage(names)
}
