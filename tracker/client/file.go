package client

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

// Zone says which of a host's addresses are to stand in URLs. A tracker that
// sees the client itself inside a host's altmask names that host's other address
// anyway (docs/spec/tracker-protocol.md §5.3).
type Zone string

// The zones that trackers know.
const (
	MainZone Zone = ""
	AltZone  Zone = "alt"
)

const (
	// allPaths is more copies than a file has, so that get_paths names all.
	allPaths = 99
	// locateTries is how often a key is looked up that changes while it is.
	locateTries = 3
)

// errMoved: the key got another content between two answers about it.
var errMoved = errors.New("the key keeps changing")

// Locate finds a key's content and its copies, in the tracker's order. A key without
// a readable copy has at most one, which is not readable, or none.
func (c *Client) Locate(ctx context.Context, domain mogile.DomainName, key mogile.Key, zone Zone) (mogile.Location, error) {
	loc, err := c.locate(ctx, domain, key, zone, false)
	for try := 1; errors.Is(err, errMoved) && try < locateTries; try++ {
		// An old tracker may have the paths from a memcache that is behind. The
		// verified answer passes that by, and renews it.
		loc, err = c.locate(ctx, domain, key, zone, true)
	}
	if err != nil {
		return mogile.Location{}, err
	}
	return loc, nil
}

// LocateFID is Locate of whatever key of the domain has the fid. It asks for the key first:
// no answer has a fid's copies as readers are to try them.
func (c *Client) LocateFID(ctx context.Context, domain mogile.DomainName, fid mogile.FID, zone Zone) (mogile.Location, error) {
	if fid == 0 {
		return mogile.Location{}, protocol.Fail(protocol.UnknownKey)
	}
	var args protocol.Pairs
	args.Add("from", (fid - 1).String()) // those after it
	args.AddInt("to", 1)                 // so many
	v, err := c.Do(ctx, "list_fids", args)
	if err != nil {
		return mogile.Location{}, err
	}
	if v["fid_1_fid"] != fid.String() || v["fid_1_domain"] != string(domain) {
		return mogile.Location{}, protocol.Fail(protocol.UnknownKey)
	}
	loc, err := c.Locate(ctx, domain, mogile.Key(v["fid_1_key"]), zone)
	if err == nil && loc.FID != fid { // overwritten since
		return mogile.Location{}, protocol.Fail(protocol.UnknownKey)
	}
	return loc, err
}

// locate asks for paths and for what else there is to know of the file in one piece,
// as neither answer has it all.
func (c *Client) locate(ctx context.Context, domain mogile.DomainName, key mogile.Key, zone Zone, verify bool) (mogile.Location, error) {
	args := fileArgs(domain, key)
	info := protocol.AppendRequest(nil, "file_info", args)
	addZone(&args, zone)
	args.AddInt("pathcount", allPaths)
	q := question{count: 2, repeatable: true, patience: c.config.patience("get_paths")}
	if !verify {
		args.AddInt("noverify", 1)
		q.patience = c.config.Timeout
	}
	q.lines = append(protocol.AppendRequest(nil, "get_paths", args), info...)
	replies, err := c.ask(ctx, q)
	if err != nil {
		return mogile.Location{}, fmt.Errorf("get_paths: %w", err)
	}
	for _, r := range replies {
		if r.refused != nil {
			return mogile.Location{}, r.refused
		}
	}
	found, err := parseInfo(replies[1].values)
	if err != nil {
		return mogile.Location{}, err
	}
	copies, err := parsePaths(replies[0].values, found.FID)
	return mogile.Location{FID: found.FID, Length: found.Length, Checksum: found.Checksum, Copies: copies}, err
}

func parsePaths(v protocol.Values, fid mogile.FID) ([]mogile.Copy, error) {
	n, err := number(v, "paths")
	if err != nil {
		return nil, fmt.Errorf("get_paths: %w", err)
	}
	copies := make([]mogile.Copy, 0, min(n, allPaths))
	for i := int64(1); i <= n; i++ {
		at, of, err := parseURL(v["path"+strconv.FormatInt(i, 10)])
		switch {
		case err != nil:
			return nil, fmt.Errorf("get_paths: path %d of %d: %w", i, n, err)
		case of != fid:
			return nil, fmt.Errorf("fid %d has the paths of fid %d: %w", fid, of, errMoved)
		}
		copies = append(copies, at)
	}
	return copies, nil
}

// parseURL reads http://ip:port/dev<devid>/…/<fid>.fid.
func parseURL(url string) (mogile.Copy, mogile.FID, error) {
	rest, ok := strings.CutPrefix(url, "http://")
	slash := strings.IndexByte(rest, '/')
	if !ok || slash <= 0 {
		return mogile.Copy{}, 0, fmt.Errorf("url %q: want http://ip:port/dev…", url)
	}
	dev, fid, err := mogile.ParsePath(rest[slash:])
	if err != nil {
		return mogile.Copy{}, 0, fmt.Errorf("url of a copy: %w", err)
	}
	return mogile.Copy{Dev: dev, URL: url}, fid, nil
}

// Info is what a tracker knows of a file beside its copies.
type Info struct {
	FID    mogile.FID
	Length int64
	// Class may be empty: that of a file whose class is gone.
	Class mogile.ClassName
	// DevCount is how many copies were recorded last.
	DevCount int
	// Checksum is zero when the class keeps none, or when it is missing.
	Checksum mogile.Checksum
}

// Info finds out about a file.
func (c *Client) Info(ctx context.Context, domain mogile.DomainName, key mogile.Key) (Info, error) {
	values, err := c.Do(ctx, "file_info", fileArgs(domain, key))
	if err != nil {
		return Info{}, err
	}
	return parseInfo(values)
}

func parseInfo(v protocol.Values) (Info, error) {
	info := Info{Class: mogile.ClassName(v["class"])}
	var err error
	if info.FID, err = mogile.ParseFID(v["fid"]); err != nil {
		return Info{}, fmt.Errorf("file_info: %w", err)
	}
	if info.Length, err = number(v, "length"); err != nil {
		return Info{}, fmt.Errorf("file_info: %w", err)
	}
	info.DevCount = int(protocol.Num(v["devcount"]))
	if sum, err := mogile.ParseChecksum(v["checksum"]); err == nil {
		info.Checksum = sum // otherwise there is none, or the word MISSING
	}
	return info, nil
}

// Delete removes a key.
//
// Order: 1 delete; 2 when the answer was lost, delete again: then unknown_key is a
// success, because it was the first one's doing or somebody else's. A content that the
// key was given between the two goes with it, as if the delete had come after.
func (c *Client) Delete(ctx context.Context, domain mogile.DomainName, key mogile.Key) error {
	_, err := c.Do(ctx, "delete", fileArgs(domain, key))
	if !inDoubt(err) {
		return err
	}
	_, again := c.Do(ctx, "delete", fileArgs(domain, key))
	switch {
	case errors.Is(again, protocol.UnknownKey):
		return nil
	case errors.Is(again, ErrUnreachable):
		return err // of the two, it says that something may have happened
	}
	return again
}

// CheckFile has fsck look at a file soon, because somebody found one of its copies missing
// or wrong. Trackers that are not ours don't know the command: protocol.UnknownCommand, and
// nothing has happened.
func (c *Client) CheckFile(ctx context.Context, fid mogile.FID) error {
	var args protocol.Pairs
	args.Add("fid", fid.String())
	_, err := c.Do(ctx, "fsck_file", args)
	return err
}

// Rename gives a file another key, which must be free.
//
// Order: 1 look which fid it is; 2 rename; 3 when the answer was lost, look at both
// keys: the fid under the new one is success; under the old one nothing has happened yet,
// so rename again; elsewhere nobody knows.
func (c *Client) Rename(ctx context.Context, domain mogile.DomainName, from, to mogile.Key) error {
	info, err := c.Info(ctx, domain, from)
	if err != nil {
		return err
	}
	err = c.rename(ctx, domain, from, to)
	switch {
	case !inDoubt(err):
		return err
	case c.has(ctx, domain, to, info.FID):
		return nil
	case !c.has(ctx, domain, from, info.FID):
		return err
	}
	again := c.rename(ctx, domain, from, to)
	if again != nil && c.has(ctx, domain, to, info.FID) {
		return nil
	}
	return again
}

func (c *Client) rename(ctx context.Context, domain mogile.DomainName, from, to mogile.Key) error {
	var args protocol.Pairs
	args.Add("domain", string(domain))
	args.Add("from_key", string(from))
	args.Add("to_key", string(to))
	_, err := c.Do(ctx, "rename", args)
	return err
}

// has reports whether it is certain that the key has that content.
func (c *Client) has(ctx context.Context, domain mogile.DomainName, key mogile.Key, fid mogile.FID) bool {
	info, err := c.Info(ctx, domain, key)
	return err == nil && info.FID == fid
}

// inDoubt recognises the errors after which a change may have happened: a lost answer,
// and the two that trackers give when something went wrong at any point.
func inDoubt(err error) bool {
	return errors.Is(err, ErrLost) || errors.Is(err, protocol.Failure) || errors.Is(err, protocol.DB)
}

func fileArgs(domain mogile.DomainName, key mogile.Key) protocol.Pairs {
	var args protocol.Pairs
	args.Add("domain", string(domain))
	args.Add("key", string(key))
	return args
}

func addZone(args *protocol.Pairs, zone Zone) {
	if zone != MainZone {
		args.Add("zone", string(zone))
	}
}

// number reads a value that must be a plain number from 0 up.
func number(v protocol.Values, name string) (int64, error) {
	n, err := strconv.ParseInt(v[name], 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%s is %q: want a number", name, v[name])
	}
	return n, nil
}
