package upload

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// remote is a copy that is being put to a node. The request runs in a goroutine and
// reads from a pipe what Write puts in, so that the client's body is only ever read by
// the handler, however the request ends. Commit and Abort wait for the goroutine.
type remote struct {
	pipe   *io.PipeWriter
	cancel context.CancelCauseFunc
	// watch cancels the request when the node takes nothing for idle, or gives no
	// answer for answer.
	watch        *time.Timer
	idle, answer time.Duration

	running sync.WaitGroup // the request's goroutine, which sets err
	err     error
}

// Why a node does not take a copy.
var (
	// ErrNode: it can't be reached, or hangs up, beside which all else is a device's fault.
	ErrNode = errors.New("node does not answer")
	// ErrNoSpace: the device is full.
	ErrNoSpace = errors.New("no space on device")
)

var errNodeStalled = errors.New("node took nothing in time")

// trailed is a body that fills the trailer in when it ends: in the transport's own
// goroutine, which is the only one that may touch the header then.
type trailed struct {
	io.ReadCloser
	fill func()
}

func (t trailed) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	if err == io.EOF {
		t.fill()
	}
	return n, err
}

// maxNodeBody is more than nodes say about a PUT.
const maxNodeBody = 4 << 10

// errGivenUp is why a request ends whose body turned out unusable.
var errGivenUp = errors.New("upload given up")

// Remote begins the PUT of the body to a node's url. It is given up when the node takes nothing
// for limits.Write, or does not answer for limits.Commit after the end. A length that is known is sent as Content-Length; else
// the body goes in chunks with a Content-MD5 behind it, by which a node can tell
// that it is whole (docs/spec/storage-node.md §2.3). The request does not end with the
// client's: whoever called decides.
func Remote(nodes http.RoundTripper, url string, b *Body, limits Limits) (Copy, error) {
	ctx, cancel := context.WithCancelCause(context.Background())
	out, in := io.Pipe()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, url, out)
	if err != nil {
		cancel(nil)
		return nil, fmt.Errorf("put copy: %w", err)
	}
	w := &remote{pipe: in, cancel: cancel, idle: limits.Write, answer: limits.Commit}
	req.ContentLength = b.Size
	if b.Size == 0 {
		req.Body = http.NoBody
	}
	switch {
	case b.MD5 != nil:
		req.Header.Set("Content-Md5", base64.StdEncoding.EncodeToString(b.MD5))
	case b.Size < 0 && b.SumMD5() != "":
		req.Trailer = http.Header{"Content-Md5": nil}
		req.Body = trailed{out, func() { req.Trailer.Set("Content-Md5", b.SumMD5()) }}
	}
	w.watch = time.AfterFunc(w.idle, func() { cancel(errNodeStalled) })
	w.watch.Stop() // until Write: a client that is slow to begin is not the node's fault
	w.running.Go(func() { w.run(nodes, req, out) })
	return w, nil
}

func (w *remote) run(nodes http.RoundTripper, req *http.Request, out *io.PipeReader) {
	w.err = put(nodes, req)
	if cause := context.Cause(req.Context()); w.err != nil && cause != nil {
		w.err = cause
	}
	// Ends a Write that the node will not take any more.
	out.CloseWithError(io.ErrClosedPipe)
}

func put(nodes http.RoundTripper, req *http.Request) error {
	resp, err := nodes.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("put copy: %w: %w", ErrNode, err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusInsufficientStorage:
		return fmt.Errorf("put copy: %w", ErrNoSpace)
	case resp.StatusCode/100 != 2:
		return fmt.Errorf("put copy: node answers %d", resp.StatusCode)
	}
	// Read to its end, so that the connection can be used again; what goes wrong
	// there changes nothing.
	_, _ = io.CopyN(io.Discard, resp.Body, maxNodeBody)
	return nil
}

// Write waits until the node's connection took p.
func (w *remote) Write(p []byte) (int, error) {
	w.watch.Reset(w.idle)
	n, err := w.pipe.Write(p)
	w.watch.Stop()
	if err != nil {
		w.running.Wait()
		if err = w.err; err == nil {
			err = errors.New("node answered before the body's end")
		}
	}
	return n, err
}

// Commit ends the body and waits for the node to say that it has it.
func (w *remote) Commit() error {
	w.watch.Reset(w.answer)
	w.pipe.Close()
	w.wait()
	return w.err
}

// Abort ends the request before its body is whole.
func (w *remote) Abort() {
	w.cancel(errGivenUp)
	w.pipe.CloseWithError(errGivenUp)
	w.wait()
}

func (w *remote) wait() {
	w.running.Wait()
	w.watch.Stop()
	w.cancel(nil)
}
