package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/mogilefs/caddy-mogilefs/edge/signature"
)

// Signed has every request be signed: docs/signed-urls.md.
type Signed struct {
	// The keys whose signatures are good: the new one, and the old one as long as its URLs
	// are about.
	Keys []SigningKey `json:"keys,omitempty"`

	keys *signature.Keys
}

// SigningKey is a secret with a name.
type SigningKey struct {
	// What URLs call the key: letters, digits, dots, dashes and underscores.
	ID string `json:"id,omitempty"`

	// The secret, of 16 bytes or more. Placeholders such as `{env.SECRET}` and
	// `{file./run/secrets/mogilefs}` keep it out of the config.
	Secret string `json:"secret,omitempty"`
}

func (s *Signed) provision() error {
	if s == nil {
		return nil
	}
	repl := caddy.NewReplacer()
	var keys []signature.Key
	for _, k := range s.Keys {
		secret, err := repl.ReplaceOrErr(k.Secret, true, true)
		if err != nil {
			return fmt.Errorf("secret of key %s: %w", k.ID, err)
		}
		keys = append(keys, signature.Key{ID: k.ID, Secret: []byte(secret)})
	}
	var err error
	s.keys, err = signature.NewKeys(keys...)
	return err
}

// verify refuses what is not signed. What counts is the URL as the client sent it.
func (s *Signed) verify(w http.ResponseWriter, r *http.Request) error {
	if s == nil {
		return nil
	}
	err := s.keys.Verify(r.Method, sentURL(r), time.Now())
	if err == nil {
		return nil
	}
	refuseBody(w, r)
	return caddyhttp.Error(http.StatusForbidden, err)
}

// sentURL is the URL before handle_path and its like changed it.
func sentURL(r *http.Request) *url.URL {
	if sent, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && sent.URL != nil {
		return sent.URL
	}
	return r.URL
}

func (s *Signed) parse(d *caddyfile.Dispenser) error {
	if err := noArgs(d); err != nil {
		return err
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if d.Val() != "key" {
			return d.Errf("unrecognized subdirective: %s", d.Val())
		}
		var k SigningKey
		if !d.AllArgs(&k.ID, &k.Secret) {
			return d.ArgErr()
		}
		s.Keys = append(s.Keys, k)
	}
	if len(s.Keys) == 0 {
		return d.WrapErr(errors.New("signed without a key: want key <id> <secret>, with the secret in {env.*} or {file.*}"))
	}
	return nil
}
