package process

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// requestTimeout bounds one request, large bodies included; a test that hangs must
// not take the whole run's time.
const requestTimeout = 2 * time.Minute

// client is an HTTP client with connections of its own.
type client struct{ *http.Client }

func newClient(t testing.TB) client {
	transport := &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return client{&http.Client{
		Transport: transport, Timeout: requestTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Reply is an answer that was read to its end.
type Reply struct {
	Status int
	Header http.Header
	Body   []byte
}

// Put uploads under a key. It is for the test's goroutine, as it fails the test
// when there is no answer.
func (c *Cluster) Put(key string, body []byte) Reply {
	c.t.Helper()
	return c.must(http.MethodPut, key, body)
}

// Get reads a key, for the test's goroutine.
func (c *Cluster) Get(key string) Reply {
	c.t.Helper()
	return c.must(http.MethodGet, key, nil)
}

// Delete deletes a key, for the test's goroutine.
func (c *Cluster) Delete(key string) Reply {
	c.t.Helper()
	return c.must(http.MethodDelete, key, nil)
}

func (c *Cluster) must(method, key string, body []byte) Reply {
	c.t.Helper()
	resp, err := SendOverReload(c.client.Client, c.Request(method, key, bytes.NewReader(body)))
	if err != nil {
		c.t.Fatalf("%s %q: %v\n%s", method, key, err, c.Tail())
	}
	reply, err := read(resp)
	if err != nil {
		c.t.Fatalf("%s %q: %v\n%s", method, key, err, c.Tail())
	}
	return reply
}

// SendOverReload sends a request, and once more when the connection ends without an
// answer. A reload of Caddy does that to requests that nobody has begun to serve: the
// kernel resets those that wait in the old listener, and the old server closes idle
// connections and those whose request it has only just read. Any goroutine may call it.
func SendOverReload(c *http.Client, req *http.Request) (*http.Response, error) {
	resp, err := c.Do(req)
	if !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		return resp, err
	}
	if req.GetBody != nil {
		if req.Body, err = req.GetBody(); err != nil {
			return nil, err
		}
	}
	return c.Do(req)
}

// Request is a request for a key, to be changed and then handed to [Cluster.Do].
// Any goroutine may ask for one.
func (c *Cluster) Request(method, key string, body io.Reader) *http.Request {
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.URL+escape(key), body)
	if err != nil { // no key and no method of the tests can do that
		panic(fmt.Sprintf("%s %q: %v", method, key, err))
	}
	return req
}

// Do sends a request and reads the answer to its end. Any goroutine may call it;
// the error is that of a connection, or of a body that was cut short.
func (c *Cluster) Do(req *http.Request) (Reply, error) {
	resp, err := c.Send(req)
	if err != nil {
		return Reply{}, err
	}
	return read(resp)
}

func read(resp *http.Response) (Reply, error) {
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return Reply{Status: resp.StatusCode, Header: resp.Header, Body: body}, err
}

// Send sends a request; the caller reads and closes the body. Any goroutine may
// call it.
func (c *Cluster) Send(req *http.Request) (*http.Response, error) { return c.client.Do(req) }

// CloseIdle closes the connections that no request uses, so that the next one opens
// its own. Any goroutine may call it.
func (c *Cluster) CloseIdle() { c.client.CloseIdleConnections() }

// escape writes a key as a path, every byte but the plainest as %XX, so that the
// key arrives as it is whatever is in it.
func escape(key string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_/"
	var b strings.Builder
	for i := range len(key) {
		if strings.IndexByte(plain, key[i]) >= 0 {
			b.WriteByte(key[i])
		} else {
			fmt.Fprintf(&b, "%%%02X", key[i])
		}
	}
	return b.String()
}
