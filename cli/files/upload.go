package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/cli/frame"
	"github.com/mogilefs/caddy-mogilefs/cli/transfer"
	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

func upload() *frame.Command {
	return &frame.Command{
		Name: "upload", Args: []string{"[file...]"}, Short: "Store files, the files of directories, or - for what comes in",
		Long: "A directory's files get their paths below it as keys, a single file its name, unless --key= says\n" +
			"otherwise: a template with {path}, {dir}, {name}, {base} and {ext}, as in --key=photos/{path}.\n" +
			"What is there already with the same size and checksum is passed over, so that a broken run goes\n" +
			"on when it is run again; --force uploads it all the same.\n\n" +
			"As mogupload: --key=KEY --file=FILE, which always uploads.",
		Run: within(runUpload),
		Options: []frame.Option{
			domainOption,
			{Name: "class", Value: "class", Help: "the class of new files; the domain's default when there is none", Config: "class"},
			{Name: "key", Value: "template", Help: "the key, or a template for keys"},
			{Name: "file", Value: "file", Help: "a file, or - for what comes in"},
			{Name: "force", Help: "upload what is there, too"},
			{Name: "verify", Help: "have the tracker compare the checksum with what was stored"},
			storingOption,
		},
	}
}

// local is a file that is to be uploaded.
type local struct {
	file string // - for what comes in
	path string // with slashes, below the directory that was named
	info fs.FileInfo
}

func (l local) small() bool {
	return l.info != nil && l.info.Mode().IsRegular() && l.info.Size() <= smallFile
}

func runUpload(ctx context.Context, c *frame.Call, s *transfer.Store) error {
	names, force := c.Rest("file"), c.Given("force")
	if one := c.Option("file"); one != "" {
		names, force = append(names, one), force || len(names) == 0
	}
	template := c.Option("key")
	if err := checkTemplate(names, template); err != nil {
		return err
	}
	b, err := newStoring(c, "uploaded")
	if err != nil {
		return err
	}
	class := mogile.ClassName(c.Option("class"))
	if class == mogile.DefaultClass { // old trackers refuse it
		class = ""
	}
	hash, err := s.Hash(ctx, class)
	if err != nil {
		return fail(c, s, "Error uploading file", "", err)
	}
	return each(ctx, b, locals(b, names), func(ctx context.Context, l local) (outcome, error) {
		key := mogile.Key(expand(template, l.path))
		u := transfer.Upload{Key: key, Class: class, Hash: hash, Source: sourceOf(c, l), Verify: c.Given("verify"), Passed: b.progress.Bytes}
		what, n, err := put(ctx, s, u, force)
		if err != nil {
			return what, fail(c, s, fmt.Sprintf("Error uploading file %s as %s", l.file, key), key, err)
		}
		if what == done {
			b.moved(n)
		}
		return what, nil
	})
}

// put uploads a file unless it is there already. An upload whose answer was lost is looked
// for.
func put(ctx context.Context, s *transfer.Store, u transfer.Upload, force bool) (outcome, int64, error) {
	if !force && !u.Source.Once {
		_, same, err := alreadyThere(ctx, s, u)
		if err != nil {
			return done, 0, err
		}
		if same {
			if u.Passed != nil {
				u.Passed(u.Source.Size)
			}
			return skipped, 0, nil
		}
	}
	stored, err := s.Put(ctx, u)
	return done, stored.Length, err
}

// alreadyThere reports whether the key has the source's content, with its checksum.
func alreadyThere(ctx context.Context, s *transfer.Store, u transfer.Upload) (mogile.Checksum, bool, error) {
	var none mogile.Checksum
	loc, err := s.Locate(ctx, u.Key)
	switch {
	case errors.Is(err, protocol.UnknownKey):
		return none, false, nil
	case err != nil:
		return none, false, err
	case loc.Length != u.Source.Size:
		return none, false, nil
	}
	hash := mogile.HashMD5
	if !loc.Checksum.IsZero() {
		hash = loc.Checksum.Type
	}
	want, err := sum(u.Source, hash)
	if err != nil {
		return none, false, err
	}
	got, err := s.Sum(ctx, u.Key, loc, hash)
	if err != nil && ctx.Err() != nil {
		return none, false, err
	}
	// One that can't be read is as good as not there.
	return want, err == nil && got.Equal(want), nil
}

func sum(source transfer.Source, t mogile.HashType) (mogile.Checksum, error) {
	r, err := source.Open()
	if err != nil {
		return mogile.Checksum{}, err
	}
	defer r.Close()
	h := t.New()
	if _, err := io.Copy(h, r); err != nil {
		return mogile.Checksum{}, err
	}
	return mogile.Checksum{Type: t, Sum: h.Sum(nil)}, nil
}

// sourceOf opens files, and what comes in.
func sourceOf(c *frame.Call, l local) transfer.Source {
	if l.file == "-" {
		return transfer.Source{Once: true, Size: -1, Open: func() (io.ReadCloser, error) { return io.NopCloser(c.Stdin), nil }}
	}
	if !l.info.Mode().IsRegular() { // a pipe
		return transfer.Source{Once: true, Size: -1, Open: func() (io.ReadCloser, error) { return os.Open(l.file) }}
	}
	return transfer.Source{Size: l.info.Size(), Open: func() (io.ReadCloser, error) { return os.Open(l.file) }}
}

// checkTemplate refuses what would give many files one key, or none.
func checkTemplate(names []string, template string) error {
	switch {
	case len(names) == 0:
		return errors.New("nothing to upload: name files or directories, or - for what comes in")
	case len(names) == 1 && names[0] == "-" && template == "":
		return errors.New("what comes in has no name: give it a key with --key=")
	case template == "" || varies(template):
		return nil
	case len(names) > 1:
		return fmt.Errorf("key %q would be that of every file: use {path}, {name} or {base} in it", template)
	}
	if info, err := os.Stat(names[0]); err == nil && info.IsDir() {
		return fmt.Errorf("key %q would be that of every file in %s: use {path} in it", template, names[0])
	}
	return nil
}

func varies(template string) bool {
	return strings.Contains(template, "{path}") || strings.Contains(template, "{name}") || strings.Contains(template, "{base}")
}

// expand makes a key of a path.
func expand(template, file string) string {
	if template == "" {
		return file
	}
	dir, name := path.Split(file)
	ext := path.Ext(name)
	return strings.NewReplacer("{path}", file, "{dir}", strings.TrimSuffix(dir, "/"), "{name}", name,
		"{base}", strings.TrimSuffix(name, ext), "{ext}", strings.TrimPrefix(ext, ".")).Replace(template)
}

// locals are the files that were named, and those of directories.
func locals(b *batch, names []string) iter.Seq2[local, error] {
	return func(yield func(local, error) bool) {
		for _, name := range names {
			if name == "-" {
				if !yield(local{file: name}, nil) {
					return
				}
				continue
			}
			info, err := os.Stat(name)
			switch {
			case err != nil:
				yield(local{}, err)
				return
			case info.IsDir():
				if !walk(b, name, yield) {
					return
				}
			default:
				b.progress.Expect(1, info.Size())
				if !yield(local{file: name, path: filepath.Base(name), info: info}, nil) {
					return
				}
			}
		}
	}
}

// walk yields the regular files below a directory; false when that is enough.
func walk(b *batch, root string, yield func(local, error) bool) bool {
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		below, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		b.progress.Expect(1, info.Size())
		if !yield(local{file: name, path: filepath.ToSlash(below), info: info}, nil) {
			return fs.SkipAll
		}
		return nil
	})
	return err == nil || yield(local{}, err)
}
