package endtoend

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

// answerWithin bounds how long a server may think about nonsense.
const answerWithin = 10 * time.Second

// wantHealth fails unless the process lives, shows exactly the given keys, has their
// copies and nothing else on its disks, and takes and serves another file.
func wantHealth(t *testing.T, c *process.Cluster, keys ...string) {
	t.Helper()
	if !c.Alive() {
		t.Fatalf("got a dead process; want a live one:\n%s", c.Tail())
	}
	wantStatus(t, "PUT of a good file", c.Put("good", []byte("good")), http.StatusCreated)
	got := c.Get("good")
	wantStatus(t, "GET of a good file", got, http.StatusOK)
	wantBody(t, "GET of a good file", got, []byte("good"))
	visible, want := c.Keys(), append(slices.Clone(keys), "good")
	slices.Sort(visible)
	slices.Sort(want)
	if diff := cmp.Diff(want, visible); diff != "" {
		t.Errorf("keys differ from what was uploaded (-want +got):\n%s", diff)
	}
	c.AwaitSettled(process.CopiedWithin)
}

func TestKeysMayHaveEveryByteButNUL(t *testing.T) {
	c := process.NewCluster(t, process.ClusterOptions{})
	keys := []string{strings.Repeat("k", 255), strings.Repeat("é", 255), "a/b/c", "100%", "a&b=c+d", "*[1]?"}
	var all []byte
	for b := 0x01; b <= 0xff; b++ {
		keys = append(keys, "k"+string([]byte{byte(b)})+"k")
		all = append(all, byte(b))
	}
	keys = append(keys, string(all))
	for _, key := range keys {
		wantStatus(t, fmt.Sprintf("PUT %q", key), c.Put(key, []byte("of "+key)), http.StatusCreated)
	}
	for _, key := range keys {
		got := c.Get(key)
		wantStatus(t, fmt.Sprintf("GET %q", key), got, http.StatusOK)
		wantBody(t, fmt.Sprintf("GET %q", key), got, []byte("of "+key))
	}
	wantHealth(t, c, keys...)
}

// As with nginx, a path is normalised before it becomes a key.
func TestSlashesAndDotsOfAPathAreNormalised(t *testing.T) {
	c := process.NewCluster(t, process.ClusterOptions{})
	wantStatus(t, "PUT a//b", askURL(t, c, http.MethodPut, c.URL+"a//b", []byte("ab")), http.StatusCreated)
	for _, path := range []string{"a/b", "a//b", "a/./b", "a/x/../b", "a%2Fb"} {
		got := askURL(t, c, http.MethodGet, c.URL+path, nil)
		wantStatus(t, "GET "+path, got, http.StatusOK)
		wantBody(t, "GET "+path, got, []byte("ab"))
	}
	wantHealth(t, c, "a/b")
}

func TestKeysThatCantBeAreRefused(t *testing.T) {
	c := process.NewCluster(t, process.ClusterOptions{})
	for _, key := range []string{
		"", strings.Repeat("k", 256), strings.Repeat("é", 256), strings.Repeat("\xff", 256),
		"a\x00b", strings.Repeat("k", 5_000),
	} {
		what := fmt.Sprintf("of a key of %d bytes, %.20q", len(key), key)
		wantStatus(t, "PUT "+what, c.Put(key, []byte("x")), http.StatusBadRequest)
		wantStatus(t, "GET "+what, c.Get(key), http.StatusBadRequest)
		wantStatus(t, "DELETE "+what, c.Delete(key), http.StatusBadRequest)
	}
	wantHealth(t, c)
}

func TestDotsLeadNowhere(t *testing.T) {
	c := process.NewCluster(t, process.ClusterOptions{})
	secret := filepath.Join(c.Dir, "data", "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, base := range []string{c.URL, "http://" + c.StorageAddr + "/dev1/", "http://" + c.StorageAddr + "/"} {
		for _, dots := range []string{"../../secret", "..%2f..%2fsecret", "%2e%2e/%2e%2e/secret", "a/../../../secret", "..%5c..%5csecret"} {
			got := askURL(t, c, http.MethodGet, base+dots, nil)
			if bytes.Contains(got.Body, []byte("secret")) {
				t.Errorf("GET %s%s: got the file outside with status %d; want no such file", base, dots, got.Status)
			}
			got = askURL(t, c, http.MethodPut, base+dots, []byte("changed"))
			if got.Status >= http.StatusInternalServerError {
				t.Errorf("PUT %s%s: got status %d; want a refusal", base, dots, got.Status)
			}
			askURL(t, c, http.MethodDelete, base+dots, nil)
		}
	}
	wantFile(t, secret, []byte("secret"))
	wantHealth(t, c, c.Keys()...)
}

// askURL sends a request to an URL whose path goes out as it is written.
func askURL(t *testing.T, c *process.Cluster, method, to string, body []byte) process.Reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, to, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	reply, err := c.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", method, to, err, c.Tail())
	}
	return reply
}

func TestMethodsThatAreNotAllowedAreTold(t *testing.T) {
	c := process.NewCluster(t, process.ClusterOptions{})
	wantStatus(t, "PUT", c.Put("a", []byte("a")), http.StatusCreated)
	for _, method := range []string{"POST", "PATCH", "OPTIONS", "PROPFIND", "MKCOL", "BREW", "TRACE"} {
		got := ask(t, c, method, "a", nil)
		wantStatus(t, method, got, http.StatusMethodNotAllowed)
		allow := strings.Split(got.Header.Get("Allow"), ", ")
		slices.Sort(allow)
		if want := []string{"DELETE", "GET", "HEAD", "PUT"}; !slices.Equal(allow, want) {
			t.Errorf("%s: got Allow %q; want %q", method, allow, want)
		}
	}
	wantHealth(t, c, "a")
}

func TestADomainNobodyDeclaredIsNotFound(t *testing.T) {
	c := process.NewCluster(t, process.ClusterOptions{})
	for _, method := range []string{http.MethodPut, http.MethodGet, http.MethodDelete} {
		got := askURL(t, c, method, c.Site+"/undeclared/a", []byte("a"))
		wantStatus(t, method, got, http.StatusNotFound)
	}
	for _, line := range []string{"create_open domain=undeclared&key=a", "get_paths domain=undeclared&key=a", "delete domain=undeclared&key=a"} {
		if got, want := c.Say(line), "ERR unreg_domain "; !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %q; want %s...", line, got, want)
		}
	}
	wantHealth(t, c)
}

func TestAWrongDigestStoresNothing(t *testing.T) {
	c := process.NewCluster(t, process.ClusterOptions{})
	body := []byte("the body")
	digest := func(b []byte) string {
		sum := md5.Sum(b)
		return base64.StdEncoding.EncodeToString(sum[:])
	}
	for _, test := range []struct {
		digest string
		status int
	}{
		{digest([]byte("another body")), http.StatusBadRequest},
		{"bm90IGFuIE1ENQ==", http.StatusBadRequest},
		{"!", http.StatusBadRequest},
		{digest(body), http.StatusCreated},
	} {
		req := c.Request(http.MethodPut, "checked", bytes.NewReader(body))
		req.Header.Set("Content-MD5", test.digest)
		got, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		wantStatus(t, "PUT with Content-MD5 "+test.digest, got, test.status)
		if test.status != http.StatusCreated {
			wantStatus(t, "GET after a refused PUT", c.Get("checked"), http.StatusNotFound)
		}
	}
	wantHealth(t, c, "checked")
}

func TestABodyThatEndsTooSoonStoresNothing(t *testing.T) {
	c := process.NewCluster(t, process.ClusterOptions{})
	site := strings.TrimPrefix(c.Site, "http://")
	for name, request := range map[string]string{
		"with a length": "PUT /images/cut HTTP/1.1\r\nHost: " + site + "\r\nContent-Length: 100\r\n\r\nten bytes.",
		"in chunks":     "PUT /images/cut HTTP/1.1\r\nHost: " + site + "\r\nTransfer-Encoding: chunked\r\n\r\na\r\nten bytes.\r\n",
		"bad chunk":     "PUT /images/cut HTTP/1.1\r\nHost: " + site + "\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nten bytes.\r\n",
	} {
		got := throw(t, site, []byte(request))
		if bytes.Contains(got, []byte(" 201 ")) || bytes.Contains(got, []byte(" 200 ")) {
			t.Errorf("body cut %s: got %.200q; want no success", name, got)
		}
		wantStatus(t, "GET after a cut PUT", c.Get("cut"), http.StatusNotFound)
	}
	wantHealth(t, c)
}

func TestNonsenseOnAnyPortHarmsNobody(t *testing.T) {
	c := process.NewCluster(t, process.ClusterOptions{})
	rnd := rand.NewChaCha8([32]byte{2})
	noise := make([]byte, 64<<10)
	for _, addr := range []string{c.TrackerAddr, c.StorageAddr, c.ManagementAddr, strings.TrimPrefix(c.Site, "http://")} {
		for range 5 {
			if _, err := rnd.Read(noise); err != nil {
				t.Fatal(err)
			}
			throw(t, addr, noise)
			throw(t, addr, bytes.ReplaceAll(noise, []byte{'e'}, []byte("\r\n")))
		}
		throw(t, addr, nil)
		throw(t, addr, []byte("\r\n\r\n\r\n"))
		throw(t, addr, bytes.Repeat([]byte("a"), 8<<20)) // one line without an end
		throw(t, addr, append(bytes.Repeat([]byte("a"), 8<<20), '\n'))
	}
	wantHealth(t, c)
}

func TestWrongCommandsGetAnErrorEach(t *testing.T) {
	c := process.NewCluster(t, process.ClusterOptions{})
	s := c.Dial()
	defer s.Close()
	for _, line := range []string{
		"nosuchcommand", " ", "create_open", "create_open domain=images&class=nosuch&key=a",
		"create_close domain=images&key=a&fid=1", "create_close domain=images&key=a&fid=x&devid=y&path=z",
		"create_close domain=images&key=a&fid=99&devid=1&path=http://127.0.0.1:1/dev1/0/000/000/0000000099.fid",
		"get_paths domain=images&key=nosuch", "get_paths domain=images", "delete domain=images&key=nosuch",
		"rename domain=images&from_key=nosuch&to_key=a", "list_keys domain=images",
		"create_host host=h", "create_device devid=0&hostname=node1", "set_state host=node1&device=1&state=fine",
		"create_domain domain=", "delete_domain domain=nosuch", "delete_class domain=images&class=default",
		"file_info domain=images&key=" + url.QueryEscape(strings.Repeat("k", 300)),
		"create_open domain=images&key=" + strings.Repeat("k", 20_000),
		"create_open domain=images&key=a%00b",
	} {
		if got := s.Say(line); !strings.HasPrefix(got, "ERR ") {
			t.Errorf("%.100s: got %.200q; want ERR", line, got)
		}
	}
	wantHealth(t, c)
}

// throw sends bytes, half-closes, and returns what comes back until the server
// closes; it fails the test when that takes too long.
func throw(t *testing.T, addr string, data []byte) []byte {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatalf("dial %s: %v", addr, err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(answerWithin)); err != nil {
		t.Fatal(err)
	}
	// The server may close while we send: that is an answer too.
	if _, err := conn.Write(data); err == nil {
		_ = conn.(*net.TCPConn).CloseWrite()
	}
	got, err := io.ReadAll(bufio.NewReader(conn))
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
		t.Errorf("%s: got no end after %.40q (%d bytes) within %v; want an answer or a closed connection", addr, data, len(data), answerWithin)
	}
	return got
}
