package caddymodule

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/edge/signature"
)

func TestOnlySignedRequestsAreServed(t *testing.T) {
	r := newRig(t)
	const secret, other = "0123456789abcdef", "fedcba9876543210"
	t.Setenv("MOGILEFS_TEST_SECRET", secret)
	file := r.path("secret")
	if err := os.WriteFile(file, []byte(other+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.run(changed("methods GET PUT DELETE", "methods GET PUT POST DELETE\n signed {\n key a {env.MOGILEFS_TEST_SECRET}\n key b {file."+file+"}\n }"))
	sign := func(id, secret, method, target string, goodFor time.Duration) string {
		t.Helper()
		k := signature.Key{ID: id, Secret: []byte(secret)}
		signed, err := k.Sign(method, target, time.Now().Add(goodFor))
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	r.want(http.StatusForbidden, http.MethodPut, "/images/key", "content", "Expect", "100-continue")
	r.want(http.StatusCreated, http.MethodPut, sign("a", secret, "PUT", "/images/key", time.Hour), "content")
	r.want(http.StatusCreated, http.MethodPost, sign("b", other, "POST", "/images/key%20two?v=1", time.Hour), "content")
	good := sign("b", other, "GET", "/images/key", time.Hour)
	r.wantBody(good, "content")
	r.want(http.StatusOK, http.MethodHead, good, "")
	r.wantBody(sign("a", secret, "GET", "/images/key%20two", time.Hour), "content")
	r.want(http.StatusNotFound, http.MethodGet, sign("a", secret, "GET", "/images/none", time.Hour), "")
	for name, target := range map[string]string{
		"unsigned":                      "/images/key",
		"unsigned, and there is none":   "/images/none",
		"for another method":            sign("a", secret, "PUT", "/images/key", time.Hour),
		"with another's secret":         sign("a", other, "GET", "/images/key", time.Hour),
		"with an unknown key":           sign("c", secret, "GET", "/images/key", time.Hour),
		"for what is behind the prefix": "/images" + sign("a", secret, "GET", "/key", time.Hour),
		"too late":                      sign("a", secret, "GET", "/images/key", -time.Second),
		"with more behind":              good + "&x=1",
		"for another path":              strings.Replace(good, "key", "none", 1),
	} {
		if got := r.want(http.StatusForbidden, http.MethodGet, target, ""); got.body != "" || got.header.Get("Etag") != "" {
			t.Errorf("%s: got %v %q; want nothing of the file", name, got.header, got.body)
		}
	}
	r.want(http.StatusForbidden, http.MethodDelete, good, "")
}

// TestNothingIsLookedUpForAnUnsignedRequest has no tracker that answers.
func TestNothingIsLookedUpForAnUnsignedRequest(t *testing.T) {
	r := newRig(t)
	ln := listenLoopback(t)
	ln.Close()
	r.run(changed("methods GET PUT DELETE", "methods GET PUT DELETE\n tracker "+ln.Addr().String()+"\n signed {\n key a 0123456789abcdef\n }"))
	r.want(http.StatusForbidden, http.MethodGet, "/images/key", "")
	k := signature.Key{ID: "a", Secret: []byte("0123456789abcdef")}
	signed, err := k.Sign("GET", "/images/key", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	r.want(http.StatusServiceUnavailable, http.MethodGet, signed, "")
}
