package capacity

import (
	"math"
	"os"
	"strings"
	"testing"
	"time"
)

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > want*1e-9 {
		t.Errorf("%s: got %v; want %v", what, got, want)
	}
}

func TestFiguresFollowFromNeeds(t *testing.T) {
	n := Needs{Files: 1e9, Size: 1e5, Copies: 2, Key: 20, Reads: 100, Uploads: 10, Known: 0.5, Cold: 0.5, Disk: 20e12, Network: 1e9, Disks: 10}
	f := Of(n)
	near(t, "rows", f.Rows, 3e9)
	near(t, "stored", f.Stored, 2e14)
	near(t, "disks", f.Disks, 13) // 12.5 of 16 TB
	near(t, "machines", f.Machines, 2)
	near(t, "copies on a disk", f.PerDisk, 2e9/13)
	near(t, "traffic", f.Traffic, 1e7)
	near(t, "statements", f.Statements, 50*lookupStatements+10*uploadStatements)
	near(t, "seeks", f.Seeks, (2*50+10*(2*4+2))/13.0)
	for _, d := range databases {
		near(t, d.name, f.Metadata[d.name], 1e9*(d.file+2*d.copy+20*d.keyByte))
	}
	n.Reads = 10_000 // 10,100 seeks a second, of which a disk gives 60
	near(t, "disks for reading", Of(n).Disks, 169)
	n.Checksums = true
	near(t, "rows with checksums", Of(n).Rows, 4e9)
}

func TestARepairWaitsForTheSlowest(t *testing.T) {
	n := Defaults()
	n.Size, n.Files, n.Reads, n.Uploads = 1e9, 1e6, 0, 0 // few, and large
	if f := Of(n); f.Limit != "the disks' rate" {
		t.Errorf("large files: got %q; want the disks' rate", f.Limit)
	}
	n.Network = 1e6
	if f := Of(n); f.Limit != "the network" {
		t.Errorf("over a thin line: got %q; want the network", f.Limit)
	}
	n = Defaults()
	n.Files, n.Reads = 1e11, 0
	f := Of(n)
	if !strings.HasPrefix(f.Limit, "the reaper") || f.Repair < time.Duration(f.PerDisk/reaped*float64(time.Second))-time.Second {
		t.Errorf("many small files: got %v for %q; want what the reaper takes", f.Repair, f.Limit)
	}
}

func TestMoreOfAnythingIsNotLess(t *testing.T) {
	one := Of(Defaults())
	n := Defaults()
	n.Files *= 2
	two := Of(n)
	if two.Rows <= one.Rows || two.Stored <= one.Stored || two.Disks < one.Disks || two.AllLocations <= one.AllLocations || two.Checked <= one.Checked {
		t.Errorf("twice the files: got %+v after %+v; want more", two, one)
	}
	for _, d := range databases {
		if d.file <= 0 || d.copy <= 0 || d.keyByte <= 0 || d.checksum <= 0 {
			t.Errorf("%s: got %+v; want what was measured", d.name, d)
		}
	}
}

func TestNumbersThatCannotBeAreRefused(t *testing.T) {
	for _, change := range []func(*Needs){
		func(n *Needs) { n.Files = 0 }, func(n *Needs) { n.Copies = -1 }, func(n *Needs) { n.Size = math.Inf(1) },
		func(n *Needs) { n.Known = 2 }, func(n *Needs) { n.Reads = -1 }, func(n *Needs) { n.Disk = math.NaN() },
	} {
		n := Defaults()
		change(&n)
		if n.Validate() == nil {
			t.Errorf("%+v: got nil; want an error", n)
		}
	}
	for word, want := range map[string]float64{"1e9": 1e9, "30KiB": 30720, "20TB": 2e13, "1.25GB": 1.25e9, "7B": 7} {
		if got, err := quantity(word); err != nil || got != want {
			t.Errorf("%s: got %v, %v; want %v", word, got, err, want)
		}
	}
	if _, err := quantity("manyKiB"); err == nil {
		t.Error("manyKiB: got nil; want an error")
	}
}

// TestTheTableOfThePageIsTheOneThatIsPrinted: after a change of the model,
// caddy mogilefs capacity --table prints the new one.
func TestTheTableOfThePageIsTheOneThatIsPrinted(t *testing.T) {
	page, err := os.ReadFile("../../docs/scale.md")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	WriteScale(&b, Defaults())
	if !strings.Contains(string(page), b.String()) {
		t.Errorf("docs/scale.md has another table; put this one there:\n%s", b.String())
	}
}

func TestHugeNumbersAreWritten(t *testing.T) {
	n := Defaults()
	n.Files, n.Size = 1e15, 1e12
	for _, l := range Of(n).lines() {
		if strings.Contains(l.value, "-") || strings.Contains(l.value, "NaN") || strings.Contains(l.value, "Inf") {
			t.Errorf("%s: got %s; want a number", l.name, l.value)
		}
	}
}
