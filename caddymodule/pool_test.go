package caddymodule

import (
	"context"
	"errors"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// part counts how often it was opened and closed.
type part struct{ opened, closed int }

func (p *part) Close() error { p.closed++; return nil }

func (p *part) open(context.Context, *zap.Logger) (*part, error) { p.opened++; return p, nil }

func TestASharedPartOutlivesTheConfigThatOpenedIt(t *testing.T) {
	p := new(part)
	key := poolKey{"part", t.Name()}
	var before, after refs
	first := take(t, &before, key, p)
	if _, err := first.start(t.Context(), zap.NewNop(), &before); err != nil {
		t.Fatal(err)
	}
	second := take(t, &after, key, p)
	if _, err := second.start(t.Context(), zap.NewNop(), &after); err != nil {
		t.Fatal(err)
	}
	releaseAll(t, &before)
	if p.opened != 1 || p.closed != 0 {
		t.Errorf("with the old config gone: opened %d, closed %d; want 1, 0", p.opened, p.closed)
	}
	releaseAll(t, &after)
	if p.closed != 1 {
		t.Errorf("with both configs gone: closed %d; want 1", p.closed)
	}
}

func TestAConfigThatNeverStartsOpensNothing(t *testing.T) {
	p := new(part)
	var r refs
	take(t, &r, poolKey{"part", t.Name()}, p)
	releaseAll(t, &r)
	if p.opened != 0 || p.closed != 0 {
		t.Errorf("opened %d, closed %d; want 0, 0", p.opened, p.closed)
	}
}

func TestReleasingTwiceGivesEachReferenceBackOnce(t *testing.T) {
	p := new(part)
	key := poolKey{"part", t.Name()}
	var mine, others refs
	s := take(t, &mine, key, p)
	take(t, &others, key, p)
	if _, err := s.start(t.Context(), zap.NewNop(), &mine); err != nil {
		t.Fatal(err)
	}
	releaseAll(t, &mine)
	releaseAll(t, &mine)
	if p.closed != 0 {
		t.Errorf("closed %d while another config uses it; want 0", p.closed)
	}
	releaseAll(t, &others)
}

func TestAFailedStartIsTriedAgainByTheNextConfig(t *testing.T) {
	broken := errors.New("database is down")
	fails := true
	s := newShared(func(context.Context, *zap.Logger) (*part, error) {
		if fails {
			return nil, broken
		}
		return new(part), nil
	})
	if _, err := s.start(t.Context(), zap.NewNop(), new(refs)); !errors.Is(err, broken) {
		t.Fatalf("first start: got %v; want %v", err, broken)
	}
	fails = false
	if _, err := s.start(t.Context(), zap.NewNop(), new(refs)); err != nil {
		t.Fatalf("second start: got %v; want none", err)
	}
	if _, err := s.get(t.Context()); err != nil {
		t.Errorf("get: got %v; want the part", err)
	}
}

func TestARequestWaitsForAPartThatIsStillOpening(t *testing.T) {
	p := new(part)
	s := newShared(p.open)
	got := make(chan error, 1)
	go func() {
		_, err := s.get(context.Background())
		got <- err
	}()
	if _, err := s.start(t.Context(), zap.NewNop(), new(refs)); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Errorf("get: got %v; want the part", err)
	}
}

func TestARequestThatIsGivenUpStopsWaiting(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := newShared(new(part).open).get(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("get: got %v; want %v", err, context.Canceled)
	}
}

func TestALiveLoggerFollowsTheNewestConfig(t *testing.T) {
	oldCore, oldLogs := observer.New(zapcore.InfoLevel)
	newCore, newLogs := observer.New(zapcore.DebugLevel)
	live := newLiveLogger()
	log := live.Named("job").With(zap.String("node", "n1"))

	live.use(zap.New(oldCore).Named("mogilefs"))
	log.Debug("quiet")
	log.Info("first")
	live.use(zap.New(newCore).Named("mogilefs"))
	log.Debug("second")

	if got := oldLogs.All(); len(got) != 1 || got[0].Message != "first" {
		t.Errorf("old config's log: got %v; want just first", got)
	}
	got := newLogs.All()
	if len(got) != 1 || got[0].Message != "second" {
		t.Fatalf("new config's log: got %v; want just second", got)
	}
	if name, fields := got[0].LoggerName, got[0].ContextMap(); name != "mogilefs.job" || fields["node"] != "n1" {
		t.Errorf("got name %q, fields %v; want mogilefs.job with node n1", name, fields)
	}
}

func TestALiveLoggerGoesBackWhenANewConfigIsGivenUp(t *testing.T) {
	oldCore, oldLogs := observer.New(zapcore.InfoLevel)
	newCore, newLogs := observer.New(zapcore.InfoLevel)
	live := newLiveLogger()
	endOld := live.use(zap.New(oldCore))
	endNew := live.use(zap.New(newCore))
	live.Info("with both")
	endNew()
	live.Info("with the old one")
	endOld()
	live.Info("at the end")
	if got := newLogs.Len(); got != 1 {
		t.Errorf("new config's log: got %d entries; want 1", got)
	}
	if got := oldLogs.Len(); got != 2 {
		t.Errorf("old config's log: got %d entries; want 2", got)
	}
}

func TestARequestKeepsAPartOpenThatNoConfigUses(t *testing.T) {
	p := new(part)
	var r refs
	s := take(t, &r, poolKey{"part", t.Name()}, p)
	if _, err := s.start(t.Context(), zap.NewNop(), &r); err != nil {
		t.Fatal(err)
	}
	s.hold()
	s.hold()
	releaseAll(t, &r)
	for _, want := range []int{0, 1} {
		if err := s.letGo(); err != nil || p.closed != want {
			t.Errorf("after a request: closed %d (%v); want %d", p.closed, err, want)
		}
	}
}

func take(t *testing.T, r *refs, key poolKey, p *part) *shared[*part] {
	t.Helper()
	s, err := load(r, key, func() (*shared[*part], error) { return newShared(p.open), nil })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func releaseAll(t *testing.T, r *refs) {
	t.Helper()
	if err := r.release(); err != nil {
		t.Fatal(err)
	}
}
