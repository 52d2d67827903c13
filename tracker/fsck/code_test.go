package fsck_test

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/tracker/fsck"
)

// docs/spec/jobs.md §7.3.
func TestTheCodesAreThoseOfTheSpecification(t *testing.T) {
	text, err := os.ReadFile("../../docs/spec/jobs.md")
	if err != nil {
		t.Fatal(err)
	}
	var want []fsck.Code
	for _, row := range regexp.MustCompile(`(?m)^\| ([A-Z]{4}) \| .* \| [yn] \|$`).FindAllStringSubmatch(string(text), -1) {
		want = append(want, fsck.Code(row[1]))
	}
	got := []fsck.Code{
		fsck.NoPath, fsck.PolicyViolation, fsck.Missing, fsck.BadLength, fsck.BadCount, fsck.Search, fsck.Found, fsck.Gone,
		fsck.Replicate, fsck.BadChecksum, fsck.NoChecksum, fsck.MixedChecksums, fsck.BadAlgorithm,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got codes %v; want %v", got, want)
	}
}
