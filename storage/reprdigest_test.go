package storage_test

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/storage"
)

func TestADigestComesWhenItIsWanted(t *testing.T) {
	s := newServer(t)
	const body = "0123456789"
	s.mustPut(t, fidPath, body)
	base := base64.StdEncoding.EncodeToString
	sum256, sum512, sum1 := sha256.Sum256([]byte(body)), sha512.Sum512([]byte(body)), sha1.Sum([]byte(body))
	sha := "sha-256=:" + base(sum256[:]) + ":"
	md5 := "md5=:" + md5Of(body) + ":"
	tag := s.do(t, "HEAD", fidPath, "").header.Get("Etag")
	for _, c := range []struct {
		headers           []string
		status            int
		digest, contentOf string
	}{
		{nil, 200, "", ""},
		{[]string{"Want-Repr-Digest: sha-256=1"}, 200, sha, ""},
		{[]string{"Want-Repr-Digest: sha-512=3, sha-256=2"}, 200, "sha-512=:" + base(sum512[:]) + ":", ""},
		{[]string{"Want-Repr-Digest: sha=10"}, 200, "sha=:" + base(sum1[:]) + ":", ""},
		{[]string{"Want-Repr-Digest: md5=10"}, 200, md5, md5Of(body)},
		{[]string{"Want-Repr-Digest: md5=1", "Range: bytes=0-1"}, 206, md5, ""},
		{[]string{"Want-Repr-Digest: md5=1", "If-None-Match: " + tag}, 304, "", ""},
		{[]string{"Want-Repr-Digest: crc32c=9"}, 200, "", ""},
		{[]string{"Want-Repr-Digest: "}, 200, "", ""},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			if method == "HEAD" && c.status == 206 {
				c.status, c.contentOf = 200, "" // a range is for GET alone
			}
			a := s.do(t, method, fidPath, "", c.headers...)
			if a.status != c.status || a.header.Get("Repr-Digest") != c.digest || a.header.Get("Content-Md5") != c.contentOf {
				t.Errorf("%s %v: got %d, Repr-Digest %q, Content-MD5 %q; want %d, %q, %q", method, c.headers,
					a.status, a.header.Get("Repr-Digest"), a.header.Get("Content-Md5"), c.status, c.digest, c.contentOf)
			}
			if method == "GET" && c.status == 200 && a.body != body {
				t.Errorf("%v: got %q; want the whole file", c.headers, a.body)
			}
		}
	}
	if a := s.do(t, "GET", "/dev1/0/000", "", "Want-Repr-Digest: md5=1"); a.status != 403 || a.header.Get("Repr-Digest") != "" {
		t.Errorf("directory: got %d, %v; want 403 without a digest", a.status, a.header)
	}
}

func TestWhichDigestIsWanted(t *testing.T) {
	for _, c := range []struct {
		values []string
		want   string
	}{
		{[]string{"sha-256=5, sha-512=5"}, "sha-256"},
		{[]string{"md5=5,sha=6 , sha-256=0"}, "sha"},
		{[]string{"md5=5", "sha-512=6"}, "sha-512"},
		{[]string{"md5=5, md5=0"}, ""},
		{[]string{"md5=5;a=b;c"}, "md5"},
		{[]string{"md5"}, ""},
		{[]string{"md5=11"}, ""},
		{[]string{"md5=-1"}, ""},
		{[]string{"md5=1.5"}, ""},
		{[]string{"MD5=1"}, ""},
		{[]string{"=5, md5=1"}, "md5"},
		{[]string{""}, ""},
	} {
		got, ok := storage.WantedDigest(c.values...)
		if got != c.want || ok != (c.want != "") {
			t.Errorf("%q: got %q, %v; want %q", c.values, got, ok, c.want)
		}
	}
}

func TestADigestEndsWithItsClient(t *testing.T) {
	s := newServer(t)
	s.mustPut(t, fidPath, strings.Repeat("x", 1<<20))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, "GET", fidPath, nil)
	r.Header.Set("Want-Repr-Digest", "sha-256=1")
	w := httptest.NewRecorder()
	defer func() {
		if got := recover(); got != http.ErrAbortHandler || w.Body.Len() > 0 {
			t.Errorf("got %v and %d bytes; want http.ErrAbortHandler and none", got, w.Body.Len())
		}
	}()
	s.ServeHTTP(w, r)
}

func FuzzWantReprDigest(f *testing.F) {
	for _, v := range []string{"sha-256=5, md5=10;x", "md5", "=,;", "sha=1.0", `md5=1;a="x,sha=2"`} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v string) {
		name, ok := storage.WantedDigest(v)
		if ok != slices.Contains([]string{"sha-256", "sha-512", "sha", "md5"}, name) || ok && !strings.Contains(v, name+"=") {
			t.Errorf("%q: got %q, %v; want one that is named, or none", v, name, ok)
		}
	})
}
