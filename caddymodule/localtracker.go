package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/mogilefs/caddy-mogilefs/edge"
	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker"
	"github.com/mogilefs/caddy-mogilefs/tracker/command"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// localTracker is the tracker of this process as the edge sees it.
type localTracker struct {
	shared *shared[*tracker.Tracker]
	// alt asks for the hosts' other addresses; byClient for those only of hosts that
	// have the client's address in their altmask.
	alt, byClient bool
}

var _ edge.Tracker = localTracker{}

// commands waits for the tracker, should the process still be starting.
func (t localTracker) commands(ctx context.Context) (*command.Commands, error) {
	built, err := t.shared.get(ctx)
	if err != nil {
		return nil, err
	}
	return built.Commands(), nil
}

// zone is that of the request whose context it is.
func (t localTracker) zone(ctx context.Context) topology.Zone {
	z := topology.Zone{Alt: t.alt}
	if t.byClient {
		if ip, ok := caddyhttp.GetVar(ctx, caddyhttp.ClientIPVarKey).(string); ok {
			z.Peer, _ = netip.ParseAddr(ip) // an invalid one is in no mask
		}
	}
	return z
}

// Locate asks where the copies of a key are.
func (t localTracker) Locate(ctx context.Context, domain mogile.DomainName, key mogile.Key) (mogile.Location, error) {
	c, err := t.commands(ctx)
	if err != nil {
		return mogile.Location{}, err
	}
	loc, err := c.Locate(ctx, domain, key, t.zone(ctx))
	return loc, asEdgeError(err)
}

// LocateFID asks where the copies of a fid are.
func (t localTracker) LocateFID(ctx context.Context, domain mogile.DomainName, fid mogile.FID) (mogile.Location, error) {
	c, err := t.commands(ctx)
	if err != nil {
		return mogile.Location{}, err
	}
	loc, err := c.LocateFID(ctx, domain, fid, t.zone(ctx))
	return loc, asEdgeError(err)
}

// uploadDestinations is how many devices an upload may fall back on.
const uploadDestinations = 3

// Open begins an upload.
func (t localTracker) Open(ctx context.Context, u edge.Upload) (edge.Opened, error) {
	c, err := t.commands(ctx)
	if err != nil {
		return edge.Opened{}, err
	}
	opened, err := c.Open(ctx, command.OpenArgs{
		Domain: u.Domain, Key: u.Key, Class: u.Class, Size: max(u.Size, 0),
		Destinations: uploadDestinations, Copies: u.Copies, Zone: t.zone(ctx),
		Local: true, // our nodes and disks make directories themselves
	})
	if err != nil {
		return edge.Opened{}, asEdgeError(err)
	}
	return edge.Opened{FID: opened.FID, Hash: opened.Class.Hash, Destinations: opened.Destinations, Copies: u.Copies}, nil
}

// Close makes an upload visible.
func (t localTracker) Close(ctx context.Context, done edge.Closing) error {
	c, err := t.commands(ctx)
	if err != nil {
		return err
	}
	first := done.Copies[0]
	args := command.CloseArgs{
		Domain: done.Domain, Key: done.Key, FID: done.FID,
		Dev: first.Dev, URL: first.URL, Stored: first.Stored,
		Size: done.Size, Checksum: done.Checksum, Zone: t.zone(ctx),
	}
	for _, at := range done.Copies[1:] {
		args.Others = append(args.Others, command.StoredCopy(at))
	}
	return asEdgeError(c.Close(ctx, args))
}

// Abandon gives an upload up.
func (t localTracker) Abandon(ctx context.Context, _ mogile.DomainName, fid mogile.FID, tried ...mogile.Copy) error {
	c, err := t.commands(ctx)
	if err != nil {
		return err
	}
	var devs []mogile.DevID
	for _, at := range tried {
		devs = append(devs, at.Dev)
	}
	return asEdgeError(c.Abandon(ctx, fid, devs...))
}

// Repair has fsck look at a file.
func (t localTracker) Repair(ctx context.Context, fid mogile.FID) error {
	c, err := t.commands(ctx)
	if err != nil {
		return err
	}
	return c.Repair(ctx, fid)
}

// Delete makes a key unknown.
func (t localTracker) Delete(ctx context.Context, domain mogile.DomainName, key mogile.Key) error {
	c, err := t.commands(ctx)
	if err != nil {
		return err
	}
	return asEdgeError(c.Delete(ctx, domain, key))
}

// edgeErrors is what the edge makes of a tracker's answers. What is not here
// means that the tracker can't help at present.
var edgeErrors = map[protocol.Code]error{
	protocol.UnknownKey:  edge.ErrUnknownKey,
	protocol.UnregDomain: edge.ErrUnknownDomain,
	protocol.NoDomain:    edge.ErrUnknownDomain,
	protocol.NoKey:       edge.ErrBadRequest,
	protocol.UnregClass:  edge.ErrBadRequest,
	protocol.NoDevices:   edge.ErrNoDevices,
	// The one command of ours that other trackers don't have is the close of several copies.
	protocol.UnknownCommand: edge.ErrOneCopy,
}

func asEdgeError(err error) error {
	var coded *protocol.Error
	if errors.As(err, &coded) {
		if known, ok := edgeErrors[coded.Code]; ok {
			return fmt.Errorf("%w: %w", known, err)
		}
	}
	return err
}
