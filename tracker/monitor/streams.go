package monitor

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/node"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

const (
	// streamRetry is how long a host that has no stream is left alone.
	streamRetry = 60 * time.Second
	// streamPause keeps a host that hangs up on us from being dialled all the time.
	streamPause = time.Second
	// loadAge is how long a figure counts: a stream that has broken off says nothing of
	// how busy a disk is now. (The peer keeps the last one for ever.)
	loadAge = 30 * time.Second
)

// Watcher is what Nodes may be, too: then devices' utilisation is known; package node has
// the contract.
type Watcher interface {
	Watch(ctx context.Context, ip string, tell func(loads map[mogile.DevID]string)) error
}

// streams holds one connection to each host that tells how busy its disks are.
type streams struct {
	nodes Watcher // or nil: nothing is known
	log   *zap.Logger

	// Only the monitor's own goroutine touches these.
	ends map[string]context.CancelFunc // by the host's IP
	wg   sync.WaitGroup

	mu    sync.Mutex // guards loads
	loads map[string]loads
}

// loads is the last that a host has told.
type loads struct {
	at   time.Time
	busy map[mogile.DevID]string
}

func newStreams(nodes Nodes, log *zap.Logger) *streams {
	watcher, _ := nodes.(Watcher)
	return &streams{nodes: watcher, log: log, ends: map[string]context.CancelFunc{}, loads: map[string]loads{}}
}

// follow connects to hosts that answered in this round, and lets go of those that are not
// looked at any more. One that does not answer now keeps what it has.
func (s *streams) follow(ctx context.Context, r *round) {
	if s.nodes == nil {
		return
	}
	looked := map[string]bool{}
	for _, d := range r.before.Devices() {
		if !d.Monitored() {
			continue
		}
		looked[d.On.IP] = true
		if _, follows := s.ends[d.On.IP]; r.seen.Hosts[d.Host] && !follows {
			s.begin(ctx, d.On.IP)
		}
	}
	for ip, end := range s.ends {
		if !looked[ip] {
			end()
			delete(s.ends, ip)
			s.forget(ip)
		}
	}
}

func (s *streams) begin(ctx context.Context, ip string) {
	ctx, end := context.WithCancel(ctx)
	s.ends[ip] = end
	s.wg.Go(func() { s.run(ctx, ip) })
}

// close ends all and waits for that.
func (s *streams) close() {
	for _, end := range s.ends {
		end()
	}
	s.wg.Wait()
}

// run reads a host's stream, and again when it breaks off, until ctx is over.
func (s *streams) run(ctx context.Context, ip string) {
	log := s.log.With(zap.String("address", ip))
	for told := false; ; {
		began := time.Now()
		err := s.nodes.Watch(ctx, ip, func(busy map[mogile.DevID]string) { s.note(ctx, ip, busy); told = false })
		pause := streamPause - time.Since(began)
		if errors.Is(err, node.ErrNoStream) {
			pause = streamRetry
			if !told && ctx.Err() == nil { // once; a node may well do without
				log.Info("utilisation of a host's disks is not known", zap.Error(err))
				told = true
			}
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// note keeps a block, unless the host has been let go of meanwhile.
func (s *streams) note(ctx context.Context, ip string, busy map[mogile.DevID]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() == nil {
		s.loads[ip] = loads{time.Now(), busy}
	}
}

func (s *streams) forget(ip string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.loads, ip)
}

// of is what is known of a device: what its own host said, not long ago. Empty means
// nothing.
func (s *streams) of(d topology.Device) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.loads[d.On.IP]
	if time.Since(l.at) > loadAge {
		return ""
	}
	return l.busy[d.ID]
}

// addLoads adds to a round's findings what the streams have said since the last.
func (s *streams) addLoads(r *round) {
	for _, d := range r.before.Devices() {
		seen, looked := r.seen.Devices[d.ID]
		if !looked {
			seen = d.Seen
		}
		if load := s.of(d); load != d.Seen.Utilization || looked {
			seen.Utilization = load
			r.seen.Devices[d.ID] = seen
		}
	}
}
