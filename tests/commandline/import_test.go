package commandline

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

// imported is how many files are imported: go test ./tests/commandline -args -files 100000
var imported = flag.Int("files", 600, "how many files TestAnImportThatIsKilledTwiceGoesOn imports")

// within bounds a third of an import, on a busy machine, for so many files.
func within() time.Duration { return 2*time.Minute + time.Duration(*imported)*20*time.Millisecond }

// TestAnImportThatIsKilledTwiceGoesOn kills an import of small files twice in the middle. What
// comes out is what went in, and what a killed run had done was not done again.
func TestAnImportThatIsKilledTwiceGoesOn(t *testing.T) {
	s := newStation(t)
	plant(t, filepath.Join(s.home, "in"), *imported)
	began := time.Now()
	var first map[string]mogile.FID
	for kill := 1; kill <= 2; kill++ {
		run := exec.Command(filepath.Join(s.home, "mogadm"), "import", "in")
		run.Dir, run.Env = s.home, s.environment()
		var said bytes.Buffer
		run.Stdout, run.Stderr = &said, &said
		if err := run.Start(); err != nil {
			t.Fatal(err)
		}
		process.Eventually(t, within(), "part of an import", func() bool { return s.lines("in.imported") >= *imported*kill/3 })
		if err := run.Process.Kill(); err != nil {
			t.Fatalf("it ended before it was killed: %v\n%s", err, said.String())
		}
		_ = run.Wait() // it was killed
		if kill == 1 {
			first = s.fids()
		}
	}
	done := s.lines("in.imported")
	stdout, stderr, code := s.sh("mogadm import --verbose in")
	took := time.Since(began)
	if code != 0 || s.lines("in.imported") != *imported {
		t.Fatalf("the last run: got %d, %q, %q, %d lines in the manifest; want 0 and %d", code, stdout, stderr, s.lines("in.imported"), *imported)
	}
	fids := s.fids()
	for key, fid := range first {
		if fids[key] != fid {
			t.Errorf("%s was fid %d and is %d: it was imported twice", key, fid, fids[key])
		}
	}
	if len(fids) != *imported {
		t.Errorf("got %d keys; want %d", len(fids), *imported)
	}
	s.must("mogadm export out && diff -r in out")
	t.Logf("%d files in %v with two kills, %d of them before the last run: %.0f/s", *imported, took.Round(time.Second), done, float64(*imported)/took.Seconds())
}

// plant makes a tree of small files.
func plant(t *testing.T, dir string, n int) {
	t.Helper()
	for i := range n {
		below := filepath.Join(dir, fmt.Sprint(i%50))
		if i < 50 {
			if err := os.MkdirAll(below, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		content := strings.Repeat(fmt.Sprintf("file %d\n", i), 1+i%100)
		if err := os.WriteFile(filepath.Join(below, fmt.Sprintf("%d.txt", i)), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// lines counts the whole lines of a file.
func (s *station) lines(name string) int {
	text, err := os.ReadFile(filepath.Join(s.home, name))
	if err != nil && !os.IsNotExist(err) {
		s.t.Fatal(err)
	}
	return bytes.Count(text, []byte("\n"))
}

// fids is all keys with their fids.
func (s *station) fids() map[string]mogile.FID {
	s.t.Helper()
	found := map[string]mogile.FID{}
	for block := range strings.SplitSeq(s.must("mogadm fids --count=0"), "\n\n") {
		var fid uint64
		if _, err := fmt.Sscanf(block, "fid %d\n", &fid); err != nil {
			continue
		}
		for line := range strings.Lines(block) {
			if key, ok := strings.CutPrefix(strings.TrimSpace(line), "key "); ok {
				found[key] = mogile.FID(fid)
			}
		}
	}
	return found
}
