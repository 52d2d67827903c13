package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker"
	"github.com/mogilefs/caddy-mogilefs/tracker/client"
)

// A node that can't be entered in its trackers serves all the same, and tries again:
// soon, as everything may just be starting, and then ever more rarely.
const (
	firstRegisterPause = time.Second
	maxRegisterPause   = time.Minute
)

// registration is a storage node that is to be entered in remote trackers.
type registration struct {
	config client.Config
	entry  client.Entry
	hosts  *knownHosts
}

// registration checks what would be entered. Its own address is needed, because the
// default one leads each tracker to itself.
func (n *StorageNode) registration(ctx caddy.Context, name string, r *refs) (*registration, error) {
	if n.RegisterAt == nil {
		return nil, nil
	}
	if n.defaultAddress {
		return nil, errors.New("register at remote trackers: tell them where they reach the node: address <ip:port>")
	}
	config, err := n.RegisterAt.clientConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("register: %w", err)
	}
	var d tracker.Declaration
	n.declare(name, &d)
	hosts, err := load(r, poolKey{"hosts of a cluster", strings.Join(config.Addresses, " ")}, func() (*knownHosts, error) {
		return new(knownHosts), nil
	})
	if err != nil {
		return nil, err
	}
	return &registration{config: config, hosts: hosts, entry: client.Entry{
		Host: mogile.HostName(name), IP: n.address.Addr().String(), Port: n.address.Port(), GetPort: n.GetPort, Devices: n.config.Devices,
	}}, d.Validate()
}

// start tries in the background until the node is entered, and asks now and then which hosts
// the cluster has. stop ends both, and returns when nothing of them is left.
func (g *registration) start(log *zap.Logger) (stop func(), err error) {
	config := g.config
	config.Logger = log
	c, err := client.New(config)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { g.run(ctx, c, log) })
	running.Go(func() { g.keepHosts(ctx, c, log) })
	return func() {
		cancel()
		running.Wait()
		c.Close()
	}, nil
}

func (g *registration) run(ctx context.Context, c *client.Client, log *zap.Logger) {
	for pause := firstRegisterPause; ; pause = min(2*pause, maxRegisterPause) {
		done, err := c.Enter(ctx, g.entry)
		g.tell(done, log)
		if err == nil || ctx.Err() != nil {
			return
		}
		log.Warn("the trackers don't know this storage node yet", zap.Error(err), zap.Duration("next_try_in", pause))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// tell logs what the trackers know now.
func (g *registration) tell(done client.Entered, log *zap.Logger) {
	if done.Host || len(done.Devices) > 0 {
		log.Info("entered in the trackers", zap.Bool("host", done.Host), zap.Any("devices", done.Devices))
	}
	for _, differs := range done.Differs {
		log.Error("the trackers know this storage node otherwise, and that was left as it is", zap.String("found", differs))
	}
}
