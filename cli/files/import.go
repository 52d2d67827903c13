package files

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/cli/frame"
	"github.com/mogilefs/caddy-mogilefs/cli/transfer"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

func importCommand() *frame.Command {
	return &frame.Command{
		Name: "import", Args: []string{"archive"}, Short: "Bring the files of a directory or of a tar archive into a domain",
		Long: "Paths become keys, behind --prefix=. What is done is written to a manifest, with checksums; a run that\n" +
			"was interrupted or killed goes on when it is run again, and brings nothing twice. - is an archive\n" +
			"that comes in.",
		Run: within(runImport),
		Options: []frame.Option{
			domainOption,
			{Name: "class", Value: "class", Help: "the class of the files; the domain's default when there is none", Config: "class"},
			{Name: "prefix", Value: "prefix", Help: "what stands before the paths"},
			{Name: "manifest", Value: "file", Help: "where to write what is done; <archive>.imported by default"},
			{Name: "verify", Help: "have the tracker compare checksums with what was stored"},
			storingOption,
		},
	}
}

// piece is a file to be imported.
type piece struct {
	path   string // with slashes
	source transfer.Source
	// drop, when not nil, is called when the piece is not needed any more.
	drop func()
}

func (p piece) small() bool { return p.source.Size <= smallFile }

// manifestOf opens the manifest that was named, or the usual one.
func manifestOf(c *frame.Call, archive, suffix string) (*manifest, error) {
	name := c.Option("manifest")
	if name == "" {
		if archive == "-" {
			return nil, errors.New("an archive that passes through has no name: name a manifest with --manifest=")
		}
		name = strings.TrimRight(archive, "/") + suffix
	}
	return openManifest(name)
}

// runImport brings what the manifest has not.
//
// A kill between an upload and its line leaves a file that the manifest does not know. So a
// run that goes on looks first whether the key has the content already, where that may be.
func runImport(ctx context.Context, c *frame.Call, s *transfer.Store) error {
	m, err := manifestOf(c, c.Arg("archive"), ".imported")
	if err != nil {
		return err
	}
	defer m.close()
	b, err := newStoring(c, "imported")
	if err != nil {
		return err
	}
	class := mogile.ClassName(c.Option("class"))
	if class == mogile.DefaultClass { // old trackers refuse it
		class = ""
	}
	hash, err := s.Hash(ctx, class)
	if err != nil {
		return fail(c, s, "Error importing", "", err)
	}
	pieces, err := piecesOf(c, b)
	if err != nil {
		return err
	}
	return each(ctx, b, pieces, func(ctx context.Context, p piece) (outcome, error) {
		if p.drop != nil {
			defer p.drop()
		}
		key := mogile.Key(c.Option("prefix") + p.path)
		if m.has(key) {
			b.progress.Bytes(p.source.Size)
			return skipped, nil
		}
		u := transfer.Upload{Key: key, Class: class, Hash: hash, Source: p.source, Verify: c.Given("verify"), Passed: b.progress.Bytes}
		what, e, err := bring(ctx, s, u, m.doubtful())
		if err == nil {
			err = m.add(e)
		}
		if err != nil {
			return what, fail(c, s, fmt.Sprintf("Error importing %s as %s", p.path, key), key, err)
		}
		if what == done {
			b.moved(e.Size)
		}
		return what, nil
	})
}

// bring uploads a file, unless it is looked for and there.
func bring(ctx context.Context, s *transfer.Store, u transfer.Upload, look bool) (outcome, entry, error) {
	if look && !u.Source.Once {
		sum, same, err := alreadyThere(ctx, s, u)
		if err != nil || same {
			return skipped, entry{Sum: sum, Size: u.Source.Size, Key: u.Key}, err
		}
	}
	stored, err := s.Put(ctx, u)
	return done, entry{Sum: stored.Checksum, Size: stored.Length, Key: u.Key}, err
}

// piecesOf lists the files of what was named.
func piecesOf(c *frame.Call, b *batch) (iter.Seq2[piece, error], error) {
	name := c.Arg("archive")
	if name == "-" {
		return tarStream(tar.NewReader(c.Stdin)), nil
	}
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return tree(b, name), nil
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is neither a directory nor an archive; let an archive come in with -", name)
	}
	return tarFile(b, name), nil
}

// tree is the files of a directory.
func tree(b *batch, root string) iter.Seq2[piece, error] {
	return func(yield func(piece, error) bool) {
		walk(b, root, func(l local, err error) bool {
			open := func() (io.ReadCloser, error) { return os.Open(l.file) }
			if err != nil {
				return yield(piece{}, err)
			}
			return yield(piece{path: l.path, source: transfer.Source{Open: open, Size: l.info.Size()}}, nil)
		})
	}
}

// tarFile is the files of an archive on disk, which are read where they lie.
func tarFile(b *batch, name string) iter.Seq2[piece, error] {
	return func(yield func(piece, error) bool) {
		f, err := os.Open(name)
		if err != nil {
			yield(piece{}, err)
			return
		}
		defer f.Close()
		archive := tar.NewReader(f)
		for {
			h, err := nextFile(archive)
			if err == io.EOF {
				return
			}
			var at int64
			if err == nil {
				at, err = f.Seek(0, io.SeekCurrent) // tar reads no further than it must
			}
			if err != nil {
				yield(piece{}, fmt.Errorf("read archive %s: %w", name, err))
				return
			}
			b.progress.Expect(1, h.Size)
			open := func() (io.ReadCloser, error) {
				own, err := os.Open(name)
				if err != nil {
					return nil, err
				}
				return section{io.NewSectionReader(own, at, h.Size), own}, nil
			}
			if !yield(piece{path: pathOf(h), source: transfer.Source{Open: open, Size: h.Size}}, nil) {
				return
			}
		}
	}
}

// section is a part of a file, which it closes.
type section struct {
	io.Reader
	io.Closer
}

// nextFile passes over directories, links and the like.
func nextFile(archive *tar.Reader) (*tar.Header, error) {
	for {
		h, err := archive.Next()
		if err != nil {
			return nil, err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		for record := range h.PAXRecords {
			if strings.HasPrefix(record, "GNU.sparse.") {
				return nil, fmt.Errorf("%s is sparse: unpack it, and import the directory", h.Name)
			}
		}
		return h, nil
	}
}

// pathOf is an entry's path without what leads out of or to its directory.
func pathOf(h *tar.Header) string { return strings.TrimPrefix(path.Clean("/"+h.Name), "/") }

// tarStream is the files of an archive that passes through.
func tarStream(archive *tar.Reader) iter.Seq2[piece, error] {
	return func(yield func(piece, error) bool) {
		for {
			h, err := nextFile(archive)
			if err == io.EOF {
				return
			}
			var p piece
			if err == nil {
				p, err = spool(archive, h)
			}
			if err != nil {
				yield(piece{}, fmt.Errorf("read archive: %w", err))
				return
			}
			if !yield(p, nil) {
				return
			}
		}
	}
}

// spool keeps a file until it is uploaded: a small one in memory, a larger one on disk.
func spool(r io.Reader, h *tar.Header) (piece, error) {
	p := piece{path: pathOf(h), source: transfer.Source{Size: h.Size}}
	if h.Size <= smallFile {
		content, err := io.ReadAll(r)
		p.source.Open = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
		return p, err
	}
	f, err := os.CreateTemp("", "caddy-mogilefs-*")
	if err != nil {
		return p, err
	}
	// It has no name from now on, so it is gone when it is closed, or with the process.
	if err := os.Remove(f.Name()); err != nil {
		return p, errors.Join(err, f.Close())
	}
	if _, err := io.Copy(f, r); err != nil {
		return p, errors.Join(err, f.Close())
	}
	p.source.Open = func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(f, 0, h.Size)), nil }
	p.drop = func() { _ = f.Close() }
	return p, nil
}

// nameOf is where a key of an export lies below its directory.
func nameOf(key mogile.Key, prefix string) (string, error) {
	name := filepath.FromSlash(strings.TrimPrefix(strings.TrimPrefix(string(key), prefix), "/"))
	if !filepath.IsLocal(name) || strings.HasSuffix(string(key), "/") {
		return "", fmt.Errorf("the key is no path below a directory: export to an archive, or fetch it with --file=")
	}
	return name, nil
}
