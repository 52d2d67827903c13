package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/tracker/client"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

func TestOneConnectionServesOneRequestAfterTheOther(t *testing.T) {
	f := newFake(t)
	c := newClient(t, addrs(f))
	for range 50 {
		if _, err := c.Do(t.Context(), "noop", protocol.Pairs{}); err != nil {
			t.Fatal(err)
		}
	}
	if got := f.connected(); got != 1 {
		t.Errorf("got %d connections; want 1", got)
	}
}

// echo answers with what was asked, so that answers to others' questions show.
func echo(conn net.Conn, line string) bool {
	_, args, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
	_, err := fmt.Fprintf(conn, "OK %s\r\n", args)
	return err == nil
}

func TestConnectionsAreBoundedAndNobodyGetsAnothersAnswer(t *testing.T) {
	const most, idle, askers, rounds = 4, 2, 32, 50
	f := newFake(t)
	var now, peak atomic.Int64
	f.on("get_hosts", func(conn net.Conn, line string) bool {
		if n := now.Add(1); n > peak.Load() {
			peak.Store(n)
		}
		defer now.Add(-1)
		return echo(conn, line)
	})
	c := newClient(t, addrs(f), func(c *client.Config) { c.MaxOpen, c.MaxIdle = most, idle })
	var asking sync.WaitGroup
	for i := range askers {
		asking.Go(func() {
			for j := range rounds {
				want := fmt.Sprintf("%d of %d", j, i)
				var args protocol.Pairs
				args.Add("n", want)
				got, err := c.Do(t.Context(), "get_hosts", args)
				if err != nil || got["n"] != want {
					t.Errorf("got %v, %v; want %s", got, err, want)
				}
			}
		})
	}
	asking.Wait()
	if got := peak.Load(); got > most {
		t.Errorf("got %d requests at a time; want at most %d", got, most)
	}
	eventually(t, "no more than the idle connections", func() bool { return f.open() <= idle })
}

func TestWhoFindsAllConnectionsBusyGoesToTheNextTracker(t *testing.T) {
	busy, free := newFake(t), newFake(t)
	busy.on("sleep", busy.silence)
	c := newClient(t, addrs(busy, free), func(c *client.Config) { c.MaxOpen, c.Timeout = 1, 50*time.Millisecond })
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan struct{})
	go func() {
		defer close(left)
		_, _ = c.Do(ctx, "sleep", protocol.Pairs{})
	}()
	eventually(t, "request", func() bool { return len(busy.lines("sleep")) == 1 })
	if _, err := c.Do(t.Context(), "delete", protocol.Pairs{}); err != nil || len(free.lines("delete")) != 1 {
		t.Errorf("got %v, and the free tracker heard %q; want it asked", err, free.lines(""))
	}
	cancel()
	<-left
	// Being busy is no illness.
	if _, err := c.Do(t.Context(), "delete", protocol.Pairs{}); err != nil || len(busy.lines("delete")) != 1 {
		t.Errorf("got %v, and the first tracker heard %q; want it asked", err, busy.lines(""))
	}
}

// An answer that comes too late must not be taken for the next one's.
func TestAConnectionWhoseAnswerWasNotWaitedForIsNotUsedAgain(t *testing.T) {
	f := newFake(t)
	asked := make(chan struct{})
	f.on("get_hosts", func(conn net.Conn, _ string) bool {
		<-asked
		return say("OK late=1")(conn, "")
	}, echo)
	c := newClient(t, addrs(f), impatient)
	if _, err := c.Do(t.Context(), "get_hosts", protocol.Pairs{}); !errors.Is(err, client.ErrUnreachable) {
		t.Fatalf("got %v; want %v", err, client.ErrUnreachable)
	}
	close(asked)
	got, err := c.Do(t.Context(), "get_hosts", protocol.Pairs{})
	if err != nil || got["late"] != "" {
		t.Errorf("got %v, %v; want the answer to this request", got, err)
	}
}

func TestAConnectionThatSaysMoreThanItWasAskedIsNotUsedAgain(t *testing.T) {
	f := newFake(t)
	f.on("get_hosts", say("OK a=1", "OK b=2"), say("OK c=3"))
	c := newClient(t, addrs(f))
	for _, want := range []string{"a", "c"} {
		got, err := c.Do(t.Context(), "get_hosts", protocol.Pairs{})
		if err != nil || got[want] == "" {
			t.Errorf("got %v, %v; want %s", got, err, want)
		}
	}
	if got := f.connected(); got != 2 {
		t.Errorf("got %d connections; want 2", got)
	}
}

func TestCloseLetsRequestsUnderWayEnd(t *testing.T) {
	f := newFake(t)
	proceed := make(chan struct{})
	f.on("create_close", func(conn net.Conn, _ string) bool {
		<-proceed
		return say("OK ")(conn, "")
	})
	c := newClient(t, addrs(f))
	answered := make(chan error, 1)
	go func() {
		_, err := c.Do(context.Background(), "create_close", protocol.Pairs{})
		answered <- err
	}()
	eventually(t, "request", func() bool { return len(f.lines("create_close")) == 1 })
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	close(proceed)
	if err := <-answered; err != nil {
		t.Errorf("got %v; want the answer", err)
	}
	eventually(t, "end of all connections", func() bool { return f.open() == 0 })
}

func TestATrackerThatRestartsIsFoundAgain(t *testing.T) {
	f := newFake(t)
	c := newClient(t, addrs(f))
	for range 3 {
		if _, err := c.Do(t.Context(), "get_hosts", protocol.Pairs{}); err != nil {
			t.Fatal(err)
		}
		f.stop()
		if _, err := c.Do(t.Context(), "delete", protocol.Pairs{}); !errors.Is(err, client.ErrUnreachable) {
			t.Errorf("while it is down: got %v; want %v", err, client.ErrUnreachable)
		}
		f.restart()
	}
}
