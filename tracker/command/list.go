package command

import (
	"context"
	"math"
	"strconv"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

// How much one answer lists at most, and when the client does not say.
const (
	maxKeys     = 1000
	maxFIDs     = 500
	defaultFIDs = 100
)

func (c *Commands) listKeys(ctx context.Context, in *call) error {
	snap := c.topology.Snapshot()
	dom, err := findDomain(snap, in.domain())
	if err != nil {
		return err
	}
	l := listing{prefix: in.Arg("prefix"), exact: protocol.Truthy(snap.Setting("case_sensitive_list_keys"))}
	after := in.Arg("after")
	if protocol.Truthy(after) && !l.has(after) {
		return protocol.Fail(protocol.AfterMismatch)
	}
	if l.limit, err = keyLimit(in.Arg("limit")); err != nil {
		return err
	}
	keys, err := c.keys(ctx, dom.ID, l, mogile.Key(after))
	if err != nil {
		return onFile.fail("list keys", err)
	}
	if len(keys) == 0 {
		return protocol.Fail(protocol.NoneMatch)
	}
	in.out.AddInt("key_count", int64(len(keys)))
	for i, key := range keys {
		in.out.Add(numbered("key_", i), string(key))
	}
	// The last in the database's order, so that whoever pages by it meets every
	// key once. (The peer gives the greatest bytewise.)
	in.out.Add("next_after", string(keys[len(keys)-1]))
	return nil
}

// listing is which keys are wanted, and how many at most.
type listing struct {
	prefix string
	// exact tells letters of either case apart, also where the database does not.
	exact bool
	limit int
}

// has is a literal test. Unless it is to be exact, it does not tell letters of either
// case apart, since there are databases that don't, and a listing must be able to go on
// after any key it has given.
func (l listing) has(key string) bool {
	if l.exact {
		return strings.HasPrefix(key, l.prefix)
	}
	return len(key) >= len(l.prefix) && strings.EqualFold(key[:len(l.prefix)], l.prefix)
}

// keys asks the database for more when it gave keys that only it takes for wanted.
func (c *Commands) keys(ctx context.Context, dm mogile.DomainID, l listing, after mogile.Key) (wanted []mogile.Key, err error) {
	for {
		page, err := c.store.Keys(ctx, dm, mogile.Key(l.prefix), after, l.limit)
		if err != nil || !l.exact {
			return page, err
		}
		for _, key := range page {
			if len(wanted) < l.limit && l.has(string(key)) {
				wanted = append(wanted, key)
			}
		}
		if len(page) == 0 || len(page) < l.limit || len(wanted) == l.limit {
			return wanted, nil
		}
		after = page[len(page)-1]
	}
}

// keyLimit reads a limit as a database would that is handed it unchecked: what is
// no number limits to none, what is no count fails.
func keyLimit(s string) (int, error) {
	if !protocol.Truthy(s) {
		return maxKeys, nil
	}
	n := protocol.Num(s)
	f, err := strconv.ParseFloat(s, 64)
	if n < 0 || err == nil && f != math.Trunc(f) {
		return 0, protocol.Fail(protocol.Failure)
	}
	return int(min(n, maxKeys)), nil
}

func (c *Commands) listFIDs(ctx context.Context, in *call) error {
	snap := c.topology.Snapshot()
	limit := int64(defaultFIDs)
	if in.truthy("to") { // a count, whatever its name
		limit = in.num("to")
	}
	if limit < 0 || limit > maxFIDs {
		limit = maxFIDs
	}
	files, err := c.store.FilesAfter(ctx, mogile.FID(max(in.num("from"), 0)), int(limit))
	if err != nil {
		return onFile.fail("list fids", err)
	}
	in.out.AddInt("fid_count", int64(len(files)))
	for i, f := range files {
		dom, _ := snap.DomainByID(f.Domain)
		cls, _ := dom.ClassByID(f.Class)
		prefix := numbered("fid_", i)
		in.out.Add(prefix+"_fid", f.FID.String())
		in.out.Add(prefix+"_domain", string(dom.Name))
		in.out.Add(prefix+"_class", string(cls.Name))
		in.out.Add(prefix+"_key", string(f.Key))
		in.out.AddInt(prefix+"_length", f.Length)
		in.out.AddInt(prefix+"_devcount", int64(f.DevCount))
	}
	return nil
}
