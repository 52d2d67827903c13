package files

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/mogilefs/caddy-mogilefs/cli/frame"
	"github.com/mogilefs/caddy-mogilefs/cli/transfer"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

func fetch() *frame.Command {
	return &frame.Command{
		Name: "fetch", Args: []string{"[key...]"}, Short: "Read files, by their keys or by a prefix, into a directory or to --file=",
		Long: "A key becomes a path below the directory. What is there already with the same size and checksum is\n" +
			"passed over, and what is there in part is gone on with, so that a broken run goes on when it is run\n" +
			"again; --force reads it all anew.\n\n" +
			"As mogfetch: --key=KEY --file=FILE, or - to write it out.",
		Run: within(runFetch),
		Options: []frame.Option{
			domainOption, keyOption,
			{Name: "file", Value: "file", Help: "where one key goes; - writes it out"},
			{Name: "to", Value: "directory", Help: "where keys go; the present one by default"},
			{Name: "prefix", Value: "prefix", Help: "all keys that begin so; empty for all"},
			{Name: "force", Help: "read what is there, too"},
			parallelOption,
		},
	}
}

func runFetch(ctx context.Context, c *frame.Call, s *transfer.Store) error {
	keys := c.Rest("key")
	if one := c.Option("key"); one != "" {
		keys = append(keys, one)
	}
	switch byPrefix := c.Given("prefix"); {
	case byPrefix && len(keys) > 0:
		return errors.New("--prefix= goes without keys")
	case !byPrefix && len(keys) == 0:
		return errors.New("nothing to fetch: name keys, or give --prefix=")
	case c.Option("file") != "" && (byPrefix || len(keys) > 1 || c.Given("to")):
		return errors.New("--file= is for one key; give --to=directory for more")
	}
	if c.Option("file") == "-" {
		return writeOut(ctx, c, s, mogile.Key(keys[0]))
	}
	b, err := newBatch(c, "fetched")
	if err != nil {
		return err
	}
	dir, name := c.Option("to"), ""
	if file := c.Option("file"); file != "" {
		dir, name = filepath.Dir(file), filepath.Base(file)
	} else if dir == "" {
		dir = "."
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	list := named(keys)
	if c.Given("prefix") {
		list = s.Keys(ctx, c.Option("prefix"))
	}
	return each(ctx, b, list, func(ctx context.Context, key mogile.Key) (outcome, error) {
		g := getting{batch: b, store: s, key: key, root: root, name: name, force: c.Given("force")}
		if name == "" {
			if g.name = filepath.FromSlash(string(key)); !filepath.IsLocal(g.name) {
				return done, fmt.Errorf("error fetching file %s: the key is no path below a directory; give it one with --key= and --file=", key)
			}
		}
		what, err := g.run(ctx)
		if err != nil {
			return done, fail(c, s, "Error fetching file "+string(key), key, err)
		}
		return what, nil
	})
}

// writeOut writes a file to Stdout. Bytes that are written can't be taken back, so a copy that
// fails is followed by another at the same byte.
func writeOut(ctx context.Context, c *frame.Call, s *transfer.Store, key mogile.Key) error {
	loc, err := s.Locate(ctx, key)
	if err == nil {
		sum := newSum(loc)
		if err = s.Get(ctx, key, loc, 0, io.MultiWriter(c.Stdout, sum), nil); err == nil {
			err = sum.check(loc)
		}
	}
	switch {
	case isInterrupted(ctx, err):
		return &frame.Failure{Err: errors.New("interrupted"), Exit: interrupted}
	case err != nil:
		return fail(c, s, "Error fetching file "+string(key), key, err)
	}
	return nil
}

// summed hashes what is written to it, when there is a checksum to compare with.
type summed struct{ hash.Hash }

func newSum(loc mogile.Location) summed {
	if loc.Checksum.IsZero() {
		return summed{}
	}
	return summed{loc.Checksum.Type.New()}
}

// Write implements io.Writer.
func (s summed) Write(p []byte) (int, error) {
	if s.Hash == nil {
		return len(p), nil
	}
	return s.Hash.Write(p)
}

func (s summed) check(loc mogile.Location) error {
	if s.Hash == nil {
		return nil
	}
	if got := (mogile.Checksum{Type: loc.Checksum.Type, Sum: s.Sum(nil)}); !got.Equal(loc.Checksum) {
		return fmt.Errorf("what was read has the checksum %s; %s is recorded: fsck finds out which copy is wrong", got, loc.Checksum)
	}
	return nil
}

// getting is a file on its way to a directory.
type getting struct {
	batch *batch
	store *transfer.Store
	key   mogile.Key
	root  *os.Root
	name  string
	force bool
}

// run brings the file.
//
// Order: 1 the bytes go to a file beside, named for the fid, whose content never changes,
// so that a later run goes on with it; 2 they are compared with the recorded checksum; 3 the
// file gets its name. So what has its name is whole.
func (g getting) run(ctx context.Context) (outcome, error) {
	loc, err := g.store.Locate(ctx, g.key)
	if err != nil {
		return done, err
	}
	g.batch.progress.Expect(1, loc.Length)
	if !g.force {
		same, err := g.there(ctx, loc)
		if err != nil {
			return done, err
		}
		if same {
			g.batch.progress.Bytes(loc.Length)
			return skipped, nil
		}
	}
	if err := g.root.MkdirAll(filepath.Dir(g.name), 0o777); err != nil {
		return done, err
	}
	part := g.name + "." + loc.FID.String() + ".part"
	if err := g.fill(ctx, part, loc); err != nil {
		return done, err
	}
	if err := g.root.Rename(part, g.name); err != nil {
		return done, err
	}
	return done, nil
}

// there reports whether the file has the content already.
func (g getting) there(ctx context.Context, loc mogile.Location) (bool, error) {
	info, err := g.root.Stat(g.name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() != loc.Length {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	t := mogile.HashMD5
	if !loc.Checksum.IsZero() {
		t = loc.Checksum.Type
	}
	f, err := g.root.Open(g.name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	h := t.New()
	if _, err := io.Copy(h, f); err != nil {
		return false, err
	}
	want, err := g.store.Sum(ctx, g.key, loc, t)
	if err != nil {
		return false, err
	}
	return want.Equal(mogile.Checksum{Type: t, Sum: h.Sum(nil)}), nil
}

// fill brings what a part lacks, and holds it against the recorded checksum.
func (g getting) fill(ctx context.Context, part string, loc mogile.Location) (err error) {
	flags := os.O_RDWR | os.O_CREATE
	if g.force {
		flags |= os.O_TRUNC
	}
	f, err := g.root.OpenFile(part, flags, 0o666)
	if err != nil {
		return err
	}
	defer func() {
		if closed := f.Close(); err == nil {
			err = closed
		}
	}()
	sum := newSum(loc)
	from, err := io.Copy(sum, f) // what an earlier run has brought
	if err == nil && from > loc.Length {
		err = fmt.Errorf("%s is larger than the file: remove it", path.Join(g.root.Name(), part))
	}
	if err != nil {
		return err
	}
	g.batch.progress.Bytes(from)
	if err := g.store.Get(ctx, g.key, loc, from, io.MultiWriter(f, sum, g.counter()), nil); err != nil {
		return err
	}
	if err := sum.check(loc); err != nil {
		_ = g.root.Remove(part) // else the next run would go on with it
		return err
	}
	g.batch.moved(loc.Length - from)
	return nil
}

// counter tells the progress.
func (g getting) counter() io.Writer { return counter{g.batch} }

type counter struct{ b *batch }

// Write implements io.Writer.
func (c counter) Write(p []byte) (int, error) {
	c.b.progress.Bytes(int64(len(p)))
	return len(p), nil
}
