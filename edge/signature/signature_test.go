package signature

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"
)

var (
	old    = Key{ID: "2026", Secret: []byte("0123456789abcdef")}
	fresh  = Key{ID: "2027", Secret: []byte("fedcba9876543210")}
	expiry = time.Unix(1_800_000_000, 0)
)

func verify(t *testing.T, method, target string, at time.Time, keys ...Key) error {
	t.Helper()
	all, err := NewKeys(keys...)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	return all.Verify(method, u, at)
}

// TestTheFormatIsThatOfThePage: others make signatures too. The sum is openssl's.
func TestTheFormatIsThatOfThePage(t *testing.T) {
	for target, want := range map[string]string{
		"/images/a.jpg":                 "/images/a.jpg?mogile-key=2026&mogile-expires=1800000000&mogile-signature=CWsodmWTQ1dGR0jiydIG22YExvRk2TvC6hesjJlQ6R4",
		"https://example.com/a%20b?v=2": "https://example.com/a%20b?v=2&mogile-key=2026&mogile-expires=1800000000&mogile-signature=f5-_PCodnzCFmohQ0ORiI1OYX44thHT5fh5MsXW8nls",
	} {
		if got, err := old.Sign("GET", target, expiry); err != nil || got != want {
			t.Errorf("%s: got %s, %v; want %s", target, got, err, want)
		}
	}
}

func TestASignedURLIsGoodUntilItsTimeIsOver(t *testing.T) {
	before, after := expiry.Add(-time.Nanosecond), expiry
	for _, target := range []string{"/", "/a", "/a%2Fb/%0A%3F?x=1&&y", "https://example.com/ä?mogile-key=2026", "/a?"} {
		signed, err := old.Sign("GET", target, expiry)
		if err != nil {
			t.Fatal(err)
		}
		for _, method := range []string{"GET", "HEAD"} {
			if err := verify(t, method, signed, before, fresh, old); err != nil {
				t.Errorf("%s %s: got %v; want it good", method, signed, err)
			}
			if err := verify(t, method, signed, after, old); !errors.Is(err, ErrExpired) {
				t.Errorf("%s %s after its time: got %v; want that it has expired", method, signed, err)
			}
		}
		for _, method := range []string{"PUT", "DELETE", "POST", "PURGE", "get"} {
			if err := verify(t, method, signed, before, old); !errors.Is(err, ErrWrong) {
				t.Errorf("%s %s: got %v; want it wrong", method, signed, err)
			}
		}
		if err := verify(t, "GET", signed, before, fresh); !errors.Is(err, ErrWrong) {
			t.Errorf("%s without its key: got %v; want it wrong", signed, err)
		}
	}
}

// TestNothingOfASignedURLCanBeChanged takes each byte away and changes it.
func TestNothingOfASignedURLCanBeChanged(t *testing.T) {
	const target = "/images/a%3Fb.jpg?v=2"
	signed, err := old.Sign("PUT", target, expiry)
	if err != nil {
		t.Fatal(err)
	}
	all, err := NewKeys(old, fresh)
	if err != nil {
		t.Fatal(err)
	}
	right, err := url.Parse(signed)
	if err != nil {
		t.Fatal(err)
	}
	tampered := []string{
		signed + "&x=1", signed + "=", signed + "A", "/images/a?b.jpg?v=2" + signed[len(target):],
		strings.Replace(signed, "?v=2&", "?", 1), strings.Replace(signed, "?", "?w=1&", 1),
		strings.Replace(signed, "2026", "2027", 1), strings.Replace(signed, "1800000000", "01800000000", 1),
		strings.Replace(signed, "1800000000", "+1800000000", 1), strings.Replace(signed, "?v=2&", "?v=2&&", 1),
	}
	for i := range signed {
		tampered = append(tampered, signed[:i]+signed[i+1:])
		for _, c := range "A_1&" {
			tampered = append(tampered, signed[:i]+string(c)+signed[i+1:])
		}
	}
	for _, text := range tampered {
		u, err := url.Parse(text)
		if err != nil || u.Path == right.Path && u.RawQuery == right.RawQuery {
			continue // no other URL
		}
		if err := all.Verify("PUT", u, expiry.Add(-time.Hour)); err == nil {
			t.Errorf("%s: got it accepted, signed was %s", text, signed)
		}
	}
	if err := all.Verify("PUT", right, expiry.Add(-time.Hour)); err != nil {
		t.Errorf("%s: got %v; want it good", signed, err)
	}
}

func TestAnUnsignedURLIsToldSo(t *testing.T) {
	for _, target := range []string{
		"/a", "/a?mogile-key=2026", "/a?mogile-key=2026&mogile-expires=1&mogile-signature=", "/a?mogile-expires=1&mogile-key=2026&mogile-signature=AAAA",
		"/a?mogile-key=2026&mogile-expires=x&mogile-signature=" + strings.Repeat("A", 43),
		"/a?xmogile-key=2026&mogile-expires=1&mogile-signature=" + strings.Repeat("A", 43),
		"/a?mogile-key=2026&mogile-expires=1&mogile-signature=" + strings.Repeat("/", 43),
	} {
		if err := verify(t, "GET", target, expiry, old); !errors.Is(err, ErrUnsigned) {
			t.Errorf("%s: got %v; want that it is not signed", target, err)
		}
	}
}

func TestKeysThatCantBeAreRefused(t *testing.T) {
	short := Key{ID: "short", Secret: []byte("0123456789abcde")}
	for want, keys := range map[string][]Key{
		"want one at least": nil, "15 bytes": {old, short}, "letters": {{ID: "a b", Secret: old.Secret}},
		`key ""`: {{Secret: old.Secret}}, "stands twice": {old, fresh, old},
	} {
		if _, err := NewKeys(keys...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%d keys: got %v; want an error with %q", len(keys), err, want)
		}
	}
	for want, sign := range map[string]func() (string, error){
		"15 bytes": func() (string, error) { return short.Sign("GET", "/a", expiry) },
		"GET for":  func() (string, error) { return old.Sign("HEAD", "/a", expiry) },
		"capitals": func() (string, error) { return old.Sign("get", "/a", expiry) },
		"slash":    func() (string, error) { return old.Sign("GET", "a", expiry) },
		"fragment": func() (string, error) { return old.Sign("GET", "/a#b", expiry) },
		"until":    func() (string, error) { return old.Sign("GET", "/a", time.Time{}) },
		"sign:":    func() (string, error) { return old.Sign("GET", "/%zz", expiry) },
	} {
		if got, err := sign(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %s, %v; want an error with %q", got, err, want)
		}
	}
}

func FuzzVerify(f *testing.F) {
	signed, err := old.Sign("GET", "/a?v=1", expiry)
	if err != nil {
		f.Fatal(err)
	}
	all, err := NewKeys(old)
	if err != nil {
		f.Fatal(err)
	}
	f.Add("/a", strings.TrimPrefix(signed, "/a?"))
	f.Add("/a", "mogile-key=2026&mogile-expires=1800000000&mogile-signature=")
	f.Fuzz(func(t *testing.T, path, query string) {
		err := all.Verify("GET", &url.URL{Path: path, RawQuery: query}, expiry.Add(-time.Second))
		if good := path+"?"+query == signed; good != (err == nil) {
			t.Errorf("%q ?%q: got %v; signed was %s", path, query, err, signed)
		}
	})
}
