package job_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/job"
	"github.com/mogilefs/caddy-mogilefs/tracker/node"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// idleStore is a database with two devices and empty queues. It counts the claims.
type idleStore struct {
	job.Store
	store.Topology

	mu     sync.Mutex // guards what follows
	claims int
}

func (s *idleStore) LoadTopology(context.Context) (store.Rows, error) {
	return store.Rows{
		Hosts: []mogile.Host{{ID: 1, Name: "one", State: mogile.HostAlive, IP: "10.0.0.1", Port: 7500}},
		Devices: []mogile.Device{
			{ID: 11, Host: 1, State: mogile.DevAlive}, {ID: 12, Host: 1, State: mogile.DevAlive},
		},
	}, nil
}

func (s *idleStore) Claim(context.Context, store.QueueName, int, time.Duration) ([]store.Item, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.claims++
	return nil, nil
}

// claimed is how many claims there were since it was last called.
func (s *idleStore) claimed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.claims = 0 }()
	return s.claims
}

func (s *idleStore) NextDue(context.Context, store.QueueName) (time.Duration, error) {
	return 0, store.ErrNotFound
}

func (s *idleStore) Lock(context.Context, string, time.Duration) (func(), error) {
	return func() {}, nil
}

func (s *idleStore) SweepUploads(context.Context, time.Duration, int) (int, error) { return 0, nil }
func (s *idleStore) SetDeviceUsage(context.Context, []mogile.Device) error         { return nil }

func (s *idleStore) SetDeviceState(context.Context, mogile.DevID, mogile.DevState) error { return nil }

// quickNodes answer in no time; device 12 as told.
type quickNodes struct {
	job.Copier
	job.Deleter
	job.Looker
	twelve error
}

func (n *quickNodes) Usage(_ context.Context, _ string, dev mogile.DevID) (node.Usage, error) {
	if dev == 12 && n.twelve != nil {
		return node.Usage{}, n.twelve
	}
	return node.Usage{TotalKB: 4 << 20, UsedKB: 1 << 20}, nil
}

func (n *quickNodes) TestWrite(context.Context, mogile.DevID, string, string) (string, error) {
	return "1", nil
}

// idle runs a test with jobs that have nothing to do, in a bubble of time.
func idle(t *testing.T, nodes *quickNodes, test func(t *testing.T, s *idleStore)) {
	synctest.Test(t, func(t *testing.T) {
		s := &idleStore{}
		live := topology.New(s, topology.Config{})
		jobs := job.New(job.Config{Store: s, Topology: live, Nodes: nodes, Logger: zap.NewNop()})
		jobs.Start()
		defer jobs.Close()
		test(t, s)
	})
}

// pass lets time go by, and what is due then happen.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestAnIdleQueueIsLookedAtEachFiveSeconds(t *testing.T) {
	idle(t, &quickNodes{}, func(t *testing.T, s *idleStore) {
		synctest.Wait()
		s.claimed()
		pass(time.Minute)
		if n := s.claimed(); n == 0 || n > 4*13 {
			t.Errorf("within an idle minute: got %d claims; want one each 5 seconds and queue", n)
		}
	})
}

// None may decide by the half of the cluster that was seen first.
func TestQueuesAreLeftAloneUntilAllDevicesHadTheirTime(t *testing.T) {
	idle(t, &quickNodes{twelve: errors.New("connection refused")}, func(t *testing.T, s *idleStore) {
		pass(9 * time.Second)
		if n := s.claimed(); n != 0 {
			t.Errorf("got %d claims while a device may still appear; want none", n)
		}
		pass(4 * time.Second)
		if n := s.claimed(); n == 0 {
			t.Error("got no claims 13s after the start; want the queues looked at")
		}
	})
}
