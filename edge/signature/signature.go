// Package signature signs URLs and tells whether they are: an HMAC-SHA-256 over method, path,
// query and expiry (docs/signed-urls.md).
//
// Whoever hands a URL out calls [Key.Sign], which appends three parameters to its query. The edge
// calls [Keys.Verify] with what a client asks for. Several keys may be good at the same time, so
// that one can follow another while URLs of the first are still about.
//
// It is pure: it knows no files, no clock, and no request but its method and URL.
package signature

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// MinSecret is how many bytes a secret has at least: no one guesses so many.
const MinSecret = 16

// Key is a secret with a name.
type Key struct {
	// ID stands in URLs: letters, digits, dots, dashes and underscores.
	ID string
	// Secret has MinSecret bytes or more.
	Secret []byte
}

// Why a request is refused.
var (
	// ErrUnsigned: the URL does not end in the three parameters.
	ErrUnsigned = errors.New("the URL is not signed")
	// ErrWrong: the key is not known, or it signed something else.
	ErrWrong = errors.New("the URL's signature is wrong")
	// ErrExpired: the signature is right, and its time is over.
	ErrExpired = errors.New("the URL's signature has expired")
)

const (
	// version is the first line of what is signed.
	version = "mogilefs-1"
	// The parameters, with which a query ends in this order.
	keyParam     = "mogile-key="
	expiresParam = "&mogile-expires="
	sumParam     = "&mogile-signature="
	// maxExpires has at most so many digits: seconds for some thousand years to come.
	maxExpires = 11
)

var (
	isID     = regexp.MustCompile(`^[A-Za-z0-9._-]+$`).MatchString
	encoding = base64.RawURLEncoding.Strict()
)

// Validate says what is wrong with the key, without the secret.
func (k Key) Validate() error {
	switch {
	case !isID(k.ID):
		return fmt.Errorf("key %q: want letters, digits, dots, dashes and underscores", k.ID)
	case len(k.Secret) < MinSecret:
		return fmt.Errorf("key %s: its secret has %d bytes; want %d or more", k.ID, len(k.Secret), MinSecret)
	}
	return nil
}

// Sign returns the URL, or the path with its query, with a signature that is good for the method
// until the time expires, to the second. What is signed for GET is good for HEAD.
func (k Key) Sign(method, target string, expires time.Time) (string, error) {
	if err := k.Validate(); err != nil {
		return "", err
	}
	if method == "" || method != strings.ToUpper(method) || method == http.MethodHead {
		return "", fmt.Errorf("sign method %q: want one in capitals, and GET for HEAD", method)
	}
	u, err := url.Parse(target)
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	if !strings.HasPrefix(u.Path, "/") || u.Fragment != "" {
		return "", fmt.Errorf("sign %q: want a URL or a path that begins with a slash, and no fragment", target)
	}
	at := strconv.FormatInt(expires.Unix(), 10)
	if expires.Unix() <= 0 || len(at) > maxExpires {
		return "", fmt.Errorf("sign until %v: no such time can be told", expires)
	}
	sum := k.sum(method, at, u.RawQuery, u.Path)
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += keyParam + k.ID + expiresParam + at + sumParam + encoding.EncodeToString(sum)
	return u.String(), nil
}

// sum is over text in which only the last line may contain a line's end.
func (k Key) sum(method, expires, query, path string) []byte {
	h := hmac.New(sha256.New, k.Secret)
	h.Write([]byte(strings.Join([]string{version, method, expires, query, path}, "\n")))
	return h.Sum(nil)
}

// Keys are those whose signatures are good.
type Keys struct{ byID map[string]Key }

// NewKeys returns keys, of which there must be one at least, each with an ID of its own.
func NewKeys(keys ...Key) (*Keys, error) {
	if len(keys) == 0 {
		return nil, errors.New("no keys to check signatures with: want one at least")
	}
	all := &Keys{byID: map[string]Key{}}
	for _, k := range keys {
		if err := k.Validate(); err != nil {
			return nil, err
		}
		if _, twice := all.byID[k.ID]; twice {
			return nil, fmt.Errorf("key %s stands twice: each needs an id of its own", k.ID)
		}
		all.byID[k.ID] = k
	}
	return all, nil
}

// Verify says whether the URL, of which the path and the query count, is signed for the method
// at this time: it returns nil, or ErrUnsigned, ErrWrong or ErrExpired.
func (k *Keys) Verify(method string, u *url.URL, now time.Time) error {
	s, ok := parse(u.RawQuery)
	if !ok {
		return ErrUnsigned
	}
	if method == http.MethodHead {
		method = http.MethodGet
	}
	key, known := k.byID[s.id]
	if !known || !hmac.Equal(s.sum, key.sum(method, s.expires, s.query, u.Path)) {
		return ErrWrong
	}
	// The digits were signed, so they are a number.
	if at, err := strconv.ParseInt(s.expires, 10, 64); err != nil || now.Unix() >= at {
		return ErrExpired
	}
	return nil
}

// signed is a query taken apart.
type signed struct {
	query       string // what comes before the parameters
	id, expires string
	sum         []byte
}

// parse takes the parameters from the end, where nothing may follow them.
func parse(query string) (s signed, ok bool) {
	i := strings.LastIndex(query, keyParam)
	switch {
	case i < 0, i == 1, i > 1 && query[i-1] != '&':
		return s, false
	case i > 0:
		s.query = query[:i-1]
	}
	rest := query[i+len(keyParam):]
	var text string
	var hasExpires, hasSum bool
	s.id, rest, hasExpires = strings.Cut(rest, expiresParam)
	s.expires, text, hasSum = strings.Cut(rest, sumParam)
	if !hasExpires || !hasSum || !isDigits(s.expires) {
		return s, false
	}
	var err error
	s.sum, err = encoding.DecodeString(text)
	return s, err == nil && len(s.sum) == sha256.Size
}

func isDigits(s string) bool {
	return s != "" && len(s) <= maxExpires && strings.Trim(s, "0123456789") == ""
}
