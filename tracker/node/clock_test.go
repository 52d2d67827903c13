package node_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mogilefs/caddy-mogilefs/tracker/node"
)

// slowBody takes 30 seconds for each read, and ends with its request.
type slowBody struct {
	ctx  context.Context
	from io.Reader
}

func (b slowBody) Read(p []byte) (int, error) {
	<-after(30 * time.Second)
	if b.ctx.Err() != nil {
		return 0, context.Cause(b.ctx)
	}
	return b.from.Read(p)
}

func (b slowBody) Close() error { return nil }

// Each node may take 45 seconds for each of its own turns, whatever the other takes.
func TestCopyClocksRunOnlyForWhoseTurnItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := node.New(node.Config{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodGet {
				content := slowBody{r.Context(), strings.NewReader("hello")}
				return &http.Response{StatusCode: http.StatusOK, ContentLength: 5, Body: content, Request: r}, nil
			}
			<-after(30 * time.Second)
			httptrace.ContextClientTrace(r.Context()).GotConn(httptrace.GotConnInfo{})
			<-after(30 * time.Second)
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				return nil, err
			}
			<-after(30 * time.Second)
			if r.Context().Err() != nil {
				return nil, context.Cause(r.Context())
			}
			return &http.Response{StatusCode: http.StatusCreated, Body: http.NoBody, Request: r}, nil
		})})
		sum, err := c.Copy(t.Context(), node.CopyArgs{From: "http://a", To: "http://b", Length: 5, Hash: md5Type})
		if err != nil || !sum.Equal(md5Of("hello")) {
			t.Errorf("got %v, %v; want %v", sum, err, md5Of("hello"))
		}
	})
}

// drip is a body that sends a byte a second, for ever.
type drip struct{ ctx context.Context }

func (d drip) Read(p []byte) (int, error) {
	select {
	case <-after(time.Second):
		p[0] = '\n'
		return 1, nil
	case <-d.ctx.Done():
		return 0, d.ctx.Err()
	}
}

func (d drip) Close() error { return nil }

// One such node must not hold up the monitor's round.
func TestAUsageFileThatDripsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := node.New(node.Config{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Body: drip{r.Context()}, Request: r}, nil
		})})
		begin := time.Now()
		_, err := c.Usage(t.Context(), "http://node", 1)
		if took := time.Since(begin); took > 4*time.Second || !errors.Is(err, node.ErrTimeout) {
			t.Errorf("got %v after %v; want %v after 4s", err, took, node.ErrTimeout)
		}
	})
}
