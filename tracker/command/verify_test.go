package command_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/command"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// slowNodes answers for each device after its time, and never when that is 0. A device
// that is not named has no file.
type slowNodes struct {
	*fakes
	answer map[mogile.DevID]time.Duration
	asked  atomic.Int32
}

func (n *slowNodes) Size(ctx context.Context, url string) (int64, bool, error) {
	n.asked.Add(1)
	for dev, after := range n.answer {
		if !strings.Contains(url, fmt.Sprintf("/dev%d/", dev)) {
			continue
		}
		if after == 0 {
			<-ctx.Done()
			return 0, false, context.Cause(ctx)
		}
		select {
		case <-time.After(after):
			return 5, true, nil
		case <-ctx.Done():
			return 0, false, context.Cause(ctx)
		}
	}
	return 0, false, nil
}

const (
	dead     = time.Duration(0)
	quick    = time.Millisecond
	timeout  = 2 * time.Second
	hedge    = 100 * time.Millisecond
	dawdling = 300 * time.Millisecond
)

// paths is the devices of a verified get_paths in their order, and how long it took.
func (c *cluster) paths(nodes command.Nodes) (devs []string, took time.Duration) {
	c.t.Helper()
	c.Commands = command.New(command.Config{
		Store: c.store, Topology: c.fakes.live, Nodes: nodes, Jobs: c.fakes, Rand: func() float64 { return 0 }, Logger: zap.NewNop(),
	})
	begin := time.Now()
	for _, pair := range strings.Split(c.run("get_paths domain=images&key=k&pathcount=9"), "&")[1:] {
		_, path, _ := strings.Cut(pair, "/dev")
		devs = append(devs, strings.Split(path, "/")[0])
	}
	return devs, time.Since(begin)
}

// Devices 1, 2 and 3 have the file, and come in this order.
func TestDeadNodesCostLittle(t *testing.T) {
	for name, tc := range map[string]struct {
		answer map[mogile.DevID]time.Duration
		drain  []mogile.DevID
		want   string
		took   time.Duration
		asked  int32
	}{
		"all well":             {map[mogile.DevID]time.Duration{1: quick, 2: quick, 3: quick}, nil, "[1 2 3]", quick, 1},
		"the first has it not": {map[mogile.DevID]time.Duration{2: quick, 3: quick}, nil, "[2 3]", quick, 2},
		"none has it":          {nil, nil, "[]", 0, 3},
		"the first is dead":    {map[mogile.DevID]time.Duration{1: dead, 2: quick, 3: quick}, nil, "[2 3 1]", hedge + quick, 2},
		"two are dead":         {map[mogile.DevID]time.Duration{1: dead, 2: dead, 3: quick}, nil, "[3 1 2]", 2*hedge + quick, 3},
		"all are dead":         {map[mogile.DevID]time.Duration{1: dead, 2: dead, 3: dead}, nil, "[]", timeout, 3},
		"the first dawdles":    {map[mogile.DevID]time.Duration{1: dawdling, 2: dead, 3: dead}, nil, "[1 2 3]", dawdling, 3},
		"dead, then not there": {map[mogile.DevID]time.Duration{1: dead, 3: quick}, nil, "[3 1]", hedge + quick, 3},
		"the last draining":    {map[mogile.DevID]time.Duration{1: dead, 2: dead, 3: quick}, []mogile.DevID{3}, "[3]", timeout, 3},
		"the first draining":   {map[mogile.DevID]time.Duration{1: quick, 2: dead, 3: quick}, []mogile.DevID{1}, "[3 2 1]", hedge + 2*quick, 3},
		"all draining":         {map[mogile.DevID]time.Duration{1: quick, 3: quick}, []mogile.DevID{1, 2, 3}, "[1 3]", 2 * quick, 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t, nil)
				c.copyTo(c.upload("k"), 2, 3)
				for _, dev := range tc.drain {
					c.setState(dev, mogile.DevDrain)
				}
				nodes := &slowNodes{fakes: c.fakes, answer: tc.answer}
				devs, took := c.paths(nodes)
				if fmt.Sprint(devs) != tc.want || took != tc.took || nodes.asked.Load() != tc.asked {
					t.Errorf("got devices %v after %v, %d asked; want %s after %v, %d asked",
						devs, took, nodes.asked.Load(), tc.want, tc.took, tc.asked)
				}
			})
		})
	}
}

// Verification never takes longer than a node may, however many there are.
func TestManyDeadNodesTakeNoLongerThanOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, nil)
		fid := c.upload("k")
		nodes := &slowNodes{fakes: c.fakes, answer: map[mogile.DevID]time.Duration{1: dead}}
		for dev := mogile.DevID(2); dev <= 50; dev++ {
			if dev > 3 {
				must(t, c.store.CreateDevice(t.Context(), mogile.Device{ID: dev, Host: 1, State: mogile.DevAlive}))
				c.fakes.live.Observe(topology.Observations{
					Devices: map[mogile.DevID]topology.DeviceSeen{dev: {State: topology.SeenWriteable}},
				})
			}
			c.copyTo(fid, dev)
			nodes.answer[dev] = dead
		}
		must(t, c.fakes.live.Reload(t.Context()))
		if devs, took := c.paths(nodes); len(devs) != 0 || took != timeout || nodes.asked.Load() > 21 {
			t.Errorf("got devices %v after %v, %d asked; want none after %v, about 20 asked", devs, took, nodes.asked.Load(), timeout)
		}
	})
}

func TestATrackerThatEndsDoesNotAnswerWithNoPaths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, nil)
		c.upload("k")
		nodes := &slowNodes{fakes: c.fakes, answer: map[mogile.DevID]time.Duration{1: dead}}
		c.Commands = command.New(command.Config{
			Store: c.store, Topology: c.fakes.live, Nodes: nodes, Jobs: c.fakes, Logger: zap.NewNop(),
		})
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errors.New("over")) })
		c.runsIn(ctx, "get_paths domain=images&key=k", "ERR failure Operation+failed")
	})
}

func TestSleepEndsWithTheTracker(t *testing.T) {
	for line, want := range map[string]time.Duration{
		"sleep": 10 * time.Second, "sleep duration=0": 10 * time.Second, "sleep duration=3": 3 * time.Second,
		"sleep duration=86400": 30 * time.Second, "sleep duration=-1": 0, "sleep duration=abc": 0,
	} {
		synctest.Test(t, func(t *testing.T) {
			c := newCluster(t, nil)
			begin := time.Now()
			c.runs(line, "OK ")
			if took := time.Since(begin); took != want {
				t.Errorf("%s: took %v; want %v", line, took, want)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		c.runsIn(ctx, "sleep duration=20", "ERR failure Operation+failed")
		if took := time.Since(begin); took != time.Second {
			t.Errorf("took %v; want %v", took, time.Second)
		}
	})
}
