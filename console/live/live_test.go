package live

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mogilefs/caddy-mogilefs/console"
)

// scene is an installation that a test changes.
type scene struct {
	mu     sync.Mutex // guards all
	down   bool
	waits  int64
	counts int
	costs  time.Duration // of counting
}

func (s *scene) set(change func(*scene)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *scene) Topology(context.Context) (t console.Topology, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return t, errors.New("the tracker is away")
	}
	up := console.Device{ID: 1, Status: "alive", Observed: "writeable"}
	t.Hosts = []console.Host{{ID: 1, Name: "one", Status: "alive", Devices: []console.Device{up}}}
	return t, nil
}

func (s *scene) Queues(context.Context) (q console.Queues, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts++
	q.Replicate.Waiting = s.waits
	if s.costs > 0 {
		<-time.After(s.costs)
	}
	return q, nil
}

func (s *scene) Jobs(context.Context) (console.Jobs, error) { return console.Jobs{}, nil }
func (s *scene) Fsck(context.Context) (console.Fsck, error) { return console.Fsck{}, nil }
func (s *scene) Rebalance(context.Context) (console.Rebalance, error) {
	return console.Rebalance{}, nil
}
func (s *scene) Process() console.Process { return console.Process{Tracker: true} }

// begin watches the scene until the test ends.
func begin(t *testing.T, s *scene) *Live {
	t.Helper()
	l := New(func() Source { return s })
	t.Cleanup(func() { _ = l.Close() })
	l.Start()
	return l
}

// watch is a watcher of a server that streams until ended is closed.
func watch(t *testing.T, l *Live, ended <-chan struct{}) *bufio.Scanner {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := l.Stream(w, r, ended); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(server.Close)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if got := resp.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Fatalf("got %s %s; want a stream", resp.Status, got)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	return lines
}

// await reads until a line of data has all words, and fails when the stream ends before.
func await(t *testing.T, lines *bufio.Scanner, words ...string) {
	t.Helper()
next:
	for lines.Scan() {
		for _, word := range words {
			if !strings.Contains(lines.Text(), word) {
				continue next
			}
		}
		return
	}
	t.Fatalf("the stream ended (%v) before %q", lines.Err(), words)
}

func TestWatchersSeeAProblemComeAndGo(t *testing.T) {
	s := new(scene)
	lines := watch(t, begin(t, s), nil)
	await(t, lines, `"health":"ok"`)
	s.set(func(s *scene) { s.down = true })
	await(t, lines, `"health":"critical"`, "the tracker is away", `"hostname":"one"`)
	s.set(func(s *scene) { s.down = false })
	await(t, lines, `"health":"ok"`, `"past":[{"id":"tracker"`)
}

func TestSamplesComeFirstAndThenOneByOne(t *testing.T) {
	s := &scene{waits: 7}
	l := begin(t, s)
	await(t, watch(t, l, nil), `"replicate":7`)
	l.add(Sample{Time: 1, Delete: 8})
	lines := watch(t, l, nil)
	await(t, lines, `data: [`, `"replicate":7`, `"delete":8`)
	l.add(Sample{Time: 2, Delete: 9})
	await(t, lines, `data: [{"t":2,"replicate":0,"delete":9`)
}

func TestAStreamEndsWithItsConfigAndWithTheProcess(t *testing.T) {
	l, ended := begin(t, new(scene)), make(chan struct{})
	lines := watch(t, l, ended)
	other := watch(t, l, nil)
	await(t, lines, "health")
	close(ended)
	for lines.Scan() {
	}
	await(t, other, "health") // goes on
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for other.Scan() {
	}
	if l.watched() {
		t.Error("somebody watches after the streams have ended; want nobody")
	}
}

func TestWatchersAreBounded(t *testing.T) {
	l := New(func() Source { return nil })
	for range maxWatchers {
		if !l.enter() {
			t.Fatal("got a refusal; want a place")
		}
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	if err := l.Stream(w, r, nil); !errors.Is(err, ErrTooMany) || w.Body.Len() > 0 {
		t.Errorf("got %v and %q; want %v and nothing", err, w.Body, ErrTooMany)
	}
	l.leave()
	if !l.enter() {
		t.Error("got a refusal after one has left; want a place")
	}
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	l := New(func() Source { return nil })
	for i := range 2 * maxSamples {
		l.add(Sample{Time: int64(i)})
	}
	if len(l.samples) != maxSamples || l.samples[0].Time != maxSamples || l.samples[maxSamples-1].Time != 2*maxSamples-1 {
		t.Errorf("got %d samples from %d; want the last %d", len(l.samples), l.samples[0].Time, maxSamples)
	}
	j := journal{since: map[string]Lasting{}}
	at := time.Unix(1_000_000, 0)
	var past []Lasting
	for i := range 2 * maxPast {
		j.enter([]console.Problem{{ID: fmt.Sprint(i)}}, at)
		_, past = j.enter(nil, at.Add(time.Minute))
	}
	if len(past) != maxPast || past[0].ID != fmt.Sprint(2*maxPast-1) || past[0].Until != at.Unix()+60 {
		t.Errorf("got %d that passed, first %+v; want the latest %d", len(past), past[0], maxPast)
	}
	if _, past = j.enter(nil, at.Add(2*keptFor)); len(past) != 0 {
		t.Errorf("got %d that passed long ago; want none", len(past))
	}
}

func TestAQueueGrowsWhenItIsLongerEachTime(t *testing.T) {
	for name, c := range map[string]struct {
		of   func(i int) int64
		want string
	}{
		"grows":        {func(i int) int64 { return int64(i) * 100 }, "replicate"},
		"is short":     {func(i int) int64 { return int64(i) }, ""},
		"shrinks":      {func(i int) int64 { return int64(10_000 - i) }, ""},
		"goes up once": {func(i int) int64 { return int64(5000 + i/59*100) }, ""},
	} {
		l := New(func() Source { return nil })
		for i := range 60 {
			l.add(Sample{Replicate: c.of(i)})
		}
		if got := strings.Join(l.growing(), " "); got != c.want {
			t.Errorf("%s: got %q; want %q", name, got, c.want)
		}
	}
}

// What counting costs the database is a small part of the time, whoever watches.
func TestCountingIsRareWhenItIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scene{costs: 5 * time.Second}
		l := New(func() Source { return s })
		l.watchers = 1
		l.Start()
		<-time.After(10 * time.Minute)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if s.counts < 5 || s.counts > 7 {
			t.Errorf("counted %d times in ten minutes at 5 s each; want about 6", s.counts)
		}
	})
}

func TestNobodyWatchingMeansFewLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(scene)
		l := New(func() Source { return s })
		l.Start()
		<-time.After(10 * time.Minute)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if s.counts < 50 || s.counts > 62 {
			t.Errorf("counted %d times in ten minutes; want about 60", s.counts)
		}
	})
}
