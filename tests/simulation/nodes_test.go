package simulation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/node"
)

// How long nodes that stall are waited for, as by node.Client.
const (
	monitorPatience = 4 * time.Second
	nodePatience    = 2 * time.Second
	copyPatience    = 45 * time.Second
)

// trackerNodes is the storage nodes as one life of a tracker sees them. It says and leaves
// what node.Client would with real ones.
type trackerNodes struct{ t *tracker }

func (n *trackerNodes) cluster() *cluster { return n.t.sim.cluster }

// on is the disk that a question of the monitor is about.
func (n *trackerNodes) on(dev mogile.DevID, base string) *disk {
	d := n.cluster().disks[dev]
	if d == nil || !strings.HasPrefix(base, "http://"+d.on.ip+":") {
		panic(fmt.Sprintf("device %s is not at %s", dev, base))
	}
	return d
}

// Usage is one step for all disks of a host that are asked for at the same time, as the
// monitor does.
func (n *trackerNodes) Usage(ctx context.Context, base string, dev mogile.DevID) (u node.Usage, err error) {
	d := n.on(dev, base)
	x, first := n.t.join(d.on)
	if first {
		x.err = n.t.take(ctx, step{key: "Usage of " + string(d.on.name), single: true, travel: d.on.reach(monitorPatience), effect: func(luck *rand.Rand) error {
			n.t.leave(d.on)
			x.luck = luck.Uint64()
			return nil
		}})
		n.t.leave(d.on)
		close(x.over)
	}
	<-x.over
	if n.t.isDead() { // nothing is decided any more: nobody is to wait for that
		return u, errCrashed
	}
	// What one disk says may condemn its host, and the others with it: which is first must not
	// be chance.
	<-time.After(time.Duration(dev))
	switch luck := rand.New(rand.NewPCG(x.luck, uint64(dev))); {
	case x.err != nil:
		return u, x.err
	case d.broken || n.cluster().mishap(luck):
		return u, errBroken
	}
	return d.usage(), nil
}

func (n *trackerNodes) TestWrite(ctx context.Context, dev mogile.DevID, writeBase, _ string) (rejects string, err error) {
	d := n.on(dev, writeBase)
	err = n.t.take(ctx, step{key: "TestWrite " + dev.String(), single: true, travel: d.on.reach(monitorPatience), effect: func(luck *rand.Rand) error {
		if d.broken || d.full || n.cluster().mishap(luck) {
			return errBroken
		}
		rejects = "0"
		if d.on.checksMD5 {
			rejects = "1"
		}
		return nil
	}})
	return rejects, err
}

// MakeDirs has no effect that anybody could see.
func (n *trackerNodes) MakeDirs(context.Context, mogile.DevID, string, mogile.FID) {}

// Copy is two steps: the source answers, and the destination has got all it gets.
func (n *trackerNodes) Copy(ctx context.Context, args node.CopyArgs) (mogile.Checksum, error) {
	from, fid := n.cluster().at(args.From)
	to, _ := n.cluster().at(args.To)
	way := fmt.Sprintf("fid%s %s>%s", fid, from.dev, to.dev)
	var body []byte
	var whole bool
	err := n.t.take(ctx, step{key: "copy-get " + way, travel: from.on.reach(copyPatience), effect: func(luck *rand.Rand) (err error) {
		var length int
		n.t.sim.meddle(luck, fid)
		body, length, whole, err = n.cluster().get(luck, from, fid)
		if err == nil && int64(length) != args.Length {
			err = fmt.Errorf("got length %d; want %d", length, args.Length)
		}
		if whole {
			n.t.looksAt(from, fid, err)
		}
		return err
	}})
	if err != nil {
		return mogile.Checksum{}, blame(ctx, node.ErrSource, err)
	}
	if !args.Want.IsZero() {
		args.Hash = args.Want.Type
	}
	passed := digest(args.Hash, body)
	wrong := whole && !args.Want.IsZero() && !passed.Equal(args.Want)
	var left bool
	err = n.t.take(ctx, step{key: "copy-put " + way, fatal: true, travel: to.on.reach(copyPatience), effect: func(luck *rand.Rand) (err error) {
		if wrong && to.on.checksMD5 && args.Want.Type == mogile.HashMD5 {
			return errors.New("400 Content-MD5 does not fit")
		}
		left, err = n.cluster().put(luck, to, fid, body, whole)
		n.t.sim.putBy(n.t, place{fid, to.dev})
		n.t.looksAt(to, fid, err)
		if wrong {
			n.cluster().unclean[place{fid, to.dev}] = "a copy of a rotten one"
		}
		return err
	}})
	switch {
	case errors.Is(err, errCrashed):
		return mogile.Checksum{}, err
	case ctx.Err() != nil:
		return mogile.Checksum{}, fmt.Errorf("copy: %w; %w", context.Cause(ctx), node.ErrLeftover)
	case !whole || wrong:
		return mogile.Checksum{}, fmt.Errorf("copy: %w; %w", node.ErrSource, node.ErrLeftover)
	case err != nil && left:
		return mogile.Checksum{}, fmt.Errorf("copy: %w: %w; %w", node.ErrDestination, err, node.ErrLeftover)
	case err != nil:
		return mogile.Checksum{}, fmt.Errorf("copy: %w: %w", node.ErrDestination, err)
	}
	return passed, nil
}

// blame is the error for a node's fault, unless it was nobody's.
func blame(ctx context.Context, who, err error) error {
	if errors.Is(err, errCrashed) || ctx.Err() != nil {
		return fmt.Errorf("copy: %w", err)
	}
	return fmt.Errorf("copy: %w: %w", who, err)
}

func digest(t mogile.HashType, body []byte) mogile.Checksum {
	h := t.New()
	if h == nil {
		return mogile.Checksum{}
	}
	h.Write(body)
	return mogile.Checksum{Type: t, Sum: h.Sum(nil)}
}

func (n *trackerNodes) DigestForFsck(ctx context.Context, url string, t mogile.HashType) (mogile.Checksum, error) {
	return n.Digest(ctx, url, t)
}

func (n *trackerNodes) Digest(ctx context.Context, url string, t mogile.HashType) (sum mogile.Checksum, err error) {
	d, fid := n.cluster().at(url)
	err = n.t.take(ctx, step{key: named("Digest", []any{fid, d.dev}), travel: d.on.reach(nodePatience), effect: func(luck *rand.Rand) error {
		body, _, whole, err := n.cluster().get(luck, d, fid)
		if err == nil && !whole {
			err = errReset
		}
		n.t.looksAt(d, fid, err)
		sum = digest(t, body)
		return err
	}})
	if err != nil {
		return mogile.Checksum{}, fmt.Errorf("digest: %w", err)
	}
	return sum, nil
}

func (n *trackerNodes) Size(ctx context.Context, url string) (size int64, found bool, err error) {
	d, fid := n.cluster().at(url)
	err = n.t.take(ctx, step{key: named("Size", []any{fid, d.dev}), travel: d.on.reach(nodePatience), effect: func(luck *rand.Rand) error {
		if d.broken || n.cluster().mishap(luck) {
			n.t.looksAt(d, fid, errBroken)
			return errBroken
		}
		n.t.sim.meddle(luck, fid)
		n.t.looksAt(d, fid, nil)
		var body []byte
		body, found = d.files[fid]
		size = int64(len(body))
		return nil
	}})
	if err != nil {
		return 0, false, fmt.Errorf("size: %w", err)
	}
	return size, found, nil
}

func (n *trackerNodes) Delete(ctx context.Context, url string) error {
	d, fid := n.cluster().at(url)
	err := n.t.take(ctx, step{key: named("node-delete", []any{fid, d.dev}), fatal: true, travel: d.on.reach(nodePatience), effect: func(luck *rand.Rand) error {
		n.t.sim.isSpare(n.t, fid, d)
		return n.cluster().erase(luck, d, fid)
	}})
	if err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	return nil
}
