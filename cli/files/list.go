package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/mogilefs/caddy-mogilefs/cli/frame"
	"github.com/mogilefs/caddy-mogilefs/cli/screen"
	"github.com/mogilefs/caddy-mogilefs/cli/transfer"
	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/client"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

func ls() *frame.Command {
	return &frame.Command{
		Name: "ls", Args: []string{"[prefix]"}, Short: "List keys, all or those with a prefix",
		Long: "As moglistkeys: --key_prefix=PREFIX.",
		Run:  within(runLs),
		Options: []frame.Option{
			domainOption,
			{Name: "key_prefix", Value: "prefix", Help: "only keys that begin so"},
			{Name: "long", Help: "with fid, size, copies and class"},
		},
	}
}

// keyJSON is a file in JSON; all but the key with --long only.
type keyJSON struct {
	Key      mogile.Key       `json:"key"`
	FID      mogile.FID       `json:"fid,omitempty"`
	Length   int64            `json:"length"`
	DevCount int              `json:"devcount,omitempty"`
	Class    mogile.ClassName `json:"class,omitempty"`
	Checksum string           `json:"checksum,omitempty"`
}

// lsWindow is how many keys are looked up together.
const lsWindow = 64

// runLs writes keys as they come: there may be millions.
func runLs(ctx context.Context, c *frame.Call, s *transfer.Store) error {
	prefix := c.Arg("prefix")
	if prefix == "" {
		prefix = c.Option("key_prefix")
	}
	l := lister{c: c, s: s, all: []any{}}
	var window []mogile.Key
	n := 0
	for key, err := range s.Keys(ctx, prefix) {
		if err != nil {
			return fail(c, s, "Error listing files", "", err)
		}
		n++
		if !c.Given("long") {
			l.short(key)
			continue
		}
		if window = append(window, key); len(window) == lsWindow {
			if err := l.long(ctx, window); err != nil {
				return err
			}
			window = window[:0]
		}
	}
	if err := l.long(ctx, window); err != nil {
		return err
	}
	switch {
	case c.Given("json"):
		return c.Show(frame.Listing{JSON: l.all})
	case n == 0:
		return fail(c, s, "Error listing files", "", protocol.Fail(protocol.NoneMatch))
	}
	return nil
}

// lister writes keys, or gathers them for JSON.
type lister struct {
	c   *frame.Call
	s   *transfer.Store
	all []any
}

func (l *lister) short(key mogile.Key) {
	if l.c.Given("json") {
		l.all = append(l.all, key)
		return
	}
	fmt.Fprintln(l.c.Stdout, key)
}

// long looks keys up, several at once, and writes them in their order. Those that are gone
// meanwhile are left out.
func (l *lister) long(ctx context.Context, keys []mogile.Key) error {
	found := make([]*keyJSON, len(keys))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(defaultParallel)
	for i, key := range keys {
		group.Go(func() error {
			file, err := l.s.Trackers.Info(ctx, l.s.Domain, key)
			switch {
			case errors.Is(err, protocol.UnknownKey):
				return nil
			case err != nil:
				return fail(l.c, l.s, "Error listing files", key, err)
			}
			one := longKey(key, file)
			found[i] = &one
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, one := range found {
		switch {
		case one == nil:
		case l.c.Given("json"):
			l.all = append(l.all, one)
		default:
			fmt.Fprintf(l.c.Stdout, "%12d %12s %3d %-16s %s\n", one.FID, size(l.c, one.Length), one.DevCount, one.Class, one.Key)
		}
	}
	return nil
}

func longKey(key mogile.Key, found client.Info) keyJSON {
	one := keyJSON{Key: key, FID: found.FID, Length: found.Length, DevCount: found.DevCount, Class: found.Class}
	if !found.Checksum.IsZero() {
		one.Checksum = found.Checksum.String()
	}
	return one
}

func info() *frame.Command {
	return &frame.Command{
		Name: "info", Args: []string{"[key]"}, Short: "Tell what a file is and where its copies are",
		Long: "As mogfileinfo: --key=KEY.", Run: within(runInfo), Options: []frame.Option{domainOption, keyOption},
	}
}

// infoJSON is a file with its copies in JSON.
type infoJSON struct {
	Key   mogile.Key        `json:"key"`
	File  map[string]string `json:"file"`
	Paths []string          `json:"paths"`
}

func runInfo(ctx context.Context, c *frame.Call, s *transfer.Store) error {
	key, err := oneOf(c, "key", "key")
	if err != nil {
		return err
	}
	var args protocol.Pairs
	args.Add("domain", string(s.Domain))
	args.Add("key", key)
	file, err := s.Trackers.Do(ctx, "file_info", args)
	if err == nil {
		args.Add("noverify", "1")
		args.Add("pathcount", "99")
		var paths protocol.Values
		if paths, err = s.Trackers.Do(ctx, "get_paths", args); err == nil {
			return showInfo(c, key, file, paths)
		}
	}
	return fail(c, s, "Error fetching file info", mogile.Key(key), err)
}

func showInfo(c *frame.Call, key string, file, paths protocol.Values) error {
	one := infoJSON{Key: mogile.Key(key), File: file, Paths: []string{}}
	for i := int64(1); i <= protocol.Num(paths["paths"]); i++ {
		one.Paths = append(one.Paths, paths["path"+strconv.FormatInt(i, 10)])
	}
	return c.Show(frame.Listing{JSON: one, Plain: func(w io.Writer) {
		fmt.Fprintf(w, "- file: %s\n", key)
		for _, name := range slices.Sorted(maps.Keys(one.File)) {
			fmt.Fprintf(w, "  %8s: %20s\n", name, one.File[name])
		}
		for _, url := range one.Paths {
			fmt.Fprintf(w, " - %s\n", url)
		}
	}})
}

func fids() *frame.Command {
	return &frame.Command{
		Name: "fids", Short: "List files of all domains by their fids",
		Long: "As moglistfids.", Run: runFids,
		Options: []frame.Option{
			{Name: "domain", Value: "domain", Help: "means nothing: files of all domains are listed"},
			{Name: "fromfid", Value: "fid", Help: "only greater ones; 0 by default"},
			{Name: "count", Value: "number", Help: "how many at most; 100 by default, 0 for all"},
		},
	}
}

// fidsPage is the most that trackers list at once.
const fidsPage = 500

// fidFields are what list_fids tells of each.
var fidFields = []string{"class", "devcount", "domain", "key", "length"}

// eachFid calls f for files by their fids, those greater than after, at most limit (0: all).
func eachFid(ctx context.Context, trackers *client.Client, after, limit int64, f func(fid string, fields map[string]string)) error {
	for n := int64(0); limit == 0 || n < limit; {
		var args protocol.Pairs
		args.AddInt("from", after)
		ask := int64(fidsPage)
		if limit > 0 {
			ask = min(ask, limit-n)
		}
		args.AddInt("to", ask)
		v, err := trackers.Do(ctx, "list_fids", args)
		if err != nil {
			return err
		}
		count := protocol.Num(v["fid_count"])
		for i := int64(1); i <= count; i++ {
			prefix := "fid_" + strconv.FormatInt(i, 10) + "_"
			fields := map[string]string{}
			for _, name := range fidFields {
				fields[name] = v[prefix+name]
			}
			f(v[prefix+"fid"], fields)
			after = max(after, protocol.Num(v[prefix+"fid"]))
		}
		if n += count; count < ask {
			return nil
		}
	}
	return nil
}

func runFids(ctx context.Context, c *frame.Call) error {
	var numbers [2]int64
	for i, name := range []string{"fromfid", "count"} {
		numbers[i] = int64(i) * 100
		if s := c.Option(name); s != "" {
			n, err := strconv.ParseInt(s, 10, 64)
			if err != nil || n < 0 {
				return fmt.Errorf("%s %q: want a number from 0 up", name, s)
			}
			numbers[i] = n
		}
	}
	trackers, err := c.Trackers()
	if err != nil {
		return err
	}
	all := []map[string]string{}
	err = eachFid(ctx, trackers, numbers[0], numbers[1], func(fid string, fields map[string]string) {
		if c.Given("json") {
			fields["fid"] = fid
			all = append(all, fields)
			return
		}
		fmt.Fprintf(c.Stdout, "fid %s\n", fid)
		for _, name := range fidFields {
			fmt.Fprintf(c.Stdout, "%s %s\n", name, fields[name])
		}
		fmt.Fprintln(c.Stdout)
	})
	if err != nil {
		return frame.Fail("Error listing fids", err, "")
	}
	if c.Given("json") {
		return c.Show(frame.Listing{JSON: all})
	}
	return nil
}

// size is a length for people at a terminal, and exact for others.
func size(c *frame.Call, n int64) string {
	if c.OutTerminal {
		return screen.Bytes(n)
	}
	return strconv.FormatInt(n, 10)
}
