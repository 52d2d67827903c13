package files

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/mogilefs/caddy-mogilefs/cli/frame"
	"github.com/mogilefs/caddy-mogilefs/cli/transfer"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

func exportCommand() *frame.Command {
	return &frame.Command{
		Name: "export", Args: []string{"archive"}, Short: "Write the files of a domain into a directory, or a tar archive",
		Long: "A name that ends in .tar is an archive, - one that is written out, any other a directory. Keys become\n" +
			"paths, without --prefix=. What is done is written to a manifest, with checksums; a run that was\n" +
			"interrupted or killed goes on when it is run again.",
		Run: within(runExport),
		Options: []frame.Option{
			domainOption,
			{Name: "prefix", Value: "prefix", Help: "only keys that begin so"},
			{Name: "manifest", Value: "file", Help: "where to write what is done; <archive>.exported by default"},
			parallelOption,
		},
	}
}

func runExport(ctx context.Context, c *frame.Call, s *transfer.Store) error {
	name := c.Arg("archive")
	m, err := manifestOf(c, name, ".exported")
	if err != nil {
		return err
	}
	defer m.close()
	b, err := newBatch(c, "exported")
	if err != nil {
		return err
	}
	e := exporting{batch: b, c: c, store: s, manifest: m, prefix: c.Option("prefix")}
	if name == "-" {
		if m.goesOn() {
			return errors.New("an archive that is written out can't be gone on with: remove the manifest, or name another")
		}
		return e.toTar(ctx, c.Stdout, nil)
	}
	if strings.HasSuffix(name, ".tar") {
		return e.toTarFile(ctx, name)
	}
	return e.toDirectory(ctx, name)
}

// exporting is an export under way.
type exporting struct {
	batch    *batch
	c        *frame.Call
	store    *transfer.Store
	manifest *manifest
	prefix   string
}

func (e exporting) fail(key mogile.Key, err error) error {
	return fail(e.c, e.store, "Error exporting "+string(key), key, err)
}

func (e exporting) toDirectory(ctx context.Context, dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return each(ctx, e.batch, e.store.Keys(ctx, e.prefix), func(ctx context.Context, key mogile.Key) (outcome, error) {
		if e.manifest.has(key) {
			return skipped, nil
		}
		name, err := nameOf(key, e.prefix)
		if err != nil {
			return done, e.fail(key, err)
		}
		g := getting{batch: e.batch, store: e.store, key: key, root: root, name: name}
		what, err := g.run(ctx)
		if err == nil {
			err = e.record(root, name, key)
		}
		if err != nil {
			return done, e.fail(key, err)
		}
		return what, nil
	})
}

// record writes the line of a file that is in its place.
func (e exporting) record(root *os.Root, name string, key mogile.Key) error {
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	h := mogile.HashMD5.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return err
	}
	return e.manifest.add(entry{Sum: mogile.Checksum{Type: mogile.HashMD5, Sum: h.Sum(nil)}, Size: n, Key: key})
}

// toTarFile goes on behind the last file that the manifest has: what comes after may be
// half.
func (e exporting) toTarFile(ctx context.Context, name string) error {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && !e.manifest.goesOn() && info.Size() > 0 {
		err = fmt.Errorf("%s is there and no manifest of it: remove it, or name another", name)
	}
	if err == nil {
		err = cut(f, e.manifest.last.End)
	}
	if err == nil {
		err = e.toTar(ctx, f, f)
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

func cut(f *os.File, at int64) error {
	if err := f.Truncate(at); err != nil {
		return err
	}
	_, err := f.Seek(at, io.SeekStart)
	return err
}

// toTar writes the files in their order, one after the other. f is the archive when it can
// be cut, so that a file that can't be read is left out; or nil: then it ends the export.
func (e exporting) toTar(ctx context.Context, w io.Writer, f *os.File) error {
	e.batch.parallel = 1
	at := e.manifest.last.End
	var broken error
	err := each(ctx, e.batch, e.store.Keys(ctx, e.prefix), func(ctx context.Context, key mogile.Key) (outcome, error) {
		switch {
		case broken != nil:
			return done, broken
		case e.manifest.has(key):
			return skipped, nil
		}
		line, err := e.append(ctx, w, key)
		if err == nil {
			line.End += at
			err = e.manifest.add(line)
		}
		switch {
		case err == nil:
			at = line.End
			return done, nil
		case f == nil:
			broken = fmt.Errorf("the archive ends here: %w", err)
		default:
			if trouble := cut(f, at); trouble != nil {
				broken = trouble
			}
		}
		return done, e.fail(key, err)
	})
	if err != nil {
		return err
	}
	return tar.NewWriter(w).Close() // the end of an archive is two empty blocks
}

// append writes a file with its header; the line's End is how much that is.
func (e exporting) append(ctx context.Context, w io.Writer, key mogile.Key) (entry, error) {
	loc, err := e.store.Locate(ctx, key)
	if err != nil {
		return entry{}, err
	}
	e.batch.progress.Expect(1, loc.Length)
	out := &measured{w: w}
	archive := tar.NewWriter(out)
	name := strings.TrimPrefix(string(key), e.prefix)
	if err := archive.WriteHeader(&tar.Header{Name: name, Size: loc.Length, Mode: 0o644, ModTime: time.Unix(0, 0), Format: tar.FormatPAX}); err != nil {
		return entry{}, err
	}
	recorded, sum := newSum(loc), mogile.HashMD5.New()
	to := io.MultiWriter(archive, recorded, sum, counter{e.batch})
	if err := e.store.Get(ctx, key, loc, 0, to, nil); err != nil {
		return entry{}, err
	}
	if err := recorded.check(loc); err != nil {
		return entry{}, err
	}
	if err := archive.Flush(); err != nil {
		return entry{}, err
	}
	e.batch.moved(loc.Length)
	return entry{Sum: mogile.Checksum{Type: mogile.HashMD5, Sum: sum.Sum(nil)}, Size: loc.Length, End: out.n, Key: key}, nil
}

// measured counts what is written.
type measured struct {
	w io.Writer
	n int64
}

// Write implements io.Writer.
func (m *measured) Write(p []byte) (int, error) {
	n, err := m.w.Write(p)
	m.n += int64(n)
	return n, err
}
