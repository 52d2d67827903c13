package crowd

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

const (
	idlers = 10_000
	// descriptors is what this process needs, and the other one, which leaves a
	// quarter of its own to others than clients.
	descriptors = 14_000
	// memory bounds the whole process, of which Caddy and the database are a third.
	memory = 300 << 20
	// patience is how long an answer may take while everything else goes on, on a
	// machine that other tests keep busy.
	patience = 5 * time.Second
	// goneWithin bounds how long the process may take to notice that all have gone.
	goneWithin = 30 * time.Second

	pipelined = 1000
	// The lists that nobody reads would take more than the process may.
	listed, lists = 100, 20_000
)

// longKey makes lists long.
func longKey(i int) string { return fmt.Sprintf("%0200d", i) }

func TestACrowdDisturbsNobody(t *testing.T) {
	needDescriptors(t)
	c := process.NewCluster(t, process.ClusterOptions{Binary: process.PlainBinary(t)})
	fill(t, c)
	goroutines, open, before := c.Goroutines(), c.Descriptors(), c.RSS()
	c.ResetPeakRSS()

	idle := gather(t, c)
	each := (c.RSS() - before) / idlers
	t.Logf("%d idle connections take %d bytes each", idlers, each)
	if n := c.Goroutines(); n < idlers {
		t.Errorf("got %d goroutines; want one for each of %d connections", n, idlers)
	}
	deaf := shout(t, c)
	done := make(chan struct{})
	var measured errgroup.Group
	var slowest time.Duration
	measured.Go(func() (err error) {
		slowest, err = ask(c, done)
		return err
	})
	var others errgroup.Group
	others.Go(func() error { return drip(t, c) })
	others.Go(func() error { return pipeline(c) })
	if err := others.Wait(); err != nil {
		t.Error(err)
	}
	close(done)
	if err := measured.Wait(); err != nil {
		t.Error(err)
	}
	t.Logf("the slowest answer took %v, the peak of memory is %d MiB", slowest, c.PeakRSS()>>20)
	if slowest > patience {
		t.Errorf("the slowest answer took %v; want at most %v", slowest, patience)
	}
	if peak := c.PeakRSS(); peak > memory {
		t.Errorf("got a peak of %d bytes of memory; want at most %d", peak, memory)
	}
	wantOK(t, c, idle[idlers/2])

	for _, l := range append(idle, deaf) {
		l.drop()
	}
	// Caddy's own come and go.
	process.Eventually(t, goneWithin, "end of the connections' goroutines", func() bool { return c.Goroutines() <= goroutines+20 })
	process.Eventually(t, goneWithin, "end of the connections' descriptors", func() bool { return c.Descriptors() <= open+20 })
	c.Stop()
}

// needDescriptors is met by most systems' hard limit, to which Go raises its own.
func needDescriptors(t *testing.T) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Max < descriptors {
		t.Fatalf("got a limit of %d open files; want %d: raise the hard limit, as with ulimit -Hn %d", limit.Max, descriptors, descriptors)
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
}

// fill uploads what is to be listed.
func fill(t *testing.T, c *process.Cluster) {
	t.Helper()
	for i := range listed {
		if reply := c.Put(longKey(i), []byte("x")); reply.Status != http.StatusCreated {
			t.Fatalf("PUT: got status %d; want 201", reply.Status)
		}
	}
	c.AwaitSettled(process.CopiedWithin)
}

// gather connects those who ask once and stay.
func gather(t *testing.T, c *process.Cluster) []*line {
	t.Helper()
	all := make([]*line, idlers)
	var group errgroup.Group
	group.SetLimit(64)
	for i := range all {
		group.Go(func() error {
			l, err := dial(c)
			if err != nil {
				return fmt.Errorf("connection %d: %w", i, err)
			}
			all[i] = l
			return l.want("get_paths domain="+process.Domain+"&noverify=1&key="+longKey(i%listed), "OK paths=")
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	return all
}

// shout has a client ask for lists until the process does not listen any more, and
// never read one.
func shout(t *testing.T, c *process.Cluster) *line {
	t.Helper()
	l, err := dial(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.SetWriteDeadline(time.Now().Add(patience / 2)); err != nil {
		t.Fatal(err)
	}
	one := "list_keys domain=" + process.Domain + "&limit=1000\n"
	n, err := l.Write([]byte(strings.Repeat(one, lists)))
	t.Logf("of %d requests for lists, %d were sent (%v)", lists, n/len(one), err)
	if n < 1000*len(one) {
		t.Errorf("got %d requests sent; want thousands", n/len(one))
	}
	return l
}

// ask asks one thing after another until done, and returns how long the slowest took.
func ask(c *process.Cluster, done <-chan struct{}) (slowest time.Duration, err error) {
	l, err := dial(c)
	if err != nil {
		return 0, err
	}
	defer l.Close()
	for i := 0; ; i++ {
		select {
		case <-done:
			return slowest, nil
		default:
		}
		request, answer := "get_paths domain="+process.Domain+"&key="+longKey(i%listed), "OK paths=2&"
		switch i % 3 {
		case 1:
			request, answer = "list_keys domain="+process.Domain, "OK key_count="
		case 2:
			request, answer = "noop", "OK "
		}
		begin := time.Now()
		if err := l.want(request, answer); err != nil {
			return slowest, err
		}
		slowest = max(slowest, time.Since(begin))
	}
}

// drip sends a request a byte a second.
func drip(t *testing.T, c *process.Cluster) error {
	l, err := dial(c)
	if err != nil {
		return err
	}
	defer l.Close()
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for _, b := range []byte("noop\r\n") {
		select {
		case <-second.C:
		case <-t.Context().Done():
			return t.Context().Err()
		}
		if _, err := l.Write([]byte{b}); err != nil {
			return fmt.Errorf("a byte a second: %w", err)
		}
	}
	return l.wantLine("OK ")
}

// pipeline sends many requests at once and wants the answers in order.
func pipeline(c *process.Cluster) error {
	l, err := dial(c)
	if err != nil {
		return err
	}
	defer l.Close()
	var requests strings.Builder
	for i := range pipelined {
		fmt.Fprintf(&requests, "file_info domain=%s&key=%s&callid=%d\r\n", process.Domain, longKey(i%listed), i)
	}
	var sent errgroup.Group
	sent.Go(func() error {
		_, err := l.Write([]byte(requests.String()))
		return err
	})
	for i := range pipelined {
		answer, err := l.read()
		if err != nil || !strings.HasPrefix(answer, "OK ") || !strings.HasSuffix(answer, fmt.Sprintf("&callid=%d\r\n", i)) ||
			!strings.Contains(answer, "&key="+longKey(i%listed)+"&") {
			return fmt.Errorf("pipelined request %d: got %q, %w; want its answer", i, answer, err)
		}
	}
	return sent.Wait()
}

func wantOK(t *testing.T, c *process.Cluster, l *line) {
	t.Helper()
	if err := l.want("noop", "OK "); err != nil {
		t.Errorf("a connection that was idle: %v\n%s", err, c.Tail())
	}
}
