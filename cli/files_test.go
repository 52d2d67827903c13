package cli_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mogilefs/caddy-mogilefs/cli"
	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tests/installation"
	"github.com/mogilefs/caddy-mogilefs/tests/process"
	"github.com/mogilefs/caddy-mogilefs/tracker"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// fileRig is an installation with a domain images, whose class summed keeps checksums.
type fileRig struct {
	*installation.Installation
	t   *testing.T
	dir string
}

func newFileRig(t *testing.T) *fileRig {
	t.Helper()
	in := twoHosts(t)
	in.Declare(tracker.Declaration{Domains: []tracker.DeclaredDomain{{Name: "images", Classes: []tracker.DeclaredClass{
		{Name: "summed", MinDevCount: 2, Hash: mogile.HashMD5}, {Name: "single", MinDevCount: 1},
	}}}})
	return &fileRig{in, t, t.TempDir()}
}

// do runs a command that must succeed, and returns what it wrote.
func (r *fileRig) do(words ...string) (stdout, stderr string) {
	r.t.Helper()
	stdout, stderr, code := r.try(strings.NewReader(""), words...)
	if code != 0 {
		r.t.Fatalf("%s: got exit code %d, stdout %q, stderr %q; want 0", strings.Join(words, " "), code, stdout, stderr)
	}
	return stdout, stderr
}

func (r *fileRig) try(stdin io.Reader, words ...string) (stdout, stderr string, code int) {
	return r.tryIn(r.t.Context(), cli.Env{Stdin: stdin}, words...)
}

func (r *fileRig) tryIn(ctx context.Context, env cli.Env, words ...string) (stdout, stderr string, code int) {
	var out, errs bytes.Buffer
	env.Stdout, env.Stderr, env.Program = &out, &errs, "caddy mogilefs"
	code = cli.Run(ctx, env, cli.Root(nil), append(words, "--trackers="+r.Tracker, "--domain=images"))
	return out.String(), errs.String(), code
}

// file makes a local file and returns its name.
func (r *fileRig) file(name string, content []byte) string {
	r.t.Helper()
	full := filepath.Join(r.dir, name)
	writeFile(r.t, full, string(content))
	return full
}

func (r *fileRig) content(name string) string {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join(r.dir, name))
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}

// noise is bytes that don't repeat, the same for the same seed.
func noise(seed uint64, n int) []byte {
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	p := make([]byte, n)
	_, _ = r.Read(p) // never fails
	return p
}

// openUploads counts uploads that were begun and neither closed nor abandoned.
func (r *fileRig) openUploads() int {
	r.t.Helper()
	last, err := r.Store.MaxFID(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	n := 0
	for fid := mogile.FID(1); fid <= last+100; fid++ {
		if _, err := r.Store.Upload(r.t.Context(), fid); err == nil {
			n++
		}
	}
	return n
}

func TestWhatComesInIsUploadedAndWrittenOut(t *testing.T) {
	r := newFileRig(t)
	for _, n := range []int{0, 1, 3 << 20} {
		want := noise(1, n)
		key := fmt.Sprintf("piped-%d", n)
		if stdout, stderr, code := r.try(bytes.NewReader(want), "upload", "--class=summed", "--key="+key, "-"); code != 0 || stdout != "" || stderr != "" {
			t.Fatalf("upload %d bytes: got %d, %q, %q; want 0 and silence", n, code, stdout, stderr)
		}
		if got, _ := r.do("fetch", "--key="+key, "--file=-"); got != string(want) {
			t.Errorf("fetch %d bytes: got %d others", n, len(got))
		}
		if info, err := r.Client().Info(t.Context(), "images", mogile.Key(key)); err != nil || info.Checksum.String() != fmt.Sprintf("MD5:%x", md5.Sum(want)) {
			t.Errorf("%d bytes: got %v, %v; want its checksum recorded", n, info.Checksum, err)
		}
	}
}

func TestADirectoryIsUploadedAndFetched(t *testing.T) {
	r := newFileRig(t)
	want := map[string][]byte{}
	for i := range 40 {
		name := fmt.Sprintf("in/%d/%c ä%d", i%3, 'a'+i%5, i)
		want[strings.TrimPrefix(name, "in/")] = noise(uint64(i), i*1000)
		r.file(name, noise(uint64(i), i*1000))
	}
	in := filepath.Join(r.dir, "in")
	if _, stderr := r.do("upload", "--class=summed", "--key=tree/{path}", "--verbose", in); !strings.HasPrefix(stderr, "uploaded 40 files (") {
		t.Errorf("got %q; want 40 files", stderr)
	}
	// What changed is uploaded again, and nothing else, whether the checksum is recorded or
	// has to be had from a node.
	for _, class := range []string{"summed", "single"} {
		changed := strings.TrimPrefix(r.file("in/0/a ä0", []byte("now "+class)), in+"/")
		want[changed] = []byte("now " + class)
		if _, stderr := r.do("upload", "--class="+class, "--key=tree/{path}", "--verbose", in); stderr != "uploaded 1 files ("+fmt.Sprint(len("now "+class))+" B), 39 were there already\n" {
			t.Errorf("changed one: got %q; want 1 file, 39 there already", stderr)
		}
	}
	out := filepath.Join(r.dir, "out")
	if _, stderr := r.do("fetch", "--prefix=tree/", "--to="+out, "--verbose"); !strings.HasPrefix(stderr, "fetched 40 files (") {
		t.Errorf("got %q; want 40 files", stderr)
	}
	for name, content := range want {
		if got := r.content("out/tree/" + name); got != string(content) {
			t.Errorf("%s: got %d other bytes; want %d", name, len(got), len(content))
		}
	}
	// A file that is damaged here is fetched again.
	r.file("out/tree/1/b ä1", bytes.Repeat([]byte("x"), 1000))
	if _, stderr := r.do("fetch", "--prefix=tree/", "--to="+out, "--verbose"); stderr != "fetched 1 files (1000 B), 39 were there already\n" {
		t.Errorf("damaged one: got %q; want 1 file, 39 there already", stderr)
	}
	if parts, _ := filepath.Glob(out + "/tree/*/*.part"); len(parts) > 0 {
		t.Errorf("got %v left; want nothing", parts)
	}
}

// TestAFetchGoesOnWithWhatIsThere has a part of an earlier run, which it does not read again.
func TestAFetchGoesOnWithWhatIsThere(t *testing.T) {
	r := newFileRig(t)
	want := noise(7, 1<<20)
	r.do("upload", "--class=summed", "--key=big", r.file("big", want))
	info, err := r.Client().Info(t.Context(), "images", "big")
	if err != nil {
		t.Fatal(err)
	}
	r.file("big."+info.FID.String()+".part", want[:700_000])
	_, stderr := r.do("fetch", "--key=big", "--file="+filepath.Join(r.dir, "copy"), "--verbose")
	if !strings.Contains(stderr, "1.0 MiB") || r.content("copy") != string(want) {
		t.Errorf("another name: got %q; want all of it", stderr)
	}
	_, stderr = r.do("fetch", "--key=big", "--to="+r.dir, "--force", "--verbose")
	if !strings.Contains(stderr, "1.0 MiB") {
		t.Errorf("by force: got %q; want all of it", stderr)
	}
	for name, c := range map[string]struct {
		part []byte
		code int
		says string
	}{
		"good": {want[:700_000], 0, "(340.4 KiB)"},
		"bad":  {noise(8, 700_000), 255, "fsck finds out which copy is wrong"},
		"long": {make([]byte, 1<<20+1), 255, "is larger than the file: remove it"},
	} {
		if err := os.Remove(filepath.Join(r.dir, "big")); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		part := r.file("big."+info.FID.String()+".part", c.part)
		_, stderr, code := r.try(nil, "fetch", "big", "--to="+r.dir, "--verbose")
		if code != c.code || !strings.Contains(stderr, c.says) {
			t.Errorf("%s part: got %d, %q; want %d and %q", name, code, stderr, c.code, c.says)
		}
		if _, err := os.Stat(filepath.Join(r.dir, "big")); (err == nil) != (c.code == 0) {
			t.Errorf("%s part: got %v; want the file only when it is whole", name, err)
		}
		_ = os.Remove(part)
	}
}

// TestACopyThatFailsIsFollowedByAnother is for reading and for writing.
func TestACopyThatFailsIsFollowedByAnother(t *testing.T) {
	r := newFileRig(t)
	want := noise(3, 100_000)
	name := r.file("f", want)
	r.do("upload", "--class=summed", "--key=before", name)
	r.AwaitJobs()
	for i, n := range r.Nodes {
		n.Break(true)
		if got, _ := r.do("fetch", "--key=before", "--file=-"); got != string(want) {
			t.Errorf("node %d is broken: got %d other bytes", i, len(got))
		}
		key := fmt.Sprintf("after-%d", i)
		r.do("upload", "--class=single", "--key="+key, name)
		if got, _ := r.do("fetch", "--key="+key, "--file=-"); got != string(want) {
			t.Errorf("node %d is broken: got %d other bytes of %s", i, len(got), key)
		}
		n.Break(false)
		r.Await("writeable devices", allWriteable)
	}
	for _, n := range r.Nodes {
		n.Break(true)
	}
	for _, words := range [][]string{{"fetch", "--key=before", "--file=-"}, {"upload", "--key=x", name}} {
		if stdout, stderr, code := r.try(nil, words...); code != 255 || stdout != "" || !strings.Contains(stderr, "Error ") {
			t.Errorf("all are broken: %v: got %d, %d bytes, %q; want 255 and why", words, code, len(stdout), stderr)
		}
	}
	if n := r.openUploads(); n != 0 {
		t.Errorf("got %d uploads left open; want none", n)
	}
}

// TestAnInterruptionLeavesNothingOpen interrupts an upload whose source says no more.
func TestAnInterruptionLeavesNothingOpen(t *testing.T) {
	r := newFileRig(t)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	source, feed := io.Pipe()
	defer source.Close()
	go func() { // ends when all is read
		_, _ = feed.Write(noise(1, 1<<20))
		interrupt()
	}()
	_, stderr, code := r.tryIn(ctx, cli.Env{Stdin: source}, "upload", "--key=half", "-")
	if code != 130 || stderr != "interrupted: uploaded 0 files; run it again to go on\n" {
		t.Errorf("got %d, %q; want 130 and what was done", code, stderr)
	}
	if n := r.openUploads(); n != 0 {
		t.Errorf("got %d uploads left open; want none", n)
	}
	if _, stderr, code := r.try(nil, "info", "half"); code != 255 || !strings.Contains(stderr, "unknown_key") {
		t.Errorf("got %d, %q; want no such key", code, stderr)
	}
}

func TestKeysAreListedBeyondAPage(t *testing.T) {
	r := newFileRig(t)
	dm, err := r.Store.DomainByName(t.Context(), "images")
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	var uploads errgroup.Group // together they share the disk's syncs
	uploads.SetLimit(64)
	for i := range 1005 {
		for _, prefix := range []string{"k(", "other"} {
			key := mogile.Key(fmt.Sprintf("%s%04d", prefix, i))
			uploads.Go(func() error {
				fid, err := r.Store.OpenUpload(t.Context(), store.Upload{Domain: dm, Key: key, Devices: []mogile.DevID{1}})
				if err == nil {
					_, err = r.Store.CloseUpload(t.Context(), store.Closing{FID: fid, Dev: 1, Domain: dm, Key: key})
				}
				return err
			})
		}
		fmt.Fprintf(&want, "k(%04d\n", i)
	}
	if err := uploads.Wait(); err != nil {
		t.Fatal(err)
	}
	if got, _ := r.do("ls", "k("); got != want.String() {
		t.Errorf("got %d keys; want 1005", strings.Count(got, "\n"))
	}
	if got, _ := r.do("ls"); strings.Count(got, "\n") != 2010 {
		t.Errorf("got %d keys in all; want 2010", strings.Count(got, "\n"))
	}
	if got, _ := r.do("fids", "--count=0"); strings.Count(got, "fid ") != 2010 {
		t.Errorf("got %d fids; want 2010", strings.Count(got, "fid "))
	}
}

func TestAPrefixIsDeletedWhenTheOperatorSaysYes(t *testing.T) {
	r := newFileRig(t)
	for _, key := range []string{"old/1", "old/2", "new/1"} {
		r.do("upload", "--key="+key, r.file("f", []byte(key)))
	}
	for answer, deleted := range map[string]bool{"": false, "\n": false, "n\n": false} {
		_, stderr, code := r.tryIn(t.Context(), cli.Env{Stdin: strings.NewReader(answer), InTerminal: true}, "rm", "--prefix=old/")
		if code == 0 != deleted || !strings.Contains(stderr, `Delete 2 files that begin with "old/" in the domain images? [y/N] `) {
			t.Errorf("answer %q: got %d, %q; want nothing deleted", answer, code, stderr)
		}
	}
	if got, _ := r.do("ls"); got != "new/1\nold/1\nold/2\n" {
		t.Errorf("got %q; want all keys", got)
	}
	if _, stderr, code := r.tryIn(t.Context(), cli.Env{Stdin: strings.NewReader("y\n"), InTerminal: true}, "rm", "--prefix=old/"); code != 0 {
		t.Errorf("yes: got %d, %q; want 0", code, stderr)
	}
	if got, _ := r.do("ls"); got != "new/1\n" {
		t.Errorf("got %q; want the other key only", got)
	}
}

func TestKeysThatAreNoPathsStayOutside(t *testing.T) {
	r := newFileRig(t)
	for _, key := range []string{"../evil", "/etc/evil", "a/../../evil"} {
		r.do("upload", "--key="+key, r.file("f", []byte("evil")))
		_, stderr, code := r.try(nil, "fetch", key, "--to="+filepath.Join(r.dir, "out"))
		if code != 255 || !strings.Contains(stderr, "is no path below a directory") {
			t.Errorf("%s: got %d, %q; want it refused", key, code, stderr)
		}
	}
	if _, err := os.Stat(filepath.Join(r.dir, "evil")); err == nil {
		t.Error("got a file outside the directory")
	}
}

// TestDebugFindsTheCopyThatIsWrong damages copies on their disks.
func TestDebugFindsTheCopyThatIsWrong(t *testing.T) {
	r := newFileRig(t)
	r.do("upload", "--class=summed", "--key=f", r.file("f", []byte("content")))
	r.AwaitJobs()
	if stdout, _ := r.do("debug", "--key=f"); strings.Count(stdout, "MD5 Hash: 9a0364b9e99bb480dd25e1f0284c8555") != 2 || strings.Contains(stdout, "ERROR") {
		t.Errorf("got\n%s\nwant two good copies", stdout)
	}
	info, err := r.Client().Info(t.Context(), "images", "f")
	if err != nil {
		t.Fatal(err)
	}
	second := filepath.Join(r.Nodes[1].Root, info.FID.Path(2))
	writeFile(t, second, "kontent")
	stdout, _, code := r.try(nil, "debug", "--key=f")
	if code != 1 || !strings.Contains(stdout, "Hash does not match first path!") {
		t.Errorf("damaged: got %d and\n%s\nwant 1 and that it does not match", code, stdout)
	}
	if err := os.Remove(second); err != nil {
		t.Fatal(err)
	}
	stdout, _, code = r.try(nil, "debug", "--key=f", "--json")
	if code != 1 || !strings.Contains(stdout, "File copy is missing: 404 Not Found") || !strings.Contains(stdout, `"observed_state": "writeable"`) {
		t.Errorf("removed: got %d and\n%s\nwant 1 and that it is missing", code, stdout)
	}
	if strings.Contains(stdout, `"checks"`) {
		t.Errorf("got\n%s\nwant nothing of checks before one ran", stdout)
	}
	var errs bytes.Buffer
	env := cli.Env{Stdout: io.Discard, Stderr: &errs, Program: "caddy mogilefs"}
	if code := cli.Run(t.Context(), env, cli.Root(nil), []string{"fsck", "start", "--trackers=" + r.Tracker}); code != 0 {
		t.Fatalf("fsck start: got %d, %s", code, errs.String())
	}
	process.Eventually(t, time.Minute, "file that debug knows the check of", func() bool {
		stdout, _, _ = r.try(nil, "debug", "--key=f")
		return strings.Contains(stdout, ": MISS on dev2\n") && strings.Contains(stdout, ": REPL\n")
	})
	r.AwaitJobs()
	if stdout, _ = r.do("debug", "--key=f", "--json"); !strings.Contains(stdout, `"event": "MISS"`) {
		t.Errorf("checked: got\n%s\nwant what the check said", stdout)
	}
}
