package cli_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mogilefs/caddy-mogilefs/cli"
	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

// fids is all keys with their fids.
func (r *fileRig) fids() map[string]string {
	r.t.Helper()
	stdout, _ := r.do("fids", "--count=0", "--json")
	var list []map[string]string
	if err := json.Unmarshal([]byte(stdout), &list); err != nil {
		r.t.Fatal(err)
	}
	found := map[string]string{}
	for _, file := range list {
		found[file["key"]] = file["fid"]
	}
	return found
}

// tree is the files below a directory.
func (r *fileRig) tree(dir string) map[string]string {
	r.t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(filepath.Join(r.dir, dir), func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		below, err := filepath.Rel(filepath.Join(r.dir, dir), name)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(name)
		found[filepath.ToSlash(below)] = string(text)
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return found
}

// plant makes a tree of files below in.
func (r *fileRig) plant(n int) map[string]string {
	r.t.Helper()
	for i := range n {
		r.file(fmt.Sprintf("in/%02d/file %d.jpg", i%7, i), noise(uint64(i), 10+i*37))
	}
	r.file("in/large", noise(99, 3<<20))
	r.file("in/empty", nil)
	return r.tree("in")
}

func (r *fileRig) path(name string) string { return filepath.Join(r.dir, name) }

// unpack is the files of an archive.
func unpack(t *testing.T, archive io.Reader) map[string]string {
	t.Helper()
	found := map[string]string{}
	for in := tar.NewReader(archive); ; {
		h, err := in.Next()
		if err == io.EOF {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		found[h.Name] = string(text)
	}
}

// pack makes an archive, with the directories and links that archives have.
func pack(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	out := tar.NewWriter(&b)
	headers := []tar.Header{{Name: "dir/", Typeflag: tar.TypeDir}, {Name: "link", Typeflag: tar.TypeSymlink, Linkname: "large"}}
	for name := range files {
		headers = append(headers, tar.Header{Name: "./" + name, Size: int64(len(files[name])), Mode: 0o644})
	}
	for _, h := range headers {
		if err := out.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(out, files[strings.TrimPrefix(h.Name, "./")]); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestADirectoryGoesInAndComesOut(t *testing.T) {
	r := newFileRig(t)
	want := r.plant(60)
	if _, stderr := r.do("import", "--class=summed", "--prefix=backup/", "--verbose", r.path("in")); !strings.HasPrefix(stderr, "imported 62 files (") {
		t.Errorf("import: got %q; want 62 files", stderr)
	}
	if _, stderr := r.do("import", "--class=summed", "--prefix=backup/", "--verbose", r.path("in")); stderr != "imported 0 files, 62 were there already\n" {
		t.Errorf("import again: got %q; want none", stderr)
	}
	r.do("export", "--prefix=backup/", r.path("out"))
	if diff := cmp.Diff(want, r.tree("out")); diff != "" {
		t.Errorf("a directory differs (-in +out):\n%.2000s", diff)
	}
	r.do("export", "--prefix=backup/", r.path("out.tar"))
	archive, err := os.Open(r.path("out.tar"))
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	if diff := cmp.Diff(want, unpack(t, archive)); diff != "" {
		t.Errorf("an archive differs (-in +out):\n%.2000s", diff)
	}
	stdout, _ := r.do("export", "--prefix=backup/", "--manifest="+r.path("piped"), "-")
	if diff := cmp.Diff(want, unpack(t, strings.NewReader(stdout))); diff != "" {
		t.Errorf("what is written out differs (-in +out):\n%.2000s", diff)
	}
	sums := map[string]int{}
	for _, name := range []string{"in.imported", "out.exported", "out.tar.exported", "piped"} {
		for line := range strings.Lines(r.content(name)) {
			fields := strings.Split(line, "\t")
			sums[fields[0]+fields[3]]++
		}
	}
	for line, n := range sums {
		if n != 4 {
			t.Errorf("got %d of 4 manifests with %q", n, line)
		}
	}
	if len(sums) != 62 {
		t.Errorf("got %d lines in manifests; want 62", len(sums))
	}
}

func TestArchivesGoIn(t *testing.T) {
	r := newFileRig(t)
	want := r.plant(20)
	packed := pack(t, want)
	archive := r.file("in.tar", packed)
	r.do("import", "--prefix=disk/", archive)
	if stdout, stderr, code := r.try(bytes.NewReader(packed), "import", "--prefix=pipe/", "--manifest="+r.path("m"), "-"); code != 0 {
		t.Fatalf("an archive that comes in: got %d, %q, %q; want 0", code, stdout, stderr)
	}
	for _, prefix := range []string{"disk", "pipe"} {
		r.do("export", "--prefix="+prefix+"/", r.path(prefix))
		if diff := cmp.Diff(want, r.tree(prefix)); diff != "" {
			t.Errorf("%s differs (-in +out):\n%.2000s", prefix, diff)
		}
	}
	if stdout, stderr, code := r.try(bytes.NewReader(packed[:len(packed)/2]), "import", "--prefix=half/", "--manifest="+r.path("h"), "-"); code != 255 || !strings.Contains(stderr, "read archive: unexpected EOF") {
		t.Errorf("half an archive: got %d, %q, %q; want 255 and that it ends", code, stdout, stderr)
	}
}

// stopping is an archive that comes in and stops in the middle, when the operator
// interrupts.
type stopping struct {
	io.Reader
	interrupt func()
}

// Read implements io.Reader.
func (s stopping) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err == io.EOF {
		s.interrupt()
		return 0, errors.New("interrupted read")
	}
	return n, err
}

func TestAnImportGoesOnAfterAnInterruption(t *testing.T) {
	r := newFileRig(t)
	want := r.plant(50)
	packed := pack(t, want)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	half := stopping{bytes.NewReader(packed[:len(packed)/2]), func() {
		process.Eventually(t, time.Minute, "first file", func() bool { return len(r.fids()) > 0 })
		interrupt()
	}}
	_, stderr, code := r.tryIn(ctx, cli.Env{Stdin: half}, "import", "--class=summed", "--manifest="+r.path("m"), "-")
	if code != 130 || !strings.Contains(stderr, "; run it again to go on\n") {
		t.Errorf("got %d, %q; want 130 and what was done", code, stderr)
	}
	if n := r.openUploads(); n != 0 {
		t.Errorf("got %d uploads left open; want none", n)
	}
	// What a kill leaves: half a line, and a file that has none.
	lines := strings.SplitAfter(r.content("m"), "\n")
	if len(lines) > 2 {
		r.file("m", []byte(strings.Join(lines[:len(lines)-2], "")+lines[len(lines)-2][:9]))
	}
	before := r.fids()
	stdout, stderr, code := r.try(bytes.NewReader(packed), "import", "--class=summed", "--manifest="+r.path("m"), "--verbose", "-")
	after, uploaded := r.fids(), 0
	if len(before) == 0 || len(before) == len(want) {
		t.Errorf("got %d of %d files before the interruption; want some", len(before), len(want))
	}
	if _, err := fmt.Sscanf(stderr, "imported %d files", &uploaded); err != nil || code != 0 {
		t.Fatalf("got %d, %q, %q; want 0 and how many", code, stdout, stderr)
	}
	for key, fid := range before {
		if after[key] != fid {
			t.Errorf("%s was fid %s and is %s: it was imported twice", key, fid, after[key])
		}
	}
	if len(after)-len(before) != uploaded {
		t.Errorf("got %d files before and %d after importing %d; want no more", len(before), len(after), uploaded)
	}
	r.do("export", r.path("out"))
	if diff := cmp.Diff(want, r.tree("out")); diff != "" {
		t.Errorf("differs (-in +out):\n%.2000s", diff)
	}
}

func TestAnExportToAnArchiveGoesOn(t *testing.T) {
	r := newFileRig(t)
	want := r.plant(30)
	r.do("import", r.path("in"))
	r.do("export", r.path("out.tar"))
	// As after a kill: ten files recorded, and the archive somewhere in the eleventh.
	lines := strings.SplitAfter(r.content("out.tar.exported"), "\n")
	r.file("out.tar.exported", []byte(strings.Join(lines[:10], "")+"MD5:"))
	var size, end int64
	fields := strings.Split(lines[10], "\t")
	if _, err := fmt.Sscan(fields[1]+" "+fields[2], &size, &end); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(r.path("out.tar"), end-size/2); err != nil {
		t.Fatal(err)
	}
	if _, stderr := r.do("export", "--verbose", r.path("out.tar")); !strings.HasSuffix(stderr, ", 10 were there already\n") {
		t.Errorf("got %q; want 10 there already", stderr)
	}
	archive, err := os.Open(r.path("out.tar"))
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	if diff := cmp.Diff(want, unpack(t, archive)); diff != "" {
		t.Errorf("differs (-in +out):\n%.2000s", diff)
	}
	if err := os.Remove(r.path("out.tar.exported")); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := r.try(nil, "export", r.path("out.tar")); code != 255 || !strings.Contains(stderr, "is there and no manifest of it") {
		t.Errorf("no manifest: got %d, %q; want the archive left alone", code, stderr)
	}
}
