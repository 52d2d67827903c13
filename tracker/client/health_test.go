package client_test

import (
	"bufio"
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/mogilefs/caddy-mogilefs/tracker/client"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

// network is trackers in a bubble of synctest: by address, what becomes of a
// connection to them. All of them answer "OK " to everything.
type network struct {
	mu    sync.Mutex // guards the rest
	dials map[string]int
	down  map[string]error // nil: it never answers
}

const (
	first  = "first:7001"
	second = "second:7001"
)

func newNetwork() *network { return &network{dials: map[string]int{}, down: map[string]error{}} }

var errRefused = errors.New("connection refused")

func (n *network) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	n.mu.Lock()
	n.dials[addr]++
	err, down := n.down[addr]
	n.mu.Unlock()
	switch {
	case down && err != nil:
		return nil, err
	case down:
		<-ctx.Done()
		return nil, ctx.Err()
	}
	ours, theirs := net.Pipe()
	go func() {
		defer theirs.Close()
		in := bufio.NewReader(theirs)
		for {
			if _, err := in.ReadString('\n'); err != nil || n.isDown(addr) {
				return
			}
			if _, err := theirs.Write([]byte("OK \r\n")); err != nil {
				return
			}
		}
	}()
	return ours, nil
}

func (n *network) isDown(addr string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, down := n.down[addr]
	return down
}

func (n *network) breakDown(addr string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down[addr] = err
}

func (n *network) repair(addr string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.down, addr)
}

// dialed is how often an address was dialed since it was asked last.
func (n *network) dialed(addr string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	count := n.dials[addr]
	n.dials[addr] = 0
	return count
}

func (n *network) client(t *testing.T, log *zap.Logger) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{Addresses: []string{first, second}, Dial: n.dial, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// ask asks and wants an answer, in no more than the given time.
func ask(t *testing.T, c *client.Client, within time.Duration) {
	t.Helper()
	began := time.Now()
	if _, err := c.Do(t.Context(), "get_hosts", protocol.Pairs{}); err != nil {
		t.Errorf("got %v; want an answer", err)
	}
	if took := time.Since(began); took > within {
		t.Errorf("it took %v; want at most %v", took, within)
	}
}

func TestADeadTrackerCostsOneConnectTimeoutAndNotEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.breakDown(first, nil)
		c := n.client(t, nil)
		defer c.Close()
		ask(t, c, time.Second)
		for range 1000 {
			ask(t, c, 0)
		}
		if got := n.dialed(first); got != 1 {
			t.Errorf("got %d attempts to connect; want 1", got)
		}
	})
}

// The probes that find out whether a tracker is back cost no request anything, and come
// after 1 s, then 2 s, and at last every 15 s.
func TestATrackerThatStaysDeadIsProbedEverMoreRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		core, logs := observer.New(zap.InfoLevel)
		c := n.client(t, zap.New(core))
		defer c.Close()
		n.breakDown(first, errRefused)
		ask(t, c, 0)
		n.dialed(first)
		began := time.Now()
		var at []time.Duration
		for time.Since(began) < time.Minute {
			<-time.After(100 * time.Millisecond)
			ask(t, c, 0)
			synctest.Wait()
			if n.dialed(first) > 0 {
				at = append(at, time.Since(began))
			}
		}
		var gaps []time.Duration
		for i := range at {
			gaps = append(gaps, at[i])
			if i > 0 {
				gaps[i] -= at[i-1]
			}
		}
		want := []time.Duration{1, 2, 4, 8, 15, 15, 15}
		if len(gaps) != len(want) {
			t.Fatalf("got probes at %v; want gaps of %d seconds", at, want)
		}
		for i, gap := range gaps {
			if gap.Round(time.Second) != want[i]*time.Second {
				t.Errorf("got gaps of %v; want %d seconds", gaps, want)
				break
			}
		}

		n.repair(first)
		<-time.After(15 * time.Second)
		ask(t, c, 0) // has it probed
		synctest.Wait()
		n.dialed(second)
		ask(t, c, 0)
		if got := n.dialed(second); got != 0 {
			t.Errorf("got %d connections to the second tracker; want the first asked again", got)
		}
		var said []string
		for _, e := range logs.All() {
			said = append(said, e.Message)
		}
		if len(said) != 2 || said[0] != "tracker is left aside" || said[1] != "tracker is back" {
			t.Errorf("got the log %q; want one line for its going and one for its coming back", said)
		}
	})
}

func TestWhenAllTrackersAreAsideTheFirstThatIsBackIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		c := n.client(t, nil)
		defer c.Close()
		n.breakDown(first, nil)
		n.breakDown(second, errRefused)
		if _, err := c.Do(t.Context(), "delete", protocol.Pairs{}); !errors.Is(err, client.ErrUnreachable) {
			t.Fatalf("got %v; want %v", err, client.ErrUnreachable)
		}
		n.repair(second)
		ask(t, c, 0) // without waiting for the pause, nor for the first
	})
}

// An outage of all trackers brings one attempt to connect at a time, however many ask.
func TestManyWhoAskDuringAnOutageShareTheProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		c := n.client(t, nil)
		defer c.Close()
		n.breakDown(first, nil)
		n.breakDown(second, nil)
		if _, err := c.Do(t.Context(), "noop", protocol.Pairs{}); !errors.Is(err, client.ErrUnreachable) {
			t.Fatalf("got %v; want %v", err, client.ErrUnreachable)
		}
		n.dialed(first)
		n.dialed(second)
		began := time.Now()
		var asking sync.WaitGroup
		for range 500 {
			asking.Go(func() {
				if _, err := c.Do(t.Context(), "noop", protocol.Pairs{}); !errors.Is(err, client.ErrUnreachable) {
					t.Errorf("got %v; want %v", err, client.ErrUnreachable)
				}
			})
		}
		asking.Wait()
		if a, b := n.dialed(first), n.dialed(second); a != 1 || b != 1 {
			t.Errorf("got %d and %d attempts to connect; want 1 each", a, b)
		}
		// Less than a connect timeout: who asks may have something to serve instead.
		if took := time.Since(began); took > 250*time.Millisecond {
			t.Errorf("it took %v; want 250 ms at most", took)
		}
	})
}

func TestOneWhoWaitsForATrackerToBeBackMayLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		c := n.client(t, nil)
		defer c.Close()
		n.breakDown(first, nil)
		n.breakDown(second, nil)
		_, _ = c.Do(t.Context(), "noop", protocol.Pairs{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := c.Do(ctx, "noop", protocol.Pairs{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v; want %v", err, context.DeadlineExceeded)
		}
	})
}

func TestCloseEndsProbesAndRefusesQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		c := n.client(t, nil)
		n.breakDown(first, nil)
		n.breakDown(second, nil)
		_, _ = c.Do(t.Context(), "noop", protocol.Pairs{})
		waiting := make(chan error, 1)
		go func() {
			_, err := c.Do(t.Context(), "noop", protocol.Pairs{})
			waiting <- err
		}()
		synctest.Wait()
		began := time.Now()
		for range 2 {
			if err := c.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		}
		if err := <-waiting; err == nil {
			t.Error("got an answer from nowhere; want an error")
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("closing took %v; want no time", took)
		}
		if _, err := c.Do(t.Context(), "noop", protocol.Pairs{}); !errors.Is(err, client.ErrClosed) {
			t.Errorf("got %v; want %v", err, client.ErrClosed)
		}
		// The bubble ends only when no goroutine is left.
	})
}

// Our own trackers close the connections that are too many for them.
func TestAnOverloadedTrackerIsPassedOver(t *testing.T) {
	full, free := newFake(t), newFake(t)
	full.welcome(func(net.Conn) bool { return false })
	c := newClient(t, addrs(full, free))
	for range 10 {
		if _, err := c.Do(t.Context(), "get_hosts", protocol.Pairs{}); err != nil {
			t.Fatalf("got %v; want the free tracker's answer", err)
		}
	}
	if got := full.connected(); got != 1 {
		t.Errorf("got %d connections to the full tracker; want 1", got)
	}
}

func TestATrackerThatNeverAnswersCostsOneTimeout(t *testing.T) {
	hung, good := newFake(t), newFake(t)
	hung.on("get_hosts", hung.silence)
	hung.on("noop", hung.silence)
	c := newClient(t, addrs(hung, good), impatient)
	for range 10 {
		if _, err := c.Do(t.Context(), "get_hosts", protocol.Pairs{}); err != nil {
			t.Fatalf("got %v; want the other tracker's answer", err)
		}
	}
	if got := len(hung.lines("get_hosts")); got != 1 {
		t.Errorf("got %d requests to the hung tracker; want 1", got)
	}
}
