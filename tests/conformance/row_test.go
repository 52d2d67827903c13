package conformance

import (
	"fmt"
	"slices"
	"testing"
)

// row is one fact of docs/spec/storage-node.md.
type row struct {
	// section and item are those of the specification; an item of a table there has the
	// words of its first cell.
	section, item string
	// held is what is promised.
	held string
	// differs says how the references differ where ours does so on purpose, or where
	// they differ from each other. A foreign node may then answer otherwise.
	differs string
	// harmful rows are not asked of a foreign node.
	harmful bool
	// ask is nil when only tests elsewhere hold the row.
	ask func(p *probe)
	// tests are those elsewhere that hold the row, too.
	tests []string
}

func (r row) name() string { return r.section + " " + r.item }

// allRows is every row, in the order of the specification.
func allRows() []row {
	return slices.Concat(generalRows, getRows, rangeRows, putRows, deleteRows, otherRows, channelRows, watchRows, usageRows)
}

// probe asks a node for one row.
type probe struct {
	t *testing.T
	*node
	row row
}

// wrong says that the node does not do what the row holds.
func (p *probe) wrong(format string, args ...any) {
	p.t.Helper()
	if p.foreign && p.row.differs != "" {
		p.differences++
		p.t.Logf("differs (%s): %s", p.row.differs, fmt.Sprintf(format, args...))
		return
	}
	p.t.Errorf(format, args...)
}

// wants checks a status.
func (p *probe) wants(got reply, statuses ...int) {
	p.t.Helper()
	if !slices.Contains(statuses, got.status) {
		p.wrong("%s: got %s; want %d", got.request, got, statuses)
	}
}

// holds checks what is stored under a path; absent files have no text.
func (p *probe) holds(path, want string) {
	p.t.Helper()
	got := p.do("GET", path, "")
	if got.status != 200 || got.body != want {
		p.wrong("GET %s: got %s; want %q", path, got, want)
	}
}

func (p *probe) absent(path string) {
	p.t.Helper()
	p.wants(p.do("GET", path, ""), 404)
}

// stored is a new path with a content.
func (p *probe) stored(content string) string {
	p.t.Helper()
	path := p.fid()
	if got := p.do("PUT", path, content); got.status/100 != 2 {
		p.t.Fatalf("PUT %s: got %s; want 2xx", path, got)
	}
	return path
}

// owns has a path deleted in the end, unless something is there already.
func (p *probe) owns(path string) bool {
	p.t.Helper()
	absent := p.do("HEAD", path, "").status != 200
	if absent {
		p.put[path] = true
	}
	return absent
}

// refused checks that nothing can be put under a path. What a foreign node puts there all
// the same is deleted; what it has there already is left alone.
func (p *probe) refused(path, content string, statuses ...int) {
	p.t.Helper()
	if p.foreign && !p.owns(path) {
		p.t.Logf("PUT %s is left out: something is there", path)
		return
	}
	got := p.do("PUT", path, content)
	if len(statuses) > 0 {
		p.wants(got, statuses...)
	} else if got.status/100 == 2 {
		p.wrong("%s: got %s; want it refused", got.request, got)
	}
}
