package reload

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

// traffic is clients that upload and download without a pause.
type traffic struct {
	cluster  *process.Cluster
	done     chan struct{}
	group    errgroup.Group
	repeated atomic.Int64
}

func start(c *process.Cluster) *traffic {
	tr := &traffic{cluster: c, done: make(chan struct{})}
	for u := range uploaders {
		tr.group.Go(func() error { return tr.uploadAndCompare(u) })
	}
	for range loaders {
		tr.group.Go(func() error {
			for tr.goesOn() {
				if err := tr.download("steady"); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return tr
}

// stop waits for the clients, and says how many requests were sent again.
func (tr *traffic) stop() (repeated int, err error) {
	close(tr.done)
	err = tr.group.Wait()
	return int(tr.repeated.Load()), err
}

func (tr *traffic) goesOn() bool {
	select {
	case <-tr.done:
		return false
	default:
		return true
	}
}

// uploadAndCompare uploads while the traffic goes on, and then reads all of it.
func (tr *traffic) uploadAndCompare(uploader int) error {
	name := func(n int) string { return fmt.Sprintf("upload %d of %d", n, uploader) }
	n := 0
	for ; tr.goesOn(); n++ {
		if err := tr.upload(name(n)); err != nil {
			return err
		}
	}
	for i := range n {
		if err := tr.download(name(i)); err != nil {
			return err
		}
	}
	return nil
}

// tries is how often a request is sent before it counts as lost. On a busy machine the
// next connection is another client's idle one, which the server closes as well.
const tries = 10

// exchange sends a request, and again on a new connection when it got no answer at
// all, as RFC 9110 §9.2.2 lets clients do: a server that reloads closes idle
// connections, maybe in the instant in which a client uses one, and the kernel resets
// those that wait to be accepted from the old listener. An answer that began must
// come to its end.
func (tr *traffic) exchange(request func() *http.Request) (process.Reply, error) {
	resp, err := tr.cluster.Send(request())
	for n := 1; err != nil && n < tries; n++ {
		tr.repeated.Add(1)
		tr.cluster.CloseIdle()
		resp, err = tr.cluster.Send(request())
	}
	if err != nil {
		return process.Reply{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return process.Reply{Status: resp.StatusCode, Header: resp.Header, Body: body}, err
}

// body is the content that a key has here: 64 KiB that differ from key to key.
func body(key string) []byte {
	seed := [32]byte{}
	copy(seed[:], key)
	text := make([]byte, 64<<10)
	_, _ = rand.NewChaCha8(seed).Read(text) // never fails
	return text
}

func (tr *traffic) upload(key string) error {
	reply, err := tr.exchange(func() *http.Request {
		return tr.cluster.Request(http.MethodPut, key, bytes.NewReader(body(key)))
	})
	if err != nil {
		return fmt.Errorf("upload %q: %w", key, err)
	}
	if reply.Status != http.StatusCreated {
		return fmt.Errorf("upload %q: got status %d with %.200q; want 201", key, reply.Status, reply.Body)
	}
	return nil
}

func (tr *traffic) download(key string) error {
	reply, err := tr.exchange(func() *http.Request { return tr.cluster.Request(http.MethodGet, key, nil) })
	if err != nil {
		return fmt.Errorf("download %q: %w", key, err)
	}
	if reply.Status != http.StatusOK || !bytes.Equal(reply.Body, body(key)) {
		return fmt.Errorf("download %q: got status %d and %d bytes; want 200 and the upload", key, reply.Status, len(reply.Body))
	}
	return nil
}
